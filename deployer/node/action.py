"""The actions of a node: unbound, on a bare node, and ready to run in an Env."""

from __future__ import annotations

import functools
import threading
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

from ..exceptions import (
    ActionException,
    ExecCommandFailed,
    NodeUsageError,
    ParallelActionException,
)
from .decorators import get_marks
from .isolation import (
    explain_lack_of_cells,
    explain_lack_of_hosts,
    get_cell_hosts,
    get_cell_name,
    get_full_name,
    get_roles,
    iter_isolations,
    show_in_env,
)

# What runs actions in parallel is imported when one is called.
if TYPE_CHECKING:
    from ..parallel import Job, Outcome, RunOptions
    from ..pseudo_terminal import Pty
    from .base import Node
    from .env import Env

__all__ = [
    "Action",
    "EnvAction",
    "ParallelActionResult",
    "Runs",
    "UnboundAction",
    "noting_skipped",
]

T = TypeVar("T")


class _InThread(threading.local):
    #: The failures that a person has skipped, where somebody wants to know of them.
    skipped: list[ExecCommandFailed] | None = None


_in_thread = _InThread()


class _Wrapper:
    """Base of the actions: looks like its function, to help() and to inspect."""

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(cast(Any, self), function, updated=())

    # Bound already. help() shows the parameters of nothing but functions and such descriptors.
    def __get__(self, instance: object, owner: type | None = None) -> Self:
        return self


