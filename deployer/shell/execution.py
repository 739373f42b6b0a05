"""Call an action with the words of a line, and say how it went."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ..cli.grammar import Token
from ..cli.line_shell import Status
from ..exceptions import (
    ConnectionFailedException,
    ConnectionLost,
    DeployerException,
    NoInput,
)
from ..failures import leaf_errors
from ..inspection import Inspector
from .navigation import NotFound, Target

if TYPE_CHECKING:
    import inspect
    from pathlib import Path

__all__ = ["CallError", "Outcome", "bind_arguments", "call", "get_action"]


class CallError(DeployerException, TypeError):
    """An action cannot be called with these words."""


class Outcome(NamedTuple):
    """How a call ended: with a value, or with an error."""

    value: Any = None
    error: BaseException | None = None

    @property
    def status(self) -> int:
        """The exit status that says this."""
        if self.error is None:
            return Status.DONE
        statuses = {_get_status(error) for error in leaf_errors(self.error)}
        return statuses.pop() if len(statuses) == 1 else Status.FAILED


def get_action(target: Target) -> Any:
    """Return the action of a target, ready to be called; raise NotFound if it is but a node."""
    inspector = Inspector(target.node)
    if target.action_name is None:
        name = inspector.get_full_name()
        raise NotFound(f"{name} is a node, and cannot be run itself; name one of its actions")
    return inspector.get_action(target.action_name)


def call(action: Callable[..., Any], arguments: Sequence[Token]) -> Outcome:
    """Call an action; raise CallError, before anything has run, if the words do not fit it."""
    # Imported here, as it takes half as long as Python's start.
    import inspect

    args, kwargs = bind_arguments(inspect.signature(action), arguments)
    try:
        return Outcome(value=action(*args, **kwargs))
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        return Outcome(error=error)


def bind_arguments(
    signature: inspect.Signature, arguments: Sequence[Token]
) -> tuple[list[Any], dict[str, Any]]:
    """Return the positional and the keyword arguments that words stand for.

    ``name=value`` is a keyword argument where there is a parameter of that name. Values are
    converted to int, float, bool or Path where the parameter is annotated so, and are text
    everywhere else. Raises CallError if the signature does not take them.
    """
    parameters = signature.parameters
    args: list[str] = []
    kwargs: dict[str, str] = {}
    for token in arguments:
        keyword = token.keyword
        if keyword and _takes_keyword(parameters, keyword[0]):
            if keyword[0] in kwargs:
                raise CallError(f"{keyword[0]} is given twice")
            kwargs[keyword[0]] = keyword[1]
        else:
            args.append(token.text)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise CallError(str(error)) from None
    for name, value in bound.arguments.items():
        bound.arguments[name] = _convert_all(parameters[name], value)
    return list(bound.args), bound.kwargs


def _get_status(error: BaseException) -> int:
    match error:
        case CallError() | NotFound():
            return Status.WRONG_USE
        case NoInput():
            return Status.NO_INPUT
        case ConnectionLost():
            # The host was reached, and what it did before is not known.
            return Status.FAILED
        case ConnectionFailedException():
            return Status.UNREACHABLE
        case KeyboardInterrupt():
            return Status.INTERRUPTED
        case BrokenPipeError():
            return Status.BROKEN_PIPE
    return Status.FAILED


def _takes_keyword(parameters: Mapping[str, inspect.Parameter], name: str) -> bool:
    parameter = parameters.get(name)
    if parameter is None:
        return any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)


def _convert_all(parameter: inspect.Parameter, value: Any) -> Any:
    """Convert what a parameter gets: one text, or the several of ``*args`` and ``**kwargs``."""
    if parameter.kind is parameter.VAR_POSITIONAL:
        return tuple(_convert(parameter, text) for text in value)
    if parameter.kind is parameter.VAR_KEYWORD:
        return {name: _convert(parameter, text) for name, text in value.items()}
    return _convert(parameter, value)


def _convert(parameter: inspect.Parameter, text: str) -> Any:
    converter, expected = _get_converters().get(parameter.annotation, (str, ""))
    try:
        return converter(text)
    except ValueError:
        raise CallError(f"{parameter.name} has to be {expected}, not {text!r}") from None


def _parse_bool(text: str) -> bool:
    values = {"yes": True, "true": True, "on": True, "1": True}
    values |= {"no": False, "false": False, "off": False, "0": False}
    try:
        return values[text.lower()]
    except KeyError:
        raise ValueError(text) from None


def _parse_path(text: str) -> Path:
    from pathlib import Path

    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # No such user.
        raise ValueError(text) from error


@cache
def _get_converters() -> dict[Any, tuple[Callable[[str], Any], str]]:
    """Return what converts a text, and what it has to be, by annotation."""
    from pathlib import Path

    converters: dict[Any, tuple[Callable[[str], Any], str]] = {
        int: (int, "a whole number"),
        float: (float, "a number"),
        bool: (_parse_bool, "yes or no"),
        Path: (_parse_path, "a path"),
    }
    # Annotations are text where their module postpones them.
    return converters | {kind.__name__: converter for kind, converter in converters.items()}
