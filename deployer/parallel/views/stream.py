"""Each line as it comes, behind the name of its host."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar

from ...pseudo_terminal import Pty, write_text
from ...utils.colours import paint, shows_colours
from ...utils.columns import display_width
from .cells import Cell, Kind, Status
from .report import describe_cell_failure, list_failed, show_recap
from .view import View

__all__ = ["StreamView"]


class StreamView(View):
    """Writes whole lines, so that those of several jobs never mix; stderr behind a ``!``.

    When some have failed, a recap on stderr says which.
    """

    keeps_output: ClassVar[bool] = False

    def __init__(self, pty: Pty, names: Sequence[str], title: str = "") -> None:
        super().__init__(pty, names, title)
        # That of a single host is all there is to say at the end.
        self.shows_errors = len(names) > 1
        self._width = max(map(display_width, names), default=0)
        self.margin = self._width + 3
        self._unfinished: defaultdict[tuple[Cell, Kind], str] = defaultdict(str)

    def wrote(self, cell: Cell, kind: Kind, text: str) -> None:
        *lines, rest = (self._unfinished[cell, kind] + text).split("\n")
        self._unfinished[cell, kind] = rest
        self._write_lines(cell, kind, lines)

    def ended(self, cell: Cell) -> None:
        self.write_rest(cell)
        if self.shows_errors and cell.status is not Status.NOT_BEGUN:
            self._write_lines(cell, Kind.STDERR, describe_cell_failure(cell))

    def finish(self) -> None:
        for cell in self.cells:
            self.write_rest(cell)
        if self.shows_errors and list_failed(self.cells):
            stderr, make_rerun = self.pty.stderr, self.pty.presentation.make_rerun
            recap = show_recap(self.cells, shows_colours(stderr), make_rerun)
            write_text(stderr, "".join(f"{line}\n" for line in recap))

    def write_rest(self, cell: Cell) -> None:
        """Write the line that a job has begun, and does not finish."""
        for kind in Kind:
            if rest := self._unfinished.pop((cell, kind), ""):
                self._write_lines(cell, kind, [rest])

    def _write_lines(self, cell: Cell, kind: Kind, lines: Sequence[str]) -> None:
        stream = self.pty.stdout if kind is Kind.STDOUT else self.pty.stderr
        padded = cell.name + " " * (self._width - display_width(cell.name))
        enabled = shows_colours(stream)
        mark = paint("!", "red", enabled=enabled) if kind is Kind.STDERR else "|"
        prefix = f"{paint(padded, 'cyan', enabled=enabled)} {mark} "
        # Of a line that redraws itself (a progress bar), only the last state is shown.
        shown = (line.rstrip("\r").rpartition("\r")[2] for line in lines)
        if block := "".join(f"{prefix}{line}\n" for line in shown):
            write_text(stream, block)
