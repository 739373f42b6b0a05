"""The one loop between a ``Pty`` and a ``Channel``: what a command prints, reads, and its end."""

from __future__ import annotations

import codecs
import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

from ..pseudo_terminal import Pty, write_text
from .channel import Channel
from .sudo import SudoDialogue, SudoState

__all__ = ["Exchange", "SudoRefused", "TimedOut", "run"]

_CHUNK = 256 * 1024
# How long to wait for more output once the command has ended. A daemon that it started may hold
# the streams open forever; what the command printed itself may still be under way.
_GRACE = 1.0
# News always wakes the loop; this is how long an interrupt from another thread may take.
_INTERRUPT_CHECK = 0.5


@dataclass
class Exchange:
    """What went over a channel: all of the output, and how it ended."""

    stdout: list[bytes] = field(default_factory=list)
    stderr: list[bytes] = field(default_factory=list)
    exit_status: int | None = None
    exit_signal: str | None = None
    #: False when sudo ended without having let the command through.
    started: bool = True


class TimedOut(Exception):
    """The command did not end in time, and has been ended."""


class SudoRefused(Exception):
    """sudo did not take the password."""


@dataclass
class SudoAnswer:
    """What to answer when sudo asks."""

    dialogue: SudoDialogue
    #: The line to answer, or None when there is none: then a person types it, at a terminal.
    password: bytes | None = field(repr=False)
    #: What a person is shown in place of the prompt.
    question: str = "[sudo] password: "


def run(
    channel: Channel,
    pty: Pty,
    exchange: Exchange,
    *,
    in_pty: bool = False,
    initial_input: bytes = b"",
    silent: bool = False,
    timeout: float | None = None,
    sudo: SudoAnswer | None = None,
) -> None:
    """Follow a command until it ends, and keep what it printed in ``exchange``.

    :param in_pty: the command runs in a terminal: with a person at ours, keys go there.
    :param silent: do not show the output.
    :param timeout: seconds until the command is ended, with TimedOut.
    :raises SudoRefused: when sudo asks and there is no password for it, or a wrong one.
    """
    with contextlib.ExitStack() as stack:
        at_terminal = in_pty and pty.is_interactive
        resized = None
        if at_terminal:
            stack.enter_context(pty.raw_mode())
            resized = stack.enter_context(pty.resize_events())
        loop = _Loop(channel, pty, exchange, in_pty, at_terminal, resized, initial_input, sudo)
        if not silent:
            loop.show_on(pty.stdout, pty.stderr)
        try:
            loop.run(None if timeout is None else time.monotonic() + timeout)
        except BaseException:
            channel.terminate()
            loop.receive()
            raise
        finally:
            loop.finish()


