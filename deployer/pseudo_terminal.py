"""A terminal: its streams, its size and raw mode; and a twin without a terminal."""

from __future__ import annotations

import contextlib
import io
import os
import select
import shutil
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO, TypeVar

from .secret import Secret

__all__ = ["DummyPty", "Pty"]

T = TypeVar("T")
R = TypeVar("R")

# Of several threads with a question for the same person, one asks at a time.
_asking = threading.Lock()
# How long an interrupt from another thread may take while a person is asked.
_INTERRUPT_CHECK = 0.2


class Pty:
    """The terminal (or the pair of streams) that somebody works at.

    :param stdin: where answers and keys come from; the process's stdin when not given.
    :param stdout: where output goes; the process's stdout when not given.
    :param stderr: where logs and error output go; the process's stderr when not given, or
        ``stdout`` when only that was given.
    :param interactive: False to treat a real terminal as if there were none, so that nothing
        waits for a person.
    :param term: the terminal type, ``$TERM`` when not given.
    """

    def __init__(
        self,
        stdin: TextIO | None = None,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        interactive: bool = True,
        term: str | None = None,
    ) -> None:
        self._stdin = stdin
        self._stdout = stdout
        self._stderr = stderr if stderr is not None else stdout
        self._interactive = interactive
        self._term = term
        #: Set when what runs in this terminal has to stop: runs on hosts end their command.
        self.interrupted = threading.Event()

    # The process's own streams are looked up at each use, so that they may be redirected.
    @property
    def stdin(self) -> TextIO:
        return self._stdin if self._stdin is not None else sys.stdin

    @property
    def stdout(self) -> TextIO:
        return self._stdout if self._stdout is not None else sys.stdout

    @property
    def stderr(self) -> TextIO:
        return self._stderr if self._stderr is not None else sys.stderr

    @property
    def term(self) -> str:
        """The terminal type, for the other side (``TERM``)."""
        return self._term or os.environ.get("TERM") or "dumb"

    @property
    def is_interactive(self) -> bool:
        """Whether a person sits at it: input and output are both a real terminal."""
        return self._interactive and _is_terminal(self.stdin) and _is_terminal(self.stdout)

    @property
    def can_ask(self) -> bool:
        """Whether there is somebody who can be asked something."""
        return self.is_interactive

    def get_size(self) -> tuple[int, int]:
        """Return ``(rows, columns)``; 24 and 80 (or ``$LINES`` and ``$COLUMNS``) elsewhere."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            size = os.get_terminal_size(self.stdout.fileno())
            if size.lines and size.columns:
                return size.lines, size.columns
        fallback = shutil.get_terminal_size()
        return fallback.lines, fallback.columns

    def check_interrupted(self) -> None:
        """Raise KeyboardInterrupt when what runs in this terminal has to stop."""
        if self.interrupted.is_set():
            raise KeyboardInterrupt

    def write(self, text: str) -> None:
        """Write to stdout and flush, in whatever encoding it has: odd characters never raise."""
        write_text(self.stdout, text)

    def ask_secret(self, question: str, shown: bool = False) -> Secret | None:
        """Ask for a line that nobody is to see, and return it.

        Also in the middle of ``raw_mode``. What was typed before the question is no answer to it.
        Ctrl-C raises KeyboardInterrupt.

        :param shown: show what is typed, as for a code that is good for once.
        :return: None where there is nobody to ask, or at the end of the input (Ctrl-D).
        """
        if not self.is_interactive:
            return None
        with _asking, self._line_mode(shown):
            try:
                self.write(question)
                return self._read_secret()
            finally:
                if not shown:
                    self.write("\n")

    def _read_secret(self) -> Secret | None:
        # Not from the stream: it may have been given more than a line, which it would keep.
        fd = self.stdin.fileno()
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        line = b""
        while not line.endswith(b"\n"):
            while not poll.poll(_INTERRUPT_CHECK * 1000):
                self.check_interrupted()
            data = os.read(fd, 4096)
            if not data:
                return None
            line += data
        encoding = self.stdin.encoding or "utf-8"
        return Secret(line.removesuffix(b"\n").decode(encoding, errors="surrogateescape"))

    @contextlib.contextmanager
    def _line_mode(self, echo: bool) -> Iterator[None]:
        """Have the terminal give whole lines, whatever mode it is in; it is restored at the end."""
        fd = self.stdin.fileno()
        before = termios.tcgetattr(fd)
        lines = [*before]
        lines[0] |= termios.ICRNL
        lines[1] |= termios.OPOST | termios.ONLCR
        lines[3] |= termios.ICANON | termios.ISIG | termios.ECHO | termios.ECHOE | termios.ECHOK
        if not echo:
            lines[3] &= ~(termios.ECHO | termios.ECHONL)
        try:
            termios.tcsetattr(fd, termios.TCSAFLUSH, lines)
            yield
        finally:
            termios.tcsetattr(fd, termios.TCSADRAIN, before)

    @contextlib.contextmanager
    def raw_mode(self) -> Iterator[None]:
        """Pass every key through unchanged; the terminal is restored on the way out."""
        if not self.is_interactive:
            yield
            return
        fd = self.stdin.fileno()
        before = termios.tcgetattr(fd)
        try:
            # Not with TCSAFLUSH, the default: it drops what was typed ahead.
            tty.setraw(fd, termios.TCSADRAIN)
            yield
        finally:
            termios.tcsetattr(fd, termios.TCSADRAIN, before)

    @contextlib.contextmanager
    def resize_events(self) -> Iterator[int | None]:
        """Give a file descriptor that becomes readable whenever the window is resized.

        It is None where that cannot be noticed: away from a terminal, or outside the main thread.
        """
        if not self.is_interactive or threading.current_thread() is not threading.main_thread():
            yield None
            return
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)

        def notice(*_: object) -> None:
            # A full pipe already says what there is to say.
            with contextlib.suppress(BlockingIOError):
                os.write(writer, b"\0")

        before = signal.signal(signal.SIGWINCH, notice)
        try:
            yield reader
        finally:
            # None is a handler that was not installed from Python, and cannot be put back.
            signal.signal(signal.SIGWINCH, signal.SIG_DFL if before is None else before)
            os.close(reader)
            os.close(writer)

    def run_in_auxiliary_ptys(
        self,
        jobs: Sequence[tuple[str, Callable[[Pty], T]]],
        run_all: Callable[[Sequence[Callable[[], T]]], list[R]],
    ) -> list[R]:
        """Give each of the named jobs a Pty of its own, and return what ``run_all`` makes of them.

        This is the seam behind which parallel runs are shown: here, every whole line is written
        to this terminal behind the name of its job. Keyboard input is left to nobody.

        :param jobs: pairs of a name and a callable that takes the Pty.
        :param run_all: runs the callables, at once or one by one.
        """
        lock = threading.Lock()
        width = max((len(name) for name, _ in jobs), default=0)
        ptys = [_PrefixedPty(self, f"{name:<{width}} | ", lock) for name, _ in jobs]

        def job(function: Callable[[Pty], T], pty: _PrefixedPty) -> Callable[[], T]:
            def run() -> T:
                try:
                    return function(pty)
                finally:
                    pty.finish_lines()

            return run

        return run_all([job(function, pty) for (_, function), pty in zip(jobs, ptys, strict=True)])


class DummyPty(Pty):
    """A Pty without a terminal: reads the given input, and keeps what is written to it.

    :param keeps_output: False to drop it.
    """

    def __init__(self, stdin: str = "", keeps_output: bool = True) -> None:
        output = io.StringIO() if keeps_output else _Nowhere()
        super().__init__(io.StringIO(stdin), output, output, interactive=False, term="dumb")
        self._output = output

    def get_size(self) -> tuple[int, int]:
        return 40, 80

    def get_output(self) -> str:
        """Return everything that was written so far."""
        return self._output.getvalue()


class _Nowhere(io.StringIO):
    """A text stream that drops what is written to it."""

    def write(self, text: str) -> int:
        return len(text)


class _PrefixedPty(Pty):
    """Writes whole lines, each behind a prefix, to a terminal that it shares with others."""

    def __init__(self, parent: Pty, prefix: str, lock: threading.Lock) -> None:
        self._lines = [
            _PrefixedLines(stream, prefix, lock) for stream in (parent.stdout, parent.stderr)
        ]
        stdout, stderr = self._lines
        super().__init__(io.StringIO(), stdout, stderr, interactive=False, term="dumb")
        if isinstance(parent, _PrefixedPty):
            # What interrupts a job interrupts the jobs that it started in turn.
            self.interrupted = parent.interrupted
        self._columns = max(parent.get_size()[1] - len(prefix), 20)

    def get_size(self) -> tuple[int, int]:
        return 24, self._columns

    def finish_lines(self) -> None:
        for stream in self._lines:
            stream.finish_line()


class _PrefixedLines(io.StringIO):
    """A text stream that passes on whole lines only, so that those of several never mix."""

    def __init__(self, target: TextIO, prefix: str, lock: threading.Lock) -> None:
        self._target = target
        self._prefix = prefix
        self._lock = lock
        self._unfinished = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._unfinished = (self._unfinished + text).split("\n")
        self._pass_on(lines)
        return len(text)

    def finish_line(self) -> None:
        if self._unfinished:
            self._pass_on([self._unfinished])
            self._unfinished = ""

    def _pass_on(self, lines: list[str]) -> None:
        # Of a line that redraws itself (a progress bar), only the last state is shown.
        shown = (line.rstrip("\r").rpartition("\r")[2] for line in lines)
        block = "".join(f"{self._prefix}{line}\n" for line in shown)
        if block:
            with self._lock:
                write_text(self._target, block)


def write_text(stream: TextIO | None, text: str) -> None:
    """Write to a text stream and flush it; what its encoding lacks is replaced, never an error."""
    if stream is None:
        # What Python has in place of a standard stream that was closed from the start.
        return
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "replace").decode(encoding))
    stream.flush()


def _is_terminal(stream: TextIO) -> bool:
    # A closed stream raises ValueError; under some servers stdin is None.
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False
