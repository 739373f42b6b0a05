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
# What may come once the command has ended. What it printed itself may still be under way; but a
# daemon that it started may hold the streams open forever, and print on them forever. So it is over
# after so many seconds without output, with output, and after more bytes than can be under way.
_GRACE = 1.0
_LONGEST_GRACE = 10.0
_REST = 4 * 1024 * 1024
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
    question: str
    #: Ends the command, which runs as another user: away from a terminal, that takes sudo as well.
    end: Callable[[], None]


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
            if sudo is not None and exchange.started and not in_pty:
                sudo.end()
            channel.terminate()
            loop.receive_rest()
            raise
        finally:
            loop.finish()


class _AfterEnd:
    """The time after the end of the command, while its streams are still open."""

    def __init__(self, now: float) -> None:
        self._begun = self._last_news = now
        self._received = 0

    def is_over(self, received: int, now: float) -> bool:
        self._received += received
        if received:
            self._last_news = now
        return self.time_left(now) <= 0 or self._received > _REST

    def time_left(self, now: float) -> float:
        return min(self._last_news + _GRACE, self._begun + _LONGEST_GRACE) - now


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
        self._is_refused = False
        self._show_stdout: Callable[[bytes, bool], None] = _show_nowhere
        self._show_stderr: Callable[[bytes, bool], None] = _show_nowhere
        if sudo is not None:
            exchange.started = False

    def show_on(self, stdout: TextIO, stderr: TextIO) -> None:
        self._show_stdout = _screen(stdout)
        self._show_stderr = _screen(stderr)

    def run(self, deadline: float | None) -> None:
        after_end: _AfterEnd | None = None
        while True:
            received = self.receive()
            self._send()
            if self._is_refused:
                raise SudoRefused
            now = time.monotonic()
            if self._channel.exit_status_ready():
                after_end = after_end or _AfterEnd(now)
                if self._channel.at_end() or after_end.is_over(received, now):
                    break
            if deadline is not None and now >= deadline:
                raise TimedOut
            self._pty.check_interrupted()
            timeout = _INTERRUPT_CHECK
            if deadline is not None:
                timeout = min(timeout, deadline - now)
            if after_end is not None:
                timeout = min(timeout, after_end.time_left(now))
            # There may be more right now; but keys must get through a flood of output, too.
            self._wait(0.0 if received else max(timeout, 0.0))
        self._exchange.exit_status = self._channel.exit_status
        self._exchange.exit_signal = self._channel.exit_signal

    def receive(self) -> int:
        """Take some of what has arrived on either stream; return how many bytes."""
        # Not all of it: a command may print faster than this, and has to be stopped in time.
        size = 0
        channel = self._channel
        if channel.recv_ready():
            data = channel.recv(_CHUNK)
            size += len(data)
            # In a terminal, sudo asks where everything else is printed, too.
            self._take(data, self._exchange.stdout, self._show_stdout, self._in_pty)
        if channel.recv_stderr_ready():
            data = channel.recv_stderr(_CHUNK)
            size += len(data)
            self._take(data, self._exchange.stderr, self._show_stderr, True)
        return size

    def receive_rest(self) -> None:
        """Take what is left of a command that was stopped."""
        received = 0
        while received < _REST and (size := self.receive()):
            received += size

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

    def _take(
        self, data: bytes, kept: list[bytes], show: Callable[[bytes, bool], None], watched: bool
    ) -> None:
        if not watched or self._sudo is None or self._exchange.started:
            self._keep(data, kept, show)
            return
        heard = self._sudo.dialogue.feed(data)
        kept.append(heard.of_sudo)
        # After a password that nobody typed, the new line that sudo goes to is nobody's.
        if heard.of_sudo.strip() or self._sudo.password is None:
            show(heard.of_sudo, False)
        if heard.asked:
            self._answer(self._sudo)
        if self._sudo.dialogue.state is SudoState.STARTED:
            self._exchange.started = True
            # What sudo said is no output of the command.
            kept.clear()
            self._pending = memoryview(bytes(self._pending) + self._input)
            self._keep(heard.of_command, kept, show)

    def _answer(self, sudo: SudoAnswer) -> None:
        if sudo.password is not None:
            if sudo.dialogue.state is SudoState.REFUSED:
                self._is_refused = True
            else:
                self._pending = memoryview(sudo.password + b"\n")
        elif self._keyboard is not None:
            self._pty.write(f"\r{sudo.question}")
        else:
            self._is_refused = True

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

    def _wait(self, timeout: float) -> None:
        readers = [fd for fd in (self._keyboard, self._resized) if fd is not None]
        for fd in self._channel.wait(readers, bool(self._pending), timeout):
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
