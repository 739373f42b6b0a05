"""The cells of parallel nodes: finding them, counting them, naming them.

A node is *isolated* when neither it nor a node around it is an array that is spread over several
hosts. The cells of an array are isolated nodes; what is nested in an array has the cells of that
array, and, when it is an array itself, cells of its own for each of them. So a cell is identified
by one index for each array on the way from the root.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from ..exceptions import NodeUsageError, NoSuchCell
from ..host_container import HostContainer, parse_hosts
from .nesting import NodeKind
from .role_mapping import ALL_HOSTS, DefaultRoleMapping, RoleMapping, Roles, map_roles

if TYPE_CHECKING:
    from ..host import Host
    from .base import Node

__all__ = [
    "Isolation",
    "IsolationIdentifierType",
    "explain_lack_of_cells",
    "explain_lack_of_hosts",
    "find_cell",
    "get_cell_hosts",
    "get_cell_name",
    "get_full_name",
    "get_path_names",
    "get_roles",
    "has_cells",
    "iter_isolations",
    "show_in_env",
]

_NO_ROLES: Roles = {}
_PARENTS_ROLES = DefaultRoleMapping()
_ALL_HOSTS_OF_PARENT = map_roles(ALL_HOSTS)


class IsolationIdentifierType(StrEnum):
    """How a cell is identified: by a tuple of one of these for each array on the way to it."""

    INT_TUPLES = "INT_TUPLES"
    HOST_TUPLES = "HOST_TUPLES"
    HOSTS_SLUG = "HOSTS_SLUG"


class Isolation(NamedTuple):
    """A cell, with its identifier."""

    identifier: tuple[Any, ...]
    node: Any

    @property
    def name(self) -> str:
        """The slugs of the cell's hosts, as parallel output names it."""
        name: str = self.node._node_cell_name()
        return name


def get_roles(node: Node) -> Roles:
    """Return the host classes of a node by role, as far as they are known: an array has all."""
    source: RoleMapping | Roles | None
    if node._node_array is not None:
        source, outer = None, get_roles(node._node_array)
    else:
        source = type(node)._node_roles
        if source is None:
            is_array = type(node)._node_kind is NodeKind.ARRAY
            source = _ALL_HOSTS_OF_PARENT if is_array else _PARENTS_ROLES
        if not isinstance(source, RoleMapping):
            return source
        outer = get_roles(node.parent) if node.parent is not None else _NO_ROLES

    # An array of many hosts is asked once for each of its cells. What was found holds until a
    # class on the way to the root is given other hosts.
    known = node._node_known_roles
    if known is not None and known[0] is source and known[1] is outer:
        return known[2]
    roles = _derive_roles(node, source, outer)
    node._node_known_roles = (source, outer, roles)
    return roles


def _derive_roles(node: Node, mapping: RoleMapping | None, outer: Roles) -> Roles:
    """Return the roles of a cell from those of its array, or of a node from its parent's."""
    if mapping is None:
        return {**outer, "host": (outer["host"][node._node_index or 0],)}
    try:
        # Roles of the parent may have been merged, whose hosts are named alike.
        return parse_hosts(mapping.apply(outer))
    except ValueError as error:
        raise NodeUsageError(f"{get_full_name(node)}: {error}") from error


def has_cells(node: Node) -> bool:
    """Return whether the node itself is spread over hosts, so that it has a cell for each."""
    kind = type(node)._node_kind
    is_array = kind is NodeKind.ARRAY or (kind is NodeKind.PARALLEL and node.parent is None)
    return is_array and node._node_array is None


def iter_isolations(
    node: Node,
    identifier_type: IsolationIdentifierType = IsolationIdentifierType.INT_TUPLES,
) -> Iterator[Isolation]:
    """Give the cells of a node in order; an isolated node is its own cell, with identifier ()."""
    for cell, hosts, indices in _iter_cells(node):
        match identifier_type:
            case IsolationIdentifierType.INT_TUPLES:
                yield Isolation(indices, cell)
            case IsolationIdentifierType.HOST_TUPLES:
                yield Isolation(hosts, cell)
            case IsolationIdentifierType.HOSTS_SLUG:
                yield Isolation(tuple(host.slug for host in hosts), cell)


def find_cell(node: Node, key: object) -> Node:
    """Return the cell with this key; raise NoSuchCell, a KeyError, when there is none.

    :param key: an index, a slug, a Host class or a HostContainer; or a tuple of these, one for
        each array on the way from the root.
    """
    keys = key if isinstance(key, tuple) else (key,)
    if node._node_is_isolated:
        if not keys:
            return node
        raise NoSuchCell(f"{get_full_name(node)} is a single node: it has no cells to choose from")
    for cell, hosts, indices in _iter_cells(node):
        if len(keys) == len(indices) and all(map(_is_key_of, keys, hosts, indices)):
            return cell
    raise NoSuchCell(f"{get_full_name(node)} has no cell {_show_key(key)}{_list_cells(node)}")


