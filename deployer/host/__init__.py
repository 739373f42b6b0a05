"""Hosts: machines that commands run on, reached over SSH or local."""

from typing import TYPE_CHECKING, Any

from .base import Host, RunResult
from .local import LocalHost
from .ssh import SSHHost

if TYPE_CHECKING:
    from .base import HostContext, Stat
else:

    def __getattr__(name: str) -> Any:
        """Return what ``base`` imports only when it is asked for."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from . import base

        return getattr(base, name)


__all__ = ["Host", "HostContext", "LocalHost", "RunResult", "SSHHost", "Stat"]
