"""What is said of a run when it is over, as lines of text."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

from ...failures import describe_failure
from ...utils.colours import paint
from ...utils.columns import display_width
from ...utils.folding import fold
from ...utils.transcript import (
    group_equal,
    leave_out_screens,
    plain_text,
    split_lines,
    strip_colours,
)
from .cells import Cell, Kind, Status, describe_status

__all__ = [
    "describe_cell_failure",
    "get_output",
    "group_failures",
    "group_outputs",
    "list_failed",
    "name_group",
    "show_duration",
    "show_groups",
    "show_recap",
    "show_rerun",
]

H = TypeVar("H", bound=Hashable)

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


def group_outputs(
    cells: Iterable[Cell], *kinds: Kind, with_colours: bool = True
) -> list[tuple[list[Cell], str]]:
    """Return cells whose status and output are equal together, the largest group first."""

    def read(cell: Cell) -> str:
        text = get_output(cell, *kinds)
        return text if with_colours else strip_colours(text)

    return _group(cells, read)


def group_failures(cells: Iterable[Cell]) -> list[tuple[list[Cell], str]]:
    """Return cells that failed in the same way together, the largest group first, with what is
    known of it. Where that names the host, it names all of them.
    """

    def read(cell: Cell) -> tuple[str, ...]:
        """Return what is known between the places where the name is."""
        text = "\n".join(describe_cell_failure(cell))
        if not cell.name:
            return (text,)
        return tuple(re.split(rf"(?<![\w-]){re.escape(cell.name)}(?![\w-])", text))

    def get_name(group: Sequence[Cell]) -> str:
        return group[0].name if len(group) == 1 else fold(cell.name for cell in group)

    failed = [cell for cell in list_failed(cells) if cell.status is not Status.NOT_BEGUN]
    return [(group, get_name(group).join(texts)) for group, texts in _group(failed, read)]


def get_output(cell: Cell, *kinds: Kind) -> str:
    """Return what a cell wrote, as it would be left on a screen, without the last newline."""
    return plain_text(leave_out_screens(cell.get_text(*kinds))).removesuffix("\n")


def show_groups(
    groups: Iterable[tuple[Sequence[Cell], str]], enabled: bool, colour: str = "cyan"
) -> Iterator[str]:
    """Return the output of groups, each under its names; nothing for those without output."""
    for cells, text in groups:
        if text:
            yield paint(f"{name_group(cells)}:", colour, enabled=enabled, bold=True)
            # Blanks at the end may be all that two groups differ in.
            yield from (f"  {line}" if line else "" for line in split_lines(text))


def _group(cells: Iterable[Cell], read: Callable[[Cell], H]) -> list[tuple[list[Cell], H]]:
    """Return cells that ended in the same way and read the same, the largest group first."""
    by_number = {str(cell.number): cell for cell in cells}
    read_of = {number: (describe_status(cell), read(cell)) for number, cell in by_number.items()}
    return [
        ([by_number[number] for number in numbers], value)
        for numbers, (_, value) in group_equal(read_of)
    ]


def describe_cell_failure(cell: Cell) -> list[str]:
    """Return what is known of a failure, without the output of its command."""
    if cell.error is None:
        return []
    return describe_failure(cell.error, with_output=False).splitlines()


def show_recap(
    cells: Sequence[Cell],
    enabled: bool,
    make_rerun: Callable[[str], str] | None = None,
    with_durations: bool = True,
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
        duration = show_duration(max(took)) if took and with_durations else ""
        lines.append(f"{name}{padding}  {shown}  {duration}".rstrip())
    return lines + show_rerun(cells, make_rerun)


def show_rerun(cells: Sequence[Cell], make_rerun: Callable[[str], str] | None) -> list[str]:
    """Return the line that says how to run what has failed again, if it is known, and any has."""
    failed = list_failed(cells)
    if not failed or make_rerun is None:
        return []
    hosts = fold(cell.name for cell in failed)
    if hosts.startswith("-"):
        # It would be taken for an option.
        hosts = f"\\{hosts}"
    return [f"run again: {make_rerun(hosts)}"]


def show_duration(seconds: float) -> str:
    """Return a duration as people read it: ``4.1s``, ``2m05s``, ``1h02m``."""
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02}s"
    return f"{minutes // 60}h{minutes % 60:02}m"
