"""The files of a host: what is known of them, and the operations that a host offers directly."""

from __future__ import annotations

import os
import posixpath
import stat as stat_bits
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from ..exceptions import RemoteFileError

__all__ = ["FileSystem", "LocalFileSystem", "Stat", "copy_stream", "file_errors"]

_CHUNK = 256 * 1024


@dataclass(frozen=True)
class Stat:
    """What is known of a file. Times are seconds since the epoch, sizes bytes."""

    filename: str
    st_mode: int
    st_size: int
    st_uid: int
    st_gid: int
    st_atime: float
    st_mtime: float

    @property
    def is_dir(self) -> bool:
        return stat_bits.S_ISDIR(self.st_mode)

    @property
    def is_file(self) -> bool:
        return stat_bits.S_ISREG(self.st_mode)

    @property
    def is_link(self) -> bool:
        return stat_bits.S_ISLNK(self.st_mode)

    @property
    def permissions(self) -> int:
        """The permission bits alone (``0o644``)."""
        return stat_bits.S_IMODE(self.st_mode)


class FileSystem(Protocol):
    """The file operations that a host offers directly; errors are ``OSError``."""

    def open(self, path: str, mode: str) -> BinaryIO:
        """Open for reading (``rb``), or create a new file (``xb``)."""

    def stat(self, path: str) -> Stat: ...

    def lstat(self, path: str) -> Stat: ...

    def listdir(self, path: str) -> list[Stat]: ...

    def readlink(self, path: str) -> str: ...

    def real_path(self, path: str) -> str: ...

    def replace(self, old: str, new: str) -> None: ...

    def remove(self, path: str) -> None: ...

    def mkdir(self, path: str, mode: int) -> None: ...

    def rmdir(self, path: str) -> None: ...

    def chmod(self, path: str, mode: int) -> None: ...

    def chown(self, path: str, uid: int, gid: int) -> None: ...


class LocalFileSystem:
    """The files of this machine."""

    def open(self, path: str, mode: str) -> BinaryIO:
        if mode == "rb":
            return open(path, "rb", buffering=0)
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb", 0)

    def stat(self, path: str) -> Stat:
        return _stat(posixpath.basename(path), os.stat(path))

    def lstat(self, path: str) -> Stat:
        return _stat(posixpath.basename(path), os.lstat(path))

    def listdir(self, path: str) -> list[Stat]:
        with os.scandir(path) as entries:
            return [_stat(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]

    def readlink(self, path: str) -> str:
        return os.readlink(path)

    def real_path(self, path: str) -> str:
        return os.path.realpath(path)

    def replace(self, old: str, new: str) -> None:
        os.replace(old, new)

    def remove(self, path: str) -> None:
        os.remove(path)

    def mkdir(self, path: str, mode: int) -> None:
        os.mkdir(path, mode)

    def rmdir(self, path: str) -> None:
        os.rmdir(path)

    def chmod(self, path: str, mode: int) -> None:
        os.chmod(path, mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        os.chown(path, uid, gid)


def copy_stream(source: BinaryIO, write: Callable[[bytes], object]) -> None:
    """Pass everything that is left in a file to ``write``, piece by piece."""
    while data := source.read(_CHUNK):
        write(data)


@contextmanager
def file_errors(host: str, path: str, what: str) -> Iterator[None]:
    """Turn an ``OSError`` into a RemoteFileError that names the host, the path and the attempt."""
    try:
        yield
    except RemoteFileError:
        raise
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise RemoteFileError(f"{host}: cannot {what} {path}: {reason}", error.errno) from error


def _stat(name: str, found: os.stat_result) -> Stat:
    return Stat(
        name,
        found.st_mode,
        found.st_size,
        found.st_uid,
        found.st_gid,
        found.st_atime,
        found.st_mtime,
    )
