"""What all ways of showing a parallel run share: cells, their output, and what becomes of it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from ... import printing
from ...exceptions import DeployerException
from ...pseudo_terminal import Pty
from ...streams import stopping_to_wait
from ..jobs import Interrupted, Outcome
from .cells import Cell, Kind
from .job_pty import JobPty, StreamsPty
from .log_files import LogFiles

__all__ = ["View", "show_in"]

Function = Callable[[Pty], Outcome[Any]]


class View:
    """A way to show a parallel run. Subclasses override what they do something about.

    The hooks are called with ``lock`` held, from the threads of the jobs.

    :param pty: the terminal to show it at.
    :param names: the names of the jobs.
    :param title: what runs.
    """

    #: Whether the cells keep what they wrote.
    keeps_output: ClassVar[bool] = True
    #: Whether the errors of jobs are shown, so that nobody else has to.
    shows_errors: bool = True
    #: Whether their results are.
    shows_results: ClassVar[bool] = False

    def __init__(self, pty: Pty, names: Sequence[str], title: str = "") -> None:
        self.pty = pty
        self.title = title
        self.cells = [Cell(number, name) for number, name in enumerate(names)]
        self.lock = threading.RLock()
        self._logs = LogFiles(pty.presentation.directory, pty)
        self._recorder = pty.presentation.recorder
        #: How many columns of the terminal are taken by what stands beside the output.
        self.margin = 0
        self._destination = printing.get_destination()
        # Those of the jobs that are under way.
        self._ptys: list[Pty] = []
        # Whether the run is over, or why nothing can be written any more.
        self._has_ended = False
        self._broken_by: OSError | KeyboardInterrupt | None = None

    # What happens.

    def started(self, cell: Cell) -> None:
        """A job was begun."""

    def wrote(self, cell: Cell, kind: Kind, text: str) -> None:
        """A job wrote something."""

    def ended(self, cell: Cell) -> None:
        """A job has ended."""

    def finish(self) -> None:
        """All jobs have ended, or were stopped."""

    # What is needed.

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Hold what it takes to show the run while it is under way."""
        yield

    @contextlib.contextmanager
    def terminal_of(self, cell: Cell) -> Iterator[JobPty]:
        """Give a job the terminal to run in."""
        yield StreamsPty(self, cell)

    @contextlib.contextmanager
    def conversation(self, check: Callable[[], None]) -> Iterator[Pty]:
        """Give the terminal that all share to a job that has a question.

        :param check: raises when the job is to stop.
        """
        with self.printing_outside(), self.pty.conversation(check) as pty:
            yield pty

    @contextlib.contextmanager
    def printing_outside(self) -> Iterator[None]:
        """Write where whoever began the run does, also in the thread of a job."""
        with printing.printing_to(self._destination):
            yield

    # What calls these.

    def write(self, cell: Cell, kind: Kind, text: str) -> None:
        """Take what a job wrote."""
        with self.lock, self.printing_outside():
            if self.keeps_output:
                cell.pieces.append((kind, text))
            self._logs.write(cell.name, text)
            if self._recorder is not None:
                self._recorder.add(cell.name, text)
            self._show(self.wrote, cell, kind, text)

    def run_job(self, cell: Cell, function: Function) -> Outcome[Any]:
        """Run a job in the terminal that it gets."""
        with stopping_to_wait(self._check_interrupted):
            return self._run_job(cell, function)

    def _run_job(self, cell: Cell, function: Function) -> Outcome[Any]:
        with self.lock, self.printing_outside():
            cell.begin()
            self._logs.begin(cell.name)
            self._show(self.started, cell)
        with self.terminal_of(cell) as pty, printing.printing_to(pty.destination):
            self._ptys.append(pty)
            outcome = function(pty)
        outcome = replace(
            outcome,
            error_was_shown=self.shows_errors,
            result_was_shown=self.shows_results,
        )
        with self.lock, self.printing_outside():
            cell.end(outcome)
            self._logs.end(cell.name)
            self._show(self.ended, cell)
        self._ptys.remove(pty)
        return outcome

    def _show(self, hook: Callable[..., None], *arguments: Any) -> None:
        """Call a hook from a job, which is interrupted if nothing can be written any more.

        Then nothing more is shown: what jobs write to clean up is no error.
        """
        if self._has_ended or self._broken_by is not None:
            return
        try:
            hook(*arguments)
        except OSError as error:
            self._broken_by = error
            raise KeyboardInterrupt from error
        except KeyboardInterrupt as interrupt:
            self._broken_by = interrupt
            raise

    def _check_interrupted(self) -> None:
        """Raise KeyboardInterrupt in a job that waits for a reader, once jobs have to stop."""
        if any(pty.interrupted.is_set() for pty in self._ptys):
            raise KeyboardInterrupt

    def close(self) -> None:
        """Show how it all ended, unless nothing can be written any more."""
        with self.lock:
            self._has_ended = True
            for cell in self.cells:
                cell.leave()
            if self._broken_by is not None:
                return
            try:
                self.finish()
            except OSError as error:
                self._broken_by = error

    @property
    def can_write(self) -> bool:
        """Whether nothing has kept the view from being written so far."""
        return self._broken_by is None

    def check_written(self, what_happened: str = "") -> None:
        """Raise what has kept the view from being written: of a reader who is gone, as it is.

        :param what_happened: to the jobs meanwhile.
        """
        match self._broken_by:
            case BrokenPipeError() as error:
                raise error
            case OSError() as error:
                told = f" ({what_happened})" if what_happened else ""
                raise DeployerException(
                    f"the output cannot be written: {error.strerror or error}{told}"
                ) from error

    def recording(self) -> contextlib.AbstractContextManager[None]:
        """Hold while the view shows something, for who keeps the output of jobs."""
        return contextlib.nullcontext() if self._recorder is None else self._recorder.viewing()

    def close_logs(self) -> None:
        """Close the files that the output is kept in."""
        self._logs.close()


def show_in(
    kind: Callable[[Pty, Sequence[str], str], View],
    pty: Pty,
    jobs: Sequence[tuple[str, Function]],
    run_all: Callable[[Sequence[Callable[[], Outcome[Any]]]], list[Outcome[Any]]],
    title: str = "",
) -> list[Outcome[Any]]:
    """Run jobs, show them in a view, and return what became of them."""
    view = kind(pty, [name for name, _ in jobs], title)
    functions = [
        partial(view.run_job, cell, function)
        for cell, (_, function) in zip(view.cells, jobs, strict=True)
    ]
    with view.recording():
        try:
            try:
                with printing.by_thread(), view.running():
                    outcomes = run_all(functions)
            except KeyboardInterrupt as interrupted:
                view.check_written(str(interrupted))
                if isinstance(interrupted, Interrupted):
                    interrupted.was_shown = view.shows_errors and view.can_write
                raise
            finally:
                view.close()
        finally:
            view.close_logs()
    view.check_written()
    return outcomes
