"""Ports passed on over an SSH connection."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import paramiko

from ...exceptions import ConnectionFailedException
from ..relay import Stream
from . import tuning

__all__ = ["connect", "listen"]

_Take = Callable[[Stream], None]


class _Ports:
    """What is done with connections to the ports of a host, by port; 0 is one not yet known.

    A transport of paramiko's has one handler for all of them.
    """

    def __init__(self) -> None:
        #: Held while the host is asked. For each host its own: another one may not answer.
        self.lock = threading.Lock()
        self.takers: dict[int, _Take] = {}

    def dispatch(self, channel: Any, origin: tuple[str, int], server: tuple[str, int]) -> None:
        # The server may be faster than its answer that says which port it is.
        taker = self.takers.get(server[1]) or self.takers.get(0)
        if taker is None:
            channel.close()
        else:
            taker(channel)


_ports: WeakKeyDictionary[paramiko.Transport, _Ports] = WeakKeyDictionary()
_ports_lock = threading.Lock()


def connect(slug: str, transport: paramiko.Transport, address: str, port: int) -> Stream:
    """Return a connection that the host makes for us."""
    try:
        return transport.open_channel(
            "direct-tcpip",
            (address, port),
            ("127.0.0.1", 0),
            timeout=transport.channel_timeout,
        )
    except paramiko.ChannelException as error:
        # RFC 4254, section 5.1.
        hint = "; see AllowTcpForwarding in its sshd_config" if error.code == 1 else ""
        raise ConnectionFailedException(f"{slug}: {error.text or error}{hint}") from error
    except tuning.BROKEN as error:
        raise ConnectionFailedException(f"{slug}: {error}") from error


@contextlib.contextmanager
def listen(
    slug: str, transport: paramiko.Transport, address: str, port: int, take: _Take
) -> Iterator[int]:
    """Have the host listen, pass connections to ``take``, and give the port that it is."""
    with _ports_lock:
        ports = _ports.setdefault(transport, _Ports())
    with ports.lock:
        if port in ports.takers:
            raise ConnectionFailedException(
                f"{slug}: port {port} of the host is passed on already; 0 takes a free one"
            )
        ports.takers[port] = take
        try:
            found: int = transport.request_port_forward(address, port, ports.dispatch)
            ports.takers[found] = take
        except BaseException as error:
            ports.takers.pop(port, None)
            if not isinstance(error, tuning.BROKEN):
                raise
            raise ConnectionFailedException(
                f"{slug}: the host does not listen on {address} port {port} for us ({error}); the "
                "port may be taken there (0 takes a free one), or see AllowTcpForwarding and "
                "GatewayPorts in its sshd_config"
            ) from error
        finally:
            ports.takers.pop(0, None)
    try:
        yield found
    finally:
        with ports.lock, contextlib.suppress(*tuning.BROKEN):
            del ports.takers[found]
            if transport.is_active():
                # Not cancel_port_forward: that forgets the handler of the other ports, too.
                transport.global_request("cancel-tcpip-forward", (address, found))
