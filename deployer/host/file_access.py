"""What every host can do with its files and paths."""

from __future__ import annotations

import abc
import errno
import os
import posixpath
import re
import shlex
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ..exceptions import ExecCommandFailed, RemoteFileError

# The rest is imported by the methods that need it: it takes longer than ``--help`` as a whole.
if TYPE_CHECKING:
    from ..loggers import LoggerInterface
    from ..pseudo_terminal import Pty
    from .command import HostContext
    from .command_stream import CommandStream
    from .files import FileSystem, Stat
    from .remote_file import RemoteFile
    from .transfers import Progress
    from .trees import Side, TreeSummary
    from .writers import Writer

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
    def _run_outside(self, command: str, **options: Any) -> str:
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
        from .command import join_path

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
    ) -> RemoteFile:
        """Open a file on the host, as Python's own ``open`` does.

        Without a mode, the first use decides: writing replaces the file, reading reads it. What is
        written becomes visible at ``close``, whole, or not at all; the file keeps its mode and
        owner, and a symlink stays one.

        :param mode: ``r``, ``w``, ``a`` or ``x``, with ``b`` for bytes, and ``+`` for reading and
            writing, anywhere in the file.
        :param use_sudo: read or write as root; ``~`` stays the home of the login user. A new file
            belongs to root and has the mode 644.
        :param encoding: of text; UTF-8 by default.
        :param errors: what to do with what cannot be encoded or decoded; ``strict`` by default.
        :param newline: as for Python's ``open``; but by default, line ends are left as they are.
        :raises RemoteFileError: also from the methods of the file.
        :raises ValueError: for a mode that is none.
        """
        from .files import file_errors
        from .remote_file import RemoteFile

        return RemoteFile(
            path,
            mode,
            lambda stack: self._open_reader(path, use_sudo, stack)[0],
            partial(self._open_writer, path, use_sudo, None),
            partial(file_errors, self.slug, path, "read or write" if mode is None else _verb(mode)),
            encoding=encoding,
            encoding_errors=errors,
            newline=newline,
        )

    def _open_reader(
        self, path: str, use_sudo: bool, stack: ExitStack, whole: bool = False
    ) -> tuple[BinaryIO, int]:
        """Return a file, and its size.

        :param whole: it is read once, from its beginning to its end.
        """
        from .command_stream import RootReader
        from .files import check_regular, file_errors

        stack.enter_context(
            self.logger.log_file(
                self.slug, path, mode="r", use_sudo=use_sudo, sandbox=self.is_sandbox
            )
        )
        with file_errors(self.slug, path, "read"):
            full_path = self.expand_path(path)
            if use_sudo:
                command = f"/bin/sh -c {shlex.quote(_READ.format(path=shlex.quote(full_path)))}"
                stream = stack.enter_context(self._stream_as_root(command))
                return cast(BinaryIO, RootReader(stream)), int(stream.read_heading())
            files = stack.enter_context(self._open_files())
            found = files.stat(full_path)
            check_regular(found)
            if whole:
                return files.open_whole(full_path, found.st_size), found.st_size
            return files.open(full_path, "rb"), found.st_size

    def _open_writer(
        self,
        path: str,
        use_sudo: bool,
        new_mode: int | None,
        stack: ExitStack,
        append: bool,
        exclusive: bool,
    ) -> Writer:
        from .files import file_errors
        from .writers import SudoWriter, open_atomic

        stack.enter_context(
            self.logger.log_file(
                self.slug, path, mode="w", use_sudo=use_sudo, sandbox=self.is_sandbox
            )
        )
        if self.is_sandbox:
            return _Nowhere()
        with file_errors(self.slug, path, "write"):
            full_path = self.expand_path(path)
            files = stack.enter_context(self._open_files())
            options: dict[str, Any] = {
                "append": append,
                "exclusive": exclusive,
                "new_mode": new_mode,
            }
            if use_sudo:
                user = self.get_username()
                return SudoWriter(files, full_path, self._run_as_root, user=user, **options)
            return open_atomic(files, full_path, **options)

    def _run_as_root(self, script: str) -> str:
        from .command_stream import command_error

        try:
            return self._run_outside(f"/bin/sh -c {shlex.quote(script)}", use_sudo=True)
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
        from .files import LocalFileSystem, check_regular, file_errors
        from .transfers import transfer

        here = LocalFileSystem()
        local_path = os.path.expanduser(local_path)
        with file_errors("this machine", local_path, "read"):
            found = here.stat(local_path)
            check_regular(found)
            source = here.open(local_path, "rb")
        with source, ExitStack() as stack:
            if self._is_directory(remote_path, use_sudo):
                remote_path = posixpath.join(remote_path, posixpath.basename(local_path))
            with file_errors(self.slug, remote_path, "write"):
                writer = self._open_writer(
                    remote_path, use_sudo, found.permissions, stack, False, False
                )
                name = self._title(remote_path)
                with transfer(self.pty, name, found.st_size, progress) as moving:
                    moving.copy(source, writer)

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
        from .files import LocalFileSystem, file_errors
        from .transfers import transfer
        from .writers import open_atomic

        here = LocalFileSystem()
        local_path = os.path.expanduser(local_path)
        with suppress(OSError):
            if here.stat(local_path).is_dir:
                local_path = posixpath.join(local_path, posixpath.basename(remote_path))
        with ExitStack() as stack:
            source, size = self._open_reader(remote_path, use_sudo, stack, whole=True)
            stack.enter_context(source)
            if self.is_sandbox:
                return
            with file_errors("this machine", local_path, "write"):
                writer = open_atomic(here, local_path)
            name = self._title(remote_path)
            with (
                file_errors(self.slug, remote_path, f"copy to {local_path}:"),
                transfer(self.pty, name, size, progress) as moving,
            ):
                moving.copy(source, writer)

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
        is replaced whole or not at all; when something fails, another call does the rest.

        :param use_sudo: write as root, to whom what is new belongs. It takes the program
            ``sftp-server`` on the host, a part of OpenSSH.
        :param delete: remove what is not in the local directory.
        :param progress: as for :meth:`put_file`.
        :return: what was done; in a sandbox, what would be.
        """
        from .files import LocalFileSystem
        from .trees import Side

        here = Side(LocalFileSystem(), os.path.expanduser(local_path), "this machine")
        with ExitStack() as stack:
            there = self._open_side(remote_path, "w", use_sudo, stack)
            return self._copy_tree(here, there, remote_path, delete, progress)

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
        from .files import LocalFileSystem
        from .trees import Side

        here = Side(LocalFileSystem(), os.path.expanduser(local_path), "this machine")
        with ExitStack() as stack:
            there = self._open_side(remote_path, "r", use_sudo, stack)
            return self._copy_tree(there, here, remote_path, delete, progress)

    def _copy_tree(
        self, source: Side, target: Side, name: str, delete: bool, progress: Progress | None
    ) -> TreeSummary:
        from .transfers import transfer
        from .trees import copy_tree, plan_tree

        plan = plan_tree(source, target, delete, self.pty.check_interrupted)
        summary = plan.summary()
        if summary.changed and not self.is_sandbox:
            with transfer(self.pty, self._title(name), plan.size, progress) as moving:
                copy_tree(plan, source, target, moving)
        return summary

    def _open_side(self, path: str, mode: str, use_sudo: bool, stack: ExitStack) -> Side:
        from .files import file_errors
        from .trees import Side

        stack.enter_context(
            self.logger.log_file(
                self.slug, path, mode=mode, use_sudo=use_sudo, sandbox=self.is_sandbox
            )
        )
        with file_errors(self.slug, path, "write" if mode == "w" else "read"):
            full_path = self.expand_path(path)
            files = stack.enter_context(self._open_root_files() if use_sudo else self._open_files())
            return Side(files, full_path, self.slug)

    @contextmanager
    def _open_root_files(self) -> Iterator[FileSystem]:
        """Give the host's files, as root has them."""
        if self.get_username() == "root":
            with self._open_files() as files:
                yield files
            return
        # paramiko takes 150 ms to import.
        from .ssh.sftp import sftp_over

        with self._stream_as_root(f"/bin/sh -c {shlex.quote(_SFTP_SERVER)}") as stream:
            stream.read_heading()
            yield sftp_over(stream)

    def _title(self, path: str) -> str:
        # In short: a bar has to fit beside it.
        return f"{self.slug}: {posixpath.basename(path.rstrip('/')) or path}"

    def _is_directory(self, path: str, use_sudo: bool) -> bool:
        try:
            return self.stat(path).is_dir
        except RemoteFileError as error:
            if not use_sudo or error.errno != errno.EACCES:
                return False
        quoted = shlex.quote(self.expand_path(path))
        return self._run_as_root(f"test -d {quoted} && echo yes || echo no") == "yes\n"

    def stat(self, path: str) -> Stat:
        """Return what is known of a file; of the one that it leads to, for a symlink."""
        from .files import file_errors

        with file_errors(self.slug, path, "stat"):
            full_path = self.expand_path(path)
            with self._open_files() as files:
                return files.stat(full_path)

    def listdir(self, path: str = ".") -> list[str]:
        """Return the names in a directory, sorted."""
        return [found.filename for found in self.listdir_stat(path)]

    def listdir_stat(self, path: str = ".") -> list[Stat]:
        """Return what is known of all files in a directory, sorted by name."""
        from .files import file_errors

        with file_errors(self.slug, path, "list"):
            full_path = self.expand_path(path)
            with self._open_files() as files:
                return sorted(files.listdir(full_path), key=lambda found: found.filename)

    def exists(self, path: str, use_sudo: bool = False) -> bool:
        """Whether there is a file or directory; a symlink that leads nowhere is none.

        :param use_sudo: look as root.
        """
        from .files import file_errors

        with file_errors(self.slug, path, "look for"):
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


