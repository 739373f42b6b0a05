"""The copying of files and directories between this machine and a host."""

from __future__ import annotations

import errno
import os
import posixpath
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from ..exceptions import RemoteFileError
from .arguments import check_local_path
from .files import FileSystem, LocalFileSystem, check_regular, file_errors
from .opening import open_reader, open_writer
from .transfers import Progress, transfer
from .trees import Side, TreeSummary, copy_tree, plan_tree
from .writers import open_atomic

if TYPE_CHECKING:
    from .file_access import FileAccess

__all__ = ["get_dir", "get_file", "put_dir", "put_file"]

_PUT_INSTEAD = 'to write what is in no file, use host.open(path, "w"), or "wb" for bytes'
_GET_INSTEAD = 'to read a file into the program, use host.open(path), or host.open(path, "rb")'


def put_file(
    host: FileAccess, local_path: str, remote_path: str, use_sudo: bool, progress: Progress | None
) -> None:
    """Copy a local file to the host; see :meth:`Host.put_file`."""
    check_local_path(host.slug, local_path, _PUT_INSTEAD)
    here = LocalFileSystem()
    local_path = os.path.expanduser(local_path)
    with file_errors("this machine", local_path, "read"):
        found = here.stat(local_path)
        check_regular(found)
        source = here.open(local_path, "rb")
    with source, ExitStack() as stack:
        if _is_directory(host, remote_path, use_sudo):
            remote_path = posixpath.join(remote_path, posixpath.basename(local_path))
        with file_errors(host.slug, remote_path, "write"):
            writer = open_writer(
                host, remote_path, use_sudo, found.permissions, stack, False, False
            )
            name = _title(host, remote_path)
            with transfer(host.pty, name, found.st_size, progress) as moving:
                moving.copy(source, writer)


def get_file(
    host: FileAccess, remote_path: str, local_path: str, use_sudo: bool, progress: Progress | None
) -> None:
    """Copy a file of the host here; see :meth:`Host.get_file`."""
    check_local_path(host.slug, local_path, _GET_INSTEAD)
    here = LocalFileSystem()
    local_path = os.path.expanduser(local_path)
    with suppress(OSError):
        if here.stat(local_path).is_dir:
            local_path = posixpath.join(local_path, posixpath.basename(remote_path))
    with ExitStack() as stack:
        source, size = open_reader(host, remote_path, use_sudo, stack, whole=True)
        stack.enter_context(source)
        if host.is_sandbox:
            return
        with file_errors("this machine", local_path, "write"):
            writer = open_atomic(here, local_path)
        name = _title(host, remote_path)
        with (
            file_errors(host.slug, remote_path, f"copy to {local_path}:"),
            transfer(host.pty, name, size, progress) as moving,
        ):
            moving.copy(source, writer)


def put_dir(
    host: FileAccess,
    local_path: str,
    remote_path: str,
    use_sudo: bool,
    delete: bool,
    progress: Progress | None,
) -> TreeSummary:
    """Make a directory of the host look like a local one; see :meth:`Host.put_dir`."""
    check_local_path(host.slug, local_path, _PUT_INSTEAD)
    here = Side(LocalFileSystem(), os.path.expanduser(local_path), "this machine")
    with ExitStack() as stack:
        there = _open_side(host, remote_path, "w", use_sudo, stack)
        summary = _copy_tree(host, here, there, remote_path, delete, progress)
    if summary.changed:
        change = _describe(summary, remote_path)
        host.logger.log_change(host.slug, change, host.is_sandbox)
    return summary


def get_dir(
    host: FileAccess,
    remote_path: str,
    local_path: str,
    use_sudo: bool,
    delete: bool,
    progress: Progress | None,
) -> TreeSummary:
    """Make a local directory look like one of the host; see :meth:`Host.get_dir`."""
    check_local_path(host.slug, local_path, _GET_INSTEAD)
    here = Side(LocalFileSystem(), os.path.expanduser(local_path), "this machine")
    with ExitStack() as stack:
        there = _open_side(host, remote_path, "r", use_sudo, stack)
        return _copy_tree(host, there, here, remote_path, delete, progress)


def _copy_tree(
    host: FileAccess, source: Side, target: Side, name: str, delete: bool, progress: Progress | None
) -> TreeSummary:
    plan = plan_tree(source, target, delete, host.pty.check_interrupted)
    summary = plan.summary()
    if summary.changed and not host.is_sandbox:
        with transfer(host.pty, _title(host, name), plan.size, progress) as moving:
            copy_tree(plan, source, target, moving)
    return summary


def _open_side(host: FileAccess, path: str, mode: str, use_sudo: bool, stack: ExitStack) -> Side:
    stack.enter_context(
        host.logger.log_file(
            host.slug,
            path,
            mode=mode,
            use_sudo=use_sudo,
            sandbox=host.is_sandbox,
            is_directory=True,
        )
    )
    with file_errors(host.slug, path, "write" if mode == "w" else "read"):
        full_path = host.expand_path(path)
        files = stack.enter_context(_open_root_files(host) if use_sudo else host._open_files())
        return Side(files, full_path, host.slug)


@contextmanager
def _open_root_files(host: FileAccess) -> Iterator[FileSystem]:
    """Give the host's files, as root has them."""
    if host.get_username() == "root":
        with host._open_files() as files:
            yield files
        return
    # paramiko takes 150 ms to import.
    from .ssh.sftp import sftp_over

    with host._stream_as_root(f"/bin/sh -c {shlex.quote(_SFTP_SERVER)}") as stream:
        stream.read_heading()
        yield sftp_over(stream)


def _describe(summary: TreeSummary, path: str) -> str:
    copied, removed = len(summary.copied), len(summary.removed)
    if not copied:
        return f"removed {removed} from {path}"
    return f"copied {copied} to {path}" + (f", removed {removed}" if removed else "")


def _title(host: FileAccess, path: str) -> str:
    # In short: a bar has to fit beside it.
    return f"{host.slug}: {posixpath.basename(path.rstrip('/')) or path}"


def _is_directory(host: FileAccess, path: str, use_sudo: bool) -> bool:
    try:
        return host.stat(path).is_dir
    except RemoteFileError as error:
        if not use_sudo or error.errno != errno.EACCES:
            return False
    quoted = shlex.quote(host.expand_path(path))
    return host._run_as_root(f"test -d {quoted} && echo yes || echo no") == "yes\n"


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
