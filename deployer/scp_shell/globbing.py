"""Words of a line that name files: what is quoted in them, and which names they match. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ..cli.grammar import Token, parse, quote, tokenize

__all__ = ["Word", "expand", "quote_name", "read_words"]

# What has a meaning in a pattern, some of it only between brackets.
_SPECIAL = frozenset("*?[]!^-")
_WILDCARD = re.compile(r"[*?\[]")


class Word(NamedTuple):
    """A word of a line, and what of it is not quoted."""

    text: str
    #: Where the characters stand that have a meaning in a pattern, and are not quoted.
    special: frozenset[int] = frozenset()
    #: Whether its first character is not quoted: a tilde is a home then, a dash begins an option.
    begins_plain: bool = False

    @property
    def has_wildcards(self) -> bool:
        """Whether it stands for all names that it matches, and not for itself."""
        return any(matches for _, matches in self._split())

    @property
    def has_tilde(self) -> bool:
        """Whether it begins with a home directory."""
        return self.begins_plain and self.text.startswith("~") and self._split()[0][1] is None

    @property
    def is_option(self) -> bool:
        """Whether it reads ``-x``, or ``--``."""
        return self.begins_plain and len(self.text) > 1 and self.text.startswith("-")

    def _split(self) -> list[tuple[str, Callable[[str], object] | None]]:
        """Return the parts between slashes, and what tells whether a name matches each of them.

        That is None for a part without wildcards.
        """
        parts = []
        position = 0
        for part in self.text.split("/"):
            end = position + len(part)
            special = frozenset(i - position for i in self.special if position <= i < end)
            parts.append((part, _compile(part, special)))
            position = end + 1
        return parts


def read_words(line: str) -> list[Word]:
    """Return the words of a line; raise LineError if it is not finished."""
    return [
        Word(token.text, _find_special(line, token), token.plain > 0) for token in parse(line).words
    ]


def expand(word: Word, list_names: Callable[[str], Iterable[str] | None]) -> list[Word]:
    """Return the paths that match a word, sorted; a word without wildcards is its only match.

    As in shells, a leading dot is matched by a dot only, and a slash by nothing else.

    :param list_names: returns the names in a directory, which is given as the word has it (empty,
        or with a slash at its end); None for what is no directory.
    """
    if not word.has_wildcards:
        return [Word(word.text, frozenset(), word.has_tilde)]
    found = [""]
    was_listed = False
    parts = word._split()
    for number, (part, matches) in enumerate(parts):
        slash = "/" if number < len(parts) - 1 else ""
        if matches is None and not was_listed:
            found = [part + slash if path == "" else path + part + slash for path in found]
        elif not part:
            found = [path + slash for path in found if list_names(path) is not None]
        else:
            was_listed = True
            found = [
                path + name + slash
                for path in found
                for name in sorted(list_names(path) or ())
                if (name == part if matches is None else matches(name))
            ]
    return [Word(path, frozenset(), word.has_tilde) for path in found]


def quote_name(text: str, style: str = "") -> str:
    """Return a name so quoted that it is one word, and stands for itself alone.

    :param style: the quote that is open already, which is then used.
    """
    quoted = quote(text, style)
    if quoted[:1] in ("'", '"'):
        return quoted
    quoted = _WILDCARD.sub(r"\\\g<0>", quoted)
    return "\\" + quoted if text.startswith(("~", "-")) else quoted


def _find_special(line: str, token: Token) -> frozenset[int]:
    """Return where in the text of a word special characters stand that are not quoted."""
    special = {i for i, c in enumerate(token.text[: token.plain]) if c in _SPECIAL}
    raw = line[token.start : token.end]
    for i in range(token.plain, len(raw)):
        if raw[i] in _SPECIAL:
            # What stands before a character says whether it is quoted, and how much text that is.
            (before,) = tokenize(raw[:i])
            if not before.unfinished:
                special.add(len(before.text))
    return frozenset(special)


def _compile(part: str, special: frozenset[int]) -> Callable[[str], object] | None:
    """Return what tells whether a name matches a part of a path; None if it has no wildcards."""
    expression = ""
    has_wildcards = False
    position = 0
    while position < len(part):
        character = part[position]
        following = position + 1
        if position not in special or character not in "*?[":
            expression += re.escape(character)
        elif character == "[":
            end = _find_end_of_set(part, special, following)
            if end is None:
                expression += re.escape(character)
            else:
                has_wildcards = True
                expression += _translate_set(part, special, following, end)
                following = end + 1
        else:
            has_wildcards = True
            expression += "." if character == "?" else ".*"
        position = following
    if not has_wildcards:
        return None
    pattern = re.compile(expression, re.DOTALL)
    shows_hidden = part.startswith(".")
    return lambda name: (shows_hidden or not name.startswith(".")) and pattern.fullmatch(name)


def _find_end_of_set(part: str, special: frozenset[int], start: int) -> int | None:
    if part[start : start + 1] in ("!", "^") and start in special:
        start += 1
    # A bracket that comes first is one of the set.
    for position in range(start + 1, len(part)):
        if part[position] == "]" and position in special:
            return position
    return None


def _translate_set(part: str, special: frozenset[int], start: int, end: int) -> str:
    is_negated = part[start] in "!^" and start in special
    position = start + 1 if is_negated else start
    members = ""
    while position < end:
        first = part[position]
        if position + 2 < end and part[position + 1] == "-" and position + 1 in special:
            last = part[position + 2]
            # As everywhere, a range that goes backwards has nothing in it.
            members += f"{re.escape(first)}-{re.escape(last)}" if first <= last else ""
            position += 3
        else:
            members += re.escape(first)
            position += 1
    if not members:
        return "." if is_negated else "(?!)"
    return f"[{'^' if is_negated else ''}{members}]"
