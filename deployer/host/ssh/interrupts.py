"""Ctrl-C between two steps, and not in the middle of one."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["interrupts_wait"]


@contextlib.contextmanager
def interrupts_wait() -> Iterator[None]:
    """Let Ctrl-C wait until the ``with`` block is done; a second one does not wait.

    Python raises KeyboardInterrupt between any two lines of the main thread. In the middle of a
    packet, what is sent next would be taken for the rest of it, and the connection would be lost.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    if isinstance(before, _Notice):
        # A step of another step.
        yield
        return
    notice = _Notice()
    signal.signal(signal.SIGINT, notice)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if notice.frame is not None:
            before(signal.SIGINT, notice.frame)


class _Notice:
    """Remembers that there was a Ctrl-C, and lets the next one through."""

    def __init__(self) -> None:
        self.frame: FrameType | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.frame is not None:
            raise KeyboardInterrupt
        self.frame = frame
