"""Other programs in the terminal: shells on both sides."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import programs
from ..cli import Status
from ..exceptions import NoInput

if TYPE_CHECKING:
    from .places import Place
    from .shell import ScpShell
    from .table import Arguments

__all__ = [
    "connect",
    "connect_here",
    "need_terminal",
    "run_here",
    "run_line_here",
    "run_program",
]


def connect(shell: ScpShell, place: Place, arguments: Arguments) -> None:
    """Open a shell on the host, where one is."""
    need_terminal(shell, "connect")
    with shell.host.cd(place.directory, expand=False):
        shell.host.start_interactive_shell()


def connect_here(shell: ScpShell, place: Place, arguments: Arguments) -> None:
    """Open a shell on this machine, where one is."""
    need_terminal(shell, "lconnect")
    # As sftp does it: how the shell ended says nothing about this one.
    run_program(shell, [programs.get_shell()])


def run_here(shell: ScpShell, place: Place, arguments: Arguments) -> int:
    """Run a command on this machine; reached by ``! COMMAND`` in quotes only."""
    return run_line_here(shell, " ".join(word.text for word in arguments.words))


def run_line_here(shell: ScpShell, line: str) -> int:
    """Run a line in the user's shell on this machine; without a line, open that."""
    if not line:
        need_terminal(shell, "! without a command")
    status = run_program(
        shell, [programs.get_shell(), "-c", line] if line else [programs.get_shell()]
    )
    if not line or not status:
        return Status.DONE
    if status == -signal.SIGINT:
        raise KeyboardInterrupt
    what = f"signal {-status}" if status < 0 else f"exit status {status}"
    shell.show_error(f"{line}: {what}")
    return Status.FAILED


def need_terminal(shell: ScpShell, what: str) -> None:
    """Raise unless there is a person at a terminal."""
    if not shell.pty.is_interactive:
        raise NoInput(f"{what} needs a terminal, and there is none here")


def run_program(shell: ScpShell, command: Sequence[str]) -> int:
    """Run a program on this machine, in the local directory; return its exit status."""
    with shell.local.errors(command[0], "run"):
        return programs.run_program(shell.pty, command, shell.local.directory)
