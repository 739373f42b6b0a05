"""The loop of the shell: find the command of a line, run it, and say what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..cli import Completion, LineError, LineShell, Status, did_you_mean, make_reader
from ..cli.reader import is_terminal
from ..exceptions import (
    ConnectionFailedException,
    ConnectionLost,
    DeployerException,
    NodeUsageError,
    NoInput,
)
from .completion import ScpCandidates
from .display import shown
from .globbing import read_words
from .places import LocalPlace, RemotePlace
from .table import COMMANDS, OTHER_NAMES, UsageError

if TYPE_CHECKING:
    from ..host_container import HostContainer
    from ..node import Env

__all__ = ["ScpShell", "open_scp_shell"]


def open_scp_shell(env: Env) -> int:
    """Open the shell for the host of a node; ask for one cell of an array.

    Return 0, or 1 when a line of a script failed.
    """
    pty = env.console.pty
    host = env.console.select_node_isolation(env).host
    shell = ScpShell(host, stop_at_failure=not is_terminal(pty.stdin))
    return shell.run(make_reader(pty, shell.complete, "scp"))


class ScpShell(LineShell):
    """Runs lines on the files of one host, and on those of this machine.

    Neither side's directory changes for anybody else.
    """

    def __init__(self, host: HostContainer, stop_at_failure: bool = False) -> None:
        super().__init__(host.pty, stop_at_failure)
        if host.is_sandbox:
            raise NodeUsageError(f"{host.slug} is a sandbox: nothing can be copied there")
        #: The host as whoever opened the shell has it, in their context.
        self.host = host
        # Without a logger: the shell says itself what it does.
        self.remote = RemotePlace(host.host_class(host.pty), host.getcwd())
        self.local = LocalPlace()
        self._candidates = ScpCandidates(self.remote, self.local)

    def run_line(self, line: str) -> int:
        """Run one line and show what comes of it; return its exit status. Failures do not raise."""
        # What was listed for completion may change.
        self._candidates.forget()
        try:
            return self._run(line)
        except BrokenPipeError:
            raise
        except (Exception, KeyboardInterrupt) as error:
            return self.show_failure(error)

    def complete(self, line: str, cursor: int) -> Sequence[Completion]:
        """Return commands, options, or names of the side that a command is about."""
        return self._candidates.complete(line, cursor)

    def get_prompt(self) -> str:
        """Return the host and its current directory."""
        return f"{self.bold(shown(self.remote.locate(self.remote.directory)))} > "

    def show_failure(self, error: BaseException) -> int:
        """Say what went wrong, in a line; return the exit status for it."""
        match error:
            case KeyboardInterrupt():
                if self.pty.is_interactive:
                    # The terminal has shown the ^C, and stands behind it.
                    self.show("")
                self.show_error("Interrupted")
                return Status.INTERRUPTED
            case ConnectionLost():
                self.show_error(f"{shown(str(error))}; the next command connects again")
                return Status.FAILED
            case LineError() | UsageError():
                self.show_error(str(error))
                return Status.WRONG_USE
            case NoInput():
                self.show_error(str(error))
                return Status.NO_INPUT
            case ConnectionFailedException():
                self.show_error(str(error))
                return Status.UNREACHABLE
            case DeployerException():
                self.show_error(shown(str(error)))
            case _:
                self.show_error(shown(f"{type(error).__name__}: {error}"))
        return Status.FAILED

    def _run(self, line: str) -> int:
        # The rest of such a line is another shell's, with all its quotes.
        if line.lstrip().startswith("!"):
            from .programs import run_line_here

            return run_line_here(self, line.lstrip()[1:].strip())
        words = read_words(line)
        if not words:
            return Status.DONE
        name = words[0].text
        command = COMMANDS.get(name)
        if command is None:
            raise UsageError(f"There is no command {name!r}.{_get_hint(name)}")
        return command.run(self, self.local if command.is_local else self.remote, words[1:])


def _get_hint(name: str) -> str:
    if known := OTHER_NAMES.get(name):
        return f" Here, {known} does that."
    return did_you_mean(name, COMMANDS) or " `help` lists all."
