"""What this process holds, and what it runs on."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import resource
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from world import World

__all__ = ["Held", "one_arena", "versions"]


@dataclass(frozen=True)
class Held:
    """What a process holds: open files, threads, ended children that nobody waited for, bytes."""

    fds: int
    threads: int
    zombies: int
    memory: int

    @classmethod
    def now(cls) -> Held:
        gc.collect()
        with suppress(OSError, AttributeError):
            # What the C library keeps for later is not lost; but not held by anything either.
            ctypes.CDLL(None).malloc_trim(0)
        resident = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(
            len(os.listdir("/proc/self/fd")),
            len(os.listdir("/proc/self/task")),
            _zombies(),
            resident * resource.getpagesize(),
        )

    @classmethod
    def settled(cls, before: Held, seconds: float = 10.0) -> Held:
        """Return what is held once threads that are about to end have, or after a while."""
        deadline = time.monotonic() + seconds
        while True:
            held = cls.now()
            grown = held.beyond(before)
            if not (grown.fds or grown.threads or grown.zombies) or time.monotonic() > deadline:
                return held
            threading.Event().wait(0.1)

    def beyond(self, before: Held) -> Held:
        """Return what is held more than before."""
        return Held(
            max(self.fds - before.fds, 0),
            max(self.threads - before.threads, 0),
            max(self.zombies - before.zombies, 0),
            max(self.memory - before.memory, 0),
        )


def one_arena() -> None:
    """Have all threads take memory from one place, as far as that is still to be decided.

    The C library gives each thread a place of its own, and what is free in one is of no use to the
    others: with thirty threads that looks like a leak.
    """
    m_arena_max = -8
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(m_arena_max, 1)


def _zombies() -> int:
    count = 0
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with suppress(OSError):
                # After the name, which may have anything in it: the state, and the parent.
                state, parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
                count += state == "Z" and int(parent) == os.getpid()
    return count


def versions(world: World) -> dict[str, str]:
    """Return what a run depends on, and its versions."""
    sshd = world.run(["sh", "-c", "ssh -V 2>&1"]).partition(",")[0].strip()
    return {
        "Python": platform.python_version(),
        "paramiko": version("paramiko"),
        "OpenSSH": sshd.removeprefix("OpenSSH_"),
        "sudo": world.run(["sudo", "-V"]).splitlines()[0].removeprefix("Sudo version "),
        "platform": " ".join((platform.system(), platform.release(), platform.machine())),
    }
