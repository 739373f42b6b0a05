"""Where somebody is in the tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..node import Env

__all__ = ["ShellState"]


class ShellState:
    """The current node, the one before it, and where to return to from a sub-shell."""

    def __init__(self, node: Env) -> None:
        self.node = node
        #: Where ``cd -`` goes.
        self.previous = node
        self._outer: list[tuple[Env, Env]] = []

    def go(self, node: Env) -> None:
        """Make another node the current one."""
        self.previous, self.node = self.node, node

    @property
    def is_sub_shell(self) -> bool:
        """Whether leaving returns to another node."""
        return bool(self._outer)

    def enter(self, node: Env) -> None:
        """Begin a sub-shell in a node."""
        self._outer.append((self.node, self.previous))
        self.node = self.previous = node

    def leave(self) -> None:
        """End the sub-shell: return to the node from which it was entered."""
        self.node, self.previous = self._outer.pop()
