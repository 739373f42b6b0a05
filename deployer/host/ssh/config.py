"""What to connect to and how: a host's attributes, completed from the ssh config."""

from __future__ import annotations

import getpass
import glob
import os
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import paramiko

from ...exceptions import ConnectionFailedException
from ...secret import Secret

__all__ = ["Gateway", "HostSettings", "Settings", "resolve"]

_SYSTEM_CONFIG = "/etc/ssh/ssh_config"
_USER_CONFIG = "~/.ssh/config"
_DEFAULT_TIMEOUT = 10.0
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DEFAULT_KEYS = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")


class HostSettings(Protocol):
    """The attributes of a host class that say how to reach it; see ``SSHHost``."""

    @property
    def slug(self) -> str: ...

    @property
    def address(self) -> str | None: ...

    @property
    def port(self) -> int | None: ...

    @property
    def username(self) -> str | None: ...

    @property
    def password(self) -> str | Secret | Callable[[], str | Secret] | None: ...

    @property
    def key_filename(self) -> str | None: ...

    @property
    def rsa_key(self) -> str | Secret | None: ...

    @property
    def rsa_key_password(self) -> str | Secret | Callable[[], str | Secret] | None: ...

    @property
    def timeout(self) -> float | None: ...

    @property
    def keepalive_interval(self) -> float | None: ...

    @property
    def config_filename(self) -> str | None: ...

    @property
    def reject_unknown_hosts(self) -> bool: ...


@dataclass(frozen=True)
class Gateway:
    """The settings of a host that another one is reached through (``ProxyJump``)."""

    slug: str
    address: str | None
    port: int | None
    username: str | None
    config_filename: str | None
    reject_unknown_hosts: bool
    password: str | Secret | Callable[[], str | Secret] | None = None
    key_filename: str | None = None
    rsa_key: str | Secret | None = None
    rsa_key_password: str | Secret | Callable[[], str | Secret] | None = None
    timeout: float | None = None
    keepalive_interval: float | None = None

    @classmethod
    def of(cls, host: HostSettings, jump: str) -> Gateway:
        """Return the gateway that a word of ProxyJump names: ``[user@]host[:port]`` or a URI."""
        user, _, place = jump.removeprefix("ssh://").rpartition("@")
        if place.startswith("["):
            name, _, port = place[1:].partition("]")
            port = port.removeprefix(":")
        else:
            name, _, port = place.partition(":")
        return cls(
            slug=f"{host.slug} (through {name})",
            address=name,
            port=int(port) if port else None,
            username=user or None,
            config_filename=host.config_filename,
            reject_unknown_hosts=host.reject_unknown_hosts,
        )


@dataclass(frozen=True)
class Settings:
    """Everything that a connection is made from, but for the secrets.

    The comments name the option of ``ssh_config(5)`` that a field comes from.
    """

    hostname: str
    port: int
    username: str
    #: Private keys to try, in order (IdentityFile).
    key_filenames: tuple[str, ...]
    #: Whether the keys were asked for, so that a missing one is an error.
    keys_are_explicit: bool
    use_agent: bool
    proxy_command: str | None
    #: The hosts to go through, in the order in which they are dialled (ProxyJump).
    proxy_jump: tuple[str, ...]
    #: The name in known_hosts.
    host_key_name: str
    #: The port in known_hosts; a HostKeyAlias stands without one.
    host_key_port: int
    user_known_hosts: tuple[str, ...]
    global_known_hosts: tuple[str, ...]
    hash_known_hosts: bool
    reject_unknown_hosts: bool
    #: Seconds for each step of connecting (ConnectTimeout).
    timeout: float
    #: Seconds without a sign of the host until it is asked for one (ServerAliveInterval); 0 for
    #: never.
    keepalive_interval: float
    #: How many such questions go unanswered before the connection is given up
    #: (ServerAliveCountMax).
    keepalive_count: int = 3
    #: How often to try to connect, a second apart (ConnectionAttempts).
    connection_attempts: int = 1
    #: ``any``, ``inet`` or ``inet6`` (AddressFamily).
    address_family: str = "any"
    #: The local address to connect from (BindAddress).
    bind_address: str | None = None
    tcp_keepalive: bool = True
    compression: bool = False
    #: Whether the keys of our agent may be used on the host (ForwardAgent).
    forward_agent: bool = False
    #: ``no``, ``yes``, ``force`` or ``auto`` (RequestTTY).
    request_tty: str = "auto"
    #: What each session is asked to have in its environment (SetEnv and SendEnv, resolved); the
    #: server takes what its AcceptEnv allows.
    environment: tuple[tuple[str, str], ...] = ()
    #: Certificates for the keys (CertificateFile).
    certificate_filenames: tuple[str, ...] = ()
    #: Whether only the keys of `key_filenames` are tried, also of those in the agent
    #: (IdentitiesOnly).
    identities_only: bool = False
    #: The socket of the agent; None for none (IdentityAgent, or $SSH_AUTH_SOCK).
    agent_socket: str | None = None
    #: The methods of logging in, the preferred ones first, without those that the config switches
    #: off: ``publickey``, ``keyboard-interactive``, ``password`` (PreferredAuthentications,
    #: PubkeyAuthentication, PasswordAuthentication, KbdInteractiveAuthentication).
    authentications: tuple[str, ...] = ("publickey", "keyboard-interactive", "password")
    #: Whether nobody is to be asked for a password or a passphrase (BatchMode).
    batch_mode: bool = False
    #: Algorithms to use, the preferred ones first; empty for those that were measured to be best.
    ciphers: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    key_exchanges: tuple[str, ...] = ()
    host_key_algorithms: tuple[str, ...] = ()
    #: What the config asks for that deployer cannot do: a line each, for a person to read.
    unsupported: tuple[str, ...] = ()


