"""The hosts of a node, for whoever is to be told which they are."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

from ..exceptions import NodeUsageError
from ..inspection import Inspector
from ..node.action import Runs
from ..node.isolation import explain_lack_of_cells, explain_lack_of_hosts, get_roles
from ..utils.spelling import find_nearest

if TYPE_CHECKING:
    from ..host import Host
    from ..node import Env
    from ..node.action import EnvAction
    from ..utils.folding import NamePattern

__all__ = [
    "NoHosts",
    "advise_on_host",
    "check_chosen_hosts",
    "check_has_cells",
    "check_has_hosts",
    "check_hosts",
    "list_hosts",
    "show_pattern",
]

# Of the nodes that have hosts, so many are named.
_FEW = 3


class NoHosts(NodeUsageError):
    """A node has no hosts to run something on."""


def list_hosts(env: Env) -> list[str]:
    """Return the slugs of the hosts that a node runs on, each once, in order."""
    # What has no options runs everywhere, and to ask for them takes its time.
    if env._node_given_options is None:
        return _list_all_hosts(env)
    return _list_slugs(env._node_select_hosts())


def show_pattern(pattern: NamePattern) -> str:
    """Return which hosts are chosen, as it was typed."""
    return ",".join(item.text for item in pattern.items)


def advise_on_host(env: Env, name: str, choosing: str) -> str:
    """Return a sentence about a host whose name stands where a node was meant; nothing for others.

    It says which cell of an array it is, or else which node has it as its only host.

    :param env: where the name was typed.
    :param choosing: what chooses hosts there: an option.
    """
    is_host, place = False, ""
    slash = "" if Inspector(env).get_parent() is None else "/"
    below = Inspector(env).walk(skip_broken=True)
    for node in itertools.chain(below, Inspector(Inspector(env).get_root()).walk(skip_broken=True)):
        inspector = Inspector(node)
        names = [*inspector.get_path()][1:]
        hosts = _list_all_hosts(node)
        if name not in hosts or any(each.startswith("_") for each in names):
            continue
        is_host = True
        path = slash + ".".join(names)
        if any(cell.identifier and cell.name == name for cell in inspector.iter_isolations()):
            place = f"{path}:{name}"
            break
        if hosts == [name] and names:
            place = place or path
    if not is_host:
        return ""
    return f" {name} is a host: {f'{place}, or ' if place else ''}{choosing} {name}."


def check_has_hosts(env: Env) -> None:
    """Raise NoHosts when a node has no hosts to run on.

    It says which nodes below it have some.
    """
    if list_hosts(env):
        return
    if hosts := _list_all_hosts(env):
        _report_none_chosen(env, hosts)
    names = list(itertools.islice(_list_nodes_with_hosts(env), _FEW + 1))
    path = Inspector(env).get_full_name()
    if not names:
        raise NoHosts(f"{path} has no hosts: {explain_lack_of_hosts(env._node_bare)}")
    verb = "has" if len(names) == 1 else "have"
    if len(names) > _FEW:
        some = f"{', '.join(names[:_FEW])}, …"
    else:
        some = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    raise NoHosts(f"{path} has no hosts of its own; {some} {verb} some")


def check_chosen_hosts(env: Env) -> None:
    """Raise NoHosts when a node has hosts, and none was chosen of these and of those below.

    An action may well run on the latter only.
    """
    options = env._node_given_options
    if options is None or options.hosts is None:
        return
    hosts = _list_all_hosts(env)
    if hosts and not any(map(options.hosts.matches, _list_names(env))):
        _report_none_chosen(env, hosts)


def check_has_cells(action: EnvAction) -> None:
    """Raise NoHosts when an action runs in the cells of an array that has none.

    Within another action it is no error: the same tree may have such hosts elsewhere.
    """
    if action.runs is Runs.ONCE or next(iter(action.node), None) is not None:
        return
    reason = explain_lack_of_cells(action.node)
    raise NoHosts(f"{action.full_name}: nothing was run, because {reason}")


def check_hosts(root: Env, pattern: NamePattern) -> None:
    """Raise NodeUsageError when some of the hosts that a pattern asks for are nowhere in a tree."""
    names = dict.fromkeys(_list_names(root))
    for wanted in pattern.unmatched(names):
        nearest = find_nearest(wanted.removeprefix("!"), list(names))
        advice = f"; did you mean {nearest!r}?" if nearest else ""
        raise NodeUsageError(
            f"no host of {Inspector(root).get_full_name()} goes by {wanted!r}{advice}"
        )


def _report_none_chosen(env: Env, hosts: Sequence[str]) -> NoReturn:
    from ..utils.folding import fold

    pattern = env._node_options.hosts
    assert pattern is not None
    raise NoHosts(
        f"none of the hosts of {Inspector(env).get_full_name()} ({fold(hosts)}) is among "
        f"--hosts {show_pattern(pattern)}"
    )


def _list_all_hosts(env: Env) -> list[str]:
    """Return the slugs of a node's hosts, also where it runs on some of them only."""
    return _list_slugs(get_roles(env._node_bare))


def _list_slugs(roles: Mapping[str, Iterable[type[Host]]]) -> list[str]:
    return [host.slug for host in dict.fromkeys(host for hosts in roles.values() for host in hosts)]


def _list_nodes_with_hosts(env: Env) -> Iterator[str]:
    """Give the paths of the nodes below one that have hosts; of these, not what is below."""
    for child in Inspector(env).get_childnodes(include_private=False, skip_broken=True):
        if _list_all_hosts(child):
            yield ".".join(Inspector(child).get_path()[1:])
        else:
            yield from _list_nodes_with_hosts(child)


def _list_names(env: Env) -> Iterator[str]:
    for node in Inspector(env).walk(skip_broken=True):
        for hosts in get_roles(node._node_bare).values():
            yield from (host.slug for host in hosts)
        for cell in Inspector(node).iter_isolations():
            if cell.identifier:
                yield cell.name
