"""A shell without a terminal, for tests of what its lines do."""

from __future__ import annotations

from deployer.inspection import Inspector
from deployer.loggers import DefaultLogger, LoggerInterface
from deployer.node import Env, Node
from deployer.pseudo_terminal import DummyPty
from deployer.shell import DeploymentShell

__all__ = ["Session"]


class Session:
    """Runs lines in a tree.

    :param logs: whether what runs on hosts is said, as on the command line.
    """

    def __init__(self, root: type[Node], confirms: bool = True, logs: bool = False) -> None:
        self.pty = DummyPty()
        logger = LoggerInterface()
        if logs:
            logger.attach(DefaultLogger(self.pty.stderr))
        self.shell = DeploymentShell(Env(root(), self.pty, logger), confirms=confirms)
        self.status = 0

    def run(self, *lines: str) -> str:
        """Return what the lines write."""
        before = len(self.pty.get_output())
        for line in lines:
            self.status = self.shell.run_line(line)
        return self.pty.get_output()[before:]

    @property
    def place(self) -> str:
        return Inspector(self.shell.state.node).get_full_name()

    def complete(self, line: str) -> list[str]:
        """Return the completions, each with what follows it."""
        return [c.text + c.append for c in self.shell.complete(line, len(line))]
