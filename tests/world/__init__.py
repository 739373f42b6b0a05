"""A world of its own for tests: real users, sudo, login shells and OpenSSH servers.

It is a pair of Linux namespaces (mounts and processes) with overlays over ``/etc``, ``/home``,
``/opt``, ``/root``, ``/srv``, ``/tmp``, ``/usr`` and ``/var``, so that users, sudoers entries, keys
and installed packages vanish with it, and the machine is left as it was. The network is the
machine's: the tests run outside and connect to the servers over loopback, and a deployment inside
reaches package indexes.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PASSWORD", "SHELLS", "Server", "World", "WorldRefused", "free_port", "new_world"]

PASSWORD = "pa'ss \"w$rd é"
"""The password of every user: hostile on purpose."""

SHELLS = {
    "deploy": "/bin/bash",  # sudo with a password
    "nopass": "/bin/bash",  # sudo without one
    "nosudo": "/bin/bash",  # no sudo at all
    "fisher": "/usr/bin/fish",
    "tcsher": "/usr/bin/tcsh",
    "zsher": "/usr/bin/zsh",
    "dasher": "/bin/dash",
}

_INIT = Path(__file__).with_name("init.sh")


class WorldRefused(Exception):
    """This machine does not allow a world; the message says why."""


@dataclass(frozen=True)
class Server:
    """A running OpenSSH server: where it listens, its host key, and its log file (inside)."""

    address: str
    port: int
    host_key: str
    log: str


class World:
    """The inside of a world; made by :func:`new_world`."""

    def __init__(self, unshare_pid: int, key: Path) -> None:
        self.key_filename = str(key)
        self.password = PASSWORD
        # The process that called unshare(2) shares the mounts, and its children the process ids.
        namespaces = f"/proc/{unshare_pid}/ns"
        self._enter = [
            "nsenter",
            f"--mount={namespaces}/mnt",
            f"--pid={namespaces}/pid_for_children",
            "--",
        ]

    def run(
        self,
        argv: Sequence[str],
        *,
        user: str | None = None,
        input: str = "",
        check: bool = True,
    ) -> str:
        """Run a program inside, as root or as a user, and return its standard output.

        :param user: runs it, in a clean environment and from its home directory.
        """
        completed = subprocess.run(
            self.command(argv, user),
            input=input,
            capture_output=True,
            encoding="utf-8",
            # Names of files may be anything.
            errors="surrogateescape",
        )
        if check and completed.returncode:
            raise AssertionError(f"{argv} ended with {completed.returncode}:\n{completed.stderr}")
        return completed.stdout

    def home(self, user: str) -> str:
        return f"/home/{user}"

    @contextlib.contextmanager
    def serve(self, *options: str) -> Iterator[Server]:
        """Run an OpenSSH server; options are lines of sshd_config, which replace our own."""
        port = free_port()
        log = f"/run/sshd-{port}.log"
        settings = {
            "Port": str(port),
            "ListenAddress": "127.0.0.1",
            "HostKey": "/run/host_key",
            "PidFile": f"/run/sshd-{port}.pid",
            "UsePAM": "yes",
            "UseDNS": "no",
            "PrintMotd": "no",
            "MaxStartups": "100",
            "AcceptEnv": "LANG LC_*",
            "LogLevel": "VERBOSE",
            "Subsystem": "sftp /usr/lib/openssh/sftp-server",
        }
        replaced = {option.split()[0] for option in options}
        ours = [f"{name} {value}" for name, value in settings.items() if name not in replaced]
        # Last, since a Match block among them goes on to the end of the file.
        config = "\n".join([*ours, *options, ""])
        self.run(["sh", "-c", f"cat >/run/sshd-{port}.conf"], input=config)
        self.run(["/usr/sbin/sshd", "-f", f"/run/sshd-{port}.conf", "-E", log])
        host_key = self.run(["cut", "-d", " ", "-f", "1,2", "/run/host_key.pub"]).strip()
        _wait_for_port(port)
        try:
            yield Server("127.0.0.1", port, host_key, log)
        finally:
            # The listener and the connections it has: none may outlive the server.
            self.run(["sh", "-c", _END_SERVER, "sh", f"/run/sshd-{port}.pid"], check=False)

    def command(self, argv: Sequence[str], user: str | None = None) -> list[str]:
        """Return the command line that runs a program inside; see ``run``."""
        if user is None:
            return [*self._enter, *argv]
        environment = [f"{name}={value}" for name, value in self._environment(user).items()]
        in_home = ["sh", "-c", 'cd && exec "$@"', "sh", *argv]
        return [*self._enter, "runuser", "-u", user, "--", "env", "-i", *environment, *in_home]

    def _environment(self, user: str) -> dict[str, str]:
        return {
            "HOME": self.home(user),
            "LANG": "C.UTF-8",
            "LOGNAME": user,
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "USER": user,
        }


_END_SERVER = 'pid=$(cat "$1") && pkill -P "$pid"; kill "$pid"'


@contextlib.contextmanager
def new_world(shells: dict[str, str] = SHELLS) -> Iterator[World]:
    """Make a world with these users and login shells; raise WorldRefused where that cannot be."""
    if os.geteuid() != 0:
        raise WorldRefused("a world of users and mounts can only be made by root")
    with tempfile.TemporaryDirectory() as directory:
        key = Path(directory, "id_ed25519")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        process = subprocess.Popen(
            [
                *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"),
                *("/bin/bash", str(_INIT), f"{key}.pub"),
                *(f"{user}={shell}" for user, shell in shells.items() if shutil.which(shell)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        assert process.stdin and process.stdout and process.stderr
        try:
            # A world that is refused is gone by now; its standard error says why.
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(f"{PASSWORD}\n")
                process.stdin.flush()
            if process.stdout.readline() != "ready\n":
                raise WorldRefused(f"no world can be made here: {process.stderr.read().strip()}")
            yield World(process.pid, key)
        finally:
            # The first process of the world reads this pipe; at its end everything inside ends,
            # also when the tests are killed.
            process.stdin.close()
            process.wait(timeout=10)
            process.stdout.close()
            process.stderr.close()


def _wait_for_port(port: int, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            # sshd goes to the background before it listens, and tells nobody when it does.
            time.sleep(0.005)


# Below those that Linux gives to whoever asks for any, and apart from those of other test runs,
# which have process ids near ours.
_ports = itertools.cycle(range(10000 + os.getpid() * 977 % 18000, 32000))


def free_port() -> int:
    """Return a TCP port of loopback that was free a moment ago, another one each time."""
    for port in _ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("unreachable: the ports are a cycle")
