"""Ports passed on between this machine and a host."""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from ..exceptions import ConnectionFailedException

if TYPE_CHECKING:
    from ..pseudo_terminal import Pty
    from .relay import Stream

__all__ = ["PortForwarding"]


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
        """Forward a port of this machine to one that the host can reach, for a ``with`` block.

        ``with host.forward_local(0, 5432) as port:`` makes a database of the host reachable on the
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
        """Forward a port of the host to one that this machine can reach, for a ``with`` block.

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
            from .relay import connect_here

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
        # Sockets take a while to import: only once there is a port.
        from ..streams import write_text
        from .relay import Relays, listen_here

        relays = Relays(connect, lambda problem: write_text(self.pty.stderr, f"{problem}\n"))
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
