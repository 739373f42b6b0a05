"""Nothing is shown: what the jobs write is kept, for whoever shows it elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...pseudo_terminal import DummyPty, Jobs, R, RunAll
from .cells import Cell
from .view import View, show_in

__all__ = ["CapturePty"]


class CapturePty(DummyPty):
    """A terminal with nobody at it, whose ``cells`` have what each of the jobs has written."""

    def __init__(self) -> None:
        super().__init__(keeps_output=False)
        self.cells: list[Cell] = []

    def run_in_auxiliary_ptys(
        self,
        jobs: Jobs[R],
        run_all: RunAll[R],
        show: Callable[[CapturePty, Jobs[R], RunAll[R]], list[R]],
    ) -> list[R]:
        """Run the jobs, each in a terminal of its own that keeps what is written to it."""
        return show_in(_CaptureView, self, jobs, run_all)  # type: ignore[arg-type, return-value]


class _CaptureView(View):
    shows_errors: bool = False

    def __init__(self, pty: CapturePty, names: Sequence[str], title: str = "") -> None:
        super().__init__(pty, names, title)
        pty.cells = self.cells