def get_cell_hosts(node: Node) -> tuple[type[Host], ...]:
    """Return the host of each array on the way to a cell, the outermost first."""
    outer = get_cell_hosts(node.parent) if node.parent is not None else ()
    return outer if node._node_array is None else (*outer, get_roles(node)["host"][0])


def get_cell_name(node: Node) -> str:
    """Return the slugs of the hosts of a cell, or the path of a node that is none."""
    slugs = [host.slug for host in get_cell_hosts(node)]
    return "/".join(slugs) or get_full_name(node)


def get_path_names(node: Node) -> tuple[str, ...]:
    """Return the names on the way from the root to a node, with the indices of cells."""
    outer = get_path_names(node.parent) if node.parent is not None else ()
    index = "" if node._node_index is None else f"[{node._node_index}]"
    return (*outer, node._node_name + index)


def get_full_name(node: Node) -> str:
    """Return the path of a node, like ``Root.child[0]``."""
    return ".".join(get_path_names(node))


def show_in_env(node: Node) -> str:
    """Return how a node is reached in an Env, for messages: ``Env(Root()).child[0]``."""
    index = "" if node._node_index is None else f"[{node._node_index}]"
    if node.parent is None:
        return f"Env({node._node_name}()){index}"
    return f"{show_in_env(node.parent)}.{node._node_name}{index}"


def explain_lack_of_hosts(node: Node) -> str:
    """Return why a node has no hosts, and what to do, to end a message with."""
    mapping = type(node)._node_roles
    if isinstance(mapping, RoleMapping) and node.parent is not None:
        roles = ", ".join(map(repr, get_roles(node.parent)))
        return f"{mapping!r} found none in {get_full_name(node.parent)}, " + (
            f"whose roles are {roles}" if roles else "which has no roles"
        )
    return (
        f"nest a class Hosts in {type(node).__name__}, or in a node around it, like\n"
        "    class Hosts:\n        host = my_host"
    )


def explain_lack_of_cells(node: Node) -> str:
    """Return why an array has no cells, and what to do, to end a message with."""
    roles = get_roles(node)
    if roles and "host" not in roles:
        return (
            "a parallel node has one cell for each host of the role 'host', and "
            f"{get_full_name(node)} has only the roles {', '.join(map(repr, roles))}"
        )
    return f"{get_full_name(node)} has no hosts: {explain_lack_of_hosts(node)}"


def _iter_cells(node: Node) -> Iterator[tuple[Node, tuple[type[Host], ...], tuple[int, ...]]]:
    """Give each cell with its hosts and its indices."""
    if node._node_is_isolated:
        yield node, (), ()
        return
    for here, hosts, indices in _iter_parent_cells(node):
        if has_cells(here):
            for index, host in enumerate(get_roles(here).get("host", ())):
                yield here._node_cell(index), (*hosts, host), (*indices, index)
        else:
            yield here, hosts, indices


def _iter_parent_cells(
    node: Node,
) -> Iterator[tuple[Node, tuple[type[Host], ...], tuple[int, ...]]]:
    """Give the node as it is in each cell of its parent."""
    if node.parent is None or node._node_attribute is None:
        yield node, (), ()
        return
    for parent, hosts, indices in _iter_cells(node.parent):
        yield parent._node_bind_child(node._node_attribute), hosts, indices


def _is_key_of(key: object, host: type[Host], index: int) -> bool:
    if isinstance(key, str):
        return key == host.slug
    if isinstance(key, type):
        return key is host
    if isinstance(key, HostContainer):
        return key.host_class is host
    return not isinstance(key, bool) and key == index


def _show_key(key: object) -> str:
    if isinstance(key, tuple):
        return f"({', '.join(map(_show_key, key))})"
    if isinstance(key, HostContainer):
        return _show_key(key.host_class)
    return key.__name__ if isinstance(key, type) else repr(key)


def _list_cells(node: Node, limit: int = 20) -> str:
    shown: list[str] = []
    for _, hosts, indices in _iter_cells(node):
        if len(shown) == limit:
            shown.append("…")
            break
        index = str(indices[0]) if len(indices) == 1 else repr(indices)
        shown.append(f"{index} ({'/'.join(host.slug for host in hosts)})")
    return f"; it has {', '.join(shown)}" if shown else "; it has none: its role 'host' is empty"
