"""The files of a host: what is known of them, and the operations that a host offers directly."""

from __future__ import annotations

import errno
import io
import os
import posixpath
import stat as stat_bits
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from ..exceptions import ConnectionLost, DeployerException, RemoteFileError
from .measured import CHUNK

__all__ = [
    "FileSystem",
    "LocalFileSystem",
    "NewFile",
    "Stat",
    "check_regular",
    "copy_stream",
    "file_errors",
    "space_errors",
]

# Less may be free, and yet too little for one more write.
_NEARLY_FULL = 1024 * 1024


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


@dataclass(frozen=True)
class NewFile:
    """A file that is to be made. Its permissions do not depend on the umask."""

    path: str
    content: bytes
    mode: int
    mtime: float
    #: User and group, unless they are to be those of who makes it.
    owner: tuple[int, int] | None


class FileSystem(Protocol):
    """The file operations that a host offers directly; errors are ``OSError``.

    Bytes of a name that are not UTF-8 are surrogates, as in ``os.fsdecode``.
    """

    def open(self, path: str, mode: str) -> BinaryIO:
        """Open for reading (``rb``), or create a new file (``xb``)."""

    def open_whole(self, path: str, size: int) -> BinaryIO:
        """Open a file of about this size that is read once, from its beginning to its end."""

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

    def utime(self, path: str, mtime: float) -> None: ...

    def symlink(self, target: str, path: str) -> None: ...

    def free_space(self, path: str) -> int | None:
        """Return how many bytes can still be written there; None where nothing tells."""

    # Small files, many at once; for an error, a file has to be looked at by itself.

    def read_all(self, files: Sequence[tuple[str, int]]) -> list[bytes | None]:
        """Return what is in files of which the size is known; None for each where it is not so."""

    def create_all(self, files: Sequence[NewFile]) -> list[Stat | None]:
        """Make files; return what is known of each then, and None where anything failed.

        A file that failed may be there.
        """

    def replace_all(self, moves: Sequence[tuple[str, str]]) -> list[bool]:
        """Do :meth:`replace` many times; return of which it is done."""


class LocalFileSystem:
    """The files of this machine."""

    def open(self, path: str, mode: str) -> BinaryIO:
        if mode == "rb":
            return open(path, "rb", buffering=0)
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb", 0)

    def open_whole(self, path: str, size: int) -> BinaryIO:
        return self.open(path, "rb")

    def stat(self, path: str) -> Stat:
        return _stat(posixpath.basename(path), os.stat(path))

    def lstat(self, path: str) -> Stat:
        return _stat(posixpath.basename(path), os.lstat(path))

    def listdir(self, path: str) -> list[Stat]:
        found = []
        with os.scandir(path) as entries:
            for entry in entries:
                # One that has just gone was not there.
                with suppress(FileNotFoundError):
                    found.append(_stat(entry.name, entry.stat(follow_symlinks=False)))
        return found

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

    def utime(self, path: str, mtime: float) -> None:
        os.utime(path, (mtime, mtime))

    def symlink(self, target: str, path: str) -> None:
        os.symlink(target, path)

    def free_space(self, path: str) -> int | None:
        found = os.statvfs(path)
        return found.f_bavail * found.f_frsize if found.f_favail or not found.f_files else 0

    def read_all(self, files: Sequence[tuple[str, int]]) -> list[bytes | None]:
        return [_read(path, size) for path, size in files]

    def create_all(self, files: Sequence[NewFile]) -> list[Stat | None]:
        return [_create(file) for file in files]

    def replace_all(self, moves: Sequence[tuple[str, str]]) -> list[bool]:
        return [_replace(old, new) for old, new in moves]


def _read(path: str, size: int) -> bytes | None:
    with suppress(OSError), open(path, "rb", buffering=0) as file:
        # One byte more than there should be, so that a file that has grown is noticed.
        content = file.read(size + 1)
        return content if len(content) == size else None
    return None


def _create(new: NewFile) -> Stat | None:
    with suppress(OSError):
        fd = os.open(new.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            # What is missing is noticed by its size.
            os.write(fd, new.content)
            if new.owner is not None:
                os.fchown(fd, *new.owner)
            os.fchmod(fd, new.mode)
        finally:
            os.close(fd)
        # Once it is closed: on some file systems, that changes the time.
        os.utime(new.path, (new.mtime, new.mtime))
        return _stat(posixpath.basename(new.path), os.lstat(new.path))
    return None


def _replace(old: str, new: str) -> bool:
    with suppress(OSError):
        os.replace(old, new)
        return True
    return False


def check_regular(found: Stat) -> None:
    """Raise for what cannot be read or written as a file: a directory, a FIFO, a device."""
    if found.is_dir:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not found.is_file:
        # To open a FIFO would wait for somebody at its other end.
        raise OSError(errno.EINVAL, "it is not a regular file")


def copy_stream(source: BinaryIO, write: Callable[[bytes], object]) -> None:
    """Pass everything that is left in a file to ``write``, piece by piece."""
    while data := source.read(CHUNK):
        write(data)


@contextmanager
def file_errors(host: str, path: str, what: str) -> Iterator[None]:
    """Turn an ``OSError`` into a RemoteFileError that names the host, the path and the attempt.

    A ConnectionLost stays one, and names them as well.
    """
    try:
        yield
    except ConnectionLost as error:
        attempt = f"{host}: cannot {what} {path}: "
        if str(error).startswith(attempt):
            raise
        message = attempt + str(error).removeprefix(f"{host}: ")
        raise ConnectionLost(message, error.result) from error
    except (RemoteFileError, io.UnsupportedOperation):
        raise
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise RemoteFileError(f"{host}: cannot {what} {path}: {reason}", error.errno) from error


@contextmanager
def space_errors(files: FileSystem, directory: str) -> Iterator[None]:
    """Say that the disk is full, where all that a server says is that it failed."""
    try:
        yield
    except OSError as error:
        if error.errno is not None or isinstance(error, RemoteFileError):
            raise
        free = None
        with suppress(OSError, DeployerException):
            free = files.free_space(directory)
        if free is None:
            raise OSError(f"{error}; is the disk full, or a quota used up?") from error
        place = f"{free} bytes are free in {directory}"
        if free < _NEARLY_FULL:
            raise OSError(errno.ENOSPC, f"No space left on device: {place}") from error
        raise OSError(f"{error}, and no reason was given; perhaps a quota: {place}") from error


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
