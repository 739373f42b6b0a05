"""Whether the key of an SSH host is the right one."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ...exceptions import HostKeyError
from ...pseudo_terminal import Pty, write_text
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
) -> None:
    """Return when a host's key may be trusted, and raise HostKeyError otherwise.

    An unknown key is added to the user's known_hosts file, which a person at ``pty`` is told of,
    unless unknown hosts are to be rejected.
    """
    verdict, entry = known_hosts.judge(known, kind, key)
    shown = f"{kind} {known_hosts.fingerprint(key)}"
    where = known_hosts.host_label(settings.host_key_name, settings.host_key_port)
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
        before = f"{entry.kind} {known_hosts.fingerprint(entry.key)}"
        raise HostKeyError(
            f"{slug}: the key of {where} has changed: it is {shown}, and {entry.filename} "
            f"line {entry.line} says {before}. Somebody may be listening in; nothing was sent. If "
            "the host is known to have a new key, remove that line"
        )
    if settings.reject_unknown_hosts:
        raise HostKeyError(
            f"{slug}: the key of {where}, {shown}, is unknown, and unknown hosts are to be "
            "rejected. Connect once with `ssh` after checking the fingerprint, or add it to "
            "known_hosts"
        )
    if not settings.user_known_hosts:
        return
    filename = settings.user_known_hosts[0]
    try:
        known_hosts.add(
            filename,
            settings.host_key_name,
            settings.host_key_port,
            kind,
            key,
            settings.hash_known_hosts,
        )
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        told = f"accepted the new key of {where}, {shown}; not kept in {filename}: {reason}"
    else:
        told = f"added the new key of {where} to {filename}: {shown}"
    write_text(pty.stderr, f"{slug}: {told}\n")
