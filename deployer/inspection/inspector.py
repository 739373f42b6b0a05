"""A read-only view of a tree of nodes, for shells, documentation and tools."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ..exceptions import NodeUsageError, NoSuchCell
from ..groups import Group
from ..node.action import Action, EnvAction
from ..node.base import Node
from ..node.decorators import get_marks
from ..node.descriptors import (
    ActionDescriptor,
    ChildNodeDescriptor,
    NodeAttribute,
    PropertyDescriptor,
    QueryDescriptor,
    get_attributes,
)
from ..node.env import Env, as_env
from ..node.isolation import (
    Isolation,
    IsolationIdentifierType,
    find_cell,
    get_full_name,
    get_path_names,
    get_roles,
    has_cells,
    iter_isolations,
)
from ..node.metaclass import NodeBase
from ..node.role_mapping import Roles
from ..query import Query, QueryResult
from ..utils.spelling import find_nearest

if TYPE_CHECKING:
    from .filters import Filter

__all__ = ["Attribute", "Inspector", "NodeIterator", "PathType"]

D = TypeVar("D", bound=NodeAttribute)


class PathType(StrEnum):
    """What a path consists of."""

    #: Names.
    NAME_ONLY = "NAME_ONLY"
    #: Nodes.
    NODE_ONLY = "NODE_ONLY"
    #: Pairs of a node and its name.
    NODE_AND_NAME = "NODE_AND_NAME"


class Attribute(NamedTuple):
    """A property or a query of a node; reading it would evaluate it."""

    #: The name of the attribute.
    name: str
    #: Its docstring.
    doc: str
    #: The query, unevaluated; None for a property.
    query: Query | None = None

    def __repr__(self) -> str:
        return f"<{'Property' if self.query is None else 'Query'} {self.name}>"


class Inspector:
    """Answers questions about a node without running anything.

    Given an Env, the nodes and actions that it returns are in that Env, ready to run.

    :param node: a node, or an Env.
    """

    def __init__(self, node: Any) -> None:
        # An Env claims to be of its node's class, so that its own class is asked for first.
        if type(node) is Env:
            self._bare: Node = node._node_bare
        elif isinstance(type(node), NodeBase):
            self._bare = node
        else:
            raise NodeUsageError(f"Inspector() takes a node or an Env, not {node!r}")
        #: The node, or the Env, that it is about.
        self.node = node

    def __repr__(self) -> str:
        return f"Inspector({self.node!r})"

    # What is in it

    def get_childnodes(self, include_private: bool = True, skip_broken: bool = False) -> list[Any]:
        """Return the nested nodes, in order of definition.

        :param skip_broken: leave out those that cannot be made; else the first of them raises.
        """
        nodes = []
        for child in self._select(ChildNodeDescriptor, include_private):
            try:
                nodes.append(child.bind(self.node))
            except Exception:
                if not skip_broken:
                    raise
        return nodes

    def get_childnode_names(self, include_private: bool = True) -> list[str]:
        """Return the names of the nested nodes, in order; this makes none of them."""
        return [child.name for child in self._select(ChildNodeDescriptor, include_private)]

    def get_childnode(self, name: str) -> Any:
        """Return the nested node of this name; raise AttributeError when there is none."""
        return self._get(ChildNodeDescriptor, name).bind(self.node)

    def has_childnode(self, name: str) -> bool:
        """Return whether there is a nested node of this name."""
        return self._has(ChildNodeDescriptor, name)

    def get_actions(self, include_private: bool = True) -> list[Action | EnvAction]:
        """Return the actions under all their names, in order; the default action is left out."""
        actions = self._select(ActionDescriptor, include_private)
        return [action.bind(self.node) for action in actions if action.name != "__call__"]

    def get_action(self, name: str) -> Any:
        """Return the action of this name; raise AttributeError when there is none."""
        return self._get(ActionDescriptor, name).bind(self.node)

    def has_action(self, name: str) -> bool:
        """Return whether there is an action of this name."""
        return self._has(ActionDescriptor, name)

    def get_properties(self, include_private: bool = True) -> list[Attribute]:
        """Return the properties, unevaluated, in order."""
        properties = self._select(PropertyDescriptor, include_private)
        return [self.get_property(each.name) for each in properties]

    def get_property(self, name: str) -> Attribute:
        """Return the property of this name; raise AttributeError when there is none."""
        value = self._get(PropertyDescriptor, name).value
        doc = value.__doc__ if isinstance(value, property) else value.description
        return Attribute(name, doc or "")

    def has_property(self, name: str) -> bool:
        """Return whether there is a property of this name."""
        return self._has(PropertyDescriptor, name)

    def get_queries(self, include_private: bool = True) -> list[Attribute]:
        """Return the queries, unevaluated, in order."""
        queries = self._select(QueryDescriptor, include_private)
        return [Attribute(each.name, repr(each.value), each.value) for each in queries]

    def get_query(self, name: str) -> Query:
        """Return the query of this name; raise AttributeError when there is none."""
        return self._get(QueryDescriptor, name).value

    def has_query(self, name: str) -> bool:
        """Return whether there is a query of this name."""
        return self._has(QueryDescriptor, name)

    def trace_query(self, name: str) -> QueryResult:
        """Evaluate a query, and return its result with that of every part of it."""
        result: QueryResult = self._get(QueryDescriptor, name).trace(self.node)
        return result

    def is_callable(self) -> bool:
        """Return whether the node has a default action, its ``__call__``."""
        return self.has_action("__call__")

    def suppress_result_for_action(self, name: str) -> bool:
        """Return whether the shell shows nothing of what an action returns."""
        return get_marks(self._get(ActionDescriptor, name).value).suppresses_result

    # Where it is

    def get_path(self, path_type: PathType = PathType.NAME_ONLY) -> tuple[Any, ...]:
        """Return the way from the root to the node: names, nodes, or pairs of both."""
        names = get_path_names(self._bare)
        nodes: list[Any] = [self.node]
        while nodes[0].parent is not None:
            nodes.insert(0, nodes[0].parent)
        match path_type:
            case PathType.NAME_ONLY:
                return names
            case PathType.NODE_ONLY:
                return tuple(nodes)
            case PathType.NODE_AND_NAME:
                return tuple(zip(nodes, names, strict=True))

    def get_root(self) -> Any:
        """Return the root of the tree."""
        return self.get_path(PathType.NODE_ONLY)[0]

    def get_parent(self) -> Any:
        """Return the node around this one, None for the root."""
        return self.node.parent

    def get_name(self) -> str:
        """Return the last name of the path: ``child``, or ``child[0]`` for a cell."""
        return get_path_names(self._bare)[-1]

    def get_full_name(self) -> str:
        """Return the path in one, like ``Root.child[0]``."""
        return get_full_name(self._bare)

    def get_class(self) -> type[Node]:
        """Return the node's class."""
        return type(self._bare)

    def get_roles(self) -> Roles:
        """Return the classes of its hosts by role, of an array those of all its cells.

        It is what the tree says, also where an Env runs on some of these hosts only.
        """
        return get_roles(self._bare)

    def get_group(self) -> type[Group]:
        """Return the group of the node or of its nearest ancestor that has one, else Group."""
        node: Node | None = self._bare
        while node is not None:
            if node._node_group is not None:
                return node._node_group
            node = node.parent
        return Group

    # Cells

    def is_isolated(self) -> bool:
        """Return whether actions run once here, and not once for each cell of an array."""
        return self._bare._node_is_isolated

    def has_cells(self) -> bool:
        """Return whether the node itself is an array, with a cell for each host."""
        return has_cells(self._bare)

    def iter_isolations(
        self, identifier_type: IsolationIdentifierType = IsolationIdentifierType.INT_TUPLES
    ) -> Iterator[Isolation]:
        """Give the cells with their identifiers; an isolated node gives itself, with ()."""
        for identifier, cell in iter_isolations(self._bare, identifier_type):
            yield Isolation(identifier, self._wrap(cell))

    def get_isolation(self, identifier: object) -> Any:
        """Return a cell, by any key or tuple of keys that identifies one: see ``node[…]``."""
        return self._wrap(find_cell(self._bare, identifier))

    # All below it

    def walk(self, filter: Filter | None = None, skip_broken: bool = False) -> NodeIterator:
        """Return the node and all that are nested in it, depth first, as a NodeIterator.

        :param filter: gives only the nodes that it matches; see ``deployer.inspection.filters``.
        :param skip_broken: leave out those that cannot be made; else the first of them raises.
        """
        nodes = NodeIterator(lambda: _walk(self.node, skip_broken))
        return nodes if filter is None else nodes.filter(filter)

    # The tables of descriptors are read, so that to ask for a name makes no nodes.

    def _select(self, kind: type[D], include_private: bool) -> list[D]:
        attributes = get_attributes(type(self._bare)).values()
        return [
            attribute
            for attribute in attributes
            if isinstance(attribute, kind)
            and (include_private or not attribute.name.startswith("_"))
        ]

    def _has(self, kind: type[D], name: str) -> bool:
        return isinstance(get_attributes(type(self._bare)).get(name), kind)

    def _get(self, kind: type[D], name: str) -> D:
        attribute = get_attributes(type(self._bare)).get(name)
        if isinstance(attribute, kind):
            return attribute
        noun = _NOUNS[kind]
        known = [each.name for each in self._select(kind, include_private=True)]
        nearest = find_nearest(name, known)
        if nearest is not None:
            advice = f"did you mean {nearest!r}?"
        else:
            advice = f"it has {', '.join(known)}" if known else "it has none"
        raise AttributeError(f"{self.node!r} has no {noun} {name!r}: {advice}")

    def _wrap(self, node: Node) -> Any:
        return as_env(node, self.node) if type(self.node) is Env else node


