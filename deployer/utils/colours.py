"""Whether a stream shows colours, and text in colours for it."""

from __future__ import annotations

import os
from typing import TextIO

from termcolor import colored

__all__ = ["paint", "shows_colours"]


def shows_colours(stream: TextIO) -> bool:
    """Whether to write colours to a stream: it is a terminal that has them, and may get them.

    ``NO_COLOR``, when set to anything, turns them off (https://no-color.org).
    """
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # No stream at all, or a closed one.
        return False


def paint(text: str, colour: str | None, *, enabled: bool, bold: bool = False) -> str:
    """Return the text in a colour (a name that termcolor knows), or unchanged if not enabled."""
    if not enabled or not (colour or bold):
        return text
    # Forced, because termcolor on its own asks stdout only, and remembers the first answer.
    return colored(text, colour, attrs=["bold"] if bold else None, force_color=True)
