"""What the classes of hosts have beyond what every host has: the values of whoever wrote them."""

from __future__ import annotations

from .base import Host
from .ssh import SSHHost

__all__ = ["get_own_names"]

_PACKAGE = __name__.partition(".")[0]


def get_own_names(host: type[Host]) -> set[str]:
    """Return the public names that the user's classes of a host define, and deployer's do not.

    How a host is reached (``port``, ``username``, ``password``) is not among them, wherever a value
    is given to it, and whatever kind of host it is.
    """
    ours: set[str] = set()
    others: set[str] = set()
    for cls in (*SSHHost.__mro__, *host.__mro__):
        is_ours = cls.__module__.partition(".")[0] == _PACKAGE
        (ours if is_ours else others).update(vars(cls))
    return {name for name in others - ours if not name.startswith("_")}