class NodeIterator:
    """Some nodes of a tree; iterating gives them, each time anew."""

    def __init__(self, generate: Callable[[], Iterator[Any]]) -> None:
        self._generate = generate

    def __iter__(self) -> Iterator[Any]:
        return self._generate()

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def filter(self, filter: Filter) -> NodeIterator:
        """Return those of the nodes that the filter matches."""
        return NodeIterator(lambda: (node for node in self if filter.matches(Inspector(node))))

    def prefer_isolation(self, key: object) -> NodeIterator:
        """Return the same nodes, but the cell with this key in place of an array that has one.

        :param key: an index, a slug, a Host class or a host, or a tuple of these.
        """
        return NodeIterator(lambda: (_prefer_cell(node, key) for node in self))

    def call_action(self, name: str, /, *args: Any, **kwargs: Any) -> list[Any]:
        """Call the action of this name on each of the nodes, and return the results in order."""
        return [Inspector(node).get_action(name)(*args, **kwargs) for node in self]


_NOUNS: dict[type[NodeAttribute], str] = {
    ChildNodeDescriptor: "nested node",
    ActionDescriptor: "action",
    PropertyDescriptor: "property",
    QueryDescriptor: "query",
}


def _walk(node: Any, skip_broken: bool) -> Iterator[Any]:
    yield node
    for child in Inspector(node).get_childnodes(skip_broken=skip_broken):
        yield from _walk(child, skip_broken)


def _prefer_cell(node: Any, key: object) -> Any:
    if Inspector(node).is_isolated():
        return node
    try:
        return node[key]
    except NoSuchCell:
        return node
