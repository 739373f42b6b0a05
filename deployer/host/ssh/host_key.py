"""Whether the key of an SSH host is the right one."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Collection, Sequence

from ...exceptions import HostKeyError
from ...pseudo_terminal import Pty
from ...streams import write_text
from . import known_hosts
from .config import Settings
from .known_hosts import Verdict

__all__ = ["check_host_key"]


def check_host_key(
    slug: str,
    settings: Settings,
    known: Sequence[known_hosts.KnownKey],
    kind: str,
    key: bytes,
    pty: Pty,
    asked: Collection[str] | None = None,
) -> None:
    """Return when a host's key may be trusted, and raise HostKeyError otherwise.

    An unknown key is added to the user's known_hosts file, which a person at ``pty`` is told of,
    unless unknown hosts are to be rejected.

    :param known: the lines of known_hosts about the host.
    :param asked: the kinds of keys that it was asked for.
    """
    verdict, entry = known_hosts.judge(known, kind, key, asked)
    shown = f"{kind} {known_hosts.fingerprint(key)}"
    where = known_hosts.host_label(settings.host_key_name, settings.host_key_port)
    if settings.revoked_host_keys is not None:
        _check_revoked(f"{slug}: the key of {where}, {shown},", settings.revoked_host_keys, key)
    if verdict is Verdict.KNOWN:
        return
    if verdict is Verdict.REVOKED:
        assert entry is not None
        raise HostKeyError(
            f"{slug}: the key of {where}, {shown}, is revoked by {entry.filename} line "
            f"{entry.line}; nothing was sent to it"
        )
    if verdict is Verdict.CHANGED:
        assert entry is not None
        raise _changed(slug, where, shown, entry)
    # paramiko cannot check the certificate that such a host may have.
    authority = next((entry for entry in known if entry.marker == "@cert-authority"), None)
    but = (
        ""
        if authority is None
        else (
            f" (the authority in {authority.filename} line {authority.line} does not help: "
            "deployer cannot check certificates of hosts)"
        )
    )
    if settings.reject_unknown_hosts:
        raise HostKeyError(
            f"{slug}: the key of {where}, {shown}, is unknown{but}, and unknown hosts are to be "
            "rejected. Connect once with `ssh` after checking the fingerprint, or add it to "
            "known_hosts"
        )
    try:
        told = _remember(settings, where, kind, key, shown)
    except known_hosts.OtherKey as error:
        # Another process has met the host in this moment, or somebody in its place.
        raise _changed(slug, where, shown, error.entry) from None
    if told:
        write_text(pty.stderr, f"{slug}: {told}{but}\n")


def _changed(slug: str, where: str, shown: str, entry: known_hosts.KnownKey) -> HostKeyError:
    before = f"{entry.kind} {known_hosts.fingerprint(entry.key)}"
    return HostKeyError(
        f"{slug}: the key of {where} has changed: it is {shown}, and {entry.filename} "
        f"line {entry.line} says {before}. Somebody may be listening in; nothing was sent. If "
        "the host is known to have a new key, remove that line: `ssh-keygen -f "
        f"{shlex.quote(entry.filename)} -R {shlex.quote(where)}`"
    )


def _check_revoked(begin: str, filename: str, key: bytes) -> None:
    try:
        line = known_hosts.line_of(filename, key)
    except OSError as error:
        raise HostKeyError(
            f"{begin} may be revoked: {filename} (RevokedHostKeys in the ssh config) cannot be "
            f"read: {error.strerror}; nothing was sent to it"
        ) from error
    if line is not None:
        raise HostKeyError(f"{begin} is revoked by {filename} line {line}; nothing was sent to it")


def _remember(settings: Settings, where: str, kind: str, key: bytes, shown: str) -> str:
    """Add a key to known_hosts, and return what a person is to know of it."""
    if not settings.user_known_hosts:
        return ""
    filename = settings.user_known_hosts[0]
    accepted = f"accepted the new key of {where}, {shown}; not kept in {filename}"
    try:
        if os.path.exists(filename) and not stat.S_ISREG(os.stat(filename).st_mode):
            # Most often /dev/null, which people name when they want to keep nothing.
            return accepted
        is_new = known_hosts.add(
            filename,
            settings.host_key_name,
            settings.host_key_port,
            kind,
            key,
            settings.hash_known_hosts,
        )
    except OSError as error:
        return f"{accepted}: {error.strerror or error}"
    return f"added the new key of {where} to {filename}: {shown}" if is_new else ""
