"""Actions that are shown in the way that somebody asked for, whatever kind of node they are of."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from .action import EnvAction, ParallelActionResult
from .isolation import get_cell_hosts, get_cell_name, get_full_name

# What runs something is imported when it is to run.
if TYPE_CHECKING:
    from ..parallel import Outcome
    from ..pseudo_terminal import Pty

__all__ = ["shown_as_asked"]


def shown_as_asked(action: EnvAction) -> EnvAction:
    """Return an action, shown like a parallel run also if it has one host only.

    That is for a person who asked for a way to show it.
    """
    presentation = action.env._node_pty.presentation
    if presentation.output in ("json", "jsonl"):
        return _ReportedAction(action.env, action.action)
    if presentation.output is None and presentation.directory is None:
        return action
    return _ShownAction(action.env, action.action)


class _ShownAction(EnvAction):
    """An action of a node with one host, which is run and shown as a cell is."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        hosts = self._env.hosts
        if not self.node._node_is_isolated or len(hosts) != 1:
            return super().__call__(*args, **kwargs)
        from dataclasses import replace

        from ..parallel import run

        options = self._env._node_options
        job = self._make_job(self._env, args, kwargs, options)
        job = replace(job, name=hosts[0].slug, hosts=tuple(hosts.get_hosts()))
        (outcome,) = run(self._env._node_pty, [job], options, self.full_name)
        if outcome.error is not None:
            raise outcome.error
        return None if outcome.result_was_shown else outcome.result


class _ReportedAction(EnvAction):
    """An action of which JSON tells everything, whatever kind of node it is of."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from ..loggers.hosts_seen import HostsSeen
        from ..parallel import Job
        from ..parallel.jobs import attempt
        from ..parallel.running import run_job
        from ..parallel.views import show_in
        from ..parallel.views.action_json import ActionJsonLinesView, ActionJsonView

        env, node = self._env, self.node
        # The one host that the action is about, if it is about one.
        host = env._node_replace_hosts(get_cell_hosts(node)[-1:])
        name = get_cell_name(node) if host else ""
        if not host and node._node_is_isolated and len(env.hosts) == 1:
            host = tuple(env.hosts.get_hosts())
            name = host[0].slug
        seen = HostsSeen()
        is_json = env._node_pty.presentation.output == "json"
        make_view = functools.partial(
            ActionJsonView if is_json else ActionJsonLinesView,
            path=get_full_name(node),
            action=self.action.name,
            seen=seen,
        )

        def run_in(pty: Pty) -> Any:
            own = env._node_copy(node, env._node_given_options, pty)
            if env._node_hosts is not None:
                own.hosts.take_contexts(env._node_hosts)
            return _by_cell_name(EnvAction(own, self.action)(*args, **kwargs))

        job = Job(name, run_in, host)

        def report(pty: Pty) -> Outcome[Any]:
            return attempt(name, lambda: run_job(job, pty, env._node_options.retries))

        # In this thread: what it runs in parallel, if anything, has threads of its own.
        with env._node_logger.attached(seen):
            (outcome,) = env._node_pty.run_in_auxiliary_ptys(
                [(name, report)],
                lambda functions: [function() for function in functions],
                lambda pty, jobs, run_all: show_in(make_view, pty, jobs, run_all, self.full_name),
            )
        if outcome.error is not None:
            raise outcome.error
        return None


def _by_cell_name(result: Any) -> Any:
    """Return a result as it is written for another program."""
    if not isinstance(result, ParallelActionResult):
        return result
    return {get_cell_name(cell._node_bare): value for cell, value in result.items()}
