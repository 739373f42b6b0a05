"""What the attributes of a node class turn into: child nodes, actions, properties and queries.

Each has its descriptor, which knows its name and binds itself to a node, or to the Env around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from ..exceptions import QueryException
from ..query import Query
from .action import UnboundAction

if TYPE_CHECKING:
    from .base import Node

__all__ = [
    "ActionDescriptor",
    "ChildNodeDescriptor",
    "NodeAttribute",
    "PropertyDescriptor",
    "QueryDescriptor",
    "RequiredProperty",
    "find_attribute",
    "get_attributes",
    "required_property",
]


class NodeAttribute:
    """Base of the descriptors: an attribute of a node class, by name."""

    __slots__ = ("name", "value")

    def __init__(self, name: str, value: Any) -> None:
        self.name = name
        self.value = value

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        # An empty container of hosts, a node that compares itself: never ask an instance for truth.
        return self.get_unbound() if instance is None else self.bind(instance)

    def get_unbound(self) -> Any:
        """Return what the class gives for the attribute."""
        return self.value

    def bind(self, instance: Any) -> Any:
        """Return what a node, or the Env around it, gives for the attribute."""
        raise NotImplementedError


class ChildNodeDescriptor(NodeAttribute):
    """A nested node: the class on the class, an instance of it on an instance."""

    __slots__ = ()
    value: type[Node]

    def bind(self, instance: Any) -> Any:
        return instance._node_bind_child(self)


class ActionDescriptor(NodeAttribute):
    """A function that is run with an Env as its self."""

    __slots__ = ("alias_of",)
    value: Callable[..., Any]

    def __init__(self, name: str, value: Callable[..., Any], alias_of: str | None = None) -> None:
        super().__init__(name, value)
        #: The name of the function that this is another name of.
        self.alias_of = alias_of

    def get_unbound(self) -> UnboundAction:
        return UnboundAction(self.name, self.value)

    def bind(self, instance: Any) -> Any:
        return instance._node_bind_action(self.name, self.value, self.alias_of)


class PropertyDescriptor(NodeAttribute):
    """A property, evaluated each time when it is read."""

    __slots__ = ()
    value: property | RequiredProperty

    def bind(self, instance: Any) -> Any:
        if isinstance(self.value, RequiredProperty):
            self.value.fail(self.name, repr(instance))
        try:
            return self.value.__get__(instance, type(instance))
        except AttributeError as error:
            # It would read as if the property itself were missing.
            error.add_note(f"raised by the property {self.name!r} of {instance!r}")
            raise


class QueryDescriptor(NodeAttribute):
    """A query, evaluated each time when it is read."""

    __slots__ = ()
    value: Query

    def bind(self, instance: Any) -> Any:
        return self.trace(instance).result

    def trace(self, instance: Any) -> Any:
        """Evaluate the query and return its QueryResult; raise QueryException when it fails."""
        query = self.value
        try:
            return query._execute_query(instance)
        except Exception as error:
            raise QueryException(
                instance, self.name, query, error, query._query_filename, query._query_line
            ) from error


# Typed as anything, so that a subclass may give it a value of any type.
def required_property(description: str = "") -> Any:
    """Return a property that has to be overridden before it is read.

    Reading it raises NotImplementedError, which names it, its owner and its description.
    """
    return RequiredProperty(description)


class RequiredProperty:
    """What ``required_property`` makes."""

    def __init__(self, description: str) -> None:
        self.description = description
        self._name = "(unnamed)"

    # In a node class its descriptor stands in for it; these serve in other classes.
    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type) -> Any:
        if instance is None:
            return self
        self.fail(self._name, repr(instance))

    def fail(self, name: str, owner: str) -> NoReturn:
        """Raise the error for the property of this name of an owner."""
        description = f" ({self.description})" if self.description else ""
        raise NotImplementedError(
            f"{owner} needs the property {name!r}{description}: give it a value in the class, "
            f"or, where it is nested, as <name of the nested node>__{name} = …"
        )


def find_attribute(cls: type, name: str) -> Any:
    """Return the raw attribute of a class, its descriptor where it has one, or None."""
    for base in cls.__mro__:
        if name in vars(base):
            return vars(base)[name]
    return None


def get_attributes(cls: type) -> dict[str, NodeAttribute]:
    """Return the descriptors of a node class by name, in order of definition.

    What a class inherits comes first, and what it overrides stays where it was.
    """
    table: dict[str, NodeAttribute] = {}
    for name, value in _iter_definitions(cls):
        if isinstance(value, NodeAttribute):
            table[name] = value
        else:
            table.pop(name, None)
    return table


def _iter_definitions(cls: type) -> Iterator[tuple[str, Any]]:
    for base in reversed(cls.__mro__):
        yield from vars(base).items()
