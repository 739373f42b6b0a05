"""What a channel needs of paramiko's private parts: its news, its signals, its end."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Any

import paramiko
from paramiko.common import cMSG_CHANNEL_REQUEST, cMSG_CHANNEL_WINDOW_ADJUST

from .transport import BROKEN, Transport

__all__ = [
    "Waker",
    "attach_waker",
    "close_channel",
    "exit_signal",
    "reason_of_end",
    "receive",
    "receive_stderr",
    "send_signal",
]


def exit_signal(channel: paramiko.Channel) -> str | None:
    """Return the name of the signal that ended the command, without ``SIG``."""
    signal: str | None = getattr(channel, "deployer_exit_signal", None)
    return signal


def send_signal(channel: paramiko.Channel, name: str) -> None:
    """Send a signal (``'TERM'``) to the process group of the command.

    Only before its exit status has come: after it, sshd drops the whole connection over this.
    """
    message = paramiko.Message()
    message.add_byte(cMSG_CHANNEL_REQUEST)
    message.add_int(channel.remote_chanid)
    message.add_string("signal")
    message.add_boolean(False)
    message.add_string(name)
    channel.get_transport()._send_user_message(message)  # type: ignore[attr-defined]


class Waker:
    """Set by news on a channel; can be waited for alone, or through a file descriptor."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._pipe: tuple[int, int] | None = None

    def set(self) -> None:
        if self._pipe is None and self._event.is_set():
            # Whoever waits clears it before looking at what there is.
            return
        self._event.set()
        with self._lock:
            if self._pipe is not None:
                with contextlib.suppress(BlockingIOError):
                    os.write(self._pipe[1], b"\0")

    def clear(self) -> None:
        """Do nothing: paramiko clears one buffer's news while the other may still have some."""

    def wait(self, timeout: float) -> None:
        """Wait for news since the last wait."""
        self._event.wait(timeout)
        self._event.clear()

    def fileno(self) -> int:
        """Return a file descriptor that is readable when there is news; see ``drain``."""
        with self._lock:
            if self._pipe is None:
                self._pipe = os.pipe()
                for fd in self._pipe:
                    os.set_blocking(fd, False)
                if self._event.is_set():
                    os.write(self._pipe[1], b"\0")
            return self._pipe[0]

    def drain(self) -> None:
        """Forget the news that the file descriptor was readable for."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self.fileno(), 4096):
                pass

    def close(self) -> None:
        with self._lock:
            if self._pipe is not None:
                for fd in self._pipe:
                    os.close(fd)
                self._pipe = None


class _NotifyingEvent(threading.Event):
    def __init__(self, waker: Waker) -> None:
        super().__init__()
        self._waker = waker

    def set(self) -> None:
        super().set()
        self._waker.set()


def attach_waker(channel: paramiko.Channel, waker: Waker) -> None:
    """Have all news of a channel set the waker: data, the end of data, the exit status.

    Before anything was started on the channel. paramiko's own ``Channel.fileno`` knows nothing
    of the exit status, and can lose news when both streams get some at once.
    """
    channel.in_buffer.set_event(waker)  # type: ignore[attr-defined, arg-type, unused-ignore]
    channel.in_stderr_buffer.set_event(waker)  # type: ignore[attr-defined, arg-type, unused-ignore]
    channel.status_event = _NotifyingEvent(waker)  # type: ignore[attr-defined, unused-ignore]


def reason_of_end(channel: paramiko.Channel) -> str:
    """Return why the connection of a channel has ended; nothing where that is not known."""
    transport = channel.get_transport()
    assert isinstance(transport, Transport)
    return transport.ended_because or transport.disconnect_reason or ""


def receive(channel: paramiko.Channel, size: int) -> bytes:
    """Return what has arrived on stdout, also when the connection broke since."""
    return _receive(channel, channel.in_buffer, size)  # type: ignore[attr-defined, unused-ignore]


def receive_stderr(channel: paramiko.Channel, size: int) -> bytes:
    """Return what has arrived on stderr, also when the connection broke since."""
    return _receive(channel, channel.in_stderr_buffer, size)  # type: ignore[attr-defined, unused-ignore]


def _receive(channel: Any, buffer: Any, size: int) -> bytes:
    data: bytes = buffer.read(size)
    room = channel._check_add_window(len(data))
    if room:
        message = paramiko.Message()
        message.add_byte(cMSG_CHANNEL_WINDOW_ADJUST)
        message.add_int(channel.remote_chanid)
        message.add_int(room)
        # paramiko would raise here, and what was read would be lost.
        with contextlib.suppress(*BROKEN):
            channel.transport._send_user_message(message)
    return data


def close_channel(channel: paramiko.Channel) -> None:
    """Close a channel; it does not matter whether there is still a connection to say so on."""
    with contextlib.suppress(*BROKEN):
        channel.close()
