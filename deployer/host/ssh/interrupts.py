"""Ctrl-C between two steps, and not in the middle of one."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

__all__ = ["interrupts_wait"]

# What `signal` itself calls: it turns handlers into constants with names and back, which takes
# twenty times as long, and this is done for each message that is sent.
_signals: Any = sys.modules.get("_signal", signal)


class interrupts_wait:
    """Let Ctrl-C wait until the ``with`` block is done; a second one does not wait.

    Python raises KeyboardInterrupt between any two lines of the main thread. In the middle of a
    packet, what is sent next would be taken for the rest of it, and the connection would be lost.
    """

    __slots__ = ("_before", "_notice")

    def __enter__(self) -> None:
        self._notice: _Notice | None = None
        if threading.get_ident() != threading.main_thread().ident:
            return
        before = _signals.getsignal(signal.SIGINT)
        # One within another is a step of it.
        if callable(before) and not isinstance(before, _Notice):
            self._before = before
            self._notice = _Notice()
            _signals.signal(signal.SIGINT, self._notice)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        notice = self._notice
        if notice is not None:
            _signals.signal(signal.SIGINT, self._before)
            if notice.frame is not None:
                self._before(signal.SIGINT, notice.frame)


class _Notice:
    """Remembers that there was a Ctrl-C, and lets the next one through."""

    def __init__(self) -> None:
        self.frame: FrameType | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.frame is not None:
            raise KeyboardInterrupt
        self.frame = frame
