"""Passwords and keys: kept out of everything that is shown, logged or raised."""

from __future__ import annotations

import hmac
import shlex
import threading
from typing import NoReturn

__all__ = ["Secret", "redact"]

# A shorter one would be found in texts that have nothing to do with it, and hiding it there would
# tell more than it hides.
_SHORTEST = 4
_HIDDEN = "***"


class Secret:
    """A text that nobody is to see: its ``repr``, its ``str`` and its format are ``***``.

    ``reveal()`` gives the text, for whoever passes it on. Logs do not show it either, wherever it
    stands in them (see :func:`redact`).
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text
        _remember(text)

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({_HIDDEN})"

    def __str__(self) -> str:
        return _HIDDEN

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled: it would be readable where it arrives")


def redact(text: str) -> str:
    """Return a text with every secret of this process in it, also a quoted one, as ``***``."""
    for word in _words:
        if word in text:
            text = text.replace(word, _HIDDEN)
    return text


# The longest first: one may be a part of another. Replaced, never changed, so that reading takes
# no lock.
_words: tuple[str, ...] = ()
_lock = threading.Lock()


def _remember(text: str) -> None:
    global _words
    if len(text) < _SHORTEST:
        return
    with _lock:
        found = {text, shlex.quote(text), *text.splitlines(), *_words}
        _words = tuple(sorted(found, key=len, reverse=True))
