"""A shell on a host, for a person at a terminal."""

from __future__ import annotations

from typing import Any

from ...node import Node, alias, isolate_one_only, suppress_action_result

__all__ = ["Connect"]


class Connect(Node):
    """Opens a shell on one of the hosts of the node that it is nested in.

    As in::

        class web_servers(ParallelNode.Array):
            class connect(Connect):
                pass
    """

    #: Be root there.
    use_sudo: Any = False

    @alias("with_host")
    @isolate_one_only
    @suppress_action_result
    def __call__(self) -> None:
        """Hand the terminal to a shell on the host, until it ends; ask which one, of several.

        :raises deployer.exceptions.NoInput: when there is no terminal.
        """
        self.console.open_shell(self, bool(self.use_sudo))
