"""Making a connection: the network, a proxy or a gateway, then the handshake and logging in."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import select
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import paramiko

from ...exceptions import ConnectionFailedException, ConnectionTimeout
from ...pseudo_terminal import Pty
from . import known_hosts, tuning
from .authentication import authenticate
from .config import HostSettings, Settings, report_unsupported
from .host_key import check_host_key
from .sessions import Startups
from .ssh_patterns import choose

__all__ = ["connect"]

# Where a server drops connections before it says who it is, it may be asked again so many times,
# after about so many seconds, twice as many each time.
_TRIES = 5
_FIRST_PAUSE = 0.15
# How often a wait looks whether it is to end.
_LOOK = 0.25
# Seconds that a proxy command gets to end by itself, once its streams have.
_LAST_MOMENT = 0.2

_startups = Startups()


class _Dropped(Exception):
    """The server ended the connection before it said who it is."""


def connect(
    host: HostSettings,
    settings: Settings,
    gateway: Callable[[], tuning.Transport] | None,
    pty: Pty,
) -> tuning.Transport:
    """Return a connection that has checked the host's key, and has logged in.

    :param gateway: gives the connection to go through, where there is one.
    :param pty: where a person is told of a new host key, and asked for what it takes.
    """
    report_unsupported(host.slug, settings, pty)
    where = (settings.hostname, settings.port, settings.proxy_command, settings.proxy_jump)
    for attempt in range(_TRIES):
        if attempt:
            # Not all at the same time again.
            _pause(random.uniform(0.5, 1.5) * _FIRST_PAUSE * 2**attempt, pty)
        with _startups.place(where, pty.check_interrupted) as was_dropped:
            try:
                return _connect_once(host, settings, gateway, pty)
            except _Dropped as error:
                dropped = error
                was_dropped()
    raise ConnectionFailedException(
        f"{host.slug}: {_place(settings)} ended the connection {_TRIES} times before it said who "
        f"it is{dropped}; is it an SSH server, does it have too many connections (MaxStartups, "
        "PerSourcePenalties in its sshd_config), or does a firewall refuse this machine?"
    ) from dropped.__cause__


def forget_startups() -> None:
    """Start anew in a forked child: nobody logs in there."""
    global _startups
    _startups = Startups()


def _pause(seconds: float, pty: Pty) -> None:
    """Wait, unless what runs at the terminal is to stop."""
    pty.interrupted.wait(seconds)
    pty.check_interrupted()


def _connect_once(
    host: HostSettings,
    settings: Settings,
    gateway: Callable[[], tuning.Transport] | None,
    pty: Pty,
) -> tuning.Transport:
    sock: Any
    if gateway is not None:
        sock = _through(gateway, host, settings)
    elif settings.proxy_command:
        try:
            sock = _ProxyCommand(settings.proxy_command)
        except OSError as error:
            raise ConnectionFailedException(
                f"{host.slug}: cannot start {settings.proxy_command!r} (ProxyCommand): {error}"
            ) from error
    else:
        sock = _tcp(host, settings, pty)
    try:
        transport = tuning.Transport(sock)
        try:
            _prepare(host, settings, transport)
            _handshake(host, settings, transport, sock, pty)
            # From here on nothing is tried again: a password may be wrong.
            authenticate(host, settings, transport, pty)
            if settings.keepalive_interval:
                transport.watch(settings.keepalive_interval, settings.keepalive_count)
            transport.rest()
        except BaseException:
            transport.close()
            raise
    except BaseException:
        with contextlib.suppress(*tuning.BROKEN):
            sock.close()
        raise
    return transport


# The network.


def _place(settings: Settings) -> str:
    through = f" through {settings.proxy_command!r}" if settings.proxy_command else ""
    return f"{settings.hostname} port {settings.port}{through}"


_FAMILIES = {"any": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}


def _tcp(host: HostSettings, settings: Settings, pty: Pty) -> socket.socket:
    where = _place(settings)
    try:
        addresses = socket.getaddrinfo(
            settings.hostname,
            settings.port,
            _FAMILIES[settings.address_family],
            socket.SOCK_STREAM,
        )
    except (OSError, UnicodeError) as error:
        raise ConnectionFailedException(
            f"{host.slug}: there is no host {settings.hostname!r} "
            f"({getattr(error, 'strerror', None) or error}); check `address`"
        ) from error
    for attempt in range(max(settings.connection_attempts, 1)):
        if attempt:
            _pause(1.0, pty)
        deadline = time.monotonic() + settings.timeout
        for number, (family, kind, protocol, _, address) in enumerate(addresses):
            # Each address gets its part of the time that is left.
            left = (deadline - time.monotonic()) / (len(addresses) - number)
            sock = None
            try:
                sock = socket.socket(family, kind, protocol)
                tuning.prepare_socket(sock, settings.tcp_keepalive)
                if settings.bind_address:
                    sock.bind((settings.bind_address, 0))
                _connect_socket(sock, address, left, pty)
            except BaseException as error:
                if sock is not None:
                    sock.close()
                if not isinstance(error, OSError):
                    raise
                problem = error
            else:
                return sock
    if isinstance(problem, TimeoutError):
        raise ConnectionTimeout(
            f"{host.slug}: {where} did not answer within {settings.timeout:g} seconds; check "
            "`address`, the network and firewalls, or raise `timeout`"
        ) from problem
    from_address = f" from {settings.bind_address}" if settings.bind_address else ""
    raise ConnectionFailedException(
        f"{host.slug}: cannot connect to {where}{from_address}: {problem.strerror or problem}; "
        "check `address` and `port`, and that sshd is running there"
    ) from problem


def _connect_socket(sock: socket.socket, address: Any, seconds: float, pty: Pty) -> None:
    """Connect in time, or raise; whoever is to stop does so at once."""
    deadline = time.monotonic() + seconds
    sock.setblocking(False)
    status = sock.connect_ex(address)
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    while status == errno.EINPROGRESS:
        pty.check_interrupted()
        if time.monotonic() >= deadline:
            raise TimeoutError
        if poll.poll(1000 * min(_LOOK, max(deadline - time.monotonic(), 0.0))):
            status = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if status:
        raise OSError(status, os.strerror(status))


def _through(
    gateway: Callable[[], tuning.Transport], host: HostSettings, settings: Settings
) -> paramiko.Channel:
    transport = gateway()
    for is_last in (False, True):
        try:
            return transport.open_channel(
                "direct-tcpip",
                (settings.hostname, settings.port),
                ("127.0.0.1", 0),
                timeout=settings.timeout,
            )
        except tuning.BROKEN as error:
            if not is_last and not transport.is_active():
                # It died since it was last used.
                transport = gateway()
                continue
            kind = ConnectionTimeout if "Timeout" in str(error) else ConnectionFailedException
            hint = ""
            if isinstance(error, paramiko.ChannelException) and error.code == 1:
                hint = "; see AllowTcpForwarding and PermitOpen in the gateway's sshd_config"
            raise kind(
                f"{host.slug}: its gateway cannot reach {_place(settings)}: {error}{hint}"
            ) from error
    raise AssertionError("unreachable")


class _ProxyCommand(socket.socket):
    """A command whose input and output stand for the network (ProxyCommand)."""

    def __init__(self, command: str) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        try:
            ours, its = socket.socketpair()
        except BaseException:
            self._errors.close()
            raise
        try:
            with its:
                # By a shell, as ssh runs it; not in our session, where Ctrl-C would end it, too.
                self._process = subprocess.Popen(
                    ["/bin/sh", "-c", f"exec {command}"],
                    stdin=its.fileno(),
                    stdout=its.fileno(),
                    stderr=self._errors,
                    start_new_session=True,
                )
        except BaseException:
            ours.close()
            self._errors.close()
            raise
        super().__init__(fileno=ours.detach())
        self._said = ""
        self._closing = threading.Lock()

    def last_words(self) -> str:
        """Return how it ended, if it did, and the last lines of what it complained about."""
        with self._closing:
            self._listen()
        return self._said

    def _listen(self) -> None:
        if self._errors.closed:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            # Its streams may end a moment before it does.
            self._process.wait(_LAST_MOMENT)
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - 2000))
        lines = self._errors.read().decode(errors="replace").rstrip().splitlines()[-5:]
        if status := self._process.returncode:
            lines.insert(0, f"the command ended with status {status}")
        self._said = "".join(f"\n    {line}" for line in lines)

    def close(self) -> None:
        super().close()
        with self._closing:
            # Whoever asks for its last words may come later: the thread of the connection closes
            # this as soon as it sees the end.
            self._listen()
            self._end()

    def _end(self) -> None:
        if self._errors.closed:
            return
        # It, and what it started.
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.5)
        self._errors.close()


# The handshake.


def _prepare(host: HostSettings, settings: Settings, transport: tuning.Transport) -> None:
    transport.banner_timeout = settings.timeout
    transport.handshake_timeout = settings.timeout
    transport.auth_timeout = 3 * settings.timeout
    transport.channel_timeout = settings.timeout
    options = transport.get_security_options()
    if settings.compression:
        options.compression = ("zlib@openssh.com", "none")
    for attribute, name, wanted in (
        ("ciphers", "Ciphers", settings.ciphers),
        ("digests", "MACs", settings.macs),
        ("kex", "KexAlgorithms", settings.key_exchanges),
        ("key_types", "HostKeyAlgorithms", settings.host_key_algorithms),
    ):
        if not wanted:
            continue
        offered = getattr(options, attribute)
        chosen = choose(wanted, offered)
        if not chosen:
            raise ConnectionFailedException(
                f"{host.slug}: the ssh config allows only {', '.join(wanted)} ({name}), and "
                f"deployer has none of them: it has {', '.join(offered)}"
            )
        setattr(options, attribute, chosen)


def _handshake(
    host: HostSettings, settings: Settings, transport: tuning.Transport, sock: Any, pty: Pty
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
    try:
        transport.start_client(event=negotiated)
    except RuntimeError as no_thread:
        raise ConnectionFailedException(
            f"{host.slug}: no more connections can be made: {no_thread}; allow more threads with "
            "`ulimit -u`, or run on fewer hosts at once"
        ) from no_thread
    while not negotiated.wait(_LOOK) and time.monotonic() < deadline:
        pty.check_interrupted()
    if not negotiated.is_set() or not transport.is_active():
        error = transport.get_exception()
        said = _greeting(transport)
        if transport.disconnect_reason:
            said += f" (it said {transport.disconnect_reason!r})"
        words = sock.last_words() if isinstance(sock, _ProxyCommand) else ""
        if negotiated.is_set() and _was_dropped(transport) and not words:
            raise _Dropped(said) from error
        raise ConnectionFailedException(
            f"{host.slug}: no SSH connection with {_place(settings)}: "
            f"{error or 'it did not answer in time'}{said}; is it an SSH server?{words}"
        ) from error
    key = transport.get_remote_server_key()
    asked = options.key_types
    check_host_key(host.slug, settings, known, key.get_name(), key.asbytes(), pty, asked)


def _was_dropped(transport: tuning.Transport) -> bool:
    """Whether the other side ended the connection before it said who it is."""
    greeting = transport.stream.greeting
    return transport.stream.has_ended and (
        not greeting or greeting.startswith((b"Exceeded MaxStartups", b"Not allowed at this time"))
    )


def _greeting(transport: tuning.Transport) -> str:
    greeting = transport.stream.greeting
    if not greeting or greeting.startswith(b"SSH-"):
        return ""
    first = greeting.decode(errors="replace").splitlines()[0]
    return f" (it said {first!r})"
