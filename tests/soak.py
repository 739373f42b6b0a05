#!/usr/bin/env python3
"""Run thousands of commands on many hosts, have everything go wrong, and see that nothing is lost.

``python tests/soak.py`` makes a world of its own, as root on Linux (see the module ``world``), with
several OpenSSH servers in it, and runs commands on this machine and on users of the world from many
threads. The lines to some of the hosts are cut, reset, corrupted, delayed and frozen, and their
servers are stopped and killed. Whatever happens: each call ends before its deadline, with the right
result or with an exception of deployer; a command is never run twice; what is said to have worked
has given exactly the right bytes; the password is found nowhere; and nothing grows.

The exit status is 1 when that does not hold. Chance is the same for the same seed; what it hits
depends on the machine as well.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from canary import Canary  # noqa: E402
from deployer.exceptions import (  # noqa: E402
    CommandTimeout,
    ConnectionFailedException,
    DeployerException,
    RemoteFileError,
    SudoFailed,
)
from soaking.faults import Weather  # noqa: E402
from soaking.growth import Held, one_arena, versions  # noqa: E402
from soaking.lanes import Lane, Lanes, new_lanes  # noqa: E402
from soaking.ledger import Ledger, Times, WrongResult  # noqa: E402
from soaking.operations import OPERATIONS, SLEEP, Call  # noqa: E402
from world import World, WorldRefused, new_world  # noqa: E402

__all__ = ["main", "soak"]

# How many threads work on hosts over SSH where everything may go wrong, on hosts over SSH where
# nothing does, and on this machine. The first mostly wait, for what does not answer any more.
_WORKERS = {"ssh, stormy": 24, "ssh, calm": 3, "local": 2}
# Of the commands over SSH, so many are run where everything may go wrong.
_STORMY_PART = 0.6
_DEADLINE = 120.0
_DISTURBED = 0.2
# Memory that may be held at the end beyond what was held after a tenth of the run: less than 2 KB
# for each command. Python and the C library keep some of what they once needed.
_MEMORY_BOUND = 32 * 1024 * 1024


class Soak:
    """A run: its hosts, and threads that work on them until enough commands were run."""

    def __init__(
        self, world: World, lanes: Lanes, canary: Canary, seed: int, scratch: str, freezes: bool
    ) -> None:
        self._world = world
        self._lanes = lanes
        self._canary = canary
        self._seed = seed
        self._scratch = scratch
        self._freezes = freezes
        self._phase = 0

    def work(self, ledger: Ledger, commands: int) -> bool:
        """Run so many commands here, and as many over SSH; return whether all threads ended."""
        self._phase += 1
        weather = Weather(self._world, self._lanes, ledger, self._freezes)
        stormy = int(commands * _STORMY_PART)
        budgets = {"local": commands, "ssh, stormy": stormy, "ssh, calm": commands - stormy}
        wanted = {kind: ledger.commands[kind] + budget for kind, budget in budgets.items()}
        groups = {
            kind: [lane for lane in [*self._lanes.local, *self._lanes.ssh] if lane.kind == kind]
            for kind in budgets
        }
        kinds = [kind for kind, count in _WORKERS.items() for _ in range(count)]
        threads = [
            threading.Thread(
                target=self._worker,
                args=(number, groups[kind], wanted[kind], ledger, weather),
                daemon=True,
            )
            for number, kind in enumerate(kinds)
        ]
        for thread in threads:
            thread.start()
        while running := [thread for thread in threads if thread.is_alive()]:
            running[0].join(0.5)
            hanging = ledger.look_for_hangs()
            if all(thread.ident in hanging for thread in running):
                return False
        weather.close()
        return True

    def _worker(
        self,
        number: int,
        lanes: list[Lane],
        wanted: int,
        ledger: Ledger,
        weather: Weather,
    ) -> None:
        chance = random.Random(f"{self._seed}/{self._phase}/{number}")
        while ledger.commands[lanes[0].kind] < wanted:
            lane = chance.choice(lanes)
            disturbed = lane.is_stormy and chance.random() < _DISTURBED
            if disturbed:
                weather.disturb(lane, chance)
            for _ in range(3 if disturbed else 1):
                self._one(number, lane, chance, ledger)
            if disturbed:
                weather.calm(lane)

    def _one(self, number: int, lane: Lane, chance: random.Random, ledger: Ledger) -> None:
        fitting = [found for found in OPERATIONS if not found.sudo or lane.sudo in found.sudo]
        (operation,) = chance.choices(fitting, [found.weight for found in fitting])
        host = lane.host()
        call = Call(lane, host, chance, number, ledger, self._canary, self._scratch)
        name = f"{operation.name} on {lane.host.slug}"
        ledger.begin(name)
        try:
            operation.do(call)
            ledger.count(ledger.operations, operation.name)
        except DeployerException as error:
            call.seen(error)
            # Where things go wrong, this is how they may end; elsewhere, they may not.
            ways = (ConnectionFailedException, CommandTimeout, RemoteFileError, SudoFailed)
            if not (lane.is_stormy and isinstance(error, ways)):
                ledger.report_wrong(f"{name}: {error!r}")
        except WrongResult as error:
            ledger.report_wrong(f"{name}: {error}")
        except BaseException as error:
            self._canary.look_in_error("soak", error)
            ledger.report_wrong(f"{name}: not one of deployer's errors: {error!r}")
            sys.stderr.write(traceback.format_exc())
        finally:
            ledger.end()

    def check_counters(self, ledger: Ledger) -> None:
        """See that no command was run twice, and each as often as its caller was told."""
        found: Counter[int] = Counter()
        for lane in self._lanes.local:
            found.update(map(int, Path(lane.counter).read_text().split()))
        numbers = self._world.run(["sh", "-c", "cat /home/*/lane-*/counter"])
        found.update(map(int, numbers.split()))
        for number, times in enumerate(ledger.expected()):
            ran = found[number]
            if ran > 1 or (times is Times.ONCE and not ran) or (times is Times.NEVER and ran):
                ledger.report_wrong(f"command {number} ran {ran} times; it should {times.name}")

    def check_processes(self, ledger: Ledger) -> None:
        """See that no command is left that was to be ended, where nothing went wrong."""
        calm = {lane.user for lane in self._lanes.ssh if not lane.is_stormy}
        stormy = {lane.user for lane in self._lanes.ssh if lane.is_stormy}
        for user in calm - stormy:
            if self._world.run(["pgrep", "-u", user, "-xf", f"sleep {SLEEP}"], check=False):
                ledger.report_wrong(f"a command of {user} outlived its timeout")
        # This process and those of the world have different ones.
        here = ["pgrep", "--ns", str(os.getpid()), "--nslist", "pid", "-xf", f"sleep {SLEEP}"]
        if subprocess.run(here, check=False, stdout=subprocess.DEVNULL).returncode == 0:
            ledger.report_wrong("a command on this machine outlived its timeout")


def soak(
    commands: int, seed: int, *, freezes: bool = True, memory_bound: int = _MEMORY_BOUND
) -> dict[str, Any]:
    """Run so many commands on this machine and as many over SSH; return the report."""
    begun = time.monotonic()
    one_arena()
    canary = Canary()
    warm_up = max(commands // 10, 50)
    with contextlib.ExitStack() as stack:
        world = stack.enter_context(new_world())
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        lanes = stack.enter_context(new_lanes(world, canary, directory))
        stack.enter_context(canary.watching_logs())
        run = Soak(world, lanes, canary, seed, str(directory), freezes)
        # In some seconds before its end, a phase may run a few commands more than asked for.
        ledger = Ledger(2 * (commands + warm_up) + 1000, _DEADLINE)
        ended = run.work(ledger, warm_up)
        lanes.close()
        before = Held.now()
        if ended:
            with canary.watching_processes(0.5):
                ended = run.work(ledger, commands - warm_up)
        lanes.close()
        after = Held.settled(before) if ended else Held.now()
        if ended:
            run.check_counters(ledger)
            run.check_processes(ledger)
        canary.look_in_files(world)
        versions_found = versions(world)
    grown = after.beyond(before)
    return {
        "commands": dict(sorted(ledger.commands.items())),
        "operations": dict(sorted(ledger.operations.items())),
        "faults injected": dict(sorted(ledger.faults.items())),
        "errors seen": dict(sorted(ledger.errors.items())),
        "bytes compared": ledger.bytes_compared,
        "slowest call": f"{ledger.slowest[0]:.1f} s ({ledger.slowest[1]})",
        "hangs": ledger.hangs,
        "wrong results": len(ledger.wrong),
        "bytes mismatched": ledger.bytes_mismatched,
        "secrets found": len(canary.found),
        "growth": {"fds": grown.fds, "threads": grown.threads, "zombies": grown.zombies},
        "memory": {
            "after warm-up": before.memory,
            "at the end": after.memory,
            "growth": grown.memory,
            "bound": memory_bound,
        },
        "details": {"wrong results": ledger.wrong[:50], "secrets found": canary.found},
        "seed": seed,
        "versions": versions_found,
        "duration": round(time.monotonic() - begun, 1),
    }


def is_good(report: dict[str, Any]) -> bool:
    """Whether everything was as it has to be."""
    zeros = ("hangs", "wrong results", "bytes mismatched", "secrets found")
    memory = report["memory"]
    return (
        not any(report[name] for name in zeros)
        and not any(report["growth"].values())
        and memory["growth"] <= memory["bound"]
    )


def shown(report: dict[str, Any]) -> str:
    """Return a report as lines for people."""
    lines: list[str] = []

    def add(name: str, value: object) -> None:
        lines.append(f"{name:<34}{value}")

    for name, counts in (
        ("commands run", report["commands"]),
        ("faults injected", report["faults injected"]),
        ("errors seen", report["errors seen"]),
    ):
        add(name, sum(counts.values()))
        for kind, count in counts.items():
            add(f"    {kind}", count)
    for name in ("bytes compared", "slowest call"):
        add(name, report[name])
    for name in ("hangs", "wrong results", "bytes mismatched", "secrets found"):
        add(name, report[name])
    for name, count in report["growth"].items():
        add(f"growth of {name}", count)
    memory = {name: f"{size / 2**20:.1f} MB" for name, size in report["memory"].items()}
    add("growth of memory", "{growth} (bound {bound})".format_map(memory))
    add("    resident, after a tenth", memory["after warm-up"])
    add("    resident, at the end", memory["at the end"])
    add("seed", report["seed"])
    for name, version in report["versions"].items():
        add(name, version)
    add("duration", f"{report['duration']} s")
    for name, found in report["details"].items():
        lines += [f"{name}: {text}" for text in found]
    return "\n".join([*lines, ""])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--commands", type=int, default=10_000, help="here, and over SSH")
    parser.add_argument("--seed", type=int, help="a random one by default")
    parser.add_argument("--json", type=Path, help="a file for the report")
    parser.add_argument("--no-freezes", action="store_true", help="freeze no connections")
    options = parser.parse_args(arguments)
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    sys.stdout.write(f"seed {seed}\n")
    sys.stdout.flush()
    try:
        report = soak(options.commands, seed, freezes=not options.no_freezes)
    except WorldRefused as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(shown(report))
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0 if is_good(report) else 1


if __name__ == "__main__":
    sys.exit(main())
