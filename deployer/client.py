"""The command line of a script that defines a tree of nodes.

A script imports this module before it defines its nodes. From then on, a definition that makes no
sense ends the script with one message, in place of a traceback through the metaclass.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING

from .exceptions import DeployerException, NodeUsageError
from .node import Node

if TYPE_CHECKING:
    from .loggers import Logger

__all__ = ["start"]


def start(
    root_node: type[Node],
    name: str | None = None,
    extra_loggers: Iterable[Logger] | None = None,
) -> None:
    """Run what the command line says; without arguments, an interactive shell in the tree.

    Returns when the shell is left. Everything else ends the program, with the exit status 0 when
    it was done, 1 when an action or a host failed, 2 for wrong use or an unknown node, 3 when it
    was declined or an answer was needed and nobody could be asked, 4 when no host could be
    reached, and 130 when it was interrupted. See ``--help`` of a script that calls this.

    :param root_node: the ``Node`` class that is the tree's root.
    :param name: the program's name in help and messages; the script's name when not given.
    :param extra_loggers: loggers to attach beside the one that prints.
    """
    if not (isinstance(root_node, type) and issubclass(root_node, Node)):
        given = type(root_node).__name__
        hint = f", as in start({given})" if isinstance(root_node, Node) else ""
        raise NodeUsageError(f"start() takes a Node class{hint}; it was given {root_node!r}")
    words = sys.argv[1:]
    # Imported where each is about to be used: somebody who presses Tab waits for what is loaded.
    if words[:1] == ["--complete"]:
        from .run.completing import main

        sys.exit(main(root_node, words[1:]))
    from .run.dispatch import dispatch

    program = name or os.path.basename(sys.argv[0]) or "deploy.py"
    status = dispatch(program, root_node, words, tuple(extra_loggers or ()))
    if status is not None:
        sys.exit(status)


def _show_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Show an error of ours that ends the program as the shell would, and any other as before."""
    if isinstance(error, DeployerException):
        from .failures import describe_failure
        from .streams import write_text

        write_text(sys.stderr, describe_failure(error) + "\n")
    else:
        sys.__excepthook__(kind, error, trace)


# Whoever has set a hook knows better.
if sys.excepthook is sys.__excepthook__:
    sys.excepthook = _show_uncaught
