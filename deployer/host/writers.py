"""Writing a file whole or not at all, keeping its mode and owner, and symlinks."""

from __future__ import annotations

import errno
import os
import posixpath
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from ..exceptions import ConnectionLost, DeployerException
from .files import FileSystem, Stat, check_regular, copy_stream, space_errors
from .staging import SUFFIX, Staging, staging_path

__all__ = ["AtomicWriter", "SudoWriter", "Writer", "in_doubt", "open_atomic"]


class Writer(Protocol):
    """A file that is being written, and that nobody sees before ``commit``.

    When anything here raises, ``commit`` too, it is for the caller to ``abort``.
    """

    def write(self, data: bytes) -> None: ...

    def commit(self) -> None: ...

    def abort(self) -> None: ...


def open_atomic(
    files: FileSystem,
    path: str,
    *,
    append: bool = False,
    exclusive: bool = False,
    new_mode: int | None = None,
) -> AtomicWriter:
    """Return what writes a file; where the path is a symlink, the file that it leads to.

    The file keeps its mode and owner. A new one gets ``new_mode``, or what the host's umask gives.
    """
    target, existing = _follow(files, path)
    if existing is not None:
        if exclusive:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        check_regular(existing)
    staging = Staging(files, staging_path(target))
    mode = new_mode if existing is None else existing.permissions
    writer = AtomicWriter(files, staging, target, existing, mode=mode, done=staging.close)
    if append and existing is not None:
        try:
            with files.open(target, "rb") as old:
                copy_stream(old, writer.write)
        except BaseException:
            writer.abort()
            raise
    return writer


class AtomicWriter:
    """Writes a file beside its target, and renames it over the target at ``commit``.

    :param existing: the target, if there is one: the new file gets its owner.
    :param mode: the permissions; None to leave them to the host's umask.
    :param mtime: when it was changed, if that is not now.
    :param done: called when the file is in its place, or given up.
    """

    def __init__(
        self,
        files: FileSystem,
        staging: Staging,
        target: str,
        existing: Stat | None,
        *,
        mode: int | None,
        mtime: float | None = None,
        done: Callable[[], None] = lambda: None,
    ) -> None:
        self._files = files
        self._staging = staging
        self._target = target
        self._existing = existing
        self._mode = mode
        self._mtime = mtime
        self._done = done
        self._size = 0
        self._directory = posixpath.dirname(target)
        try:
            with space_errors(files, self._directory):
                self._path, self._file = staging.make(lambda path: files.open(path, "xb"))
        except BaseException:
            done()
            raise

    def write(self, data: bytes) -> None:
        with space_errors(self._files, self._directory):
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        self._size += len(data)

    def commit(self) -> None:
        files = self._files
        with space_errors(files, self._directory):
            self._file.close()
        arrived = files.lstat(self._path)
        if arrived.st_size != self._size:
            raise OSError(
                errno.EIO, f"{arrived.st_size} of {self._size} bytes arrived (disk full?)"
            )
        existing = self._existing
        if existing is not None and (
            (existing.st_uid, existing.st_gid) != (arrived.st_uid, arrived.st_gid)
        ):
            self._keep_owner(existing)
            # Without what a change of the owner takes away.
            arrived = files.lstat(self._path)
        if self._mode is not None and self._mode != arrived.permissions:
            files.chmod(self._path, self._mode)
        if self._mtime is not None:
            files.utime(self._path, self._mtime)
        with in_doubt(self._target), space_errors(files, self._directory):
            files.replace(self._path, self._target)
        self._staging.moved(self._path)
        self._done()

    def _keep_owner(self, existing: Stat) -> None:
        try:
            self._files.chown(self._path, existing.st_uid, existing.st_gid)
        except OSError as error:
            raise PermissionError(
                errno.EPERM,
                f"it belongs to user {existing.st_uid}, group {existing.st_gid}, which only root "
                "can keep; pass use_sudo=True",
            ) from error

    def abort(self) -> None:
        with suppress(OSError, DeployerException):
            self._file.close()
        self._staging.remove(self._path)
        self._done()


