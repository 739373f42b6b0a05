"""The files of an SSH host, over SFTP."""

from __future__ import annotations

from typing import BinaryIO, cast

import paramiko

from ..files import Stat

__all__ = ["SFTPFileSystem"]


class SFTPFileSystem:
    """File operations by an SFTP client; paths are absolute."""

    def __init__(self, client: paramiko.SFTPClient) -> None:
        self._client = client

    def open(self, path: str, mode: str) -> BinaryIO:
        file = self._client.open(path, "rb" if mode == "rb" else "xwb")
        if mode == "rb":
            file.prefetch()
        else:
            # Without waiting for each reply; what arrived is checked by its size.
            file.set_pipelined(True)
        return cast(BinaryIO, file)

    def stat(self, path: str) -> Stat:
        return _stat(self._client.stat(path), path)

    def lstat(self, path: str) -> Stat:
        return _stat(self._client.lstat(path), path)

    def listdir(self, path: str) -> list[Stat]:
        return [_stat(found, found.filename) for found in self._client.listdir_attr(path)]

    def readlink(self, path: str) -> str:
        return self._client.readlink(path) or ""

    def real_path(self, path: str) -> str:
        return self._client.normalize(path)

    def replace(self, old: str, new: str) -> None:
        self._client.posix_rename(old, new)

    def remove(self, path: str) -> None:
        self._client.remove(path)

    def mkdir(self, path: str, mode: int) -> None:
        self._client.mkdir(path, mode)

    def rmdir(self, path: str) -> None:
        self._client.rmdir(path)

    def chmod(self, path: str, mode: int) -> None:
        self._client.chmod(path, mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        self._client.chown(path, uid, gid)


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
