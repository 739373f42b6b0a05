"""Ports passed on between this machine and a host."""

from __future__ import annotations

import abc
import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from ..exceptions import ConnectionFailedException
from ..pseudo_terminal import Pty, write_text

__all__ = ["PortForwarding", "Stream", "connect_here", "listen_here"]

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


class PortForwarding(abc.ABC):
    """The methods of a host that pass on TCP ports, as ``ssh -L`` and ``ssh -R`` do."""

    slug: str
    pty: Pty
    is_sandbox: bool

    @abc.abstractmethod
    def _connect_from_host(self, address: str, port: int) -> Stream:
        """Return a connection that the host makes; raise OSError or a DeployerException."""

    @abc.abstractmethod
    def _listen_on_host(
        self, address: str, port: int, take: Callable[[Stream], None]
    ) -> AbstractContextManager[int]:
        """Listen on the host, pass connections to ``take``, and give the port that it is."""

    def forward_local(
        self,
        local_port: int,
        remote_port: int | None = None,
        local_host: str = "127.0.0.1",
        remote_host: str = "localhost",
    ) -> AbstractContextManager[int]:
        """Make a port that the host can reach a port of this machine, for a ``with`` block.

        ``with host.forward_local(0, 5432) as port:`` has a database of the host listen on the
        local ``port``. Connections are closed at the end of the block.

        :param local_port: the port here; 0 for a free one, which the block is given.
        :param remote_port: the port there; the same one when it is not given.
        :param local_host: the address to listen on here: other machines reach only what listens
            on another address than loopback.
        :param remote_host: where to connect to, as the host names it.
        :raises ConnectionFailedException: when the port here is taken, or there is no connection
            to the host. What cannot be reached from the host ends the connection that wanted it,
            with a message on stderr.
        """
        port = self._other_port(local_port, remote_port, "remote_port")
        connect = self._named(f"{remote_host} port {port}, seen from the host", remote_host, port)
        return self._passed_on(local_port, local_host, connect, here=True)

    def forward_remote(
        self,
        remote_port: int,
        local_port: int | None = None,
        remote_host: str = "127.0.0.1",
        local_host: str = "localhost",
    ) -> AbstractContextManager[int]:
        """Make a port that this machine can reach a port of the host, for a ``with`` block.

        It ends with the connection to the host: one that is opened again does not have it.

        :param remote_port: the port there; 0 for a free one, which the block is given.
        :param local_port: the port here; the same one when it is not given.
        :param remote_host: the address to listen on there; another than loopback needs
            ``GatewayPorts`` in its sshd_config.
        :param local_host: where to connect to, as this machine names it.
        :raises ConnectionFailedException: when the host does not allow it, or the port is taken.
        """
        port = self._other_port(remote_port, local_port, "local_port")
        connect = self._named(f"{local_host} port {port}, seen from here", local_host, port, True)
        return self._passed_on(remote_port, remote_host, connect, here=False)

    def _other_port(self, port: int, other: int | None, name: str) -> int:
        if port == 0 and other is None:
            raise ValueError(f"{self.slug}: say which `{name}` a free port is to lead to")
        return port if other is None else other

    def _named(
        self, where: str, address: str, port: int, here: bool = False
    ) -> Callable[[], Stream]:
        """Return what connects, with an error that a person can read."""

        def connect() -> Stream:
            try:
                return (
                    connect_here(address, port) if here else self._connect_from_host(address, port)
                )
            except (OSError, ConnectionFailedException) as error:
                reason = str(error).removeprefix(f"{self.slug}: ")
                raise ConnectionFailedException(
                    f"{self.slug}: cannot connect to {where}: {reason}"
                ) from error

        return connect

    @contextmanager
    def _passed_on(
        self, port: int, address: str, connect: Callable[[], Stream], here: bool
    ) -> Iterator[int]:
        if self.is_sandbox:
            yield port
            return
        relays = _Relays(connect, lambda problem: write_text(self.pty.stderr, f"{problem}\n"))
        listen = listen_here if here else self._listen_on_host
        with contextlib.ExitStack() as stack:
            stack.callback(relays.stop)
            try:
                found = stack.enter_context(listen(address, port, relays.take))
            except OSError as error:
                side = "here" if here else "on the host"
                raise ConnectionFailedException(
                    f"{self.slug}: cannot listen on {address} port {port} {side}: "
                    f"{error.strerror or error}; port 0 takes a free one"
                ) from error
            yield found


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


class _Relays:
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
