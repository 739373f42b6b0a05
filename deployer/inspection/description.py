"""What is to be seen of a tree without running it, as plain values: for text, JSON and diagrams.

Nothing here connects, and no property or query is evaluated. What cannot be made, such as a node
whose hosts are wrong, is described by its problem.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..node.descriptors import ActionDescriptor, find_attribute
from ..node.role_mapping import DefaultRoleMapping, RoleMapping
from ..secret import redact
from ..utils.signatures import Parameter, read_parameters
from .hooks import without_hooks
from .inspector import Attribute, Inspector
from .texts import (
    clean,
    describe_usage,
    get_class_doc,
    get_summary,
    show_error,
    show_value,
)

if TYPE_CHECKING:
    from ..groups import Group
    from ..node.action import Action, EnvAction
    from ..node.base import Node

__all__ = [
    "ActionDescription",
    "AttributeDescription",
    "Found",
    "Members",
    "NodeDescription",
    "ParameterDescription",
    "as_data",
    "describe_action",
    "describe_node",
    "find_in",
]


class ParameterDescription(NamedTuple):
    """A parameter of an action."""

    name: str
    #: As ``inspect`` calls it: ``positional-only``, ``keyword-only``, …
    kind: str
    is_required: bool
    #: How the default and the annotation are written; None where there is none.
    default: str | None
    annotation: str | None


class ActionDescription(NamedTuple):
    """An action of a node."""

    name: str
    #: How it is called: ``checkout COMMIT [force=False]``.
    usage: str
    #: The first line of its docstring.
    summary: str
    #: For another name of an action, the name that its function was defined with.
    alias_of: str | None
    parameters: tuple[ParameterDescription, ...]


class AttributeDescription(NamedTuple):
    """A property or a query of a node."""

    name: str
    #: The first line of the docstring; of a query, how it is written.
    summary: str


class NodeDescription(NamedTuple):
    """A node, as seen from outside, and what is in it, where that was looked at."""

    name: str
    #: The way to it from the root, with the root's name: ``Root.web[0]``.
    path: str
    #: The first line of its docstring.
    summary: str
    #: ``Node``, ``ParallelNode``, ``ParallelNode.Array`` or ``ParallelNode.JustOne``.
    node_kind: str
    #: The name of its group, and the colour that this has; empty, and None, where it has none.
    group: str
    color: str | None
    #: Whether it has a cell for each host of its role ``host``.
    is_array: bool
    #: Whether it can be run itself, by its default action.
    is_callable: bool
    #: The names of its hosts by role, wherever they come from.
    roles: Mapping[str, tuple[str, ...]]
    #: Whether it says itself which hosts it has.
    has_own_hosts: bool
    #: Which of the parent's roles feed its own, as in ``host='web'``.
    mapping: str
    #: Why it cannot be used; empty where it can.
    problem: str
    #: None where it was not looked at.
    members: Members | None = None

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of all its hosts, each once."""
        return tuple(dict.fromkeys(name for names in self.roles.values() for name in names))


class Members(NamedTuple):
    """What is in a node."""

    #: What runs when it is called itself.
    default_action: ActionDescription | None
    nodes: tuple[NodeDescription, ...]
    actions: tuple[ActionDescription, ...]
    properties: tuple[AttributeDescription, ...]
    queries: tuple[AttributeDescription, ...]
    #: The names of its cells, where it has any. Of the node only that was asked about: there may be
    #: thousands of them in each node of an array.
    cells: tuple[str, ...] | None


class Found(NamedTuple):
    """Something in a tree, and the names that lead to it from where one looked."""

    path: str
    #: The last of these names, which may have dots itself.
    name: str
    #: ``node``, ``action``, ``property`` or ``query``.
    kind: str
    summary: str


def describe_node(
    node: Any, depth: int | None = 1, include_private: bool = False
) -> NodeDescription:
    """Return what is to be seen of a node.

    :param depth: how many levels of nested nodes are looked into: with 1, these are described
        without what is in them; with None, all that is below.
    :param include_private: whether names that begin with an underscore are looked at.
    """
    return _describe(node, depth, include_private, ())


def _describe(
    node: Any, depth: int | None, include_private: bool, outer: tuple[type, ...]
) -> NodeDescription:
    inspector = Inspector(node)
    cls = inspector.get_class()
    roles, problem = _read_roles(inspector)
    description = _describe_class(inspector.get_name(), cls, inspector.get_group())._replace(
        path=clean(inspector.get_full_name()),
        is_array=inspector.has_cells(),
        roles=roles,
        problem=problem,
    )
    if depth == 0:
        return description
    if cls in outer:
        # In it is the same again, and so on.
        return description._replace(problem="is nested in itself, without an end")
    nodes = tuple(
        _describe_child(inspector, name, depth, include_private, (*outer, cls))
        for name in inspector.get_childnode_names(include_private)
    )
    cells = None if outer else _list_cells(inspector)
    return description._replace(members=_describe_members(inspector, nodes, cells, include_private))


def _describe_child(
    inspector: Inspector,
    name: str,
    depth: int | None,
    include_private: bool,
    outer: tuple[type, ...],
) -> NodeDescription:
    try:
        child = inspector.get_childnode(name)
    except Exception as error:
        # What can be known of it without making it.
        cls = getattr(inspector.get_class(), name)
        return _describe_class(name, cls, cls._node_group or inspector.get_group())._replace(
            path=clean(f"{inspector.get_full_name()}.{name}"), problem=show_error(error)
        )
    return _describe(child, None if depth is None else depth - 1, include_private, outer)


