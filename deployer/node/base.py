"""``Node`` and ``ParallelNode``: the classes that a tree is written with."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from ..exceptions import NodeUsageError
from .action import Action, EnvAction, ParallelActionResult, UnboundAction
from .decorators import (
    alias,
    changes_nothing,
    dont_isolate_yet,
    isolate_one_only,
    suppress_action_result,
)
from .descriptors import ChildNodeDescriptor, required_property
from .isolation import (
    IsolationIdentifierType,
    find_cell,
    get_cell_name,
    get_full_name,
    get_roles,
    has_cells,
    iter_isolations,
    show_in_env,
)
from .metaclass import NodeBase, ParallelNodeBase
from .nesting import NodeKind
from .role_mapping import ALL_HOSTS, DefaultRoleMapping, RoleMapping, Roles, map_roles

if TYPE_CHECKING:
    from ..console import Console
    from ..groups import Group
    from ..host_container import HostContainer, HostsContainer
    from .env import Env

__all__ = [
    "ALL_HOSTS",
    "Action",
    "DefaultRoleMapping",
    "Env",
    "EnvAction",
    "IsolationIdentifierType",
    "Node",
    "NodeBase",
    "ParallelActionResult",
    "ParallelNode",
    "ParallelNodeBase",
    "SimpleNode",
    "UnboundAction",
    "alias",
    "changes_nothing",
    "dont_isolate_yet",
    "isolate_one_only",
    "iter_isolations",
    "map_roles",
    "required_property",
    "suppress_action_result",
]


class Node(metaclass=NodeBase):
    """A part of a tree of things to run on hosts.

    In the body of a subclass, nested nodes become its children, functions its actions; a nested
    class ``Hosts`` says where they run. Calling the class makes the root of a tree, to look at;
    ``Env(root)`` makes it run. In an action, ``self`` is such an Env.

    What begins with ``_node_`` is internal; all other names are the user's.
    """

    #: The hosts: a class with roles, a role mapping, or None for those of the parent.
    Hosts: Any = None

    #: The node that this one is nested in, None at the root.
    parent: Any

    _node_kind: NodeKind = NodeKind.NORMAL
    _node_group: type[Group] | None = None
    _node_roles: RoleMapping | Roles | None = None
    _node_name: str
    _node_attribute: ChildNodeDescriptor | None
    _node_array: Node | None
    _node_index: int | None
    _node_is_isolated: bool
    _node_children: dict[ChildNodeDescriptor | int, Node]
    _node_known_roles: tuple[RoleMapping | None, Roles, Roles] | None

    def __init__(self) -> None:
        self._node_setup(None, type(self).__name__)

    def _node_setup(
        self,
        parent: Node | None,
        name: str,
        attribute: ChildNodeDescriptor | None = None,
        array: Node | None = None,
        index: int | None = None,
    ) -> None:
        """Set all state; later, only what was found out about it is added.

        :param attribute: the descriptor in the parent that it is read from.
        :param array: for a cell, the array that it belongs to.
        :param index: its place among the array's cells.
        """
        self.parent = parent
        self._node_name = name
        self._node_attribute = attribute
        self._node_array = array
        self._node_index = index
        self._node_children = {}
        self._node_known_roles = None
        outer_is_isolated = parent is None or parent._node_is_isolated
        self._node_is_isolated = outer_is_isolated and not has_cells(self)
        self._node_check_single_host()

    def _node_check_single_host(self) -> None:
        """Refuse several hosts where there is one cell, so that no host is left out silently."""
        kind = type(self)._node_kind
        is_cell = self._node_array is not None
        if is_cell or not self._node_is_isolated or kind in (NodeKind.NORMAL, NodeKind.ARRAY):
            return
        roles = get_roles(self)
        everything = dict.fromkeys(host for hosts in roles.values() for host in hosts)
        hosts = roles.get("host", tuple(everything))
        if len(hosts) > 1:
            what = (
                "a .JustOne" if kind is NodeKind.JUST_ONE else "nested in a ParallelNode as it is"
            )
            raise NodeUsageError(
                f"{get_full_name(self)} is {what}, for a single host, but has {len(hosts)} "
                f"({', '.join(host.slug for host in hosts)}): nest its .Array instead, "
                "or choose one host with map_roles"
            )

    def _node_bind_child(self, attribute: ChildNodeDescriptor) -> Node:
        """Return the child node of a descriptor, the same one each time."""
        child = self._node_children.get(attribute)
        if child is None:
            child = attribute.value.__new__(attribute.value)
            child._node_setup(self, attribute.name, attribute)
            # Of threads that get here at once, all take the first one's.
            child = self._node_children.setdefault(attribute, child)
        return child

    def _node_cell(self, index: int) -> Node:
        """Return the cell of an array at this place, the same one each time."""
        cell = self._node_children.get(index)
        if cell is None:
            cell = type(self).__new__(type(self))
            cell._node_setup(self.parent, self._node_name, self._node_attribute, self, index)
            cell = self._node_children.setdefault(index, cell)
        return cell

    def _node_cell_name(self) -> str:
        """Return the slugs of the cell's hosts; an Env answers with this too."""
        return get_cell_name(self)

    def _node_bind_action(
        self, name: str, function: Callable[..., Any], alias_of: str | None = None
    ) -> Action:
        return Action(self, name, function, alias_of)

    def __getitem__(self, key: object) -> Any:
        """Return a cell: by index, slug, Host class or host, or a tuple for nested arrays."""
        return find_cell(self, key)

    def __iter__(self) -> Iterator[Any]:
        """Give the cells in order; a node that is no array gives itself."""
        return (cell.node for cell in iter_isolations(self))

    def __repr__(self) -> str:
        return f"<Node {get_full_name(self)}>"

    # What the Env around a node has. Here they tell who forgot it, and type checkers the types.

    @property
    def host(self) -> HostContainer:
        """The one host of the node."""
        self._node_needs_env("host")

    @property
    def hosts(self) -> HostsContainer:
        """All hosts of the node, by role."""
        self._node_needs_env("hosts")

    @property
    def console(self) -> Console:
        """Asks and shows things on the terminal that the action runs in."""
        self._node_needs_env("console")

    def initialize_node(self, node_class: type[Node]) -> Any:
        """Return the root of another tree, in the same environment."""
        self._node_needs_env("initialize_node(…)")

    def _node_needs_env(self, name: str) -> NoReturn:
        raise NodeUsageError(
            f"{self!r} is a bare node and has no {name}: wrap the tree in an Env, like "
            f"{show_in_env(self)}.{name}"
        )


class ParallelNode(Node, metaclass=ParallelNodeBase):
    """A node with one cell for each host of its role ``host``; actions run in all cells at once.

    Nested in a plain Node it is used as ``.Array``, one cell for each host of the parent unless
    ``map_roles`` says which, or as ``.JustOne``.
    """

    _node_kind = NodeKind.PARALLEL

    if TYPE_CHECKING:
        # Class properties of the metaclass, which mypy does not look for in a list of bases.
        Array: ClassVar[Any]
        JustOne: ClassVar[Any]


#: The old name of :class:`ParallelNode`.
SimpleNode = ParallelNode


def __getattr__(name: str) -> Any:
    # Env is made of nodes, and so in a module above this one; but documents point at it here.
    if name == "Env":
        return sys.modules["deployer.node"].Env
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
