"""Every measured setting, and all that is private in paramiko.

Nothing else of deployer touches what paramiko does not document. ``tests/test_ssh_tuning.py``
fails when a release of paramiko changes what is relied on here.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from typing import Any

import paramiko
from paramiko.common import MSG_CHANNEL_CLOSE, MSG_CHANNEL_REQUEST, cMSG_CHANNEL_REQUEST

__all__ = ["Transport", "Waker", "attach_waker", "exit_signal", "prepare_socket", "send_signal"]

# What goes wrong is told by exceptions. Without a handler, Python would print what paramiko logs
# of it, with tracebacks, to the terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

# GCM takes 1.5 ms of CPU for each MB, CTR with a MAC 2.2; paramiko lists it last.
_FIRST_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")


def prepare_socket(sock: socket.socket) -> None:
    """Set what an SSH connection wants of TCP."""
    with contextlib.suppress(OSError):
        # Without it each command waits 44 ms for a delayed acknowledgement.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Transport(paramiko.Transport):
    """paramiko's transport, which also keeps the signal that ended a command, and closes safely."""

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        options = self.get_security_options()
        others = [name for name in options.ciphers if name not in _FIRST_CIPHERS]
        options.ciphers = [*_FIRST_CIPHERS, *others]


def _handle_channel_request(channel: Any, message: paramiko.Message) -> None:
    # RFC 4254, section 6.10; paramiko knows "exit-status" only.
    position = message.packet.tell()
    if message.get_text() == "exit-signal":
        message.get_boolean()
        channel.deployer_exit_signal = message.get_text()
        channel.status_event.set()
        return
    message.packet.seek(position)
    paramiko.Channel._handle_request(channel, message)  # type: ignore[attr-defined]


def _handle_channel_close(channel: Any, message: paramiko.Message) -> None:
    # paramiko would answer here, in the thread of the transport, while the thread that uses the
    # channel may be about to send something on it. That would then arrive after the answer, for a
    # channel that is no more, and OpenSSH drops the whole connection over it. So the answer is
    # left to the thread that uses the channel: it closes it in any case.
    with channel.lock:
        channel.eof_received = True
        channel.eof_sent = True
        channel.in_buffer.close()
        channel.in_stderr_buffer.close()
        channel.out_buffer_cv.notify_all()
        channel.event.set()
        channel.status_event.set()


Transport._channel_handler_table = {  # type: ignore[attr-defined]
    **paramiko.Transport._channel_handler_table,  # type: ignore[attr-defined]
    MSG_CHANNEL_CLOSE: _handle_channel_close,
    MSG_CHANNEL_REQUEST: _handle_channel_request,
}


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
