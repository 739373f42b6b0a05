"""A host that is reached over SSH."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar

from ...exceptions import ConnectionLost
from ...secret import Secret
from ..base import Host

if TYPE_CHECKING:
    from ..channel import Channel
    from ..credentials import Account
    from ..files import FileSystem
    from ..relay import Stream
    from .connection import Connection

__all__ = ["SSHHost"]


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
    is_remote: ClassVar[bool] = True

    @classmethod
    def get_username(cls) -> str:
        from .connection_pool import connections

        return connections.get(cls).settings().username

    @classmethod
    def _account(cls) -> Account:
        from .authentication import account
        from .config import resolve

        return account(cls, resolve(cls))

    @property
    def _connection(self) -> Connection:
        # paramiko takes 150 ms to import: only once there is something to connect to.
        from .connection_pool import connections

        return connections.get(type(self))

    def connect(self) -> None:
        self._connection.transport(self.pty)

    def _wants_terminal(self, silent: bool) -> bool:
        wanted = self._connection.settings().request_tty
        if wanted in ("no", "force"):
            return wanted == "force"
        return super()._wants_terminal(silent)

    @contextlib.contextmanager
    def _open_channel(self, line: str, in_pty: bool) -> Iterator[Channel]:
        from . import tuning
        from .channel import SSHChannel

        if self.shell:
            from ..command import through_login_shell

            line = through_login_shell(self.shell, line)
        connection = self._connection
        with connection.session(self.pty) as session:
            waker = tuning.Waker()
            tuning.attach_waker(session, waker)
            try:
                # Meanwhile, a server may have been waited for.
                self.pty.check_interrupted()
                terminal = (self.pty.term, *self.pty.get_size()) if in_pty else None
                command = line.encode(errors="surrogateescape")
                tuning.start_command(session, command, terminal, connection.open_ahead)
            except tuning.BROKEN as error:
                waker.close()
                reason = tuning.reason_of_end(session) or error
                raise ConnectionLost(
                    f"{self.slug}: {self.address} did not take a command: {reason}; whether it ran "
                    "is unknown"
                ) from error
            except BaseException:
                waker.close()
                raise
            try:
                yield SSHChannel(session, waker, in_pty, connection)
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
                from ..command import shell_path

                found = self.run_unseen(f"echo {shell_path('~' + username)}")
                known[username] = self._home_of(username, found.removesuffix("\n"))
        return known[username]

    @contextlib.contextmanager
    def _beside(self) -> Iterator[Host]:
        # On a connection of its own: this one may have no session left. A connection belongs to
        # a class.
        from .connection_pool import connections

        beside: type[SSHHost] = type(type(self).__name__, (type(self),), {"slug": self.slug})
        try:
            yield beside()
        finally:
            connections.forget(beside)

    @classmethod
    def close_connection(cls) -> None:
        """Close the connection of this host; the next use opens it again."""
        from .connection_pool import connections

        connections.close_one(cls)

    @classmethod
    def abort_connection(cls) -> None:
        """Close the connection at once, without a word to the host.

        What waits for it raises ConnectionLost; the next use opens a new one.
        """
        from .connection_pool import connections

        connections.abort_one(cls)
