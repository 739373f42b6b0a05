"""The one loop between a ``Pty`` and a ``Channel``: what a command prints, reads, and its end."""

from __future__ import annotations

import codecs
import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

from ..pseudo_terminal import Pty
from ..secret import Secret, without_frames
from ..streams import drops_all, write_text
from .channel import Channel
from .credentials import Credential
from .measured import CHUNK
from .sudo import SudoDialogue, SudoState

__all__ = [
    "SUDO_TIMEOUT",
    "Exchange",
    "SudoAnswer",
    "SudoRefused",
    "SudoSilent",
    "TimedOut",
    "run",
    "start",
]

# Seconds that sudo has to ask, or to start the command, where nobody could answer something else
# that it wants to know. A slow directory service takes some.
SUDO_TIMEOUT = 60.0

# What may come once the command has ended. What it printed itself may still be under way; but a
# daemon that it started may hold the streams open forever, and print on them forever. So it is over
# after so many seconds without output, with output, and after more bytes than can be under way.
_GRACE = 1.0
_LONGEST_GRACE = 10.0
_REST = 4 * 1024 * 1024
# How often a channel is asked whether it has caught up; and how long it may take to, in seconds,
# once a command that ended in time has no time left.
_CATCH_UP = 0.01
_LATEST = 2.0
# News always wakes the loop; this is how long an interrupt from another thread may take.
_INTERRUPT_CHECK = 0.5


@dataclass
class Exchange:
    """What went over a channel: all of the output, and how it ended."""

    # It grows in place. A list of pieces would need a second copy of all to be put together.
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    exit_status: int | None = None
    exit_signal: str | None = None
    #: False when sudo ended without having let the command through.
    started: bool = True

    def take_output(self, in_pty: bool) -> tuple[str, str]:
        """Return stdout and stderr as text, once: the bytes are gone then, since it may be much.

        :param in_pty: whether a terminal has put ``\\r\\n`` for each newline.
        """
        out = self.stdout.replace(b"\r\n", b"\n") if in_pty else self.stdout
        texts = tuple(data.decode(errors="surrogateescape") for data in (out, self.stderr))
        self.stdout, self.stderr = bytearray(), bytearray()
        return texts[0], texts[1]


class TimedOut(Exception):
    """The command did not end in time, and has been ended."""


class SudoRefused(Exception):
    """sudo did not take the password."""


class SudoSilent(Exception):
    """sudo has neither asked for the password nor started the command in time."""


@dataclass
class SudoAnswer:
    """What to answer when sudo asks."""

    dialogue: SudoDialogue
    #: Finds the password, when sudo asks: a person may be asked in turn. None when there is none.
    find: Callable[[], Credential | None]
    #: Ends the command, which runs as another user: away from a terminal, that takes sudo as well.
    end: Callable[[], None]
    #: What was answered.
    credential: Credential | None = None
    #: Whether what was shown of it ends in the middle of a line, as a question does.
    is_line_open: bool = False
    #: When sudo has to have gone on.
    deadline: float = field(default_factory=lambda: time.monotonic() + SUDO_TIMEOUT)


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
    :raises SudoSilent: when sudo does nothing, or asks for something else, and nobody is there.
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


