"""Subclass a class so that it still looks like the original."""

from __future__ import annotations

from typing import Any, TypeVar

__all__ = ["derive"]

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
