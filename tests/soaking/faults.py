"""What goes wrong on the stormy hosts of a soak run."""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from deployer.host import SSHHost
from world import World

from .lanes import Lane, Lanes
from .ledger import Ledger

__all__ = ["Weather"]

# A random process of a connection to a server: the one with root's rights, or the user's.
_SIGNAL_ONE = """\
found=
for pid in $(pgrep -P "$(cat /run/sshd-$1.pid)"); do found="$found $pid $(pgrep -P $pid sshd)"; done
pid=$(printf '%s\\n' $found | grep . | shuf -n 1)
[ -z "$pid" ] || { kill -s "$2" $pid; echo $pid; }
"""


class Weather:
    """Has things go wrong, by chance, for the next calls on a lane."""

    def __init__(self, world: World, lanes: Lanes, ledger: Ledger, freezes: bool) -> None:
        self._world = world
        self._proxies = lanes.proxies
        self._ledger = ledger
        self._later = _Later()
        self._kinds: dict[str, Callable[[Lane, random.Random], None]] = {
            "cut down": self._cut_down,
            "cut up": self._cut_up,
            "reset": self._reset,
            "half-close": self._half_close,
            "corruption down": self._corrupt_down,
            "corruption up": self._corrupt_up,
            "delay": self._delay,
            "drop now": self._drop_now,
            "SIGKILL of sshd": self._kill_sshd,
            "SIGSTOP of sshd, then SIGCONT": self._pause_sshd,
        }
        if freezes:
            self._kinds["freeze of the line"] = self._freeze
            self._kinds["SIGSTOP of sshd, for good"] = self._stop_sshd

    def disturb(self, lane: Lane, chance: random.Random) -> None:
        """Have one thing go wrong on a lane, now or soon."""
        kind = chance.choice(list(self._kinds))
        self._ledger.count(self._ledger.faults, kind)
        if chance.random() < 0.5 and not kind.startswith(("SIG", "drop")):
            # Bytes are counted from the beginning of a connection: from the first one on.
            assert issubclass(lane.host, SSHHost)
            lane.host.close_connection()
        self._kinds[kind](lane, chance)

    def calm(self, lane: Lane) -> None:
        """Let the line of a lane be as it should again."""
        assert lane.proxy is not None
        self._proxies.set(lane.proxy)

    def close(self) -> None:
        self._later.close()

    def _set(self, lane: Lane, **faults: object) -> None:
        assert lane.proxy is not None
        self._proxies.set(lane.proxy, **faults)

    def _cut_down(self, lane: Lane, chance: random.Random) -> None:
        self._set(lane, drop_after_down=_bytes(chance))

    def _cut_up(self, lane: Lane, chance: random.Random) -> None:
        self._set(lane, drop_after_up=_bytes(chance))

    def _reset(self, lane: Lane, chance: random.Random) -> None:
        self._set(lane, drop_after_down=_bytes(chance), reset=True)

    def _half_close(self, lane: Lane, chance: random.Random) -> None:
        self._set(lane, half_close_after_down=_bytes(chance))

    def _corrupt_down(self, lane: Lane, chance: random.Random) -> None:
        self._set(lane, corrupt_down=_bytes(chance))

    def _corrupt_up(self, lane: Lane, chance: random.Random) -> None:
        self._set(lane, corrupt_up=_bytes(chance))

    def _delay(self, lane: Lane, chance: random.Random) -> None:
        self._set(lane, delay=chance.uniform(0.001, 0.02), piece=chance.choice([512, 4096, 65536]))

    def _freeze(self, lane: Lane, chance: random.Random) -> None:
        self._set(lane, freeze_after_down=_bytes(chance))

    def _drop_now(self, lane: Lane, chance: random.Random) -> None:
        assert lane.proxy is not None
        number, reset = lane.proxy, chance.random() < 0.5
        self._later.do(chance.uniform(0, 0.1), lambda: self._proxies.drop_all(number, reset))

    def _kill_sshd(self, lane: Lane, chance: random.Random) -> None:
        self._later.do(chance.uniform(0, 0.1), lambda: self._signal_one(lane, "KILL"))

    def _pause_sshd(self, lane: Lane, chance: random.Random) -> None:
        self._stop_for(lane, chance, chance.uniform(0.1, 1.0), "CONT")

    def _stop_sshd(self, lane: Lane, chance: random.Random) -> None:
        # Long after everybody has given it up.
        self._stop_for(lane, chance, 30.0, "KILL")

    def _stop_for(self, lane: Lane, chance: random.Random, seconds: float, then: str) -> None:
        def stop() -> None:
            if pid := self._signal_one(lane, "STOP"):
                self._later.do(
                    seconds, lambda: self._world.run(["kill", "-s", then, pid], check=False)
                )

        self._later.do(chance.uniform(0, 0.1), stop)

    def _signal_one(self, lane: Lane, signal: str) -> str:
        assert lane.server is not None
        script = ["sh", "-c", _SIGNAL_ONE, "sh", str(lane.server.port), signal]
        return self._world.run(script, check=False).strip()


def _bytes(chance: random.Random) -> int:
    # As often in the first packets, while logging in, as in the many that follow.
    return int(10 ** chance.uniform(0, 5.3))


class _Later:
    """A thread that does things at their time."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._tasks: list[tuple[float, int, Callable[[], object]]] = []
        self._number = 0
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def do(self, seconds: float, task: Callable[[], object]) -> None:
        """Do something so many seconds from now, and at the end in any case."""
        with self._condition:
            self._number += 1
            heapq.heappush(self._tasks, (time.monotonic() + seconds, self._number, task))
            self._condition.notify()

    def close(self) -> None:
        with self._condition:
            self._is_closed = True
            self._condition.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._condition:
                while not self._tasks or self._tasks[0][0] > time.monotonic():
                    if self._is_closed:
                        break
                    left = self._tasks[0][0] - time.monotonic() if self._tasks else None
                    self._condition.wait(left)
                if not self._tasks:
                    return
                task = heapq.heappop(self._tasks)[2]
            with suppress(OSError):
                task()
