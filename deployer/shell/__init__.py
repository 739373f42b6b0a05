"""The interactive shell: walk through a tree of nodes, and run its actions."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..cli.status import Status
    from .navigation import NotFound
    from .shell import DeploymentShell
    from .state import ShellState
else:

    def __getattr__(name: str) -> Any:
        """Return what opens a shell: what only looks at a tree takes some modules of this."""
        if name == "DeploymentShell":
            from .shell import DeploymentShell as found
        elif name == "NotFound":
            from .navigation import NotFound as found
        elif name == "ShellState":
            from .state import ShellState as found
        elif name == "Status":
            from ..cli.status import Status as found
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return found


__all__ = ["DeploymentShell", "NotFound", "ShellState", "Status"]
