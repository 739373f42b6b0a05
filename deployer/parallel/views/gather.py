"""Equal output folded, when all is over."""

from __future__ import annotations

from collections.abc import Sequence

from ...pseudo_terminal import Pty, write_text
from ...utils.colours import shows_colours
from .cells import Kind, Status
from .report import describe_cell_failure, group_outputs, show_groups, show_recap
from .view import View

__all__ = ["GatherView"]


class GatherView(View):
    """Writes the output of all hosts where it is equal once; failures and a recap on stderr."""

    def __init__(self, pty: Pty, names: Sequence[str], title: str = "") -> None:
        super().__init__(pty, names, title)
        # That of a single host is all there is to say at the end.
        self.shows_errors = len(names) > 1

    def finish(self) -> None:
        self.show_outputs()
        stderr = self.pty.stderr
        enabled = shows_colours(stderr)
        lines = [*show_groups(group_outputs(self.cells, Kind.STDERR), enabled)]
        for cell in self.cells:
            if self.shows_errors and cell.status not in (Status.OK, Status.NOT_BEGUN):
                lines += describe_cell_failure(cell)
        lines += show_recap(self.cells, enabled, self.pty.presentation.make_rerun)
        write_text(stderr, "".join(f"{line}\n" for line in lines))

    def show_outputs(self) -> None:
        """Write what the hosts wrote on stdout."""
        stdout = self.pty.stdout
        groups = group_outputs(self.cells, Kind.STDOUT)
        lines = show_groups(groups, shows_colours(stdout))
        write_text(stdout, "".join(f"{line}\n" for line in lines))
