"""Groups of nodes: a name and a colour, so that one sees in the shell what is production.

::

    @production
    class web_server(Node):
        ...
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from .utils.classes import derive

__all__ = [
    "Beta",
    "Group",
    "Local",
    "Other",
    "Production",
    "Staging",
    "Utility",
    "beta",
    "local",
    "other",
    "production",
    "set_group",
    "staging",
    "utility",
]

C = TypeVar("C", bound=type)


class Group:
    """The group of nodes that are in no other; subclass it to make a group."""

    #: What the shell calls it; the name of the class in lower case, unless given.
    name: str = ""
    #: The colour of its nodes in the shell, as termcolor calls it; None for no colour.
    color: str | None = None
    #: Whether deployer asks a person to type the name of a node before something runs on it.
    needs_confirmation: bool = False

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in vars(cls):
            cls.name = cls.__name__.lower()


class Production(Group):
    """What users depend on. deployer asks before something runs there."""

    color = "red"
    needs_confirmation = True


class Staging(Group):
    """What becomes production next."""

    color = "yellow"


class Beta(Group):
    """What some of the users try out."""

    color = "green"


class Local(Group):
    """What runs on one's own machine."""

    color = "cyan"


class Other(Group):
    """What is none of these."""

    color = "magenta"


class Utility(Group):
    """Tools, which deploy nothing themselves."""

    color = "blue"


def set_group(group: type[Group]) -> Callable[[C], C]:
    """Put a node class, and what is nested in it, in a group. Decorates a copy of the class."""
    if not (isinstance(group, type) and issubclass(group, Group)):
        raise TypeError(f"set_group() takes a subclass of Group, not {group!r}")

    def decorate(node_class: C) -> C:
        return derive(node_class, _node_group=group)

    return decorate


production = set_group(Production)
staging = set_group(Staging)
beta = set_group(Beta)
local = set_group(Local)
other = set_group(Other)
utility = set_group(Utility)
