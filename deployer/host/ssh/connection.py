"""Connections to SSH hosts: made when they are needed, shared, replaced when they died."""

from __future__ import annotations

import atexit
import contextlib
import shlex
import socket
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import paramiko

from ...exceptions import (
    ConnectionFailedException,
    ConnectionLost,
    ConnectionTimeout,
)
from ...pseudo_terminal import Pty
from . import known_hosts, tuning
from .authentication import authenticate
from .config import Gateway, HostSettings, Settings, resolve
from .host_key import check_host_key
from .sessions import Place, Sessions
from .sftp import SFTPFileSystem, is_alive

if TYPE_CHECKING:
    from .host import SSHHost

__all__ = ["Connection", "ConnectionPool", "connections"]


# Seconds without a sign of a reply, after which an SFTP server is given up.
_REPLY_TIMEOUT = 60.0


class Connection:
    """The connection to one host, for all threads."""

    def __init__(self, host: type[SSHHost]) -> None:
        self._host = host
        self._lock = threading.Lock()
        self._transport: paramiko.Transport | None = None
        self._gateways: list[paramiko.Transport] = []
        self._sessions = Sessions()
        self._idle_sftp: paramiko.SFTPClient | None = None
        self.home_directories: dict[str | None, str] = {}

    @contextlib.contextmanager
    def session(self, pty: Pty) -> Iterator[paramiko.Channel]:
        """Give a new session; it is closed at the end. Waits while the server allows no more.

        :param pty: where a person is told of a new connection, and asked for what it takes.
        """
        with contextlib.ExitStack() as stack:
            yield self._new_session(pty, stack)

    @contextlib.contextmanager
    def sftp(self, pty: Pty) -> Iterator[SFTPFileSystem]:
        """Give the files of the host, by an SFTP client that nobody else uses meanwhile."""
        # Shared by threads, one client drops replies that are another's.
        client = self._take_idle_sftp() or self._new_sftp(pty)
        try:
            yield SFTPFileSystem(client, self._lost)
        except Exception:
            self._give_back(client)
            raise
        except BaseException:
            _close_sftp(client)
            raise
        self._give_back(client)

    def _new_sftp(self, pty: Pty) -> paramiko.SFTPClient:
        with contextlib.ExitStack() as stack:
            channel = self._new_session(pty, stack)
            channel.settimeout(_REPLY_TIMEOUT)
            try:
                channel.invoke_subsystem("sftp")
                client = paramiko.SFTPClient(channel)
            except (paramiko.SSHException, paramiko.SFTPError, EOFError, OSError) as error:
                raise ConnectionFailedException(
                    f"{self._host.slug}: {self._host.address} does not offer SFTP, which files "
                    f"need ({error}); enable `Subsystem sftp` in its sshd_config, and let no "
                    "start-up file of the login shell (.bashrc) print anything"
                ) from error
            # From here on the place and the channel are the client's, until it is closed.
            client.deployer_release = stack.pop_all()  # type: ignore[attr-defined]
        return client

    def _give_back(self, client: paramiko.SFTPClient) -> None:
        with self._lock:
            wanted = self._sessions.are_wanted or not is_alive(client)
            if self._idle_sftp is None and not wanted:
                self._idle_sftp = client
                return
        _close_sftp(client)

    def _take_idle_sftp(self) -> paramiko.SFTPClient | None:
        with self._lock:
            client, self._idle_sftp = self._idle_sftp, None
        if client is not None and not is_alive(client):
            _close_sftp(client)
            client = None
        return client

    def _close_idle_sftp(self) -> None:
        client = self._take_idle_sftp()
        if client is not None:
            _close_sftp(client)

    def _new_session(self, pty: Pty, stack: contextlib.ExitStack) -> paramiko.Channel:
        """Return a session; ``stack`` is to close it and to give its place back."""
        transport, sessions = self._open(pty)
        try:
            return self._session_of(transport, sessions, stack)
        except ConnectionLost:
            if transport.is_active():
                raise
            # It died since it was last used, and nothing was sent over it yet.
            stack.close()
        return self._session_of(*self._open(pty), stack)

    def _session_of(
        self, transport: paramiko.Transport, sessions: Sessions, stack: contextlib.ExitStack
    ) -> paramiko.Channel:
        place = stack.enter_context(sessions.place(self._close_idle_sftp))
        channel = self._open_session(transport, place)
        stack.callback(channel.close)
        return channel

    def _open_session(self, transport: paramiko.Transport, place: Place) -> paramiko.Channel:
        while True:
            try:
                return transport.open_session(timeout=transport.channel_timeout)
            except (paramiko.SSHException, EOFError, OSError) as error:
                if isinstance(error, EOFError):
                    # It could not be asked for; paramiko's own thread may not know yet.
                    transport.close()
                # Of several refusals at once, paramiko gives only one thread the reason.
                refused = "Unable to open channel" in str(error) or isinstance(
                    error, paramiko.ChannelException
                )
                if not refused or not transport.is_active():
                    raise self._lost() from error
                if not place.wait_after_refusal():
                    raise ConnectionFailedException(
                        f"{self._host.slug}: {self._host.address} refuses a session: {error}"
                    ) from error

    def _lost(self) -> ConnectionLost:
        return ConnectionLost(
            f"{self._host.slug}: the connection to {self._host.address} was lost; the next call "
            "opens a new one"
        )

    def _open(self, pty: Pty) -> tuple[paramiko.Transport, Sessions]:
        with self._lock:
            if self._transport is None or not self._transport.is_active():
                self._close()
                settings = resolve(self._host)
                sock = self._dial(settings, pty)
                try:
                    self._transport = _connect(self._host, settings, sock, pty)
                except BaseException:
                    self._close()
                    raise
                self._sessions = Sessions()
                self.home_directories.clear()
            return self._transport, self._sessions

    def _dial(self, settings: Settings, pty: Pty) -> socket.socket:
        if settings.proxy_command:
            return _ProxyCommand(settings.proxy_command)  # type: ignore[return-value]
        for jump in settings.proxy_jump:
            gateway = Gateway.of(self._host, jump)
            hop = resolve(gateway)
            sock = self._through_gateway(gateway, hop) if self._gateways else _tcp(gateway, hop)
            self._gateways.append(_connect(gateway, hop, sock, pty))
        if self._gateways:
            return self._through_gateway(self._host, settings)
        return _tcp(self._host, settings)

    def _through_gateway(self, host: HostSettings, settings: Settings) -> socket.socket:
        try:
            return self._gateways[-1].open_channel(  # type: ignore[return-value]
                "direct-tcpip",
                (settings.hostname, settings.port),
                ("127.0.0.1", 0),
                timeout=settings.timeout,
            )
        except (paramiko.SSHException, EOFError) as error:
            raise ConnectionFailedException(
                f"{host.slug}: the gateway cannot reach {settings.hostname} port {settings.port}: "
                f"{error}"
            ) from error

    def _close(self) -> None:
        client, self._idle_sftp = self._idle_sftp, None
        if client is not None:
            _close_sftp(client)
        for transport in (self._transport, *reversed(self._gateways)):
            if transport is not None:
                transport.close()
        self._transport = None
        self._gateways = []

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        with self._lock:
            self._close()

    def close_at_exit(self) -> None:
        """Close the connection, without waiting for one that is just being opened."""
        if self._lock.acquire(timeout=0.1):
            try:
                self._close()
            finally:
                self._lock.release()


