"""JSON for an action, whatever it runs, on however many hosts: an object, or one for each event."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeGuard

from ...exceptions import ConnectionFailedException, ExecCommandFailed
from ...failures import leaf_errors
from ...pseudo_terminal import Jobs, Presentation, Pty, R, RunAll
from ..jobs import Outcome
from .cells import Cell, Kind, Status, get_status
from .job_pty import JobPty, StreamsPty
from .log_files import LogFiles
from .machine import (
    JsonLinesView,
    MachineView,
    count_by_status,
    describe_error,
    describe_host,
    make_serialisable,
    sum_up_host,
    sum_up_status,
)
from .view import View, show_in

if TYPE_CHECKING:
    from ...loggers.hosts_seen import HostSeen, HostsSeen

__all__ = ["ActionJsonLinesView", "ActionJsonView"]


class ActionJsonView(MachineView):
    """Writes one object: ``path``, ``action``, ``status``, ``duration``, ``result`` and ``hosts``.

    There is also ``error``; and ``stdout`` and ``stderr``, for what the action wrote of no host.
    Its only job is the action, under the name of the host that it runs on, or under none. The other
    hosts are those of what it runs in parallel, and all others that it does something on.

    :param seen: sees what the action does.
    """

    def __init__(
        self,
        pty: Pty,
        names: Sequence[str],
        title: str = "",
        *,
        path: str = "",
        action: str = "",
        seen: HostsSeen,
    ) -> None:
        super().__init__(pty, names, title)
        self._what = {"path": path, "action": action}
        self._seen = seen
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
        own, alone = self._own, self._find_alone()
        groups = self._group(self._get_own_part(alone), alone)
        self._write(
            {
                **self._sum_up(),
                "stdout": "" if own.name else own.get_text(Kind.STDOUT),
                "stderr": "" if own.name else own.get_text(Kind.STDERR),
                "hosts": [describe_host(cells) for cells in groups],
            }
        )

    def make_part(self, pty: Pty, names: Sequence[str], title: str = "") -> View:
        """Return what shows what the action runs in parallel, in its terminal."""
        return _PartView(self, pty, names, title)

    def _sum_up(self) -> dict[str, Any]:
        own = self._own
        return {
            **self._what,
            "status": self._get_status(),
            "started": self._begun,
            "duration": round(own.seconds, 3),
            "result": make_serialisable(own.outcome.result if own.outcome is not None else None),
            "error": describe_error(own.error),
        }

    def _get_status(self) -> str:
        if own_error := self._own.error:
            failed = [get_status(error) for error in leaf_errors(own_error)]
            done = [cell.status for cell in self.others if cell.status is Status.OK]
            return sum_up_status([*failed, *done])
        return self._own.status.value

    def _group(self, own: Sequence[Cell], alone: Sequence[Cell]) -> list[list[Cell]]:
        """Return all that ran, by host."""
        groups: dict[str, list[Cell]] = {}
        for cell in (*own, *self.others, *alone):
            groups.setdefault(cell.name, []).append(cell)
        return [*groups.values()]

    def _find_alone(self) -> list[Cell]:
        """Return what was done on other hosts, each by itself, as cells without output.

        What was printed there went where the action prints.
        """
        told = _find_leaves(self.others)
        untold = [leaf for key, leaf in _find_leaves([self._own]).items() if key not in told]
        cells = [self._own, *self.others]
        # A cell of nested arrays is named by several hosts; those of one slug, by their class too.
        known = {slug for cell in cells for slug in (cell.name, *re.split(r"/| \(", cell.name))}
        alone = []
        for host, seen in self._seen.hosts.items():
            if host not in known:
                alone.append(_make_cell(host, seen, [*untold, *told.values()]))
            elif host != self._own.name and any(_is_of_host(leaf, host, seen) for leaf in untold):
                # How long that took is not known: the time is that of its cells, too.
                alone.append(replace(_make_cell(host, seen, untold), duration=None))
        return alone

    def _get_own_part(self, alone: Sequence[Cell]) -> list[Cell]:
        """Return what the action ran on its own host, as a cell, if it did that."""
        own = self._own
        if not own.name:
            return []
        others = [*self.others, *alone]
        elsewhere = _find_leaves(others)
        if own.error and all(id(leaf) in elsewhere for leaf in leaf_errors(own.error)):
            own = replace(own, status=Status.OK, outcome=None)
        has_run = own.pieces or own.status is not Status.OK
        return [own] if has_run or not others else []


def _find_leaves(cells: Iterable[Cell]) -> dict[int, BaseException]:
    """Return what went wrong in cells by its identity: two errors may well be equal."""
    return {id(leaf): leaf for cell in cells if cell.error for leaf in leaf_errors(cell.error)}


def _make_cell(host: str, seen: HostSeen, leaves: Sequence[BaseException]) -> Cell:
    """Return what was done on a host as a cell, which has failed with one of the errors, or not."""
    cell = Cell(0, host)
    last = seen.last
    error = next((leaf for leaf in leaves if _is_of_host(leaf, host, seen)), None)
    if error is None and isinstance(last.error, ConnectionFailedException):
        error = last.error
    if last.duration is None or isinstance(last.error, KeyboardInterrupt):
        cell.status, cell.duration = Status.STOPPED, seen.seconds
    else:
        cell.end(Outcome(host, error=error, duration=seen.seconds))
    return cell


def _is_of_host(error: BaseException, host: str, seen: HostSeen) -> TypeGuard[Exception]:
    if isinstance(error, ExecCommandFailed):
        return error.host == host
    return isinstance(error, Exception) and error is seen.error


class ActionJsonLinesView(ActionJsonView, JsonLinesView):
    """Writes an event for each thing that happens on a host, and the ``summary`` of the action.

    What the action itself writes of no host is ``output``, too, of a host without a name.
    """

    def started(self, cell: Cell) -> None:
        """Say so, if it is a host's."""
        if cell.name:
            super().started(cell)

    def finish(self) -> None:
        """Write what is left, and the summary."""
        own = self._own
        if own.outcome is None:
            self.ended(own)
        groups = self._group([own] if own.name else [], self._find_alone())
        hosts = count_by_status(map(sum_up_host, groups))
        self._write({"event": "summary", **self._sum_up(), "hosts": hosts})

    def make_part(self, pty: Pty, names: Sequence[str], title: str = "") -> View:
        """Return what writes the events of what the action runs in parallel."""
        return _LinesPartView(self, pty, names, title)

    def _event(self, event: str, cell: Cell, more: Mapping[str, Any]) -> None:
        # What became of the action is in the summary.
        if cell.name or event != "end":
            super()._event(event, cell, more)


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
        """Run the jobs, and have what they write shown with the action."""
        return show_in(self.report.make_part, self, jobs, run_all)  # type: ignore[arg-type, return-value]


class _PartView(View):
    """Shows nothing: its cells are shown with the action."""

    shows_results = True

    def __init__(
        self, report: ActionJsonView, pty: Pty, names: Sequence[str], title: str = ""
    ) -> None:
        super().__init__(pty, names, title)
        self._report = report

    def finish(self) -> None:
        """Hand over what became of the jobs."""
        with self._report.lock:
            self._report.others += self.cells


class _LinesPartView(JsonLinesView):
    """Writes the events of its cells where those of the action are written."""

    def __init__(
        self, report: ActionJsonView, pty: Pty, names: Sequence[str], title: str = ""
    ) -> None:
        super().__init__(pty, names, title)
        self._report = report

    def finish(self) -> None:
        """Hand over what became of the jobs, which the summary of the action tells."""
        for cell in self.cells:
            if cell.outcome is None:
                self.ended(cell)
        with self._report.lock:
            self._report.others += self.cells

    def _write_text(self, text: str) -> None:
        with self._report.lock, self._report.printing_outside():
            self._report._write_text(text)
