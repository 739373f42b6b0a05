"""The passwords and passphrases of hosts: given by their classes, or asked for once, and kept."""

from __future__ import annotations

import contextlib
import inspect
import threading
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..exceptions import AuthenticationFailed, NodeUsageError
from ..pseudo_terminal import Pty
from ..secret import Secret, without_frames

__all__ = ["Account", "Credential", "Credentials", "credentials"]


@dataclass(frozen=True)
class Account:
    """A user on a machine: whose password it is. Several classes of hosts may share one."""

    username: str
    machine: str
    port: int | None = None
    #: What it is reached through: behind two gateways, one address may be two machines.
    route: tuple[Hashable, ...] = ()
    #: Whether a person may be asked.
    may_ask: bool = field(default=True, compare=False)


@dataclass(frozen=True)
class Credential:
    """A password or a passphrase, and whether a person typed it."""

    secret: Secret
    was_asked: bool


class Credentials:
    """What is known of passwords, for all threads: each is asked for, or computed, once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: dict[Hashable, _Slot] = {}
        self._for_all: Secret | None = None

    def answer_for_all(self, password: Secret) -> None:
        """Take this as the first answer for each user of each host who has no password given.

        Where it is wrong, a person is asked as without it.
        """
        self._for_all = password

    def password(
        self, host: object, account: Account, pty: Pty, question: str
    ) -> Credential | None:
        """Return the password of a user: the host's ``password``, or what a person answers.

        :return: None where the host has none, and nobody answers.
        """
        return self._credential(
            host, "password", ("password", account), pty if account.may_ask else None, question
        )

    def passphrase(
        self, host: object, key: str, pty: Pty | None, question: str
    ) -> Credential | None:
        """Return what opens a private key: the host's ``rsa_key_password``, or what is answered.

        :param key: what to keep an answer for: the name of the key's file.
        :param pty: whom to ask; None to ask nobody.
        """
        return self._credential(host, "rsa_key_password", ("passphrase", key), pty, question)

    def forget(self, credential: Credential) -> None:
        """Ask again next time: what was answered is wrong."""
        if credential.was_asked:
            with self._lock:
                slots = list(self._slots.values())
            for slot in slots:
                slot.forget(credential.secret)

    def clear(self) -> None:
        """Forget everything: what is needed next is asked for, or computed, again."""
        with self._lock:
            self._slots.clear()
            self._for_all = None

    def _credential(
        self, host: object, attribute: str, key: Hashable, pty: Pty | None, question: str
    ) -> Credential | None:
        given = self.given(host, attribute)
        if given is not None:
            return Credential(given, was_asked=False)
        with self._slot(key) as slot:
            if slot.is_new and attribute == "password" and self._for_all and pty is not None:
                # A copy: wrong for one of them, it is not forgotten for the others.
                slot.secret = Secret(self._for_all.reveal())
            slot.is_new = False
            if slot.secret is None and pty is not None:
                # Nothing but Enter is no answer.
                slot.secret = pty.ask_secret(question) or None
            return None if slot.secret is None else Credential(slot.secret, was_asked=True)

    def given(self, host: object, attribute: str) -> Secret | None:
        """Return what an attribute of a host (or of its class) gives, computed once.

        :raises AuthenticationFailed: when it is a function that raises.
        :raises NodeUsageError: when it gives something that is no text.
        """
        # Read without binding: a function in the body of a class takes no arguments here.
        raw = inspect.getattr_static(host, attribute, None)
        if raw is None:
            return None
        if isinstance(raw, str | Secret):
            return _as_secret(host, attribute, raw)
        # One function gives one secret; what is bound to a class gives one for each class.
        is_bound = isinstance(raw, property | classmethod)
        owner = host if isinstance(host, type) else type(host)
        with self._slot(("call", id(raw), owner if is_bound else None)) as slot:
            # Nothing else gets the id while the slot has the object.
            slot.holds = raw
            if slot.secret is None:
                value = _called(host, attribute, raw)
                slot.secret = None if value is None else _as_secret(host, attribute, value)
            return slot.secret

    @contextlib.contextmanager
    def _slot(self, key: Hashable) -> Iterator[_Slot]:
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
        with slot.lock:
            yield slot


#: Those of this process.
credentials = Credentials()


class _Slot:
    """A secret, once it is known. Who has the lock finds out."""

    def __init__(self) -> None:
        # A function that gives a password may need a host itself.
        self.lock = threading.RLock()
        self.secret: Secret | None = None
        self.holds: object = None
        #: Whether nobody has needed it yet.
        self.is_new = True

    def forget(self, secret: Secret) -> None:
        # Not with the lock: somebody may be asked for another one. What they answer stays.
        if self.secret is secret:
            self.secret = None


def _called(host: object, attribute: str, raw: Any) -> object:
    """Return what a callable, a property or another descriptor gives for a host."""
    problem = ""
    try:
        return without_frames(lambda: _call(host, attribute, raw))
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    # Not as its cause: the frames of the function may hold the secret.
    raise AuthenticationFailed(f"{_name(host)}: its `{attribute}` raised {problem}")


def _call(host: object, attribute: str, raw: Any) -> object:
    if isinstance(raw, staticmethod):
        value: Any = raw.__func__
    elif isinstance(raw, property):
        value = raw.__get__(host() if isinstance(host, type) else host)
    elif inspect.isfunction(raw) or not hasattr(raw, "__get__"):
        value = raw
    else:
        value = getattr(host, attribute)
    return value() if callable(value) else value


def _as_secret(host: object, attribute: str, value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if isinstance(value, str):
        return Secret(value)
    raise NodeUsageError(
        f"{_name(host)}: its `{attribute}` is a {type(value).__name__}; it has to be a str, a "
        "Secret, a function without arguments that returns one, or None to have a person asked"
    )


def _name(host: object) -> str:
    return str(getattr(host, "slug", host))
