"""The dialogue with sudo, as a state machine over bytes."""

from __future__ import annotations

import secrets
from enum import Enum

from .command import SudoPrompt

__all__ = ["SudoDialogue", "SudoState", "new_prompt"]


def new_prompt() -> SudoPrompt:
    """Return texts that nothing else prints: random for each call."""
    # Letters and digits only: sudo expands % in a prompt.
    return SudoPrompt(
        token=f"deployer-sudo-{secrets.token_hex(12)}",
        started=f"deployer-started-{secrets.token_hex(12)}",
    )


class SudoState(Enum):
    """How far sudo is."""

    WAITING = "nothing was asked yet"
    ANSWERED = "the password was asked for"
    REFUSED = "it was asked for again: the first one was wrong"
    STARTED = "the command runs"


class SudoDialogue:
    """Finds sudo's prompt in what arrives, and takes it out.

    Once the command has started, everything passes through untouched: a command can print what it
    likes and gets nothing.
    """

    def __init__(self, prompt: SudoPrompt) -> None:
        self._token = prompt.token.encode()
        self._started = prompt.started.encode()
        self._held = b""
        self.state = SudoState.WAITING

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """Take what arrived; return what is the user's of it, and whether a password is wanted."""
        if self.state is SudoState.STARTED:
            return data, False
        data = self._held + data
        self._held = b""
        shown = b""
        wanted = False
        while True:
            token, started = data.find(self._token), data.find(self._started)
            if started >= 0 and (token < 0 or started < token):
                if self.state is SudoState.ANSWERED:
                    # A terminal goes to a new line after the password, which nobody saw.
                    data, started = _without_newline(data, started)
                self.state = SudoState.STARTED
                return shown + data[:started] + data[started + len(self._started) :], wanted
            if token < 0:
                break
            shown += data[:token]
            data = data[token + len(self._token) :]
            if self.state is SudoState.WAITING:
                self.state = SudoState.ANSWERED
                wanted = True
            else:
                self.state = SudoState.REFUSED
        keep = max(_overlap(data, self._token), _overlap(data, self._started))
        if self.state is SudoState.ANSWERED and not data[: len(data) - keep].strip(b"\r\n"):
            keep = len(data)
        cut = len(data) - keep
        self._held = data[cut:]
        return shown + data[:cut], wanted

    def finish(self) -> bytes:
        """Return what was held back because it might have become a prompt."""
        held, self._held = self._held, b""
        return held


def _without_newline(data: bytes, started: int) -> tuple[bytes, int]:
    for newline in (b"\r\n", b"\n"):
        if data[:started] == newline:
            return data[started:], 0
    return data, started


def _overlap(data: bytes, word: bytes) -> int:
    """Return how many bytes at the end of ``data`` may be the beginning of ``word``."""
    for size in range(min(len(data), len(word) - 1), 0, -1):
        if data.endswith(word[:size]):
            return size
    return 0
