"""Equal output folded, when all is over."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from ...pseudo_terminal import Presentation, Pty
from ...streams import write_text
from ...utils.colours import shows_colours
from .cells import Cell, Kind
from .job_pty import JobPty
from .report import group_failures, group_outputs, list_failed, show_groups, show_recap
from .view import View

__all__ = ["GatherView"]


class GatherView(View):
    """Writes the output of all hosts where it is equal once; failures and a recap on stderr."""

    def __init__(self, pty: Pty, names: Sequence[str], title: str = "") -> None:
        super().__init__(pty, names, title)
        # That of a single host is all there is to say at the end.
        self.shows_errors = len(names) > 1

    @contextlib.contextmanager
    def terminal_of(self, cell: Cell) -> Iterator[JobPty]:
        with super().terminal_of(cell) as pty:
            # What a job runs in turn is to be equal, whichever of its hosts is the quickest.
            pty.presentation = Presentation("gather")
            yield pty

    def finish(self) -> None:
        self.show_outputs()
        stderr, is_nested = self.pty.stderr, isinstance(self.pty, JobPty)
        enabled = shows_colours(stderr)
        lines = [*show_groups(group_outputs(self.cells, Kind.STDERR), enabled)]
        if self.shows_errors:
            lines += show_groups(group_failures(self.cells), enabled, "red")
        if not is_nested or list_failed(self.cells):
            make_rerun = self.pty.presentation.make_rerun
            lines += show_recap(self.cells, enabled, make_rerun, with_durations=not is_nested)
        write_text(stderr, "".join(f"{line}\n" for line in lines))

    def show_outputs(self) -> None:
        """Write what the hosts wrote on stdout."""
        stdout = self.pty.stdout
        groups = group_outputs(self.cells, Kind.STDOUT)
        lines = show_groups(groups, shows_colours(stdout))
        write_text(stdout, "".join(f"{line}\n" for line in lines))
