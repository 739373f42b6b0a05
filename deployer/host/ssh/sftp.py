"""The files of an SSH host, over SFTP."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, cast

import paramiko

from ...exceptions import ConnectionLost
from ..files import Stat
from . import tuning
from .interrupts import interrupts_wait

__all__ = ["SFTPFileSystem", "is_alive"]


class SFTPFileSystem:
    """File operations by an SFTP client; paths are absolute.

    :param lost: makes the error for a connection that broke.
    """

    def __init__(self, client: paramiko.SFTPClient, lost: Callable[[], ConnectionLost]) -> None:
        self._client = client
        self._lost = lost

    @contextlib.contextmanager
    def exchange(self) -> Iterator[None]:
        """Do something with the client, whole; raise ConnectionLost when the connection broke."""
        # Half of a reply left over would make all later ones unreadable.
        with interrupts_wait(), self._errors():
            yield

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, paramiko.SSHException, paramiko.SFTPError, TimeoutError) as error:
            self._drop()
            raise self._lost() from error
        except OSError as error:
            # Mostly what the server answered (no such file …): the client is as good as before.
            if not is_alive(self._client):
                raise self._lost() from error
            raise
        except BaseException:
            self._drop()
            raise

    def _drop(self) -> None:
        """Close the client, so that nobody uses it any more; the connection may be no more."""
        with contextlib.suppress(EOFError, OSError, paramiko.SSHException):
            self._client.close()

    def open(self, path: str, mode: str) -> BinaryIO:
        with self.exchange():
            file = self._client.open(path, "rb" if mode == "rb" else "xwb")
            return cast(BinaryIO, (_Reader if mode == "rb" else _Writer)(self, file))

    def stat(self, path: str) -> Stat:
        with self.exchange():
            return _stat(self._client.stat(path), path)

    def lstat(self, path: str) -> Stat:
        with self.exchange():
            return _stat(self._client.lstat(path), path)

    def listdir(self, path: str) -> list[Stat]:
        with self.exchange():
            return [_stat(found, found.filename) for found in self._client.listdir_attr(path)]

    def readlink(self, path: str) -> str:
        with self.exchange():
            return self._client.readlink(path) or ""

    def real_path(self, path: str) -> str:
        with self.exchange():
            return self._client.normalize(path)

    def replace(self, old: str, new: str) -> None:
        with self.exchange():
            self._client.posix_rename(old, new)

    def remove(self, path: str) -> None:
        with self.exchange():
            self._client.remove(path)

    def mkdir(self, path: str, mode: int) -> None:
        with self.exchange():
            self._client.mkdir(path, mode)

    def rmdir(self, path: str) -> None:
        with self.exchange():
            self._client.rmdir(path)

    def chmod(self, path: str, mode: int) -> None:
        with self.exchange():
            self._client.chmod(path, mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        with self.exchange():
            self._client.chown(path, uid, gid)


class _Reader(io.RawIOBase):
    """A file that is read from its beginning to its end."""

    def __init__(self, files: SFTPFileSystem, file: paramiko.SFTPFile) -> None:
        self._files = files
        self._file = file
        self._ahead = tuning.ReadAhead(file)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        with self._files.exchange():
            return self._ahead.read(size)

    def close(self) -> None:
        if not self.closed:
            super().close()
            with self._files.exchange():
                self._file.close()


class _Writer(io.RawIOBase):
    """A new file that is written."""

    def __init__(self, files: SFTPFileSystem, file: paramiko.SFTPFile) -> None:
        self._files = files
        self._file = file
        self._behind = tuning.WriteBehind(file)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        with self._files.exchange():
            self._behind.write(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            super().close()
            with self._files.exchange():
                try:
                    self._behind.finish()
                finally:
                    self._file.close()


def is_alive(client: paramiko.SFTPClient) -> bool:
    """Whether a client can still be used."""
    channel = client.get_channel()
    return channel is not None and not channel.closed and channel.get_transport().is_active()


def _stat(found: paramiko.SFTPAttributes, path: str) -> Stat:
    return Stat(
        path.rpartition("/")[2],
        found.st_mode or 0,
        found.st_size or 0,
        found.st_uid or 0,
        found.st_gid or 0,
        found.st_atime or 0,
        found.st_mtime or 0,
    )
