"""The streams of a command of ours that runs as root: read as it prints, written as it reads."""

from __future__ import annotations

import errno
import io
import os
import time
from collections.abc import Callable

from ..exceptions import ConnectionLost
from ..pseudo_terminal import Pty
from .channel import Channel
from .interaction import Exchange
from .measured import CHUNK

__all__ = ["CommandStream", "RootReader", "command_error"]

# What a command of ours says about itself; not more of it is kept.
_MOST_STDERR = 64 * 1024
# Seconds without anything, after which the other side is given up. As for SFTP.
_TIMEOUT = 60.0
_INTERRUPT_CHECK = 0.5
_END_TIMEOUT = 0.5
# What the messages of commands end with.
_ERRNOS = (
    *(errno.ENOENT, errno.EACCES, errno.EPERM, errno.EEXIST, errno.EISDIR, errno.ENOTDIR),
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ELOOP, errno.ETXTBSY, errno.EIO),
)


class CommandStream:
    """A command that has started. Its output begins after a mark: before it, a start-up file of the
    login shell may have printed something.

    :param begun: what it has printed so far.
    :param lost: makes the error for a connection that broke.
    """

    def __init__(
        self,
        channel: Channel,
        pty: Pty,
        mark: str,
        begun: Exchange,
        lost: Callable[[], ConnectionLost],
    ) -> None:
        self._channel = channel
        self._pty = pty
        self._mark = mark.encode()
        self._received = bytes(begun.stdout)
        self._stderr = bytes(begun.stderr)
        self.lost = lost
        self.closed = False

    def read_heading(self) -> str:
        """Return the first line after the mark; raise ``OSError`` when there is none."""
        while True:
            _, mark, rest = self._received.partition(self._mark)
            line, newline, after = rest.partition(b"\n")
            if mark and newline:
                self._received = after
                return line.decode(errors="surrogateescape")
            data = self._receive(CHUNK)
            if not data:
                self.check_end()
                raise OSError("the host did not do what it was asked to")
            self._received += data

    def recv(self, size: int) -> bytes:
        """Return the next bytes that it prints; nothing at the end."""
        if self._received:
            data, self._received = self._received[:size], self._received[size:]
            return data
        return self._receive(size)

    def _receive(self, size: int) -> bytes:
        deadline = time.monotonic() + _TIMEOUT
        while True:
            self._take_stderr()
            if self._channel.recv_ready():
                if data := self._channel.recv(size):
                    return data
            elif self._channel.at_end() and self._channel.exit_status_ready():
                return b""
            self._wait(deadline, sending=False)

    def send(self, data: bytes) -> int:
        """Write some of the bytes to it; return how many."""
        deadline = time.monotonic() + _TIMEOUT
        while not (sent := self._channel.send(data[:CHUNK])):
            self._take_stderr()
            self._wait(deadline, sending=True)
        return sent

    def check_end(self) -> None:
        """Raise unless it has ended well."""
        status, signal = self._channel.exit_status, self._channel.exit_signal
        if status is None and signal is None:
            raise self.lost()
        if status != 0:
            said = self._stderr.decode(errors="surrogateescape")
            raise command_error(said or f"ended by SIG{signal}" if signal else said)

    def get_name(self) -> str:
        """Return what an SFTP client writes in its log."""
        return "root"

    def close(self) -> None:
        """End its input; a program that reads all of it, and has nothing to say, then ends."""
        if self.closed:
            return
        self.closed = True
        self._channel.shutdown_write()
        deadline = time.monotonic() + _END_TIMEOUT
        # One that still writes is ended with its channel.
        while (
            not self._channel.exit_status_ready()
            and not self._channel.recv_ready()
            and (left := deadline - time.monotonic()) > 0
        ):
            self._channel.wait([], False, left)

    def _take_stderr(self) -> None:
        while self._channel.recv_stderr_ready():
            data = self._channel.recv_stderr(CHUNK)
            if not data:
                break
            self._stderr = (self._stderr + data)[-_MOST_STDERR:]

    def _wait(self, deadline: float, sending: bool) -> None:
        self._pty.check_interrupted()
        if self.closed or time.monotonic() > deadline:
            raise self.lost()
        self._channel.wait([], sending, _INTERRUPT_CHECK)


class RootReader(io.RawIOBase):
    """What a command prints, as a file that is read once."""

    def __init__(self, stream: CommandStream) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            return b"".join(iter(lambda: self.read(CHUNK), b""))
        data = self._stream.recv(size)
        if size and not data:
            self._stream.check_end()
        return data


def command_error(said: str) -> OSError:
    """Return the error that the last line of a command's stderr is about."""
    lines = said.strip().splitlines()
    line = lines[-1] if lines else "the command for it failed, and did not say why"
    for number in _ERRNOS:
        if line.endswith(os.strerror(number)):
            return OSError(number, line)
    return OSError(line)
