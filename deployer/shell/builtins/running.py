"""Running other things than actions at a node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..navigation import find_node

if TYPE_CHECKING:
    from ...cli.grammar import Token
    from ..shell import DeploymentShell

__all__ = ["scp"]


def scp(shell: DeploymentShell, words: Sequence[Token]) -> None:
    """Open the secure-copy shell."""
    # Imported here: it is a shell of its own, which most sessions never open.
    from ...scp_shell import open_scp_shell

    open_scp_shell(find_node(shell.state.node, [word.text for word in words]))