class _Nowhere:
    """Where a sandbox writes."""

    def write(self, data: bytes) -> None:
        pass

    def commit(self) -> None:
        pass

    def abort(self) -> None:
        pass


def _verb(mode: str) -> str:
    return "read" if mode.strip("bt") == "r" else "write"


# Opened before it is said that all is well; what is a FIFO would not even open.
_READ = """\
LC_ALL=C
export LC_ALL
path={path}
fail() {{ echo "$1" >&2; exit 1; }}
[ -e "$path" ] || fail "No such file or directory"
[ ! -d "$path" ] || fail "Is a directory"
[ -f "$path" ] || fail "it is not a regular file"
exec <"$path" || exit
stat -L -c %s -- "$path" 2>/dev/null || echo 0
exec cat
"""

# Where systems have it; it is in nobody's PATH.
_SFTP_SERVER = """\
for directory in /usr/lib/openssh /usr/libexec/openssh /usr/lib/ssh /usr/libexec /usr/lib/misc \
    /usr/lib64/misc /usr/local/libexec; do
    if [ -x "$directory/sftp-server" ]; then
        echo
        exec "$directory/sftp-server"
    fi
done
if server=$(command -v sftp-server); then
    echo
    exec "$server"
fi
echo "directories need the program sftp-server there, a part of OpenSSH, when use_sudo is set" >&2
exit 127
"""
