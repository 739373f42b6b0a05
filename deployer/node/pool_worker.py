"""A worker of a pool of processes: it is told to stop, and ends with whoever it works for."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

__all__ = ["begin_worker", "ignore_interrupts", "run_task", "stopped_by_pool"]

# How often it is looked whether what runs here is to stop, in seconds.
_LOOK = 0.25


class Counter(Protocol):
    """A number that all processes of a pool have in common."""

    value: int


def begin_worker(stops: Counter) -> None:
    """Make this process a worker of a pool; it was begun with SIGINT held back.

    :param stops: how often the pool was told to stop.
    """
    global _worker
    ignore_interrupts()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    _worker = _Worker(stops)
    threading.Thread(target=_worker.watch, name="deployer-pool", daemon=True).start()


def ignore_interrupts() -> None:
    """Let Ctrl-C pass by this process, but for the shards in it; idle, it would end by it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def run_task(stops: int, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function in a worker.

    :param stops: how often the pool had been told to stop when it was given this.
    """
    assert _worker is not None
    with _worker.busy:
        _worker.stops_before = stops
        try:
            return function(*args, **kwargs)
        finally:
            _worker.end_if_orphaned()


@contextlib.contextmanager
def stopped_by_pool(stopped: threading.Event) -> Iterator[None]:
    """Set an event when the pool wants the task that runs the block to stop, or is gone."""
    if _worker is None:
        yield
        return
    _worker.stopped = stopped
    _worker.look()
    try:
        yield
    finally:
        _worker.stopped = None


class _Worker:
    def __init__(self, stops: Counter) -> None:
        from multiprocessing import parent_process

        self._parent: Any = parent_process()
        self._stops = stops
        self.stops_before = 0
        #: What the task has to be told by, if there is one that can be.
        self.stopped: threading.Event | None = None
        #: Held while there is a task.
        self.busy = threading.Lock()

    def watch(self) -> None:
        """Tell tasks to stop; end the process once there is nobody to work for."""
        while self._parent.is_alive():
            self.look()
            self._parent.join(_LOOK)
        self.look()
        with self.busy:
            self.end_if_orphaned()

    def look(self) -> None:
        """Tell the task, if it is to stop."""
        stopped = self.stopped
        if stopped is not None and (
            self._stops.value != self.stops_before or not self._parent.is_alive()
        ):
            stopped.set()

    def end_if_orphaned(self) -> None:
        """End the process if nobody waits for what it does. It would wait for more, for good."""
        if not self._parent.is_alive():
            os._exit(1)


_worker: _Worker | None = None
