"""The known_hosts files of OpenSSH: what they say of a key, and how one is added."""

from __future__ import annotations

import base64
import binascii
import errno
import fcntl
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache

from .files_read import FilesRead
from .ssh_patterns import matches

__all__ = [
    "KnownKey",
    "OtherKey",
    "Verdict",
    "add",
    "find",
    "fingerprint",
    "host_label",
    "judge",
    "line_of",
    "parse",
]

#: What a key of the kind ``ssh-rsa`` is asked for by.
RSA = frozenset({"ssh-rsa", "rsa-sha2-256", "rsa-sha2-512"})
# Seconds that another process may take to add a line.
_LOCKED = 10.0


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
        label = label.lower()
        matched = False
        for pattern in self.patterns:
            if pattern.startswith("|1|"):
                matched = matched or _hash_matches(pattern, label)
            elif pattern.startswith("!"):
                if matches(pattern[1:].lower(), label):
                    return False
            else:
                matched = matched or matches(pattern.lower(), label)
        return matched


class OtherKey(Exception):
    """A host has another key by now; ``entry`` is the line that says so."""

    def __init__(self, entry: KnownKey) -> None:
        super().__init__(entry)
        self.entry = entry


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
    for number, line in enumerate(text.split("\n"), 1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        marker = fields.pop(0) if fields[0].startswith("@") else ""
        if len(fields) < 3:
            continue
        key = _key(fields[1], fields[2])
        if key is not None:
            patterns = tuple(fields[0].split(","))
            keys.append(KnownKey(marker, patterns, fields[1], key, filename, number))
    return keys


def _key(kind: str, text: str) -> bytes | None:
    """Return a key; None when it is damaged, so that it says nothing of any other."""
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    # It is made of strings, each behind its length, and the first is the kind (RFC 4253, 6.6).
    parts = []
    rest = key
    while rest:
        size = int.from_bytes(rest[:4], "big")
        if len(rest) < 4 + size:
            return None
        parts.append(rest[4 : 4 + size])
        rest = rest[4 + size :]
    return key if len(parts) > 1 and parts[0] == kind.encode() else None


def find(filenames: Iterable[str], hostname: str, port: int) -> list[KnownKey]:
    """Return the lines about a host in all of the files that can be read.

    A host on another port than 22 that has no line of its own is looked for under its bare name,
    as OpenSSH does.
    """
    hostname = hostname.lower()
    files = [_get(filename) for filename in filenames]
    label = host_label(hostname, port)
    found = [key for file in files for key in file.about(label)]
    if port != 22:
        # A key that is revoked for the name is so on every port.
        has_own = any(key.marker == "" for key in found)
        found += [
            replace(key, only_confirms=True)
            for file in files
            for key in file.about(hostname)
            if not has_own or key.marker == "@revoked"
        ]
    return found


def judge(
    found: Sequence[KnownKey], kind: str, key: bytes, asked: Collection[str] | None = None
) -> tuple[Verdict, KnownKey | None]:
    """Return what the lines about a host say of its key, and the line that says so.

    :param asked: the kinds of keys that the host was asked for; all kinds when not given.
    """
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
    for entry in plain:
        names = RSA if entry.kind == "ssh-rsa" else {entry.kind}
        if asked is None or names.intersection(asked):
            return Verdict.CHANGED, entry
    return Verdict.UNKNOWN, None


def add(filename: str, hostname: str, port: int, kind: str, key: bytes, hashed: bool) -> bool:
    """Append a line for a host's key, and return whether it was not there yet.

    Whole lines only, under a lock, so that many may do so at once.

    :param hashed: hide the host's name (``HashKnownHosts``).
    :raises OtherKey: when another key of the same kind was added for the host meanwhile.
    :raises OSError: when it cannot be done; then the file is as it was.
    """
    os.makedirs(os.path.dirname(filename) or ".", mode=0o700, exist_ok=True)
    label = host_label(hostname, port)
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
    with open(os.open(filename, flags, 0o600), "rb+", buffering=0) as file:
        _lock(file.fileno())
        present = file.read()
        text = base64.b64encode(key)
        # Reading all of it takes time that a thousand new hosts would each pay.
        is_there = hashed or text in present or label.encode() in present
        known = parse(present.decode(errors="replace"), filename) if is_there else []
        known = [entry for entry in known if entry.marker == "" and entry.matches(label)]
        if any(entry.key == key for entry in known):
            return False
        for entry in known:
            if entry.kind == kind:
                raise OtherKey(entry)
        name = _hash(label, secrets.token_bytes(20)) if hashed else label
        line = f"{name} {kind} {text.decode()}\n".encode()
        if present and not present.endswith(b"\n"):
            line = b"\n" + line
        try:
            if file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            file.truncate(len(present))
            raise
        return True


def _lock(fd: int) -> None:
    # flock has no deadline of its own.
    deadline = time.monotonic() + _LOCKED
    while True:
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    errno.ETIMEDOUT, "another process has had it locked for too long"
                ) from None
            # flock has no deadline of its own.
            time.sleep(0.01)


def line_of(filename: str, key: bytes) -> int | None:
    """Return the line of a list of public keys (RevokedHostKeys) that has a key.

    :raises OSError: when it cannot be read.
    """
    with open(filename, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            fields = line.split()
            if len(fields) > 1 and _key(fields[0], fields[1]) == key:
                return number
    return None


def fingerprint(key: bytes) -> str:
    """Return the fingerprint of a key as ``ssh-keygen -l`` shows it."""
    digest = base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")
    return f"SHA256:{digest}"


class _File:
    """The keys of a file, found by their hosts: a thousand hosts may each have a line in it."""

    def __init__(self, keys: Sequence[KnownKey]) -> None:
        #: The keys whose patterns are all plain names, with their places in the file.
        self._by_name: dict[str, list[tuple[int, KnownKey]]] = {}
        self._others: list[tuple[int, KnownKey]] = []
        for place, key in enumerate(keys):
            if any(
                pattern.startswith("|1|") or set(pattern) & _SPECIAL for pattern in key.patterns
            ):
                self._others.append((place, key))
                continue
            for name in {pattern.lower() for pattern in key.patterns}:
                self._by_name.setdefault(name, []).append((place, key))

    def about(self, label: str) -> list[KnownKey]:
        """Return the keys of a host, in the order of the file."""
        found = [(place, key) for place, key in self._others if key.matches(label)]
        found += self._by_name.get(label, [])
        return [key for _, key in sorted(found, key=lambda each: each[0])]


# What makes a pattern more than a name.
_SPECIAL = frozenset("*?!")


def _read(filename: str) -> _File:
    with open(filename, encoding="utf-8", errors="replace", newline="\n") as file:
        return _File(parse(file.read(), filename))


_files = FilesRead(_read)


def _get(filename: str) -> _File:
    try:
        return _files.get(filename)
    except OSError:
        return _File(())


def _hash(label: str, salt: bytes) -> str:
    digest = hmac.new(salt, label.encode(), hashlib.sha1).digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def _hash_matches(pattern: str, label: str) -> bool:
    hashed = _decode(pattern)
    if hashed is None:
        return False
    # Many systems hash all names: each host is compared with all lines.
    return hmac.compare_digest(hmac.digest(hashed[0], label.encode(), "sha1"), hashed[1])


@lru_cache(maxsize=65536)
def _decode(pattern: str) -> tuple[bytes, bytes] | None:
    """Return the salt and the digest of a hashed name; None when it is damaged."""
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in pattern.split("|")[2:])
    except (binascii.Error, ValueError):
        return None
    return salt, digest
