"""The lines that were entered before, kept in a file that several shells may share."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

__all__ = ["History", "find_state_file"]

_MAX_LINES = 2000
# A file that is larger is cut down to its end, which has half of it.
_MAX_BYTES = 1024 * 1024
# Seconds that another shell may take to cut it down, before that is not waited for any more.
_PATIENCE = 1.0

# A line with such characters is damage, or would do something to the terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


def find_state_file(project: str | os.PathLike[str], kind: str) -> str | None:
    """Return the file for something that is kept for the project of a script.

    None where nobody's home is known, as in some containers.
    """
    # Imported here: most runs keep nothing. A cryptographic hash would take as long as a quarter
    # of Python itself.
    import zlib

    state = os.path.expanduser(os.environ.get("XDG_STATE_HOME") or "~/.local/state")
    if state.startswith("~"):
        return None
    resolved = os.path.realpath(project)
    folder, script = os.path.split(resolved)
    # The name is for people; the checksum keeps projects apart that have the same name.
    title = f"{os.path.basename(folder)}-{os.path.splitext(script)[0]}"
    name = re.sub(r"[^\w.-]", "_", title)
    checksum = f"{zlib.crc32(os.fsencode(resolved)):08x}"
    return os.path.join(state, "deployer", f"{name}-{checksum}.{kind}")


class History:
    """The history of one project. A file that cannot be read or written costs a warning, once.

    :param path: the file; one line each. None keeps nothing.
    :param warn: is called with the text of a warning.
    """

    def __init__(self, path: str | os.PathLike[str] | None, warn: Callable[[str], None]) -> None:
        self._path = None if path is None else os.fspath(path)
        self._warn = warn
        self._last = ""

    @classmethod
    def for_project(
        cls, project: str | os.PathLike[str], shell: str, warn: Callable[[str], None]
    ) -> History:
        """Return the history of a shell in the project that a script belongs to."""
        return cls(find_state_file(project, shell), warn)

    def load(self) -> list[str]:
        """Return the last lines, the oldest first; what is not text in the file is left out."""
        if self._path is None:
            return []
        try:
            with _opened(self._path, os.O_RDONLY) as fd:
                content = _read_end(fd, _MAX_BYTES)
                is_too_large = os.fstat(fd).st_size > _MAX_BYTES
        except FileNotFoundError:
            return []
        except OSError as error:
            self._give_up(f"cannot be read: {error.strerror}")
            return []
        if is_too_large:
            # It is trimmed another time, if not now.
            with suppress(OSError):
                _trim(self._path)
        lines = content.decode("utf-8", "replace").split("\n")
        lines = [line for line in lines if line and not _CONTROL.search(line)][-_MAX_LINES:]
        self._last = lines[-1] if lines else ""
        return lines

    def append(self, text: str) -> list[str]:
        """Keep the lines of an input; return those that are kept.

        Not kept are repetitions, and lines that begin with a blank (secrets, say).
        """
        kept = []
        for line in text.split("\n"):
            if line.strip() and not line[0].isspace() and line != self._last:
                self._last = line
                kept.append(line)
        if kept and self._path is not None:
            try:
                os.makedirs(os.path.dirname(self._path) or ".", mode=0o700, exist_ok=True)
                _append(self._path, kept)
            except OSError as error:
                self._give_up(f"cannot be written: {error.strerror}")
        return kept

    def _give_up(self, reason: str) -> None:
        self._warn(f"the history {self._path} {reason}; it is not kept")
        self._path = None


def _append(path: str, lines: Sequence[str]) -> None:
    with _opened_to_append(path) as fd:
        end = os.fstat(fd).st_size
        # What went wrong before, on a full disk say, may have left a line without an end.
        begin = b"\n" if end and os.pread(fd, 1, end - 1) != b"\n" else b""
        data = begin + b"".join(line.encode("utf-8", "replace") + b"\n" for line in lines)
        # One write in append mode: the lines of two shells never mix.
        written = os.write(fd, data)
        if written < len(data):
            # Raises what was in the way.
            os.write(fd, data[written:])


def _trim(path: str) -> None:
    """Leave the last half of what a file may have in it, unless another shell is at it."""
    import fcntl

    # Of a link, what it leads to.
    path = os.path.realpath(path)
    with _opened(path, os.O_RDWR) as fd:
        # Whoever wants to append waits, and then finds that this is not the file any more.
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is_same(fd, path):
            return
        new = f"{path}.new"
        try:
            with _opened(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as new_fd:
                rest = _read_end(fd, _MAX_BYTES // 2)
                while rest:
                    rest = rest[os.write(new_fd, rest) :]
            os.replace(new, path)
        except OSError:
            os.unlink(new)
            raise


def _read_end(fd: int, size: int) -> bytes:
    """Return the last lines of a file, as far as so many bytes have them whole."""
    start = max(os.fstat(fd).st_size - size, 0)
    content = b""
    while len(content) < size and (data := os.pread(fd, size - len(content), start + len(content))):
        content += data
    return content.partition(b"\n")[2] if start else content


@contextmanager
def _opened_to_append(path: str) -> Iterator[int]:
    """Open a file that nobody replaces by a shorter one meanwhile."""
    import fcntl
    import time

    deadline = time.monotonic() + _PATIENCE
    while True:
        with _opened(path, os.O_RDWR | os.O_APPEND | os.O_CREAT) as fd:
            is_late = time.monotonic() > deadline
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                is_ready = False
            except OSError:  # Some file systems have no locks.
                is_ready = True
            else:
                is_ready = _is_same(fd, path)
            if is_ready or is_late:
                yield fd
                return
        # flock has no deadline of its own, and nothing tells that the file was replaced.
        time.sleep(0.01)


@contextmanager
def _opened(path: str, flags: int) -> Iterator[int]:
    # Not to be waited for, as the other end of a pipe would be.
    fd = os.open(path, flags | os.O_NONBLOCK, 0o600)
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "Not a file")
        yield fd
    finally:
        os.close(fd)


def _is_same(fd: int, path: str) -> bool:
    """Whether a file that was opened is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False
