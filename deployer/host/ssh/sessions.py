"""How many sessions a connection has, how many may log in at once, and what a server allows."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator

from ..measured import FAR, OPENED

__all__ = [
    "NoRoom",
    "Place",
    "Sessions",
    "Startups",
    "forget_holders",
    "holding_one",
    "holds_one",
]

# sshd's default for MaxSessions. A server that allows fewer is noticed when it refuses one.
MAX_SESSIONS = 10
# How often a server may refuse the only session, while it still closes earlier ones.
_ATTEMPTS_ALONE = 10
# How often one who may not wait asks again: a session that ended here may count there for a moment.
_ATTEMPTS_OF_A_HOLDER = 3
# How often those who wait look whether they are to stop waiting.
_LOOK = 0.5


class NoRoom(Exception):
    """There is no room for one more session, and whoever wants it may not wait."""


class Sessions:
    """Counts the sessions on a connection, and makes those wait that the server would refuse."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._limit = MAX_SESSIONS
        self._open = 0
        self._waiting = 0
        self._opened = 0
        self._fastest = float("inf")
        #: Whether the server has refused one that was opened ahead.
        self.refuses_ahead = False

    def opened(self, seconds: float) -> None:
        """Note how long it took to open one."""
        self._opened += 1
        self._fastest = min(self._fastest, seconds)

    @property
    def are_worth_opening_ahead(self) -> bool:
        """Whether to open one for whoever comes next: several did, and each had to wait for it."""
        return (
            self._opened >= OPENED
            and self._fastest >= FAR
            and not self.refuses_ahead
            and not self.are_wanted
        )

    @property
    def are_wanted(self) -> bool:
        """Whether somebody waits for one, so that none should be kept for later."""
        return self._waiting > 0

    @contextlib.contextmanager
    def place(
        self, make_room: Callable[[], None], check: Callable[[], None], may_wait: bool
    ) -> Iterator[Place]:
        """Wait until there is room for one more, and hold it.

        :param make_room: gives up what is only kept for later.
        :param check: raises when whoever waits is to stop.
        :param may_wait: False to raise NoRoom instead.
        """
        with self._wait(make_room):
            if not may_wait and self._open >= self._limit:
                raise NoRoom
            while not self._condition.wait_for(lambda: self._open < self._limit, _LOOK):
                check()
            self._open += 1
        try:
            yield Place(self, make_room, may_wait)
        finally:
            with self._condition:
                self._open -= 1
                self._condition.notify_all()

    @contextlib.contextmanager
    def spare_place(self) -> Iterator[bool]:
        """Hold room for one more session, if there is some without waiting; say whether."""
        with self._condition:
            has_room = self._open < self._limit
            self._open += has_room
        try:
            yield has_room
        finally:
            with self._condition:
                self._open -= has_room
                self._condition.notify_all()

    @contextlib.contextmanager
    def _wait(self, make_room: Callable[[], None]) -> Iterator[None]:
        """Hold the lock, and count as somebody who waits."""
        with self._condition:
            self._waiting += 1
            full = self._open >= self._limit
        if full:
            # From here on nothing is kept for later, so that there is nothing to miss.
            make_room()
        with self._condition:
            try:
                yield
            finally:
                self._waiting -= 1

    def wait_after_refusal(self, alone_before: int, make_room: Callable[[], None]) -> int | None:
        """Wait until it makes sense to ask the server again for what it has just refused.

        :param alone_before: how often in a row it has refused the only session.
        :return: how often it has by now; None when there is nothing to wait for.
        """
        with self._condition:
            others = self._open - 1
            alone = 0 if others else alone_before + 1
            if others:
                self._limit = max(1, min(self._limit, others))
            elif alone > _ATTEMPTS_ALONE:
                return None
        with self._wait(make_room):
            # Also without a sign: the server may have been about to close what had ended here,
            # and the others may be waiting as well.
            self._condition.wait_for(lambda: self._open <= others, 0.05 * (alone + 1))
            return alone


class Place:
    """Room for one session."""

    def __init__(self, sessions: Sessions, make_room: Callable[[], None], may_wait: bool) -> None:
        self._sessions = sessions
        self._make_room = make_room
        self._may_wait = may_wait
        self._refused = 0
        self._refused_alone = 0

    def wait_after_refusal(self) -> bool:
        """Wait until the server may be asked again; False when it makes no sense to.

        :raises NoRoom: for who may not wait, unless it is a matter of moments.
        """
        self._refused += 1
        if not self._may_wait and self._refused > _ATTEMPTS_OF_A_HOLDER:
            raise NoRoom
        alone = self._sessions.wait_after_refusal(self._refused_alone, self._make_room)
        self._refused_alone = alone or 0
        return alone is not None


class Startups:
    """Limits how many connections to one server log in at the same time, once it dropped one.

    OpenSSH drops connections before its banner while too many have not logged in (MaxStartups).
    How many it allows is found out as TCP finds out about a network: half as many after a
    connection was dropped, one more after each that was not.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._servers: dict[object, _Server] = {}

    @contextlib.contextmanager
    def place(self, server: object, check: Callable[[], None]) -> Iterator[Callable[[], None]]:
        """Wait until one more may log in; give what is called when the server dropped it.

        :param check: raises when whoever waits is to stop.
        """
        dropped = False

        def drop() -> None:
            nonlocal dropped
            dropped = True

        with self._condition:
            known = self._servers.setdefault(server, _Server())
            known.users += 1
        try:
            with self._condition:
                while not self._condition.wait_for(known.has_room, _LOOK):
                    check()
                known.running += 1
            try:
                yield drop
            finally:
                with self._condition:
                    known.ended(dropped)
                    self._condition.notify_all()
        finally:
            with self._condition:
                known.users -= 1
                if not known.users and not dropped:
                    self._servers.pop(server, None)


class _Server:
    def __init__(self) -> None:
        #: Those who log in, or wait for it.
        self.users = 0
        self.running = 0
        self._limit: int | None = None

    def has_room(self) -> bool:
        return self._limit is None or self.running < self._limit

    def ended(self, dropped: bool) -> None:
        if dropped:
            self._limit = max(1, self.running // 2)
        elif self._limit is not None:
            self._limit += 1
        self.running -= 1


# The threads that hold a session, to any host, and how many. They never wait for one more: whoever
# could give it may in turn wait for theirs.
_holders: Counter[int] = Counter()
_holders_lock = threading.Lock()


@contextlib.contextmanager
def holding_one() -> Iterator[None]:
    """Count the session that this thread has during the ``with`` block."""
    # A file may be closed by another thread.
    thread = threading.get_ident()
    with _holders_lock:
        _holders[thread] += 1
    try:
        yield
    finally:
        with _holders_lock:
            _holders[thread] -= 1
            if not _holders[thread]:
                del _holders[thread]


def holds_one() -> bool:
    """Whether this thread has a session."""
    with _holders_lock:
        return threading.get_ident() in _holders


def forget_holders() -> None:
    """Start anew in a forked child, whose only thread has no session."""
    global _holders_lock
    _holders_lock = threading.Lock()
    _holders.clear()
