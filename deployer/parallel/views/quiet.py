"""Failures, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ...failures import describe_failure
from ...pseudo_terminal import Pty
from ...streams import write_text
from ...utils.colours import paint, shows_colours
from .cells import Cell, Status
from .report import show_rerun
from .view import View

__all__ = ["QuietView"]


class QuietView(View):
    """Writes each failure when it happens, on stderr, and at the end what to run again."""

    keeps_output: ClassVar[bool] = False

    def __init__(self, pty: Pty, names: Sequence[str], title: str = "") -> None:
        super().__init__(pty, names, title)
        # That of a single host is all there is to say at the end.
        self.shows_errors = len(names) > 1

    def ended(self, cell: Cell) -> None:
        if not self.shows_errors or cell.error is None or cell.status is Status.NOT_BEGUN:
            return
        stream = self.pty.stderr
        name = paint(f"{cell.name}:", "red", enabled=shows_colours(stream), bold=True)
        lines = describe_failure(cell.error).splitlines()
        write_text(stream, "".join(f"{line}\n" for line in [name, *(f"  {x}" for x in lines)]))

    def finish(self) -> None:
        if self.shows_errors:
            lines = show_rerun(self.cells, self.pty.presentation.make_rerun)
            write_text(self.pty.stderr, "".join(f"{line}\n" for line in lines))
