"""What a command line cannot ask for, and what it cannot be asked of."""

from __future__ import annotations

from ..exceptions import DeployerException

__all__ = ["BrokenTree", "WrongUse"]


class WrongUse(DeployerException):
    """A command line that cannot be meant. Nothing was run."""


class BrokenTree(DeployerException):
    """The tree itself is wrong, and not the command line."""
