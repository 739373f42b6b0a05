"""What a connection needs of paramiko's private parts: its packets, its keepalive, its end."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
import weakref
from typing import Any

import paramiko
from paramiko.common import MSG_CHANNEL_CLOSE, MSG_CHANNEL_REQUEST, cMSG_GLOBAL_REQUEST
from paramiko.packet import Packetizer
from paramiko.transport import ChannelMap

from ...measured import CIPHERS_FIRST, LONGEST_SLEEP, LONGEST_SLEEP_BEFORE
from ..interrupts import interrupts_wait
from ..keepalive import Keepalive, Step, Stream
from ..stacks import SmallStack

__all__ = ["BROKEN", "Transport", "prepare_socket"]

#: What paramiko raises when a connection, or a channel of it, is no more.
BROKEN = (paramiko.SSHException, EOFError, OSError)

# What goes wrong is told by exceptions. Without a handler, Python would print what paramiko logs
# of it, with tracebacks, to the terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

# OpenSSH's own limit is 256 KB.
_LONGEST_PACKET = 512 * 1024
# Seconds that a connection may take to end.
_CLOSING = 1.0


def prepare_socket(sock: socket.socket, keepalive: bool = True) -> None:
    """Set what an SSH connection wants of TCP."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, keepalive)
        # Without it each command waits 44 ms for a delayed acknowledgement.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _Packetizer(Packetizer):
    """paramiko's packets, with a deadline that needs no thread, and a limit on their length."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._deadline: float | None = None
        self.keepalive: Keepalive | None = None

    def start_handshake(self, timeout: float) -> None:
        # paramiko starts a timer, whose thread would outlive a handshake that fails.
        self._deadline = time.monotonic() + timeout

    def handshake_timed_out(self) -> bool:
        return self._deadline is not None and time.monotonic() > self._deadline

    def complete_handshake(self) -> None:
        self._deadline = None

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if n > _LONGEST_PACKET:
            # paramiko would wait for gigabytes.
            raise paramiko.SSHException(f"the length of a packet was corrupted ({n})")
        data: bytes = super().read_all(n, check_rekey)
        return data

    def read_message(self) -> tuple[int, paramiko.Message]:
        kind, message = super().read_message()
        if self.keepalive is not None:
            self.keepalive.packet_arrived()
        return kind, message

    def give_up(self) -> None:
        """Have all reading and writing raise EOFError, once those who wait are woken."""
        self._Packetizer__closed = True


class _Channels(ChannelMap):
    """paramiko's channels, none of which is seen before it is complete.

    Where a connection ends while a channel is made, its thread would fail, and nobody would be
    told of the end.

    A channel is looked up without paramiko's lock. What that protects takes none; and Ctrl-C right
    after it was taken would leave it so, and the connection would wait for it forever.
    """

    _map: weakref.WeakValueDictionary[int, paramiko.Channel]

    def __init__(self, lock: threading.Lock) -> None:
        super().__init__()
        self._making = lock

    def put(self, chanid: int, chan: paramiko.Channel) -> None:
        self._map[chanid] = chan

    # Typeshed does not say that it may be None.
    def get(self, chanid: int) -> paramiko.Channel | None:  # type: ignore[override]
        return self._map.get(chanid)

    def delete(self, chanid: int) -> None:
        self._map.pop(chanid, None)

    def values(self) -> list[paramiko.Channel]:
        with self._making:
            references = self._map.valuerefs()
        return [channel for each in references if (channel := each()) is not None]

    def __len__(self) -> int:
        return len(self._map)


class _Events(dict[int, threading.Event]):
    """What those wait for who open a channel; more may come while all of them are told."""

    def values(self) -> Any:
        return list(super().values())


class Transport(SmallStack, paramiko.Transport):
    """paramiko's transport, which notices a dead peer, and never waits for one when it is closed.

    It also keeps the signal that ended a command, and the end of a channel is left to its user.
    """

    packetizer: _Packetizer

    def __init__(self, sock: Any) -> None:
        stream: Any = Stream(sock)
        self.stream: Stream = stream
        self._under = sock
        self._longest_sleep = LONGEST_SLEEP_BEFORE
        #: Why it was ended from here; None if it was not.
        self.ended_because: str | None = None
        #: What the other side said when it ended it; None if it said nothing.
        self.disconnect_reason: str | None = None
        self._global_requests = threading.Condition()
        self._asked = self._answered = 0
        self._others = 0
        super().__init__(stream, packetizer_class=_Packetizer)
        self._channels = _Channels(self.lock)
        self.channel_events = _Events()
        self.stream.on_silence = self._on_silence
        options = self.get_security_options()
        others = [name for name in options.ciphers if name not in CIPHERS_FIRST]
        options.ciphers = [*CIPHERS_FIRST, *others]

    def rest(self) -> None:
        """Have its thread sleep for long while nothing arrives; for one that has logged in."""
        # What cannot be woken has to look by itself whether it is to end.
        if isinstance(self._under, socket.socket | paramiko.Channel):
            self._longest_sleep = LONGEST_SLEEP

    def watch(self, interval: float, count: int) -> None:
        """Ask for a sign of life after each ``interval`` of silence; end it after ``count``."""
        self.packetizer.keepalive = Keepalive(interval, count)

    def get_exception(self) -> Exception | None:
        error = super().get_exception()
        if error is None or isinstance(error, BROKEN):
            return error
        # A byte that is wrong can make it anything: a bad tag, text that is no UTF-8.
        wrapped = paramiko.SSHException(f"it sent what cannot be read ({error!r})")
        wrapped.__cause__ = error
        return wrapped

    def is_active(self) -> bool:
        # Its thread may not know yet.
        return bool(self.active) and not self.packetizer.closed

    def seconds_of_silence(self) -> float:
        """Return since when nothing has arrived."""
        return time.monotonic() - self.stream.last_arrival

    # The thread of the transport comes here whenever its sleep ends, and whoever is stuck in
    # sending, too: then nobody can ask, but what is stuck is as good as a question.
    def _on_silence(self, sending: bool) -> float:
        keepalive = self.packetizer.keepalive
        if keepalive is None:
            return self._longest_sleep
        step = keepalive.next_step(time.monotonic(), self.stream.last_arrival, self.stream.unsent())
        if step is Step.GIVE_UP:
            self.abort(f"nothing came from it for {self.seconds_of_silence():.0f} seconds")
        elif step is Step.ASK and not sending:
            self._ask()
        due = keepalive.due(self.stream.last_arrival)
        return min(due - time.monotonic(), self._longest_sleep)

    def _ask(self) -> None:
        with self._global_requests:
            # Replies carry no number. During a key exchange, nothing else may be sent.
            if self._others or not self.clear_to_send.is_set():
                return
            self._asked += 1
        self._send_message(_question())

    def ask(self) -> int | None:
        """Ask for a sign of life now; return the question's number, or None to try again later."""
        with self._global_requests:
            if self._others:
                return None
            self._asked += 1
            number = self._asked
        self._send_user_message(_question())
        return number

    def has_answered(self, number: int) -> bool:
        """Whether a question of ``ask`` was answered: what the host sent before it is here."""
        return self._answered >= number

    def global_request(self, kind: str, data: Any = None, wait: bool = True) -> Any:
        if not wait:
            return super().global_request(kind, data, wait)
        with self._global_requests:
            self._global_requests.wait_for(lambda: not self._others, self.channel_timeout)
            self._others += 1
            self._global_requests.wait_for(
                lambda: self._answered == self._asked, self.channel_timeout
            )
        try:
            return super().global_request(kind, data, wait)
        finally:
            with self._global_requests:
                self._others -= 1
                self._global_requests.notify_all()

    def _is_sign_of_life(self) -> bool:
        with self._global_requests:
            if self._answered == self._asked:
                return False
            self._answered += 1
            self._global_requests.notify_all()
            return True

    def _parse_request_success(self, m: paramiko.Message) -> None:
        if not self._is_sign_of_life():
            super()._parse_request_success(m)  # type: ignore[misc]

    def _parse_request_failure(self, m: paramiko.Message) -> None:
        if not self._is_sign_of_life():
            super()._parse_request_failure(m)  # type: ignore[misc]

    # For each connection, paramiko makes sixteen lists of what is not disabled, of which nothing
    # ever is, and thirty log messages, for which there is hardly ever anybody.

    def _filter_algorithm(self, type_: str) -> tuple[str, ...]:
        if self.disabled_algorithms:
            filtered: tuple[str, ...] = super()._filter_algorithm(type_)  # type: ignore[misc]
            return filtered
        return tuple(getattr(self, f"_preferred_{type_}"))

    def _log(self, level: int, msg: Any, *args: Any) -> None:
        if self.logger.isEnabledFor(level):
            super()._log(level, msg, *args)  # type: ignore[misc]

    def _parse_debug(self, m: paramiko.Message) -> None:
        # sshd sends some at each login, and paramiko takes a millisecond to make a log message of
        # each.
        pass

    def _parse_disconnect(self, m: paramiko.Message) -> None:
        m.get_int()
        self.disconnect_reason = m.get_text()

    def _send_message(self, data: paramiko.Message) -> None:
        with interrupts_wait():
            try:
                super()._send_message(data)  # type: ignore[misc]
            except BaseException:
                # What has left may be half a packet.
                self.abort()
                raise

    def _send_user_message(self, data: paramiko.Message) -> None:
        # An interrupt in the middle would leave a lock taken.
        with interrupts_wait():
            try:
                super()._send_user_message(data)  # type: ignore[misc]
            except paramiko.SSHException:
                self.abort("its key exchange did not end")
                raise

    def abort(self, reason: str | None = None) -> None:
        """End the connection without waiting for anything; its own thread cleans up."""
        self.ended_because = self.ended_because or reason
        self.packetizer.give_up()
        if isinstance(self._under, paramiko.Channel):
            # A channel of another connection: closing it would say so there, and might wait.
            _end_channel(self._under)
        else:
            self.stream.wake()

    def close(self) -> None:
        """End the connection, and wait a moment for its thread."""
        self.abort()
        if self.is_alive() and self is not threading.current_thread():
            self.join(_CLOSING)
        # Whoever waits for something here looks at this.
        self.active = False
        if not self.is_alive():
            self.sock.close()

    def abandon(self) -> None:
        """Be nobody's in a forked child: the connection is the parent's, and has no thread here.

        Nothing is said to the other side, and nothing waits.
        """
        self.active = False
        self.packetizer.give_up()
        # Another thread of the parent may have held any lock.
        for channel in list(self._channels._map.values()):
            channel.lock = threading.Lock()
            channel.closed = True
        if isinstance(self._under, socket.socket):
            # Only this process's descriptor; unlike `shutdown`.
            socket.socket.close(self._under)

    def stop_thread(self) -> None:
        # paramiko's would close a channel of another connection here, and wait for that one.
        self.abort()


def _question() -> paramiko.Message:
    message = paramiko.Message()
    message.add_byte(cMSG_GLOBAL_REQUEST)
    message.add_string("keepalive@openssh.com")
    message.add_boolean(True)
    return message


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
    _end_channel(channel)


def _end_channel(channel: Any) -> None:
    """Tell all who wait for a channel that it has ended; nothing is sent."""
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
