"""Files that are read once, and again only when they have changed: a thousand hosts share them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["FilesRead"]

T = TypeVar("T")


class FilesRead(Generic[T]):
    """What was made of files, by their names."""

    def __init__(self, read: Callable[[str], T]) -> None:
        self._read = read
        self._found: dict[str, tuple[tuple[int, ...], T]] = {}

    def get(self, filename: str, status: os.stat_result | None = None) -> T:
        """Return what a file was read as, by the function of this object.

        :param status: that of the file, where it is known already.
        :raises OSError: when it is not there; and whatever reading it raises.
        """
        status = status or os.stat(filename)
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev)
        found = self._found.get(filename)
        if found is None or found[0] != stamp:
            found = self._found[filename] = (stamp, self._read(filename))
        return found[1]
