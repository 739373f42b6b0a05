"""What a misspelt name was meant to be, for messages."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["find_nearest"]


def find_nearest(name: str, known: Iterable[str], similarity: float = 0.6) -> str | None:
    """Return the known name that is most like this one, or None when none is at all.

    :param similarity: how like it has to be, from 0 to 1, as ``difflib`` measures it.
    """
    # Imported late: only who has made a mistake waits for it.
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, list(known), 1, similarity)), None)
