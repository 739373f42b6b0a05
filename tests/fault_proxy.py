"""A TCP proxy that misbehaves: it cuts, delays, resets, corrupts, half-closes and freezes."""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

__all__ = ["FaultProxy", "Faults", "fault_proxy"]


@dataclass(frozen=True)
class Faults:
    """What goes wrong with a connection; bytes are counted from its beginning."""

    #: Close both sides after so many bytes from the server (``down``) or the client (``up``).
    drop_after_down: int | None = None
    drop_after_up: int | None = None
    #: With a TCP reset, in place of an orderly end.
    reset: bool = False
    #: After so many bytes from the server, only end that direction; the other stays open.
    half_close_after_down: int | None = None
    #: Flip a bit of the byte with this number from the server.
    corrupt_down: int | None = None
    corrupt_up: int | None = None
    #: After so many bytes from the server, pass nothing on in either direction, and stay open.
    freeze_after_down: int | None = None
    #: Seconds that each piece waits in either direction.
    delay: float = 0.0
    #: Pass on at most so many bytes at once.
    piece: int = 65536


@dataclass
class FaultProxy:
    """A running proxy: where it listens, and what it has seen. ``faults`` may be replaced at any
    time: connections that are open follow it as well."""

    address: str
    port: int
    faults: Faults = field(default_factory=Faults)
    connections: int = 0
    #: Bytes passed on since the beginning, over all connections.
    down: int = 0
    up: int = 0
    #: When set, only this many connections are faulty; later ones are passed on whole.
    faulty_connections: int | None = None
    _sockets: list[socket.socket] = field(default_factory=list)

    def set(self, **faults: object) -> None:
        """Change some of the faults."""
        self.faults = replace(self.faults, **faults)  # type: ignore[arg-type]

    def drop_all(self, reset: bool = False) -> None:
        """Close every connection that is open."""
        for sock in self._sockets:
            _close(sock, reset)


@contextlib.contextmanager
def fault_proxy(port: int, address: str = "127.0.0.1", **faults: object) -> Iterator[FaultProxy]:
    """Run a proxy in front of a port, with a free port of its own."""
    stop = threading.Event()
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        listener.settimeout(0.1)
        proxy = FaultProxy("127.0.0.1", listener.getsockname()[1])
        proxy.set(**faults)

        def accept() -> None:
            while not stop.is_set():
                try:
                    client, _ = listener.accept()
                except TimeoutError:
                    continue
                except OSError:
                    return
                proxy.connections += 1
                number = proxy.connections
                thread = threading.Thread(
                    target=_serve, args=(proxy, number, client, (address, port), stop)
                )
                threads.append(thread)
                thread.start()

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield proxy
        finally:
            stop.set()
            proxy.drop_all()
            acceptor.join()
            for thread in threads:
                thread.join()


def _serve(
    proxy: FaultProxy,
    number: int,
    client: socket.socket,
    target: tuple[str, int],
    stop: threading.Event,
) -> None:
    try:
        server = socket.create_connection(target, 5)
    except OSError:
        _close(client, True)
        return
    proxy._sockets += [client, server]
    counts = {"down": 0, "up": 0}
    with selectors.DefaultSelector() as selector:
        try:
            for sock in (client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(client, selectors.EVENT_READ, ("up", client, server))
            selector.register(server, selectors.EVENT_READ, ("down", server, client))
            open_directions = {"up", "down"}
            while open_directions and not stop.is_set():
                # `drop_all` closes them from another thread, of which the selector says nothing.
                if client.fileno() < 0 or server.fileno() < 0:
                    break
                for key, _ in selector.select(0.05):
                    direction, source, target_socket = key.data
                    wanted = proxy.faulty_connections
                    faults = proxy.faults if wanted is None or number <= wanted else Faults()
                    frozen = faults.freeze_after_down
                    if frozen is not None and counts["down"] >= frozen:
                        stop.wait(0.05)
                        continue
                    size = faults.piece
                    if direction == "down" and frozen is not None:
                        # The rest is not lost: it comes when the freeze is over.
                        size = min(size, frozen - counts["down"])
                    data = source.recv(size)
                    if not data:
                        selector.unregister(source)
                        open_directions.discard(direction)
                        with contextlib.suppress(OSError):
                            target_socket.shutdown(socket.SHUT_WR)
                        continue
                    if faults.delay and stop.wait(faults.delay):
                        return
                    before = counts[direction]
                    data = _corrupted(data, before, getattr(faults, f"corrupt_{direction}"))
                    limit = getattr(faults, f"drop_after_{direction}")
                    if limit is not None and before + len(data) >= limit:
                        target_socket.sendall(data[: max(limit - before, 0)])
                        _close(client, faults.reset)
                        _close(server, faults.reset)
                        return
                    half = faults.half_close_after_down
                    if direction == "down" and half is not None and before + len(data) >= half:
                        target_socket.sendall(data[: max(half - before, 0)])
                        target_socket.shutdown(socket.SHUT_WR)
                        selector.unregister(source)
                        open_directions.discard(direction)
                        continue
                    counts[direction] += len(data)
                    setattr(proxy, direction, getattr(proxy, direction) + len(data))
                    target_socket.sendall(data)
        except (OSError, ValueError, KeyError):
            # Also what Python makes of a socket that was closed at that moment.
            pass
        finally:
            _close(client, False)
            _close(server, False)


def _corrupted(data: bytes, before: int, number: int | None) -> bytes:
    if number is None or not before <= number < before + len(data):
        return data
    place = number - before
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def _close(sock: socket.socket, reset: bool) -> None:
    with contextlib.suppress(OSError):
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            # Whoever waits in recv notices.
            sock.shutdown(socket.SHUT_RDWR)
    sock.close()
