"""The interactive shell: walk through a tree of nodes, and run its actions."""

from ..cli.line_shell import Status
from .navigation import NotFound
from .shell import DeploymentShell
from .state import ShellState

__all__ = ["DeploymentShell", "NotFound", "ShellState", "Status"]
