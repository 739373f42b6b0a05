"""What is said of a run when it is over, as lines of text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from ...failures import describe_failure
from ...utils.colours import paint
from ...utils.columns import display_width
from ...utils.folding import fold
from ...utils.transcript import group_equal, leave_out_screens, plain_text
from .cells import Cell, Kind, Status, describe_status

__all__ = [
    "describe_cell_failure",
    "get_output",
    "group_outputs",
    "list_failed",
    "name_group",
    "show_duration",
    "show_groups",
    "show_recap",
    "show_rerun",
]

_COLOURS = {
    Status.OK: "green",
    Status.FAILED: "red",
    Status.UNREACHABLE: "red",
    Status.UNKNOWN: "red",
    Status.STOPPED: "yellow",
    Status.NOT_BEGUN: "yellow",
}


def list_failed(cells: Iterable[Cell]) -> list[Cell]:
    """Return the cells that would have to be run again: all but those that are done."""
    return [cell for cell in cells if cell.status is not Status.OK]


def name_group(cells: Sequence[Cell]) -> str:
    """Return the folded names of some cells, and how many they are: ``web[01-18] (18)``."""
    names = fold(cell.name for cell in cells)
    return names if len(cells) == 1 else f"{names} ({len(cells)})"


def group_outputs(cells: Iterable[Cell], *kinds: Kind) -> list[tuple[list[Cell], str]]:
    """Return cells whose status and output are equal together, the largest group first."""
    by_name = {str(cell.number): cell for cell in cells}
    texts = {
        number: (describe_status(cell), get_output(cell, *kinds))
        for number, cell in by_name.items()
    }
    return [
        ([by_name[number] for number in numbers], text) for numbers, (_, text) in group_equal(texts)
    ]


def get_output(cell: Cell, *kinds: Kind) -> str:
    """Return what a cell wrote, as it would be left on a screen."""
    return plain_text(leave_out_screens(cell.get_text(*kinds))).strip("\n")


def show_groups(
    groups: Iterable[tuple[Sequence[Cell], str]], enabled: bool, indent: str = "  "
) -> Iterator[str]:
    """Return the output of groups, each under its names; nothing for those without output."""
    for cells, text in groups:
        if text:
            yield paint(f"{name_group(cells)}:", "cyan", enabled=enabled, bold=True)
            yield from (f"{indent}{line}".rstrip() for line in text.split("\n"))


def describe_cell_failure(cell: Cell) -> list[str]:
    """Return what is known of a failure, without the output of its command."""
    if cell.error is None:
        return []
    return describe_failure(cell.error, with_output=False).splitlines()


def show_recap(
    cells: Sequence[Cell], enabled: bool, make_rerun: Callable[[str], str] | None = None
) -> list[str]:
    """Return a line for each status, with its hosts and how long the slowest took.

    :param make_rerun: returns the command line that runs the same on some hosts only.
    """
    groups: dict[str, list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: cell.status is not Status.OK):
        groups.setdefault(describe_status(cell), []).append(cell)
    names = [name_group(group) for group in groups.values()]
    width = min(max(map(display_width, names), default=0), 50)
    status_width = max(map(len, groups), default=0)
    lines = []
    for name, (status, group) in zip(names, groups.items(), strict=True):
        padding = " " * max(width - display_width(name), 0)
        shown = paint(f"{status:<{status_width}}", _COLOURS[group[0].status], enabled=enabled)
        took = [cell.duration for cell in group if cell.duration is not None]
        duration = show_duration(max(took)) if took else ""
        lines.append(f"{name}{padding}  {shown}  {duration}".rstrip())
    return lines + show_rerun(cells, make_rerun)


def show_rerun(cells: Sequence[Cell], make_rerun: Callable[[str], str] | None) -> list[str]:
    """Return the line that says how to run what has failed again, if it is known, and any has."""
    failed = list_failed(cells)
    if not failed or make_rerun is None:
        return []
    return [f"run again: {make_rerun(fold(cell.name for cell in failed))}"]


def show_duration(seconds: float) -> str:
    """Return a duration as people read it: ``4.1s``, ``2m05s``, ``1h02m``."""
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02}s"
    return f"{minutes // 60}h{minutes % 60:02}m"