class SudoWriter:
    """Writes a file into a private directory; root puts it in place at ``commit``.

    :param run_as_root: runs a shell script as root, and raises when it fails.
    :param user: whose private directory it is.
    """

    def __init__(
        self,
        files: FileSystem,
        path: str,
        run_as_root: Callable[[str], object],
        *,
        user: str,
        append: bool = False,
        exclusive: bool = False,
        new_mode: int | None = None,
    ) -> None:
        self._path = path
        self._run_as_root = run_as_root
        self._append = append
        self._exclusive = exclusive
        self._new_mode = 0o644 if new_mode is None else new_mode
        self._directory = f"/tmp/deployer-{re.sub('[^A-Za-z0-9_.-]', '_', user)}{SUFFIX}"
        self._files = files
        self._staging = Staging(files, self._directory)
        self._size = 0
        try:
            with space_errors(files, "/tmp"):
                self._staged, self._file = self._staging.make(lambda path: files.open(path, "xb"))
        except BaseException:
            self._staging.close()
            raise

    def write(self, data: bytes) -> None:
        with space_errors(self._files, "/tmp"):
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
        self._size += len(data)

    def commit(self) -> None:
        with space_errors(self._files, "/tmp"):
            self._file.close()
        script = _INSTALL.format(
            source=shlex.quote(self._staged),
            size=self._size,
            target=shlex.quote(self._path),
            mode=f"{self._new_mode:o}",
            append=int(self._append),
            exclusive=int(self._exclusive),
            suffix=f".root{SUFFIX}",
        )
        with in_doubt(self._path):
            self._run_as_root(script)
        self._staging.close()

    def abort(self) -> None:
        with suppress(OSError, DeployerException):
            self._file.close()
        self._staging.close()


@contextmanager
def in_doubt(path: str) -> Iterator[None]:
    """Say what is not known when the connection is lost while a file takes its place."""
    try:
        yield
    except ConnectionLost as error:
        raise ConnectionLost(
            f"{error}; whether {path} is the old file or the new one is unknown, but it is whole: "
            "write it again",
            error.result,
        ) from error


# As in `staging`, but root's own: what is written lies in a private directory beside the target,
# called after the process that writes it, and what a process that has ended left is removed. Only
# its content is new: cp gives it the owner, the mode, and more of what the target has.
_INSTALL = """\
set -e
umask 077
LC_ALL=C
export LC_ALL
source={source} target={target}
fail() {{ echo "$1" >&2; exit 1; }}
if [ -L "$target" ]; then
    found=$(readlink -f -- "$target" && echo .) || fail "its symbolic link leads nowhere"
    target=${{found%??}}
fi
if [ -e "$target" ]; then
    [ {exclusive} = 0 ] || fail "File exists"
    [ ! -d "$target" ] || fail "Is a directory"
    [ -f "$target" ] || fail "it is not a regular file"
fi
case $target in */*) directory=${{target%/*}}/ ;; *) directory=./ ;; esac
[ -d "$directory" ] || fail "No such file or directory"
host=$(uname -n)
stage="$directory.$(printf %.40s "${{target##*/}}"){suffix}"
temporary=$stage/$host:$$
leave() {{
    rm -f -- "$temporary" 2>/dev/null || true
    rmdir -- "$stage" 2>/dev/null || true
}}
trap leave EXIT
trap 'exit 1' HUP INT TERM
enter() {{
    mkdir -- "$stage" 2>/dev/null && return
    if [ -d "$stage" ] && [ ! -L "$stage" ] && [ -O "$stage" ]; then
        for left in "$stage"/*; do
            case ${{left##*/}} in
            "$host":*)
                pid=${{left##*:}}
                kill -0 "$pid" 2>/dev/null && [ "$pid" != $$ ] || rm -f -- "$left"
                ;;
            *) find "$left" -mtime +0 -exec rm -f -- {{}} + 2>/dev/null || true ;;
            esac
        done
    elif [ -e "$stage" ] || [ -L "$stage" ]; then
        stage=$stage-$$
        temporary=$stage/$host:$$
        mkdir -- "$stage"
    fi
}}
tries=0
until enter && {{ true >"$temporary"; }} 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 20 ] || {{ mkdir -p -- "$stage"; true >"$temporary"; break; }}
done
if [ -e "$target" ]; then
    cp --attributes-only --preserve=all -- "$target" "$temporary" 2>/dev/null ||
        cp -p -- "$target" "$temporary"
    true >"$temporary"
    [ {append} = 0 ] || cat -- "$target" >"$temporary"
fi
[ "$(wc -c <"$source")" -eq {size} ] || fail "not all of {size} bytes arrived (disk full?)"
cat -- "$source" >>"$temporary"
[ -e "$target" ] || chmod {mode} -- "$temporary"
mv -f -- "$temporary" "$target"
"""


def _follow(files: FileSystem, path: str) -> tuple[str, Stat | None]:
    """Return the file that a path leads to, and what it is; None where there is none yet."""
    for _ in range(40):
        try:
            found = files.lstat(path)
        except FileNotFoundError:
            return path, None
        if not found.is_link:
            return path, found
        path = posixpath.join(posixpath.dirname(path), files.readlink(path))
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