class ConnectionPool:
    """The connections of this process: one for each host class, closed at exit."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: dict[type[SSHHost], Connection] = {}
        atexit.register(self.close)

    def get(self, host: type[SSHHost]) -> Connection:
        """Return the connection of a host; it is opened when it is first used."""
        with self._lock:
            if host not in self._connections:
                self._connections[host] = Connection(host)
            return self._connections[host]

    def close_one(self, host: type[SSHHost]) -> None:
        """Close the connection of a host; the next use opens a new one."""
        with self._lock:
            connection = self._connections.pop(host, None)
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """Close all connections, except those that another thread is just opening."""
        with self._lock:
            connections = list(self._connections.values())
            self._connections.clear()
        for connection in connections:
            connection.close_at_exit()


connections = ConnectionPool()


class _ProxyCommand(paramiko.ProxyCommand):
    """A command whose input and output stand for the network."""

    def __init__(self, command: str) -> None:
        # By a shell, as ssh runs it.
        super().__init__(f"/bin/sh -c {shlex.quote(f'exec {command}')}")

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


def _close_sftp(client: paramiko.SFTPClient) -> None:
    with contextlib.suppress(EOFError, OSError, paramiko.SSHException):
        client.close()
    client.deployer_release.close()  # type: ignore[attr-defined]


def _tcp(host: HostSettings, settings: Settings) -> socket.socket:
    where = f"{settings.hostname} port {settings.port}"
    try:
        sock = socket.create_connection((settings.hostname, settings.port), settings.timeout)
    except socket.gaierror as error:
        raise ConnectionFailedException(
            f"{host.slug}: there is no host {settings.hostname!r} ({error.strerror}); "
            "check `address`"
        ) from error
    except TimeoutError as error:
        raise ConnectionTimeout(
            f"{host.slug}: {where} did not answer within {settings.timeout:g} seconds; check "
            "`address`, the network and firewalls, or raise `timeout`"
        ) from error
    except OSError as error:
        raise ConnectionFailedException(
            f"{host.slug}: cannot connect to {where}: {error.strerror or error}; check `address` "
            "and `port`, and that sshd is running there"
        ) from error
    tuning.prepare_socket(sock)
    return sock


def _connect(
    host: HostSettings, settings: Settings, sock: socket.socket, pty: Pty
) -> paramiko.Transport:
    """Return a transport that has checked the host's key, and authenticated."""
    transport = tuning.Transport(sock)
    transport.banner_timeout = settings.timeout
    transport.handshake_timeout = settings.timeout
    transport.auth_timeout = max(settings.timeout, 30.0)
    transport.channel_timeout = settings.timeout
    try:
        _handshake(host, settings, transport, pty)
        authenticate(host, settings, transport, pty)
        if settings.keepalive_interval:
            transport.set_keepalive(int(settings.keepalive_interval) or 1)
    except BaseException:
        transport.close()
        sock.close()
        raise
    return transport