class _Loop:
    def __init__(
        self,
        channel: Channel,
        pty: Pty,
        exchange: Exchange,
        in_pty: bool,
        at_terminal: bool,
        resized: int | None,
        initial_input: bytes,
        sudo: SudoAnswer | None,
    ) -> None:
        self._channel = channel
        self._pty = pty
        self._exchange = exchange
        self._in_pty = in_pty
        self._resized = resized
        self._sudo = sudo
        self._keyboard = pty.stdin.fileno() if at_terminal else None
        self._input = initial_input
        # What is to be sent now; the initial input waits until sudo has let the command through.
        self._pending = memoryview(b"" if sudo else initial_input)
        self._input_ended = False
        self._show_stdout: Callable[[bytes, bool], None] = _show_nowhere
        self._show_stderr: Callable[[bytes, bool], None] = _show_nowhere
        if sudo is not None:
            exchange.started = False

    def show_on(self, stdout: TextIO, stderr: TextIO) -> None:
        self._show_stdout = _screen(stdout)
        self._show_stderr = _screen(stderr)

    def run(self, deadline: float | None) -> None:
        ended_at: float | None = None
        while True:
            received = self.receive()
            self._send()
            now = time.monotonic()
            if self._channel.exit_status_ready():
                if self._channel.at_end():
                    break
                if ended_at is None or received:
                    ended_at = now
                if now - ended_at >= _GRACE:
                    break
            if deadline is not None and now >= deadline:
                raise TimedOut
            if self._pty.interrupted.is_set():
                raise KeyboardInterrupt
            self._wait(deadline, ended_at)
        self._exchange.exit_status = self._channel.exit_status
        self._exchange.exit_signal = self._channel.exit_signal

    def receive(self) -> bool:
        """Take everything that has arrived; return whether there was anything."""
        received = False
        channel = self._channel
        while channel.recv_ready() and (data := channel.recv(_CHUNK)):
            received = True
            # In a terminal, sudo asks where everything else is printed, too.
            data = self._watch(data) if self._in_pty else data
            self._keep(data, self._exchange.stdout, self._show_stdout)
        while channel.recv_stderr_ready() and (data := channel.recv_stderr(_CHUNK)):
            received = True
            self._keep(self._watch(data), self._exchange.stderr, self._show_stderr)
        return received

    def finish(self) -> None:
        """Show and keep what was held back."""
        if self._sudo is not None and (held := self._sudo.dialogue.finish()):
            if self._in_pty:
                self._keep(held, self._exchange.stdout, self._show_stdout)
            else:
                self._keep(held, self._exchange.stderr, self._show_stderr)
        self._show_stdout(b"", True)
        self._show_stderr(b"", True)

    @staticmethod
    def _keep(data: bytes, kept: list[bytes], show: Callable[[bytes, bool], None]) -> None:
        if data:
            kept.append(data)
            show(data, False)

    def _watch(self, data: bytes) -> bytes:
        if self._sudo is None or self._exchange.started:
            return data
        dialogue = self._sudo.dialogue
        data, wanted = dialogue.feed(data)
        if dialogue.state is SudoState.STARTED:
            self._exchange.started = True
            self._pending = memoryview(self._input)
        elif self._sudo.password is not None:
            if wanted:
                self._pending = memoryview(self._sudo.password + b"\n")
            elif dialogue.state is SudoState.REFUSED:
                raise SudoRefused
        elif self._keyboard is None:
            if wanted:
                raise SudoRefused
        elif wanted or dialogue.state is SudoState.REFUSED:
            self._pty.write(f"\r{self._sudo.question}")
        return data

    def _send(self) -> None:
        while self._pending and (sent := self._channel.send(bytes(self._pending[:_CHUNK]))):
            self._pending = self._pending[sent:]
        if (
            not self._pending
            and not self._input_ended
            and self._exchange.started
            and self._keyboard is None
            # In a terminal there is no end of input, but for a ^D that would be text as well.
            and not self._in_pty
        ):
            self._channel.shutdown_write()
            self._input_ended = True

    def _wait(self, deadline: float | None, ended_at: float | None) -> None:
        now = time.monotonic()
        timeout = _INTERRUPT_CHECK
        if deadline is not None:
            timeout = min(timeout, deadline - now)
        if ended_at is not None:
            timeout = min(timeout, ended_at + _GRACE - now)
        readers = [fd for fd in (self._keyboard, self._resized) if fd is not None]
        for fd in self._channel.wait(readers, bool(self._pending), max(timeout, 0.0)):
            data = os.read(fd, 4096)
            if fd == self._resized:
                self._channel.resize(*self._pty.get_size())
            elif data:
                self._pending = memoryview(bytes(self._pending) + data)
            else:
                self._keyboard = None


def _screen(stream: TextIO) -> Callable[[bytes, bool], None]:
    """Return what shows bytes on a stream, also when a character arrives in two pieces."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def show(data: bytes, final: bool) -> None:
        if text := decoder.decode(data, final):
            write_text(stream, text)

    return show


def _show_nowhere(data: bytes, final: bool) -> None:
    pass
