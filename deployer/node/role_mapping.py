"""Which roles of a node's hosts feed which roles of the nodes that are nested in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from ..utils.classes import derive

if TYPE_CHECKING:
    from ..host import Host

__all__ = ["ALL_HOSTS", "DefaultRoleMapping", "RoleMapping", "Roles", "map_roles"]

N = TypeVar("N", bound=type)

#: The hosts of a node: the classes, in order, by role.
Roles: TypeAlias = "Mapping[str, tuple[type[Host], ...]]"


class _AllHosts:
    """In a role mapping: all hosts of the parent, whatever their role."""

    def __repr__(self) -> str:
        return "ALL_HOSTS"


ALL_HOSTS: Final = _AllHosts()


class RoleMapping:
    """Derives the roles of a nested node from those of its parent; made by ``map_roles``.

    It may stand for the ``Hosts`` of a node, and decorates a node class to become that.

    :param sources: for each role, the names of roles of the parent, or ``ALL_HOSTS``.
    """

    def __init__(self, sources: Mapping[str, tuple[str | _AllHosts, ...]]) -> None:
        self._sources = dict(sources)

    def apply(self, parent: Roles) -> Roles:
        """Return the roles of the nested node; a role that the parent lacks gives no hosts."""
        return {
            role: tuple(dict.fromkeys(host for source in names for host in _hosts(parent, source)))
            for role, names in self._sources.items()
        }

    def __call__(self, node_class: N) -> N:
        """Return a copy of the node class that takes its hosts from its parent like this."""
        return derive(node_class, Hosts=self)

    def __repr__(self) -> str:
        sources = (
            f"{role}={names[0]!r}" if len(names) == 1 else f"{role}={names!r}"
            for role, names in self._sources.items()
        )
        return f"map_roles({', '.join(sources)})"


class DefaultRoleMapping(RoleMapping):
    """The mapping of a node that has no other: it has the roles of its parent."""

    def __init__(self) -> None:
        super().__init__({})

    def apply(self, parent: Roles) -> Roles:
        return parent

    def __repr__(self) -> str:
        return "DefaultRoleMapping()"


def map_roles(*host: Any, **roles: Any) -> RoleMapping:
    """Say which of the parent's roles feed which roles of the nested node that this decorates.

    ::

        @map_roles(role='parent_role', other=('r1', 'r2'), all=ALL_HOSTS)
        class child(Child):
            ...

    Positional names feed the role ``host``. The decorated class is a copy.
    """
    if host:
        if "host" in roles:
            raise TypeError("map_roles() got the role 'host' both by position and by name")
        roles = {"host": host, **roles}
    if not roles:
        raise TypeError("map_roles() needs at least one role, like map_roles('web')")
    return RoleMapping({role: _sources(role, value) for role, value in roles.items()})


def _sources(role: str, value: Any) -> tuple[str | _AllHosts, ...]:
    # Of a set, the order would differ from run to run.
    names = tuple(sorted(value)) if isinstance(value, set | frozenset) else value
    names = tuple(names) if isinstance(names, tuple | list) else (names,)
    for name in names:
        if not isinstance(name, str | _AllHosts):
            raise TypeError(
                f"map_roles({role}={value!r}): {name!r} is neither the name of a role of the "
                "parent nor ALL_HOSTS"
            )
    return names


def _hosts(parent: Roles, source: str | _AllHosts) -> tuple[type[Host], ...]:
    if isinstance(source, str):
        return parent.get(source, ())
    return tuple(host for hosts in parent.values() for host in hosts)
