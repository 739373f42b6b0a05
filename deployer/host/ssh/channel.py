"""A running command on an SSH host."""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import paramiko

from . import tuning
from .ending import ending_what_is_left

if TYPE_CHECKING:
    from .connection import Connection

__all__ = ["SSHChannel"]

# Times that sshd comes round before all is sent that a pipe can hold (64 KB).
_ANSWERS = 8


class SSHChannel:
    """A session of paramiko's, as a :class:`~deployer.host.channel.Channel`."""

    def __init__(
        self, session: paramiko.Channel, waker: tuning.Waker, in_pty: bool, connection: Connection
    ) -> None:
        self._session = session
        self._waker = waker
        self._in_pty = in_pty
        self._question: int | None = None
        self._answers = 0
        self._connection = connection

    def recv_ready(self) -> bool:
        return self._session.recv_ready()

    def recv(self, size: int) -> bytes:
        return tuning.receive(self._session, size)

    def recv_stderr_ready(self) -> bool:
        return self._session.recv_stderr_ready()

    def recv_stderr(self, size: int) -> bytes:
        return tuning.receive_stderr(self._session, size)

    def at_end(self) -> bool:
        ended = self._session.eof_received or self._session.closed
        return bool(ended) and not self.recv_ready() and not self.recv_stderr_ready()

    def has_caught_up(self) -> bool:
        # sshd tells of the end when it learns of it, and reads what is left in the pipes of the
        # command afterwards, a part at a time; and a network may stop in between. What it sent
        # before it answered a question is here, and it reads some more before it takes the next.
        transport = self._session.get_transport()
        assert isinstance(transport, tuning.Transport)
        with contextlib.suppress(*tuning.BROKEN):
            if self._question is not None and transport.has_answered(self._question):
                self._question = None
                self._answers += 1
            if self._question is None and self._answers < _ANSWERS:
                self._question = transport.ask()
        return self._answers >= _ANSWERS

    def exit_status_ready(self) -> bool:
        return self._session.exit_status_ready()

    @property
    def exit_status(self) -> int | None:
        if not self.exit_status_ready() or self._is_cut_off() or tuning.exit_signal(self._session):
            return None
        # -1 is paramiko's way to say that none has come.
        status = self._session.recv_exit_status()
        return None if status < 0 else status

    @property
    def exit_signal(self) -> str | None:
        return None if self._is_cut_off() else tuning.exit_signal(self._session)

    def _is_cut_off(self) -> bool:
        """Whether the connection broke before all output had arrived."""
        session = self._session
        if session.eof_received:
            return False
        # Its channels end a moment before the connection counts as ended.
        return session.closed or not session.get_transport().is_active()

    def send(self, data: bytes) -> int:
        session = self._session
        if session.closed or session.eof_sent:
            return len(data)
        if not session.send_ready():
            return 0
        try:
            return session.send(data)
        except tuning.BROKEN:
            return len(data)

    def shutdown_write(self) -> None:
        with contextlib.suppress(*tuning.BROKEN):
            self._session.shutdown_write()

    def resize(self, rows: int, columns: int) -> None:
        with contextlib.suppress(*tuning.BROKEN):
            self._session.resize_pty(columns, rows)

    def wait(self, readers: Sequence[int], sending: bool, timeout: float) -> list[int]:
        if sending:
            # Nothing tells that there is room again; mostly, output does.
            timeout = min(timeout, 0.01)
        if not readers:
            self._waker.wait(timeout)
            return []
        poll = select.poll()
        for fd in (self._waker.fileno(), *readers):
            poll.register(fd, select.POLLIN)
        ready = [fd for fd, _ in poll.poll(timeout * 1000)]
        self._waker.drain()
        return [fd for fd in ready if fd in readers]

    def terminate(self) -> None:
        if self._session.exit_status_ready():
            # What has ended by itself has left what it wanted to leave.
            self._end_command()
            return
        runs = False
        with (
            self._connection.spare_session(timeout=2.0) as spare,
            ending_what_is_left(spare, lambda: runs),
        ):
            runs = self._end_command()

    def _end_command(self) -> bool:
        """End the command; return whether it is sure that it runs on all the same."""
        runs = False
        if not self._in_pty:
            # With a terminal, closing the session hangs up; without, the command would live on.
            for name in ("TERM", "KILL"):
                if self._session.exit_status_ready():
                    break
                with contextlib.suppress(*tuning.BROKEN):
                    tuning.send_signal(self._session, name)
                deadline = time.monotonic() + 1.0
                while not self._session.exit_status_ready() and time.monotonic() < deadline:
                    self._waker.wait(deadline - time.monotonic())
            runs = not self._session.exit_status_ready()
        tuning.close_channel(self._session)
        return runs

    def close(self) -> None:
        tuning.close_channel(self._session)
