"""What a callable takes, read from its code: to import ``inspect`` takes half as long as Python."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

__all__ = [
    "KEYWORD_ONLY",
    "POSITIONAL_ONLY",
    "POSITIONAL_OR_KEYWORD",
    "VAR_KEYWORD",
    "VAR_POSITIONAL",
    "Parameter",
    "read_parameters",
]

# The kinds of parameters; numbered, and ordered in a signature, as in ``inspect``.
POSITIONAL_ONLY: Final = 0
POSITIONAL_OR_KEYWORD: Final = 1
VAR_POSITIONAL: Final = 2
KEYWORD_ONLY: Final = 3
VAR_KEYWORD: Final = 4

# As in ``inspect``.
_CO_VARARGS = 0x04
_CO_VARKEYWORDS = 0x08

# Longer chains of decorators are circles.
_MOST_WRAPPERS = 1000


class Parameter(NamedTuple):
    """A parameter of a callable."""

    name: str
    #: One of the constants of this module.
    kind: int = POSITIONAL_OR_KEYWORD
    has_default: bool = False
    #: None where there is none.
    default: Any = None
    #: As it is written: a text, where the module postpones annotations. None where there is none.
    annotation: Any = None

    @property
    def is_positional(self) -> bool:
        """Whether it takes one argument by its place."""
        return self.kind in (POSITIONAL_ONLY, POSITIONAL_OR_KEYWORD)

    @property
    def is_keyword(self) -> bool:
        """Whether it takes one argument by its name."""
        return self.kind in (POSITIONAL_OR_KEYWORD, KEYWORD_ONLY)

    @property
    def is_variadic(self) -> bool:
        """Whether it takes any number of arguments, like ``*args`` and ``**kwargs``."""
        return self.kind in (VAR_POSITIONAL, VAR_KEYWORD)

    @property
    def is_required(self) -> bool:
        """Whether there has to be an argument for it."""
        return not (self.has_default or self.is_variadic)


def read_parameters(action: Callable[..., Any]) -> tuple[Parameter, ...]:
    """Return what an action or a function takes, in the order of ``inspect.signature``.

    Without its ``self``, if that is bound. Decorators that wrap a function show what that takes. A
    callable that says nothing of it, as some builtins do, takes anything.
    """
    function: Any = action
    bound = 0
    for _ in range(_MOST_WRAPPERS):
        if isinstance(function, types.MethodType):
            function = function.__func__
            bound += 1
        elif isinstance(function, type) or hasattr(function, "__signature__"):
            break
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif isinstance(function, types.FunctionType) and not _is_partial(function):
            parameters = _read(function)
            # A bound argument may be one of *args, and does not use them up.
            while bound and parameters and parameters[0].is_positional:
                parameters = parameters[1:]
                bound -= 1
            if not bound or (parameters and parameters[0].kind == VAR_POSITIONAL):
                return parameters
            break
        else:
            break
    return _ask_inspect(action)


def _is_partial(function: types.FunctionType) -> bool:
    """Return whether ``functools.partialmethod`` made a function."""
    return hasattr(function, "__partialmethod__") or hasattr(function, "_partialmethod")


def _read(function: types.FunctionType) -> tuple[Parameter, ...]:
    code = function.__code__
    annotations = _get_annotations(function)
    names = list(code.co_varnames)
    positional = names[: code.co_argcount]
    keywords = names[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    variadic = names[code.co_argcount + code.co_kwonlyargcount :]
    defaults = dict(zip(reversed(positional), reversed(function.__defaults__ or ()), strict=False))
    defaults |= function.__kwdefaults__ or {}

    def make(name: str, kind: int) -> Parameter:
        return Parameter(name, kind, name in defaults, defaults.get(name), annotations.get(name))

    parameters = [
        make(name, POSITIONAL_ONLY if place < code.co_posonlyargcount else POSITIONAL_OR_KEYWORD)
        for place, name in enumerate(positional)
    ]
    if code.co_flags & _CO_VARARGS:
        parameters.append(make(variadic.pop(0), VAR_POSITIONAL))
    parameters += [make(name, KEYWORD_ONLY) for name in keywords]
    if code.co_flags & _CO_VARKEYWORDS:
        parameters.append(make(variadic.pop(0), VAR_KEYWORD))
    return tuple(parameters)


def _get_annotations(function: types.FunctionType) -> Mapping[str, Any]:
    try:
        return function.__annotations__
    except Exception:
        # Since Python 3.14 they are evaluated only now, and may name what is there for type
        # checkers only.
        from annotationlib import Format, get_annotations  # type: ignore[import-not-found]

        annotations: Mapping[str, Any] = get_annotations(function, format=Format.STRING)
        return annotations


def _ask_inspect(action: Callable[..., Any]) -> tuple[Parameter, ...]:
    # Imported here, as it takes half as long as Python's start.
    import inspect

    try:
        signature = inspect.signature(action)
    except ValueError:
        return Parameter("args", VAR_POSITIONAL), Parameter("kwargs", VAR_KEYWORD)

    def get(value: Any) -> Any:
        return None if value is inspect.Parameter.empty else value

    return tuple(
        Parameter(
            each.name,
            int(each.kind),
            each.default is not each.empty,
            get(each.default),
            get(each.annotation),
        )
        for each in signature.parameters.values()
    )