def start(channel: Channel, pty: Pty, exchange: Exchange, sudo: SudoAnswer) -> None:
    """Follow a command until sudo has let it through (see ``exchange.started``), or it has ended.

    What it prints from then on is for the caller to take, and its input for the caller to give.

    :raises SudoRefused: as ``run`` does, and SudoSilent.
    """
    loop = _Loop(channel, pty, exchange, False, False, None, b"", sudo)
    try:
        loop.run(None, until_started=True)
    except BaseException:
        channel.terminate()
        loop.receive_rest()
        raise
    finally:
        if not exchange.started:
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
        # To be sent before that, as a line; and how much of it was.
        self._password: Secret | None = None
        self._password_sent = 0
        # Seconds that a person has just taken to answer.
        self._paused = 0.0
        self._input_ended = False
        self._is_refused = False
        self._show_stdout: Callable[[bytes, bool], None] = _show_nowhere
        self._show_stderr: Callable[[bytes, bool], None] = _show_nowhere
        if sudo is not None:
            exchange.started = False

    def show_on(self, stdout: TextIO, stderr: TextIO) -> None:
        self._show_stdout = _screen(stdout)
        self._show_stderr = _screen(stderr)

    def run(self, deadline: float | None, until_started: bool = False) -> None:
        after_end: _AfterEnd | None = None
        while True:
            received = self.receive()
            if deadline is not None:
                # While a person was asked for the password, the command had not begun.
                deadline, self._paused = deadline + self._paused, 0.0
            if until_started and self._exchange.started:
                return
            self._send()
            if self._is_refused:
                raise SudoRefused
            now = time.monotonic()
            is_late = deadline is not None and now >= deadline
            if self._channel.exit_status_ready():
                after_end = after_end or _AfterEnd(now)
                # Where it ended in time, only what it left behind holds its streams.
                is_over = after_end.is_over(received, now) or is_late
                if self._channel.at_end() or (is_over and self._channel.has_caught_up()):
                    break
                is_late = deadline is not None and now >= deadline + _LATEST
            if is_late:
                raise TimedOut
            if after_end is None:
                self._check_sudo(now)
            self._pty.check_interrupted()
            timeout = _INTERRUPT_CHECK
            if deadline is not None:
                timeout = min(timeout, deadline - now)
            if after_end is not None:
                timeout = max(min(timeout, after_end.time_left(now)), _CATCH_UP)
            # There may be more right now; but keys must get through a flood of output, too.
            self._wait(0.0 if received else max(timeout, 0.0))
        self.receive_rest()
        self._exchange.exit_status = self._channel.exit_status
        self._exchange.exit_signal = self._channel.exit_signal

    def receive(self) -> int:
        """Take some of what has arrived on either stream; return how many bytes."""
        # Not all of it: a command may print faster than this, and has to be stopped in time.
        size = 0
        channel = self._channel
        if channel.recv_ready():
            data = channel.recv(CHUNK)
            size += len(data)
            # In a terminal, sudo asks where everything else is printed, too.
            self._take(data, self._exchange.stdout, self._show_stdout, self._in_pty)
        if channel.recv_stderr_ready():
            data = channel.recv_stderr(CHUNK)
            size += len(data)
            self._take(data, self._exchange.stderr, self._show_stderr, True)
        return size

    def receive_rest(self) -> None:
        """Take what has arrived and is left."""
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
    def _keep(data: bytes, kept: bytearray, show: Callable[[bytes, bool], None]) -> None:
        if data:
            kept += data
            show(data, False)

    def _take(
        self, data: bytes, kept: bytearray, show: Callable[[bytes, bool], None], watched: bool
    ) -> None:
        if not watched or self._sudo is None or self._exchange.started:
            self._keep(data, kept, show)
            return
        heard = self._sudo.dialogue.feed(data)
        kept += heard.of_sudo
        # After a password that nobody typed, the new line that sudo goes to is nobody's.
        if heard.of_sudo.strip() or (heard.of_sudo and self._sudo.is_line_open):
            show(heard.of_sudo, False)
            self._sudo.is_line_open = not heard.of_sudo.endswith(b"\n")
        if heard.asked:
            self._answer(self._sudo)
        if self._sudo.dialogue.state is SudoState.STARTED:
            self._exchange.started = True
            # What sudo said is no output of the command.
            kept.clear()
            self._pending = memoryview(bytes(self._pending) + self._input)
            self._keep(heard.of_command, kept, show)

    def _check_sudo(self, now: float) -> None:
        """Raise SudoSilent when sudo takes too long to go on."""
        if self._sudo is None or self._exchange.started or now < self._sudo.deadline:
            return
        # With a keyboard, a person sees what sudo wants, and can type it.
        if self._keyboard is None:
            raise SudoSilent

    def _answer(self, sudo: SudoAnswer) -> None:
        if sudo.dialogue.state is SudoState.ANSWERED:
            begun = time.monotonic()
            sudo.credential = sudo.find()
            self._paused += time.monotonic() - begun
            sudo.deadline = time.monotonic() + SUDO_TIMEOUT
        if sudo.dialogue.state is SudoState.REFUSED or sudo.credential is None:
            self._is_refused = True
        else:
            self._password, self._password_sent = sudo.credential.secret, 0

    def _send_password(self, password: Secret) -> None:
        def line() -> bytes:
            return f"{password.reveal()}\n".encode(errors="surrogateescape")

        # No frame that a traceback may show is to hold it.
        sent = self._password_sent
        self._password_sent += without_frames(lambda: self._channel.send(line()[sent:]))
        if self._password_sent >= without_frames(lambda: len(line())):
            self._password = None

    def _send(self) -> None:
        if self._password is not None:
            self._send_password(self._password)
            if self._password is not None:
                return
        while self._pending and (sent := self._channel.send(bytes(self._pending[:CHUNK]))):
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
        for fd in self._channel.wait(readers, bool(self._pending or self._password), timeout):
            data = b""
            # A terminal that has hung up is an error.
            with contextlib.suppress(OSError):
                data = os.read(fd, 4096)
            if fd == self._resized:
                self._channel.resize(*self._pty.get_size())
            elif data:
                self._pending = memoryview(bytes(self._pending) + data)
            else:
                self._keyboard = None


def _screen(stream: TextIO) -> Callable[[bytes, bool], None]:
    """Return what shows bytes on a stream, also when a character arrives in two pieces."""
    if drops_all(stream):
        return _show_nowhere
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    is_broken = False

    def show(data: bytes, final: bool) -> None:
        nonlocal is_broken
        text = decoder.decode(data, final)
        if text and not is_broken:
            # It stays so when this fails: that is raised once, and ends the command.
            is_broken = True
            write_text(stream, text)
            is_broken = False

    return show


def _show_nowhere(data: bytes, final: bool) -> None:
    pass
