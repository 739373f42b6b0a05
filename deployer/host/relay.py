"""Connections that are passed on, from a port of one machine to one of another."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from ..exceptions import ConnectionFailedException

__all__ = ["Relays", "Stream", "connect_here", "listen_here"]

_CHUNK = 64 * 1024
# How long a connection that is being closed may still wait for news, in seconds.
_STOP_CHECK = 0.5
_CONNECT_TIMEOUT = 10.0


class Stream(Protocol):
    """A connection that can be read and written: a socket, or a channel of paramiko's."""

    def recv(self, size: int, /) -> bytes: ...

    def send(self, data: bytes, /) -> int: ...

    def settimeout(self, seconds: float | None, /) -> None: ...

    def shutdown(self, how: int, /) -> None: ...

    def close(self) -> None: ...


def connect_here(address: str, port: int) -> Stream:
    """Return a connection from this machine."""
    sock = socket.create_connection((address, port), _CONNECT_TIMEOUT)
    _without_delay(sock)
    return sock


@contextmanager
def listen_here(address: str, port: int, take: Callable[[Stream], None]) -> Iterator[int]:
    """Listen on this machine, pass connections to ``take``, and give the port that it is."""
    family = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0][0]
    with socket.create_server((address, port), family=family, backlog=128) as listener:
        reader, writer = os.pipe()
        thread = threading.Thread(target=_accept, args=(listener, reader, take), daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            # It wakes at the end of the pipe.
            os.close(writer)
            thread.join()
            os.close(reader)


def _accept(listener: socket.socket, stop: int, take: Callable[[Stream], None]) -> None:
    listener.setblocking(False)
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    poll.register(stop, select.POLLIN)
    while stop not in (ready[0] for ready in poll.poll()):
        # Who wanted something may be gone by now.
        with contextlib.suppress(OSError):
            sock, _ = listener.accept()
            _without_delay(sock)
            take(sock)


class Relays:
    """The connections that are being passed on, each in threads of its own.

    :param connect: makes the other end for one.
    :param failed: is told when that did not work.
    """

    def __init__(self, connect: Callable[[], Stream], failed: Callable[[Exception], None]) -> None:
        self._connect = connect
        self._failed = failed
        self._stopped = threading.Event()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()

    def take(self, stream: Stream) -> None:
        """Pass a connection on, in the background."""
        thread = threading.Thread(target=self._serve, args=(stream,), daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def stop(self) -> None:
        """Close all connections."""
        self._stopped.set()
        deadline = time.monotonic() + _CONNECT_TIMEOUT + 2 * _STOP_CHECK
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0.0))

    def _serve(self, stream: Stream) -> None:
        try:
            try:
                other = self._connect()
            except ConnectionFailedException as error:
                self._failed(error)
                return
            _relay(stream, other, self._stopped)
        finally:
            stream.close()
            with self._lock:
                self._threads.discard(threading.current_thread())


def _relay(one: Stream, other: Stream, stopped: threading.Event) -> None:
    """Pass bytes both ways until both sides have ended theirs, or it is stopped."""
    broken = threading.Event()
    for stream in (one, other):
        stream.settimeout(_STOP_CHECK)

    def goes_on() -> bool:
        return not stopped.is_set() and not broken.is_set()

    back = threading.Thread(target=_pass_on, args=(other, one, goes_on, broken), daemon=True)
    back.start()
    _pass_on(one, other, goes_on, broken)
    back.join()
    # Not before: what is sent on a channel after its end breaks the whole connection.
    other.close()


def _pass_on(
    source: Stream, target: Stream, goes_on: Callable[[], bool], broken: threading.Event
) -> None:
    try:
        while goes_on():
            try:
                data = memoryview(source.recv(_CHUNK))
            except TimeoutError:
                continue
            if not data:
                target.shutdown(socket.SHUT_WR)
                return
            while data and goes_on():
                with contextlib.suppress(TimeoutError):
                    sent = target.send(bytes(data))
                    if not sent:
                        raise BrokenPipeError
                    data = data[sent:]
    except (OSError, EOFError):
        # Nobody is left to tell the other side's end to: both are closed.
        broken.set()


def _without_delay(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
