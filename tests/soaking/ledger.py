"""What happened in a soak run, counted by many threads."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from enum import IntEnum

__all__ = ["Ledger", "Times", "WrongResult"]


class WrongResult(Exception):
    """A call returned something else than it should have."""


class Times(IntEnum):
    """How often a command may have been run, by what its caller was told."""

    UNUSED = 0
    NEVER = 1
    AT_MOST_ONCE = 2
    ONCE = 3


@dataclass
class Ledger:
    """Counts of a run. Numbers of commands lie below ``size``."""

    size: int
    #: Seconds after which a call that has not ended counts as hanging.
    deadline: float
    commands: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    bytes_compared: int = 0
    bytes_mismatched: int = 0
    hangs: int = 0
    wrong: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        # One byte each, made at once, so that keeping count does not look like a leak.
        self._times = bytearray(self.size)
        self._next = 0
        self._running: dict[int, tuple[float, str]] = {}
        self._reported: set[int] = set()

    def new_number(self) -> int:
        """Return the number of a command that is about to be run."""
        with self._lock:
            self._next += 1
            self._times[self._next - 1] = Times.AT_MOST_ONCE
            return self._next - 1

    def expect(self, number: int, times: Times) -> None:
        self._times[number] = times

    def expected(self) -> list[Times]:
        """Return how often each command may have been run, in the order of their numbers."""
        return [Times(times) for times in self._times[: self._next]]

    def count(self, counter: Counter[str], name: str, by: int = 1) -> None:
        with self._lock:
            counter[name] += by

    def compare(self, what: str, expected: bytes, found: bytes) -> None:
        """Count bytes that must be equal; raise WrongResult when they are not."""
        wrong = (
            sum(a != b for a, b in zip(expected, found, strict=False)) if (expected != found) else 0
        )
        wrong += abs(len(expected) - len(found))
        with self._lock:
            self.bytes_compared += len(expected)
            self.bytes_mismatched += wrong
        if wrong:
            raise WrongResult(
                f"{what}: {len(found)} bytes in place of {len(expected)}, {wrong} of them wrong: "
                f"{found[:80]!r} in place of {expected[:80]!r}"
            )

    def report_wrong(self, text: str) -> None:
        with self._lock:
            self.wrong.append(text)
        sys.stderr.write(f"WRONG: {text}\n")

    # What runs now.

    def begin(self, name: str) -> None:
        self._running[threading.get_ident()] = (time.monotonic(), name)

    def end(self) -> None:
        begun, name = self._running.pop(threading.get_ident())
        taken = time.monotonic() - begun
        with self._lock:
            self.slowest = max(self.slowest, (taken, name))
        self._reported.discard(threading.get_ident())

    def look_for_hangs(self) -> set[int]:
        """Count what runs for longer than it may, once, and say where it is.

        :return: the threads in which that is so.
        """
        for thread, (begun, name) in list(self._running.items()):
            if time.monotonic() - begun > self.deadline and thread not in self._reported:
                self._reported.add(thread)
                self.hangs += 1
                sys.stderr.write(f"HANGS: {name}\n")
                frame = sys._current_frames().get(thread)
                sys.stderr.write("".join(traceback.format_stack(frame)))
        return set(self._reported)
