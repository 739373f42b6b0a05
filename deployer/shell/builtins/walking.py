"""Going from node to node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...inspection import Inspector
from ..navigation import find_node
from .table import UsageError

if TYPE_CHECKING:
    from ...cli.grammar import Token
    from ..shell import DeploymentShell

__all__ = ["cd", "clear", "leave", "leave_sub_shell", "pwd"]


def cd(shell: DeploymentShell, words: Sequence[Token]) -> None:
    """Go to another node."""
    state = shell.state
    texts = [word.text for word in words]
    if texts == ["-"]:
        state.go(state.previous)
    else:
        state.go(find_node(state.node, texts or ["/"]))


def pwd(shell: DeploymentShell, words: Sequence[Token]) -> None:
    """Say where one is."""
    _expect_nothing("pwd", words)
    shell.show(Inspector(shell.state.node).get_full_name())


def clear(shell: DeploymentShell, words: Sequence[Token]) -> None:
    """Clear the screen, where there is one."""
    _expect_nothing("clear", words)
    if shell.pty.is_interactive and shell.pty.term != "dumb":
        shell.pty.write("\x1b[H\x1b[2J\x1b[3J")


def leave_sub_shell(shell: DeploymentShell, words: Sequence[Token]) -> None:
    """Go back to where a sub-shell was opened."""
    _expect_nothing("return", words)
    if not shell.state.is_sub_shell:
        raise UsageError("There is no sub-shell to return from; exit leaves the shell")
    shell.leave()


def leave(shell: DeploymentShell, words: Sequence[Token]) -> None:
    """Leave the shell, or a sub-shell."""
    _expect_nothing("exit", words)
    shell.leave()


def _expect_nothing(name: str, words: Sequence[Token]) -> None:
    if words:
        raise UsageError(f"{name} takes no arguments")
