"""The dialogue with sudo, as a state machine over bytes."""

from __future__ import annotations

import os
import re
from enum import Enum
from typing import NamedTuple

from ..exceptions import SudoAuthenticationFailed, SudoFailed
from ..secret import shown_command
from .command import SudoPrompt
from .credentials import Credential
from .result import RunResult

__all__ = ["Heard", "SudoDialogue", "SudoState", "end_script", "failure", "new_prompt"]


def new_prompt() -> SudoPrompt:
    """Return texts that nothing else prints: random for each call."""
    # Letters and digits only: sudo expands % in a prompt.
    return SudoPrompt(
        token=f"deployer-sudo-{os.urandom(12).hex()}",
        started=f"deployer-started-{os.urandom(12).hex()}",
    )


# Ends the process groups that have a text on a command line. Field 5 of `stat` is the group; the
# name, field 2, may have spaces in it. KILL goes to those that are still there after a second.
_END_GROUPS = """\
groups=$(grep -ls '{mark}' /proc/[0-9]*/cmdline | while read -r file; do
    sed 's/.*) [^ ]* [^ ]* \\([0-9]*\\) .*/-\\1/' "${{file%cmdline}}stat" 2>/dev/null
done | sort -u)
[ -n "$groups" ] || exit 0
kill -s TERM -- $groups 2>/dev/null
for pause in 0.1 0.2 0.3 0.4; do
    kill -s 0 -- $groups 2>/dev/null || exit 0
    sleep $pause
done
kill -s KILL -- $groups 2>/dev/null || true
"""


def end_script(prompt: SudoPrompt) -> str:
    """Return what ends, run as root, a command that has said that it begins, and all it started."""
    # In brackets, so that it is not found on its own command line.
    return _END_GROUPS.format(mark=f"[{prompt.started[0]}]{prompt.started[1:]}")


class SudoState(Enum):
    """How far sudo is."""

    WAITING = "nothing was asked yet"
    ANSWERED = "the password was asked for"
    REFUSED = "it was asked for again: the last one was wrong"
    STARTED = "the command runs"


class Heard(NamedTuple):
    """What was found in what arrived."""

    #: What sudo says, without its prompts.
    of_sudo: bytes
    #: What the command prints.
    of_command: bytes
    #: Whether sudo asks for a password now.
    asked: bool


class SudoDialogue:
    """Finds sudo's prompts in what arrives, and takes them out.

    Once the command has started, everything passes through untouched: a command can print what it
    likes and gets nothing.
    """

    def __init__(self, prompt: SudoPrompt) -> None:
        self._token = prompt.token.encode()
        self._started = prompt.started.encode()
        self._held = b""
        self.state = SudoState.WAITING

    def feed(self, data: bytes) -> Heard:
        """Take what arrived."""
        if self.state is SudoState.STARTED:
            return Heard(b"", data, False)
        data = self._held + data
        self._held = b""
        of_sudo = b""
        asked = False
        while True:
            token, started = data.find(self._token), data.find(self._started)
            if started >= 0 and (token < 0 or started < token):
                self.state = SudoState.STARTED
                of_sudo += data[:started]
                return Heard(of_sudo, data[started + len(self._started) :], asked)
            if token < 0:
                break
            of_sudo += data[:token]
            data = data[token + len(self._token) :]
            asked = True
            again = self.state is not SudoState.WAITING
            self.state = SudoState.REFUSED if again else SudoState.ANSWERED
        cut = len(data) - max(_overlap(data, self._token), _overlap(data, self._started))
        self._held = data[cut:]
        return Heard(of_sudo + data[:cut], b"", asked)

    def finish(self) -> bytes:
        """Return what was held back because it might have become a prompt."""
        held, self._held = self._held, b""
        return held


def failure(
    slug: str,
    who: str,
    ended: RunResult,
    state: SudoState,
    credential: Credential | None,
    *,
    gave_up: bool,
    in_pty: bool,
    is_asked: bool,
) -> SudoFailed:
    """Return the error for a command that sudo did not run.

    :param who: the user, and where.
    :param ended: what sudo has said.
    :param credential: what it was answered.
    :param gave_up: whether it was ended by us.
    :param is_asked: whether there is a person, who is asked for what is missing.
    """
    command = shown_command(ended.command)
    lines = [line.strip() for line in (ended.stderr or ended.stdout).splitlines()]
    said = "; ".join(filter(None, lines))
    if state is SudoState.REFUSED:
        again = (
            "call it again to be asked again"
            if credential is not None and credential.was_asked
            else "correct `password` in the host's class"
        )
        return SudoAuthenticationFailed(
            f"{slug}: sudo refused the password of {who} for {command}; it was tried once: {again}"
        )
    if gave_up and state is SudoState.ANSWERED and credential is None:
        missing = (
            "nobody answered"
            if is_asked
            else "the host has none, nor is there anybody to ask: set `password` in its class, "
            "run it at a terminal, or allow it with NOPASSWD in sudoers"
        )
        return SudoAuthenticationFailed(
            f"{slug}: sudo wants a password for {who} to run {command}; {missing}"
        )
    if gave_up:
        asked = f"it said {said!r}" if said else "it said nothing"
        return SudoFailed(
            f"{slug}: sudo did not go on to run {command}; {asked}. If it waits for an answer, "
            "run it at a terminal, where a person can give one"
        )
    hint = ""
    if ended.exit_status == 127:
        hint = "; is sudo installed there? A host whose `username` is root needs none"
    elif not in_pty and re.search(r"\btty\b", said):
        hint = "; pass interactive=True to run it in a terminal"
    # With `passwd_tries=1`, it does not ask a second time.
    refused = "incorrect password" in said or "incorrect authentication" in said
    kind = SudoAuthenticationFailed if refused else SudoFailed
    said = said or f"exit status {ended.exit_status}"
    return kind(f"{slug}: sudo did not run {command}: {said}{hint}")


def _overlap(data: bytes, word: bytes) -> int:
    """Return how many bytes at the end of ``data`` may be the beginning of ``word``."""
    for size in range(min(len(data), len(word) - 1), 0, -1):
        if data.endswith(word[:size]):
            return size
    return 0
