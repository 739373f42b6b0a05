"""Everything that is measured, with deployer and others in turns. See README.rst."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import fan_out
import servers
from measures import ALL, OURS, Contestant, Measure, judge, write_scripts
from processes import Run, Worker, run, worker

WORKERS = Path(__file__).with_name("workers")
# Bytes for files and their copies.
_NEEDED = 2_000_000_000


def main() -> None:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    chosen = [m for m in ALL if not arguments.only or m.name in arguments.only]
    report: dict[str, Any] = {
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version()},
        "measures": {},
    }
    goals = []
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=_get_memory()) as name:
        directory = Path(name)
        directory.chmod(0o755)
        # Compiled once, as what is installed is; in the round that is not counted.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(directory / "bytecode")
        python = sys.executable if arguments.alone else servers.peers_python(arguments.cache)
        keys: dict[str, Any] = dict(servers.add_keys(directory))
        with _bed(directory, keys) as tasks:
            for measure in chosen:
                contestants = [
                    c for c in measure.contestants if not (arguments.alone and c.is_peer)
                ]
                taken = _measure(measure, contestants, tasks, python, arguments.rounds)
                goals += _show(measure, taken)
                report["measures"][measure.name] = {
                    name: [asdict(each) for each in runs] for name, runs in taken.items()
                }
        if not arguments.only or "fan-out" in arguments.only:
            more, found = fan_out.measure(directory, keys, python, arguments)
            report |= more
            goals += found
    print("\nTo reach")
    for goal in goals:
        print(f"  {goal}")
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    fan_out.add_arguments(parser)
    names = [*(measure.name for measure in ALL), "fan-out"]
    parser.add_argument("--only", action="append", choices=names, help="measure only this")
    parser.add_argument("--alone", action="store_true", help="deployer and the limit alone")
    return fan_out.complete_arguments(parser.parse_args())


def _get_memory() -> str | None:
    """Return where files are in memory, so that no disk is measured; None if nowhere."""
    with contextlib.suppress(OSError):
        if shutil.disk_usage("/dev/shm").free > _NEEDED:
            return "/dev/shm"
    return None


@contextlib.contextmanager
def _bed(directory: Path, keys: dict[str, Any]) -> Iterator[dict[str, Path]]:
    """Give the tasks for hosts that are near and far: files that tell the workers all."""
    files = directory / "files"
    files.mkdir()
    write_scripts(directory)
    known = keys | {"directory": str(files), **servers.add_files(directory)}
    host = servers.addresses(1)[0]
    with servers.sshd(directory, [host]) as port, servers.far_away(host, port) as far_port:
        servers.know(directory, [host], port, far_port)
        tasks = {}
        for name, number in (("near", port), ("far", far_port)):
            tasks[name] = directory / f"{name}.json"
            tasks[name].write_text(json.dumps(known | {"address": host, "port": number}))
        yield tasks


def _measure(
    measure: Measure,
    contestants: Sequence[Contestant],
    tasks: dict[str, Path],
    python: str,
    rounds: int,
) -> dict[str, list[Run]]:
    """Let all do the same in turns, so that what else goes on slows down each of them alike."""
    taken: dict[str, list[Run]] = {contestant.name: [] for contestant in contestants}
    with contextlib.ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for contestant in contestants:
            if contestant.program.startswith("with_"):
                program = str(WORKERS / contestant.program)
                command = [python if contestant.is_peer else sys.executable, program]
                command += [str(tasks[measure.task]), contestant.measure or measure.name]
                workers[contestant.name] = stack.enter_context(worker(command))
        for turn in range(rounds + 1):
            for contestant in contestants:
                if contestant.name in workers:
                    found = Run(**json.loads(workers[contestant.name].ask()))
                else:
                    found = run(contestant.command(python, tasks[measure.task].parent))[0]
                # The first round is for what is only made once.
                if turn:
                    taken[contestant.name].append(found)
    return taken


def _show(measure: Measure, taken: dict[str, list[Run]]) -> list[str]:
    """Print what was found, and return what is said of what is to be reached."""
    limit = taken[measure.limit]
    width = max(map(len, taken))
    print(f"\n{measure.title}; ratios to {measure.limit}")
    heading = f"{measure.unit:>10}{'best':>9}{'ratio':>7}"
    if measure.shows_cpu:
        heading += f"{measure.cpu_unit:>12}{'MB':>7}"
    print(f"{'':{width}}{heading}")
    goals = []
    for name, runs in taken.items():
        values = [measure.value(each) for each in runs]
        best = max(values) if measure.is_rate else min(values)
        ratio = statistics.median(
            measure.value(mine) / measure.value(other)
            for mine, other in zip(runs, limit, strict=True)
        )
        line = f"{name:{width}}{statistics.median(values):10.2f}{best:9.2f}{ratio:7.2f}"
        if measure.shows_cpu:
            cpu = statistics.median(1000 * each.cpu / each.units for each in runs)
            line += f"{cpu:12.2f}{max(each.memory for each in runs):7.0f}"
        print(line, flush=True)
        if name == OURS and measure.goal is not None:
            value = statistics.median(values)
            goals.append(
                judge(measure.name, value, measure.unit, ratio, measure.goal, measure.is_rate)
            )
    return goals


if __name__ == "__main__":
    main()
