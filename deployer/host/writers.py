"""Writing a file whole or not at all, keeping its mode and owner, and symlinks."""

from __future__ import annotations

import errno
import os
import posixpath
import secrets
import shlex
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from ..exceptions import DeployerException
from .files import FileSystem, Stat, copy_stream

__all__ = ["AtomicWriter", "SudoWriter", "Writer"]


class Writer(Protocol):
    """A file that is being written, and that nobody sees before ``commit``.

    When anything here raises, ``commit`` too, it is for the caller to ``abort``.
    """

    def write(self, data: bytes) -> None: ...

    def commit(self) -> None: ...

    def abort(self) -> None: ...


class AtomicWriter:
    """Writes a file beside its target, and renames it over the target at ``commit``.

    The target keeps its mode and owner; where it is a symlink, the file that it leads to is
    written. A new file gets ``new_mode``, or what the host's umask gives.
    """

    def __init__(
        self,
        files: FileSystem,
        path: str,
        *,
        append: bool = False,
        exclusive: bool = False,
        new_mode: int | None = None,
    ) -> None:
        self._files = files
        self._target, self._existing = _follow(files, path)
        if self._existing is not None:
            if exclusive:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            _check_regular(self._existing)
        directory, name = posixpath.split(self._target)
        self._temporary = posixpath.join(directory, f".{name[:40]}.{secrets.token_hex(8)}.tmp")
        self._size = 0
        try:
            self._file = files.open(self._temporary, "xb")
        except BaseException:
            # An interrupt may come when the file has just been made.
            self._remove()
            raise
        try:
            self._mode = new_mode
            if self._existing is not None:
                self._mode = self._existing.permissions
            elif self._mode is None:
                self._mode = files.stat(self._temporary).permissions
            # Nobody else reads what is not finished; it is empty until here.
            files.chmod(self._temporary, 0o600)
            if append and self._existing is not None:
                with files.open(self._target, "rb") as existing:
                    copy_stream(existing, self.write)
        except BaseException:
            self.abort()
            raise

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
        self._size += len(data)

    def commit(self) -> None:
        files = self._files
        self._file.close()
        arrived = files.stat(self._temporary)
        if arrived.st_size != self._size:
            raise OSError(
                errno.EIO, f"{arrived.st_size} of {self._size} bytes arrived (disk full?)"
            )
        existing = self._existing
        if existing is not None and (
            (existing.st_uid, existing.st_gid) != (arrived.st_uid, arrived.st_gid)
        ):
            self._keep_owner(existing)
        assert self._mode is not None
        files.chmod(self._temporary, self._mode)
        files.replace(self._temporary, self._target)

    def _keep_owner(self, existing: Stat) -> None:
        try:
            self._files.chown(self._temporary, existing.st_uid, existing.st_gid)
        except OSError as error:
            raise PermissionError(
                errno.EPERM,
                f"it belongs to user {existing.st_uid}, group {existing.st_gid}, which only root "
                "can keep; pass use_sudo=True",
            ) from error

    def abort(self) -> None:
        with suppress(OSError, DeployerException):
            self._file.close()
        self._remove()

    def _remove(self) -> None:
        with suppress(OSError, DeployerException):
            self._files.remove(self._temporary)


class SudoWriter:
    """Writes a file into a private directory; root puts it in place at ``commit``.

    :param run_as_root: runs a shell script as root, and raises when it fails.
    """

    def __init__(
        self,
        files: FileSystem,
        path: str,
        run_as_root: Callable[[str], object],
        *,
        append: bool = False,
        exclusive: bool = False,
        new_mode: int | None = None,
    ) -> None:
        self._files = files
        self._path = path
        self._run_as_root = run_as_root
        self._append = append
        self._exclusive = exclusive
        self._new_mode = 0o644 if new_mode is None else new_mode
        self._directory = f"/tmp/deployer-{secrets.token_hex(16)}"
        self._staged = f"{self._directory}/file"
        files.mkdir(self._directory, 0o700)
        try:
            self._writer = AtomicWriter(files, self._staged, new_mode=0o600)
        except BaseException:
            self._clean_up()
            raise

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    def commit(self) -> None:
        self._writer.commit()
        self._run_as_root(
            _INSTALL.format(
                source=shlex.quote(self._staged),
                target=shlex.quote(self._path),
                mode=f"{self._new_mode:o}",
                append=int(self._append),
                exclusive=int(self._exclusive),
            )
        )
        self._clean_up()

    def abort(self) -> None:
        self._writer.abort()
        self._clean_up()

    def _clean_up(self) -> None:
        with suppress(OSError, DeployerException):
            self._files.remove(self._staged)
        with suppress(OSError, DeployerException):
            self._files.rmdir(self._directory)


# `cp -p` gives the temporary file the target's mode and owner; then only its content is replaced.
_INSTALL = """\
set -e
umask 077
source={source} target={target}
fail() {{ echo "$1" >&2; exit 1; }}
if [ -L "$target" ]; then
    target=$(readlink -f -- "$target"; echo .) && target=${{target%??}}
fi
if [ -e "$target" ]; then
    [ {exclusive} = 0 ] || fail "File exists"
    [ ! -d "$target" ] || fail "Is a directory"
    [ -f "$target" ] || fail "Not a regular file"
fi
case $target in */*) directory=${{target%/*}}/ ;; *) directory=./ ;; esac
temporary=$(mktemp "$directory.deployer.XXXXXXXXXX")
trap 'rm -f -- "$temporary"' EXIT
if [ -e "$target" ]; then
    cp -p -- "$target" "$temporary"
else
    chmod {mode} "$temporary"
fi
if [ {append} = 1 ]; then cat -- "$source" >> "$temporary"; else cat -- "$source" > "$temporary"; fi
mv -f -- "$temporary" "$target"
trap - EXIT
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


def _check_regular(found: Stat) -> None:
    if found.is_dir:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not found.is_file:
        raise OSError(errno.EINVAL, "it is not a regular file")
