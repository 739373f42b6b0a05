"""Questions about a whole tree: where its hosts are used, and how all is."""

from __future__ import annotations

from typing import Any

from ...exceptions import DeployerException, NodeUsageError
from ...failures import describe_failure
from ...host import Host, RunResult
from ...inspection import Inspector
from ...inspection.filters import HasAction, IsInstance
from ...inspection.texts import show_error, show_value
from ...node import (
    Isolation,
    Node,
    ParallelActionResult,
    changes_nothing,
    dont_isolate_yet,
    suppress_action_result,
)
from ...secret import redact
from ...utils import indent
from ...utils.colours import paint, shows_colours
from ...utils.spelling import find_nearest
from ...utils.string_utils import under_name

__all__ = ["AnalyseHost", "Inspection"]


class AnalyseHost(Node):
    """Says what a host of the tree is used for.

    It may be nested anywhere in the tree, and is a part of an :class:`Inspection`.
    """

    @dont_isolate_yet
    @changes_nothing
    def __call__(self, host: str = "") -> str:
        """Return which nodes use a host, with the roles that it has there.

        A node is left out when all that it has of the host comes from the node around it.

        :param host: the name (slug) of the host; without one, it is asked for.
        """
        uses = _find_uses(self)
        if host:
            found = _find_hosts(self, list(uses), host)
        else:
            named = [(each.slug, each) for each in uses]
            found = [self.console.select("Select a host", named)]
        return "\n\n".join(_show_uses(each, uses[each]) for each in found)


class Inspection(Node):
    """Looks at all hosts and nodes of the tree that it is nested in.

    As in::

        class Site(Node):
            class inspection(Inspection):
                pass
    """

    class analyse_host(AnalyseHost):
        """Says what a host of the tree is used for."""

    @dont_isolate_yet
    @changes_nothing
    def list_hosts(self) -> str:
        """Return all hosts of the tree, each with the nodes that use it and its roles there."""
        return "\n\n".join(_show_uses(host, uses) for host, uses in _find_uses(self).items())

    @dont_isolate_yet
    @suppress_action_result
    def global_status(self) -> dict[str, Any]:
        """Call ``status`` on every node that has it, and show and return what each has given.

        :return: the results by the path of the node.
        :raises DeployerException: at the end, when some have failed; it says which, and why.
        """
        root = Inspector(self).get_root()
        results: dict[str, Any] = {}
        failures: dict[str, str] = {}
        nodes = Inspector(root).walk(_OTHERS & HasAction("status"), skip_broken=True)
        for node in nodes:
            name = Inspector(node).get_full_name()
            _show(self, name, "cyan")
            try:
                results[name] = node.status()
            except Exception as error:
                failures[name] = show_error(error)
                _show(self, indent(describe_failure(error)), "red")
            else:
                _show(self, indent(_describe(results[name])))
        try:
            len(Inspector(root).walk())
        except Exception as error:
            failures["what cannot be made"] = show_error(error)
        if failures:
            lines = [f"  {name}: {problem}" for name, problem in failures.items()]
            total = len(results) + len(failures)
            raise DeployerException(
                "\n".join([f"the status of {len(failures)} of {total} nodes is not known:", *lines])
            )
        return results


# What would answer about itself.
_OTHERS = ~IsInstance((Inspection, AnalyseHost))

#: The roles of a host, by the path of the node that it has them in.
_Uses = dict[str, list[str]]


def _find_uses(node: Any) -> dict[type[Host], _Uses]:
    """Return where each host of a tree is used, in the order of the tree."""
    found: dict[type[Host], _Uses] = {}
    for each in Inspector(Inspector(node).get_root()).walk(_OTHERS, skip_broken=True):
        outer = {} if each.parent is None else _get_roles_by_host(each.parent)
        for host, roles in _get_roles_by_host(each).items():
            if roles != outer.get(host):
                found.setdefault(host, {})[Inspector(each).get_full_name()] = roles
    return found


def _get_roles_by_host(node: Any) -> dict[type[Host], list[str]]:
    found: dict[type[Host], list[str]] = {}
    for role, hosts in Inspector(node).get_roles().items():
        for host in hosts:
            found.setdefault(host, []).append(role)
    return found


def _find_hosts(node: Any, hosts: list[type[Host]], name: str) -> list[type[Host]]:
    """Return the hosts of this name, of which there may be several."""
    found = [host for host in hosts if host.slug == name]
    if not found:
        slugs = [host.slug for host in hosts]
        nearest = find_nearest(name, slugs)
        advice = f"did you mean {nearest!r}?" if nearest else f"it has {', '.join(slugs) or 'none'}"
        root = Inspector(Inspector(node).get_root()).get_full_name()
        raise NodeUsageError(f"no host of {root} goes by {name!r}: {advice}")
    return found


def _show_uses(host: type[Host], uses: _Uses) -> str:
    address = f" ({host.address})" if host.address else ""
    lines = [f"  {path}: {', '.join(roles)}" for path, roles in uses.items()]
    return "\n".join([f"{host.slug}{address}", *lines])


def _show(node: Any, text: str, colour: str | None = None) -> None:
    pty = node.console.pty
    if text:
        pty.write(paint(text, colour, enabled=shows_colours(pty.stdout)) + "\n")


def _describe(result: Any) -> str:
    """Return a result as text, of an array that of each cell; nothing of what was shown already."""
    match result:
        case None:
            return "done"
        case RunResult() | ParallelActionResult() if result.was_shown:
            return ""
        case str():
            return redact(result.rstrip("\n"))
        case ParallelActionResult():
            texts = {Isolation((), cell).name: _describe(each) for cell, each in result.items()}
            return "\n".join(under_name(name, text) for name, text in texts.items() if text)
    return redact(show_value(result))
