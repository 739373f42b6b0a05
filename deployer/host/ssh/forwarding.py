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

__all__ = ["connect", "listen"]

_Take = Callable[[Stream], None]

# What is done with connections to a port of the host. A transport of paramiko's has one handler
# for all of its ports.
_ports: WeakKeyDictionary[paramiko.Transport, dict[int, _Take]] = WeakKeyDictionary()
_lock = threading.Lock()


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
    except (paramiko.SSHException, EOFError) as error:
        raise ConnectionFailedException(f"{slug}: {error}") from error


@contextlib.contextmanager
def listen(
    slug: str, transport: paramiko.Transport, address: str, port: int, take: _Take
) -> Iterator[int]:
    """Have the host listen, pass connections to ``take``, and give the port that it is."""
    with _lock:
        ports = _ports.setdefault(transport, {})

        def dispatch(channel: Any, origin: tuple[str, int], server: tuple[str, int]) -> None:
            # The server may be faster than the answer that says which port it is.
            if (taker := ports.get(server[1]) or ports.get(0)) is None:
                channel.close()
            else:
                taker(channel)

        try:
            ports[port] = take
            found: int = transport.request_port_forward(address, port, dispatch)
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise ConnectionFailedException(
                f"{slug}: the host does not listen on {address} port {port} for us ({error}); the "
                "port may be taken there (0 takes a free one), or see AllowTcpForwarding and "
                "GatewayPorts in its sshd_config"
            ) from error
        finally:
            ports.pop(port, None)
        ports[found] = take
    try:
        yield found
    finally:
        with _lock, contextlib.suppress(paramiko.SSHException, EOFError, OSError):
            ports.pop(found, None)
            if transport.is_active():
                # Not cancel_port_forward: that forgets the handler of the other ports, too.
                transport.global_request("cancel-tcpip-forward", (address, found))
