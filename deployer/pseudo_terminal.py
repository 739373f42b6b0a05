"""A terminal: its streams, its size and raw mode; and a twin without a terminal."""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, NamedTuple, Protocol, TextIO, TypeVar

from .secret import Secret
from .streams import Nowhere, note_shown, or_nowhere, write_text

__all__ = ["DummyPty", "Presentation", "Pty", "Recorder"]

R = TypeVar("R")

# Of several threads with a question for the same person, one asks at a time.
_asking = threading.RLock()
# How long an interrupt from another thread may take while a person is asked.
_INTERRUPT_CHECK = 0.2


#: What a parallel run is: named jobs, each of which takes the Pty that it is to run in.
Jobs = Sequence[tuple[str, Callable[["Pty"], R]]]
#: What runs such jobs, once each has its Pty.
RunAll = Callable[[Sequence[Callable[[], R]]], list[R]]


class Recorder(Protocol):
    """Keeps the output of jobs."""

    def add(self, name: str, text: str) -> None:
        """Keep what the job of a name wrote."""

    def viewing(self) -> contextlib.AbstractContextManager[None]:
        """Hold as long as a view shows jobs: what it writes itself is not to be kept."""


class Presentation(NamedTuple):
    """How parallel runs are shown at a terminal."""

    #: The name of a way to show them (``'stream'``); None for the one that suits.
    output: str | None = None
    #: A directory that the whole output of each job is kept in.
    directory: str | None = None
    #: Returns the command line that runs the same on some hosts only, where there is one.
    make_rerun: Callable[[str], str] | None = None
    #: Keeps what jobs write, where somebody wants to see it later.
    recorder: Recorder | None = None


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
        #: How parallel runs are shown here.
        self.presentation = Presentation()
        #: Whom questions come from, where several share a person: ``'web1: '``.
        self.asker = ""
        #: Set when what runs in this terminal has to stop: runs on hosts end their command.
        self.interrupted = threading.Event()

    # The process's own streams are looked up at each use, so that they may be redirected.
    @property
    def stdin(self) -> TextIO:
        return self._stdin if self._stdin is not None else sys.stdin

    @property
    def stdout(self) -> TextIO:
        return self._stdout if self._stdout is not None else or_nowhere(sys.stdout)

    @property
    def stderr(self) -> TextIO:
        return self._stderr if self._stderr is not None else or_nowhere(sys.stderr)

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

    @property
    def is_attended(self) -> bool:
        """Whether a person watches this terminal alone: there may be a pager in it."""
        return self.is_interactive

    def get_size(self) -> tuple[int, int]:
        """Return ``(rows, columns)``; 24 and 80 (or ``$LINES`` and ``$COLUMNS``) elsewhere."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            size = os.get_terminal_size(self.stdout.fileno())
            if size.lines and size.columns:
                return size.lines, size.columns
        return _read_number("LINES", 24), _read_number("COLUMNS", 80)

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
        with self._locked_to_ask(), self._line_mode(shown):
            try:
                self.write(question)
                line = self._read_typed_line(shown)
                return None if line is None else Secret(line)
            finally:
                if not shown:
                    self.write("\n")

    @contextlib.contextmanager
    def conversation(self, check: Callable[[], None] | None = None) -> Iterator[Pty]:
        """Give the terminal to ask a person something at, whom nobody else asks meanwhile.

        :param check: raises when whoever waits for that is to stop.
        """
        with self._locked_to_ask(check):
            yield self

    def read_line(self) -> str | None:
        """Return a line that somebody types, without its end; None at the end of the input.

        Ctrl-C ends it, in whatever thread that arrives.
        """
        if self.is_interactive and _is_terminal(self.stdin):
            return self._read_typed_line()
        line = self.stdin.readline()
        return line.removesuffix("\n") if line else None

    @contextlib.contextmanager
    def _locked_to_ask(self, check: Callable[[], None] | None = None) -> Iterator[None]:
        while not _asking.acquire(timeout=_INTERRUPT_CHECK):
            (check or self.check_interrupted)()
        try:
            yield
        finally:
            _asking.release()

    def _read_typed_line(self, is_shown: bool = True) -> str | None:
        # Not from the stream: it may have been given more than a line, which it would keep; and a
        # Ctrl-C that comes just before it waits would not end it.
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
        if is_shown:
            note_shown(self.stdout, line)
        encoding = self.stdin.encoding or "utf-8"
        return line.removesuffix(b"\n").decode(encoding, errors="surrogateescape")

    @contextlib.contextmanager
    def _line_mode(self, echo: bool) -> Iterator[None]:
        """Have the terminal give whole lines, whatever mode it is in; it is restored at the end."""
        fd = self.stdin.fileno()
        lines = termios.tcgetattr(fd)
        lines[0] |= termios.ICRNL
        lines[1] |= termios.OPOST | termios.ONLCR
        lines[3] |= termios.ICANON | termios.ISIG | termios.ECHO | termios.ECHOE | termios.ECHOK
        if not echo:
            lines[3] &= ~(termios.ECHO | termios.ECHONL)
        with terminal_restored(fd):
            termios.tcsetattr(fd, termios.TCSAFLUSH, lines)
            yield

    @contextlib.contextmanager
    def raw_mode(self) -> Iterator[None]:
        """Pass every key through unchanged; see ``terminal_restored`` for the way out."""
        # Not with TCSAFLUSH, the default: it drops what was typed ahead.
        with self._terminal_mode(lambda fd: tty.setraw(fd, termios.TCSADRAIN)):
            yield

    @contextlib.contextmanager
    def _terminal_mode(self, set_mode: Callable[[int], object]) -> Iterator[None]:
        if not self.is_interactive:
            yield
            return
        fd = self.stdin.fileno()
        with terminal_restored(fd, self._show_cursor):
            set_mode(fd)
            yield

    def _show_cursor(self) -> None:
        # What is drawn in such a mode may have hidden it. The stream may be in the middle of a
        # write, and would not take another one.
        os.write(self.stdout.fileno(), b"\x1b[0m\x1b[?25h")

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

        import faulthandler
        import signal

        # Readline has a handler of its own, which ``signal.signal`` cannot put back: from then on,
        # lines would be typed in a window of the old size. This one writes where somebody is, to
        # the pipe, which is as good as anything; and it leaves the handler before it as it was.
        faulthandler.register(signal.SIGWINCH, file=writer, all_threads=False, chain=True)
        try:
            yield reader
        finally:
            faulthandler.unregister(signal.SIGWINCH)
            os.close(reader)
            os.close(writer)

    @contextlib.contextmanager
    def cbreak_mode(self) -> Iterator[None]:
        """Pass each key on at once, unseen; Ctrl-C works. The terminal is restored afterwards."""
        with self._terminal_mode(lambda fd: tty.setcbreak(fd, termios.TCSADRAIN)):
            yield

    def run_in_auxiliary_ptys(
        self,
        jobs: Jobs[R],
        run_all: RunAll[R],
        show: Callable[[Pty, Jobs[R], RunAll[R]], list[R]],
    ) -> list[R]:
        """Give each of the named jobs a Pty of its own, and return what ``run_all`` makes of them.

        This is the seam behind which parallel runs are shown.

        :param jobs: pairs of a name and a callable that takes the Pty.
        :param run_all: runs the callables, at once or one by one.
        :param show: does it in the way that ``presentation`` names.
        """
        return show(self, jobs, run_all)


class DummyPty(Pty):
    """A Pty without a terminal, which keeps what is written to it. Nobody is asked at it.

    :param stdin: what the first interactive command reads.
    :param keeps_output: False to drop it.
    """

    def __init__(self, stdin: str = "", keeps_output: bool = True) -> None:
        output = io.StringIO() if keeps_output else Nowhere()
        super().__init__(io.StringIO(stdin), output, output, interactive=False, term="dumb")
        self._output = output

    def get_size(self) -> tuple[int, int]:
        return 40, 80

    def get_output(self) -> str:
        """Return everything that was written so far."""
        return self._output.getvalue()


@contextlib.contextmanager
def terminal_restored(
    fd: int,
    reset: Callable[[], object] = lambda: None,
    signals: Sequence[str] = ("SIGTERM", "SIGHUP", "SIGQUIT"),
) -> Iterator[None]:
    """Give a terminal its present mode again at the end of the block, however that comes.

    Also a signal that ends the process does, which would run no ``finally``; but only in the main
    thread, since no other one may have it otherwise. The process still ends by that signal, or as
    the handler that was there before has it.

    :param reset: what else has to be done before a signal ends the process.
    :param signals: those that do.
    """
    import signal

    before = termios.tcgetattr(fd)
    handlers: dict[int, Any] = {}

    def end(number: int, frame: FrameType | None) -> None:
        within = exchange_mode(fd, before)
        with contextlib.suppress(OSError):
            reset()
        if callable(handlers[number]):
            handlers[number](number, frame)
            # It had another use for the signal.
            exchange_mode(fd, within)
        else:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    if threading.current_thread() is threading.main_thread():
        for name in signals:
            number = getattr(signal, name)
            handler = signal.getsignal(number)
            # Whoever ignores it, as nohup does, is not ended; None was not installed from Python.
            if handler not in (signal.SIG_IGN, None):
                handlers[number] = handler
                signal.signal(number, end)
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):
            termios.tcsetattr(fd, termios.TCSADRAIN, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def exchange_mode(fd: int, mode: list[Any]) -> list[Any]:
    """Set the mode of a terminal at once, and return the one that it had."""
    # One that has hung up has no mode any more.
    with contextlib.suppress(termios.error):
        earlier = termios.tcgetattr(fd)
        # TCSADRAIN would wait until somebody reads its output, who may be gone.
        termios.tcsetattr(fd, termios.TCSANOW, mode)
        return earlier
    return mode


def _is_terminal(stream: TextIO) -> bool:
    # A closed stream raises ValueError; under some servers stdin is None.
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False


def _read_number(name: str, default: int) -> int:
    """Return a number that is in the environment, or the default when there is none."""
    text = os.environ.get(name, "")
    return int(text) if text.isdecimal() and int(text) else default
