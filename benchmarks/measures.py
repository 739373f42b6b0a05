"""What is measured, by whom, and what is to be reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from processes import Run

__all__ = ["ALL", "LIMIT", "OURS", "Contestant", "Measure", "judge", "write_scripts"]

OURS = "deployer"
LIMIT = "paramiko, tuned"
BARE = "python -c pass"


@dataclass(frozen=True)
class Contestant:
    """One of those who are compared.

    :ivar program: a worker, or the words of a command, ``{python}``, ``{bin}`` and ``{directory}``
        among them.
    :ivar is_peer: whether it is one of the others, which have a virtualenv.
    :ivar measure: what a worker is asked for; the name of the measure by default.
    """

    name: str
    program: str
    is_peer: bool = False
    measure: str = ""

    def command(self, python: str, directory: Path) -> list[str]:
        """Return the command: all of them run in the virtualenv of the others, for a fair start."""
        words = {"python": python, "bin": str(Path(python).parent), "directory": directory}
        return [word.format(**words) for word in self.program.split(" ~ ")]


@dataclass(frozen=True)
class Measure:
    """Something that is measured.

    :ivar unit: of what is shown: ``ms`` and ``s`` for each unit of work, ``MB/s``, or ``CPU ms``.
    :ivar goal: the ratio to the limit that is to be reached; at least where it is a rate.
    :ivar task: whether the host is ``near`` or ``far``.
    """

    name: str
    title: str
    unit: str
    contestants: Sequence[Contestant]
    limit: str = LIMIT
    goal: float | None = None
    task: str = "near"
    cpu_unit: str = "CPU ms"

    @property
    def is_rate(self) -> bool:
        return self.unit == "MB/s"

    @property
    def shows_cpu(self) -> bool:
        return self.unit != "CPU ms"

    def value(self, run: Run) -> float:
        """Return what is shown of a run."""
        match self.unit:
            case "MB/s":
                return run.units / run.wall
            case "CPU ms":
                return 1000 * run.cpu / run.units
            case "s":
                return run.wall / run.units
        return 1000 * run.wall / run.units


def judge(
    what: str, value: float, unit: str, ratio: float, goal: float, is_rate: bool = False
) -> str:
    """Say whether a ratio that is to be reached was."""
    reached = ratio >= goal if is_rate else ratio <= goal
    return (
        f"{what:12}{value:9.2f} {unit:7} ratio {ratio:5.2f}"
        f"  to reach {'>=' if is_rate else '<='} {goal:<5} {'yes' if reached else 'NO'}"
    )


def _workers(*names: str) -> tuple[Contestant, ...]:
    return tuple(_WORKERS[name] for name in names)


_WORKERS = {
    each.name: each
    for each in (
        Contestant(OURS, "with_deployer.py"),
        Contestant(LIMIT, "with_tuned_paramiko.py"),
        Contestant("paramiko", "with_paramiko.py", is_peer=True),
        Contestant("fabric", "with_fabric.py", is_peer=True),
        Contestant("pyinfra", "with_pyinfra.py", is_peer=True),
        Contestant("parallel-ssh", "with_parallel_ssh.py", is_peer=True),
        Contestant("asyncssh", "with_asyncssh.py", is_peer=True),
        Contestant("openssh", "with_openssh.py", is_peer=True),
    )
}
_MOST = _workers(OURS, LIMIT, "paramiko", "fabric", "parallel-ssh", "asyncssh", "openssh")
_ALL = (*_MOST, _WORKERS["pyinfra"])
_DIRECTORIES = _workers(OURS, LIMIT, "paramiko", "fabric", "asyncssh", "openssh")

_HELLO = """\
from deployer.client import start
from deployer.host import LocalHost
from deployer.node import Node
class Root(Node):
    class Hosts:
        host = LocalHost
    def hello(self):
        self.host.run('echo hello')
    def nothing(self):
        pass
if __name__ == '__main__':
    start(Root)
"""
_FAB = "from fabric import task\n@task\ndef hello(c):\n    pass\n"


def write_scripts(directory: Path) -> None:
    """Write the scripts whose start is measured."""
    (directory / "deploy.py").write_text(_HELLO)
    (directory / "fabfile.py").write_text(_FAB)


_START_UP = (
    Contestant(BARE, "{python} ~ -c ~ pass"),
    Contestant(OURS, "{python} ~ {directory}/deploy.py ~ --help"),
    Contestant("deployer --list", "{python} ~ {directory}/deploy.py ~ --list"),
    Contestant("deployer completion", "{python} ~ {directory}/deploy.py ~ completion ~ bash"),
    Contestant(
        "deployer, a Tab",
        "{python} ~ {directory}/deploy.py ~ --complete ~ bash ~ 1 ~ -- ~ run ~ he",
    ),
    Contestant("deployer ls", "{python} ~ {directory}/deploy.py ~ ls"),
    Contestant("deployer, import", "{python} ~ -c ~ import deployer.node"),
    Contestant("deployer, an action", "{python} ~ {directory}/deploy.py ~ run ~ nothing"),
    Contestant("paramiko, import", "{python} ~ -c ~ import paramiko", is_peer=True),
    Contestant("fab --list", "{bin}/fab ~ -r ~ {directory} ~ --list", is_peer=True),
    Contestant("pyinfra --version", "{bin}/pyinfra ~ --version", is_peer=True),
    Contestant("asyncssh, import", "{python} ~ -c ~ import asyncssh", is_peer=True),
    Contestant("ssh -V", "ssh ~ -V"),
)
_TREE = (
    Contestant(OURS, "with_tree.py"),
    Contestant("plain classes", "with_plain_classes.py"),
)


def _tree(name: str, title: str) -> Measure:
    return Measure(name, title, "ms", _TREE, limit="plain classes")


ALL = (
    Measure("start-up", "Start-up of a process", "CPU ms", _START_UP, limit=BARE, goal=5),
    Measure("connect", "A connection, `true`, and its end", "ms", _ALL, goal=1.2),
    Measure("command", "A command on a connection that is there: `true`", "ms", _ALL, goal=1.15),
    Measure("pty", "The same in a terminal", "ms", _MOST, goal=1.15),
    Measure("distant", "A command, 20 ms away", "ms", _ALL, goal=1.15, task="far"),
    Measure("output", "100 MB of output, kept", "MB/s", _MOST, cpu_unit="CPU ms/MB", goal=0.85),
    Measure("put", "A file of 200 MB, there", "MB/s", _MOST, cpu_unit="CPU ms/MB", goal=0.85),
    Measure("get", "A file of 200 MB, back", "MB/s", _MOST, cpu_unit="CPU ms/MB", goal=0.85),
    Measure("put_small", "1,000 files of 1 KB, there", "s", _DIRECTORIES, goal=2.0),
    Measure("get_small", "1,000 files of 1 KB, back", "s", _DIRECTORIES, goal=2.0),
    _tree("define", "Defining 1,000 nodes"),
    _tree("access", "1,000 times `env.group.node.attribute`"),
    _tree("isolate", "The cells of a node on 1,000 hosts"),
    _tree("complete", "Completing a name among 10,000"),
    Measure(
        "tab",
        "From Tab to the candidates on the screen, of 100 names",
        "ms",
        (
            Contestant(OURS, "with_a_terminal.py", measure="deployer"),
            Contestant("python", "with_a_terminal.py", measure="python"),
            Contestant("bash", "with_a_terminal.py", measure="bash"),
        ),
        limit="python",
    ),
)
