"""One JSON object for an action, whatever it runs, on however many hosts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from ...failures import leaf_errors
from ...pseudo_terminal import Jobs, Presentation, Pty, R, RunAll
from .cells import Cell, Kind, Status, get_status
from .job_pty import JobPty, StreamsPty
from .log_files import LogFiles
from .machine import (
    MachineView,
    describe_error,
    describe_host,
    make_serialisable,
    sum_up_status,
)
from .view import View, show_in

__all__ = ["ActionJsonView"]


class ActionJsonView(MachineView):
    """Writes one object: ``path``, ``action``, ``status``, ``duration``, ``result`` and ``hosts``.

    There is also ``error``; and ``stdout`` and ``stderr``, for what the action wrote of no host.
    Its only job is the action, under the name of the host that it runs on, or under none. The other
    hosts are those of what it runs in parallel.
    """

    def __init__(
        self, pty: Pty, names: Sequence[str], title: str = "", *, path: str = "", action: str = ""
    ) -> None:
        super().__init__(pty, names, title)
        self._what = {"path": path, "action": action}
        (self._own,) = self.cells
        #: What ran in parallel within the action.
        self.others: list[Cell] = []
        if not self._own.name:
            # Whose output is kept in files are hosts.
            self._logs = LogFiles(None, pty)

    @contextlib.contextmanager
    def terminal_of(self, cell: Cell) -> Iterator[JobPty]:
        """Give the action a terminal that keeps what it runs in parallel."""
        yield _ActionPty(self, cell)

    def finish(self) -> None:
        """Write the object."""
        own = self._own
        groups: dict[str, list[Cell]] = {}
        for cell in (*self._get_own_part(), *self.others):
            groups.setdefault(cell.name, []).append(cell)
        result = own.outcome.result if own.outcome is not None else None
        self._write(
            {
                **self._what,
                "status": self._get_status(),
                "started": self._begun,
                "duration": round(own.seconds, 3),
                "result": make_serialisable(result),
                "error": describe_error(own.error),
                "stdout": "" if own.name else own.get_text(Kind.STDOUT),
                "stderr": "" if own.name else own.get_text(Kind.STDERR),
                "hosts": [describe_host(cells) for cells in groups.values()],
            }
        )

    def _get_status(self) -> str:
        if own_error := self._own.error:
            failed = [get_status(error) for error in leaf_errors(own_error)]
            done = [cell.status for cell in self.others if cell.status is Status.OK]
            return sum_up_status([*failed, *done])
        return self._own.status.value

    def _get_own_part(self) -> list[Cell]:
        """Return what the action ran on its own host, as a cell, if it did that."""
        own = self._own
        if not own.name:
            return []
        elsewhere = {
            id(leaf) for cell in self.others if cell.error for leaf in leaf_errors(cell.error)
        }
        if own.error and all(id(leaf) in elsewhere for leaf in leaf_errors(own.error)):
            own = replace(own, status=Status.OK, outcome=None)
        has_run = own.pieces or own.status is not Status.OK
        return [own] if has_run or not self.others else []


class _ActionPty(StreamsPty):
    """The terminal of the action."""

    def __init__(self, view: ActionJsonView, cell: Cell) -> None:
        super().__init__(view, cell)
        self.report = view
        self.presentation = Presentation(directory=view.pty.presentation.directory)

    def run_in_auxiliary_ptys(
        self,
        jobs: Jobs[R],
        run_all: RunAll[R],
        show: Callable[[Pty, Jobs[R], RunAll[R]], list[R]],
    ) -> list[R]:
        """Run the jobs, and keep what they write for the object of the action."""
        return show_in(_PartView, self, jobs, run_all)  # type: ignore[arg-type, return-value]


class _PartView(View):
    """Shows nothing: its cells are shown with the action."""

    shows_results = True

    def __init__(self, pty: _ActionPty, names: Sequence[str], title: str = "") -> None:
        super().__init__(pty, names, title)
        self._report = pty.report

    def finish(self) -> None:
        """Hand over what became of the jobs."""
        with self._report.lock:
            self._report.others += self.cells
