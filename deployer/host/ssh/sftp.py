"""The files of an SSH host, over SFTP."""

from __future__ import annotations

import contextlib
import errno
import io
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, cast

import paramiko

from ...exceptions import ConnectionLost
from ..command_stream import CommandStream
from ..files import NewFile, Stat
from ..measured import CAT_FROM
from . import tuning
from .interrupts import interrupts_wait
from .whole_files import CatWriter, SpareSession, open_reader, open_writer

__all__ = ["SFTPFileSystem", "is_alive", "sftp_over"]


class SFTPFileSystem:
    """File operations by an SFTP client; paths are absolute.

    :param lost: makes the error for a connection that broke.
    :param spare: gives one more session, for large files.
    """

    def __init__(
        self,
        client: paramiko.SFTPClient,
        lost: Callable[[], ConnectionLost],
        spare: SpareSession | None = None,
    ) -> None:
        self._client = client
        self._lost = lost
        self._spare = spare

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
        with contextlib.suppress(*tuning.BROKEN):
            self._client.close()

    def open(self, path: str, mode: str) -> BinaryIO:
        with self.exchange():
            file = self._client.open(_encode(path), "rb" if mode == "rb" else "xwb")
        return cast(BinaryIO, _Reader(self, file) if mode == "rb" else _Writer(self, file, path))

    def open_whole(self, path: str, size: int) -> BinaryIO:
        found = None
        if size >= CAT_FROM and self._spare is not None:
            found = open_reader(self._spare, path, self._lost)
        return self.open(path, "rb") if found is None else cast(BinaryIO, found)

    def append_to(self, path: str) -> CatWriter | None:
        """Return what writes more to a file; None where SFTP is to do it."""
        return None if self._spare is None else open_writer(self._spare, path, self._lost)

    def stat(self, path: str) -> Stat:
        with self.exchange():
            return _stat(self._client.stat(_encode(path)), path)

    def lstat(self, path: str) -> Stat:
        with self.exchange():
            return _stat(self._client.lstat(_encode(path)), path)

    def listdir(self, path: str) -> list[Stat]:
        with self.exchange():
            listed = tuning.list_directory(self._client, _encode(path))
        for name, _ in listed:
            # It would lead elsewhere, also on this machine.
            if not name or b"/" in name or b"\0" in name:
                raise OSError(errno.EBADMSG, f"the host says that there is a file {name!r}")
        return [_stat(found, _decode(name)) for name, found in listed]

    def readlink(self, path: str) -> str:
        with self.exchange():
            return _as_text(self._client.readlink(_encode(path)))

    def real_path(self, path: str) -> str:
        with self.exchange():
            return self._client.normalize(_encode(path))

    def replace(self, old: str, new: str) -> None:
        with self.exchange():
            self._client.posix_rename(_encode(old), _encode(new))

    def remove(self, path: str) -> None:
        with self.exchange():
            self._client.remove(_encode(path))

    def mkdir(self, path: str, mode: int) -> None:
        with self.exchange():
            self._client.mkdir(_encode(path), mode)

    def rmdir(self, path: str) -> None:
        with self.exchange():
            self._client.rmdir(_encode(path))

    def chmod(self, path: str, mode: int) -> None:
        with self.exchange():
            self._client.chmod(_encode(path), mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        with self.exchange():
            self._client.chown(_encode(path), uid, gid)

    def utime(self, path: str, mtime: float) -> None:
        seconds = _seconds(mtime)
        with self.exchange():
            self._client.utime(_encode(path), (seconds, seconds))

    def symlink(self, target: str, path: str) -> None:
        with self.exchange():
            self._client.symlink(_encode(target), _encode(path))

    def read_all(self, files: Sequence[tuple[str, int]]) -> list[bytes | None]:
        with self.exchange():
            return tuning.read_files(self._client, [(_encode(path), size) for path, size in files])

    def create_all(self, files: Sequence[NewFile]) -> list[Stat | None]:
        wanted = [
            tuning.NewContent(
                _encode(file.path), file.content, file.mode, _seconds(file.mtime), file.owner
            )
            for file in files
        ]
        with self.exchange():
            made = tuning.create_files(self._client, wanted)
        return [
            None if attributes is None else _stat(attributes, file.path)
            for file, attributes in zip(files, made, strict=True)
        ]

    def replace_all(self, moves: Sequence[tuple[str, str]]) -> list[bool]:
        with self.exchange():
            return tuning.rename_files(
                self._client, [(_encode(old), _encode(new)) for old, new in moves]
            )

    def free_space(self, path: str) -> int | None:
        with self.exchange():
            return tuning.free_space(self._client, _encode(path))


class _Reader(io.RawIOBase):
    """A file that is read, mostly from its beginning to its end."""

    def __init__(self, files: SFTPFileSystem, file: paramiko.SFTPFile) -> None:
        self._files = files
        self._file = file
        self._ahead = tuning.ReadAhead(file)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_CUR:
            offset += self._position
        elif whence == os.SEEK_END:
            with self._files.exchange():
                offset += self._file.stat().st_size or 0
        if offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        if offset != self._position:
            self._ahead = tuning.ReadAhead(self._file, offset)
            self._position = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        with self._files.exchange():
            data = self._ahead.read(size)
        self._position += len(data)
        return data

    def close(self) -> None:
        if not self.closed:
            super().close()
            with self._files.exchange():
                self._file.close()


class _Writer(io.RawIOBase):
    """A new file that is written."""

    def __init__(self, files: SFTPFileSystem, file: paramiko.SFTPFile, path: str) -> None:
        self._files = files
        self._file = file
        self._path = path
        self._behind = tuning.WriteBehind(file)
        # What goes on after the beginning of a large file.
        self._rest: CatWriter | None = None
        # How much is left until then; never, where it cannot.
        self._left = float(CAT_FROM)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self._left <= 0:
            self._go_on()
        if self._rest is not None:
            return self._rest.write(data)
        with self._files.exchange():
            self._behind.write(data)
        self._left -= len(data)
        return len(data)

    def _go_on(self) -> None:
        with self._files.exchange():
            # Nothing of it may come after the rest.
            self._behind.finish()
        self._rest = self._files.append_to(self._path)
        self._left = float("inf")

    def close(self) -> None:
        if not self.closed:
            super().close()
            with contextlib.ExitStack() as stack:
                stack.enter_context(self._files.exchange())
                stack.callback(self._file.close)
                if self._rest is None:
                    self._behind.finish()
                else:
                    self._rest.close()


def _encode(path: str) -> bytes:
    return path.encode(errors="surrogateescape")


def _decode(name: bytes) -> str:
    return name.decode(errors="surrogateescape")


def _seconds(time: float) -> int:
    # Over SFTP, times are whole seconds since 1970, in 32 bits.
    return max(0, min(int(time), 0xFFFF_FFFF))


def _as_text(name: str | bytes | None) -> str:
    # paramiko gives bytes where they are not UTF-8.
    return _decode(name) if isinstance(name, bytes) else name or ""


def is_alive(client: paramiko.SFTPClient) -> bool:
    """Whether a client can still be used."""
    channel = client.get_channel()
    if not isinstance(channel, paramiko.Channel):
        return channel is not None and not channel.closed
    return not channel.closed and channel.get_transport().is_active()


def sftp_over(stream: CommandStream) -> SFTPFileSystem:
    """Return the files that a program gives, which speaks SFTP on its streams."""
    # All that paramiko does with a socket is to send, to receive and to close.
    client = paramiko.SFTPClient(cast(paramiko.Channel, stream))
    return SFTPFileSystem(client, stream.lost)


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
