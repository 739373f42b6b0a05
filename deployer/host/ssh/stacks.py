"""Threads with a small stack, of which there may be thousands."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from .interrupts import interrupts_wait

__all__ = ["STACK_SIZE", "SmallStack"]

#: Bytes. The system's default of 8 MB would be 32 GB of addresses for 4,000 connections, which
#: limits on them do not allow, and 2 MB of memory each where the system gives out huge pages.
STACK_SIZE = 512 * 1024

# Python has one setting for all threads that are made from now on. This is held while it is not
# the usual one, and during a fork, so that the child has the usual one.
_setting = threading.Lock()
os.register_at_fork(
    before=_setting.acquire, after_in_parent=_setting.release, after_in_child=_setting.release
)


class SmallStack(threading.Thread):
    """A thread with a small stack. All others keep the size that they would have without it.

    Users' code, which may need a deep stack, may start a thread at any moment. So the setting is
    changed when Python is just about to make this thread, and put back before it waits for it.
    """

    _size_before: int | None = None

    def start(self) -> None:
        if self.ident is None:
            self._started = _Made(self._restore)
        with interrupts_wait():
            try:
                super().start()
            finally:
                self._restore()

    # Python looks at this when it makes the thread, and waits for `_started` right after it. Where
    # a later Python does neither, the stack is of the usual size.
    @property
    def _bootstrap(self) -> Any:
        _setting.acquire()
        self._size_before = threading.stack_size(STACK_SIZE)
        return super()._bootstrap  # type: ignore[misc]

    def _restore(self) -> None:
        if self._size_before is not None:
            threading.stack_size(self._size_before)
            self._size_before = None
            _setting.release()


class _Made(threading.Event):
    """What Python waits for once it has made a thread."""

    def __init__(self, made: Callable[[], None]) -> None:
        super().__init__()
        self._made = made

    def wait(self, timeout: float | None = None) -> bool:
        self._made()
        return super().wait(timeout)
