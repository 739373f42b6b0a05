"""What all workers share: they do a piece of work for each line that they read, and measure it.

A worker is started as ``python with_NAME.py TASK MEASURE``. The task is a file of JSON with
``address``, ``port``, ``user``, ``key``, ``known_hosts``, ``ssh_config``, ``directory`` (for files)
and ``big`` and ``small`` (a large file, and a directory with small ones).
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

Task = dict[str, Any]
#: Does the work, and returns how much that was.
Work = Callable[[], float]
#: Prepares a measure, and gives what does the work, and what is called before each time.
Measure = Callable[[Task], AbstractContextManager[tuple[Work, Callable[[], object]]]]

#: How often a command is run in a sample.
COMMANDS = 20
#: Megabytes that a command prints.
OUTPUT = 100
PRINT = f"dd if=/dev/zero bs=1000000 count={OUTPUT} 2>/dev/null"
#: Megabytes of the large file.
BIG = 200


def measure(
    prepare: Callable[[Task], Iterator[Work | tuple[Work, Callable[[], object]]]],
) -> Measure:
    """Make a measure of a generator that yields what does the work, or that and what prepares."""

    @contextlib.contextmanager
    def prepared(task: Task) -> Iterator[tuple[Work, Callable[[], object]]]:
        with contextlib.contextmanager(prepare)(task) as given:
            yield given if isinstance(given, tuple) else (given, lambda: None)

    return prepared


def serve(measures: dict[str, Measure]) -> None:
    """Do the work of the measure that was asked for, for each line on standard input."""
    with open(sys.argv[1]) as file:
        task = json.load(file)
    with measures[sys.argv[2]](task) as (work, prepare):
        for _ in sys.stdin:
            prepare()
            _forget_peak()
            cpu, begun = _cpu(), time.perf_counter()
            units = work()
            wall = time.perf_counter() - begun
            print(
                json.dumps({"wall": wall, "cpu": _cpu() - cpu, "memory": _peak(), "units": units}),
                flush=True,
            )


def _cpu() -> float:
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _forget_peak() -> None:
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def _peak() -> float:
    """Return the most megabytes since the last sample began."""
    with contextlib.suppress(OSError), open("/proc/self/status") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
