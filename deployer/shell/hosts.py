"""The hosts of a node, for whoever is to be told which they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..exceptions import NodeUsageError
from ..inspection import Inspector
from ..node.isolation import get_roles
from ..utils.spelling import find_nearest

if TYPE_CHECKING:
    from ..node import Env
    from ..utils.folding import NamePattern

__all__ = ["check_has_hosts", "check_hosts", "list_hosts"]


def list_hosts(env: Env) -> list[str]:
    """Return the slugs of the hosts that a node runs on, each once, in order."""
    # What has no options runs everywhere, and to ask for them takes its time.
    if env._node_given_options is None:
        roles = get_roles(env._node_bare)
    else:
        roles = dict(env._node_select_hosts())
    return [host.slug for host in dict.fromkeys(host for hosts in roles.values() for host in hosts)]


def check_has_hosts(env: Env) -> None:
    """Raise NodeUsageError when a node has no hosts to run on."""
    if not list_hosts(env):
        raise NodeUsageError(f"{Inspector(env).get_full_name()} has no hosts to run a command on")


def check_hosts(root: Env, pattern: NamePattern) -> None:
    """Raise NodeUsageError when some of the hosts that a pattern asks for are nowhere in a tree."""
    names = dict.fromkeys(_list_names(root))
    for wanted in pattern.unmatched(names):
        nearest = find_nearest(wanted.removeprefix("!"), list(names))
        advice = f"; did you mean {nearest!r}?" if nearest else ""
        raise NodeUsageError(
            f"no host of {Inspector(root).get_full_name()} goes by {wanted!r}{advice}"
        )


def _list_names(env: Env) -> Iterator[str]:
    for node in Inspector(env).walk(skip_broken=True):
        for hosts in get_roles(node._node_bare).values():
            yield from (host.slug for host in hosts)
        for cell in Inspector(node).iter_isolations():
            if cell.identifier:
                yield cell.name
