"""What other programs read: one JSON object when all is over, or an event in each line."""

from __future__ import annotations

import codecs
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from ...exceptions import (
    ExecCommandFailed,
    ParallelActionException,
    ParallelExecCommandFailed,
)
from ...failures import leaf_errors
from ...host.result import RunResult
from ...pseudo_terminal import Pty
from ...secret import redact
from ...streams import write_text
from .cells import Cell, Kind, Status
from .view import View

__all__ = [
    "JsonLinesView",
    "JsonView",
    "MachineView",
    "count_by_status",
    "describe_error",
    "describe_host",
    "make_serialisable",
    "sum_up_host",
    "sum_up_status",
]

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


class MachineView(View):
    """Writes JSON; a base."""

    shows_results: ClassVar[bool] = True

    def __init__(self, pty: Pty, names: Sequence[str], title: str = "") -> None:
        super().__init__(pty, names, title)
        self._begun = time.time()
        encoding = getattr(pty.stdout, "encoding", None) or "utf-8"
        self._is_utf8 = codecs.lookup(encoding).name == "utf-8"

    def _write(self, value: Mapping[str, Any]) -> None:
        self._write_text(f"{_ENCODER.encode(value)}\n")

    def _write_text(self, text: str) -> None:
        """Write objects, each in a line."""
        # Bytes that are no UTF-8 are kept as lone surrogates, which JSON has no place for.
        text = re.sub("[\ud800-\udfff]", "\N{REPLACEMENT CHARACTER}", text)
        if not self._is_utf8:
            # JSON is UTF-8, or ASCII, which is the same in nearly all encodings.
            text = re.sub("[^\0-\x7f]+", lambda found: json.dumps(found[0])[1:-1], text)
        write_text(self.pty.stdout, text)

    def _sum_up(self) -> dict[str, Any]:
        """Return what is known of the run as a whole."""
        path, _, action = self.title.rpartition(".")
        return {
            "path": path,
            "action": action,
            "status": sum_up_status([cell.status for cell in self.cells]),
            "started": self._begun,
            "duration": round(time.time() - self._begun, 3),
        }


class JsonView(MachineView):
    """Writes one object: ``path``, ``action``, ``status``, ``duration``, and all ``hosts``.

    The rest is as of an action, of which there is none: no ``result``, and no output but of hosts.
    Of each host: ``host``, ``status``, ``exit_code``, ``stdout``, ``stderr``, ``duration``,
    ``result`` and ``error``.
    """

    def finish(self) -> None:
        self._write(
            {
                **self._sum_up(),
                "result": None,
                "error": describe_error(self._get_error()),
                "stdout": "",
                "stderr": "",
                "hosts": [describe_host([cell]) for cell in self.cells],
            }
        )

    def _get_error(self) -> Exception | None:
        """Return the error of all hosts together."""
        if len(self.cells) == 1:
            return self.cells[0].error
        left_out = [cell.name for cell in self.cells if cell.status is Status.NOT_BEGUN]
        failures = {c.name: c.error for c in self.cells if c.error and c.name not in left_out}
        done = {cell.name: None for cell in self.cells if cell.status is Status.OK}
        return ParallelActionException(done, failures, not_begun=left_out) if failures else None


class JsonLinesView(MachineView):
    """Writes an object for each thing that happens, with its ``event``.

    ``start`` and ``end`` of each host, a line of its ``output``, and the ``summary`` at the end.
    """

    keeps_output: ClassVar[bool] = False

    def __init__(self, pty: Pty, names: Sequence[str], title: str = "") -> None:
        super().__init__(pty, names, title)
        #: The pieces of the last line: joined once only, since there may be very many.
        self._unfinished: defaultdict[tuple[Cell, Kind], list[str]] = defaultdict(list)

    def started(self, cell: Cell) -> None:
        self._event("start", cell, {})

    def wrote(self, cell: Cell, kind: Kind, text: str) -> None:
        first, *lines = text.split("\n")
        pieces = self._unfinished[cell, kind]
        pieces.append(first)
        if lines:
            self._unfinished[cell, kind] = [lines.pop()]
            self._write_lines(cell, kind, ["".join(pieces), *lines])

    def ended(self, cell: Cell) -> None:
        for kind in Kind:
            if rest := "".join(self._unfinished.pop((cell, kind), ())):
                self._write_lines(cell, kind, [rest])
        self._event("end", cell, _describe_end(cell))

    def finish(self) -> None:
        for cell in self.cells:
            if cell.outcome is None:
                self.ended(cell)
        hosts = count_by_status(cell.status for cell in self.cells)
        self._write({"event": "summary", **self._sum_up(), "hosts": hosts})

    def _event(self, event: str, cell: Cell, more: Mapping[str, Any]) -> None:
        self._write({"event": event, "time": time.time(), "host": cell.name, **more})

    def _write_lines(self, cell: Cell, kind: Kind, lines: Sequence[str]) -> None:
        event = {"event": "output", "time": time.time(), "host": cell.name, "stream": kind.value}
        # What they have in common is encoded once: there may be very many.
        begin = _ENCODER.encode(event).removesuffix("}")
        # Terminals, and programs of other systems, end lines with a carriage return, too.
        encoded = (_ENCODER.encode(line.rstrip("\r")) for line in lines)
        self._write_text("".join(f'{begin}, "line": {line}}}\n' for line in encoded))


