"""Call an action with the words of a line, and say how it went."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ContextDecorator
from typing import TYPE_CHECKING, Any, NamedTuple

from ..cli.completion import did_you_mean
from ..cli.grammar import Token
from ..cli.status import Status
from ..exceptions import (
    ConnectionFailedException,
    ConnectionLost,
    Declined,
    DeployerException,
    NodeUsageError,
    NoInput,
    ParallelActionException,
)
from ..failures import find_several, leaf_errors
from ..inspection import Inspector
from .hosts import check_has_hosts
from .navigation import NotFound, Target

if TYPE_CHECKING:
    import inspect

    from ..host import Host
    from ..node import Env
    from ..parallel import Job
    from ..pseudo_terminal import Pty

__all__ = [
    "CallError",
    "Outcome",
    "attempt",
    "bind_arguments",
    "execute_command",
    "get_action",
    "prepare_call",
]


class CallError(DeployerException, TypeError):
    """An action cannot be called with these words."""


class Outcome(NamedTuple):
    """How a call ended: with a value, or with an error."""

    value: Any = None
    error: BaseException | None = None
    #: Seconds that it took.
    duration: float = 0.0

    @property
    def status(self) -> int:
        """The exit status that says this."""
        if self.error is None:
            return Status.DONE
        statuses = {_get_status(error) for error in leaf_errors(self.error)}
        several = find_several(self.error)
        if several is not None and several.results:
            # Some hosts were reached, so that this is the failure of others.
            statuses = {Status.FAILED if s == Status.UNREACHABLE else s for s in statuses}
        return statuses.pop() if len(statuses) == 1 else Status.FAILED


def get_action(target: Target) -> Any:
    """Return the action of a target, ready to be called; raise NotFound if it is but a node."""
    inspector = Inspector(target.node)
    if target.action_name is None:
        name = inspector.get_full_name()
        raise NotFound(f"{name} is a node, and cannot be run itself; name one of its actions")
    return inspector.get_action(target.action_name)


def prepare_call(action: Callable[..., Any], arguments: Sequence[Token]) -> Callable[[], Any]:
    """Return what calls an action with words; raise CallError if the words do not fit it."""
    args, kwargs = bind_arguments(action, arguments)

    def call() -> Any:
        value = action(*args, **kwargs)
        if isinstance(value, ContextDecorator):
            # Of @contextmanager: nothing of the function has run yet.
            raise NodeUsageError(
                "it does nothing by itself; it is for a `with` block, in an action of Python"
            )
        return value

    return call


def attempt(function: Callable[[], Any]) -> Outcome:
    """Call something, and return what became of it, whatever it raises."""
    begun = time.monotonic()
    try:
        value = function()
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        return Outcome(error=error, duration=time.monotonic() - begun)
    return Outcome(value, duration=time.monotonic() - begun)


def execute_command(env: Env, command: str, use_sudo: bool = False) -> None:
    """Run a command on all hosts of a node, of whatever role, and show it as runs are to be shown.

    Raises NoHosts where there are none, and what went wrong: on several hosts, a
    ParallelActionException by their names.
    """
    # Imported here: most sessions run actions only.
    from ..parallel import run

    check_has_hosts(env)
    hosts = env.hosts
    jobs = [
        _make_job(env, name, host, command, use_sudo)
        for name, host in zip(hosts._names(), hosts.get_hosts(), strict=True)
    ]
    title = f"{Inspector(env).get_full_name()}.exec"
    outcomes = run(env.console.pty, jobs, env._node_options, title)
    results = {outcome.name: outcome.result for outcome in outcomes if outcome.error is None}
    failures = {
        outcome.name: outcome.error
        for outcome in outcomes
        if outcome.error is not None and outcome.was_begun
    }
    if not failures:
        return
    if len(jobs) == 1:
        raise failures[jobs[0].name]
    raise ParallelActionException(
        results,
        failures,
        not_begun=[outcome.name for outcome in outcomes if not outcome.was_begun],
        was_shown=any(outcome.error_was_shown for outcome in outcomes),
    )


def _make_job(env: Env, name: str, host: type[Host], command: str, use_sudo: bool) -> Job[Any]:
    from ..parallel import Job

    logger = env._node_logger.fork(name)

    def run_on_host(pty: Pty) -> Any:
        return host(pty, logger, env._node_is_sandbox).run(command, use_sudo)

    return Job(name, run_on_host, (host,))


def bind_arguments(
    action: Callable[..., Any], arguments: Sequence[Token]
) -> tuple[list[Any], dict[str, Any]]:
    """Return the positional and the keyword arguments that words stand for.

    ``name=value`` is a keyword argument where there is a parameter of that name. Values are
    converted as ``values.find_converter`` says. Raises CallError if the action does not take them.
    """
    # Imported here, as it takes half as long as Python's start.
    import inspect

    signature = inspect.signature(action)
    parameters = signature.parameters
    args: list[str] = []
    kwargs: dict[str, str] = {}
    strange: list[str] = []
    for token in arguments:
        keyword = token.keyword
        if keyword is not None and _takes_keyword(parameters, keyword[0]):
            if keyword[0] in kwargs:
                raise CallError(f"{keyword[0]} is given twice")
            kwargs[keyword[0]] = keyword[1]
        else:
            args.append(token.text)
            strange += keyword[:1] if keyword is not None else ()
    try:
        bound = signature.bind(*args, **kwargs)
        for name, value in bound.arguments.items():
            bound.arguments[name] = _convert_all(action, parameters[name], value)
    except TypeError as error:
        raise CallError(f"{error}{_explain_strange(strange, parameters)}") from None
    return list(bound.args), bound.kwargs


def _explain_strange(names: Sequence[str], parameters: Mapping[str, inspect.Parameter]) -> str:
    """Say what may be wrong about words like ``name=value`` that are no keyword arguments.

    Such a word may well be a value; where it does not fit, it was meant as one of those.
    """
    if not names:
        return ""
    hint = did_you_mean(names[0], parameters)
    return f"; there is no parameter {names[0]!r}" + (f".{hint}" if hint else "")


def _get_status(error: BaseException) -> int:
    match error:
        case CallError() | NotFound():
            return Status.WRONG_USE
        case NoInput() | Declined():
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


def _convert_all(action: Callable[..., Any], parameter: inspect.Parameter, value: Any) -> Any:
    """Convert what a parameter gets: one text, or the several of ``*args`` and ``**kwargs``."""
    from .values import find_parameter_converter

    converter = find_parameter_converter(action, parameter.annotation)

    def convert(text: str) -> Any:
        try:
            return converter.convert(text)
        except ValueError:
            raise CallError(
                f"{parameter.name} has to be {converter.expected}, not {text!r}"
            ) from None

    if parameter.kind is parameter.VAR_POSITIONAL:
        return tuple(convert(text) for text in value)
    if parameter.kind is parameter.VAR_KEYWORD:
        return {name: convert(text) for name, text in value.items()}
    return convert(value)
