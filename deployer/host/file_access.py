"""What every host can do with its files and paths."""

from __future__ import annotations

import abc
import errno
import io
import os
import posixpath
import re
import shlex
from contextlib import AbstractContextManager, ExitStack, suppress
from functools import partial
from typing import Any, BinaryIO

from ..exceptions import ExecCommandFailed, RemoteFileError
from ..loggers import LoggerInterface
from ..pseudo_terminal import Pty
from .command import HostContext, join_path
from .files import FileSystem, LocalFileSystem, Stat, copy_stream, file_errors
from .remote_file import RemoteFile
from .writers import AtomicWriter, SudoWriter, Writer

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
    def get_home_directory(self, username: str | None = None) -> str:
        """Return the home directory of a user; that of the login user by default."""

    def getcwd(self) -> str:
        """Return the absolute path of the directory that commands run in."""
        return self.expand_path(".")

    def expand_path(self, path: str, expand: bool = True) -> str:
        """Return the absolute path of ``path``, seen from the current directory.

        :param expand: False to take a leading tilde literally.
        """
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

    def open(self, path: str, mode: str | None = None, use_sudo: bool = False) -> RemoteFile:
        """Open a file on the host, as Python's own ``open`` does.

        Without a mode, the first use decides: writing replaces the file, reading reads it. Text
        is UTF-8. What is written becomes visible at ``close``, whole, or not at all; the file
        keeps its mode and owner, and a symlink stays one.

        :param mode: ``r``, ``w``, ``a`` or ``x``, with ``b`` for bytes.
        :param use_sudo: read or write as root; ``~`` stays the home of the login user. A new file
            belongs to root and has the mode 644.
        :raises RemoteFileError: also from the methods of the file.
        """
        return RemoteFile(
            path,
            mode,
            partial(self._open_reader, path, use_sudo),
            partial(self._open_writer, path, use_sudo, None),
            partial(file_errors, self.slug, path, "read or write" if mode is None else _verb(mode)),
        )

    def _open_reader(self, path: str, use_sudo: bool, stack: ExitStack) -> BinaryIO:
        stack.enter_context(
            self.logger.log_file(
                self.slug, path, mode="r", use_sudo=use_sudo, sandbox=self.is_sandbox
            )
        )
        with file_errors(self.slug, path, "read"):
            full_path = self.expand_path(path)
            if use_sudo:
                content = self._run_as_root(f"cat -- {shlex.quote(full_path)}")
                return io.BytesIO(content.encode(errors="surrogateescape"))
            files = stack.enter_context(self._open_files())
            if files.stat(full_path).is_dir:
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            return files.open(full_path, "rb")

    def _open_writer(
        self,
        path: str,
        use_sudo: bool,
        new_mode: int | None,
        stack: ExitStack,
        append: bool,
        exclusive: bool,
    ) -> Writer:
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
                return SudoWriter(files, full_path, self._run_as_root, **options)
            return AtomicWriter(files, full_path, **options)

    def _run_as_root(self, script: str) -> str:
        try:
            return self._run_outside(f"/bin/sh -c {shlex.quote(script)}", use_sudo=True)
        except ExecCommandFailed as error:
            lines = error.result.stderr.strip().splitlines()
            raise OSError(lines[-1] if lines else str(error)) from error

    def put_file(self, local_path: str, remote_path: str, use_sudo: bool = False) -> None:
        """Copy a local file to the host; a directory as target takes it under its own name.

        A new file gets the permissions of the local one. A leading ``~`` is a home directory on
        either side.
        """
        here = LocalFileSystem()
        local_path = os.path.expanduser(local_path)
        with file_errors("this machine", local_path, "read"):
            source = here.open(local_path, "rb")
        with source, ExitStack() as stack:
            if self._is_directory(remote_path):
                remote_path = posixpath.join(remote_path, posixpath.basename(local_path))
            with file_errors(self.slug, remote_path, "write"):
                writer = self._open_writer(
                    remote_path, use_sudo, here.stat(local_path).permissions, stack, False, False
                )
                _transfer(source, writer, self.pty)

    def get_file(self, remote_path: str, local_path: str, use_sudo: bool = False) -> None:
        """Copy a file of the host here; a directory as target takes it under its own name.

        A leading ``~`` is a home directory on either side.
        """
        here = LocalFileSystem()
        local_path = os.path.expanduser(local_path)
        with suppress(OSError):
            if here.stat(local_path).is_dir:
                local_path = posixpath.join(local_path, posixpath.basename(remote_path))
        with ExitStack() as stack:
            source = stack.enter_context(self._open_reader(remote_path, use_sudo, stack))
            with file_errors("this machine", local_path, "write"):
                writer = AtomicWriter(here, local_path)
            with file_errors(self.slug, remote_path, f"copy to {local_path}:"):
                _transfer(source, writer, self.pty)

    def _is_directory(self, path: str) -> bool:
        with suppress(RemoteFileError):
            return self.stat(path).is_dir
        return False

    def stat(self, path: str) -> Stat:
        """Return what is known of a file; of the one that it leads to, for a symlink."""
        with file_errors(self.slug, path, "stat"):
            full_path = self.expand_path(path)
            with self._open_files() as files:
                return files.stat(full_path)

    def listdir(self, path: str = ".") -> list[str]:
        """Return the names in a directory, sorted."""
        return [found.filename for found in self.listdir_stat(path)]

    def listdir_stat(self, path: str = ".") -> list[Stat]:
        """Return what is known of all files in a directory, sorted by name."""
        with file_errors(self.slug, path, "list"):
            full_path = self.expand_path(path)
            with self._open_files() as files:
                return sorted(files.listdir(full_path), key=lambda found: found.filename)

    def exists(self, path: str, use_sudo: bool = False) -> bool:
        """Whether there is a file or directory; a symlink that leads nowhere is none.

        :param use_sudo: look as root.
        """
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


def _transfer(source: BinaryIO, writer: Writer, pty: Pty) -> None:
    def write(data: bytes) -> None:
        pty.check_interrupted()
        writer.write(data)

    try:
        copy_stream(source, write)
        writer.commit()
    except BaseException:
        writer.abort()
        raise


def _verb(mode: str) -> str:
    return "read" if "r" in mode else "write"
