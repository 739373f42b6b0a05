"""Filters for walking over a tree of nodes; they combine with ``&``, ``|`` and ``~``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from ..groups import Group

if TYPE_CHECKING:
    from .inspector import Inspector

__all__ = [
    "Filter",
    "HasAction",
    "InGroup",
    "IsInstance",
    "PrivateOnly",
    "PublicOnly",
]


class Filter:
    """Base of the filters; a new one defines ``matches``."""

    def matches(self, inspector: Inspector) -> bool:
        """Return whether a node is wanted."""
        raise NotImplementedError

    def __and__(self, other: Filter) -> Filter:
        return _Both(self, other) if isinstance(other, Filter) else NotImplemented

    def __or__(self, other: Filter) -> Filter:
        return _Either(self, other) if isinstance(other, Filter) else NotImplemented

    def __invert__(self) -> Filter:
        return _Not(self)

    def __bool__(self) -> NoReturn:
        raise TypeError("filters are combined with & (and), | (or) and ~ (not)")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, vars(self).values()))})"


class IsInstance(Filter):
    """Nodes of a class, or of one of several."""

    def __init__(self, node_class: type | tuple[type, ...]) -> None:
        self.node_class = node_class

    def matches(self, inspector: Inspector) -> bool:
        return isinstance(inspector.node, self.node_class)


class HasAction(Filter):
    """Nodes that have an action of this name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def matches(self, inspector: Inspector) -> bool:
        return inspector.has_action(self.name)


class InGroup(Filter):
    """Nodes in a group, or in a subclass of it."""

    def __init__(self, group: type[Group]) -> None:
        self.group = group

    def matches(self, inspector: Inspector) -> bool:
        return issubclass(inspector.get_group(), self.group)


class _Both(Filter):
    def __init__(self, left: Filter, right: Filter) -> None:
        self.left = left
        self.right = right

    def matches(self, inspector: Inspector) -> bool:
        return self.left.matches(inspector) and self.right.matches(inspector)

    def __repr__(self) -> str:
        return f"({self.left!r} & {self.right!r})"


class _Either(Filter):
    def __init__(self, left: Filter, right: Filter) -> None:
        self.left = left
        self.right = right

    def matches(self, inspector: Inspector) -> bool:
        return self.left.matches(inspector) or self.right.matches(inspector)

    def __repr__(self) -> str:
        return f"({self.left!r} | {self.right!r})"


class _Not(Filter):
    def __init__(self, operand: Filter) -> None:
        self.operand = operand

    def matches(self, inspector: Inspector) -> bool:
        return not self.operand.matches(inspector)

    def __repr__(self) -> str:
        return f"~{self.operand!r}"


class _PublicOnly(Filter):
    def matches(self, inspector: Inspector) -> bool:
        return not any(name.startswith("_") for name in inspector.get_path()[1:])

    def __repr__(self) -> str:
        return "PublicOnly"


#: Nodes that are, like all around them, nested under names without a leading underscore.
PublicOnly = _PublicOnly()

#: The others.
PrivateOnly = ~PublicOnly
