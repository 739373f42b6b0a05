"""Running things: actions, commands, and the shells."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ...cli import Token, make_reader
from ...cli.reader import is_terminal
from ...exceptions import DeployerException
from ...shell import DeploymentShell
from ...shell.execution import execute_command
from ...shell.hosts import check_has_hosts
from ..command_line import WrongUse
from ..dispatch import write_error
from ..terminal import ReadByProgramPty

if TYPE_CHECKING:
    from ...node import Env
    from ..command_line import CommandLine

__all__ = ["execute", "open_shell", "run", "scp", "ssh"]

# Shells name the end of a process by a signal so.
_ENDED_BY = 128


def open_shell(line: CommandLine) -> int:
    """Open the shell at the root: for lines typed at a terminal, or else for all lines of stdin."""
    return _run(line, "", [])


def run(line: CommandLine) -> int:
    """Run an action; without any, open the shell at a node."""
    arguments = line.arguments
    if arguments.scp and arguments.words:
        raise WrongUse("--scp opens a shell of its own, and takes no action")
    if arguments.scp:
        return _copy(line.make_env(arguments.path))
    return _run(line, arguments.path, arguments.words)


def execute(line: CommandLine) -> int:
    """Run a command on all hosts of a node, of whatever role."""
    arguments = line.arguments
    if arguments.executor is not None or arguments.processes is not None:
        raise WrongUse("exec runs in this process; --executor and --processes are for run")
    path, *words = arguments.words
    env = line.make_env(path)
    check_has_hosts(env)
    # As ssh joins its words, so that quotes around the whole are for the host.
    command = " ".join(words)
    shell = _make_shell(line, env)
    with _stopped_by_signals() as came:
        status = shell.run_at(env, command, lambda: execute_command(env, command, arguments.sudo))
        shell.report_errors()
    return _ENDED_BY + came[0] if came else status


def ssh(line: CommandLine) -> int:
    """Hand the terminal to a shell on the host of a node, of several the one that is chosen."""
    env = line.make_env(*line.arguments.words)
    check_has_hosts(env)
    env.console.open_shell(env)
    return 0


def scp(line: CommandLine) -> int:
    """Open the secure-copy shell on the host of a node."""
    return _copy(line.make_env(*line.arguments.words))


def _copy(env: Env) -> int:
    # Imported here: most runs copy nothing.
    from ...scp_shell import open_scp_shell

    check_has_hosts(env)
    return open_scp_shell(env)


class _Shell(DeploymentShell):
    """Keeps what it says about why something could not be run, for a program that waits for it."""

    _errors = ""

    def show_error(self, text: str) -> None:
        """Write what went wrong, and keep it."""
        self._errors += text
        super().show_error(text)

    def report_errors(self) -> None:
        """Write them for a program to which nothing has been written so far."""
        if isinstance(self.pty, ReadByProgramPty) and not self.pty.has_shown:
            write_error(self._errors)


def _run(line: CommandLine, path: str, words: Sequence[str]) -> int:
    with _in_executor(line, line.make_env(path)) as env:
        pty = env.console.pty
        if not words:
            shell = _make_shell(line, env, stop_at_failure=not is_terminal(pty.stdin))
            return shell.run(make_reader(pty, shell.complete, "shell"))
        shell = _make_shell(line, env)
        # The shell of the system has dealt with the quotes already.
        tokens = [Token(word, 0, len(word), plain=len(word)) for word in words]
        with _stopped_by_signals() as came:
            status = shell.run_action(tokens)
            shell.report_errors()
        return _ENDED_BY + came[0] if came else status


def _make_shell(line: CommandLine, env: Env, stop_at_failure: bool = False) -> _Shell:
    arguments = line.arguments
    return _Shell(
        env,
        stop_at_failure=stop_at_failure,
        # Of a single action, it is known how it is run again.
        invocation=() if arguments.words else line.invocation,
        confirms=not arguments.yes,
        quiet=arguments.quiet,
    )


@contextlib.contextmanager
def _in_executor(line: CommandLine, env: Env) -> Iterator[Env]:
    """Give the node with the executor that was asked for, if one was."""
    arguments = line.arguments
    if arguments.executor is None and arguments.processes is None:
        yield env
        return
    # Imported here: most runs stay in this process.
    from ..executors import open_executor

    with contextlib.ExitStack() as stack:
        try:
            executor = stack.enter_context(open_executor(arguments.executor, arguments.processes))
        except (DeployerException, ValueError) as error:
            raise WrongUse(str(error)) from error
        yield env._node_with_options(env._node_options.replace(executor=executor))


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[list[int]]:
    """Have SIGTERM and SIGHUP end what runs on hosts, as Ctrl-C does, while the ``with`` block is.

    A second SIGTERM ends the process. Gives the list of what came, which is none or one of them.
    """
    came: list[int] = []

    def stop(number: int, _: object) -> None:
        if came:
            # A SIGHUP: of a terminal that is closed, the shell and the kernel both tell.
            return
        came.append(number)
        if signal.SIGTERM in ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise KeyboardInterrupt

    is_main = threading.current_thread() is threading.main_thread()
    # Who has set a handler, or ignores it, knows better.
    ours = [
        number
        for number in (signal.SIGTERM, signal.SIGHUP)
        if is_main and signal.getsignal(number) is signal.SIG_DFL
    ]
    for number in ours:
        signal.signal(number, stop)
    try:
        yield came
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