def count_by_status(statuses: Iterable[str]) -> dict[str, int]:
    """Return how often there is each status that there is."""
    counts = Counter(statuses)
    return {status.value: counts[status] for status in Status if counts[status]}


def describe_host(cells: Sequence[Cell]) -> dict[str, Any]:
    """Return what is known of a host: of all that ran on it, together."""
    ends = [_describe_end(cell) for cell in cells]
    bad = (end for cell, end in zip(cells, ends, strict=True) if cell.status is not Status.OK)
    took = [cell.duration for cell in cells if cell.duration is not None]
    return {
        "host": cells[0].name,
        **next(bad, ends[-1]),
        "status": sum_up_host(cells),
        "duration": round(sum(took), 3) if took else None,
        "stdout": "".join(cell.get_text(Kind.STDOUT) for cell in cells),
        "stderr": "".join(cell.get_text(Kind.STDERR) for cell in cells),
    }


def sum_up_host(cells: Sequence[Cell]) -> str:
    """Return the status of a host: the same of all that ran on it, or what is worst."""
    statuses = [cell.status for cell in cells]
    # Only a host may be one that was not begun.
    return statuses[0].value if len(set(statuses)) == 1 else sum_up_status(statuses)


def _describe_end(cell: Cell) -> dict[str, Any]:
    result = cell.outcome.result if cell.outcome is not None else None
    error = cell.error
    exit_code = 0 if cell.status is Status.OK else None
    if isinstance(result, RunResult):
        # With `ignore_exit_status`, it may be another one.
        exit_code = result.exit_status
    leaf = None if error is None else next(leaf_errors(error))
    if isinstance(leaf, ExecCommandFailed) and not isinstance(leaf, ParallelExecCommandFailed):
        exit_code = leaf.exit_status
    return {
        "status": cell.status.value,
        "exit_code": exit_code,
        "duration": None if cell.duration is None else round(cell.duration, 3),
        "result": make_serialisable(result),
        "error": describe_error(error),
        "error_type": None if leaf is None else type(leaf).__name__,
    }


def describe_error(error: BaseException | None) -> str | None:
    """Return the message of an error, without secrets, if there is one."""
    return None if error is None else redact(str(error))


def make_serialisable(value: Any) -> Any:
    """Return a value, with the repr of whatever in it JSON has nothing like."""
    try:
        return _make_serialisable(value, ())
    except RecursionError:
        return _get_repr(value)


def _make_serialisable(value: Any, above: tuple[int, ...]) -> Any:
    """Do so for a value within others, of these identities.

    :raises RecursionError: when it is one of them, or too far within.
    """
    try:
        if not isinstance(value, dict | list | tuple):
            _ENCODER.encode(value)
            return value
        if id(value) in above:
            raise RecursionError
        above = (*above, id(value))
        if not isinstance(value, dict):
            return [_make_serialisable(each, above) for each in value]
        names = json.loads(_ENCODER.encode(dict.fromkeys(value)))
        # Two keys may have the same name: then there are fewer names, which is a ValueError.
        pairs = zip(names, value.values(), strict=True)
        return {name: _make_serialisable(each, above) for name, each in pairs}
    except (TypeError, ValueError):
        return _get_repr(value)


def _get_repr(value: Any) -> str:
    try:
        return repr(value)
    except Exception:
        # Its class may do anything, and a number may have more digits than Python writes.
        return object.__repr__(value)


def sum_up_status(statuses: Sequence[Status]) -> str:
    """Return one status for all: the same for all of them that were begun, or what is worst."""
    for status in (Status.STOPPED, Status.UNKNOWN, Status.FAILED):
        if status in statuses:
            return status.value
    if {*statuses} - {Status.NOT_BEGUN} == {Status.UNREACHABLE}:
        return Status.UNREACHABLE.value
    bad = any(status is not Status.OK for status in statuses)
    return (Status.FAILED if bad else Status.OK).value
