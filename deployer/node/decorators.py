"""Decorators for the actions of a node.

They also take an action that is inherited, and leave the class that it comes from as it is::

    class Web(Release):
        activate = serial(1)(Release.activate)
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from ..exceptions import NodeDefinitionError
from ..utils.classes import copy_function

if TYPE_CHECKING:
    from ..parallel import RunOptions

__all__ = [
    "Marks",
    "alias",
    "changes_nothing",
    "dont_isolate_yet",
    "get_marks",
    "isolate_one_only",
    "serial",
    "suppress_action_result",
]

F = TypeVar("F", bound=Callable[..., Any])

# What is known about an action is kept on its function, so that decorators that copy a function's
# attributes (functools.wraps) may come before or after these.
_MARKS = "_node_action_marks"


class Marks(NamedTuple):
    """What the decorators say of an action."""

    #: Its other names, in the order in which they are written.
    aliases: tuple[str, ...] = ()
    #: Whether it runs once on a whole array.
    is_isolated_later: bool = False
    #: Whether it runs in a single cell of an array.
    needs_one_cell: bool = False
    #: The options ``batches`` and ``max_failures`` of ``serial``.
    batches: RunOptions | None = None
    #: Whether the shell shows nothing of what it returns.
    suppresses_result: bool = False
    #: Whether its author says that it changes nothing.
    changes_nothing: bool = False


def alias(name: str) -> Callable[[F], F]:
    """Give an action one more name, of any characters; may be used several times."""
    if not isinstance(name, str) or not name:
        raise TypeError(f"alias() takes a name, not {name!r}")

    def decorate(function: F) -> F:
        return _mark(function, aliases=(name,))

    return decorate


def changes_nothing(function: F) -> F:
    """Promise that the action changes nothing, so that it runs unasked in production, too.

    Nothing checks that. What it calls counts as it does. In a subclass, an action of the same name
    is asked about, unless it is decorated as well.
    """
    return _mark(function, changes_nothing=True)


def dont_isolate_yet(function: F) -> F:
    """Run the action of a ParallelNode once, on the whole array, and not once per cell."""
    return _mark(function, is_isolated_later=True)


def isolate_one_only(function: F) -> F:
    """Run the action of a ParallelNode in one cell; of several, somebody is asked which."""
    return _mark(function, needs_one_cell=True)


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
        return _mark(function, batches=changes)

    return decorate


def suppress_action_result(function: F) -> F:
    """Keep the shell and the command line from printing what the action returns."""
    return _mark(function, suppresses_result=True)


def get_marks(function: Callable[..., Any]) -> Marks:
    """Return what the decorators have said of a function."""
    marks: Marks = getattr(function, _MARKS, _NONE)
    return marks


_NONE = Marks()


def _mark(function: F, aliases: tuple[str, ...] = (), **changes: Any) -> F:
    """Return a copy of a function with more marks: the function itself may be another class's.

    An inherited action stays one, so that its ``super()`` is that of the class it was written in.
    """
    given: Any = function
    if hasattr(type(given), "_node_with_function"):
        marked = given._node_with_function(lambda own: _mark(own, aliases, **changes))
    elif isinstance(given, FunctionType):
        marks = get_marks(given)
        marked = copy_function(given)
        # Decorators run from the last to the first: names stay in the order they are written.
        setattr(marked, _MARKS, marks._replace(aliases=(*aliases, *marks.aliases), **changes))
    else:
        raise NodeDefinitionError(
            f"{given!r} cannot be decorated as an action: write the decorator above a function of "
            "the class, or give it an action of another class, like serial(1)(Base.deploy)"
        )
    return cast(F, marked)
