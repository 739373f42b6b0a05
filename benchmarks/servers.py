"""The servers and the virtualenv of the benchmarks; servers end with their ``with`` block."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

__all__ = ["add_files", "add_keys", "addresses", "far_away", "know", "peers_python", "sshd", "stub"]

# And what deployer itself needs there, where only starting it is measured.
PEERS = ("fabric", "pyinfra", "parallel-ssh", "asyncssh", "termcolor")
# A round trip to a host that is far away, in seconds.
_ROUND_TRIP = 0.02
# sshd listens on sixteen addresses at most.
_LISTENERS = 16


def peers_python(cache: Path) -> str:
    """Return the Python of a virtualenv with all that deployer is compared with."""
    python = cache / "peers" / "bin" / "python"
    done = cache / "peers" / "complete"
    if not done.exists():
        print(f"Installing {', '.join(PEERS)} into {cache / 'peers'}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", cache / "peers"], check=True)
        subprocess.run([python, "-m", "pip", "install", "-qq", *PEERS], check=True)
        done.touch()
    return str(python)


def addresses(number: int) -> list[str]:
    """Return addresses of loopback, a host each."""
    return [f"127.0.{1 + n // 250}.{1 + n % 250}" for n in range(number)]


def add_keys(directory: Path) -> dict[str, str]:
    """Make the keys of the user and of the servers; return what clients need to know of them."""
    for name in ("user", "server"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)]
        subprocess.run(command, check=True)
    shutil.copy(directory / "user.pub", directory / "authorized_keys")
    known_hosts = directory / "known_hosts"
    config = directory / "ssh_config"
    config.write_text(
        f"Host *\n    UserKnownHostsFile {known_hosts}\n    GlobalKnownHostsFile /dev/null\n"
    )
    return {
        "user": getpass.getuser(),
        "key": str(directory / "user"),
        "known_hosts": str(known_hosts),
        "ssh_config": str(config),
    }


def add_files(directory: Path) -> dict[str, str]:
    """Make a file of 200 MB, and a directory with 1,000 of 1 KB; return where they are."""
    big, small = directory / "big", directory / "small"
    with big.open("wb") as file:
        for _ in range(200):
            file.write(os.urandom(1_000_000))
    small.mkdir()
    for number in range(1000):
        (small / f"file-{number}").write_bytes(os.urandom(1000))
    return {"big": str(big), "small": str(small)}


def know(directory: Path, hosts: Sequence[str], *ports: int) -> None:
    """Write the key of these hosts into known_hosts, a line each."""
    kind, key = (directory / "server.pub").read_text().split()[:2]
    lines = [f"[{host}]:{port} {kind} {key}\n" for host in hosts for port in ports]
    (directory / "known_hosts").write_text("".join(lines))


@contextlib.contextmanager
def sshd(directory: Path, hosts: Sequence[str]) -> Iterator[int]:
    """Run OpenSSH servers on these addresses, and give the port."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise SystemExit("sshd is not installed (Debian's package openssh-server)")
    if os.geteuid() == 0:
        # Where sshd takes away its own rights.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    port = _free_port()
    with contextlib.ExitStack() as stack:
        for first in range(0, len(hosts), _LISTENERS):
            listening = hosts[first : first + _LISTENERS]
            config = directory / f"sshd_config_{first}"
            lines = [
                f"Port {port}",
                *(f"ListenAddress {host}" for host in listening),
                f"HostKey {directory / 'server'}",
                f"AuthorizedKeysFile {directory / 'authorized_keys'}",
                "StrictModes no",
                "UsePAM no",
                "UseDNS no",
                "PasswordAuthentication no",
                "PermitRootLogin prohibit-password",
                "MaxStartups 1000",
                "PidFile none",
                "Subsystem sftp internal-sftp",
                "LogLevel FATAL",
                # bash then reads no start-up file of the user, whatever there is in it.
                "SetEnv SHLVL=1",
                "",
            ]
            config.write_text("\n".join(lines))
            stack.enter_context(_running([program, "-D", "-e", "-f", str(config)]))
        for host in hosts[::_LISTENERS]:
            _wait_for(host, port)
        know(directory, hosts, port)
        yield port


@contextlib.contextmanager
def stub(directory: Path, python: str, hosts: Sequence[str]) -> Iterator[int]:
    """Run a small SSH server on these addresses, in a process of its own, and give the port."""
    port = _free_port()
    with _ready([python, _program("stub_server.py"), str(port), str(directory / "server"), *hosts]):
        know(directory, hosts, port)
        yield port


@contextlib.contextmanager
def far_away(host: str, port: int) -> Iterator[int]:
    """Give a port at which a server answers as if it were far away."""
    far_port = _free_port()
    words = [_program("delay_proxy.py"), str(far_port), host, str(port), str(_ROUND_TRIP / 2)]
    with _ready([sys.executable, *words]):
        yield far_port


def _program(name: str) -> str:
    return str(Path(__file__).with_name(name))


@contextlib.contextmanager
def _ready(command: Sequence[str]) -> Iterator[None]:
    """Run a program that says when it is ready, and ends with its standard input."""
    with _running(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise SystemExit(f"{command[1]} does not start")
        yield


@contextlib.contextmanager
def _running(command: Sequence[str], **streams: Any) -> Iterator[subprocess.Popen[bytes]]:
    # Not in our session: Ctrl-C is for us, and we end them.
    with subprocess.Popen(command, start_new_session=True, **streams) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 15)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    # One that the system does not give to those who ask for any.
    return 10000 + port % 20000


def _wait_for(host: str, port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection((host, port)).close()
            return
        if time.monotonic() > deadline:
            raise SystemExit("sshd does not start; see what it says above")
        time.sleep(0.01)
