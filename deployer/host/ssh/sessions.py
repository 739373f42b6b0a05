"""How many sessions a connection has, and how many the server allows."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

__all__ = ["Place", "Sessions"]

# sshd's default for MaxSessions. A server that allows fewer is noticed when it refuses one.
MAX_SESSIONS = 10
# How often a server may refuse the only session, while it still closes earlier ones.
_ATTEMPTS_ALONE = 6


class Sessions:
    """Counts the sessions on a connection, and makes those wait that the server would refuse."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._limit = MAX_SESSIONS
        self._open = 0

    @contextlib.contextmanager
    def place(self, make_room: Callable[[], None]) -> Iterator[Place]:
        """Wait until there is room for one more, and hold it.

        :param make_room: called when there is none, to give up what is not really used.
        """
        with self._condition:
            full = self._open >= self._limit
        if full:
            make_room()
        with self._condition:
            self._condition.wait_for(lambda: self._open < self._limit)
            self._open += 1
        try:
            yield Place(self, make_room)
        finally:
            with self._condition:
                self._open -= 1
                self._condition.notify()

    def wait_after_refusal(self, attempt: int) -> bool:
        """Wait until it makes sense to ask the server again for what it has just refused.

        :param attempt: how often it has refused.
        :return: False when there is nothing to wait for.
        """
        with self._condition:
            others = self._open - 1
            if others:
                self._limit = max(1, min(self._limit, others))
            elif attempt > _ATTEMPTS_ALONE:
                return False
            # Also without a sign: the server may have been about to close what had ended here,
            # and the others may be waiting as well.
            delay = min(0.05 * attempt, 1.0)
            self._condition.wait_for(lambda: self._open <= others, delay)
            return True


class Place:
    """Room for one session."""

    def __init__(self, sessions: Sessions, make_room: Callable[[], None]) -> None:
        self._sessions = sessions
        self._make_room = make_room

    def wait_after_refusal(self, attempt: int) -> bool:
        """See :meth:`Sessions.wait_after_refusal`."""
        self._make_room()
        return self._sessions.wait_after_refusal(attempt)
