"""Filters for walking over a tree of nodes; they combine with ``&``, ``|`` and ``~``."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True)
class IsInstance(Filter):
    """Nodes of a class, or of one of several."""

    node_class: type | tuple[type, ...]

    def matches(self, inspector: Inspector) -> bool:
        return isinstance(inspector.node, self.node_class)


@dataclass(frozen=True)
class HasAction(Filter):
    """Nodes that have an action of this name."""

    name: str

    def matches(self, inspector: Inspector) -> bool:
        return inspector.has_action(self.name)


@dataclass(frozen=True)
class InGroup(Filter):
    """Nodes in a group, or in a subclass of it."""

    group: type[Group]

    def matches(self, inspector: Inspector) -> bool:
        return issubclass(inspector.get_group(), self.group)


@dataclass(frozen=True)
class _Both(Filter):
    left: Filter
    right: Filter

    def matches(self, inspector: Inspector) -> bool:
        return self.left.matches(inspector) and self.right.matches(inspector)

    def __repr__(self) -> str:
        return f"({self.left!r} & {self.right!r})"


@dataclass(frozen=True)
class _Either(Filter):
    left: Filter
    right: Filter

    def matches(self, inspector: Inspector) -> bool:
        return self.left.matches(inspector) or self.right.matches(inspector)

    def __repr__(self) -> str:
        return f"({self.left!r} | {self.right!r})"


@dataclass(frozen=True)
class _Not(Filter):
    operand: Filter

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
