"""What all ways of showing a parallel run share: cells, their output, and what becomes of it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from ... import printing
from ...pseudo_terminal import Pty
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
            self.wrote(cell, kind, text)

    def run_job(self, cell: Cell, function: Function) -> Outcome[Any]:
        """Run a job in the terminal that it gets."""
        with self.lock, self.printing_outside():
            cell.begin()
            self._logs.begin(cell.name)
            self.started(cell)
        with self.terminal_of(cell) as pty, printing.printing_to(pty.destination):
            outcome = function(pty)
        outcome = replace(
            outcome,
            error_was_shown=self.shows_errors,
            result_was_shown=self.shows_results,
        )
        with self.lock, self.printing_outside():
            cell.end(outcome)
            self.ended(cell)
        return outcome

    def close(self) -> None:
        """Show how it all ended."""
        with self.lock:
            for cell in self.cells:
                cell.leave()
            self.finish()

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
            except Interrupted as interrupted:
                interrupted.was_shown = view.shows_errors
                raise
            finally:
                view.close()
        finally:
            view.close_logs()
    return outcomes
