"""Each line as it comes, behind the name of its host."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar

from ...pseudo_terminal import Pty
from ...streams import write_text
from ...utils.colours import paint, shows_colours
from ...utils.columns import display_width
from ...utils.transcript import plain_text, strip_colours
from .cells import Cell, Kind, Status
from .report import describe_cell_failure, list_failed, show_recap
from .view import View

__all__ = ["StreamView"]

_RESET = "\x1b[0m"


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
        # The pieces of the line that each has begun, which may be very many.
        self._unfinished: defaultdict[tuple[Cell, Kind], list[str]] = defaultdict(list)

    def wrote(self, cell: Cell, kind: Kind, text: str) -> None:
        lines, newline, rest = text.rpartition("\n")
        pieces = self._unfinished[cell, kind]
        if newline:
            lines = "".join([*pieces, lines])
            pieces.clear()
        if rest:
            pieces.append(rest)
        if newline:
            self._write_lines(cell, kind, lines)

    def ended(self, cell: Cell) -> None:
        self.write_rest(cell)
        is_failure = self.shows_errors and cell.status is not Status.NOT_BEGUN
        if is_failure and (lines := describe_cell_failure(cell)):
            self._write_lines(cell, Kind.STDERR, "\n".join(lines))

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
            if rest := self._unfinished.pop((cell, kind), None):
                self._write_lines(cell, kind, "".join(rest))

    def _write_lines(self, cell: Cell, kind: Kind, text: str) -> None:
        stream = self.pty.stdout if kind is Kind.STDOUT else self.pty.stderr
        padded = cell.name + " " * (self._width - display_width(cell.name))
        enabled = shows_colours(stream)
        mark = paint("!", "red", enabled=enabled) if kind is Kind.STDERR else "|"
        prefix = f"{paint(padded, 'cyan', enabled=enabled)} {mark} "
        # Of a line that redraws itself (a progress bar), only the last state is shown.
        lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
        if "\x1b" in text:
            moves = "\x1b" in strip_colours(text)
            lines = [_tame(line, moves) if "\x1b" in line else line for line in lines]
        write_text(stream, "".join([f"{prefix}{line}\n" for line in lines]))


def _tame(line: str, moves: bool) -> str:
    """Return a line that writes nowhere else, and colours nothing after it."""
    if moves:
        # There, other characters end a line as well.
        line = plain_text(line).replace("\n", " ")
    return line if "\x1b" not in line or line.endswith(_RESET) else line + _RESET