def resolve(host: HostSettings) -> Settings:
    """Return the settings for a host: its own attributes, then the ssh config, then the defaults.

    :raises ConnectionFailedException: for a host without an address, or a config that cannot be
        read.
    """
    if not host.address:
        raise ConnectionFailedException(
            f"{host.slug}: the host has no address: set `address` in its class"
        )
    # At the head of the config, where they win, and are known to %p and %r of a ProxyCommand.
    head = ["Host *"]
    head += [f"Port {host.port}"] if host.port else []
    head += [f"User {host.username}"] if host.username else []
    options = _lookup(host.slug, host.address, tuple(head), host.config_filename)

    def flag(name: str) -> str:
        return options.get(name, "").lower()

    keys = (host.key_filename,) if host.key_filename else tuple(options.get("identityfile", ()))
    explicit = bool(host.key_filename or host.rsa_key)
    hostname = options.get("hostname", host.address)
    jumps = options.get("proxyjump", "none")
    interval = host.keepalive_interval
    try:
        port = int(options.get("port") or 22)
        timeout = host.timeout or _seconds(options.get("connecttimeout", "none"))
        if interval is None:
            interval = _seconds(options.get("serveraliveinterval", "none"))
    except ValueError as error:
        raise ConnectionFailedException(
            f"{host.slug}: cannot use the ssh config {host.config_filename} for {host.address}: "
            f"{error}"
        ) from error
    return Settings(
        hostname=hostname,
        port=port,
        username=options.get("user") or getpass.getuser(),
        key_filenames=tuple(
            os.path.expanduser(name) for name in keys or (() if explicit else _DEFAULT_KEYS)
        ),
        keys_are_explicit=explicit,
        use_agent=not explicit and flag("identitiesonly") != "yes",
        proxy_command=options.get("proxycommand"),
        proxy_jump=() if jumps.lower() == "none" else tuple(re.split(r"\s*,\s*", jumps)),
        host_key_name=options.get("hostkeyalias", hostname),
        host_key_port=22 if "hostkeyalias" in options else port,
        user_known_hosts=_files(
            options, "userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2"
        ),
        global_known_hosts=_files(
            options, "globalknownhostsfile", "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"
        ),
        hash_known_hosts=flag("hashknownhosts") == "yes",
        reject_unknown_hosts=host.reject_unknown_hosts or flag("stricthostkeychecking") == "yes",
        timeout=timeout or _DEFAULT_TIMEOUT,
        keepalive_interval=interval,
    )


def _files(options: dict[str, str], name: str, default: str) -> tuple[str, ...]:
    value = options.get(name, default)
    if value == "none":
        return ()
    return tuple(os.path.expanduser(file) for file in shlex.split(value))


def _seconds(time: str) -> float:
    """Return the seconds of a time as ssh_config has it (``90``, ``1m30s``); 0 for ``none``."""
    if time.lower() == "none":
        return 0.0
    if not re.fullmatch(r"(\d+[smhdw]?)+", time, re.IGNORECASE):
        raise ValueError(f"{time!r} is no time, as in 90 or 1m30s")
    found = re.findall(r"(\d+)([smhdw]?)", time.lower())
    return float(sum(int(number) * _UNITS[unit] for number, unit in found))


def _lookup(
    slug: str, address: str, head: tuple[str, ...], filename: str | None
) -> paramiko.SSHConfigDict:
    # As with `ssh -F`: a config that is named stands alone.
    filenames: tuple[str, ...] = () if filename is None else (filename,)
    if filename == _USER_CONFIG:
        filenames = (_USER_CONFIG, _SYSTEM_CONFIG)
    try:
        # Only a config that was asked for has to be there.
        if filename not in (None, _USER_CONFIG):
            os.stat(os.path.expanduser(str(filename)))
        stamps = tuple(_stamp(os.path.expanduser(name)) for name in filenames)
        return _parse(head, filenames, stamps).lookup(address)
    except (paramiko.SSHException, OSError, ValueError) as error:
        raise ConnectionFailedException(
            f"{slug}: cannot use the ssh config {', '.join(filenames)} for {address}: {error}"
        ) from error


def _stamp(filename: str) -> int | None:
    try:
        return os.stat(filename).st_mtime_ns
    except OSError:
        return None


@lru_cache(maxsize=32)
def _parse(
    head: tuple[str, ...], filenames: tuple[str, ...], stamps: tuple[int | None, ...]
) -> paramiko.SSHConfig:
    config = paramiko.SSHConfig()
    config.parse(iter(head))
    for filename, stamp in zip(filenames, stamps, strict=True):
        if stamp is not None:
            config.parse(iter(list(_lines(os.path.expanduser(filename)))))
    return config


def _lines(filename: str, depth: int = 0) -> Iterator[str]:
    """Yield the lines of a config, with the files that it includes in their place."""
    with open(filename, encoding="utf-8", errors="replace") as file:
        for line in file:
            match = re.match(r"\s*include(?:\s*=\s*|\s+)(.*\S)", line, re.IGNORECASE)
            if match is None:
                yield line
            elif depth < 16:
                base = "/etc/ssh" if filename.startswith("/etc/") else os.path.expanduser("~/.ssh")
                for pattern in match[1].split():
                    full = os.path.join(base, os.path.expanduser(pattern.strip('"')))
                    for included in sorted(glob.glob(full)):
                        yield from _lines(included, depth + 1)
