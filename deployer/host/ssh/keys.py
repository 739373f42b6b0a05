"""Private keys and certificates in files: what can be told without opening them, and opening."""

from __future__ import annotations

import binascii
import io
import re
from dataclasses import dataclass, replace
from functools import lru_cache

import paramiko

from ...secret import Secret, without_frames
from .files_read import FilesRead

__all__ = ["Certificate", "KeyProblem", "PrivateKey", "read_certificate", "read_key"]

_CLASSES: dict[str, type[paramiko.PKey]] = {
    "ssh-ed25519": paramiko.Ed25519Key,
    "ecdsa-sha2-nistp256": paramiko.ECDSAKey,
    "ecdsa-sha2-nistp384": paramiko.ECDSAKey,
    "ecdsa-sha2-nistp521": paramiko.ECDSAKey,
    "ssh-rsa": paramiko.RSAKey,
    # The names of PEM files.
    "RSA": paramiko.RSAKey,
    "EC": paramiko.ECDSAKey,
}
_BEGIN = re.compile(r"^-----BEGIN (?:(.+) )?PRIVATE KEY-----\s*$", re.MULTILINE)
# PROTOCOL.key of OpenSSH.
_OPENSSH = b"openssh-key-v1\0"


class KeyProblem(Exception):
    """A key cannot be used; the message says why, without its name."""


@dataclass(frozen=True)
class PrivateKey:
    """A key in a file, or a text: what it says of itself without a passphrase."""

    #: The name of the file, or of the attribute of the host.
    name: str
    #: The file; None where only the public half is here, as for a key in the agent.
    text: Secret | None
    #: ``ssh-ed25519``, or the name of a PEM file.
    kind: str
    is_encrypted: bool
    #: The public half; None where that takes a passphrase.
    public: bytes | None

    def check(self) -> None:
        """Raise KeyProblem for a key that cannot be opened, whatever the passphrase is."""
        if self.text is None:
            raise KeyProblem("only its public half is there, and no agent has the other")
        if self.kind not in _CLASSES:
            raise KeyProblem(_unsupported(self.kind))

    def open(self, passphrase: Secret | None = None) -> paramiko.PKey:
        """Return the key for signing, or raise KeyProblem."""
        self.check()
        assert self.text is not None
        if self.is_encrypted and passphrase is None:
            raise KeyProblem("it is encrypted")
        return _open(self.text, self.kind, passphrase if self.is_encrypted else None)


@dataclass(frozen=True)
class Certificate:
    """What a certificate authority says of a key."""

    name: str
    kind: str
    blob: bytes

    def is_for(self, public: bytes) -> bool:
        """Whether it is about the key with this public half."""
        # PROTOCOL.certkeys of OpenSSH: the kind, a nonce, and then what the key has after its
        # kind.
        kind, rest = _string(self.blob)
        _, rest = _string(rest)
        key_kind, key = _string(public)
        return kind.startswith(key_kind) and rest.startswith(key)


def read_key(name: str, text: Secret | None = None) -> PrivateKey:
    """Read a private key from a file, or from a text that is called ``name``.

    A file may also be a public key, or be there as ``NAME.pub`` alone, for a key in the agent.

    :raises FileNotFoundError: when there is neither.
    :raises KeyProblem: when there is no key in it that can be used.
    """
    beside: bytes | None = None
    if text is not None:
        key = _parse(name, text)
    else:
        try:
            key = _private.get(name)
        except FileNotFoundError:
            beside = _public_file(f"{name}.pub")
            if beside is None:
                raise
            return PrivateKey(name, None, _kind(beside), False, beside)
        except OSError as error:
            raise KeyProblem(error.strerror or str(error)) from None
        if key.public is None:
            beside = _public_file(f"{name}.pub")
    if key.public is not None:
        return key
    if beside is None and key.text is not None and not key.is_encrypted and key.kind in _CLASSES:
        beside = _open(key.text, key.kind, None).asbytes()
    return replace(key, public=beside)


