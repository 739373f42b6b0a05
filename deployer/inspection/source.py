"""Where the parts of a tree are written, and how."""

from __future__ import annotations

import types
from typing import Any, NamedTuple

from ..utils.string_utils import tidy_path

__all__ = ["Place", "find_place", "read_source"]


class Place(NamedTuple):
    """Some lines of a file."""

    file: str
    line: int
    last_line: int

    def __str__(self) -> str:
        """Return it like ``deploy.py:12-18``."""
        last = "" if self.last_line == self.line else f"-{self.last_line}"
        return f"{self.file}:{self.line}{last}"


def find_place(value: Any) -> Place | None:
    """Return where a function or a class is defined; None where no file says so.

    Of a decorated function, it is the place of the original, with its decorators.
    """
    found = _read(value)
    if found is not None:
        return found[0]
    # The file is no more, or cannot be read; but code knows where it came from.
    while isinstance(inner := getattr(value, "__wrapped__", None), types.FunctionType):
        value = inner
    code = getattr(value, "__code__", None)
    if code is None or code.co_filename.startswith("<"):
        return None
    return Place(tidy_path(code.co_filename), code.co_firstlineno, code.co_firstlineno)


def read_source(value: Any) -> tuple[Place, str] | None:
    """Return where a function or a class is defined, with its text; None where that cannot be read.

    The text has no indentation.
    """
    found = _read(value)
    if found is None:
        return None
    # Imported here, as it is needed here only.
    from textwrap import dedent

    place, lines = found
    return place, dedent("".join(lines)).rstrip()


def _read(value: Any) -> tuple[Place, list[str]] | None:
    # Imported here, as it takes half as long as Python's start.
    import inspect

    try:
        value = inspect.unwrap(value)
        file = inspect.getsourcefile(value)
        lines, first = inspect.getsourcelines(value)
    except (OSError, TypeError, ValueError, SyntaxError):
        # Made by a program; or the file is no more, or another one.
        return None
    return (Place(tidy_path(file), first, first + len(lines) - 1), lines) if file else None
