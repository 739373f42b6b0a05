"""Lines into words, quoted as in a shell; pure text, with every position known."""

from __future__ import annotations

from typing import NamedTuple

from ..exceptions import DeployerException

__all__ = ["Invocation", "LineError", "Token", "parse", "quote", "tokenize"]

_BLANK = " \t\n"
# What means something to this grammar, or would surprise somebody who knows a shell.
_SPECIAL = frozenset(_BLANK + "\\'\"#")


class LineError(DeployerException, ValueError):
    """A line is not finished: a quote is open, or it ends in a backslash."""


class Token(NamedTuple):
    """A word of a line."""

    #: The word itself, without its quotes.
    text: str
    #: Where it stands in the line, with its quotes.
    start: int
    end: int
    #: The quote that is still open at its end, a backslash for an unfinished escape, or nothing.
    unfinished: str = ""
    #: How much of ``text`` came before any quote or backslash.
    plain: int = 0

    @property
    def keyword(self) -> tuple[str, str] | None:
        """The name and the value, if it reads ``name=value`` (with the ``name=`` not quoted)."""
        name, equals, value = self.text.partition("=")
        if equals and name.isidentifier() and len(name) < self.plain:
            return name, value
        return None


class Invocation(NamedTuple):
    """A line that is finished: its words. A line without words has none."""

    words: tuple[Token, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The words without quotes."""
        return tuple(word.text for word in self.words)


def tokenize(line: str) -> list[Token]:
    """Split a line into words, also one that is not finished; never raises.

    Blanks separate; ``'…'`` is literal, ``"…"`` too but for a backslash before ``"`` or a
    backslash, and a backslash elsewhere makes the next character literal. A ``#`` at the
    beginning of a word begins a comment.
    """
    tokens: list[Token] = []
    position = 0
    while True:
        while position < len(line) and line[position] in _BLANK:
            position += 1
        if position == len(line) or line[position] == "#":
            return tokens
        token = _read_token(line, position)
        tokens.append(token)
        position = token.end


def parse(line: str) -> Invocation:
    """Return the words of a line; raise LineError, which says what is missing, if it has no end."""
    tokens = tokenize(line)
    if tokens and tokens[-1].unfinished:
        missing = tokens[-1].unfinished
        if missing == "\\":
            raise LineError("The line ends in a backslash; write \\\\ for the character itself")
        raise LineError(f"The quote {missing} at {tokens[-1].text!r} is never closed")
    return Invocation(tuple(tokens))


def quote(text: str, style: str = "") -> str:
    """Return a text so quoted that it is one word.

    :param style: the quote that is open already, which is then used; else a backslash is put
        before each special character.
    """
    if style == '"':
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    # Within single quotes nothing can be escaped: they are closed, and opened again.
    if style == "'" or not text or "\n" in text:
        return "'" + text.replace("'", "'\\''") + "'"
    return "".join("\\" + c if c in _SPECIAL else c for c in text)


def _read_token(line: str, start: int) -> Token:
    text = ""
    plain: int | None = None
    open_quote = ""
    position = start
    while position < len(line):
        character = line[position]
        following = line[position + 1 : position + 2]
        if open_quote:
            if character == open_quote:
                open_quote = ""
            elif character == "\\" and open_quote == '"' and following in ('"', "\\"):
                text += following
                position += 1
            else:
                text += character
        elif character in _BLANK:
            break
        elif character in "'\"":
            plain = len(text) if plain is None else plain
            open_quote = character
        elif character == "\\":
            plain = len(text) if plain is None else plain
            if not following:
                open_quote = "\\"
            text += following
            position += 1
        else:
            text += character
        position += 1
    return Token(
        text,
        start,
        min(position, len(line)),
        open_quote,
        len(text) if plain is None else plain,
    )
