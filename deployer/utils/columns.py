"""How wide text is on a terminal, and lists in columns."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

__all__ = ["display_width", "shorten", "to_columns"]

_CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def display_width(text: str) -> int:
    """Return how many columns a text takes: escape sequences none, wide characters two."""
    if text.isascii() and text.isprintable():
        return len(text)
    return sum(_character_width(c) for c in _CONTROL_SEQUENCE.sub("", text))


def shorten(text: str, width: int) -> str:
    """Return a text (without escape sequences) cut to a width, with ``…`` where it was cut."""
    if display_width(text) <= width:
        return text
    room = width - 1
    kept = ""
    for character in text:
        room -= _character_width(character)
        if room < 0:
            break
        kept += character
    return kept + "…" if width > 0 else ""


def to_columns(items: Sequence[str], width: int, gap: int = 2) -> list[str]:
    """Return lines that show the items in as many columns as fit, ordered downwards."""
    if not items:
        return []
    cell = max(display_width(item) for item in items) + gap
    columns = max(1, (width + gap) // cell)
    rows = -(-len(items) // columns)
    lines = []
    for row in range(rows):
        shown = items[row::rows]
        padded = [item + " " * (cell - display_width(item)) for item in shown[:-1]]
        lines.append("".join([*padded, shown[-1]]))
    return lines


def _character_width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Cc", "Cf", "Mn"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
