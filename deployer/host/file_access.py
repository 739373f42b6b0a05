"""What every host can do with its files and paths."""

from __future__ import annotations

import abc
import posixpath
import re
import shlex
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from ..exceptions import ExecCommandFailed, RemoteFileError

# The rest is imported by the methods that need it: it takes longer than ``--help`` as a whole.
if TYPE_CHECKING:
    from ..loggers import LoggerInterface
    from ..pseudo_terminal import Pty
    from .command import HostContext
    from .command_stream import CommandStream
    from .files import FileSystem, Stat
    from .remote_file import RemoteFile
    from .result import RunResult
    from .transfers import Progress
    from .trees import TreeSummary

__all__ = ["FileAccess"]


class FileAccess(abc.ABC):
    """The methods of a host about files. Paths follow ``cd``, with a leading ``~`` expanded."""

    slug: str
    pty: Pty
    logger: LoggerInterface
    is_sandbox: bool
    _context: HostContext

    @abc.abstractmethod
    def _open_files(self) -> AbstractContextManager[FileSystem]:
        """Give the host's files."""

    @abc.abstractmethod
    def _session_directory(self) -> str:
        """Return the absolute path of the directory where commands start."""

    @abc.abstractmethod
    def run_unseen(
        self,
        command: str,
        use_sudo: bool = False,
        user: str | None = None,
        ignore_exit_status: bool = False,
        timeout: float | None = None,
    ) -> RunResult:
        """Return what a command of ours prints; it runs outside the context, unreported."""

    @abc.abstractmethod
    def _stream_as_root(self, command: str) -> AbstractContextManager[CommandStream]:
        """Start a command of ours as root, outside the context, and give its streams."""

    @classmethod
    @abc.abstractmethod
    def get_username(cls) -> str:
        """Return the name of the user that commands run as."""

    @abc.abstractmethod
    def get_home_directory(self, username: str | None = None) -> str:
        """Return the home directory of a user; that of the login user by default."""

    def getcwd(self) -> str:
        """Return the absolute path of the directory that commands run in."""
        return self.expand_path(".")

    def expand_path(self, path: str, expand: bool = True) -> str:
        """Return the absolute path of ``path``, seen from the current directory.

        :param expand: False to take a leading tilde literally.
        """
        from .arguments import check_text
        from .command import join_path

        check_text(self.slug, "the path", path)
        path = join_path(self._context.path, path, expand)
        if path.startswith("~"):
            user, slash, rest = path[1:].partition("/")
            path = self.get_home_directory(user or None).rstrip("/") + slash + rest
        elif not path.startswith("/"):
            path = posixpath.join(self._session_directory(), path)
        # Not `a/..`: that is another directory where `a` is a symlink.
        return re.sub(r"/(\./)+|/+", "/", path).removesuffix("/.") or "/"

    def _home_of(self, username: str, found: str) -> str:
        if not found.startswith("/"):
            raise RemoteFileError(f"{self.slug}: there is no user {username!r} on the host")
        return found

    def open(
        self,
        path: str,
        mode: str | None = None,
        use_sudo: bool = False,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = "\n",
        permissions: int | None = None,
    ) -> RemoteFile:
        """Open a file on the host, as Python's own ``open`` does.

        Without a mode, the first use decides: writing replaces the file, reading reads it. What is
        written becomes visible at ``close``, whole, or not at all; the file keeps its mode and
        owner, and a symlink stays one.

        :param mode: ``r``, ``w``, ``a`` or ``x``, with ``b`` for bytes, and ``+`` for reading and
            writing, anywhere in the file.
        :param use_sudo: read or write as root; ``~`` stays the home of the login user. A new file
            belongs to root and has the permissions 644.
        :param encoding: of text; UTF-8 by default.
        :param errors: what to do with what cannot be encoded or decoded; ``strict`` by default.
        :param newline: as for Python's ``open``; but by default, line ends are left as they are.
        :param permissions: those of a new file (``0o600``), which it has from the first moment; one
            that is there keeps its own.
        :raises RemoteFileError: also from the methods of the file.
        :raises ValueError: for a mode that is none.
        """
        from .opening import open_file

        return open_file(self, path, mode, use_sudo, encoding, errors, newline, permissions)

    def _run_as_root(self, script: str) -> str:
        from .command_stream import command_error

        try:
            return self.run_unseen(f"/bin/sh -c {shlex.quote(script)}", use_sudo=True)
        except ExecCommandFailed as error:
            raise command_error(error.result.stderr or str(error)) from error

    def put_file(
        self,
        local_path: str,
        remote_path: str,
        use_sudo: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Copy a local file to the host; a directory as target takes it under its own name.

        A new file gets the permissions of the local one. A leading ``~`` is a home directory on
        either side.

        :param progress: is called with how many bytes are done, and how many there are. Without
            it, a person at a terminal sees a bar when it takes a while.
        """
        from . import copying

        copying.put_file(self, local_path, remote_path, use_sudo, progress)

    def get_file(
        self,
        remote_path: str,
        local_path: str,
        use_sudo: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Copy a file of the host here; a directory as target takes it under its own name.

        A leading ``~`` is a home directory on either side.

        :param progress: as for :meth:`put_file`.
        """
        from . import copying

        copying.get_file(self, remote_path, local_path, use_sudo, progress)

    def put_dir(
        self,
        local_path: str,
        remote_path: str,
        use_sudo: bool = False,
        delete: bool = False,
        progress: Progress | None = None,
    ) -> TreeSummary:
        """Make a directory of the host look like a local one, copying only what changed.

        ``put_dir('site', '/srv/www')`` puts what is in ``site`` into ``/srv/www``, which is made
        if it is not there. Files, directories and symlinks are copied, with their permissions; a
        symlink stays one. What has the same size and time of change is not copied again. Each file
        is replaced whole or not at all; when something fails, another call does the rest. Loggers
        get a message that says how much was done, if anything was.

        :param use_sudo: write as root, to whom what is new belongs. It takes the program
            ``sftp-server`` on the host, a part of OpenSSH.
        :param delete: remove what is not in the local directory.
        :param progress: as for :meth:`put_file`.
        :return: what was done; in a sandbox, what would be.
        """
        from . import copying

        return copying.put_dir(self, local_path, remote_path, use_sudo, delete, progress)

    def get_dir(
        self,
        remote_path: str,
        local_path: str,
        use_sudo: bool = False,
        delete: bool = False,
        progress: Progress | None = None,
    ) -> TreeSummary:
        """Make a local directory look like one of the host, copying only what changed.

        Otherwise as :meth:`put_dir`.

        :param use_sudo: read as root; what is new here is the user's own.
        """
        from . import copying

        return copying.get_dir(self, remote_path, local_path, use_sudo, delete, progress)

    def _file_errors(self, path: str, what: str) -> AbstractContextManager[None]:
        from .files import file_errors

        return file_errors(self.slug, path, what)

    def open_files(self) -> AbstractContextManager[FileSystem]:
        """Give operations on single files and directories (rename, chmod…) for a ``with`` block.

        It takes absolute paths, knows no sandbox, and its errors are plain ``OSError``.
        """
        return self._open_files()

    def stat(self, path: str) -> Stat:
        """Return what is known of a file; for a symlink, of the one that it leads to."""
        with self._file_errors(path, "stat"):
            full_path = self.expand_path(path)
            with self._open_files() as files:
                return files.stat(full_path)

    def listdir(self, path: str = ".") -> list[str]:
        """Return the names in a directory, sorted."""
        return [found.filename for found in self.listdir_stat(path)]

    def listdir_stat(self, path: str = ".") -> list[Stat]:
        """Return what is known of all files in a directory, sorted by name."""
        with self._file_errors(path, "list"):
            full_path = self.expand_path(path)
            with self._open_files() as files:
                return sorted(files.listdir(full_path), key=lambda found: found.filename)

    def exists(self, path: str, use_sudo: bool = False) -> bool:
        """Return whether there is a file or directory; a symlink that leads nowhere is none.

        :param use_sudo: look as root.
        """
        with self._file_errors(path, "look for"):
            full_path = self.expand_path(path)
            if use_sudo:
                quoted = shlex.quote(full_path)
                return self._run_as_root(f"test -e {quoted} && echo yes || echo no") == "yes\n"
            with self._open_files() as files:
                try:
                    files.stat(full_path)
                except (FileNotFoundError, NotADirectoryError):
                    return False
                return True
