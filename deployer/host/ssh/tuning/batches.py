"""Many requests of SFTP at once: all are sent, then all replies are read.

For many small files, what takes time is to wait for each reply, and one packet of SSH for each
request; here, a packet holds as many as fit.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import paramiko
from paramiko.sftp import (
    CMD_ATTRS,
    CMD_CLOSE,
    CMD_DATA,
    CMD_EXTENDED,
    CMD_HANDLE,
    CMD_LSTAT,
    CMD_OPEN,
    CMD_READ,
    CMD_SETSTAT,
    CMD_STATUS,
    CMD_WRITE,
    SFTP_EOF,
    SFTP_FLAG_CREATE,
    SFTP_FLAG_EXCL,
    SFTP_FLAG_READ,
    SFTP_FLAG_WRITE,
    SFTP_OK,
)

from ...measured import SFTP_WRITE

__all__ = ["NewContent", "create_files", "read_files", "rename_files"]

_RECEIVED_AT_ONCE = 128 * 1024
# As OpenSSH has it: what is longer is garbage.
_LONGEST_REPLY = 256 * 1024


class NewContent(NamedTuple):
    """A file that is to be made."""

    path: bytes
    content: bytes
    mode: int
    mtime: int
    #: User and group, unless they are to be those of who makes it.
    owner: tuple[int, int] | None


class _Request(NamedTuple):
    kind: int
    #: What follows its number.
    body: bytes


class _Reply(NamedTuple):
    kind: int
    #: What follows the number of the request.
    body: bytes

    def check(self, wanted: int) -> bool:
        """Whether it is the one wanted, not an error; raise where it is no reply to this."""
        if self.kind not in (wanted, CMD_STATUS):
            raise paramiko.SFTPError(f"expected a reply of kind {wanted}, not {self.kind}")
        return self.kind == wanted and (wanted != CMD_STATUS or self.code == SFTP_OK)

    @property
    def code(self) -> int:
        """Of a status: what has become of it."""
        return int.from_bytes(self.body[:4], "big")

    @property
    def text(self) -> bytes:
        """Of a handle, or of data: what it is."""
        return self.body[4 : 4 + int.from_bytes(self.body[:4], "big")]


def read_files(
    client: paramiko.SFTPClient, files: Sequence[tuple[bytes, int]]
) -> list[bytes | None]:
    """Return what is in files of which the size is known; None for each where it is not so.

    All of them together should be shorter than the window of a channel (2 MB).
    """
    handles = _open(client, [path for path, _ in files], SFTP_FLAG_READ)
    # One byte more than there should be, so that a file that has grown is noticed.
    offsets = [range(0, size + 1, SFTP_WRITE) for _, size in files]
    requests = []
    for handle, pieces in zip(handles, offsets, strict=True):
        if handle is not None:
            requests += [
                _Request(CMD_READ, _string(handle) + struct.pack(">QI", offset, SFTP_WRITE))
                for offset in pieces
            ]
            requests.append(_Request(CMD_CLOSE, _string(handle)))
    replies = iter(_ask_all(client, requests))
    found: list[bytes | None] = []
    for handle, pieces, (_, size) in zip(handles, offsets, files, strict=True):
        content = None
        if handle is not None:
            content = _content([next(replies) for _ in pieces])
            next(replies)
        found.append(content if content is not None and len(content) == size else None)
    return found


def _content(replies: Sequence[_Reply]) -> bytes | None:
    pieces = []
    for reply in replies:
        if reply.check(CMD_DATA):
            pieces.append(reply.text)
        elif reply.code != SFTP_EOF:
            return None
    return b"".join(pieces)


def create_files(
    client: paramiko.SFTPClient, files: Sequence[NewContent]
) -> list[paramiko.SFTPAttributes | None]:
    """Make files; return what is known of each then, and None where anything failed.

    A file that failed may be there.
    """
    flags = SFTP_FLAG_WRITE | SFTP_FLAG_CREATE | SFTP_FLAG_EXCL
    handles = _open(client, [file.path for file in files], flags)
    asked = [
        [] if handle is None else list(_fill(handle, file))
        for handle, file in zip(handles, files, strict=True)
    ]
    replies = iter(_ask_all(client, [request for requests in asked for request in requests]))
    made: list[paramiko.SFTPAttributes | None] = []
    for requests in asked:
        attributes = None
        answered = list(islice(replies, len(requests)))
        if answered:
            *done, last = answered
            if all(reply.check(CMD_STATUS) for reply in done) and last.check(CMD_ATTRS):
                message = paramiko.Message(last.body)
                attributes = paramiko.SFTPAttributes._from_msg(message)  # type: ignore[attr-defined]
        made.append(attributes)
    return made


def _fill(handle: bytes, file: NewContent) -> Iterator[_Request]:
    handle, path = _string(handle), _string(file.path)
    for offset in range(0, len(file.content), SFTP_WRITE):
        piece = file.content[offset : offset + SFTP_WRITE]
        yield _Request(CMD_WRITE, handle + struct.pack(">Q", offset) + _string(piece))
    yield _Request(CMD_CLOSE, handle)
    # Once it is closed: on some file systems, that changes the time.
    yield _Request(CMD_SETSTAT, path + _attributes(file))
    yield _Request(CMD_LSTAT, path)


def _attributes(file: NewContent) -> bytes:
    known: Any = paramiko.SFTPAttributes
    flags = known.FLAG_PERMISSIONS | known.FLAG_AMTIME
    if file.owner is None:
        return struct.pack(">IIII", flags, file.mode, file.mtime, file.mtime)
    flags |= known.FLAG_UIDGID
    return struct.pack(">IIIIII", flags, *file.owner, file.mode, file.mtime, file.mtime)


def rename_files(client: paramiko.SFTPClient, moves: Sequence[tuple[bytes, bytes]]) -> list[bool]:
    """Give files their new names, in place of what has them; return of which it is done."""
    kind = _string(b"posix-rename@openssh.com")
    requests = [_Request(CMD_EXTENDED, kind + _string(old) + _string(new)) for old, new in moves]
    return [reply.check(CMD_STATUS) for reply in _ask_all(client, requests)]


def _open(client: paramiko.SFTPClient, paths: Sequence[bytes], flags: int) -> list[bytes | None]:
    # A new one gets the permissions that the host's umask gives.
    no_attributes = bytes(4)
    requests = [
        _Request(CMD_OPEN, _string(path) + struct.pack(">I", flags) + no_attributes)
        for path in paths
    ]
    return [reply.text if reply.check(CMD_HANDLE) else None for reply in _ask_all(client, requests)]


def _string(text: bytes) -> bytes:
    return struct.pack(">I", len(text)) + text


def _ask_all(client: paramiko.SFTPClient, requests: Sequence[_Request]) -> list[_Reply]:
    """Send requests, and return the reply to each of them."""
    sftp: Any = client
    with sftp._lock:
        first = sftp.request_number
        sftp.request_number += len(requests)
    # The replies are short, or those to what was asked in a few bytes: so neither side waits for
    # the other to read.
    asked = b"".join(
        struct.pack(">IBI", len(body) + 5, kind, number) + body
        for number, (kind, body) in enumerate(requests, first)
    )
    for begin in range(0, len(asked), SFTP_WRITE):
        sftp._write_all(asked[begin : begin + SFTP_WRITE])
    replies: dict[int, _Reply] = {}
    received = b""
    # Also until nothing is left over, which paramiko would miss.
    while len(replies) < len(requests) or received:
        data = sftp.sock.recv(_RECEIVED_AT_ONCE)
        if not data:
            raise EOFError
        packets, received = _packets(received + data)
        for packet in packets:
            kind, number = struct.unpack_from(">BI", packet)
            if first <= number < first + len(requests):
                replies[number] = _Reply(kind, packet[5:])
            elif hasattr(asker := sftp._expecting.pop(number, None), "_async_response"):
                # Of a file that is read or written besides, or was given up.
                asker._async_response(kind, paramiko.Message(packet[5:]), number)
    return [replies[number] for number in range(first, first + len(requests))]


def _packets(received: bytes) -> tuple[list[bytes], bytes]:
    """Return the packets that have arrived whole, and the rest."""
    packets = []
    begin = 0
    while len(received) - begin >= 4:
        size = int.from_bytes(received[begin : begin + 4], "big")
        if not 5 <= size <= _LONGEST_REPLY:
            raise paramiko.SFTPError("Garbage packet received")
        if len(received) - begin < 4 + size:
            break
        packets.append(received[begin + 4 : begin + 4 + size])
        begin += 4 + size
    return packets, received[begin:]
