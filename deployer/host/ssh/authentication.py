"""Proving to an SSH host who we are: keys first, then the password, as OpenSSH does."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from functools import lru_cache

import paramiko

from ...exceptions import AuthenticationFailed, ConnectionFailedException
from ...pseudo_terminal import Pty
from .config import HostSettings, Settings

__all__ = ["authenticate"]

_KEY_CLASSES = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)


def authenticate(
    host: HostSettings, settings: Settings, transport: paramiko.Transport, pty: Pty
) -> None:
    """Log in, or raise AuthenticationFailed that says what was tried."""
    tried: list[str] = []
    for name, attempt in _attempts(host, settings, transport, tried):
        try:
            attempt()
        except paramiko.AuthenticationException as error:
            tried.append(f"{name} ({_reason(error)})")
            if not transport.is_active():
                break
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise ConnectionFailedException(
                f"{host.slug}: the connection to {settings.hostname} was lost while logging in: "
                f"{error}"
            ) from error
        if transport.is_authenticated():
            return
    attempts = f"tried {', '.join(tried)}" if tried else "there is no key and no password to try"
    raise AuthenticationFailed(
        f"{host.slug}: {settings.hostname} does not let {settings.username!r} in; {attempts}. Set "
        "`username` and `password` or `key_filename` in the host's class, or add a key to the "
        "ssh agent"
    )


def _attempts(
    host: HostSettings, settings: Settings, transport: paramiko.Transport, tried: list[str]
) -> Iterator[tuple[str, Callable[[], object]]]:
    for name, key in _keys(host, settings, tried):
        yield name, lambda key=key: transport.auth_publickey(settings.username, key)  # type: ignore[misc]
    if host.password is not None:
        password = host.password
        # Where the server only takes keyboard-interactive, paramiko answers that with it.
        yield "the password", lambda: transport.auth_password(settings.username, password)


def _keys(
    host: HostSettings, settings: Settings, tried: list[str]
) -> Iterator[tuple[str, paramiko.PKey]]:
    passphrase = host.rsa_key_password
    if host.rsa_key:
        try:
            yield "rsa_key", _key_from_text(host.rsa_key, passphrase)
        except (paramiko.SSHException, ValueError, TypeError) as error:
            raise AuthenticationFailed(
                f"{host.slug}: `rsa_key` cannot be used: {_key_problem(error, passphrase)}"
            ) from None
    encrypted = False
    for filename in settings.key_filenames:
        try:
            stamp = os.stat(filename).st_mtime_ns
            yield filename, _key_from_file(filename, stamp, passphrase)
        except FileNotFoundError as error:
            if settings.keys_are_explicit:
                raise AuthenticationFailed(
                    f"{host.slug}: there is no key file {filename}; check `key_filename`"
                ) from error
        except (paramiko.SSHException, ValueError, TypeError, OSError) as error:
            encrypted = True
            tried.append(f"{filename} ({_key_problem(error, passphrase)})")
    # An encrypted key may well be unlocked in the agent.
    if settings.use_agent or encrypted:
        agent = paramiko.Agent()
        try:
            for agent_key in agent.get_keys():
                yield f"{agent_key.comment or 'a key'} of the agent", agent_key
        finally:
            agent.close()


@lru_cache(maxsize=64)
def _key_from_file(filename: str, stamp: int, passphrase: str | None) -> paramiko.PKey:
    # Loading an RSA key takes 90 ms, which many hosts should not each pay.
    return paramiko.PKey.from_path(
        filename,
        passphrase.encode() if passphrase else None,  # type: ignore[arg-type]
    )


def _key_from_text(text: str, passphrase: str | None) -> paramiko.PKey:
    problem: Exception | None = None
    for key_class in _KEY_CLASSES:
        try:
            return key_class.from_private_key(io.StringIO(text), passphrase)
        except paramiko.PasswordRequiredException:
            raise
        except (paramiko.SSHException, ValueError) as error:
            problem = error
    assert problem is not None
    raise problem


def _key_problem(error: Exception, passphrase: str | None) -> str:
    if isinstance(error, paramiko.PasswordRequiredException | TypeError):
        return "it is encrypted; set `rsa_key_password`, or unlock it in the ssh agent"
    if passphrase and isinstance(error, paramiko.SSHException | ValueError):
        return "`rsa_key_password` does not open it"
    return str(error) or type(error).__name__


def _reason(error: paramiko.AuthenticationException) -> str:
    if isinstance(error, paramiko.BadAuthenticationType):
        return f"the host wants {' or '.join(error.allowed_types)}"
    return "refused"
