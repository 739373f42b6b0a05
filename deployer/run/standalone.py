"""A tree of nodes, run by the process that defined it, in its own terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..cli import Token, make_reader, parse
from ..cli.reader import is_terminal
from ..failures import describe_failure
from ..loggers import LoggerInterface
from ..loggers.default import DefaultLogger
from ..node import Env, Node
from ..pseudo_terminal import Presentation, Pty, write_text
from ..shell import DeploymentShell
from ..shell.execution import Outcome
from ..shell.navigation import find_node
from .terminal import OneAtATimePty

if TYPE_CHECKING:
    from ..loggers import Logger
    from ..parallel import RunOptions

__all__ = ["make_env", "run_action", "run_scp", "run_shell"]


def make_env(
    root: type[Node],
    extra_loggers: Iterable[Logger] = (),
    interactive: bool = True,
    one_at_a_time: bool = False,
    path: str = "",
    options: RunOptions | None = None,
    presentation: Presentation | None = None,
) -> Env:
    """Return a tree's root, or the node at a path in it, in the process's own terminal.

    Raises NotFound when there is nothing at the path, and what the node raises when it is made.
    """
    logger = LoggerInterface()
    for attached in (DefaultLogger(), *extra_loggers):
        logger.attach(attached)
    pty = (OneAtATimePty if one_at_a_time else Pty)(interactive=interactive)
    pty.presentation = presentation or pty.presentation
    return find_node(Env(root(), pty, logger, options=options), parse(path).texts)


def run_shell(env: Env, program: str | None = None) -> int:
    """Run the shell: on lines typed at a terminal, or, without one, on all lines of stdin.

    :param program: what runs it, for the command lines that the shell proposes.
    :return: the exit status: 0, or 1 when a line of a script failed, which is then the last one.
    """
    pty = env.console.pty
    shell = DeploymentShell(env, stop_at_failure=not is_terminal(pty.stdin), program=program)
    return shell.run(make_reader(pty, shell.complete, "shell"))


def run_action(env: Env, words: Iterable[str]) -> int:
    """Run one action, named by words, with the words after it as arguments; return the status."""
    # The shell of the system has dealt with the quotes already.
    tokens = [Token(word, 0, len(word), plain=len(word)) for word in words]
    return DeploymentShell(env).run_action(tokens)


def run_scp(env: Env) -> int:
    """Run the secure-copy shell on a node's host; return the status as ``run_shell`` does."""
    # Imported here: most runs copy nothing.
    from ..scp_shell import open_scp_shell

    try:
        return open_scp_shell(env)
    except Exception as error:
        write_text(env.console.pty.stderr, describe_failure(error) + "\n")
        return Outcome(error=error).status
