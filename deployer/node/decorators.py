"""Decorators for the actions of a node."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from ..parallel import RunOptions

__all__ = [
    "alias",
    "dont_isolate_yet",
    "get_aliases",
    "get_batches",
    "is_isolated_later",
    "isolate_one_only",
    "needs_one_cell",
    "serial",
    "suppress_action_result",
    "suppresses_result",
]

F = TypeVar("F", bound=Callable[..., Any])

# What is known about an action is kept on its function, so that decorators that copy a function's
# attributes (functools.wraps) may come before or after these.
_ALIASES = "_node_action_aliases"
_DONT_ISOLATE = "_node_action_dont_isolate_yet"
_ONE_CELL = "_node_action_isolate_one_only"
_SERIAL = "_node_action_serial"
_SUPPRESS = "_node_action_suppress_result"


def alias(name: str) -> Callable[[F], F]:
    """Give an action one more name, of any characters; may be used several times."""
    if not isinstance(name, str) or not name:
        raise TypeError(f"alias() takes a name, not {name!r}")

    def decorate(function: F) -> F:
        # Decorators run from the last to the first: names stay in the order they are written.
        setattr(function, _ALIASES, (name, *get_aliases(function)))
        return function

    return decorate


def dont_isolate_yet(function: F) -> F:
    """Run the action of a ParallelNode once, on the whole array, and not once per cell."""
    setattr(function, _DONT_ISOLATE, True)
    return function


def isolate_one_only(function: F) -> F:
    """Run the action of a ParallelNode in one cell; the user is asked in which."""
    setattr(function, _ONE_CELL, True)
    return function


def serial(*sizes: int | str, max_failures: int | str = 0) -> Callable[[F], F]:
    """Run the action of a ParallelNode in batches of cells, one after another.

    ``@serial(2)`` takes two cells at a time, ``@serial('25%')`` a quarter of them, and
    ``@serial(1, '10%', '50%')`` begins with a single one; the last size holds for all that is left.

    :param max_failures: how many cells may fail before no more are begun: a number, or a share of
        all cells.
    """
    from ..parallel import RunOptions

    # Checked here, where the traceback shows the line.
    changes = RunOptions(batches=sizes, max_failures=max_failures)
    if not sizes:
        raise TypeError("serial() takes the size of a batch, as in @serial(2) or @serial('25%')")

    def decorate(function: F) -> F:
        setattr(function, _SERIAL, changes)
        return function

    return decorate


def suppress_action_result(function: F) -> F:
    """Keep the shell from printing what the action returns."""
    setattr(function, _SUPPRESS, True)
    return function


def get_aliases(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names that ``alias`` gave to a function."""
    aliases: tuple[str, ...] = getattr(function, _ALIASES, ())
    return aliases


def is_isolated_later(function: Callable[..., Any]) -> bool:
    """Return whether ``dont_isolate_yet`` decorated the function."""
    return getattr(function, _DONT_ISOLATE, False)


def needs_one_cell(function: Callable[..., Any]) -> bool:
    """Return whether ``isolate_one_only`` decorated the function."""
    return getattr(function, _ONE_CELL, False)


def get_batches(function: Callable[..., Any]) -> RunOptions | None:
    """Return the options that ``serial`` gave to a function: ``batches`` and ``max_failures``."""
    options: RunOptions | None = getattr(function, _SERIAL, None)
    return options


def suppresses_result(function: Callable[..., Any]) -> bool:
    """Return whether ``suppress_action_result`` decorated the function."""
    return getattr(function, _SUPPRESS, False)
