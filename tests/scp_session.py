"""The secure-copy shell for tests, without a terminal: a directory ``there`` and one ``here``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deployer.host import Host
from deployer.host_container import HostContainer
from deployer.pseudo_terminal import DummyPty
from deployer.scp_shell import ScpShell

__all__ = ["Session", "open_session"]


class Session:
    """The shell in two directories: that of ``host``, and ``here``."""

    def __init__(self, host: Host, here: Path) -> None:
        self.host = host
        self.here = here
        self.there = host.getcwd()
        self.pty = DummyPty()
        self.shell = ScpShell(HostContainer({"host": (type(host),)}, self.pty))
        self.status = 0
        self.run(f"cd {self.there}", f'lcd "{here}"')

    def run(self, *lines: str) -> str:
        """Run lines, and return what they write; ``status`` is that of the last one."""
        before = len(self.pty.get_output())
        for line in lines:
            self.status = self.shell.run_line(line)
        return self.pty.get_output()[before:]

    def complete(self, line: str) -> list[str]:
        """Return what the Tab key could make of the last word of a line."""
        return [c.text + c.append for c in self.shell.complete(line, len(line))]

    def write(self, path: str, content: bytes | str = "from there") -> None:
        """Write a file on the host."""
        with self.host.open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())

    def read(self, path: str) -> str:
        """Return what is in a file on the host."""
        with self.host.open(path) as file:
            text: str = file.read()
        return text


@contextmanager
def open_session(host_class: Callable[[], Host], here: Path) -> Iterator[Session]:
    """Give a session on a host, whose directory is removed at the end."""
    host = host_class()
    directory = host.run("mktemp -d").strip()
    here.mkdir(exist_ok=True)
    with host.cd(directory):
        yield Session(host, here)
    host.run(f"chmod -R u+rwx {directory}; rm -rf {directory}")
