"""Proving to an SSH host who we are, in the order of OpenSSH: keys, questions, the password."""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from enum import Enum, auto

import paramiko
from paramiko.ssh_exception import PartialAuthentication

from ...exceptions import AuthenticationFailed, ConnectionLost, ConnectionTimeout
from ...pseudo_terminal import Pty
from ...secret import Secret, without_frames
from ..credentials import Account, Credential, credentials
from .config import HostSettings, Settings
from .identities import Identity, identities
from .tuning import BROKEN, Transport, login

__all__ = ["account", "authenticate"]

# How often a wait looks whether it is to end.
_LOOK = 0.25
# What a host asks for when it wants the password, in some languages; and when it wants something
# else, which may be called one, too.
_PASSWORD = re.compile(
    "pass(?!code)|kennwort|passwort|mot de passe|contrase|senha|parola|lösenord|salasana|heslo|"
    "hasło|пароль|密码|密碼|パスワード|암호",
    re.IGNORECASE,
)
_NOT_PASSWORD = re.compile(
    r"one.?time|\botp\b|\boath\b|code|token|verif|\bnew\b|retype|again", re.IGNORECASE
)


def account(host: HostSettings, settings: Settings) -> Account:
    """Return whose password it is that logs in with these settings."""
    route = (getattr(host, "gateway", None), *settings.proxy_jump, settings.proxy_command)
    return Account(
        settings.username,
        settings.hostname,
        settings.port,
        route,
        may_ask=not settings.batch_mode,
    )


def authenticate(host: HostSettings, settings: Settings, transport: Transport, pty: Pty) -> None:
    """Log in, or raise AuthenticationFailed that says what was tried.

    Nothing is tried twice. What nobody has given is asked for at the terminal, if there is a
    person, and only when the host would take it.

    :raises ConnectionLost: when the connection breaks meanwhile.
    :raises ConnectionTimeout: when the host does not answer.
    """
    attempt = _Login(host, settings, transport, pty)
    try:
        attempt.run()
    finally:
        login.forget_password(transport)


class _Outcome(Enum):
    DONE = auto()
    #: The host wants another method as well.
    PARTIAL = auto()
    REFUSED = auto()


