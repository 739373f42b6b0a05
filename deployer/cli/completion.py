"""What could come next in a line: pure functions from a line and a cursor to completions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from .grammar import Token, quote, tokenize

__all__ = [
    "Candidate",
    "CandidateSource",
    "Complete",
    "Completion",
    "complete",
    "did_you_mean",
    "find_matching",
]


class Candidate(NamedTuple):
    """A word that could stand where the cursor is."""

    #: The whole word, not quoted.
    value: str
    #: A line of help, shown beside it.
    help: str = ""
    #: How it is shown; its value when empty.
    display: str = ""
    #: Whether the word is complete, so that a blank follows.
    is_final: bool = True
    #: The colour that it is shown in, as termcolor calls it; empty for none.
    colour: str = ""
    #: Whether it is shown, and not put in, where there is nothing else and none of it is typed.
    is_hint: bool = False


class Completion(NamedTuple):
    """A replacement for a part of the line: for what stands between ``start`` and the cursor."""

    #: What to put there, quoted.
    text: str
    start: int
    display: str
    help: str = ""
    #: What follows the text once it is the only one: a closing quote, a blank, or nothing.
    append: str = " "
    #: The colour of ``display``, as termcolor calls it; empty for none.
    colour: str = ""
    #: Whether it is shown, and not put in, where there is nothing else.
    is_hint: bool = False


#: Returns the completions for a line and the position of the cursor in it.
Complete = Callable[[str, int], Sequence[Completion]]


class CandidateSource(Protocol):
    """Knows the words that may follow others."""

    def get_candidates(self, words: Sequence[str], word: str) -> Iterable[Candidate]:
        """Return the candidates for the word at the cursor.

        :param words: the words before it.
        :param word: what is typed of it so far. Candidates need not begin with it: they are
            filtered afterwards.
        """


def complete(source: CandidateSource, line: str, cursor: int | None = None) -> list[Completion]:
    """Return the completions of the word that ends at the cursor (the line's end if not given).

    Those that begin with the word, whatever their case; if there are none and exactly one contains
    its letters in their order, that one.
    """
    line = line[:cursor]
    tokens = tokenize(line)
    end = tokens[-1].end if tokens else 0
    if line[end:].strip(" \t\n"):
        return []  # Within a comment.
    if tokens and end == len(line):
        *before, current = tokens
    else:
        before, current = tokens, Token("", len(line), len(line))
    candidates = list(source.get_candidates([token.text for token in before], current.text))
    style = _get_open_quote(line, current)
    return [
        _make(candidate, current, style) for candidate in find_matching(candidates, current.text)
    ]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x' or 'y'?`` for the known words that are like a word, or nothing."""
    # Imported here: it takes its time to load, and is only needed for mistakes.
    from difflib import get_close_matches

    # An alias may be of the very name that there is not.
    by_folded = {name.lower(): name for name in known if name != word}
    close = [by_folded[match] for match in get_close_matches(word.lower(), by_folded, n=3)]
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""


def find_matching(candidates: Sequence[Candidate], word: str) -> list[Candidate]:
    """Return the candidates that a word could become, by the rule of ``complete``."""
    folded = word.lower()
    exact = [c for c in candidates if c.value.startswith(word)]
    if exact:
        return exact
    beginning = [c for c in candidates if c.value.lower().startswith(folded)]
    if beginning:
        return beginning
    # Several of these have no common beginning: completing them would take away what was typed.
    containing = [c for c in candidates if _contains_in_order(c.value.lower(), folded)]
    return containing if len(containing) == 1 else []


def _contains_in_order(text: str, letters: str) -> bool:
    remaining = iter(text)
    return all(letter in remaining for letter in letters)


def _get_open_quote(line: str, token: Token) -> str:
    """Return the quote that the word begins with, if it is still open."""
    begins_with = line[token.start : token.start + 1]
    return begins_with if token.unfinished and begins_with == token.unfinished != "\\" else ""


def _make(candidate: Candidate, current: Token, style: str) -> Completion:
    text = quote(candidate.value, style)
    closing = text[-1] if style else ""
    return Completion(
        text=text.removesuffix(closing) if closing else text,
        start=current.start,
        display=candidate.display or candidate.value,
        help=candidate.help,
        append=(closing if candidate.is_final else "") + (" " if candidate.is_final else ""),
        colour=candidate.colour,
        is_hint=candidate.is_hint and not current.text,
    )
