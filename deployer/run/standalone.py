"""A tree of nodes, run by the process that defined it, in its own terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

from ..cli import History, PlainReader, Reader, ReadlineReader, Token, parse
from ..console import Console
from ..loggers import DefaultLogger, Logger, LoggerInterface
from ..node import Env, Node
from ..pseudo_terminal import Pty
from ..shell import DeploymentShell
from ..shell.navigation import find_node
from .terminal import OneAtATimePty

__all__ = ["make_env", "run_action", "run_shell"]


def make_env(
    root: type[Node],
    extra_loggers: Iterable[Logger] = (),
    interactive: bool = True,
    one_at_a_time: bool = False,
    path: str = "",
) -> Env:
    """Return a tree's root, or the node at a path in it, in the process's own terminal.

    Raises NotFound when there is nothing at the path, and what the node raises when it is made.
    """
    logger = LoggerInterface()
    for attached in (DefaultLogger(), *extra_loggers):
        logger.attach(attached)
    pty = (OneAtATimePty if one_at_a_time else Pty)(interactive=interactive)
    return find_node(Env(root(), pty, logger), parse(path).texts)


def run_shell(env: Env) -> int:
    """Run the shell: on lines typed at a terminal, or, without one, on all lines of stdin.

    Return the exit status: 0, or 1 when a line of a script failed, which is then the last one.
    """
    is_script = not _is_terminal(sys.stdin)
    shell = DeploymentShell(env, stop_at_failure=is_script)
    return shell.run(_make_reader(shell, is_script))


def run_action(env: Env, words: Iterable[str]) -> int:
    """Run one action, named by words, with the words after it as arguments; return the status."""
    # The shell of the system has dealt with the quotes already.
    tokens = [Token(word, 0, len(word), plain=len(word)) for word in words]
    return DeploymentShell(env).run_action(tokens)


def _make_reader(shell: DeploymentShell, is_script: bool) -> Reader:
    if is_script:
        return PlainReader(sys.stdin)
    if not shell.pty.is_interactive:
        return PlainReader(sys.stdin, sys.stderr)
    console = Console(shell.pty)
    try:
        return ReadlineReader(
            shell.complete, History.for_project(Path(sys.argv[0]), console.warning)
        )
    except ImportError:
        console.warning("this Python has no readline: no history, and no completion")
        return PlainReader(sys.stdin, sys.stdout)


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # It is closed.
        return False