def _handshake(
    host: HostSettings,
    settings: Settings,
    transport: paramiko.Transport,
    pty: Pty,
) -> None:
    known = known_hosts.find(
        (*settings.user_known_hosts, *settings.global_known_hosts),
        settings.host_key_name,
        settings.host_key_port,
    )
    options = transport.get_security_options()
    kinds = {entry.kind for entry in known if entry.marker == ""}
    if "ssh-rsa" in kinds:
        kinds |= {"rsa-sha2-512", "rsa-sha2-256"}
    # The host shows one key, of the first kind that both sides like: ask for a known one.
    options.key_types = sorted(options.key_types, key=lambda kind: kind not in kinds)
    negotiated = threading.Event()
    deadline = time.monotonic() + 2 * settings.timeout
    transport.start_client(event=negotiated)
    negotiated.wait(deadline - time.monotonic())
    if not negotiated.is_set() or not transport.is_active():
        error = transport.get_exception()
        through = f" through {settings.proxy_command!r}" if settings.proxy_command else ""
        raise ConnectionFailedException(
            f"{host.slug}: no SSH connection with {settings.hostname} port {settings.port}"
            f"{through}: {error or 'it did not answer in time'}; is it an SSH server?"
        ) from error
    key = transport.get_remote_server_key()
    check_host_key(host.slug, settings, known, key.get_name(), key.asbytes(), pty)
