"""Passwords and keys: kept out of everything that is shown, logged or raised."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import NoReturn, TypeVar

from .utils.string_utils import abbreviate, esc1, esc2

__all__ = [
    "Secret",
    "count_complete",
    "knows_secrets",
    "redact",
    "shown_command",
    "shows_unrevealed",
    "without_frames",
]

T = TypeVar("T")

# A shorter one would be found in texts that have nothing to do with it, and hiding it there would
# tell more than it hides.
_SHORTEST = 4
# Of a text of several lines, such as a private key: the last line of one may be three letters.
_SHORTEST_LINE = 8
_HIDDEN = "***"
# Of a Secret itself: no shell takes it, and it is told apart from what was redacted.
_UNREVEALED = f"Secret({_HIDDEN})"


class Secret:
    """A text that nobody is to see: its ``repr``, its ``str`` and its format are ``Secret(***)``.

    ``reveal()`` gives the text, for whoever passes it on. Hosts refuse commands, input and values
    of ``env`` with ``Secret(***)`` in them. Logs do not show the text either, wherever it
    stands in them (see :func:`redact`), unless it is shorter than four characters.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"a Secret is made of a str, not of a {type(text).__name__}")
        self._text = text
        _remember(text)

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return _UNREVEALED

    def __format__(self, spec: str) -> str:
        return format(_UNREVEALED, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        # Takes long to load, for what hardly anybody does.
        import hmac

        # Takes as long wherever they differ.
        return hmac.compare_digest(_encode(self._text), _encode(other._text))

    def __hash__(self) -> int:
        return hash(self._text)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled: it would be readable where it arrives")


def redact(text: str) -> str:
    """Return a text with every secret of this process in it, also a quoted one, as ``***``.

    Secrets of fewer than four characters are not looked for.
    """
    for word in _words:
        if word in text:
            text = text.replace(word, _HIDDEN)
    return text


def shows_unrevealed(text: str) -> bool:
    """Return whether a Secret was put into a text as it shows itself: its own text is not there."""
    return _UNREVEALED in text


def count_complete(text: str) -> int:
    """Return how many characters of a text can be redacted by themselves.

    The rest may be the beginning of a secret, or is a secret that overlaps such a beginning.
    """
    count = len(text)
    for word in _words:
        at = text.find(word[0], max(len(text) - len(word) + 1, 0))
        while at >= 0 and not word.startswith(text[at:]):
            at = text.find(word[0], at + 1)
        if at >= 0:
            count = min(count, at)
    is_stable = False
    while not is_stable:
        is_stable = True
        for word in _words:
            at = text.find(word, max(count - len(word) + 1, 0), count + len(word) - 1)
            if 0 <= at < count:
                count, is_stable = at, False
    return count


def shown_command(command: str) -> str:
    """Return a command as a message quotes it: in short, and without secrets."""
    # Redacted first: half a secret, at the end of what is shown, would not be found.
    return repr(abbreviate(redact(command)))


def knows_secrets() -> bool:
    """Whether there is anything to redact."""
    return bool(_words)


def without_frames(call: Callable[[], T]) -> T:
    """Return what a call returns; what it raises comes without the frames it was raised in.

    For calls that are given the text of a secret: tools that show the local variables of a
    traceback's frames would show it.
    """
    try:
        return call()
    except BaseException as error:
        error.__cause__ = error.__context__ = None
        raise error.with_traceback(None)  # noqa: B904 - it is the same exception


# The longest first: one may be a part of another. Replaced, never changed, so that reading takes
# no lock.
_words: tuple[str, ...] = ()
_lock = threading.Lock()


def _remember(text: str) -> None:
    global _words
    if len(text) < _SHORTEST or text in _words:
        return
    with _lock:
        found = {*_words, *_spellings(text)}
        for line in text.splitlines():
            # What a key begins and ends with is no secret, and is the same for all.
            if len(line) >= _SHORTEST_LINE and not line.startswith("-----"):
                found.update(_spellings(line))
        _words = tuple(sorted(found, key=len, reverse=True))


def _spellings(text: str) -> Iterator[str]:
    """Yield a text as it is, as it stands in quotes in a shell command, and in their ``repr``."""
    for spelling in (text, esc1(text), esc2(text)):
        yield spelling
        # With both kinds of quotes around, repr has to escape one of them; with one kind, none.
        escaped = repr("'\"" + spelling)[4:-1]
        yield escaped
        yield escaped.replace("\\'", "'")


def _encode(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
