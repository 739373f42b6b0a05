"""What to connect to and how: a host's attributes, completed from the ssh config."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ...exceptions import ConnectionFailedException
from ...pseudo_terminal import Pty
from ...secret import Secret
from ...streams import write_text
from . import ssh_config
from .ssh_config import Options
from .ssh_keywords import ConfigError, split_jump
from .ssh_patterns import expand, matches
from .unsupported import is_binary, unsupported

__all__ = ["Gateway", "HostSettings", "Settings", "report_unsupported", "resolve"]

_DEFAULT_TIMEOUT = 10.0
# A dead peer has to be noticed, so unlike ssh we ask.
_DEFAULT_KEEPALIVE = 15.0
_DEFAULT_KEYS = ("~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa")
_USER_KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
_GLOBAL_KNOWN_HOSTS = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
# What our ways of logging in are switched off by.
_AUTHENTICATIONS = {
    "publickey": "pubkeyauthentication",
    "keyboard-interactive": "kbdinteractiveauthentication",
    "password": "passwordauthentication",
}
# They would mean something to the shell of a ProxyCommand; ssh refuses them, too.
_NO_ADDRESS = re.compile(r"""^-|['"`$\\;&<>|(){}\s\x00-\x1f\x7f]""")
_NO_USERNAME = re.compile(r"""^-|['"`;&<>|(){}\x00-\x1f\x7f]|\s-|\\$""")


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
    password: str | Secret | Callable[[], str | Secret] | None = field(default=None, repr=False)
    key_filename: str | None = None
    rsa_key: str | Secret | None = field(default=None, repr=False)
    rsa_key_password: str | Secret | Callable[[], str | Secret] | None = field(
        default=None, repr=False
    )
    timeout: float | None = None
    keepalive_interval: float | None = None

    @classmethod
    def of(cls, host: HostSettings, jump: str) -> Gateway:
        """Return the gateway that a word of ProxyJump names: ``[user@]host[:port]`` or a URI.

        It is looked up in the same config as the host.
        """
        try:
            user, name, port = split_jump(jump)
        except ValueError as error:
            raise ConnectionFailedException(
                f"{host.slug}: {error}: write [user@]host[:port], an address of IPv6 in brackets"
            ) from error
        return cls(
            slug=f"{host.slug} (through {name})",
            address=name,
            port=port,
            username=user,
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
    #: Whether keys of the agent are tried that are not among `key_filenames`; not where the class
    #: names a key.
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
    #: The first may begin with ``+``, ``-`` or ``^``: see ``ssh_patterns.choose``.
    ciphers: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    key_exchanges: tuple[str, ...] = ()
    host_key_algorithms: tuple[str, ...] = ()
    #: A file of keys that no host may have (RevokedHostKeys).
    revoked_host_keys: str | None = None
    #: What the config asks for that deployer cannot do: a line each, for a person to read.
    unsupported: tuple[str, ...] = ()


def resolve(host: HostSettings) -> Settings:
    """Return the settings for a host: its own attributes, then the ssh config, then the defaults.

    A host key that has changed is refused even with ``StrictHostKeyChecking no``; all its values
    but ``yes`` have unknown keys accepted and remembered.

    :raises ConnectionFailedException: for a host without an address, or a config that cannot be
        read.
    """
    address = host.address
    if not address:
        raise ConnectionFailedException(
            f"{host.slug}: the host has no address: set `address` in its class"
        )
    for name, text, forbidden in (
        ("address", address, _NO_ADDRESS),
        ("username", host.username, _NO_USERNAME),
    ):
        if text and forbidden.search(text):
            raise ConnectionFailedException(
                f"{host.slug}: the {name} {text!r} has characters that it must not have"
            )
    try:
        options = _lookup(address, host)
        refused = options.lines.get("refuseconnection")
        if refused:
            raise ConfigError(f"{refused[0].where}: RefuseConnection {refused[0].rest}")
        return _settings(host, options)
    except ConfigError as error:
        raise ConnectionFailedException(
            f"{host.slug}: cannot use the ssh config for {address}: {error}"
        ) from error


def _lookup(address: str, host: HostSettings) -> Options:
    filename = host.config_filename
    user_file, system_file = filename, None
    if filename == ssh_config.USER_CONFIG:
        system_file = ssh_config.SYSTEM_CONFIG
    elif filename is not None:
        # As with `ssh -F`: a config that is named stands alone, and has to be there.
        try:
            os.stat(os.path.expanduser(filename))
        except OSError as error:
            raise ConfigError(f"{filename}: {error.strerror}") from error
    return ssh_config.lookup(user_file, system_file, address, host.username, host.port)


def _settings(host: HostSettings, options: Options) -> Settings:
    port = int(options.get("port", "22"))
    username = options.get("user") or ssh_config.local_user()
    hostname = options.hostname
    known = ssh_config.tokens(options, hostname, str(port), username)
    alias = options.get("hostkeyalias").lower()
    known["k"] = alias or options.address
    few = {token: known[token] for token in "%hknpr"}

    def paths(keyword: str) -> tuple[str, ...]:
        return tuple(
            expand(os.path.expanduser(path), known, line.where, variables=True)
            for line in options.lines.get(keyword, ())
            for path in line.values
            if path.lower() != "none"
        )

    def expanded(keyword: str) -> tuple[str, ...]:
        return tuple(
            # In a URI, a % begins a character.
            value if value.startswith("ssh://") else expand(value, few, line.where)
            for line in options.lines.get(keyword, ())
            for value in line.values
            if value.lower() != "none"
        )

    def flag(keyword: str, default: str = "no") -> bool:
        return options.get(keyword, default) == "yes"

    if host.key_filename:
        keys: tuple[str, ...] = (os.path.expanduser(host.key_filename),)
    elif host.rsa_key:
        keys = ()
    elif "identityfile" in options.lines:
        keys = paths("identityfile")
    else:
        keys = tuple(os.path.expanduser(name) for name in _DEFAULT_KEYS)
    interval = host.keepalive_interval
    if interval is None:
        asked = int(options.get("serveraliveinterval", "-1"))
        interval = _DEFAULT_KEEPALIVE if asked < 0 else float(asked)
    forward_agent = options.get("forwardagent", "no").lower()
    revoked = next(iter(paths("revokedhostkeys")), None)
    return Settings(
        hostname=hostname,
        port=port,
        username=username,
        key_filenames=keys,
        keys_are_explicit=bool(host.key_filename),
        use_agent=not (host.key_filename or host.rsa_key),
        proxy_command=next(iter(expanded("proxycommand")), None),
        proxy_jump=expanded("proxyjump"),
        host_key_name=alias or hostname,
        host_key_port=22 if alias else port,
        user_known_hosts=paths("userknownhostsfile")
        if "userknownhostsfile" in options.lines
        else tuple(os.path.expanduser(name) for name in _USER_KNOWN_HOSTS),
        global_known_hosts=tuple(
            name
            for name in options.all("globalknownhostsfile") or _GLOBAL_KNOWN_HOSTS
            if name.lower() != "none"
        ),
        hash_known_hosts=flag("hashknownhosts"),
        reject_unknown_hosts=host.reject_unknown_hosts or flag("stricthostkeychecking"),
        timeout=host.timeout
        or max(float(options.get("connecttimeout", "0")), 0.0)
        or _DEFAULT_TIMEOUT,
        keepalive_interval=interval,
        keepalive_count=int(options.get("serveralivecountmax", "3")),
        connection_attempts=int(options.get("connectionattempts", "1")),
        address_family=options.get("addressfamily", "any"),
        bind_address=options.get("bindaddress") or None,
        tcp_keepalive=flag("tcpkeepalive", "yes"),
        compression=flag("compression"),
        forward_agent=forward_agent in ("yes", "true"),
        request_tty=options.get("requesttty", "auto"),
        environment=_environment(options),
        certificate_filenames=paths("certificatefile"),
        identities_only=flag("identitiesonly"),
        agent_socket=_agent_socket(options, paths),
        authentications=tuple(
            name
            for name in options.get("preferredauthentications", ",".join(_AUTHENTICATIONS)).split(
                ","
            )
            if name in _AUTHENTICATIONS and flag(_AUTHENTICATIONS[name], "yes")
        ),
        batch_mode=flag("batchmode"),
        ciphers=_names(options, "ciphers"),
        macs=_names(options, "macs"),
        key_exchanges=_names(options, "kexalgorithms"),
        host_key_algorithms=_names(options, "hostkeyalgorithms"),
        revoked_host_keys=None if revoked and is_binary(revoked) else revoked,
        unsupported=(*options.unknown, *unsupported(options, revoked)),
    )


def _names(options: Options, keyword: str) -> tuple[str, ...]:
    value = options.get(keyword)
    return tuple(value.split(",")) if value else ()


def _agent_socket(options: Options, paths: Callable[[str], tuple[str, ...]]) -> str | None:
    asked = options.get("identityagent", "SSH_AUTH_SOCK")
    if asked == "none":
        return None
    if asked == "SSH_AUTH_SOCK" or re.fullmatch(r"\$\w+", asked):
        return os.environ.get(asked.removeprefix("$")) or None
    return next(iter(paths("identityagent")), None)


def _environment(options: Options) -> tuple[tuple[str, str], ...]:
    patterns = options.all("sendenv")
    sent = {
        name: value
        # Reading all of it takes as long as the rest of the config, and most ask for none.
        for name, value in (os.environ.items() if patterns else ())
        if any(matches(pattern, name) for pattern in patterns)
    }
    for assignment in options.all("setenv"):
        name, _, value = assignment.partition("=")
        sent[name] = value
    return tuple(sent.items())


_reported: set[str] = set()
_reporting = threading.Lock()


def report_unsupported(slug: str, settings: Settings, pty: Pty) -> None:
    """Tell a person at ``pty`` what the config asks for in vain: each line once in a process."""
    with _reporting:
        new = [text for text in settings.unsupported if text not in _reported]
        _reported.update(new)
    for text in new:
        write_text(
            pty.stderr, f"{slug}: the ssh config asks for what deployer does not do: {text}\n"
        )