class _Login:
    def __init__(
        self, host: HostSettings, settings: Settings, transport: Transport, pty: Pty
    ) -> None:
        self._host = host
        self._settings = settings
        self._transport = transport
        self._pty = pty
        self._account = account(host, settings)
        #: What the host takes; None while it has not said so.
        self._allowed: Sequence[str] | None = None
        self._tried: list[str] = []
        #: The password, when it was sent in this step.
        self._sent: Credential | None = None
        self._nobody_answered = False

    def run(self) -> None:
        keys = identities(self._host, self._settings, self._pty, self._tried, self._is_wanted)
        try:
            while self._step(keys) is _Outcome.PARTIAL:
                # Each step has its own methods, and may want the same password again.
                self._sent = None
        finally:
            keys.close()
        if not self._transport.is_authenticated():
            raise AuthenticationFailed(self._failure())

    def _step(self, keys: Iterator[Identity]) -> _Outcome:
        """Try the methods that are left, until one is taken."""
        for method in self._settings.authentications:
            if self._allowed is not None and method not in self._allowed:
                continue
            if method == "publickey":
                outcome = self._try_keys(keys)
            elif method == "keyboard-interactive":
                outcome = self._try_questions()
            elif method == "password":
                outcome = self._try_password()
            else:
                continue
            if outcome is not _Outcome.REFUSED:
                return outcome
        return _Outcome.REFUSED

    # The methods.

    def _try_keys(self, keys: Iterator[Identity]) -> _Outcome:
        for identity in keys:
            done = threading.Event()
            try:
                login.try_key(self._transport, self._settings.username, identity.key, done)
            except BROKEN as error:
                self._check(str(error))
                # An agent that does not sign, or no algorithm that both sides have.
                self._tried.append(f"{identity.name} ({error})")
                continue
            outcome = self._wait(done)
            if outcome is not _Outcome.REFUSED:
                return outcome
            self._tried.append(f"{identity.name} ({self._refusal('publickey')})")
            if self._allowed is not None and "publickey" not in self._allowed:
                break
        return _Outcome.REFUSED

    def _is_wanted(self, public: bytes) -> bool:
        """Ask the host whether it would take a key, before a person is asked to open it."""
        done = threading.Event()
        try:
            is_accepted = login.offer_key(self._transport, self._settings.username, public, done)
        except BROKEN as error:
            self._check(str(error))
            # No algorithm that both sides have.
            return False
        self._wait(done)
        return is_accepted()

    def _try_password(self) -> _Outcome:
        if self._sent is not None or not self._takes("password"):
            return _Outcome.REFUSED
        credential = self._find_password()
        if credential is None:
            return _Outcome.REFUSED
        self._sent = credential
        done = threading.Event()
        self._begin(
            lambda: self._transport.auth_password(
                self._settings.username,
                credential.secret.reveal().encode(errors="surrogateescape"),  # type: ignore[arg-type]
                done,
            )
        )
        outcome = self._wait(done)
        if outcome is _Outcome.REFUSED:
            reason = self._refusal("password")
            self._tried.append(f"the password ({reason})")
            if reason == "refused":
                credentials.forget(credential)
        return outcome

    def _try_questions(self) -> _Outcome:
        if not self._takes("keyboard-interactive") or not self._can_answer():
            return _Outcome.REFUSED
        questions = _Questions()
        self._begin(
            lambda: login.answer_questions(
                self._transport, self._settings.username, questions.ask, questions
            )
        )
        problem = ""
        before = self._sent
        try:
            while (asked := self._next(questions)) is not None:
                said, prompts = asked
                answers = []
                for prompt, shown in prompts:
                    answer = self._answer(said, prompt, shown)
                    if not answer:
                        problem = f"it asks {_clean(prompt).strip()!r}, and nobody answers"
                    answers.append(answer or Secret(""))
                    said = ""
                questions.answer(answers)
        finally:
            questions.give_up()
        outcome = self._outcome()
        if outcome is _Outcome.REFUSED:
            name = "keyboard-interactive"
            if self._sent is not before and not problem:
                name = "the password"
            self._tried.append(f"{name} ({problem or self._refusal('keyboard-interactive')})")
            if self._sent is not None:
                credentials.forget(self._sent)
        return outcome

    def _can_answer(self) -> bool:
        """Whether there is any answer to questions: a password, or a person."""
        return self._may_ask or self._find_password() is not None

    @property
    def _may_ask(self) -> bool:
        return self._pty.can_ask and not self._settings.batch_mode

    def _answer(self, said: str, prompt: str, shown: bool) -> Secret | None:
        is_password = not shown and _PASSWORD.search(prompt) and not _NOT_PASSWORD.search(prompt)
        if is_password and self._sent is None:
            self._sent = self._find_password()
            return None if self._sent is None else self._sent.secret
        if not self._may_ask:
            return None
        text = _clean(f"{said}\n{prompt}" if said else prompt)
        return self._pty.ask_secret(f"{self._host.slug}: {text}", shown)

    def _find_password(self) -> Credential | None:
        if self._nobody_answered:
            return None
        question = f"{self._settings.username}@{self._settings.hostname}'s password: "
        credential = credentials.password(self._host, self._account, self._pty, question)
        self._nobody_answered = credential is None
        return credential

    def _takes(self, method: str) -> bool:
        """Whether the host may take a method; before a person is asked, it is asked itself."""
        if self._may_ask and self._allowed is None:
            done = threading.Event()
            self._begin(
                lambda: login.ask_for_methods(self._transport, self._settings.username, done)
            )
            self._wait(done)
        return self._allowed is None or method in self._allowed

    # Waiting for the host.

    def _begin(self, request: Callable[[], object]) -> None:
        """Send a request; nothing that a traceback shows is to hold what is in it."""
        problem = ""
        try:
            without_frames(request)
            return
        except BROKEN as error:
            problem = str(error)
        self._transport.abort()
        self._check(problem)

    def _wait(self, done: threading.Event) -> _Outcome:
        deadline = time.monotonic() + self._transport.auth_timeout
        while not done.wait(_LOOK):
            self._check_wait(deadline)
        return self._outcome()

    def _next(self, questions: _Questions) -> _Asked | None:
        """Return what the host asks next; None when it has made up its mind."""
        deadline = time.monotonic() + self._transport.auth_timeout
        while True:
            try:
                return questions.asked.get(timeout=_LOOK)
            except queue.Empty:
                self._check_wait(deadline)

    def _check_wait(self, deadline: float) -> None:
        self._pty.check_interrupted()
        self._check()
        if time.monotonic() > deadline:
            raise ConnectionTimeout(
                f"{self._host.slug}: {self._settings.hostname} did not answer within "
                f"{self._transport.auth_timeout:g} seconds while logging in"
            )

    def _outcome(self) -> _Outcome:
        if self._transport.is_authenticated():
            return _Outcome.DONE
        error = self._transport.get_exception()
        self._check(str(error or ""))
        self._note(error)
        return _Outcome.PARTIAL if isinstance(error, PartialAuthentication) else _Outcome.REFUSED

    def _note(self, error: BaseException | None) -> None:
        if isinstance(error, paramiko.BadAuthenticationType | PartialAuthentication):
            self._allowed = error.allowed_types

    def _check(self, problem: str = "") -> None:
        """Raise when the connection is no more."""
        if self._transport.is_active():
            return
        reason = self._transport.disconnect_reason
        if reason and "too many" in reason.lower():
            raise AuthenticationFailed(
                f"{self._host.slug}: {self._settings.hostname} allows no more attempts to log in "
                f"({reason}); tried {', '.join(self._tried) or 'one key'}. Set `key_filename` in "
                "the host's class, or `IdentityFile` and `IdentitiesOnly yes` in the ssh config, "
                "so that only the right key is tried"
            )
        because = reason or self._transport.ended_because or problem
        raise ConnectionLost(
            f"{self._host.slug}: the connection to {self._settings.hostname} was lost while "
            "logging in" + (f": {because}" if because else "")
        )

    # What it came to.

    def _refusal(self, method: str) -> str:
        if self._allowed is not None and method not in self._allowed:
            return f"the host wants {' or '.join(self._allowed)}"
        return "refused"

    def _failure(self) -> str:
        tried = (
            f"tried {', '.join(self._tried)}"
            if self._tried
            else "there is no key and no password to try"
        )
        advice = (
            "Set `username` and `password` or `key_filename` in the host's class, or add a key to "
            "the ssh agent"
        )
        if self._settings.batch_mode:
            advice += "; nobody is asked, since the ssh config says `BatchMode yes`"
        elif not self._may_ask:
            advice += "; or run it at a terminal, where you are asked"
        return (
            f"{self._host.slug}: {self._settings.hostname} does not let "
            f"{self._settings.username!r} in; {tried}. {advice}"
        )


#: What the host says, and its prompts: each with whether what is typed may be seen.
_Asked = tuple[str, list[tuple[str, bool]]]


class _Questions(threading.Event):
    """What the host asks, between paramiko's thread and the one in which a person is asked.

    It is also the event that paramiko sets at the end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[list[Secret] | None] = queue.SimpleQueue()

    def set(self) -> None:
        super().set()
        self.asked.put(None)

    def ask(self, title: str, instructions: str, prompts: list[tuple[str, bool]]) -> list[bytes]:
        """Return the answers; paramiko calls this, in its thread."""
        if not prompts:
            return []
        said = "\n".join(filter(None, (title.strip(), instructions.strip())))
        self.asked.put((said, prompts))
        answers = self._answers.get() or [Secret("")] * len(prompts)
        return [answer.reveal().encode(errors="surrogateescape") for answer in answers]

    def answer(self, answers: list[Secret]) -> None:
        self._answers.put(answers)

    def give_up(self) -> None:
        """Let paramiko's thread go on, whatever it has asked."""
        self._answers.put(None)


def _clean(text: str) -> str:
    """Return what a host said, without anything that would change how the terminal behaves."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
