"""The opening of a host's files, to read or to write them: as the user, or as root."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from .command_stream import RootReader
from .files import check_regular, file_errors
from .remote_file import RemoteFile
from .writers import SudoWriter, Writer, open_atomic

if TYPE_CHECKING:
    from .file_access import FileAccess

__all__ = ["open_file", "open_reader", "open_writer"]


def open_file(
    host: FileAccess,
    path: str,
    mode: str | None,
    use_sudo: bool,
    encoding: str | None,
    errors: str | None,
    newline: str | None,
    permissions: int | None,
) -> RemoteFile:
    """Return a file for a program to use; see :meth:`Host.open`."""
    return RemoteFile(
        path,
        mode,
        lambda stack: open_reader(host, path, use_sudo, stack)[0],
        partial(open_writer, host, path, use_sudo, permissions),
        partial(file_errors, host.slug, path, "read or write" if mode is None else _verb(mode)),
        encoding=encoding,
        encoding_errors=errors,
        newline=newline,
    )


def open_reader(
    host: FileAccess, path: str, use_sudo: bool, stack: ExitStack, whole: bool = False
) -> tuple[BinaryIO, int]:
    """Return a file, and its size, inside what ``stack`` will end.

    :param whole: it is read once, from its beginning to its end.
    """
    stack.enter_context(
        host.logger.log_file(host.slug, path, mode="r", use_sudo=use_sudo, sandbox=host.is_sandbox)
    )
    with file_errors(host.slug, path, "read"):
        full_path = host.expand_path(path)
        if use_sudo:
            command = f"/bin/sh -c {shlex.quote(_READ.format(path=shlex.quote(full_path)))}"
            stream = stack.enter_context(host._stream_as_root(command))
            return cast(BinaryIO, RootReader(stream)), int(stream.read_heading())
        files = stack.enter_context(host._open_files())
        found = files.stat(full_path)
        check_regular(found)
        if whole:
            return files.open_whole(full_path, found.st_size), found.st_size
        return files.open(full_path, "rb"), found.st_size


def open_writer(
    host: FileAccess,
    path: str,
    use_sudo: bool,
    new_mode: int | None,
    stack: ExitStack,
    append: bool,
    exclusive: bool,
) -> Writer:
    """Return what writes a file; see :func:`~deployer.host.writers.open_atomic` for the options."""
    stack.enter_context(
        host.logger.log_file(host.slug, path, mode="w", use_sudo=use_sudo, sandbox=host.is_sandbox)
    )
    if host.is_sandbox:
        return _Nowhere()
    with file_errors(host.slug, path, "write"):
        full_path = host.expand_path(path)
        files = stack.enter_context(host._open_files())
        options: dict[str, Any] = {
            "append": append,
            "exclusive": exclusive,
            "new_mode": new_mode,
        }
        if use_sudo:
            user = host.get_username()
            return SudoWriter(files, full_path, host._run_as_root, user=user, **options)
        return open_atomic(files, full_path, **options)


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
