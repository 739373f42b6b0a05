"""The keys to log in with, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import paramiko

from ...exceptions import AuthenticationFailed
from ...pseudo_terminal import Pty
from ...secret import Secret
from ..credentials import credentials
from .config import HostSettings, Settings
from .keys import Certificate, KeyProblem, PrivateKey, read_certificate, read_key
from .tuning import login

__all__ = ["Identity", "identities"]


@dataclass(frozen=True)
class Identity:
    """A key that signs, with or without a certificate, and what a person calls it."""

    name: str
    key: paramiko.PKey


def identities(
    host: HostSettings,
    settings: Settings,
    pty: Pty,
    tried: list[str],
    is_wanted: Callable[[bytes], bool],
) -> Generator[Identity]:
    """Yield the keys: as OpenSSH does, those of the agent first, and of these the configured ones.

    A certificate comes before the key that it is for. Keys are opened when it is their turn.

    :param tried: told of the keys that cannot be used, and why.
    :param is_wanted: whether the host would take a key, before a person is asked to open it.
    """
    files = list(_key_files(host, settings, tried))
    agent = _open_agent(settings, files, tried)
    try:
        keys = _Keys(host, settings, pty, tried, is_wanted, files, agent)
        yield from keys.in_order()
    finally:
        if agent is not None:
            agent.close()


def _key_files(host: HostSettings, settings: Settings, tried: list[str]) -> Iterator[PrivateKey]:
    sources: list[tuple[str, Secret | None]] = []
    if text := credentials.given(host, "rsa_key"):
        sources.append(("rsa_key", text))
    sources += [(name, None) for name in settings.key_filenames]
    for name, given in sources:
        try:
            yield read_key(name, given)
        except FileNotFoundError:
            if settings.keys_are_explicit:
                raise AuthenticationFailed(
                    f"{host.slug}: there is no key file {name}; check `key_filename`"
                ) from None
        except KeyProblem as problem:
            tried.append(f"{name} ({problem})")


def _open_agent(
    settings: Settings, files: list[PrivateKey], tried: list[str]
) -> login.Agent | None:
    needed = settings.use_agent or any(key.is_encrypted or key.text is None for key in files)
    if not needed or settings.agent_socket is None:
        return None
    try:
        return login.Agent(settings.agent_socket)
    except (FileNotFoundError, ConnectionRefusedError):
        # It was somebody's, and is no more: nothing to mention, as for OpenSSH.
        return None
    except (OSError, paramiko.SSHException) as error:
        tried.append(f"the agent at {settings.agent_socket} ({error})")
        return None


class _Keys:
    def __init__(
        self,
        host: HostSettings,
        settings: Settings,
        pty: Pty,
        tried: list[str],
        is_wanted: Callable[[bytes], bool],
        files: list[PrivateKey],
        agent: login.Agent | None,
    ) -> None:
        self._host = host
        self._settings = settings
        self._pty = pty
        self._tried = tried
        self._is_wanted = is_wanted
        self._files = files
        #: The keys of the agent, by their public halves.
        self._agent_keys = {key.blob: key for key in agent.get_keys()} if agent else {}
        #: What was opened, or could not be.
        self._opened: dict[str, paramiko.PKey | None] = {}

    def in_order(self) -> Iterator[Identity]:
        settings = self._settings
        named = [read_certificate(name) for name in settings.certificate_filenames]
        for certificate in filter(None, named):
            yield from self._certified(certificate)
        by_public = {file.public: file for file in self._files if file.public}
        for blob in self._agent_keys:
            if (file := by_public.get(blob)) is not None:
                yield from self._of_file(file)
        if settings.use_agent and not settings.identities_only:
            for blob, key in self._agent_keys.items():
                if blob not in by_public:
                    yield Identity(f"{key.comment or 'a key'} of the agent", key)
        for file in self._files:
            if file.public not in self._agent_keys:
                yield from self._of_file(file)

    def _certified(self, certificate: Certificate) -> Iterator[Identity]:
        for file in self._files:
            if file.public is not None and certificate.is_for(file.public):
                yield from self._with(certificate, file)
                return
        for blob, key in self._agent_keys.items():
            if certificate.is_for(blob):
                yield Identity(
                    certificate.name,
                    login.with_certificate(key, certificate.kind, certificate.blob),
                )
                return
        self._tried.append(f"{certificate.name} (the key that it is for is not among the keys)")

    def _of_file(self, file: PrivateKey) -> Iterator[Identity]:
        certificate = None
        if not self._settings.certificate_filenames and file.name != "rsa_key":
            certificate = read_certificate(f"{file.name.removesuffix('.pub')}-cert.pub")
        if certificate is not None and file.public and certificate.is_for(file.public):
            yield from self._with(certificate, file)
        if (key := self._signer(file, file.public)) is not None:
            yield Identity(file.name, key)

    def _with(self, certificate: Certificate, file: PrivateKey) -> Iterator[Identity]:
        if (key := self._signer(file, certificate.blob)) is not None:
            yield Identity(
                certificate.name,
                login.with_certificate(key, certificate.kind, certificate.blob),
            )

    def _signer(self, file: PrivateKey, offer: bytes | None) -> paramiko.PKey | None:
        """Return what signs with a key; None when there is nothing, or the host does not want it.

        :param offer: what the host is asked about before a person is asked to open the key.
        """
        if file.public in self._agent_keys:
            key: paramiko.PKey | None = self._agent_keys[file.public]
            return key
        if file.name not in self._opened:
            try:
                key, is_final = self._open(file, offer)
            except KeyProblem as problem:
                self._tried.append(f"{file.name} ({problem})")
                key, is_final = None, True
            if not is_final:
                return key
            self._opened[file.name] = key
        return self._opened[file.name]

    def _open(self, file: PrivateKey, offer: bytes | None) -> tuple[paramiko.PKey | None, bool]:
        """Return the key, and whether that is so for all that may be offered with it."""
        file.check()
        if not file.is_encrypted:
            return file.open(), True
        stored = file.name if file.name != "rsa_key" else f"rsa_key of {self._host.slug}"
        question = f"Enter passphrase for key '{file.name}': "
        credential = credentials.passphrase(self._host, stored, None, question)
        if credential is None:
            if offer is not None and not self._is_wanted(offer):
                self._tried.append(f"{file.name} (refused)")
                return None, False
            may_ask = self._pty.can_ask and not self._settings.batch_mode
            credential = credentials.passphrase(
                self._host, stored, self._pty if may_ask else None, question
            )
        if credential is None:
            raise KeyProblem(
                "it is encrypted; set `rsa_key_password`, or unlock it in the ssh agent"
            )
        try:
            return file.open(credential.secret), True
        except KeyProblem:
            credentials.forget(credential)
            if credential.was_asked:
                raise
            raise KeyProblem("`rsa_key_password` does not open it") from None
