"""Running things at a node other than an action as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...cli.status import Status
from ..hosts import check_has_hosts
from ..navigation import find_node, find_target
from .table import UsageError

if TYPE_CHECKING:
    from ...cli.grammar import Token
    from ..shell import DeploymentShell

__all__ = ["connect", "run", "run_locally", "run_with_sudo", "sandbox", "scp"]


def sandbox(shell: DeploymentShell, words: Sequence[Token]) -> int:
    """Run an action in a sandbox: commands are checked, and nothing is changed."""
    if not words:
        raise UsageError("sandbox takes the name of an action, with its arguments")
    return shell.call(find_target(shell.state.node._node_in_sandbox(), words), words)


def run(shell: DeploymentShell, words: Sequence[Token]) -> int:
    """Run a command on the hosts of the node."""
    return _run(shell, words, use_sudo=False)


def run_with_sudo(shell: DeploymentShell, words: Sequence[Token]) -> int:
    """Run a command on the hosts of the node as root."""
    return _run(shell, words, use_sudo=True)


def _run(shell: DeploymentShell, words: Sequence[Token], use_sudo: bool) -> int:
    from ..execution import execute_command

    node = shell.state.node
    check_has_hosts(node)
    # As ssh joins its words, so that quotes around the whole are for the host.
    command = " ".join(word.text for word in words)
    if not command:
        command = shell.console.input("Command to run as root" if use_sudo else "Command to run")
    return shell.run_at(node, command, lambda: execute_command(node, command, use_sudo))


def connect(shell: DeploymentShell, words: Sequence[Token]) -> int:
    """Hand the terminal to a shell on the node's host."""
    use_sudo = any(word.text == "--sudo" for word in words)
    names = [word.text for word in words if word.text != "--sudo"]
    node = find_node(shell.state.node, names)
    check_has_hosts(node)
    shell.console.open_shell(node, use_sudo)
    return 0


def run_locally(shell: DeploymentShell, words: Sequence[Token]) -> int:
    """Run a command line of the system's shell on this machine."""
    import signal

    from ...programs import get_shell, run_program

    line = " ".join(word.text for word in words)
    if not line.strip():
        raise UsageError("! takes a command, as in !git status")
    status = run_program(shell.pty, [get_shell(), "-c", line])
    if status == -signal.SIGINT:
        raise KeyboardInterrupt
    if status:
        shell.show_error(f"signal {-status}" if status < 0 else f"exit status {status}")
    return Status.FAILED if status else Status.DONE


def scp(shell: DeploymentShell, words: Sequence[Token]) -> int:
    """Open the secure-copy shell."""
    # Imported here: it is a shell of its own, which most sessions never open.
    from ...scp_shell import open_scp_shell

    node = find_node(shell.state.node, [word.text for word in words])
    check_has_hosts(node)
    return open_scp_shell(node)
