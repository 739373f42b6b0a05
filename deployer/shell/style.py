"""How text is laid out for whoever reads it: a person at a terminal, or another program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..pseudo_terminal import Pty
from ..utils.colours import paint, shows_colours
from ..utils.columns import display_width, shorten

__all__ = ["Style", "get_style", "in_table"]

# So much of a line is shown also where there is hardly any room for it.
_LEAST_WIDTH = 20


class Style(NamedTuple):
    """What there is room for, and what can be shown."""

    columns: int = 80
    #: Whether what is longer than a line is cut, as there is a person who reads it.
    is_cut: bool = False
    has_colours: bool = False
    #: Whether there are characters to draw lines with.
    has_lines: bool = True

    def paint(self, text: str, colour: str | None = None, bold: bool = False) -> str:
        """Return a text in a colour, where that can be shown."""
        try:
            return paint(text, colour, bold=bold, enabled=self.has_colours)
        except KeyError:
            # A group of the user has a colour that there is not.
            return paint(text, None, bold=bold, enabled=self.has_colours)

    def cut(self, text: str, taken: int = 0) -> str:
        """Return as much of a text, without colours, as a line has room for.

        :param taken: how many columns of it are in use already.
        """
        return shorten(text, max(self.columns - taken, _LEAST_WIDTH)) if self.is_cut else text


def get_style(pty: Pty) -> Style:
    """Return how to write to a terminal's stdout."""
    stream = pty.stdout
    try:
        is_terminal = stream.isatty()
    except (AttributeError, ValueError):  # No stream at all, or a closed one.
        is_terminal = False
    try:
        "├│└─…".encode(getattr(stream, "encoding", None) or "utf-8")
        has_lines = True
    except (UnicodeError, LookupError):
        has_lines = False
    return Style(pty.get_size()[1], is_terminal, shows_colours(stream), has_lines)


def in_table(
    rows: Sequence[Sequence[str]], style: Style, indent: int = 2, most: int = 36
) -> list[str]:
    """Return lines that show texts in columns; those that are empty in all rows are left out.

    :param rows: all but the last text of each may have colours in them.
    :param most: a text longer than this gets no more room: what follows it is moved.
    """
    if not rows:
        return []
    places = [place for place in range(len(rows[0])) if any(row[place] for row in rows)]
    widths = {
        place: max((w for row in rows if (w := display_width(row[place])) <= most), default=0) + 2
        for place in places[:-1]
    }
    lines = []
    for row in rows:
        line = " " * indent
        for place in places[:-1]:
            line += row[place] + " " * max(widths[place] - display_width(row[place]), 2)
        last = row[places[-1]] if places else ""
        # With a single column, that is the name, which may have colours.
        line += style.cut(last, display_width(line)) if len(places) > 1 else last
        lines.append(line.rstrip())
    return lines
