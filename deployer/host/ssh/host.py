"""A host that is reached over SSH."""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from ...exceptions import ConnectionLost
from ...secret import Secret
from ..base import Host
from ..channel import Channel
from ..command import shell_path, through_login_shell
from ..credentials import Account
from ..files import FileSystem
from ..forwarding import Stream

if TYPE_CHECKING:
    import paramiko

    from .connection import Connection
    from .tuning import Waker

__all__ = ["SSHHost"]

# Times that sshd comes round before all is sent that a pipe can hold (64 KB).
_ANSWERS = 8


class SSHHost(Host):
    """A machine that is reached over SSH.

    What a class leaves unset comes from the ssh config, so that an address that works with
    ``ssh ADDRESS`` works with only ``address`` set; what it sets wins. All instances of a class,
    in all threads, share one connection, which is opened when it is needed.
    """

    #: A name or an address, or an alias of the ssh config.
    address: ClassVar[str | None] = None
    #: 22 unless the ssh config says otherwise.
    port: ClassVar[int | None] = None
    #: The name of the local user unless the ssh config says otherwise.
    username: ClassVar[str | None] = None
    #: A private key; then no other is tried.
    key_filename: ClassVar[str | None] = None
    #: The text of a private key, of any type.
    rsa_key: ClassVar[str | Secret | None] = None
    #: What opens the private keys: as with ``password``, a text, a function, or None to ask.
    rsa_key_password: ClassVar[str | Secret | Callable[[], str | Secret] | None] = None
    #: Seconds that each step of connecting may take; 10 by default.
    timeout: ClassVar[float | None] = None
    #: Seconds without a sign of life after which a silent host is asked for one; when several
    #: questions stay unanswered, the connection is lost. 0 for never.
    keepalive_interval: ClassVar[float | None] = None
    #: The ssh config; None for none.
    config_filename: ClassVar[str | None] = "~/.ssh/config"
    #: Another host class, which this one is reached through; all that name it share its connection.
    #: It wins over ProxyJump and ProxyCommand in the ssh config.
    gateway: ClassVar[type[SSHHost] | None] = None
    #: Whether a host whose key is in no known_hosts file is refused, instead of being remembered.
    reject_unknown_hosts: ClassVar[bool] = False

    @classmethod
    def get_username(cls) -> str:
        from .connection import connections

        return connections.get(cls).settings().username

    @classmethod
    def _account(cls) -> Account:
        from .authentication import account
        from .config import resolve

        return account(cls, resolve(cls))

    @property
    def _connection(self) -> Connection:
        # paramiko takes 150 ms to import: only once there is something to connect to.
        from .connection import connections

        return connections.get(type(self))

    def _wants_terminal(self, silent: bool) -> bool:
        wanted = self._connection.settings().request_tty
        if wanted in ("no", "force"):
            return wanted == "force"
        return super()._wants_terminal(silent)

    @contextlib.contextmanager
    def _open_channel(self, line: str, in_pty: bool) -> Iterator[Channel]:
        from . import tuning

        if self.shell:
            line = through_login_shell(self.shell, line)
        with self._connection.session(self.pty) as session:
            waker = tuning.Waker()
            tuning.attach_waker(session, waker)
            try:
                # Meanwhile, a server may have been waited for.
                self.pty.check_interrupted()
                if in_pty:
                    rows, columns = self.pty.get_size()
                    session.get_pty(self.pty.term, columns, rows)
                session.exec_command(line.encode(errors="surrogateescape"))
            except tuning.BROKEN as error:
                waker.close()
                raise ConnectionLost(
                    f"{self.slug}: {self.address} did not take a command: {error}; whether it ran "
                    "is unknown"
                ) from error
            except BaseException:
                waker.close()
                raise
            try:
                yield _SSHChannel(session, waker, in_pty, self._connection)
            finally:
                # Closed first: what still arrives then wakes nobody.
                tuning.close_channel(session)
                waker.close()

    @contextlib.contextmanager
    def _open_files(self) -> Iterator[FileSystem]:
        with self._connection.sftp(self.pty) as files:
            yield files

    def _connect_from_host(self, address: str, port: int) -> Stream:
        from . import forwarding

        return forwarding.connect(self.slug, self._connection.transport(self.pty), address, port)

    def _listen_on_host(
        self, address: str, port: int, take: Callable[[Stream], None]
    ) -> contextlib.AbstractContextManager[int]:
        from . import forwarding

        return forwarding.listen(
            self.slug, self._connection.transport(self.pty), address, port, take
        )

    def _session_directory(self) -> str:
        return self.get_home_directory()

    def get_home_directory(self, username: str | None = None) -> str:
        """Return the home directory of a user, of the login user by default."""
        known = self._connection.home_directories
        if username not in known:
            if username is None:
                with self._open_files() as files:
                    known[None] = files.real_path(".")
            else:
                found = self._run_outside(f"echo {shell_path('~' + username)}")
                known[username] = self._home_of(username, found.removesuffix("\n"))
        return known[username]

    @contextlib.contextmanager
    def _beside(self) -> Iterator[Host]:
        # On a connection of its own: this one may have no session left. A connection belongs to
        # a class.
        from .connection import connections

        beside: type[SSHHost] = type(type(self).__name__, (type(self),), {"slug": self.slug})
        try:
            yield beside()
        finally:
            connections.forget(beside)

    @classmethod
    def close_connection(cls) -> None:
        """Close the connection of this host; the next use opens it again."""
        from .connection import connections

        connections.close_one(cls)


class _SSHChannel:
    """A session of paramiko's, as a :class:`~deployer.host.channel.Channel`."""

    def __init__(
        self, session: paramiko.Channel, waker: Waker, in_pty: bool, connection: Connection
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
        from . import tuning

        return tuning.receive(self._session, size)

    def recv_stderr_ready(self) -> bool:
        return self._session.recv_stderr_ready()

    def recv_stderr(self, size: int) -> bytes:
        from . import tuning

        return tuning.receive_stderr(self._session, size)

    def at_end(self) -> bool:
        ended = self._session.eof_received or self._session.closed
        return bool(ended) and not self.recv_ready() and not self.recv_stderr_ready()

    def has_caught_up(self) -> bool:
        from . import tuning

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
        from . import tuning

        if not self.exit_status_ready() or self._is_cut_off() or tuning.exit_signal(self._session):
            return None
        # -1 is paramiko's way to say that none has come.
        status = self._session.recv_exit_status()
        return None if status < 0 else status

    @property
    def exit_signal(self) -> str | None:
        from . import tuning

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
        from . import tuning

        try:
            return session.send(data)
        except tuning.BROKEN:
            return len(data)

    def shutdown_write(self) -> None:
        from . import tuning

        with contextlib.suppress(*tuning.BROKEN):
            self._session.shutdown_write()

    def resize(self, rows: int, columns: int) -> None:
        from . import tuning

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
        from .ending import ending_what_is_left

        if self._session.exit_status_ready():
            # What has ended by itself has left what it wanted to leave.
            self._end_command()
            return
        with self._connection.spare_session(timeout=2.0) as spare, ending_what_is_left(spare):
            self._end_command()

    def _end_command(self) -> None:
        from . import tuning

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
        tuning.close_channel(self._session)

    def close(self) -> None:
        from . import tuning

        tuning.close_channel(self._session)
