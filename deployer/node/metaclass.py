"""The metaclass of nodes: how the body of a class becomes a node.

It does what nothing else can: ``a__b = …`` is rewritten before the class exists, what is assigned
later is wrapped like what the body holds, and ``ParallelNode.Array`` is a class. Nodes that want
to do more when they are subclassed use ``__init_subclass__``.
"""

from __future__ import annotations

import functools
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from ..exceptions import NodeDefinitionError
from ..host_container import parse_hosts
from ..query import Query
from ..utils.classes import copy_function, derive
from ..utils.spelling import find_nearest
from .action import UnboundAction
from .decorators import get_marks
from .descriptors import (
    ActionDescriptor,
    ChildNodeDescriptor,
    PropertyDescriptor,
    QueryDescriptor,
    RequiredProperty,
    find_attribute,
    get_attributes,
    required_property,
)
from .nesting import NodeKind, nesting_problem
from .role_mapping import RoleMapping, Roles

__all__ = ["NodeBase", "ParallelNodeBase"]

T = TypeVar("T")

# As in ``inspect``, which takes half as long to import as Python takes to start.
_CO_VARARGS = 0x04

# What can have queries in it, and how it is written to have them evaluated.
_AS_QUERIES: dict[type, str] = {
    list: "Q([…])",
    tuple: "Q((…))",
    set: "Q({…})",
    frozenset: "Q(frozenset(…))",
    dict: "Q({…})",
}
# What is nested deeper in a value is taken to be data.
_DEEPEST_QUERY = 3

#: What every Env has itself, so that a node's attribute of that name would never be seen.
RESERVED = (
    "__init__",
    "console",
    "default_from_node",
    "host",
    "hosts",
    "initialize_node",
    "parent",
)

_INSTEAD_OF_RESERVED = {
    "__init__": "; settings are class attributes",
    "host": "; say where it runs by a nested class Hosts, like\n    class Hosts:\n        host = …",
    "hosts": "; did you mean Hosts?",
}


class NodeBase(type):
    """The class of all node classes: "is a node class" is ``isinstance(x, NodeBase)``."""

    if TYPE_CHECKING:
        # Nested in another node, a node class reads as an instance of it.
        @overload
        def __get__(cls: type[T], instance: None, owner: Any) -> type[T]: ...
        @overload
        def __get__(cls: type[T], instance: object, owner: Any) -> T: ...
        def __get__(cls, instance: object, owner: Any) -> Any: ...

        _node_kind: NodeKind
        _node_roles: RoleMapping | Roles | None

    def __new__(
        mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any
    ) -> Any:
        base = _find_base(name, bases)
        if base is None:
            return super().__new__(mcls, name, bases, namespace, **kwargs)
        body, overrides = _split_overrides(namespace, [name, *_get_names(bases)])
        kind = body.get("_node_kind", base._node_kind)
        body |= _apply_overrides(name, base, body, overrides)
        attributes: dict[str, Any] = {}
        for key, value in body.items():
            attributes |= _wrap(name, kind, key, value, base)
        cls = super().__new__(mcls, name, bases, attributes, **kwargs)
        _adopt_mixins(cls)
        return cls

    def __setattr__(cls, name: str, value: Any) -> None:
        _, overrides = _split_overrides({name: value}, _get_names([cls]))
        for target, changes in overrides.items():
            name, value = target, _override(cls.__name__, cls, target, changes)
        for key, wrapped in _wrap(cls.__name__, cls._node_kind, name, value, cls).items():
            super().__setattr__(key, wrapped)

    def __delattr__(cls, name: str) -> None:
        removed = vars(cls).get(name)
        super().__delattr__(name)
        # What had been stored beside it goes with it.
        if name == "Hosts":
            super().__delattr__("_node_roles")
        if isinstance(removed, ActionDescriptor):
            for key, value in list(vars(cls).items()):
                if isinstance(value, ActionDescriptor) and value.alias_of == name:
                    super().__delattr__(key)


class ParallelNodeBase(NodeBase):
    """The class of parallel node classes."""

    @property
    def Array(cls) -> Any:
        """The node class, for nesting it with one cell per host."""
        return _spread(cls, NodeKind.ARRAY)

    @property
    def JustOne(cls) -> Any:
        """The node class, for nesting it on a single host."""
        return _spread(cls, NodeKind.JUST_ONE)


def _spread(cls: ParallelNodeBase, kind: NodeKind) -> Any:
    wanted = str(kind).removeprefix("ParallelNode")
    if cls._node_kind is not NodeKind.PARALLEL:
        raise NodeDefinitionError(
            f"{cls.__name__}{wanted}: {cls.__name__} is a {cls._node_kind} already; "
            f"take {wanted} of the class that it was made from"
        )
    return derive(cls, _node_kind=kind)


def _find_base(name: str, bases: tuple[type, ...]) -> NodeBase | None:
    """Return the node class that a class inherits from; None for the root of all of them."""
    nodes = [base for base in bases if isinstance(base, NodeBase)]
    if len(nodes) > 1:
        raise NodeDefinitionError(
            f"{name} inherits from {len(nodes)} node classes "
            f"({', '.join(base.__name__ for base in nodes)}); a node inherits from one: nest the "
            "others in it, or make them plain classes, whose functions are actions too"
        )
    return nodes[0] if nodes else None


