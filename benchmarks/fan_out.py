"""One command on many hosts, cold; and thousands of connections that are held."""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import servers
from measures import LIMIT, OURS, judge
from processes import Run, run, worker

__all__ = ["add_arguments", "complete_arguments", "measure"]

WORKERS = Path(__file__).with_name("workers")
HELD_ROUNDS = 15
# Ratios to reach: of the wall time to the limit, from so many hosts on; and of a command's CPU with
# so many connections held to that with the fewest.
GOAL = 1.1
FROM = 100
GOAL_HELD = 1.3


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
ALONE = (OURS, LIMIT)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the benchmark."""
    parser.add_argument("--quick", action="store_true", help="fewer hosts, and fewer rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--rounds", type=int, help="how often each takes its turn")
    parser.add_argument("--hosts", type=int, nargs="*", help="how many hosts are connected to")
    parser.add_argument("--held", type=int, nargs="*", help="how many connections are held")
    parser.add_argument("--rest", type=float, default=10, help="seconds to look at idle ones")
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path("~/.cache/deployer-benchmarks").expanduser(),
        help="where the others are installed",
    )


def complete_arguments(found: argparse.Namespace) -> argparse.Namespace:
    """Fill in what was not given."""
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


def measure(
    directory: Path, task: dict[str, Any], python: str, arguments: argparse.Namespace
) -> tuple[dict[str, Any], list[str]]:
    """Measure all; return the figures, and what is said of what is to be reached."""
    clients = [client for client in ALL if not (arguments.alone and client.name not in ALONE)]
    report: dict[str, Any] = {"hosts": [], "held": []}
    goals: list[str] = []
    if arguments.hosts:
        goals += _measure_hosts(directory, task, clients, python, arguments, report)
    if arguments.held:
        # The small server needs a library that is one of the others.
        goals += _measure_held(
            directory, task, servers.peers_python(arguments.cache), arguments, report
        )
    return report, goals


# Many hosts.


def _measure_hosts(
    directory: Path,
    task: dict[str, Any],
    clients: list[Client],
    python: str,
    arguments: argparse.Namespace,
    report: dict[str, Any],
) -> list[str]:
    goals = []
    hosts = servers.addresses(max(arguments.hosts))
    with servers.sshd(directory, hosts) as port:
        for number in arguments.hosts:
            file = _write(directory, task | {"addresses": hosts[:number], "port": port})
            runs: dict[str, list[Run]] = {client.name: [] for client in clients}
            for turn in range(arguments.rounds + 1):
                # The first round is for the caches of the system.
                for client in clients:
                    taken = _run(client, python, file, number)
                    if turn:
                        runs[client.name].append(taken)
            medians = {name: _median(each) for name, each in runs.items()}
            _show_hosts(number, medians, runs)
            if number >= FROM:
                ratio = medians[OURS].wall / medians[LIMIT].wall
                goals.append(judge(f"{number} hosts", medians[OURS].wall, "s", ratio, GOAL))
            report["hosts"] += [
                {"hosts": number, "client": name, "runs": [asdict(one) for one in each]}
                for name, each in runs.items()
            ]
    return goals


def _run(client: Client, python: str, task: Path, number: int) -> Run:
    program = str(WORKERS / client.program)
    found, output = run([python if client.is_peer else sys.executable, program, str(task)])
    if output.split()[-1:] != [str(number)]:
        raise SystemExit(f"{client.name} failed on {number} hosts: {output[-2000:]}")
    return found


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
    for name, found in medians.items():
        wall, cpu = (
            ("", "")
            if limit is None
            else (f"{found.wall / limit.wall:.2f}", f"{found.cpu / limit.cpu:.2f}")
        )
        best = min(each.wall for each in runs[name])
        print(
            f"{name:16}{found.wall:9.2f}{wall:>7}{best:9.2f}{found.cpu:8.2f}{cpu:>7}{found.memory:7.0f}",
            flush=True,
        )


# Thousands of connections.


def _measure_held(
    directory: Path,
    task: dict[str, Any],
    python: str,
    arguments: argparse.Namespace,
    report: dict[str, Any],
) -> list[str]:
    hosts = servers.addresses(max(arguments.held))
    command = [sys.executable, str(WORKERS / "deployer_held.py")]
    figures = []
    costs: list[list[float]] = [[] for _ in arguments.held]
    with servers.stub(directory, python, hosts) as port, contextlib.ExitStack() as stack:
        clients = []
        for held in arguments.held:
            more = {"addresses": hosts[:held], "port": port, "rest": arguments.rest}
            file = _write(directory, task | more)
            client = stack.enter_context(worker([*command, str(file)]))
            figures.append(json.loads(client.read()))
            clients.append(client)
        # All at the same time, in turns: the machine is faster at times.
        for turn in range(HELD_ROUNDS + 1):
            for client, cost in zip(clients, costs, strict=True):
                taken = float(client.ask())
                if turn:
                    cost.append(taken)
        for client, row, cost in zip(clients, figures, costs, strict=True):
            row["command_cpu_ms"] = statistics.median(cost)
            row["ratio"] = statistics.median(
                mine / least for mine, least in zip(cost, costs[0], strict=True)
            )
            row["close_s"] = client.close()
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
    last = figures[-1]
    return [
        judge(f"{last['held']} held", last["command_cpu_ms"], "CPU ms", last["ratio"], GOAL_HELD)
    ]


def _write(directory: Path, task: dict[str, Any]) -> Path:
    file = directory / "task.json"
    file.write_text(json.dumps(task))
    return file
