"""What is shown at the terminal, recorded so that it can be played again."""

from __future__ import annotations

import builtins
import codecs
import os
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Any, TextIO

from ... import secret
from ...cli.reader import is_terminal
from ...loggers.files import full_path, open_private, write_json
from ...streams import write_text

__all__ = ["AsciicastRecorder"]

# What readline is told around the parts of a prompt that take no room.
_READLINE_MARKS = str.maketrans("", "", "\001\002")


class AsciicastRecorder:
    """Record what is shown during a ``with`` block, in a file that ``asciinema play`` shows again.

    For any program: it puts itself in the place of ``sys.stdout``, ``sys.stderr`` and ``input()``::

        with AsciicastRecorder("deploy.cast"):
            start(Root)

    It is no logger: those see what runs, and not what is shown. What hosts write, what actions
    print, log lines and the lines that were typed are recorded, with the size of the window and its
    changes. Where one of the two streams is a terminal, and the other one is not, only that one is
    recorded. Each piece is written at once: what is left by a process that was killed can be
    played, and so can what there was room for on a full disk.

    Secrets are ``***`` in it, as in logs, also when they come in several pieces: what may be the
    beginning of one is recorded when more is written to the same stream. A secret is not found
    where something else stands within it, such as a colour or a movement of the cursor.

    Not recorded are what is typed unseen, such as passwords; how a line was edited; and what other
    programs write to the terminal themselves: a pager, an editor, whatever is run with ``!``.

    The format is asciicast v2: https://docs.asciinema.org/manual/asciicast/v2/

    :param path: the file, made for its owner only. FileExistsError is raised when there is one.
    """

    def __init__(self, path: str) -> None:
        self._path = full_path(path)
        self._stack = ExitStack()

    def __enter__(self) -> AsciicastRecorder:
        with ExitStack() as stack:
            stack.enter_context(_recording(self._path))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()


@contextmanager
def _recording(path: str) -> Iterator[None]:
    names = [name for name in ("stdout", "stderr") if getattr(sys, name) is not None]
    # What goes into a file or a pipe while somebody sits at a terminal, nobody sees.
    seen = [name for name in names if is_terminal(getattr(sys, name))] or names
    cast = _Cast(path, [getattr(sys, name) for name in seen])
    tees = {name: _Tee(getattr(sys, name), cast) for name in seen}
    read = builtins.input
    try:
        for name, tee in tees.items():
            setattr(sys, name, tee)
        builtins.input = _make_input(read)
        yield
    finally:
        builtins.input = read
        for name, tee in tees.items():
            # Unless somebody has put something else there.
            if getattr(sys, name) is tee:
                setattr(sys, name, tee.stream)
            tee.finish()
        cast.close()


class _Cast:
    """The file.

    :param streams: those that are recorded: the size is that of their terminal.
    """

    def __init__(self, path: str, streams: list[TextIO]) -> None:
        #: Held by whoever adds to it. A signal may come while it is held, and write something.
        self.lock = threading.RLock()
        self._path = path
        self._screen = next((s.fileno() for s in streams if is_terminal(s)), None)
        self._warnings = sys.stderr
        self._file: TextIO | None = open_private(path, new=True)
        self._began = time.monotonic()
        self._size = columns, rows = self._get_size()
        header = {"version": 2, "width": columns, "height": rows, "timestamp": int(time.time())}
        self._write({**header, "env": {"TERM": os.environ.get("TERM") or "dumb"}})

    def add(self, text: str) -> None:
        """Add what was shown just now. Called with the lock."""
        now = round(time.monotonic() - self._began, 6)
        if (size := self._get_size()) != self._size:
            self._size = size
            self._write([now, "r", f"{size[0]}x{size[1]}"])
        self._write([now, "o", text])

    def close(self) -> None:
        with self.lock:
            file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()

    def _write(self, value: object) -> None:
        if self._file is None:
            return
        length = os.fstat(self._file.fileno()).st_size
        try:
            write_json(self._file, value)
        except OSError as error:
            # What is recorded goes on without. Half a line could not be played.
            self.close()
            with suppress(OSError):
                os.truncate(self._path, length)
            warning = f"Warning: {self._path} is no longer written: {error.strerror}\n"
            write_text(self._warnings, warning)

    def _get_size(self) -> tuple[int, int]:
        if self._screen is not None:
            with suppress(OSError):
                size = os.get_terminal_size(self._screen)
                if size.columns and size.lines:
                    return size.columns, size.lines
        return 80, 24


class _Tee:
    """A text stream of which everything that is shown on it is also recorded."""

    def __init__(self, stream: TextIO, cast: _Cast) -> None:
        self.stream = stream
        self._cast = cast
        self._terminal = stream.fileno() if is_terminal(stream) else None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        #: The end of what was shown, which may be the beginning of a secret.
        self._held = ""
        #: The thread in which a line is being typed.
        self._typing: int | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write, and record."""
        count = self.stream.write(text)
        # What is drawn while a line is edited stands around that, which is not here.
        if self._typing != threading.get_ident():
            self.note_shown(text)
        return count

    def writelines(self, lines: Iterable[str]) -> None:
        """Write, and record."""
        for line in lines:
            self.write(line)

    def note_shown(self, data: str | bytes) -> None:
        """Record what the terminal has shown, though it was not written here."""
        with self._cast.lock:
            text = self._decoder.decode(data) if isinstance(data, bytes) else data
            self._record(self._held + text)

    def read_line(self, read: Callable[[object], str], prompt: object) -> str:
        """Return a line that is typed behind a prompt, and record both."""
        self.note_shown(str(prompt).translate(_READLINE_MARKS))
        self._typing = threading.get_ident()
        try:
            line = read(prompt)
        finally:
            self._typing = None
        self.note_shown(line + "\n")
        return line

    def finish(self) -> None:
        """Record what was held back."""
        with self._cast.lock:
            self._record(self._held, is_all=True)

    def _record(self, text: str, is_all: bool = False) -> None:
        length = len(text) if is_all else secret.count_complete(text)
        shown, self._held = secret.redact(text[:length]), text[length:]
        if shown:
            self._cast.add(shown.replace("\n", "\r\n") if self._ends_lines() else shown)

    def _ends_lines(self) -> bool:
        """Whether the terminal goes to the beginning of the line at each new one."""
        with suppress(termios.error, TypeError):
            modes = termios.tcgetattr(self._terminal)[1]  # type: ignore[arg-type]
            return bool(modes & termios.OPOST and modes & termios.ONLCR)
        return True


def _make_input(read: Callable[..., str]) -> Callable[..., str]:
    """Return an ``input()`` that has recorded what is typed."""

    def input(prompt: object = "", /) -> str:
        # Whatever stands in its place in this thread has what it has.
        tee: Any = sys.stdout
        # Elsewhere, the prompt is written as everything else is, and nothing is typed.
        if hasattr(tee, "note_shown") and is_terminal(sys.stdin) and is_terminal(tee):
            line: str = tee.read_line(read, prompt)
            return line
        return read(prompt)

    return input