class UnboundAction(_Wrapper):
    """An action as the class gives it: ``Base.action(self, …)`` runs it for an Env."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self.name = name
        self.function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not args or not hasattr(type(args[0]), "_node_bind_action"):
            raise NodeUsageError(
                f"{self.function.__qualname__}() is an action: call it on a node in an Env, like "
                f"env.{self.name}(…), or in another action as {self.function.__qualname__}(self, …)"
            )
        return args[0]._node_bind_action(self.name, self.function)(*args[1:], **kwargs)

    def __repr__(self) -> str:
        return f"<Unbound Action {self.name}>"

    def _node_with_function(self, change: Callable[[Any], Any]) -> UnboundAction:
        """Return the action with another function: what its class has stays as it is."""
        return UnboundAction(self.name, change(self.function))


class Runs(StrEnum):
    """Where an action runs."""

    #: On the node as a whole.
    ONCE = "once"
    #: In a single cell of an array.
    IN_ONE_CELL = "in-one-cell"
    IN_EACH_CELL = "in-each-cell"


class Action(_Wrapper):
    """An action of a bare node: it can be looked at, and run in an Env only."""

    def __init__(
        self,
        node: Node,
        name: str,
        function: Callable[..., Any],
        alias_of: str | None = None,
    ) -> None:
        super().__init__(function)
        # A method, so that inspect.signature() leaves out self.
        self.__wrapped__ = types.MethodType(function, node)
        self.node = node
        self.name = name
        self.function = function
        #: For another name of an action, the name that its function was defined with.
        self.alias_of = alias_of

    @property
    def full_name(self) -> str:
        """The path of its node and its name."""
        return f"{get_full_name(self.node)}.{self.name}"

    @property
    def suppress_result(self) -> bool:
        """Whether the shell shows nothing of what it returns."""
        return get_marks(self.function).suppresses_result

    @property
    def changes_nothing(self) -> bool:
        """Whether its author says that it changes nothing."""
        return get_marks(self.function).changes_nothing

    @property
    def runs(self) -> Runs:
        """Where it runs: once, in one cell of an array, or in each of them."""
        marks = get_marks(self.function)
        if self.node._node_is_isolated or marks.is_isolated_later:
            return Runs.ONCE
        return Runs.IN_ONE_CELL if marks.needs_one_cell else Runs.IN_EACH_CELL

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise NodeUsageError(
            f"{self.full_name}() cannot run on a bare node: wrap the tree in an Env, like "
            f"{show_in_env(self.node)}.{self.name}(…)"
        )

    def __repr__(self) -> str:
        return f"<Action {self.full_name}>"


class EnvAction(_Wrapper):
    """An action in an Env: calling it runs it, on an array once for each cell.

    What it raises arrives as one ActionException; on several cells as one
    ParallelActionException, after all of them have finished.
    """

    def __init__(self, env: Env, action: Action) -> None:
        super().__init__(action.function)
        self.__wrapped__ = types.MethodType(action.function, env)
        self.action = action
        self._env = env

    @property
    def env(self) -> Env:
        """The environment that it runs in."""
        return self._env

    @property
    def node(self) -> Node:
        """Its bare node."""
        return self.action.node

    @property
    def name(self) -> str:
        """The name that it was looked up by."""
        return self.action.name

    @property
    def full_name(self) -> str:
        """The path of its node and its name."""
        return self.action.full_name

    @property
    def alias_of(self) -> str | None:
        """For another name of an action, the name that its function was defined with."""
        return self.action.alias_of

    @property
    def suppress_result(self) -> bool:
        """Whether the shell shows nothing of what it returns."""
        return self.action.suppress_result

    @property
    def changes_nothing(self) -> bool:
        """Whether its author says that it changes nothing."""
        return self.action.changes_nothing

    @property
    def runs(self) -> Runs:
        """Where it runs: once, in one cell of an array, or in each of them."""
        return self.action.runs

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        match self.runs:
            case Runs.ONCE:
                return self._run(args, kwargs)
            case Runs.IN_ONE_CELL:
                return self._in(self._choose_cell())._run(args, kwargs)
            case Runs.IN_EACH_CELL:
                return self._run_in_cells(args, kwargs)

    def with_options(self, **changes: Any) -> EnvAction:
        """Return the action with other options for what it runs in parallel.

        As in ``env.deploy.with_options(fan_out=10, fail_fast=True)("v1.2")``; see
        :class:`~deployer.parallel.RunOptions` for all of them.
        """
        return self._in(self._env._node_with_options(self._env._node_options.replace(**changes)))

    def __repr__(self) -> str:
        return f"<Env.Action {self.full_name}>"

    def _in(self, env: Env) -> EnvAction:
        """Return the same action of another node."""
        action = self.action
        return EnvAction(env, Action(env._node_bare, action.name, action.function, action.alias_of))

    def _run(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        with self._env._node_logger.group(self.full_name, *args, **kwargs):
            while True:
                try:
                    return self.action.function(self._env, *args, **kwargs)
                except ActionException:
                    # An action within this one has failed, and said so.
                    raise
                except ExecCommandFailed as error:
                    match self._ask_how_to_go_on(error):
                        case _GoOn.RETRY:
                            continue
                        case _GoOn.SKIP:
                            if _in_thread.skipped is not None:
                                _in_thread.skipped.append(error)
                            return None
                    raise _failure(error) from error
                except Exception as error:
                    raise _failure(error) from error

    def _ask_how_to_go_on(self, error: ExecCommandFailed) -> _GoOn:
        # Of several that run at once, none waits for a person: all of them finish first.
        if not self._env._node_pty.is_attended:
            return _GoOn.ABORT
        console = self._env.console
        # Its output has just been shown.
        console.warning(str(error).partition("\n")[0].removesuffix(":"))
        return console.choice(
            f"{self.full_name} failed. What now?",
            [(choice.value, choice) for choice in _GoOn],
            default=_GoOn.ABORT,
        )

    def _run_in_cells(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        options = self._get_options()
        cells = self._select_cells(options)
        # What stands in for hosts is in this process, and in no other.
        if options.executor is not None and self._env._node_replace_host is None:
            # Imported here: most runs stay in this process.
            from .shards import run_in_shards

            outcomes = run_in_shards(self, cells, args, kwargs, options)
        else:
            from ..parallel import run

            jobs = [self._make_job(cell, args, kwargs, options) for cell in cells]
            outcomes = run(self._env._node_pty, jobs, options, self.full_name)
        return _collect(dict(zip(cells, outcomes, strict=True)))

    def _get_options(self) -> RunOptions:
        options = self._env._node_options
        serial = get_marks(self.action.function).batches
        if serial is None or options.batches is not None:
            return options
        failures = options.max_failures
        return options.replace(
            batches=serial.batches,
            max_failures=serial.max_failures if failures is None else failures,
        )

    def _select_cells(self, options: RunOptions) -> list[Env]:
        env = self._env
        found = [cell.node for cell in iter_isolations(env._node_bare)]
        if not found:
            self._report_no_cells()
        cells = [env._node_env_of(node) for node in found if _is_wanted(node, options)]
        if found and not cells:
            env._node_logger.log_message(
                f"{self.full_name}() was run nowhere: none of its hosts is among those to run on"
            )
        return cells

    def _make_job(
        self, cell: Env, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: RunOptions
    ) -> Job[Any]:
        from ..parallel import Job

        name = get_cell_name(cell._node_bare)
        # Here, and not in the thread of the cell: loggers see in what action it was called.
        logger = cell._node_logger.fork(name)
        # What was entered on the hosts of the array, or of this cell, holds for what it runs.
        contexts = [env._node_hosts for env in (self._env, cell) if env._node_hosts is not None]

        def run_in_cell(pty: Pty) -> Any:
            # A thread shares no hosts with any other.
            own = cell._node_copy(cell._node_bare, options.within_a_job(), pty, logger)
            for hosts in contexts:
                own.hosts.take_contexts(hosts)
            return self._in(own)._run(args, kwargs)

        hosts = cell._node_replace_hosts(get_cell_hosts(cell._node_bare)[-1:])
        return Job(name, run_in_cell, hosts)

    def _choose_cell(self) -> Env:
        if next(iter_isolations(self.node), None) is None:
            raise NodeUsageError(
                f"{self.full_name}() runs on one host of the role 'host', and "
                f"{get_full_name(self.node)} has none in it: {explain_lack_of_hosts(self.node)}"
            )
        wanted = self._select_cells(self._env._node_options)
        if not wanted:
            raise NodeUsageError(
                f"{self.full_name}() runs on one host, and none of {get_full_name(self.node)} is "
                "among the hosts to run on"
            )
        if len(wanted) == 1:
            return wanted[0]
        cell: Env = self._env.console.select_node_isolation(self._env)
        if cell not in wanted:
            raise NodeUsageError(
                f"{self.full_name}() cannot run on {get_cell_name(cell._node_bare)}: it is not "
                "among the hosts to run on"
            )
        return cell

    def _report_no_cells(self) -> None:
        reason = explain_lack_of_cells(self.node)
        roles = get_roles(self.node)
        if roles and "host" not in roles:
            raise NodeUsageError(f"{self.full_name}() has nowhere to run: {reason}")
        self._env._node_logger.log_message(f"{self.full_name}: nothing was run, because {reason}")


class ParallelActionResult(dict[Any, T], Generic[T]):
    """What an action returned in each cell: a dict by cell, in order.

    Iterating over it gives the results; ``items()`` and ``keys()`` are those of any dict. Where
    cells failed, the ParallelActionException has it as its ``result``, with the cells that did not.
    """

    def __init__(
        self,
        results: Mapping[Any, T],
        failures: Mapping[Any, BaseException] | None = None,
        was_shown: bool = False,
    ) -> None:
        super().__init__(results)
        self._failures = dict(failures or {})
        #: Whether the results were shown, or written for another program, when they were there.
        self.was_shown = was_shown

    @property
    def succeeded(self) -> dict[Any, T]:
        """The results by cell, of those that are done."""
        return dict(self.items())

    @property
    def failed(self) -> dict[Any, BaseException]:
        """The exceptions by cell, of those that failed."""
        return dict(self._failures)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values())

    def __repr__(self) -> str:
        results = ", ".join(
            f"{get_cell_name(cell._node_bare)}: {result!r}" for cell, result in self.items()
        )
        return f"ParallelActionResult({{{results}}})"


class _GoOn(Enum):
    """What to do about a failed command."""

    RETRY = "Retry"
    SKIP = "Skip"
    ABORT = "Abort"


@contextmanager
def noting_skipped() -> Iterator[list[ExecCommandFailed]]:
    """Give a list of the failures that a person skips within the ``with`` block, in its thread."""
    outer, _in_thread.skipped = _in_thread.skipped, []
    skipped = _in_thread.skipped
    try:
        yield skipped
    finally:
        _in_thread.skipped = outer
        if outer is not None:
            outer += skipped


def _failure(error: Exception) -> ActionException:
    """Return what reports an exception of an action, of which our own frame is left out."""
    traceback = error.__traceback__
    # With wrong arguments, the action was not even entered.
    if traceback is not None and traceback.tb_next is not None:
        error.__traceback__ = traceback.tb_next
    return ActionException(error, error.__traceback__)


def _is_wanted(cell: Node, options: RunOptions) -> bool:
    if options.hosts is None:
        return True
    return options.hosts.matches(
        get_cell_name(cell), *(host.slug for host in get_cell_hosts(cell)[-1:])
    )


def _collect(outcomes: Mapping[Any, Outcome[Any]]) -> ParallelActionResult[Any]:
    """Return the results of cells; raise ParallelActionException when there are others, too."""
    results = {cell: outcome.result for cell, outcome in outcomes.items() if not outcome.error}
    failures = {
        cell: _unwrap(outcome.error)
        for cell, outcome in outcomes.items()
        if outcome.error is not None and outcome.was_begun
    }
    result = ParallelActionResult(
        results, failures, any(outcome.result_was_shown for outcome in outcomes.values())
    )
    if not failures:
        return result
    raise ParallelActionException(
        results,
        failures,
        names={cell: outcome.name for cell, outcome in outcomes.items()},
        not_begun=[cell for cell, outcome in outcomes.items() if not outcome.was_begun],
        result=result,
        was_shown=any(outcome.error_was_shown for outcome in outcomes.values()),
    ) from next(iter(failures.values()))


def _unwrap(error: Exception) -> BaseException:
    """Return what was raised in a cell; an exception of several cells stays as it is."""
    if isinstance(error, ActionException) and not isinstance(error, ParallelActionException):
        return error.inner_exception
    return error
