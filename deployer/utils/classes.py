"""Subclass a class, or copy a function, so that it still looks like the original."""

from __future__ import annotations

import functools
import types
from typing import Any, TypeVar

__all__ = ["copy_function", "derive"]

C = TypeVar("C", bound=type)

# Without these, inspect.getsource and tracebacks would point to where the subclass was made.
# Python 3.13 finds the source of a class by __firstlineno__, earlier versions by __qualname__.
_IDENTITY = ("__module__", "__qualname__", "__doc__", "__firstlineno__")


def derive(cls: C, /, **attributes: Any) -> C:
    """Return a subclass of ``cls`` with these attributes, its name, module and docstring.

    This is how deployer changes a class of a user without touching it.
    """
    if not isinstance(cls, type):
        raise TypeError(f"a node class is needed here, not {cls!r}")
    identity = {name: getattr(cls, name) for name in _IDENTITY if hasattr(cls, name)}
    return type(cls)(cls.__name__, (cls,), {**identity, **attributes})


def copy_function(
    function: types.FunctionType, closure: tuple[types.CellType, ...] | None = None
) -> types.FunctionType:
    """Return a function that does the same, with attributes of its own.

    :param closure: what its free variables are bound to; None for what those of the original are.
    """
    copy = types.FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__ if closure is None else closure,
    )
    functools.update_wrapper(copy, function, updated=())
    copy.__kwdefaults__ = function.__kwdefaults__
    # Without the __wrapped__ that was just set, unless the original has one.
    copy.__dict__ = dict(vars(function))
    return copy
