"""What is shown below a line that is edited: candidates, page by page."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..streams import write_text
from ..utils.colours import paint, shows_colours
from ..utils.columns import display_width, shorten, to_columns
from .completion import Completion
from .terminal import get_size, read_key

__all__ = [
    "EditedLine",
    "Place",
    "list_completions",
    "mark_invisible",
    "place_text",
    "show_below",
    "show_paged",
]

_ESCAPE_SEQUENCE = re.compile(r"\x1b\[[0-9;]*m")
_TAB = 8
# A help text of fewer columns says nothing.
_LEAST_HELP = 12
_CLEAR_LINE = "\r\x1b[K"


class EditedLine(NamedTuple):
    """A line that somebody types, and how many characters of it are before the cursor."""

    prompt: str
    line: str
    cursor: int


def show_below(
    edited: EditedLine, make_lines: Callable[[int, int], Sequence[str]], count: int = 0
) -> None:
    """Write lines to the terminal below the one that is edited, and that one again below them.

    :param make_lines: returns them for a number of columns, and of rows that there are.
    :param count: how many completions they show.
    """
    prompt, line, position = edited
    columns, rows = get_size()
    end = place_text(prompt, line, columns)
    cursor = place_text(prompt, line[:position], columns)
    _write("\n" * (end.row - cursor.row + 1))
    room = max(rows - end.row - 1, 1)
    # Ctrl-C is no more than the end of this: Python's readline would drop it.
    with contextlib.suppress(KeyboardInterrupt):
        show_paged(make_lines(columns, room), count, room, _write, read_key)
    # Readline believes that the cursor is where it was: put it there.
    up = f"\x1b[{end.row - cursor.row}A" if end.row > cursor.row else ""
    _write(f"{_CLEAR_LINE}{end.text}{up}\x1b[{cursor.column + 1}G")


def list_completions(completions: Sequence[Completion], columns: int, rows: int) -> list[str]:
    """Return the lines that show completions: one each, with its help, if all of them fit.

    Else they come in columns, without their help.

    :param columns: the width of the terminal.
    :param rows: how many lines there is room for.
    """
    coloured = shows_colours(sys.stdout)
    # A line that fills the last column makes some terminals begin another one.
    names = [shorten(_make_printable(c.display), columns - 1) for c in completions]
    widths = [display_width(name) for name in names]
    painted = [
        paint(name, completion.colour or None, enabled=coloured)
        for name, completion in zip(names, completions, strict=True)
    ]
    room = columns - max(widths, default=0) - 3
    has_help = any(completion.help for completion in completions)
    if not has_help or room < _LEAST_HELP or len(completions) > rows:
        return to_columns(painted, columns - 1)
    lines = []
    for name, width, completion in zip(painted, widths, completions, strict=True):
        shown_help = shorten(_make_printable(completion.help), room)
        padding = " " * (max(widths) - width + 2) if shown_help else ""
        lines.append(name + padding + paint(shown_help, "dark_grey", enabled=coloured))
    return lines


def show_paged(
    lines: Sequence[str],
    count: int,
    rows: int,
    write: Callable[[str], object],
    read_key: Callable[[], str],
) -> None:
    """Show lines; ask before more than fit, and stop after each screen of them.

    The keys are those of readline: y or a blank for more, Enter for one line, n or q for no more.

    :param count: how many completions they show.
    :param rows: how many lines there is room for.
    """
    room = len(lines)
    if room > rows:
        write(f"Display all {count} possibilities? (y or n)")
        answer = read_key()
        write(_CLEAR_LINE)
        if answer not in ("y", "Y", " "):
            return
        room = rows
    for line in lines:
        if not room:
            write("--More--")
            key = read_key()
            write(_CLEAR_LINE)
            room = {"y": rows, "Y": rows, " ": rows, "\r": 1, "\n": 1}.get(key, 0)
            if not room:
                return
        write(f"{line}\n")
        room -= 1


def mark_invisible(prompt: str) -> str:
    """Return a prompt in which readline is told what takes no room."""
    return _ESCAPE_SEQUENCE.sub("\x01\\g<0>\x02", prompt)


class Place(NamedTuple):
    """A text as readline shows it, and where the cursor is behind it."""

    text: str
    row: int
    column: int


def place_text(prompt: str, line: str, columns: int) -> Place:
    """Return what is on the screen when readline shows a prompt and a line behind it."""
    row = column = 0
    shown = ""

    def put(character: str) -> None:
        nonlocal row, column, shown
        width = display_width(character)
        # A wide character is not divided: the terminal begins the next row with it.
        if column + width > columns:
            row, column = row + 1, 0
        shown += character
        column += width

    def begin_row() -> None:
        nonlocal row, column, shown
        row, column = row + 1, 0
        shown += "\n"

    for part in re.split(f"({_ESCAPE_SEQUENCE.pattern})", prompt):
        if _ESCAPE_SEQUENCE.fullmatch(part):
            shown += part
        else:
            for character in part:
                put(character)
    for character in line:
        if character == "\n":
            # The cursor of a terminal waits in the last column; that of readline does not.
            if column == columns:
                begin_row()
            begin_row()
        elif character == "\t":
            for _ in range(_TAB - column % _TAB):
                put(" ")
        elif character < " " or character == "\x7f":
            put("^")
            put(chr(ord(character) ^ 64))
        else:
            put(character)
    if column == columns:
        begin_row()
    return Place(shown, row, column)


def _make_printable(text: str) -> str:
    """Return a text without what would move the cursor: the name of a file may have anything."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _write(text: str) -> None:
    write_text(sys.stdout, text)
