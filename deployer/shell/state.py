"""Where somebody is in the tree, and how the shell runs things."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..node import Env
    from .aliases import Aliases
    from .recording import Recording

__all__ = ["ShellState"]


class ShellState:
    """The current node, the one before it, and where to return to from a sub-shell.

    :param aliases: lines by the short names that were given to them.
    :param confirms: whether a person is asked before something runs in production.
    """

    def __init__(self, node: Env, aliases: Aliases, confirms: bool = True) -> None:
        self.node = node
        #: Where ``cd -`` goes.
        self.previous = node
        self.confirms = confirms
        #: The exit status of the last line.
        self.status = 0
        self.aliases = aliases
        #: What the last action has shown.
        self.recording: Recording | None = None
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

    def replace_envs(self, change: Callable[[Env], Env]) -> None:
        """Put other Envs in the place of all of these, as of other options."""
        self._outer = [(change(node), change(previous)) for node, previous in self._outer]
        self.node, self.previous = change(self.node), change(self.previous)
