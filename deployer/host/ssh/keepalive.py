"""Noticing that the other side of a connection is no more."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import sys
import termios
import time
from collections.abc import Callable
from enum import Enum
from typing import Any

import paramiko

from ..measured import QUICK_RECEIVES, RECEIVE

__all__ = ["Keepalive", "Step", "Stream"]

# Seconds that a send may be stuck, also where no keepalive is wanted: a server that lives reads on.
_STUCK = 60.0
# How much of what a server says first is kept, for a message.
_GREETING = 512
# The shortest wait in seconds, so that nobody spins.
_SHORTEST = 0.1
_TCP_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)


class Step(Enum):
    """What to do about a silent peer."""

    WAIT = "wait"
    ASK = "ask"
    GIVE_UP = "give up"


class Keepalive:
    """Decides when a silent peer is asked for a sign of life, and when it is given up.

    :param interval: seconds of silence before each question.
    :param count: how many of them may go unanswered; 0 for any number.
    """

    def __init__(self, interval: float, count: int) -> None:
        self.interval = interval
        self.count = count
        self._due = 0.0
        self._asked = 0
        self._unsent = 0

    def packet_arrived(self) -> None:
        """Note an answer. Bytes that never become a packet are none: a length was corrupted."""
        self._asked = 0

    def due(self, last_arrival: float) -> float:
        """Return when there is something to do, if nothing arrives until then."""
        return max(self._due, last_arrival + self.interval)

    def next_step(self, now: float, last_arrival: float, unsent: int | None) -> Step:
        """Return what to do now.

        :param last_arrival: when bytes arrived last.
        :param unsent: bytes that the network has not taken yet; None where nobody knows.
        """
        # What counts is questions, not time alone: after our own process was stopped, much time
        # has passed in which nobody was asked.
        if now < self.due(last_arrival):
            return Step.WAIT
        if unsent is not None:
            if unsent < self._unsent:
                # The question waits behind other data, which the other side takes.
                self._asked = 0
            self._unsent = unsent
        if self.count and self._asked >= self.count:
            return Step.GIVE_UP
        self._asked += 1
        self._due = now + self.interval
        return Step.ASK


class Stream:
    """A socket, or what is like one, that tells of silence. All else is the socket's.

    Whoever reads or writes it does so with a time-out, again and again, and so it needs no thread
    of its own to keep the time. The time-out ends when there is something to do.
    """

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._stuck_since: float | None = None
        #: When bytes arrived last.
        self.last_arrival = time.monotonic()
        #: What the other side said first, or the beginning of it.
        self.greeting = b""
        #: Whether the other side ended the connection.
        self.has_ended = False
        #: Called when nothing arrives, or nothing can be sent (then with True); returns the
        #: seconds until it is to be called again.
        self.on_silence: Callable[[bool], float] = lambda sending: _SHORTEST
        self._quick = QUICK_RECEIVES if isinstance(sock, socket.socket) else 0
        # What has arrived, and how much of it was given.
        self._received = b""
        self._given = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def recv(self, size: int) -> bytes:
        if self._given == len(self._received):
            self._received, self._given = self._receive(max(size, RECEIVE)), 0
        begin = self._given
        self._given = min(begin + size, len(self._received))
        return self._received[begin : self._given]

    def _receive(self, size: int) -> bytes:
        try:
            data: bytes = self._sock.recv(size)
        except TimeoutError:
            self._wait_for(self.on_silence(False))
            raise
        except ConnectionError:
            self.has_ended = True
            raise
        if not data:
            self.has_ended = True
        self.last_arrival = time.monotonic()
        if len(self.greeting) < _GREETING:
            self.greeting += data[:_GREETING]
        if self._quick:
            self._acknowledge()
        return data

    def send(self, data: bytes) -> int:
        try:
            sent: int = self._sock.send(data)
        except TimeoutError:
            now = time.monotonic()
            if self._stuck_since is None:
                self._stuck_since = now
            if now - self._stuck_since > _STUCK:
                raise BrokenPipeError("nothing could be sent for a minute") from None
            self._wait_for(self.on_silence(True))
            raise
        except ConnectionError:
            self.has_ended = True
            raise
        self._stuck_since = None
        return sent

    def _wait_for(self, seconds: float) -> None:
        # Here, and not before each receive: it is a system call.
        seconds = max(seconds, _SHORTEST)
        if self._sock.gettimeout() != seconds:
            with contextlib.suppress(OSError):
                self._sock.settimeout(seconds)

    def _acknowledge(self) -> None:
        """Acknowledge at once what has arrived. The system forgets this each time."""
        self._quick -= 1
        if _TCP_QUICKACK is not None:
            # A proxy command is no TCP.
            with contextlib.suppress(OSError):
                self._sock.setsockopt(socket.IPPROTO_TCP, _TCP_QUICKACK, 1)

    def close(self) -> None:
        # A channel of another connection says so to the other side, which may be no more.
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
            self._sock.close()

    def unsent(self) -> int | None:
        """Return how many bytes the other side's system has not taken; None if nobody knows."""
        with contextlib.suppress(OSError, AttributeError, ValueError):
            if isinstance(self._sock, socket.socket):
                taken = fcntl.ioctl(self._sock.fileno(), termios.TIOCOUTQ, b"\0" * 4)
                return int.from_bytes(taken, sys.byteorder)
        return None

    def wake(self) -> None:
        """Have whoever waits in ``recv`` or ``send`` find the end, without waiting here."""
        # A channel of another connection would send something for that.
        if isinstance(self._sock, socket.socket):
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)