def _parse(name: str, text: Secret) -> PrivateKey:
    found = without_frames(lambda: _BEGIN.search(text.reveal()))
    if found is None:
        public = _public_line(text.reveal())
        if public is None:
            raise KeyProblem("there is no private key in it")
        return PrivateKey(name, None, _kind(public), False, public)
    if found[1] == "OPENSSH":
        kind, is_encrypted, public = without_frames(lambda: _openssh_header(text))
        return PrivateKey(name, text, kind, is_encrypted, public)
    is_encrypted = without_frames(lambda: "ENCRYPTED" in text.reveal())
    return PrivateKey(name, text, found[1] or "PKCS8", is_encrypted, None)


def _read_private(name: str) -> PrivateKey:
    with open(name, encoding="utf-8", errors="replace") as file:
        return _parse(name, Secret(file.read()))


def _read_public(name: str) -> bytes | None:
    with open(name, encoding="utf-8", errors="replace") as file:
        return _public_line(file.read())


_private = FilesRead(_read_private)
_public = FilesRead(_read_public)


def read_certificate(name: str) -> Certificate | None:
    """Read a certificate from a file; None where there is none."""
    blob = _public_file(name)
    if blob is None:
        return None
    kind = _kind(blob)
    return Certificate(name, kind, blob) if "-cert-" in kind else None


# Opening an RSA key takes 90 ms, which many hosts should not each pay.
@lru_cache(maxsize=64)
def _open(text: Secret, kind: str, passphrase: Secret | None) -> paramiko.PKey:
    def load() -> paramiko.PKey:
        return _CLASSES[kind].from_private_key(
            io.StringIO(text.reveal()), passphrase.reveal() if passphrase else None
        )

    problem = ""
    try:
        return without_frames(load)
    # paramiko has no one error for a text that is no key: it depends on where it was noticed.
    except Exception as error:
        problem = str(error) or type(error).__name__
    if passphrase is not None:
        raise KeyProblem("the passphrase does not open it")
    raise KeyProblem(f"it cannot be read: {problem}")


def _openssh_header(text: Secret) -> tuple[str, bool, bytes]:
    """Return the kind of a key in OpenSSH's format, whether it is encrypted, its public half."""
    body = re.sub(r"-----.*?-----", "", text.reveal(), flags=re.DOTALL)
    try:
        data = binascii.a2b_base64(body)
        if not data.startswith(_OPENSSH):
            raise ValueError
        cipher, rest = _string(data[len(_OPENSSH) :])
        _, rest = _string(rest)
        _, rest = _string(rest)
        public, _ = _string(rest[4:])
        return _kind(public), cipher != b"none", public
    except (ValueError, KeyProblem):
        pass
    raise KeyProblem("the file is damaged")


def _public_file(name: str) -> bytes | None:
    try:
        return _public.get(name)
    except OSError:
        return None


def _public_line(text: str) -> bytes | None:
    """Return the key of a line ``KIND BASE64 [COMMENT]``; None where that is none."""
    words = text.split(None, 2)
    try:
        blob = binascii.a2b_base64(words[1])
        return blob if _kind(blob) == words[0] else None
    except (IndexError, ValueError, KeyProblem):
        return None


def _kind(public: bytes) -> str:
    return _string(public)[0].decode("ascii", errors="replace")


def _string(data: bytes) -> tuple[bytes, bytes]:
    """Return the string that data begins with (RFC 4251, section 5), and the rest."""
    size = int.from_bytes(data[:4], "big")
    if len(data) < 4 + size:
        raise KeyProblem("the file is damaged")
    return data[4 : 4 + size], data[4 + size :]


def _unsupported(kind: str) -> str:
    if kind.startswith("sk-"):
        return f"it is of the kind {kind}, on a security key: put it into the ssh agent"
    if kind in ("PKCS8", "ENCRYPTED"):
        return "it is in the format PKCS8: `ssh-keygen -p -f FILE` turns it into OpenSSH's"
    return f"a key of the kind {kind} cannot be used here: make one of another kind (ed25519)"
