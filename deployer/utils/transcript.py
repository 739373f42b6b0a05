"""What output says once a terminal has dealt with it: lines, the last line, who said the same."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from typing import TypeVar

from .columns import display_width

__all__ = [
    "LastLine",
    "group_equal",
    "leave_out_screens",
    "plain_text",
    "split_lines",
    "strip_colours",
    "unified",
]

H = TypeVar("H", bound=Hashable)


def plain_text(text: str) -> str:
    """Return what a terminal would finally show of some output, as lines, with its colours.

    Within a line everything is done that moves or erases: carriage returns, backspaces, and the
    control sequences for it. Movements to other lines, and everything else that controls a
    terminal, are left out. A line of which a part was written over loses the blanks at its end:
    programs erase with them. No line is wrapped.
    """
    lines = []
    style: _Style = ()
    for written in _NEWLINE.split(text):
        written = written.rstrip("\r")
        if not _CONTROL.search(written):
            lines.append(written)
        elif _REDRAWING.search(written):
            line = _Line(style)
            for token in _TOKEN.finditer(written):
                line.apply(token)
            lines.append(line.show())
            style = line.style
        else:
            in_order = []
            for token in _TOKEN.finditer(written):
                if colour := _colour_in(token):
                    in_order.append(colour)
                    style = _add_colour(style, colour)
                elif token["text"] or token[0] == "\t":
                    in_order.append(token[0])
            lines.append("".join(in_order))
    return "\n".join(lines)


def leave_out_screens(text: str) -> str:
    """Return output without what was drawn on the alternate screen, as editors and pagers do.

    A program that ended without leaving it (a killed editor) may be anywhere in what follows: all
    of that is kept.
    """
    return _OTHER_SCREEN.sub("", text)


def split_lines(text: str) -> list[str]:
    """Return the lines of plain text, each of which begins and ends its colours by itself."""
    lines = text.split("\n")
    if "\x1b" in text:
        style: _Style = ()
        for number, line in enumerate(lines):
            before = "".join(style)
            for colour in _COLOUR.findall(line):
                style = _add_colour(style, colour)
            if line:
                lines[number] = before + line + (_RESET if style else "")
    return lines


def strip_colours(text: str) -> str:
    """Return text without the control sequences for colours (those that end in ``m``)."""
    return _COLOUR.sub("", text)


class LastLine:
    """The last line of some output that has something visible on it, while the output comes in.

    Of a line that is longer than 4096 columns, it knows the end.
    """

    def __init__(self) -> None:
        self._line = _Line()
        self._finished = ""
        self._pending = ""

    def feed(self, text: str) -> None:
        """Take more output. It may start and end within an escape sequence."""
        first, *others = _NEWLINE.split(self._pending + text)
        self._write(first)
        if not others:
            return
        if self.is_unfinished:
            self._finished = self._line.text
        # Of the lines that have ended, only the last that shows something counts.
        for ended in filter(str.strip, reversed(others[:-1])):
            self._line = _Line()
            self._write(ended)
            if self.is_unfinished:
                self._finished = self._line.text
                break
        self._line = _Line()
        self._write(others[-1])

    def _write(self, text: str) -> None:
        """Take more of a line."""
        self._pending = ""
        for token in _TOKEN.finditer(text):
            if token["unfinished"]:
                # What a long one says does not matter: only how it starts, and whether its last
                # character is the first of the two that end it.
                end = "\x1b" if token[0].endswith("\x1b") else ""
                self._pending = token[0].removesuffix(end)[:_LONGEST_SEQUENCE] + end
            else:
                self._line.apply(token)
                self._line.forget_start(4096)

    @property
    def text(self) -> str:
        """The line without its colours; the unfinished one if something is visible on it."""
        return self._line.text if self.is_unfinished else self._finished

    @property
    def is_unfinished(self) -> bool:
        """Whether the output ends in visible text without a newline, as a prompt does."""
        return any(display_width(character) for character in self._line.text.strip())


def group_equal(outputs: Mapping[str, H]) -> list[tuple[list[str], H]]:
    """Return the names that have equal values, with the value: the largest group first.

    Groups of the same size, and the names in a group, are in the order of the mapping.
    """
    groups: dict[H, list[str]] = {}
    for name, value in outputs.items():
        groups.setdefault(value, []).append(name)
    return [(names, value) for value, names in sorted(groups.items(), key=lambda g: -len(g[1]))]


def unified(common: str, other: str, common_name: str, other_name: str) -> list[str]:
    """Return a unified diff as lines without newlines; none when the texts are equal.

    As ``diff -u`` does, it says so where the last line of a text has no newline.
    """
    # Imported late: only who compares outputs waits for it.
    from difflib import unified_diff

    lines = []
    for line in unified_diff(_split(common), _split(other), common_name, other_name):
        lines.append(line.removesuffix("\n"))
        if not line.endswith("\n"):
            lines.append("\\ No newline at end of file")
    return lines


# The sequences that together make the colours of a character, after the last reset.
_Style = tuple[str, ...]

# More of them at once, or longer ones, no program needs: the oldest, and the long, are dropped.
_MOST_COLOURS = 8
_LONGEST_SEQUENCE = 64
# A movement to the right ends there, as it would at the edge of a wide terminal.
_WIDEST = 200
# Of the marks on a character, so many are kept.
_MOST_MARKS = 16

_CSI = r"(?:\x1b\[|\x9b)"
# The titles, clipboards, and pictures that strings carry. One that is never ended, ends at the
# next control character: nothing of the lines after it is lost.
_STRING = r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x00-\x1f\x9c]*+"
_TOKEN = re.compile(
    rf"""
    (?P<text> [^\x00-\x1f\x7f-\x9f]++)
    | (?P<unfinished> (?: {_CSI}[0-?]*+[\ -/]*+ | {_STRING}\x1b? | \x1b[\ -/]*+ ) \Z)
    | {_CSI} (?P<parameters> [0-?]*+) (?P<middle> [\ -/]*+) (?P<final> [@-~]?)
    | {_STRING} (?: \x07 | \x9c | \x1b\\ )?
    | \x1b[\ -/]*+[0-~]?
    | [\x00-\x1f\x7f-\x9f]
    """,
    re.VERBOSE,
)
_NEWLINE = re.compile(r"[\n\v\f]")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_REDRAWING = re.compile(rf"[\r\b]|{_CSI}[0-9]*+[CDGJK]")
_SWITCH = r"\x1b\[\?(?:10)?4[79]"
_OTHER_SCREEN = re.compile(
    rf"{_SWITCH}h [^\x1b]*+ (?: (?!{_SWITCH}[hl]) \x1b[^\x1b]*+ )*+ {_SWITCH}l", re.VERBOSE
)
_COLOUR = re.compile(rf"{_CSI}[0-9;:]*+m")
_RESET = "\x1b[0m"


class _Line:
    """A line of a terminal: its columns, and where the cursor is."""

    def __init__(self, style: _Style = ()) -> None:
        self.style = style
        self._first_style = style
        # A column that a wide character or a tab to the left of it takes is empty.
        self._cells: list[str] = []
        self._styles: list[_Style] = []
        self._cursor = 0
        self._is_written_over = False

    @property
    def text(self) -> str:
        """What is on the line, without colours."""
        text = "".join(self._cells)
        return text.rstrip(" ") if self._is_written_over else text

    def show(self) -> str:
        """Return what is on the line, with colours, and at its end those for the next."""
        end = len(self._cells)
        if self._is_written_over:
            while end and self._cells[end - 1] == " " and not self._styles[end - 1]:
                end -= 1
        shown = []
        style = self._first_style
        for cell, next_style in zip(self._cells[:end], self._styles[:end], strict=True):
            if next_style != style:
                shown.append(_change_colours(style, next_style))
                style = next_style
            shown.append(cell)
        return "".join([*shown, _change_colours(style, self.style)])

    def apply(self, token: re.Match[str]) -> None:
        """Do what a terminal does for this part of the output."""
        if token["text"]:
            self._write(token["text"])
        elif token[0] == "\r":
            self._cursor = 0
        elif token[0] == "\b":
            self._cursor = max(0, self._cursor - 1)
        elif token[0] == "\t":
            self._move_to_tab_stop()
        elif colour := _colour_in(token):
            self.style = _add_colour(self.style, colour)
        elif token["final"] and not token["middle"] and not token["parameters"].strip("0123456789"):
            # The slice is for int(), which refuses very long numbers.
            self._control(token["final"], int(token["parameters"][:9] or 0))

    def forget_start(self, limit: int) -> None:
        """Keep only the end of a line that is longer than this."""
        if len(self._cells) > limit:
            # Half of it, so that this happens seldom.
            forgotten = len(self._cells) - limit // 2
            del self._cells[:forgotten], self._styles[:forgotten]
            self._cursor = max(0, self._cursor - forgotten)

    def _control(self, final: str, number: int) -> None:
        rightmost = max(self._cursor, len(self._cells), _WIDEST)
        if final == "C":
            self._cursor = min(self._cursor + max(1, number), rightmost)
        elif final == "D":
            self._cursor = max(0, self._cursor - max(1, number))
        elif final == "G":
            self._cursor = min(max(1, number) - 1, rightmost)
        elif final in ("J", "K") and number == 0:
            self._split_at(self._cursor)
            del self._cells[self._cursor :], self._styles[self._cursor :]
        elif final == "K" and number == 2:
            self._cells.clear()
            self._styles.clear()
            # Further right, a terminal would have gone on in the next line.
            self._cursor = min(self._cursor, _WIDEST)

    def _write(self, text: str) -> None:
        if text.isascii():
            self._put(text)
            return
        for character in text:
            if width := _width(character):
                self._put([character, *[""] * (width - 1)])
            else:
                self._mark(character)

    def _put(self, cells: Sequence[str]) -> None:
        start, end = self._cursor, self._cursor + len(cells)
        if start < len(self._cells):
            self._is_written_over = True
            self._split_at(start)
            self._split_at(end)
        else:
            missing = start - len(self._cells)
            self._cells += " " * missing
            self._styles += [()] * missing
        self._cells[start:end] = cells
        self._styles[start:end] = [self.style] * len(cells)
        self._cursor = end

    def _mark(self, mark: str) -> None:
        """Add a character without a width to the one before the cursor."""
        at = min(self._cursor, len(self._cells)) - 1
        while at > 0 and not self._cells[at]:
            at -= 1
        if at >= 0 and len(self._cells[at]) <= _MOST_MARKS:
            self._cells[at] += mark

    def _move_to_tab_stop(self) -> None:
        stop = self._cursor // 8 * 8 + 8
        # A tab writes nothing. It is kept only where nothing was, since there it looks the same.
        start = max(self._cursor, len(self._cells))
        if start < stop:
            self._cursor = start
            self._put(["\t", *[""] * (stop - start - 1)])
        self._cursor = stop

    def _split_at(self, column: int) -> None:
        """Turn what spans this column and the one before into blanks, as half of it goes."""
        if not 0 < column < len(self._cells) or self._cells[column]:
            return
        start, end = column - 1, column
        while start > 0 and not self._cells[start]:
            start -= 1
        while end < len(self._cells) and not self._cells[end]:
            end += 1
        self._cells[start:end] = " " * (end - start)


def _colour_in(token: re.Match[str]) -> str:
    """Return the control sequence for a colour that a token is, or nothing."""
    if token["final"] == "m" and len(token[0]) <= _LONGEST_SEQUENCE and _COLOUR.fullmatch(token[0]):
        return f"\x1b[{token['parameters']}m"
    return ""


def _add_colour(style: _Style, colour: str) -> _Style:
    parameters = colour[2:-1]
    if not parameters.strip("0;"):
        return ()
    if not parameters.partition(";")[0].strip("0"):
        return (colour,)
    return (*(earlier for earlier in style if earlier != colour), colour)[-_MOST_COLOURS:]


def _change_colours(old: _Style, new: _Style) -> str:
    if new[: len(old)] == old:
        return "".join(new[len(old) :])
    return "".join([_RESET, *new])


def _split(text: str) -> list[str]:
    """Return lines with their newlines; `str.splitlines` would split elsewhere too."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


@lru_cache(4096)
def _width(character: str) -> int:
    return display_width(character)
