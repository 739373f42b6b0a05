"""The session of the next command, which is opened while another command runs.

Far away, a command then takes one round trip in place of two.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass

import paramiko

from . import tuning
from .interrupts import interrupts_wait
from .sessions import Sessions

__all__ = ["NextSession"]

# Seconds that an answer may take, when it only matters for who else wants a session.
_TIMEOUT = 10.0


@dataclass(frozen=True)
class _Kept:
    """A session for whoever comes next, and the place that it takes."""

    session: tuning.SessionAhead
    place: contextlib.ExitStack


class NextSession:
    """At most one session of a connection that nobody has needed yet; for all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: _Kept | None = None

    def open(self, transport: tuning.Transport, sessions: Sessions) -> None:
        """Open one, unless there is one or no room for it. It waits for nothing."""
        with interrupts_wait(), self._lock, contextlib.ExitStack() as place:
            if self._kept is None and place.enter_context(sessions.spare_place()):
                with contextlib.suppress(*tuning.BROKEN):
                    session = tuning.SessionAhead(transport)
                    self._kept = _Kept(session, place.pop_all())

    def take(
        self,
        transport: tuning.Transport,
        sessions: Sessions,
        timeout: float,
        stack: contextlib.ExitStack,
    ) -> paramiko.Channel | None:
        """Return it, if there is one of this connection; ``stack`` is to give back its place."""
        kept = self._remove()
        if kept is None:
            return None
        with kept.place:
            if kept.session.transport is not transport:
                return None
            channel = kept.session.take(timeout)
            if channel is None:
                sessions.refuses_ahead = True
            else:
                stack.push(kept.place.pop_all())
            return channel

    def give_up(self) -> None:
        """Close it, for somebody who wants its place."""
        kept = self._remove()
        if kept is not None:
            with kept.place:
                kept.session.give_up(_TIMEOUT)

    def forget(self) -> None:
        """Give back its place; its connection is no more."""
        kept = self._remove()
        if kept is not None:
            kept.place.close()

    def _remove(self) -> _Kept | None:
        with self._lock:
            kept, self._kept = self._kept, None
        return kept
