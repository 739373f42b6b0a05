"""Fault proxies in a process of their own, so that their threads and files are not ours.

Run as a program, it takes the ports to stand in front of, prints its own, and reads from its
standard input what is to go wrong, as lines of JSON: ``[number, {faults}]``, ``[number, "drop"]``
or ``[number, "reset"]``.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fault_proxy import FaultProxy, Faults, fault_proxy

__all__ = ["Proxies", "run_proxies"]


class Proxies:
    """Proxies that are running: the ports where they listen, and what to tell them."""

    def __init__(self, process: subprocess.Popen[str], ports: list[int]) -> None:
        self._process = process
        self._lock = threading.Lock()
        self.ports = ports

    def set(self, number: int, **faults: object) -> None:
        """Have these faults, and no others, on all connections of a proxy."""
        self._tell([number, faults])

    def drop_all(self, number: int, reset: bool) -> None:
        """Close all connections of a proxy now."""
        self._tell([number, "reset" if reset else "drop"])

    def _tell(self, message: object) -> None:
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()


@contextlib.contextmanager
def run_proxies(ports: Sequence[int]) -> Iterator[Proxies]:
    """Run a proxy in front of each port."""
    process = subprocess.Popen(
        [sys.executable, __file__, *map(str, ports)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stdin is not None and process.stdout is not None
    with process, process.stdin, process.stdout:
        yield Proxies(process, json.loads(process.stdout.readline()))


def _main() -> None:
    with contextlib.ExitStack() as stack:
        proxies: list[FaultProxy] = [
            stack.enter_context(fault_proxy(int(port))) for port in sys.argv[1:]
        ]
        sys.stdout.write(json.dumps([proxy.port for proxy in proxies]) + "\n")
        sys.stdout.flush()
        for line in sys.stdin:
            number, order = json.loads(line)
            proxy = proxies[number]
            if isinstance(order, dict):
                proxy.faults = Faults(**order)
            else:
                proxy.drop_all(reset=order == "reset")
                # The proxy keeps what it has closed.
                proxy._sockets.clear()


if __name__ == "__main__":
    _main()
