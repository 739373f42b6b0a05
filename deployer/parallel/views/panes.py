"""A pane of tmux for each job: a real terminal, with a keyboard and a size of its own."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

from ...exceptions import ExecCommandFailed, JobStopped
from ...failures import describe_failure, leaf_errors
from ...pseudo_terminal import Pty
from ...secret import Secret
from ...streams import write_text
from ...utils.colours import paint, shows_colours
from ..jobs import Outcome
from . import pane_client
from .cells import Cell, Kind
from .job_pty import JobPty, StreamsPty
from .pane_server import Pane, PaneServer
from .report import describe_cell_failure, show_recap
from .stream import StreamView
from .terminal_pty import RESET_SCREEN
from .tmux import Place, TmuxFailed, Window, Windows, printable
from .view import Function, View

__all__ = ["PanePty", "PanesView"]

# Seconds until a pane that does not come is done without.
_PATIENCE = 10.0
# How often is looked whether one that has not come yet was closed.
_LOOK = 0.5
# Seconds for which whoever has answered a question is thought to see the next one.
_ATTENTION = 10.0
# Fails where a client could not hand its terminal over.
_TRIAL = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
# How often somebody who waits for the keyboard looks whether to stop.
_INTERRUPT_CHECK = 0.2


class PanePty(JobPty):
    """A pane, whose terminal is used from here like any other one.

    :param notice: is called when a person is asked something in it, who may look elsewhere.
    """

    def __init__(self, view: View, cell: Cell, pane: Pane, notice: Callable[[], None]) -> None:
        assert pane.terminal is not None
        self._pane = pane
        self._notice = notice
        self._keyboard = threading.RLock()
        self._is_asking = False
        self._attended_until = 0.0
        self._screens = [_PaneStream(pane.terminal, view, cell, kind) for kind in Kind]
        stdin = open(  # noqa: SIM115 - closed by `close`
            pane.terminal, encoding="utf-8", errors="surrogateescape", closefd=False
        )
        stdout, stderr, log = self._screens
        super().__init__(view, cell, (stdin, stdout, stderr), log, pane.term or None)
        self.interrupted = pane.interrupted
        # Also for those who list panes; programs may change it.
        stdout.show(f"\x1b]2;{printable(cell.name)}\x1b\\")

    # As long as the pane is there; a terminal that has hung up stops the job.
    @property
    def is_interactive(self) -> bool:
        return True

    @property
    def can_ask(self) -> bool:
        return True

    @property
    def is_attended(self) -> bool:
        return True

    @property
    def was_stopped(self) -> bool:
        """Whether the person in front of it has stopped the job: with Ctrl-C, or by closing it."""
        return self._pane.was_stopped or self.was_closed

    @property
    def stays(self) -> bool:
        """Whether the pane is left to the person."""
        return self._pane.stays

    @property
    def was_closed(self) -> bool:
        """Whether there is no pane any more."""
        return self._pane.has_hung_up

    @contextlib.contextmanager
    def conversation(self, check: Callable[[], None] | None = None) -> Iterator[Pty]:
        with self._locked_to_ask(check):
            yield self

    def ask_secret(self, question: str, shown: bool = False) -> Secret | None:
        return Pty.ask_secret(self, question, shown)

    def read_line(self) -> str | None:
        with self._line_mode(echo=True):
            return self._read_typed_line()

    @contextlib.contextmanager
    def _locked_to_ask(self, check: Callable[[], None] | None = None) -> Iterator[None]:
        # Whoever asks in another pane is not in the way; what runs in this one in turn is.
        check = check or self.check_interrupted
        check()
        while not self._keyboard.acquire(timeout=_INTERRUPT_CHECK):
            check()
        was_asking, self._is_asking = self._is_asking, True
        try:
            if not was_asking and time.monotonic() >= self._attended_until:
                self._notice()
            yield
        finally:
            self._is_asking = was_asking
            self._attended_until = time.monotonic() + _ATTENTION
            self._keyboard.release()

    @contextlib.contextmanager
    def resize_events(self) -> Iterator[int | None]:
        yield self._pane.resized.fileno()

    def show_failure(self, error: BaseException) -> None:
        """Say why the job has failed, and let the person close the pane."""
        text = describe_failure(error, with_output=not _was_shown(error))
        painted = paint(text, "red", enabled=shows_colours(self.stdout))
        self._screens[0].show(f"{RESET_SCREEN}{painted}\n")
        self._pane.keep_open()

    def close(self) -> None:
        """Leave the terminal."""
        for stream in (self.stdin, *self._screens):
            with contextlib.suppress(OSError):
                stream.close()


class _PaneStream(io.TextIOWrapper):
    """Writes to a pane, and passes on to its view what is written."""

    def __init__(self, fd: int, view: View, cell: Cell, kind: Kind) -> None:
        file = open(fd, "wb", closefd=False)  # noqa: SIM115 - closed with this stream
        super().__init__(file, encoding="utf-8", errors="replace")
        self._view = view
        self._cell = cell
        self._kind = kind

    def write(self, text: str) -> int:
        self._view.write(self._cell, self._kind, text)
        self.show(text)
        return len(text)

    def show(self, text: str) -> None:
        """Write to the pane only."""
        # Of a pane that was closed, the job is about to be stopped.
        with contextlib.suppress(OSError):
            super().write(text)
            super().flush()

    def flush(self) -> None:
        """Do nothing: all is written at once."""


class PanesView(StreamView):
    """Opens a pane for each job, beside the window in use, where a line tells of each end.

    A pane is closed when its job is done; when that has failed, the person does so. For those
    that get no pane, all is shown as in the stream view.
    """

    keeps_output: ClassVar[bool] = False

    def __init__(self, pty: Pty, names: Sequence[str], title: str = "") -> None:
        super().__init__(pty, names, title)
        self.shows_errors = True
        self._windows = Windows(title)
        self._windows_told: set[Window] = set()
        self._server: PaneServer | None = None
        # Held while a pane is opened, or noted as closed.
        self._turns = threading.Condition()
        self._next = 0
        self._is_given_up = False
        # Those that have, or had, a pane; and where those are that are left to the person.
        self._in_panes: set[Cell] = set()
        self._staying: dict[Cell, str] = {}
        # Those whose panes were closed before anything was run in them.
        self._closed: dict[Cell, JobStopped] = {}

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            try:
                self._server = PaneServer()
                stack.callback(self._server.close)
            except OSError as error:
                self._give_up(f"there is no socket for them: {error.strerror or error}")
            yield

    @contextlib.contextmanager
    def terminal_of(self, cell: Cell) -> Iterator[JobPty]:
        with contextlib.ExitStack() as stack:
            opened = None
            if self._server is not None and not self._is_given_up:
                try:
                    opened = stack.enter_context(self._open_pane(self._server, cell))
                except JobStopped as error:
                    self._closed[cell] = error
                except (TmuxFailed, OSError) as error:
                    self._give_up(str(error))
            if opened is None:
                yield StreamsPty(self, cell)
                return
            pane, place = opened

            def tell_of_question() -> None:
                self._tell(f"{cell.name}  has a question{self._where(place)}")

            pty = PanePty(self, cell, pane, tell_of_question)
            stack.callback(pty.close)
            yield pty
            if pty.stays:
                self._staying[cell] = self._where(place)

    def run_job(self, cell: Cell, function: Function) -> Outcome[object]:
        def run_in(pty: Pty) -> Outcome[object]:
            if cell in self._closed:
                return Outcome(cell.name, error=self._closed[cell], duration=cell.seconds)
            return _run_in_pane(pty, cell, function) if isinstance(pty, PanePty) else function(pty)

        return super().run_job(cell, run_in)

    def wrote(self, cell: Cell, kind: Kind, text: str) -> None:
        if cell not in self._in_panes:
            super().wrote(cell, kind, text)

    def ended(self, cell: Cell) -> None:
        self.write_rest(cell)
        (line,) = show_recap([cell], shows_colours(self.pty.stderr))
        if cell in self._staying:
            line += f"  (its pane stays{self._staying[cell]})"
        lines = [line]
        if cell not in self._in_panes:
            lines += describe_cell_failure(cell)
        self._tell(*lines)

    def finish(self) -> None:
        for cell in self.cells:
            self.write_rest(cell)
        enabled = shows_colours(self.pty.stderr)
        lines = show_recap(self.cells, enabled, self.pty.presentation.make_rerun)
        # When a single one has ended, that was told.
        is_told = len(self.cells) == 1 and self.cells[0].outcome is not None
        self._tell(*lines[is_told:])

    @contextlib.contextmanager
    def _open_pane(self, server: PaneServer, cell: Cell) -> Iterator[tuple[Pane, Place]]:
        """Give a pane whose terminal is there.

        :raises TmuxFailed: when there is none.
        :raises JobStopped: when somebody has closed it by now.
        """
        with server.expect() as pane:
            client = [sys.executable, "-I", "-S", pane_client.__file__, server.path, pane.token]
            with self._turn_of(cell):
                if self._is_given_up:
                    raise TmuxFailed("others have got none")
                place = self._windows.open_pane(cell.name, client)
                is_new = place.window not in self._windows_told
                self._windows_told.add(place.window)
            try:
                if is_new:
                    self._tell(f"tmux window {place.window.index}: {self.title}")
                self._wait_for_terminal(server, cell, pane, place)
                self._in_panes.add(cell)
                yield pane, place
            finally:
                if not pane.stays:
                    with self._turns:
                        self._windows.note_closed(place)

    def _wait_for_terminal(self, server: PaneServer, cell: Cell, pane: Pane, place: Place) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not pane.wait_for_terminal(_LOOK):
            if not pane.was_stopped and self._windows.find(place):
                if time.monotonic() < deadline:
                    continue
                self._windows.close_pane(place)
                raise TmuxFailed(f"{cell.name}: the pane has not begun in {_PATIENCE:.0f} s")
            # Either somebody has closed it, or clients cannot be run there.
            trial = [sys.executable, "-I", "-S", "-c", _TRIAL, server.path]
            if not pane.was_stopped and not self._windows.can_run(trial):
                reason = f"{sys.executable} cannot be run in them, or not connect to {server.path}"
                raise TmuxFailed(reason)
            self._in_panes.add(cell)
            raise JobStopped(f"{cell.name}: stopped, its pane was closed")

    def _where(self, place: Place) -> str:
        """Say in which window a pane is now: somebody may have moved it."""
        index = self._windows.find(place)
        return f", in tmux window {index}" if index else ""

    @contextlib.contextmanager
    def _turn_of(self, cell: Cell) -> Iterator[None]:
        """Open panes in the order of the jobs, which are begun in that order, but at once."""
        with self._turns:
            self._turns.wait_for(lambda: cell.number <= self._next or self._is_given_up, _PATIENCE)
            try:
                yield
            finally:
                self._next = max(self._next, cell.number + 1)
                self._turns.notify_all()

    def _give_up(self, reason: str) -> None:
        """Do without panes from here on."""
        with self._turns:
            was_given_up, self._is_given_up = self._is_given_up, True
            self._turns.notify_all()
        if not was_given_up:
            self._tell(f"Warning: not all of it is in panes of tmux: {reason}")

    def _tell(self, *lines: str) -> None:
        with self.lock, self.printing_outside():
            write_text(self.pty.stderr, "".join(f"{line}\n" for line in lines))


def _run_in_pane(pty: PanePty, cell: Cell, function: Function) -> Outcome[object]:
    """Run a job, and say in its pane why it has failed, unless a person has stopped it there."""
    cause: BaseException
    try:
        if pty.was_stopped:
            raise KeyboardInterrupt
        outcome = function(pty)
    except KeyboardInterrupt as error:
        if not pty.was_stopped:
            raise
        cause = error
    else:
        if outcome.error is None:
            return outcome
        if not pty.was_closed:
            pty.show_failure(outcome.error)
            return outcome
        # Nothing can be read or written there any more, which has become of one kind of error
        # or another.
        cause = outcome.error
    how = "its pane was closed" if pty.was_closed else "with Ctrl-C in its pane"
    stopped = JobStopped(f"{cell.name}: stopped, {how}")
    stopped.__cause__ = cause
    return Outcome(cell.name, error=stopped, duration=cell.seconds)


def _was_shown(error: BaseException) -> bool:
    """Whether the output of the commands that failed is on the screen already."""
    failed = (leaf for leaf in leaf_errors(error) if isinstance(leaf, ExecCommandFailed))
    return all(leaf.result.was_shown for leaf in failed)
