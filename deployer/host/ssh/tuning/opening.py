"""Sessions: opened before they are needed, prepared, and given what they are to do."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import paramiko
from paramiko.buffered_pipe import BufferedPipe
from paramiko.common import cMSG_CHANNEL_OPEN, cMSG_CHANNEL_REQUEST

from .channels import close_channel
from .transport import Transport

__all__ = ["SessionAhead", "prepare_session", "start_command"]


class _Pieces:
    """What paramiko uses of an array of bytes: a queue, from which pieces come as they went in.

    paramiko's array is moved as a whole each time that something is taken from its beginning: of
    the 2 MB that a window holds, 64 times.
    """

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        # How much of the first piece is gone, and how much there is in all.
        self._gone = 0
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def append(self, data: bytes) -> None:
        if data:
            self._pieces.append(data)
            self._size += len(data)

    def first(self, limit: int) -> bytes:
        """Return the first bytes, which stay."""
        begin, left, found = self._gone, min(limit, self._size), []
        for piece in self._pieces:
            if not left:
                break
            part = piece if not begin and len(piece) <= left else piece[begin : begin + left]
            found.append(part)
            begin, left = 0, left - len(part)
        return found[0] if len(found) == 1 else b"".join(found)

    def __delitem__(self, taken: slice) -> None:
        gone = self._size if taken.stop is None else min(taken.stop, self._size)
        self._size -= gone
        gone += self._gone
        while self._pieces and gone >= len(self._pieces[0]):
            gone -= len(self._pieces.popleft())
        self._gone = gone


_BufferedPipe: Any = BufferedPipe


class _Pipe(_BufferedPipe):  # type: ignore[misc]
    """paramiko's pipe, which copies nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._buffer: Any = _Pieces()

    def _buffer_frombytes(self, data: bytes) -> None:
        self._buffer.append(data)

    def _buffer_tobytes(self, limit: int | None = None) -> bytes:
        found: bytes = self._buffer.first(len(self._buffer) if limit is None else limit)
        return found


class _Replies(threading.Event):
    """The event that paramiko waits for without a deadline when it wants a reply.

    It is set when as many requests were granted as were made at once, or the channel has ended.
    """

    def __init__(self, channel: paramiko.Channel, seconds: float) -> None:
        super().__init__()
        self._channel = channel
        self._seconds = seconds
        self.wanted = 1
        self.granted = 0

    def clear(self) -> None:
        super().clear()
        self.granted = 0

    def set(self) -> None:
        if not (self._channel.closed or self._channel.eof_received):
            self.granted += 1
            if self.granted < self.wanted:
                return
        super().set()

    def wait(self, timeout: float | None = None) -> bool:
        deadline = time.monotonic() + self._seconds
        while not super().wait(0.5):
            if not self._channel.get_transport().is_active():
                raise paramiko.SSHException("the connection is no more")
            if time.monotonic() > deadline:
                raise paramiko.SSHException(f"no reply within {self._seconds:g} seconds")
        return True


def prepare_session(channel: paramiko.Channel, seconds: float) -> None:
    """Make a new session fast, and have requests on it raise when no reply comes in time."""
    session: Any = channel
    session.in_buffer, session.in_stderr_buffer = _Pipe(), _Pipe()
    session.event = _Replies(channel, seconds)


def start_command(
    channel: paramiko.Channel,
    command: bytes,
    terminal: tuple[str, int, int] | None,
    meanwhile: Callable[[], None],
) -> None:
    """Start a command on a prepared session, in a terminal or without one: one round trip.

    :param terminal: its kind (``TERM``), rows and columns.
    :param meanwhile: is called before the reply is waited for.
    """
    session: Any = channel
    requests = [_request(channel, "exec", command)]
    if terminal is not None:
        term, rows, columns = terminal
        requests.insert(0, _request(channel, "pty-req", term, columns, rows, 0, 0, b""))
    replies: _Replies = session.event
    replies.clear()
    replies.wanted = len(requests)
    for request in requests:
        session.transport._send_user_message(request)
    meanwhile()
    replies.wait()
    granted, replies.wanted = replies.granted, 1
    if granted < len(requests):
        raise session.transport.get_exception() or paramiko.SSHException("Channel closed.")


def _request(channel: paramiko.Channel, kind: str, *arguments: str | bytes | int) -> Any:
    message = paramiko.Message()
    message.add_byte(cMSG_CHANNEL_REQUEST)
    message.add_int(channel.remote_chanid)
    message.add_string(kind)
    message.add_boolean(True)
    for argument in arguments:
        if isinstance(argument, int):
            message.add_int(argument)
        else:
            message.add_string(argument)
    return message


class SessionAhead:
    """A session that is opened before somebody needs it, without waiting for it."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        private: Any = transport
        with private.lock:
            number = private._next_channel()
            # paramiko's own sizes.
            window = private._sanitize_window_size(None)
            packet = private._sanitize_packet_size(None)
            channel: Any = paramiko.Channel(number)
            private._channels.put(number, channel)
            private.channel_events[number] = self._opened = threading.Event()
            private.channels_seen[number] = True
            channel._set_transport(transport)
            channel._set_window(window, packet)
        # paramiko's own reference is a weak one.
        self._channel = channel
        message = paramiko.Message()
        message.add_byte(cMSG_CHANNEL_OPEN)
        message.add_string("session")
        for value in (number, window, packet):
            message.add_int(value)
        private._send_user_message(message)

    def take(self, timeout: float) -> paramiko.Channel | None:
        """Return the session; None if it was refused, is not there in time, or has ended again."""
        deadline = time.monotonic() + timeout
        while not self._opened.wait(0.1):
            if not self.transport.is_active() or time.monotonic() > deadline:
                return None
        channel: paramiko.Channel = self._channel
        if self.transport._channels.get(channel.chanid) is None:
            # Refused, and why is nobody's business.
            self.transport.get_exception()
            return None
        if channel.closed or channel.eof_received:
            close_channel(channel)
            return None
        return channel

    def give_up(self, timeout: float) -> None:
        """Close the session that nobody needed."""
        channel = self.take(timeout)
        if channel is not None:
            close_channel(channel)
