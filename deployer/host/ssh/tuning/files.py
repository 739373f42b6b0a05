"""What SFTP needs of paramiko's private parts: several requests under way, and lists of bytes."""

from __future__ import annotations

import contextlib
from collections import deque
from typing import Any

import paramiko
from paramiko.sftp import (
    CMD_CLOSE,
    CMD_DATA,
    CMD_EXTENDED,
    CMD_OPENDIR,
    CMD_READ,
    CMD_READDIR,
    CMD_WRITE,
    int64,
)

from ...measured import SFTP_READ, SFTP_READS, SFTP_WRITE, SFTP_WRITES

__all__ = ["ReadAhead", "WriteBehind", "free_space", "list_directory"]


def list_directory(
    client: paramiko.SFTPClient, path: bytes
) -> list[tuple[bytes, paramiko.SFTPAttributes]]:
    """Return the files in a directory, by SFTP; paramiko fails on names that are not UTF-8."""
    sftp: Any = client
    handle = sftp._request(CMD_OPENDIR, path)[1].get_binary()
    found = []
    try:
        with contextlib.suppress(EOFError):
            while True:
                message = sftp._request(CMD_READDIR, handle)[1]
                for _ in range(message.get_int()):
                    name = message.get_binary()
                    message.get_binary()
                    found.append((name, paramiko.SFTPAttributes._from_msg(message)))  # type: ignore[attr-defined]
    finally:
        sftp._request(CMD_CLOSE, handle)
    return [(name, attributes) for name, attributes in found if name not in (b".", b"..")]


def free_space(client: paramiko.SFTPClient, path: bytes) -> int | None:
    """Return how many bytes can be written on a file system; None where a server cannot say."""
    sftp: Any = client
    try:
        message = sftp._request(CMD_EXTENDED, "statvfs@openssh.com", path)[1]
    except OSError:
        return None
    # As struct statvfs has them, from f_bsize on; what is kept for root is not free.
    numbers = [message.get_int64() for _ in range(8)]
    _, fragment, _, _, available, files, _, free_files = numbers
    return int(available * fragment) if free_files or not files else 0


class ReadAhead:
    """Reads a file over SFTP from a place on, with several requests under way.

    paramiko's own ``prefetch`` asks for the whole file at once, in a thread that prints a traceback
    when the connection breaks, and needs the size, which is 0 for the files of ``/proc``.
    """

    def __init__(self, file: paramiko.SFTPFile, offset: int = 0) -> None:
        self._file = file
        self._client: Any = file.sftp  # type: ignore[attr-defined, unused-ignore]
        self._rest = memoryview(b"")
        #: Where the next request begins.
        self._offset = offset
        self._requests: deque[int] = deque()
        self._replies: dict[int, bytes | OSError | None] = {}
        # Most files are small: twice as many requests after each reply.
        self._ahead = 1
        # How much each asks for: less, where a server gives less.
        self._size = SFTP_READ
        self._is_at_end = False

    def read(self, size: int) -> bytes:
        """Return the next bytes, up to ``size``; nothing at the end."""
        if not self._rest and not self._is_at_end:
            self._rest = memoryview(self._receive())
            self._is_at_end = not self._rest
        data = bytes(self._rest[:size]) if size >= 0 else bytes(self._rest)
        self._rest = self._rest[len(data) :]
        return data

    def _receive(self) -> bytes:
        while len(self._requests) < self._ahead:
            number = self._client._async_request(
                self, CMD_READ, self._file.handle, int64(self._offset), self._size
            )
            self._requests.append(number)
            self._replies[number] = None
            self._offset += self._size
        begin = self._offset - len(self._requests) * self._size
        number = self._requests.popleft()
        while (reply := self._replies[number]) is None:
            self._client._read_response()
        del self._replies[number]
        if isinstance(reply, OSError):
            raise reply
        if len(reply) < self._size:
            # It ends here, or there is no more at once, as in the files of /proc; all servers give
            # 32 KB. The other requests are for what comes after the part that is missing.
            self._size = max(len(reply), SFTP_WRITE)
            self._requests.clear()
            self._replies.clear()
            self._offset = begin + len(reply)
            self._ahead = 1
        else:
            self._ahead = min(self._ahead * 2, self._most())
        return reply

    def _most(self) -> int:
        return SFTP_READS * SFTP_READ // self._size

    def _async_response(self, kind: int, message: paramiko.Message, number: int) -> None:
        """Take a reply; paramiko calls this."""
        if number not in self._replies:
            return
        if kind == CMD_DATA:
            self._replies[number] = message.get_string()
            return
        try:
            self._client._convert_status(message)
        except EOFError:
            self._replies[number] = b""
        except OSError as error:
            # Its traceback holds on to this object.
            self._replies[number] = error.with_traceback(None)
        else:
            raise paramiko.SFTPError("expected data")


class WriteBehind:
    """Writes a new file over SFTP without waiting for each reply; all of them are looked at.

    paramiko's own ``set_pipelined`` drops them when the file is closed: where a disk was full only
    for a moment, the file would have a hole in it, and the right size. And it waits forever when
    something else was done with the client meanwhile.
    """

    def __init__(self, file: paramiko.SFTPFile) -> None:
        self._file = file
        self._client: Any = file.sftp  # type: ignore[attr-defined, unused-ignore]
        self._offset = 0
        self._requests: set[int] = set()
        self._error: OSError | None = None

    def write(self, data: bytes) -> None:
        """Send bytes; raise what became known of earlier ones."""
        view = memoryview(data)
        while view:
            piece = bytes(view[:SFTP_WRITE])
            view = view[len(piece) :]
            number = self._client._async_request(
                self, CMD_WRITE, self._file.handle, int64(self._offset), piece
            )
            self._requests.add(number)
            self._offset += len(piece)
            self._receive(SFTP_WRITES)

    def finish(self) -> None:
        """Wait for all replies; raise the first error."""
        self._receive(0)

    def _receive(self, left: int) -> None:
        while len(self._requests) > left and self._error is None:
            self._client._read_response()
        if self._error is not None:
            raise self._error

    def _async_response(self, kind: int, message: paramiko.Message, number: int) -> None:
        """Take a reply; paramiko calls this."""
        self._requests.discard(number)
        try:
            self._client._convert_status(message)
        except OSError as error:
            self._error = self._error or error.with_traceback(None)