# Double underscores


def _split_overrides(
    namespace: Mapping[str, Any], class_names: Iterable[str]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Separate what overrides attributes of nested nodes, by the name of the nested node.

    :param class_names: of the class and those it inherits from.
    """
    body: dict[str, Any] = {}
    overrides: dict[str, dict[str, Any]] = {}
    # Python itself turns __x in a class C into _C__x.
    mangled = {f"_{name.lstrip('_')}" for name in class_names}
    for key, value in namespace.items():
        target, _, rest = key.partition("__")
        if target and rest and target not in mangled:
            overrides.setdefault(target, {})[rest] = value
        else:
            body[key] = value
    return body, overrides


def _get_names(classes: Iterable[type]) -> set[str]:
    """Return the names of classes and all that they inherit from."""
    return {base.__name__ for cls in classes for base in cls.__mro__}


def _apply_overrides(
    name: str, base: NodeBase, body: Mapping[str, Any], overrides: Mapping[str, dict[str, Any]]
) -> dict[str, NodeBase]:
    """Return the nested nodes as they are with the overrides; those of the base stay."""
    changed: dict[str, NodeBase] = {}
    own = [key for key, value in body.items() if isinstance(value, NodeBase)]
    for target, changes in overrides.items():
        is_inherited = isinstance(find_attribute(base, target), ChildNodeDescriptor)
        meant = target if target in body or is_inherited else find_nearest(target, own)
        if meant is not None and meant in body:
            raise NodeDefinitionError(
                f"{name}.{_show_override(target, changes)}: {meant!r} is defined in the body of "
                f"{name} itself; write {', '.join(changes)} there"
            )
        changed[target] = _override(name, base, target, changes)
    return changed


def _override(name: str, base: NodeBase, target: str, changes: Mapping[str, Any]) -> NodeBase:
    """Return a nested node of the base as it is with some attributes changed."""
    child = _find_child(name, base, target, changes)
    cell = types.CellType()
    values = {}
    for rest, value in changes.items():
        _check_spelling(name, target, child, rest, value)
        values[rest] = value if "__" in rest else _move_super(value, cell)
    try:
        derived = derive(child, **values)
    except NodeDefinitionError as error:
        # It names the nested node only, which may stand anywhere in the tree.
        raise NodeDefinitionError(f"{name}.{target}: {error}") from None
    cell.cell_contents = derived
    return derived


def _move_super(value: Any, cell: types.CellType) -> Any:
    """Return a function so that its ``super()`` is that of the class in the cell.

    Written in the body of another class, it would look for the base of that one.
    """
    if not isinstance(value, types.FunctionType) or "__class__" not in value.__code__.co_freevars:
        return value
    cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
    closure = tuple(cell if variable == "__class__" else own for variable, own in cells)
    return copy_function(value, closure)


def _find_child(name: str, base: NodeBase, target: str, changes: Mapping[str, Any]) -> NodeBase:
    descriptor = find_attribute(base, target)
    if isinstance(descriptor, ChildNodeDescriptor):
        return descriptor.value
    children = [
        key for key, value in get_attributes(base).items() if isinstance(value, ChildNodeDescriptor)
    ]
    nearest = find_nearest(target, children)
    if nearest is not None:
        advice = f"did you mean {_show_override(nearest, changes)}?"
    elif children:
        advice = f"its nested nodes are {', '.join(children)}"
    else:
        advice = "it has none"
    raise NodeDefinitionError(
        f"{name}.{_show_override(target, changes)} overrides an attribute of the nested node "
        f"{target!r}, which {base.__name__} does not have: {advice}"
    )


def _check_spelling(name: str, target: str, child: NodeBase, rest: str, value: object) -> None:
    """Refuse a value for an attribute that the child lacks, when it has one of nearly that name.

    Other new attributes are let through, as they would be in a subclass of the child.
    """
    if isinstance(value, types.FunctionType | type) or "__" in rest or hasattr(child, rest):
        return
    known = [key for key in dir(child) if not key.startswith("_")]
    # In a short name, two swapped letters make it look like another one.
    swapped = next((key for key in known if sorted(key) == sorted(rest)), None)
    nearest = find_nearest(rest, known, 0.8) or swapped
    # Names such as value_1 and value_2 are near to each other on purpose.
    if nearest is not None and _without_number(nearest) != _without_number(rest):
        raise NodeDefinitionError(
            f"{name}.{target}__{rest} overrides an attribute that {target!r} does not have: "
            f"did you mean {target}__{nearest}? (To add a new attribute, write a class "
            f"{target} that inherits from the one it overrides.)"
        )


def _without_number(name: str) -> str:
    return re.sub(r"_?\d+$|_[a-z]$", "", name)


def _show_override(target: str, changes: Mapping[str, Any]) -> str:
    return f"{target}__{next(iter(changes))}"


# Wrapping


def _wrap(owner: str, kind: NodeKind, name: str, value: Any, base: NodeBase) -> dict[str, Any]:
    """Return what an attribute of a node class is stored as: it, its descriptor, its aliases."""
    if name in RESERVED:
        raise NodeDefinitionError(
            f"{owner}.{name} cannot be defined: every node has {name!r} already"
            + _INSTEAD_OF_RESERVED.get(name, "")
        )
    if name == "Hosts":
        return {"Hosts": value, "_node_roles": _parse_hosts(owner, value)}
    # Among the names with meaning to Python, only a call is something to run on hosts.
    if name.startswith("__") and name.endswith("__") and name != "__call__":
        return {name: value}
    if isinstance(value, functools.cached_property):
        raise NodeDefinitionError(
            f"{owner}.{name} is a cached_property; a node keeps no state: use a property"
        )
    if isinstance(value, UnboundAction):
        value = value.function
    if isinstance(value, types.FunctionType):
        _check_function(owner, name, value)
        return _wrap_function(name, value, base)
    if isinstance(value, NodeBase):
        problem = nesting_problem(kind, value._node_kind)
        if problem:
            raise NodeDefinitionError(f"{owner}.{name}: {problem}")
        return {name: ChildNodeDescriptor(name, value)}
    if isinstance(type(value), NodeBase) or hasattr(type(value), "_node_bind_action"):
        raise NodeDefinitionError(
            f"{owner}.{name} is {value!r}, an instance; nest the class {value.__class__.__name__}"
        )
    if isinstance(value, property | RequiredProperty):
        return {name: PropertyDescriptor(name, value)}
    if isinstance(value, Query):
        return {name: QueryDescriptor(name, value)}
    if _has_query(value):
        raise NodeDefinitionError(
            f"{owner}.{name} has a query within a {type(value).__name__}, where it would never be "
            f"evaluated: write {_AS_QUERIES[type(value)]}"
        )
    return {name: value}


def _has_query(value: object, depth: int = _DEEPEST_QUERY) -> bool:
    """Return whether a list, tuple, set or dict has a query in it, to some depth."""
    # Of these kinds exactly, as Q(…) evaluates them.
    if type(value) not in _AS_QUERIES:
        return False
    parts = (*value, *value.values()) if isinstance(value, dict) else cast(Iterable[object], value)
    return any(
        isinstance(part, Query) or (depth > 1 and _has_query(part, depth - 1)) for part in parts
    )


def _check_function(owner: str, name: str, function: types.FunctionType) -> None:
    if function is required_property:
        raise NodeDefinitionError(f"{owner}.{name}: call it, {name} = required_property()")
    code = function.__code__
    if not code.co_argcount and not code.co_flags & _CO_VARARGS:
        raise NodeDefinitionError(
            f"{owner}.{name}() is an action, which is given its node: "
            f"write {name}(self), or make it a @staticmethod"
        )


def _wrap_function(
    name: str, function: types.FunctionType, base: NodeBase
) -> dict[str, ActionDescriptor]:
    # The other names of an action stay its names when a subclass overrides it.
    inherited = [
        key
        for key, value in get_attributes(base).items()
        if isinstance(value, ActionDescriptor) and value.alias_of == name
    ]
    wrapped = {name: ActionDescriptor(name, function)}
    for alias in (*inherited, *get_marks(function).aliases):
        wrapped[alias] = ActionDescriptor(alias, function, alias_of=name)
    return wrapped


def _parse_hosts(owner: str, hosts: Any) -> RoleMapping | Roles | None:
    if hosts is None or isinstance(hosts, RoleMapping):
        return hosts
    if not isinstance(hosts, type) or isinstance(hosts, NodeBase):
        raise NodeDefinitionError(
            f"{owner}.Hosts is {hosts!r}; it has to be a class, whose attributes are roles, "
            "a role mapping, or None for the hosts of the parent"
        )
    try:
        return parse_hosts(hosts)
    except (TypeError, ValueError) as error:
        raise NodeDefinitionError(f"{owner}.Hosts: {error}") from error


def _adopt_mixins(cls: NodeBase) -> None:
    """Wrap what a node class inherits from plain classes as if it stood in its body."""
    attributes = dict(_iter_mixin_attributes(cls))
    _, overrides = _split_overrides(attributes, _get_names([cls]))
    for target, changes in overrides.items():
        if isinstance(find_attribute(cls, target), ChildNodeDescriptor):
            override = _show_override(target, changes)
            raise NodeDefinitionError(
                f"{cls.__name__}: {override} is inherited from a class that is no node, where it "
                f"overrides nothing; write it in {cls.__name__} itself"
            )
    for name, value in attributes.items():
        for key, wrapped in _wrap(cls.__name__, cls._node_kind, name, value, cls).items():
            if wrapped is not value:
                type.__setattr__(cls, key, wrapped)


def _iter_mixin_attributes(cls: NodeBase) -> Iterator[tuple[str, Any]]:
    seen: set[str] = set()
    for base in cls.__mro__[:-1]:
        new = {name: value for name, value in vars(base).items() if name not in seen}
        seen.update(new)
        if not isinstance(base, NodeBase):
            yield from new.items()
