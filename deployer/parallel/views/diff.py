"""The most common output, and how that of others differs from it."""

from __future__ import annotations

from collections.abc import Iterator

from ...streams import write_text
from ...utils.colours import paint, shows_colours
from ...utils.transcript import unified
from .cells import Kind
from .gather import GatherView
from .report import group_outputs, name_group, show_groups

__all__ = ["DiffView"]

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}
# Comparing takes much longer than in proportion to the length.
_MOST_LINES = 20_000


class DiffView(GatherView):
    """Writes the most common output, and of each other one the difference to it."""

    def show_outputs(self) -> None:
        stream = self.pty.stdout
        enabled = shows_colours(stream)
        groups = group_outputs(self.cells, Kind.STDOUT, with_colours=False)
        lines: list[str] = []
        for number, (cells, text) in enumerate(groups):
            if number == 0:
                common, common_name = text, name_group(cells)
                lines += show_groups([(cells, common or "(no output)")], enabled)
            else:
                found = _compare(common, text, common_name, name_group(cells))
                lines += [paint(line, _COLOURS.get(line[:1]), enabled=enabled) for line in found]
        write_text(stream, "".join(f"{line}\n" for line in lines))


def _compare(common: str, text: str, common_name: str, name: str) -> Iterator[str]:
    if common == text:
        # They ended in another way.
        yield from (f"{name}:", "  (the same output)")
    elif max(common.count("\n"), text.count("\n")) > _MOST_LINES:
        yield from (f"{name}:", f"  (other output, too long to compare: {len(text)} characters)")
    else:
        yield from unified(_end_line(common), _end_line(text), common_name, name)


def _end_line(text: str) -> str:
    return f"{text}\n" if text else ""
