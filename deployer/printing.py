"""Where ``print()`` and the loggers write, in each thread: also to the terminal of a job."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple, TextIO

from .streams import or_nowhere

__all__ = [
    "Destination",
    "by_thread",
    "find_stream",
    "get_destination",
    "get_log_stream",
    "get_owner",
    "printing_to",
]


class Destination(NamedTuple):
    """Whose output a thread writes, and the streams for it."""

    owner: str
    stdout: TextIO
    stderr: TextIO
    log: TextIO


class _Local(threading.local):
    destination: Destination | None = None


_local = _Local()


@contextlib.contextmanager
def printing_to(destination: Destination | None) -> Iterator[None]:
    """Have what this thread prints go there for the length of the ``with`` block.

    None stands for where the program's own output goes.

    It holds for ``sys.stdout`` and ``sys.stderr`` inside of ``by_thread`` only.
    """
    before = _local.destination
    _local.destination = destination
    try:
        yield
    finally:
        _local.destination = before


def get_destination() -> Destination | None:
    """Return where this thread prints; None where the program does."""
    return _local.destination


def get_owner() -> str | None:
    """Return whose output this thread writes; None for the program's own."""
    return None if _local.destination is None else _local.destination.owner


def get_log_stream() -> TextIO:
    """Return where loggers that print do so in this thread: on stderr, unless a job has a place."""
    return sys.stderr if _local.destination is None else _local.destination.log


class _ByThread:
    """A standard stream that stands for another one in each thread."""

    def __init__(self, name: str, original: TextIO | None) -> None:
        self._name = name
        self.original = original
        self._stream = or_nowhere(original)

    def _get(self) -> Any:
        destination = _local.destination
        return self._stream if destination is None else getattr(destination, self._name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._get(), name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._get())


def find_stream(stream: TextIO) -> TextIO:
    """Return the stream that one stands for in this thread: itself, outside of ``by_thread``."""
    found: TextIO = stream._get() if isinstance(stream, _ByThread) else stream
    return found


_users = 0
_lock = threading.Lock()


@contextlib.contextmanager
def by_thread() -> Iterator[None]:
    """Let ``sys.stdout`` and ``sys.stderr`` be what ``printing_to`` says in each thread.

    Elsewhere they are left alone: readline wants the real ones.
    """
    global _users
    with _lock:
        _users += 1
        if _users == 1:
            for name in ("stdout", "stderr"):
                setattr(sys, name, _ByThread(name, getattr(sys, name)))
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                for name in ("stdout", "stderr"):
                    # Unless somebody has put something else there, and will put ours back.
                    if isinstance(stream := getattr(sys, name), _ByThread):
                        setattr(sys, name, stream.original)