def _describe_class(name: str, cls: type[Node], group: type[Group]) -> NodeDescription:
    """Return what a class says of its nodes."""
    mapping = cls._node_roles
    return NodeDescription(
        name=clean(name),
        path=clean(name),
        summary=get_summary(get_class_doc(cls)),
        node_kind=str(cls._node_kind),
        group=clean(group.name),
        color=group.color,
        is_array=False,
        is_callable=isinstance(find_attribute(cls, "__call__"), ActionDescriptor),
        roles={},
        has_own_hosts=mapping is not None and not isinstance(mapping, RoleMapping),
        mapping=_show_mapping(cls),
        problem="",
    )


def _describe_members(
    inspector: Inspector,
    nodes: tuple[NodeDescription, ...],
    cells: tuple[str, ...] | None,
    include_private: bool,
) -> Members:
    found = inspector.get_actions(include_private)
    actions = [
        describe_action(each) for each in (found if include_private else without_hooks(found))
    ]
    properties = inspector.get_properties(include_private)
    queries = inspector.get_queries(include_private)
    default = inspector.get_action("__call__") if inspector.is_callable() else None
    return Members(
        default_action=None if default is None else describe_action(default),
        nodes=nodes,
        actions=tuple(actions),
        properties=tuple(map(_describe_attribute, properties)),
        queries=tuple(map(_describe_attribute, queries)),
        cells=cells,
    )


def describe_action(action: Action | EnvAction) -> ActionDescription:
    """Return what is to be seen of an action."""
    parameters = read_parameters(action)
    return ActionDescription(
        name=clean(action.name),
        usage=describe_usage(clean(action.name), parameters),
        summary=get_summary(action.__doc__),
        alias_of=action.alias_of,
        parameters=tuple(map(_describe_parameter, parameters)),
    )


def _describe_parameter(parameter: Parameter) -> ParameterDescription:
    annotation = parameter.annotation
    if isinstance(annotation, type):
        annotation = annotation.__name__
    elif annotation is not None and not isinstance(annotation, str):
        annotation = show_value(annotation)
    return ParameterDescription(
        name=parameter.name,
        kind=_KINDS[parameter.kind],
        is_required=parameter.is_required,
        default=show_value(parameter.default) if parameter.has_default else None,
        annotation=annotation,
    )


def _describe_attribute(attribute: Attribute) -> AttributeDescription:
    # That of a query is its source.
    summary = get_summary(redact(attribute.doc))
    return AttributeDescription(clean(attribute.name), summary)


def find_in(root: NodeDescription, pattern: str = "") -> list[Found]:
    """Return what is below a node and matches a pattern, in the order of the tree.

    A pattern with ``*``, ``?`` or ``[`` has to match the names that lead to it, or the last of
    them. Any other is looked for in these names, and after that in the first lines of docstrings.
    Upper and lower case are alike.

    :param root: looked at to any depth.
    """
    # Imported here, as nothing but this needs it.
    from fnmatch import fnmatchcase

    pattern = pattern.lower()
    everything = list(_iter_found(root))
    if any(character in pattern for character in "*?["):
        return [
            each
            for each in everything
            if fnmatchcase(each.path.lower(), pattern) or fnmatchcase(each.name.lower(), pattern)
        ]
    by_name = [each for each in everything if pattern in each.path.lower()]
    # What a query is made of is no description of it.
    by_summary = [
        each
        for each in everything
        if pattern not in each.path.lower()
        and pattern in each.summary.lower()
        and each.kind != "query"
    ]
    return by_name + by_summary


def _iter_found(node: NodeDescription, way: str = "") -> Iterator[Found]:
    if node.members is None:
        return
    for kind, attributes in (
        ("action", node.members.actions),
        ("property", node.members.properties),
        ("query", node.members.queries),
    ):
        for each in attributes:
            yield Found(way + each.name, each.name, kind, each.summary)
    for child in node.members.nodes:
        yield Found(way + child.name, child.name, "node", child.summary or child.problem)
        yield from _iter_found(child, f"{way}{child.name}.")


def as_data(value: Any) -> Any:
    """Return a description as dicts, lists and plain values, as JSON has them.

    The names are those of the attributes here. What is in a node stands beside what is known of it
    otherwise, and is left out where it was not looked at.
    """
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        data: dict[str, Any] = {}
        for name, each in value._asdict().items():
            if name not in _MERGED:
                data[name] = as_data(each)
            elif each is not None:
                data |= as_data(each)
        return data
    if isinstance(value, Mapping):
        return {name: as_data(each) for name, each in value.items()}
    return [as_data(each) for each in value] if isinstance(value, tuple | list) else value


def _read_roles(inspector: Inspector) -> tuple[dict[str, tuple[str, ...]], str]:
    """Return the names of the hosts by role; and why that cannot be said."""
    try:
        roles = inspector.get_roles()
        names = {role: tuple(clean(host.slug) for host in hosts) for role, hosts in roles.items()}
    except Exception as error:
        return {}, show_error(error)
    return names, ""


def _list_cells(inspector: Inspector) -> tuple[str, ...]:
    try:
        return tuple(clean(cell.name) for cell in inspector.iter_isolations() if cell.identifier)
    except Exception:
        # Of an array whose hosts are wrong. It is said once, of the node.
        return ()


def _show_mapping(cls: type[Node]) -> str:
    mapping = cls._node_roles
    if isinstance(mapping, RoleMapping) and not isinstance(mapping, DefaultRoleMapping):
        return clean(repr(mapping).removeprefix("map_roles(").removesuffix(")"))
    return ""


# What these attributes hold stands, as data, in the place of them.
_MERGED = ("about", "members")
_KINDS = (
    "positional-only",
    "positional-or-keyword",
    "variadic-positional",
    "keyword-only",
    "variadic-keyword",
)
