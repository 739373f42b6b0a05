"""The machine that this process runs on, as a host."""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ..exceptions import ConnectionFailedException
from .base import Host

if TYPE_CHECKING:
    from .channel import Channel
    from .files import FileSystem
    from .relay import Stream

__all__ = ["LocalHost"]


class LocalHost(Host):
    """This machine: the same methods as on any other host, and no connection.

    Commands run in the user's login shell (``/bin/sh`` for a user without one), in the directory
    of this process, and with its environment.
    """

    address = "localhost"

    @classmethod
    def get_username(cls) -> str:
        # Not from $LOGNAME: whether sudo is needed depends on it.
        try:
            return pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            import getpass

            return getpass.getuser()

    @contextlib.contextmanager
    def _open_channel(self, line: str, in_pty: bool) -> Iterator[Channel]:
        # What it needs takes a while to import: only once there is something to run.
        from .local_channel import LocalChannel

        shell = self.shell or _login_shell()
        try:
            channel = LocalChannel(shell, line, self.pty if in_pty else None)
        except OSError as error:
            raise ConnectionFailedException(
                f"{self.slug}: cannot start a command in the shell {shell}: "
                f"{error.strerror or error}{_start_hint(error)}"
            ) from error
        try:
            yield channel
        finally:
            channel.close()

    @contextlib.contextmanager
    def _open_files(self) -> Iterator[FileSystem]:
        from .files import LocalFileSystem

        yield LocalFileSystem()

    def _connect_from_host(self, address: str, port: int) -> Stream:
        from .relay import connect_here

        return connect_here(address, port)

    def _listen_on_host(
        self, address: str, port: int, take: Callable[[Stream], None]
    ) -> contextlib.AbstractContextManager[int]:
        from .relay import listen_here

        return listen_here(address, port, take)

    def _session_directory(self) -> str:
        from .files import file_errors

        with file_errors(self.slug, ".", "find the directory of this process,"):
            return os.getcwd()

    def get_home_directory(self, username: str | None = None) -> str:
        """Return the home directory of a user, of the own one by default."""
        if username is None:
            return os.path.expanduser("~")
        return self._home_of(username, os.path.expanduser(f"~{username}"))


def _login_shell() -> str:
    """Return the shell that ``ssh localhost`` would run, or /bin/sh where that is none."""
    with contextlib.suppress(KeyError):
        shell = pwd.getpwuid(os.getuid()).pw_shell
        if os.path.basename(shell) not in ("", "false", "nologin") and os.access(shell, os.X_OK):
            return shell
    return "/bin/sh"


def _start_hint(error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.ENOTDIR):
        return "; check `shell`"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "; raise the limit on open files (ulimit -n), or run less at once"
    return ""
