"""Connections to SSH hosts: made when they are needed, shared, replaced when they died."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import paramiko

from ...exceptions import (
    AuthenticationFailed,
    ConnectionFailedException,
    ConnectionLost,
    ConnectionTimeout,
)
from ...pseudo_terminal import Pty
from .. import open_files
from . import dial, tuning
from .config import Gateway, HostSettings, Settings, resolve
from .forwarded_agent import ForwardedAgent
from .gateways import check_for_circle, gateways
from .next_session import NextSession
from .sessions import NoRoom, Place, Sessions, holding_one, holds_one

if TYPE_CHECKING:
    from .connection_pool import ConnectionPool
    from .sftp import SFTPFileSystem

__all__ = ["Connection"]


# Seconds without a sign of a reply, after which an SFTP server is given up.
_REPLY_TIMEOUT = 60.0
# Finding out the settings takes a tenth of the time of a connection. A call that looks at them
# opens it within so many seconds, or not at all.
_JUST_NOW = 0.5
# Seconds that closing one connection may wait for another.
_LET_GO = 0.5


@dataclass(frozen=True)
class _Live:
    """A connection that is open, and what belongs to it."""

    transport: tuning.Transport
    sessions: Sessions
    settings: Settings
    #: The connection that it goes through.
    via: Connection | None


class Connection:
    """The connection to one host, for all threads.

    :param pool: has the connections of gateways.
    :param via: the connection to go through; otherwise it is looked up for each new one.
    """

    def __init__(
        self, host: HostSettings, pool: ConnectionPool, via: Connection | None = None
    ) -> None:
        self._host = host
        self._pool = pool
        self._via = via
        #: Held while it is opened or closed.
        self._lock = threading.Lock()
        self._live: _Live | None = None
        #: How the last attempt to open it failed, if it did.
        self._failure: tuple[type[ConnectionFailedException], str] | None = None
        #: Held for a moment, for what is below.
        self._state = threading.Lock()
        self._users = 0
        self._idle_sftp: paramiko.SFTPClient | None = None
        self._next = NextSession()
        #: For those who hold a session and need one more, where there is no room for it.
        self._further: Connection | None = None
        self.home_directories: dict[str | None, str] = {}
        #: The settings of a connection that is about to be opened, and when they were found.
        self._just_resolved: tuple[float, Settings] | None = None

    def transport(self, pty: Pty) -> tuning.Transport:
        """Return what the connection runs over; it is opened if it is not open."""
        return self._open(pty).transport

    def settings(self) -> Settings:
        """Return what it is, or would be, made from."""
        live = self._live
        if live is not None:
            return live.settings
        with open_files.enough(self._host.slug):
            settings = resolve(self._host)
        self._just_resolved = (time.monotonic(), settings)
        return settings

    @contextlib.contextmanager
    def session(self, pty: Pty) -> Iterator[paramiko.Channel]:
        """Give a new session; it is closed at the end. Waits while the server allows no more.

        :param pty: where a person is told of a new connection, and asked for what it takes.
        """
        with contextlib.ExitStack() as stack:
            session, live = self._new_session(pty, stack)
            try:
                _prepare(session, live.settings)
            except tuning.BROKEN as error:
                raise self._lost(live.transport) from error
            with holding_one():
                yield session

    @contextlib.contextmanager
    def spare_session(self, timeout: float) -> Iterator[paramiko.Channel | None]:
        """Give one more session, if the server allows it right now; it waits for nobody."""
        live = self._live
        with contextlib.ExitStack() as stack:
            channel = None
            if live is not None and stack.enter_context(live.sessions.spare_place()):
                with contextlib.suppress(*tuning.BROKEN):
                    channel = live.transport.open_session(timeout=timeout)
                    stack.callback(tuning.close_channel, channel)
                    tuning.prepare_session(channel, timeout)
            yield channel

    @contextlib.contextmanager
    def sftp(self, pty: Pty) -> Iterator[SFTPFileSystem]:
        """Give the files of the host, by an SFTP client that nobody else uses meanwhile."""
        # Imported here, as hosts are connected to that nobody wants the files of.
        from .sftp import SFTPFileSystem

        # Shared by threads, one client drops replies that are another's.
        client = self._take_idle_sftp() or self._new_sftp(pty)
        try:
            with holding_one():
                yield SFTPFileSystem(client, self._lost, self.spare_session)
        except Exception:
            self._give_back(client)
            raise
        except BaseException:
            _close_sftp(client)
            raise
        self._give_back(client)

    def _new_sftp(self, pty: Pty) -> paramiko.SFTPClient:
        with contextlib.ExitStack() as stack:
            channel, live = self._new_session(pty, stack)
            channel.settimeout(_REPLY_TIMEOUT)
            try:
                channel.invoke_subsystem("sftp")
                client = paramiko.SFTPClient(channel)
            except (paramiko.SFTPError, *tuning.BROKEN) as error:
                if not live.transport.is_active():
                    raise self._lost(live.transport) from error
                raise ConnectionFailedException(
                    f"{self._host.slug}: {self._host.address} does not offer SFTP, which files "
                    f"need ({error}); enable `Subsystem sftp` in its sshd_config, and let no "
                    "start-up file of the login shell (.bashrc) print anything"
                ) from error
            # From here on the place and the channel are the client's, until it is closed.
            client.deployer_release = stack.pop_all()  # type: ignore[attr-defined]
        return client

    def _give_back(self, client: paramiko.SFTPClient) -> None:
        from .sftp import is_alive

        live = self._live
        with self._state:
            is_ours = live is not None and _transport(client) is live.transport
            wanted = live is None or live.sessions.are_wanted or not is_alive(client)
            if self._idle_sftp is None and is_ours and not wanted:
                self._idle_sftp = client
                return
        _close_sftp(client)

    def _take_idle_sftp(self) -> paramiko.SFTPClient | None:
        with self._state:
            client, self._idle_sftp = self._idle_sftp, None
        if client is not None:
            from .sftp import is_alive

            if not is_alive(client):
                _close_sftp(client)
                client = None
        return client

    def _make_room(self) -> None:
        """Give up the sessions that are only kept for later."""
        client = self._take_idle_sftp()
        if client is not None:
            _close_sftp(client)
        self._next.give_up()

    def open_ahead(self) -> None:
        """Open the session of the next command while this one runs, where that saves it time."""
        live = self._live
        if live is not None and live.sessions.are_worth_opening_ahead:
            self._next.open(live.transport, live.sessions)

    def _new_session(self, pty: Pty, stack: contextlib.ExitStack) -> tuple[paramiko.Channel, _Live]:
        """Return a session; ``stack`` is to close it and to give its place back."""
        live = self._open(pty)
        try:
            try:
                return self._session_of(live, pty, stack), live
            except ConnectionLost:
                if live.transport.is_active():
                    raise
                # It died since it was last used, and nothing was sent over it yet.
                stack.close()
            live = self._open(pty)
            return self._session_of(live, pty, stack), live
        except NoRoom:
            stack.close()
        with self._state:
            if self._further is None:
                self._further = Connection(self._host, self._pool, self._via)
        return self._further._new_session(pty, stack)

    def _session_of(self, live: _Live, pty: Pty, stack: contextlib.ExitStack) -> paramiko.Channel:
        channel = self._next.take(live.transport, live.sessions, live.settings.timeout, stack)
        if channel is None:
            place = stack.enter_context(
                live.sessions.place(
                    self._make_room, pty.check_interrupted, may_wait=not holds_one()
                )
            )
            begun = time.monotonic()
            channel = self._open_session(live, place)
            live.sessions.opened(time.monotonic() - begun)
        stack.callback(tuning.close_channel, channel)
        # Under load a reply may take as long as everything else together.
        tuning.prepare_session(channel, 3 * live.settings.timeout)
        return channel

    def _open_session(self, live: _Live, place: Place) -> paramiko.Channel:
        transport = live.transport
        while True:
            try:
                return transport.open_session(timeout=live.settings.timeout)
            except tuning.BROKEN as error:
                if "Timeout" in str(error) and transport.is_active():
                    raise self._no_answer(live) from error
                # Of several refusals at once, paramiko gives only one thread the reason.
                refused = "Unable to open channel" in str(error) or isinstance(
                    error, paramiko.ChannelException
                )
                if not refused or not transport.is_active():
                    raise self._lost(transport) from error
                if not place.wait_after_refusal():
                    raise ConnectionFailedException(
                        f"{self._host.slug}: {self._host.address} refuses a session: {error}"
                    ) from error

    def _no_answer(self, live: _Live) -> ConnectionFailedException:
        seconds = live.settings.timeout
        if live.transport.seconds_of_silence() >= seconds:
            live.transport.abort(f"it did not answer for {seconds:g} seconds")
            return self._lost(live.transport)
        return ConnectionTimeout(
            f"{self._host.slug}: {self._host.address} did not open a session within "
            f"{seconds:g} seconds; it may be overloaded: raise `timeout`"
        )

    def _lost(self, transport: tuning.Transport | None = None) -> ConnectionLost:
        if transport is None and self._live is not None:
            transport = self._live.transport
        reason = transport and transport.ended_because
        return ConnectionLost(
            f"{self._host.slug}: the connection to {self._host.address} was lost"
            f"{f' ({reason})' if reason else ''}; the next call opens a new one"
        )

    # Opening.

    def _open(self, pty: Pty) -> _Live:
        live = self._live
        if live is not None and live.transport.is_active():
            return live
        with open_files.enough(self._host.slug):
            settings = self._take_settings()
            check_for_circle(self._host, settings)
            failure = self._failure
            with self._locked(pty):
                live = self._live
                if live is None or not live.transport.is_active():
                    if self._failure is not failure:
                        self._share_failure(pty)
                    self._close()
                    live = self._live = self._try(settings, pty)
                    self.home_directories.clear()
                return live

    def _take_settings(self) -> Settings:
        """Return what to make a connection from; of a call that has just asked for it, the same."""
        known, self._just_resolved = self._just_resolved, None
        if known is not None and time.monotonic() - known[0] < _JUST_NOW:
            return known[1]
        return resolve(self._host)

    def _share_failure(self, pty: Pty) -> None:
        """Raise what another thread got while this one waited for it, in place of trying again.

        Otherwise the last of many threads would wait as many times as long as the first.
        """
        if self._failure is not None:
            kind, message = self._failure
            # A person may know a password that nobody else did.
            if not (issubclass(kind, AuthenticationFailed) and pty.can_ask):
                raise kind(message)

    def _try(self, settings: Settings, pty: Pty) -> _Live:
        try:
            live = self._new(settings, pty)
        except ConnectionFailedException as error:
            self._failure = (type(error), str(error))
            raise
        self._failure = None
        return live

    def _new(self, settings: Settings, pty: Pty) -> _Live:
        via = self._via or self._gateway(settings)
        if via is None:
            transport = dial.connect(self._host, settings, None, pty)
            return _Live(transport, Sessions(), settings, None)
        via.hold()
        try:
            transport = dial.connect(self._host, settings, lambda: self._through(via, pty), pty)
        except BaseException:
            via.let_go()
            raise
        return _Live(transport, Sessions(), settings, via)

    def _gateway(self, settings: Settings) -> Connection | None:
        """Return the connection to go through, if there is one."""
        found: Connection | None = None
        for gateway in gateways(self._host, settings):
            if isinstance(gateway, Gateway):
                found = self._pool.get_hop(gateway, found)
            else:
                found = self._pool.get(gateway)
        return found

    def _through(self, via: Connection, pty: Pty) -> tuning.Transport:
        try:
            return via.transport(pty)
        except ConnectionFailedException as error:
            # The same kind of error, with both names.
            raise type(error)(f"{self._host.slug}: through {error}") from error

    @contextlib.contextmanager
    def _locked(self, pty: Pty) -> Iterator[None]:
        """Hold the lock; another thread may be connecting meanwhile."""
        while not self._lock.acquire(timeout=0.25):
            pty.check_interrupted()
        try:
            yield
        finally:
            self._lock.release()

    # Closing.

    def hold(self) -> None:
        """Count one more connection that goes through this one."""
        with self._state:
            self._users += 1

    def let_go(self) -> None:
        """Count one less; the connection to a host of ProxyJump ends with the last of them."""
        with self._state:
            self._users -= 1
        # Whoever holds the lock is just opening it, and so counts.
        if isinstance(self._host, Gateway) and self._lock.acquire(timeout=_LET_GO):
            try:
                if not self._users:
                    self._close()
            finally:
                self._lock.release()

    def _close(self) -> None:
        with self._state:
            client, self._idle_sftp = self._idle_sftp, None
        live, self._live = self._live, None
        if live is not None:
            # First, so that nothing waits for a reply.
            live.transport.close()
        if client is not None:
            _close_sftp(client)
        self._next.forget()
        if live is not None and live.via is not None:
            live.via.let_go()

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        if self._further is not None:
            self._further.close()
        with self._lock:
            self._close()

    def abort(self) -> None:
        """End the connection without waiting for anything; the next use opens another one."""
        if self._further is not None:
            self._further.abort()
        live = self._live
        if live is not None:
            live.transport.abort("it was closed here")

    def abandon(self) -> None:
        """Forget the connection in a forked child: it is the parent's."""
        if self._further is not None:
            self._further.abandon()
        if self._live is not None:
            self._live.transport.abandon()

    def close_at_exit(self) -> None:
        """Close the connection, without waiting for one that is just being opened."""
        if self._further is not None:
            self._further.close_at_exit()
        if self._lock.acquire(timeout=0.1):
            try:
                self._close()
            finally:
                self._lock.release()


def _prepare(session: paramiko.Channel, settings: Settings) -> None:
    """Give a session what the config wants each of them to have."""
    for name, value in settings.environment:
        session.set_environment_variable(name, value)
    if settings.forward_agent and settings.agent_socket:
        session.request_forward_agent(ForwardedAgent(settings.agent_socket).take)


def _transport(client: paramiko.SFTPClient) -> paramiko.Transport | None:
    channel = client.get_channel()
    return None if channel is None else channel.get_transport()


def _close_sftp(client: paramiko.SFTPClient) -> None:
    with contextlib.suppress(*tuning.BROKEN):
        client.close()
    client.deployer_release.close()  # type: ignore[attr-defined]
