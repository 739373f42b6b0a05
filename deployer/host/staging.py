"""Where a file lies while it is written: in a private directory beside its target.

The directory is called ``.NAME.deployer-tmp``, so that the next writer of the same file runs into
what an earlier one left, at no cost where there is nothing; only its owner may enter it. What lies
in it is called after who writes: machine, process, and a random part. So a writer can tell what is
left over from what another one still writes.
"""

from __future__ import annotations

import errno
import functools
import io
import os
import posixpath
import re
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TypeVar

from ..exceptions import DeployerException
from .files import FileSystem, Stat

__all__ = ["SUFFIX", "Staging", "is_staging", "staging_path"]

T = TypeVar("T")

SUFFIX = ".deployer-tmp"
# Nothing tells whether a process on another machine still runs. By the clock of the host.
_FOREIGN_SECONDS = 24 * 3600.0
# Whoever leaves the directory removes it when it is empty, also when another has just come.
_ATTEMPTS = 20

#: What this process is writing.
_live: set[str] = set()


def staging_path(target: str) -> str:
    """Return the directory in which a file is written before it takes the place of ``target``."""
    directory, name = posixpath.split(target)
    return posixpath.join(directory, f".{name[:40]}{SUFFIX}")


def is_staging(name: str) -> bool:
    """Whether this is the name of a directory for what is being written."""
    return name.startswith(".") and name.endswith(SUFFIX)


class _Gone(Exception):
    """The directory was there, and has gone, or is not to be used."""


class Staging:
    """A directory for files that are being written, made with the first of them.

    :param path: see :func:`staging_path`.
    """

    def __init__(self, files: FileSystem, path: str) -> None:
        self._files = files
        self._shared_path = self._path = path
        self._is_ready = self._may_exist = False
        self._failures = 0
        self._made: set[str] = set()

    def make(self, maker: Callable[[str], T]) -> tuple[str, T]:
        """Return a new path in the directory, and what ``maker`` returns for it."""
        for _ in range(_ATTEMPTS):
            found = None
            if not self._is_ready:
                try:
                    found = self._enter()
                except _Gone:
                    continue
                self._is_ready = True
            path = self._new_path()
            try:
                made = maker(path)
            except FileNotFoundError:
                # Another one has left the directory meanwhile, and removed it.
                self._forget(path)
                self._is_ready = False
                continue
            except PermissionError:
                self._forget(path)
                if found is None:
                    raise
                self._go_elsewhere()
                continue
            except BaseException:
                # It may be there all the same: an interrupt, or a reply that did not come.
                self.remove(path)
                raise
            try:
                if found is None or self._take_over(found, path):
                    return path, made
            except BaseException:
                self._discard(path, made)
                raise
            self._discard(path, made)
            self._go_elsewhere()
        raise OSError(errno.EBUSY, f"{self._path} comes and goes")

    def make_way(self, number: int) -> list[str]:
        """Return so many new paths in the directory, which is there; none if it cannot be made."""
        with suppress(OSError, _Gone):
            self._is_ready = self._is_ready or self._enter() is None
        if not self._is_ready:
            # There is one already: a file in it tells whether it is ours.
            try:
                self._discard(*self.make(lambda path: self._files.open(path, "xb")))
            except OSError:
                return []
        return [self._new_path() for _ in range(number)]

    def _new_path(self) -> str:
        name = f"{_writer(os.getpid())}-{_random()}"
        _live.add(name)
        path = posixpath.join(self._path, name)
        self._made.add(path)
        return path

    def _go_elsewhere(self) -> None:
        """Leave the directory alone: somebody else made it, perhaps to have what we write."""
        self._path = f"{self._shared_path[: -len(SUFFIX)]}.{_random()}{SUFFIX}"
        self._is_ready = False

    def _discard(self, path: str, made: object) -> None:
        if isinstance(made, io.IOBase):
            with suppress(OSError, DeployerException):
                made.close()
        self.remove(path)

    def remove(self, path: str) -> None:
        """Remove a file of the directory, if it is there."""
        with suppress(OSError, DeployerException):
            self._files.remove(path)
        self._forget(path)

    def moved(self, path: str) -> None:
        """Take note that a file is where it belongs."""
        self._forget(path)

    def close(self) -> None:
        """Remove the directory, unless there is something of another writer in it."""
        for path in list(self._made):
            self.remove(path)
        if self._may_exist:
            self._is_ready = self._may_exist = False
            with suppress(OSError, DeployerException):
                self._files.rmdir(self._path)

    def __enter__(self) -> Staging:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _forget(self, path: str) -> None:
        self._made.discard(path)
        _live.discard(posixpath.basename(path))

    def _enter(self) -> Stat | None:
        """Make the directory; return what is known of it if it is there already."""
        self._may_exist = True
        try:
            self._files.mkdir(self._path, 0o700)
        except (FileNotFoundError, PermissionError, NotADirectoryError):
            raise
        except OSError as error:
            # Over SFTP, an error does not say that it is there already.
            if error.errno not in (None, errno.EEXIST):
                raise
            try:
                found = self._files.lstat(self._path)
            except FileNotFoundError:
                # Either there was one and it has gone, or there is another reason.
                self._failures += 1
                if self._failures >= _ATTEMPTS:
                    raise error from None
                raise _Gone from error
            if not found.is_dir or found.permissions & 0o077:
                self._go_elsewhere()
                raise _Gone from error
            return found
        return None

    def _take_over(self, found: Stat, own_path: str) -> bool:
        """Remove what is left over in a directory that was there; False if it is not to be used.

        :param own_path: a file that was just made in it: says who we are, and how late it is.
        """
        own = self._files.lstat(own_path)
        if found.st_uid != own.st_uid:
            return False
        for entry in self._files.listdir(self._path):
            if _is_left_over(entry.filename, own.st_mtime - entry.st_mtime):
                with suppress(OSError):
                    self._files.remove(posixpath.join(self._path, entry.filename))
        return True


def _random() -> str:
    return os.urandom(8).hex()


@functools.cache
def _writer(pid: int) -> str:
    """Return what the names of files begin with that this process makes."""
    return f"{_machine()}-{pid}-{_started(pid)}"


def _is_left_over(name: str, age: float) -> bool:
    """Whether nobody writes this any more."""
    if name in _live:
        return False
    machine, pid, started = (*name.split("-"), "", "", "")[:3]
    if machine == _machine() and pid.isdecimal():
        return int(pid) == os.getpid() or not _is_running(int(pid), started)
    return age > _FOREIGN_SECONDS


@functools.cache
def _machine() -> str:
    """Return a name for where process ids mean the same: a machine, since it was started."""
    with suppress(OSError):
        with open("/proc/sys/kernel/random/boot_id") as file:
            boot = file.read().replace("-", "")[:16]
        namespace = re.sub(r"\D", "", os.readlink("/proc/self/ns/pid"))
        return f"{boot}{namespace}"
    return re.sub(r"[^A-Za-z0-9.]", "", os.uname().nodename)[:40]


def _is_running(pid: int, started: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return _started(pid) in (started, "0")


def _started(pid: int) -> str:
    """Return when a process was started; ``0`` where nobody can know, nothing if it has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name, the second field, may have anything in it.
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return "0"
    return "" if fields[0] in (b"Z", b"X") else fields[19].decode()
