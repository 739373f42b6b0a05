"""Whether a stream shows colours, and text in colours for it."""

from __future__ import annotations

import os
from typing import TextIO

from termcolor import colored

__all__ = ["choose_colours", "paint", "shows_colours"]

# In the environment, so that the processes that this one starts do as it does.
_CHOICE = "DEPLOYER_COLOR"


def choose_colours(when: str) -> None:
    """Have this process, and those that it starts, write colours ``always`` or ``never``.

    ``auto`` changes nothing: each stream is asked.
    """
    if when != "auto":
        os.environ[_CHOICE] = when


def shows_colours(stream: TextIO) -> bool:
    """Whether to write colours to a stream. The first of these that says something decides:

    - what was chosen (``--color``);
    - ``NO_COLOR``, set to anything but nothing: no (https://no-color.org);
    - ``FORCE_COLOR``, set to anything but nothing and ``0``: yes (https://force-color.org). It
      comes second, as in Python itself and in termcolor: who cannot read colours is right;
    - whether the stream is a terminal that has them.

    What only keeps the text that is written to it never gets any.
    """
    chosen = _choose()
    try:
        if chosen is None:
            return stream.isatty() and os.environ.get("TERM") != "dumb"
        return chosen and stream.fileno() >= 0
    except (AttributeError, OSError, ValueError):  # No stream at all, or a closed one.
        return False


def paint(text: str, colour: str | None, *, enabled: bool, bold: bool = False) -> str:
    """Return the text in a colour (a name that termcolor knows), or unchanged if not enabled."""
    if not enabled or not (colour or bold):
        return text
    # Forced, because termcolor on its own asks stdout only, and remembers the first answer.
    return colored(text, colour, attrs=["bold"] if bold else None, force_color=True)


def _choose() -> bool | None:
    """Return what holds for all streams; None where each is asked."""
    choice = os.environ.get(_CHOICE)
    if choice in ("always", "never"):
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    return True if os.environ.get("FORCE_COLOR", "0") not in ("", "0") else None
