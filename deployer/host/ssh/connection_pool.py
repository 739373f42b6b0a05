"""The connections of this process."""

from __future__ import annotations

import atexit
import os
import threading
from typing import TYPE_CHECKING

# Imports paramiko as it is to be, before all others do.
from . import tuning  # noqa: F401 - for that

# isort: split
from . import dial, sessions
from .config import Gateway
from .connection import Connection

if TYPE_CHECKING:
    from .host import SSHHost

__all__ = ["ConnectionPool", "connections"]


class ConnectionPool:
    """The connections of this process: one for each host class, closed at exit."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: dict[type[SSHHost], Connection] = {}
        self._hops: dict[tuple[Gateway, Connection | None], Connection] = {}
        atexit.register(self.close)

    def get(self, host: type[SSHHost]) -> Connection:
        """Return the connection of a host; it is opened when it is first used."""
        with self._lock:
            if host not in self._connections:
                self._connections[host] = Connection(host, self)
            return self._connections[host]

    def get_hop(self, gateway: Gateway, via: Connection | None) -> Connection:
        """Return the connection of a host of ProxyJump, which all that go through it share."""
        with self._lock:
            key = (gateway, via)
            if key not in self._hops:
                self._hops[key] = Connection(gateway, self, via)
            return self._hops[key]

    def close_one(self, host: type[SSHHost]) -> None:
        """Close the connection of a host; the next use opens it again."""
        # It stays the host's: a thread that is just about to use it would open it for nobody.
        with self._lock:
            connection = self._connections.get(host)
        if connection is not None:
            connection.close()

    def abort_one(self, host: type[SSHHost]) -> None:
        """End the connection of a host at once."""
        with self._lock:
            connection = self._connections.get(host)
        if connection is not None:
            connection.abort()

    def forget(self, host: type[SSHHost]) -> None:
        """Close the connection of a host that nobody will use any more."""
        self.close_one(host)
        with self._lock:
            self._connections.pop(host, None)

    def close(self) -> None:
        """Close all connections, except those that another thread is just opening."""
        with self._lock:
            # The last hops first: they were made later, and go through the others.
            connections = [*self._connections.values(), *reversed(self._hops.values())]
            self._connections.clear()
            self._hops.clear()
        for connection in connections:
            # First all, so that their threads end while the others are closed.
            connection.abort()
        for connection in connections:
            connection.close_at_exit()

    def abandon(self) -> None:
        """Be empty in a forked child; the connections are the parent's, which goes on with them."""
        # Another thread of the parent may have held it.
        self._lock = threading.Lock()
        for connection in (*self._connections.values(), *self._hops.values()):
            connection.abandon()
        self._connections.clear()
        self._hops.clear()


connections = ConnectionPool()


def _after_fork() -> None:
    connections.abandon()
    sessions.forget_holders()
    dial.forget_startups()


os.register_at_fork(after_in_child=_after_fork)
