"""Patterns, lists of them, and tokens, as the files of ssh have them."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from .ssh_keywords import ConfigError

__all__ = ["choose", "expand", "in_list", "matches"]

_TOKEN = r"%(?P<token>.?)"
_VARIABLE = r"\$\{(?P<name>[^}]*)\}"


@lru_cache(maxsize=4096)
def _regex(pattern: str) -> re.Pattern[str]:
    # Brackets mean nothing here, as in the name of a host with a port.
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")))


def matches(pattern: str, text: str) -> bool:
    """Whether a text matches a pattern, where ``*`` and ``?`` stand for others."""
    if "*" not in pattern and "?" not in pattern:
        return pattern == text
    return _regex(pattern).fullmatch(text) is not None


def in_list(patterns: str, text: str, fold: bool = False) -> bool:
    """Whether a text matches one of several patterns with commas between, and none with a ``!``."""
    found = False
    for pattern in (patterns.lower() if fold else patterns).split(","):
        if pattern.startswith("!") and matches(pattern[1:], text):
            return False
        found = found or matches(pattern, text)
    return found


def expand(text: str, known: Mapping[str, str], where: str, variables: bool = False) -> str:
    """Return a text with its tokens, and if asked for its ``${VARIABLES}``, replaced.

    :raises ConfigError: for one that is not known; ``where`` says in which line.
    """

    def replacement(match: re.Match[str]) -> str:
        found = match.groupdict()
        if found["token"] is not None:
            if found["token"] not in known:
                raise ConfigError(f"{where}: there is no token {match[0]} here, in {text!r}")
            return known[found["token"]]
        if found["name"] not in os.environ:
            raise ConfigError(f"{where}: the environment has no {found['name']}, in {text!r}")
        return os.environ[found["name"]]

    # In one go: what one stands for is not looked at again.
    pattern = f"{_TOKEN}|{_VARIABLE}" if variables else _TOKEN
    return re.sub(pattern, replacement, text, flags=re.DOTALL)


def choose(wanted: Sequence[str], offered: Sequence[str]) -> list[str]:
    """Return the algorithms of ours that a list of the config leaves, the preferred ones first.

    :param wanted: the list of the config. Its first word may begin with ``+`` (more than usual,
        and we offer all that we have), with ``-`` (less), or with ``^`` (these first).
    """
    mode, patterns = "", list(wanted)
    if patterns and patterns[0][:1] in ("+", "-", "^"):
        mode, patterns[0] = patterns[0][0], patterns[0][1:]
    named = [name for name in patterns if name in offered]
    others = [name for name in offered if not in_list(",".join(patterns), name)]
    return {"+": list(offered), "-": others, "^": named + others}.get(mode, named)
