"""The known_hosts files of OpenSSH: what they say of a key, and how one is added."""

from __future__ import annotations

import base64
import binascii
import fcntl
import fnmatch
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

__all__ = ["KnownKey", "Verdict", "add", "find", "fingerprint", "host_label", "judge", "parse"]


@dataclass(frozen=True)
class KnownKey:
    """A line of a known_hosts file (``sshd(8)``, SSH_KNOWN_HOSTS FILE FORMAT)."""

    #: ``'@revoked'``, ``'@cert-authority'`` or nothing.
    marker: str
    patterns: tuple[str, ...]
    kind: str
    key: bytes
    filename: str
    line: int
    #: Whether it is about the host's bare name, while another port is meant: another server may
    #: listen there, so that another key in it says nothing.
    only_confirms: bool = False

    def matches(self, label: str) -> bool:
        """Whether the line is about the host with this label."""
        matched = False
        for pattern in self.patterns:
            if pattern.startswith("|1|"):
                matched = matched or _hash_matches(pattern, label)
            elif pattern.startswith("!"):
                if _name_matches(pattern[1:], label):
                    return False
            else:
                matched = matched or _name_matches(pattern, label)
        return matched


class Verdict(Enum):
    """What the files say of a host's key."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    CHANGED = "changed"
    REVOKED = "revoked"


def host_label(hostname: str, port: int) -> str:
    """Return the name that a host has in the files."""
    hostname = hostname.lower()
    return hostname if port == 22 else f"[{hostname}]:{port}"


def parse(text: str, filename: str) -> list[KnownKey]:
    """Return the keys of a known_hosts file; lines that make no sense are passed over."""
    keys = []
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        marker = fields.pop(0) if fields[0].startswith("@") else ""
        if len(fields) < 3:
            continue
        try:
            key = base64.b64decode(fields[2], validate=True)
        except (binascii.Error, ValueError):
            continue
        keys.append(KnownKey(marker, tuple(fields[0].split(",")), fields[1], key, filename, number))
    return keys


def find(filenames: Iterable[str], hostname: str, port: int) -> list[KnownKey]:
    """Return the lines about a host in all of the files that can be read.

    A host on another port than 22 that has no line of its own is looked for under its bare name,
    as OpenSSH does.
    """
    known = [key for filename in filenames for key in _read(filename)]
    label = host_label(hostname, port)
    found = [key for key in known if key.matches(label)]
    if port != 22 and not any(key.marker == "" for key in found):
        found += [replace(key, only_confirms=True) for key in known if key.matches(hostname)]
    return found


def judge(found: Sequence[KnownKey], kind: str, key: bytes) -> tuple[Verdict, KnownKey | None]:
    """Return what the lines about a host say of its key, and the line that says so."""
    for entry in found:
        if entry.marker == "@revoked" and entry.key == key:
            return Verdict.REVOKED, entry
    plain = [entry for entry in found if entry.marker == ""]
    for entry in plain:
        if entry.key == key:
            return Verdict.KNOWN, entry
    plain = [entry for entry in plain if not entry.only_confirms]
    for entry in plain:
        # A host may have keys of several kinds. One of another kind says nothing of this one:
        # the connection asks for the known kinds first.
        if entry.kind == kind:
            return Verdict.CHANGED, entry
    # The host was asked for the kinds that are known, and has none of them any more.
    return (Verdict.CHANGED, plain[0]) if plain else (Verdict.UNKNOWN, None)


def add(filename: str, hostname: str, port: int, kind: str, key: bytes, hashed: bool) -> None:
    """Append a line for a host's key, unless the same line was added meanwhile.

    Whole lines only, under a lock, so that many may do so at once.

    :param hashed: hide the host's name (``HashKnownHosts``).
    """
    os.makedirs(os.path.dirname(filename) or ".", mode=0o700, exist_ok=True)
    label = host_label(hostname, port)
    with open(os.open(filename, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        present = file.read()
        known = parse(present.decode(errors="replace"), filename)
        if any(entry.key == key and entry.matches(label) for entry in known):
            return
        name = _hash(label, secrets.token_bytes(20)) if hashed else label
        line = f"{name} {kind} {base64.b64encode(key).decode()}\n".encode()
        if present and not present.endswith(b"\n"):
            line = b"\n" + line
        file.write(line)


def fingerprint(key: bytes) -> str:
    """Return the fingerprint of a key as ``ssh-keygen -l`` shows it."""
    digest = base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"


def _read(filename: str) -> list[KnownKey]:
    try:
        with open(filename, encoding="utf-8", errors="replace") as file:
            return parse(file.read(), filename)
    except OSError:
        return []


def _name_matches(pattern: str, label: str) -> bool:
    # Only * and ? have a meaning; a port is written in brackets, which fnmatch would interpret.
    return fnmatch.fnmatchcase(label.lower(), pattern.lower().replace("[", "[[]"))


def _hash(label: str, salt: bytes) -> str:
    digest = hmac.new(salt, label.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def _hash_matches(pattern: str, label: str) -> bool:
    try:
        salt = base64.b64decode(pattern.split("|")[2], validate=True)
    except (binascii.Error, ValueError, IndexError):
        return False
    return hmac.compare_digest(_hash(label, salt).encode(), pattern.encode())
