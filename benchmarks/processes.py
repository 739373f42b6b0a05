"""The programs that are measured: each is a process of its own, and ends in time, or with us."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Run", "Worker", "run", "worker"]

# A program that takes longer has hung.
_TIMEOUT = 300


@dataclass(frozen=True)
class Run:
    """What something took: seconds of wall time, seconds of CPU, megabytes at the most.

    ``units`` is how much was done in it: commands, or megabytes.
    """

    wall: float
    cpu: float
    memory: float
    units: float = 1


@contextlib.contextmanager
def _started(
    command: Sequence[str], stdin: int = subprocess.DEVNULL, stderr: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program with our own sources; it is ended with us."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    started = subprocess.Popen(
        command, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, env=environment
    )
    try:
        yield started
    finally:
        assert started.stdout is not None
        started.stdout.close()
        if started.returncode is None:
            started.kill()
            started.wait()


@contextlib.contextmanager
def _in_time() -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(_TIMEOUT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _too_long(*_: object) -> None:
    raise SystemExit(f"a program did not end within {_TIMEOUT} seconds")


def run(command: Sequence[str]) -> tuple[Run, str]:
    """Run a program to its end, and return what it took, and what it printed."""
    begun = time.perf_counter()
    with _started(command, stderr=subprocess.STDOUT) as started, _in_time():
        assert started.stdout is not None
        output = started.stdout.read().decode(errors="replace")
        _, status, usage = os.wait4(started.pid, 0)
        wall = time.perf_counter() - begun
        started.returncode = os.waitstatus_to_exitcode(status)
    if started.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {output[-2000:]}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024), output


class Worker:
    """A program that does a piece of work for each line that it reads (``workers/sampling.py``)."""

    def __init__(self, command: Sequence[str], started: subprocess.Popen[bytes]) -> None:
        self._command = command
        self._process = started

    def ask(self) -> str:
        """Have it do its work once, and return the line that it prints."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return self.read()

    def read(self) -> str:
        """Return the next line that it prints."""
        assert self._process.stdout is not None
        with _in_time():
            line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self._command)} failed")
        return line.decode()

    def close(self) -> float:
        """Let it end, and return how many seconds that takes."""
        assert self._process.stdin is not None
        begun = time.perf_counter()
        self._process.stdin.close()
        with _in_time():
            self._process.wait()
        return time.perf_counter() - begun


@contextlib.contextmanager
def worker(command: Sequence[str]) -> Iterator[Worker]:
    """Run a program that works when it is asked to, and end it."""
    with _started(command, stdin=subprocess.PIPE) as started:
        found = Worker(command, started)
        yield found
        found.close()
