"""Text: quoting for shells, and indenting."""

from __future__ import annotations

import os
import re

__all__ = ["abbreviate", "esc1", "esc2", "first_line", "indent", "tidy_path", "under_name"]


def esc1(string: str) -> str:
    """Escape a string for use inside single quotes in a shell command.

    The quotes around it are the caller's: ``"git checkout '%s'" % esc1(commit)``.
    """
    # Between double quotes rather than after a backslash: fish and csh read this alike.
    return string.replace("'", "'\"'\"'")


def esc2(string: str) -> str:
    """Escape a string for use inside double quotes in a shell command.

    The quotes around it are the caller's: ``'echo "%s"' % esc2(text)``. Variables and command
    substitutions in it are text, too. It is for POSIX shells; csh has no such escapes.
    """
    return re.sub(r'([\\"$`])', r"\\\1", string)


def indent(string: str, prefix: str = "    ") -> str:
    """Put the prefix before every line, empty ones included; line ends stay as they are."""
    return "".join(prefix + line for line in string.splitlines(keepends=True))


def tidy_path(path: str) -> str:
    """Return a path without what Python leaves in that of a script run as ``./deploy.py``."""
    return path.replace(f"{os.sep}.{os.sep}", os.sep)


def abbreviate(string: str, width: int = 100) -> str:
    """Return as much of a text as a message has room for: its first line, or a part of that."""
    first = string.strip().partition("\n")[0]
    short = first if len(first) <= width else first[: width - 1]
    return short if short == string.strip() else f"{short.rstrip()}…"


def first_line(string: str) -> str:
    """Return a text of one line as it is; of more, the first, and how many there are besides."""
    first, *others = string.strip().splitlines() or [""]
    count = f"{len(others)} more line" + "s" * (len(others) != 1)
    return f"{first.rstrip()} … ({count})" if others else first


def under_name(name: str, text: str) -> str:
    """Return a text behind a name; below it, and indented, when it has several lines."""
    return f"{name}:\n{indent(text)}" if "\n" in text else f"{name}: {text}"
