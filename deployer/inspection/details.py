"""All there is to say about one node, action, property or query, as plain values.

Nothing is evaluated but a query, when that is what one asks about.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..node.action import Runs
from ..node.base import Node
from ..node.decorators import get_marks
from ..node.descriptors import NodeAttribute, RequiredProperty, find_attribute
from ..utils.string_utils import tidy_path
from .description import ActionDescription, NodeDescription, describe_action, describe_node
from .inspector import Inspector
from .source import Place, find_place
from .texts import clean, clean_doc, get_node_doc, is_secret_name, show_value
from .trace import Step, trace

__all__ = [
    "ActionDetails",
    "NodeDetails",
    "PropertyDetails",
    "QueryDetails",
    "Value",
    "inspect_action",
    "inspect_node",
    "inspect_property",
    "inspect_query",
]


class Value(NamedTuple):
    """A plain attribute of a node."""

    name: str
    #: Its ``repr``, without secrets.
    value: str


class NodeDetails(NamedTuple):
    """A node."""

    kind: str
    about: NodeDescription
    class_name: str
    #: The names of the classes that its own inherits from, without those of deployer.
    bases: tuple[str, ...]
    #: Where its class is defined; None where no file says so.
    place: Place | None
    doc: str
    attributes: tuple[Value, ...]


class ActionDetails(NamedTuple):
    """An action."""

    kind: str
    about: ActionDescription
    path: str
    #: The name of the class in which it is defined.
    defined_in: str
    place: Place | None
    doc: str
    #: The other names that it has.
    aliases: tuple[str, ...]
    #: How often it runs: ``once``, ``in-one-cell`` or ``in-each-cell``.
    runs: str
    #: The names of the cells it could run in, where there are any.
    cells: tuple[str, ...]
    #: The sizes of the batches of cells that it runs in; the last holds for all that is left.
    batches: tuple[int | str, ...]
    #: Whether its author says that it changes nothing.
    changes_nothing: bool


class PropertyDetails(NamedTuple):
    """A property, which is not evaluated."""

    kind: str
    name: str
    path: str
    defined_in: str
    place: Place | None
    doc: str
    #: Whether it is a ``required_property``, which has no value yet.
    is_required: bool


class QueryDetails(NamedTuple):
    """A query, and how it is evaluated."""

    kind: str
    name: str
    path: str
    defined_in: str
    place: Place | None
    #: How it is written.
    source: str
    #: Its parts with their results, in the order in which they are evaluated; of a query that
    #: fails, as far as it comes.
    steps: tuple[Step, ...]
    #: The ``repr`` of its result; None where it fails.
    result: str | None
    #: Why it fails.
    error: str | None


def inspect_node(node: Any) -> NodeDetails:
    """Return all about a node, with what is private in it."""
    inspector = Inspector(node)
    cls = inspector.get_class()
    return NodeDetails(
        kind="node",
        about=describe_node(node, include_private=True),
        class_name=cls.__qualname__,
        bases=_list_bases(cls),
        place=find_place(cls),
        doc=get_node_doc(node),
        attributes=_list_attributes(cls),
    )


def inspect_action(node: Any, name: str) -> ActionDetails:
    """Return all about an action; raise AttributeError when there is none of this name."""
    inspector = Inspector(node)
    action = inspector.get_action(name)
    function = getattr(action, "action", action).function
    runs = action.runs
    original = action.alias_of or name
    names = [
        each.name for each in inspector.get_actions() if original in (each.name, each.alias_of)
    ]
    cells = tuple(clean(cell.name) for cell in inspector.iter_isolations() if cell.identifier)
    marks = get_marks(function)
    batches: tuple[int | str, ...] = ()
    if runs is Runs.IN_EACH_CELL:
        batches = (marks.batches.batches or ()) if marks.batches is not None else ()
    return ActionDetails(
        kind="action",
        about=describe_action(action),
        path=clean(action.full_name),
        defined_in=_find_owner(inspector.get_class(), name),
        place=find_place(function),
        doc=clean_doc(action.__doc__),
        aliases=tuple(clean(each) for each in names if each != name),
        runs=runs.value,
        cells=() if runs is Runs.ONCE else cells,
        batches=batches,
        changes_nothing=marks.changes_nothing,
    )


def inspect_property(node: Any, name: str) -> PropertyDetails:
    """Return all about a property; raise AttributeError when there is none of this name."""
    inspector = Inspector(node)
    doc = inspector.get_property(name).doc
    value = find_attribute(inspector.get_class(), name).value
    is_required = isinstance(value, RequiredProperty)
    return PropertyDetails(
        kind="property",
        name=clean(name),
        path=clean(f"{inspector.get_full_name()}.{name}"),
        defined_in=_find_owner(inspector.get_class(), name),
        place=None if is_required else find_place(value.fget),
        doc=clean_doc(doc),
        is_required=is_required,
    )


def inspect_query(node: Any, name: str) -> QueryDetails:
    """Evaluate a query, and return all about it; raise AttributeError when there is none."""
    inspector = Inspector(node)
    query = inspector.get_query(name)
    steps, result, error = trace(node, query)
    return QueryDetails(
        kind="query",
        name=clean(name),
        path=clean(f"{inspector.get_full_name()}.{name}"),
        defined_in=_find_owner(inspector.get_class(), name),
        place=Place(tidy_path(query._query_filename), query._query_line, query._query_line),
        source=show_value(query),
        steps=steps,
        result=result,
        error=error,
    )


def _find_owner(cls: type, name: str) -> str:
    """Return the name of the class that defines an attribute."""
    return next(base.__qualname__ for base in cls.__mro__ if name in vars(base))


def _is_ours(cls: type) -> bool:
    return cls is object or cls.__module__ == Node.__module__


def _list_bases(cls: type) -> tuple[str, ...]:
    # The copies of a class that decorators make go by its own name.
    names = [base.__qualname__ for base in cls.__mro__ if not _is_ours(base)]
    return tuple(name for name in dict.fromkeys(names) if name != cls.__qualname__)


def _list_attributes(cls: type) -> tuple[Value, ...]:
    """Return the public attributes that are nothing but values, in order of definition."""
    found: dict[str, object] = {}
    for base in reversed(cls.__mro__):
        if not _is_ours(base):
            found |= vars(base)
    return tuple(
        Value(name, "***" if is_secret_name(name) else show_value(value))
        for name, value in found.items()
        if not name.startswith("_") and name != "Hosts" and not isinstance(value, NodeAttribute)
    )
