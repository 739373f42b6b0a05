"""What all workers share: they do a piece of work for each line that they read, and measure it.

A worker is started as ``python with_NAME.py TASK MEASURE``. The task is a file of JSON with
``address``, ``port``, ``user``, ``key``, ``known_hosts``, ``ssh_config``, ``directory`` (for files)
and ``big`` and ``small`` (a large file, and a directory with small ones).
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

__all__ = ["OUTPUT", "PRINT", "Client", "serve", "serve_client"]

Task = dict[str, Any]
#: Does the work, and returns how much that was.
Work = Callable[[], float]
#: Yields what does the work, and what is to be called before each time.
Measure = Callable[[Task], Iterator[tuple[Work, Callable[[], object]]]]

#: Megabytes that a command prints.
OUTPUT = 100
PRINT = f"dd if=/dev/zero bs=1000000 count={OUTPUT} 2>/dev/null"
#: Megabytes of the large file.
_BIG = 200
#: How often a command is run in a sample.
_COMMANDS = 20


class Client(Protocol):
    """A connection to a host, as one of those who are compared has it."""

    def command(self) -> object:
        """Run ``true``."""

    def command_in_terminal(self) -> object: ...

    def output(self) -> float:
        """Run PRINT, keep all, and return how many megabytes that is."""

    def put(self, here: str, there: str) -> object: ...

    def get(self, there: str, here: str) -> object: ...

    def put_directory(self, here: str, there: str) -> object: ...

    def get_directory(self, there: str, here: str) -> object: ...

    def close(self) -> object: ...


#: Returns what does the work, and where it leaves a copy that is to be gone before the next time.
_Prepare = Callable[[Client, Task], tuple[Work, str]]


def _commands(client: Client, task: Task) -> tuple[Work, str]:
    return lambda: _repeat(client.command), ""


def _commands_in_terminal(client: Client, task: Task) -> tuple[Work, str]:
    return lambda: _repeat(client.command_in_terminal), ""


def _output(client: Client, task: Task) -> tuple[Work, str]:
    return client.output, ""


def _copies(method: str, source: str, units: float) -> _Prepare:
    def prepare(client: Client, task: Task) -> tuple[Work, str]:
        target = f"{task['directory']}/{method}"

        def work() -> float:
            getattr(client, method)(task[source], target)
            return units

        return work, target

    return prepare


_CONNECTED: dict[str, _Prepare] = {
    "command": _commands,
    "distant": _commands,
    "pty": _commands_in_terminal,
    "output": _output,
    "put": _copies("put", "big", _BIG),
    "get": _copies("get", "big", _BIG),
    "put_small": _copies("put_directory", "small", 1),
    "get_small": _copies("get_directory", "small", 1),
}


def serve_client(make: Callable[[Task], Client]) -> None:
    """Do the work of the measure that was asked for with a client."""

    def connect(task: Task) -> Iterator[tuple[Work, Callable[[], object]]]:
        def work() -> float:
            client = make(task)
            client.command()
            client.close()
            return 1

        # What only the first one takes is left out: imports, mostly.
        work()
        yield work, _nothing

    def connected(prepare: _Prepare) -> Measure:
        def measure(task: Task) -> Iterator[tuple[Work, Callable[[], object]]]:
            client = make(task)
            client.command()
            work, target = prepare(client, task)
            yield work, partial(_remove, target)
            client.close()

        return measure

    serve({"connect": connect} | {name: connected(p) for name, p in _CONNECTED.items()})


def serve(measures: dict[str, Measure]) -> None:
    """Do the work of the measure that was asked for, for each line on standard input."""
    with open(sys.argv[1]) as file:
        task = json.load(file)
    with contextlib.contextmanager(measures[sys.argv[2]])(task) as (work, prepare):
        for _ in sys.stdin:
            prepare()
            _forget_peak()
            cpu, begun = _cpu(), time.perf_counter()
            units = work()
            wall = time.perf_counter() - begun
            taken = {"wall": wall, "cpu": _cpu() - cpu, "memory": _peak(), "units": units}
            print(json.dumps(taken), flush=True)


def _nothing() -> None:
    pass


def _repeat(command: Callable[[], object]) -> float:
    for _ in range(_COMMANDS):
        command()
    return _COMMANDS


def _remove(path: str) -> None:
    shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        os.remove(path)


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
