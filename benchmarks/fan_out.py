"""One command on many hosts, with deployer and others; thousands of connections. See README.rst."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import servers

CLIENTS = Path(__file__).with_name("clients")
LIMIT = "paramiko, tuned"
OURS = "deployer"
# A run that takes longer has hung.
TIMEOUT = 300
HELD_ROUNDS = 15


@dataclass(frozen=True)
class Client:
    """A program that is measured, and which Python runs it."""

    name: str
    program: str
    is_peer: bool


ALL = (
    Client(OURS, "deployer_hosts.py", is_peer=False),
    Client(LIMIT, "paramiko_tuned.py", is_peer=False),
    Client("paramiko", "paramiko_stock.py", is_peer=False),
    Client("fabric", "fabric_group.py", is_peer=True),
    Client("pyinfra", "pyinfra_command.py", is_peer=True),
    Client("parallel-ssh", "parallel_ssh.py", is_peer=True),
)


@dataclass(frozen=True)
class Run:
    """What one run of a client took: seconds of wall time, seconds of CPU, megabytes."""

    wall: float
    cpu: float
    memory: float


def main() -> None:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    clients = [client for client in ALL if not arguments.only or client.name in arguments.only]
    python = servers.peers_python(arguments.cache)
    with tempfile.TemporaryDirectory(prefix="benchmark-fan-out-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        task: dict[str, Any] = dict(servers.add_keys(directory))
        report: dict[str, Any] = {
            "machine": {"cpus": os.cpu_count(), "python": platform.python_version()},
            "hosts": [],
            "held": [],
        }
        if arguments.hosts:
            _measure_hosts(directory, task, clients, python, arguments, report)
        if arguments.held:
            _measure_held(directory, task, python, arguments, report)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer hosts, and fewer rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--only", action="append", choices=[client.name for client in ALL])
    parser.add_argument("--hosts", type=int, nargs="*", help="how many hosts are connected to")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--held", type=int, nargs="*", help="how many connections are held")
    parser.add_argument("--rest", type=float, default=10, help="seconds to look at idle ones")
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path("~/.cache/deployer-benchmarks").expanduser(),
        help="where the others are installed",
    )
    found = parser.parse_args()
    defaults = {
        "hosts": [10, 100] if found.quick else [10, 100, 300],
        "rounds": 3 if found.quick else 7,
        "held": [100, 1000] if found.quick else [100, 1000, 4000],
    }
    for option, default in defaults.items():
        if getattr(found, option) is None:
            setattr(found, option, default)
    for option in ("hosts", "held"):
        setattr(found, option, sorted(filter(None, getattr(found, option))))
    return found


# Many hosts.


def _measure_hosts(
    directory: Path,
    task: dict[str, Any],
    clients: list[Client],
    python: str,
    arguments: argparse.Namespace,
    report: dict[str, Any],
) -> None:
    hosts = servers.addresses(max(arguments.hosts))
    with servers.sshd(directory, hosts) as port:
        for number in arguments.hosts:
            file = _write(directory, task | {"addresses": hosts[:number], "port": port})
            runs: dict[str, list[Run]] = {client.name: [] for client in clients}
            for turn in range(arguments.rounds + 1):
                # The first round is for the caches of the system.
                for client in clients:
                    run = _run(client, python, file, number)
                    if turn:
                        runs[client.name].append(run)
            medians = {name: _median(taken) for name, taken in runs.items()}
            _show_hosts(number, medians, runs)
            report["hosts"] += [
                {"hosts": number, "client": name, "runs": [asdict(run) for run in taken]}
                for name, taken in runs.items()
            ]


def _run(client: Client, python: str, task: Path, number: int) -> Run:
    command = [
        python if client.is_peer else sys.executable,
        str(CLIENTS / client.program),
        str(task),
    ]
    with _process(command) as process:
        begun = time.perf_counter()
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
    words = output.split()
    if process.returncode or not words or words[-1] != str(number).encode():
        raise SystemExit(f"{client.name} failed on {number} hosts: {output.decode()[-2000:]}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _median(runs: list[Run]) -> Run:
    return Run(
        *(
            statistics.median(getattr(run, field) for run in runs)
            for field in ("wall", "cpu", "memory")
        )
    )


def _show_hosts(number: int, medians: dict[str, Run], runs: dict[str, list[Run]]) -> None:
    print(f"\n{number} hosts, `uname -a`, cold; medians, and ratios to {LIMIT}")
    print(f"{'':16}{'wall s':>9}{'ratio':>7}{'best s':>9}{'CPU s':>8}{'ratio':>7}{'MB':>7}")
    limit = medians.get(LIMIT)
    for name, run in medians.items():
        wall, cpu = (
            ("", "")
            if limit is None
            else (f"{run.wall / limit.wall:.2f}", f"{run.cpu / limit.cpu:.2f}")
        )
        best = min(each.wall for each in runs[name])
        print(
            f"{name:16}{run.wall:9.2f}{wall:>7}{best:9.2f}{run.cpu:8.2f}{cpu:>7}{run.memory:7.0f}",
            flush=True,
        )


# Thousands of connections.


def _measure_held(
    directory: Path,
    task: dict[str, Any],
    python: str,
    arguments: argparse.Namespace,
    report: dict[str, Any],
) -> None:
    hosts = servers.addresses(max(arguments.held))
    command = [sys.executable, str(CLIENTS / "deployer_held.py")]
    figures = []
    costs: list[list[float]] = [[] for _ in arguments.held]
    with servers.stub(directory, python, hosts) as port, contextlib.ExitStack() as stack:
        clients = []
        for held in arguments.held:
            more = {"addresses": hosts[:held], "port": port, "rest": arguments.rest}
            file = _write(directory, task | more)
            client = stack.enter_context(_process([*command, str(file)], stdin=subprocess.PIPE))
            figures.append(json.loads(_line(client)))
            clients.append(client)
        # All at the same time, in turns: the machine is faster at times.
        for turn in range(HELD_ROUNDS + 1):
            for client, cost in zip(clients, costs, strict=True):
                client.stdin.write(b"\n")
                client.stdin.flush()
                taken = float(_line(client))
                if turn:
                    cost.append(taken)
        for client, row, cost in zip(clients, figures, costs, strict=True):
            row["command_cpu_ms"] = statistics.median(cost)
            row["ratio"] = statistics.median(
                mine / least for mine, least in zip(cost, costs[0], strict=True)
            )
            begun = time.monotonic()
            client.stdin.close()
            client.wait()
            row["close_s"] = time.monotonic() - begun
    report["held"] = figures
    print(f"\nConnections held by {OURS}; a command's CPU, and its ratio to the first line")
    print(
        f"{'held':>6}{'connect s':>11}{'CPU ms':>8}{'idle %':>8}{'KB each':>9}"
        f"{'command ms':>12}{'ratio':>7}{'close s':>9}"
    )
    for row in figures:
        print(
            f"{row['held']:6}{row['connect_s']:11.2f}{row['connect_cpu_ms']:8.2f}"
            f"{row['idle_percent']:8.1f}{row['memory_kb']:9.0f}{row['command_cpu_ms']:12.2f}"
            f"{row['ratio']:7.2f}{row['close_s']:9.1f}"
        )


def _line(client: subprocess.Popen[bytes]) -> bytes:
    assert client.stdout is not None
    line = client.stdout.readline()
    if not line:
        raise SystemExit("holding connections failed")
    return line


# Processes.


@contextlib.contextmanager
def _process(
    command: list[str], stdin: int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a client; it is ended when it takes too long, and with us."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, env=environment)
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(TIMEOUT)
    try:
        yield process
    finally:
        signal.alarm(0)
        assert process.stdout is not None
        process.stdout.close()
        if process.returncode is None:
            process.kill()
            process.wait()


def _too_long(*_: object) -> None:
    raise SystemExit(f"a client did not end within {TIMEOUT} seconds")


def _write(directory: Path, task: dict[str, Any]) -> Path:
    file = directory / "task.json"
    file.write_text(json.dumps(task))
    return file


if __name__ == "__main__":
    main()
