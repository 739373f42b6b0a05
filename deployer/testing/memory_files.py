"""Files in memory, in place of those of a host."""

from __future__ import annotations

import errno
import io
import os
import posixpath
import stat as stat_bits
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

from ..host.files import NewFile, Stat

__all__ = ["FileTexts", "MemoryFiles"]

_MOST_LINKS = 40


@dataclass
class _Entry:
    """A file, a directory or a symlink."""

    mode: int
    uid: int
    gid: int
    mtime: float = field(default_factory=time.time)
    content: bytearray = field(default_factory=bytearray)
    #: What is in a directory.
    entries: dict[str, _Entry] = field(default_factory=dict)
    #: Where a symlink leads.
    target: str = ""

    @property
    def is_dir(self) -> bool:
        return stat_bits.S_ISDIR(self.mode)

    @property
    def is_link(self) -> bool:
        return stat_bits.S_ISLNK(self.mode)


#: The names on the way to a path, and what is there; None for the last one where there is nothing.
_Way = list[tuple[str, _Entry | None]]


class MemoryFiles:
    """A file system in memory, with modes, owners, times and symlinks.

    Directories are made where a file needs them. Everybody may read and write everything: to make
    a file as another user only gives it another owner.

    :param user: whom new files belong to; ``root`` has the number 0, and the first other user
        1000. A group has the number of the user of its name.
    """

    def __init__(self, user: str = "user") -> None:
        self._root = _Entry(stat_bits.S_IFDIR | 0o755, 0, 0)
        self._lock = threading.RLock()
        self._ids = {"root": 0}
        self._uid = self.get_id(user)

    def as_root(self) -> MemoryFiles:
        """Return the same files, where new ones belong to root."""
        same = MemoryFiles("root")
        same._root, same._lock, same._ids = self._root, self._lock, self._ids
        return same

    def get_id(self, name: str) -> int:
        """Return the number of a user or a group; one that is not known yet gets the next."""
        with self._lock:
            return (
                int(name) if name.isdecimal() else self._ids.setdefault(name, 999 + len(self._ids))
            )

    def get_name(self, number: int) -> str:
        """Return the name of a user or a group; ``UNKNOWN``, as stat(1) has it, for no name."""
        with self._lock:
            return next((name for name, id in self._ids.items() if id == number), "UNKNOWN")

    def paths(self) -> list[str]:
        """Return the paths of all files, sorted."""
        with self._lock:
            return sorted(_paths("", self._root))

    def read(self, path: str) -> bytes:
        """Return what a file holds."""
        with self._lock:
            found = self._get(path)
            if found.is_dir:
                raise _error(errno.EISDIR, path)
            return bytes(found.content)

    def write(self, path: str, content: bytes) -> None:
        """Have a file hold this. One that is there keeps its mode and owner."""
        with self._lock:
            way = self._follow(path, make=True)
            name, found = way[-1]
            if found is None:
                found = self._new(stat_bits.S_IFREG | 0o644)
                _directory_of(way).entries[name] = found
            if found.is_dir:
                raise _error(errno.EISDIR, path)
            found.content[:] = content
            found.mtime = time.time()

    # What a host needs of its files; see :class:`~deployer.host.files.FileSystem`.

    def open(self, path: str, mode: str) -> BinaryIO:
        if mode == "rb":
            return io.BytesIO(self.read(path))
        with self._lock:
            return cast(BinaryIO, _Written(self._make(path, stat_bits.S_IFREG | 0o644)))

    def open_whole(self, path: str, size: int) -> BinaryIO:
        return self.open(path, "rb")

    def stat(self, path: str) -> Stat:
        with self._lock:
            return _stat(posixpath.basename(path), self._get(path))

    def lstat(self, path: str) -> Stat:
        with self._lock:
            return _stat(posixpath.basename(path), self._get(path, follow=False))

    def listdir(self, path: str) -> list[Stat]:
        with self._lock:
            found = self._get(path)
            if not found.is_dir:
                raise _error(errno.ENOTDIR, path)
            return [_stat(name, entry) for name, entry in found.entries.items()]

    def readlink(self, path: str) -> str:
        with self._lock:
            found = self._get(path, follow=False)
            if not found.is_link:
                raise _error(errno.EINVAL, path)
            return found.target

    def real_path(self, path: str) -> str:
        with self._lock:
            return "/".join(name for name, _ in self._follow(path)) or "/"

    def replace(self, old: str, new: str) -> None:
        with self._lock:
            moved = self._get(old, follow=False)
            way = self._follow(new, follow=False, make=True)
            if moved in [entry for _, entry in way[:-1]]:
                raise _error(errno.EINVAL, new)
            there = way[-1][1]
            if there is moved:
                return
            if there is not None:
                if there.is_dir != moved.is_dir:
                    raise _error(errno.EISDIR if there.is_dir else errno.ENOTDIR, new)
                if there.entries:
                    raise _error(errno.ENOTEMPTY, new)
            self._take_away(old)
            _directory_of(way).entries[way[-1][0]] = moved

    def remove(self, path: str) -> None:
        with self._lock:
            if self._get(path, follow=False).is_dir:
                raise _error(errno.EISDIR, path)
            self._take_away(path)

    def mkdir(self, path: str, mode: int = 0o755) -> None:
        with self._lock:
            self._make(path, stat_bits.S_IFDIR | mode)

    def rmdir(self, path: str) -> None:
        with self._lock:
            found = self._get(path, follow=False)
            if not found.is_dir:
                raise _error(errno.ENOTDIR, path)
            if found.entries:
                raise _error(errno.ENOTEMPTY, path)
            self._take_away(path)

    def chmod(self, path: str, mode: int) -> None:
        with self._lock:
            found = self._get(path)
            found.mode = stat_bits.S_IFMT(found.mode) | mode

    def chown(self, path: str, uid: int, gid: int) -> None:
        with self._lock:
            found = self._get(path)
            found.uid, found.gid = uid, gid

    def utime(self, path: str, mtime: float) -> None:
        with self._lock:
            self._get(path).mtime = mtime

    def symlink(self, target: str, path: str) -> None:
        with self._lock:
            self._make(path, stat_bits.S_IFLNK | 0o777).target = target

    def free_space(self, path: str) -> int | None:
        return None

    def read_all(self, files: Sequence[tuple[str, int]]) -> list[bytes | None]:
        return [self._try(self._read, path, size) for path, size in files]

    def create_all(self, files: Sequence[NewFile]) -> list[Stat | None]:
        return [self._try(self._create, file) for file in files]

    def replace_all(self, moves: Sequence[tuple[str, str]]) -> list[bool]:
        return [bool(self._try(self._replaced, old, new)) for old, new in moves]

    def _read(self, path: str, size: int) -> bytes | None:
        content = self.read(path)
        return content if len(content) == size else None

    def _create(self, new: NewFile) -> Stat:
        with self._lock:
            made = self._make(new.path, stat_bits.S_IFREG | new.mode)
            made.content += new.content
            made.mtime = new.mtime
            if new.owner is not None:
                made.uid, made.gid = new.owner
            return _stat(posixpath.basename(new.path), made)

    def _replaced(self, old: str, new: str) -> bool:
        self.replace(old, new)
        return True

    @staticmethod
    def _try(function: Callable[..., Any], *args: object) -> Any:
        with suppress(OSError):
            return function(*args)
        return None

    def _get(self, path: str, follow: bool = True) -> _Entry:
        found = self._follow(path, follow)[-1][1]
        if found is None:
            raise _error(errno.ENOENT, path)
        return found

    def _new(self, mode: int) -> _Entry:
        return _Entry(mode, self._uid, self._uid)

    def _make(self, path: str, mode: int) -> _Entry:
        way = self._follow(path, follow=False, make=True)
        name, found = way[-1]
        if found is not None:
            raise _error(errno.EEXIST, path)
        made = _directory_of(way).entries[name] = self._new(mode)
        return made

    def _take_away(self, path: str) -> None:
        way = self._follow(path, follow=False)
        del _directory_of(way).entries[way[-1][0]]

    def _follow(self, path: str, follow: bool = True, make: bool = False) -> _Way:
        """Return the way to a path, without symlinks in it.

        :param follow: whether a symlink at its end is followed, too.
        :param make: make the directories on the way that are not there.
        """
        way: _Way = [("", self._root)]
        left = _steps(path)
        links = 0
        while left:
            name, here = left.pop(), way[-1][1]
            if here is None:
                if not make:
                    raise _error(errno.ENOENT, path)
                here = self._new(stat_bits.S_IFDIR | 0o755)
                _directory_of(way).entries[way[-1][0]] = here
                way[-1] = (way[-1][0], here)
            if not here.is_dir:
                raise _error(errno.ENOTDIR, path)
            if name == "..":
                way = way[:-1] or way
                continue
            entry = here.entries.get(name)
            if entry is not None and entry.is_link and (follow or left):
                links += 1
                if links > _MOST_LINKS:
                    raise _error(errno.ELOOP, path)
                left += _steps(entry.target)
                if entry.target.startswith("/"):
                    way = way[:1]
            else:
                way.append((name, entry))
        return way


class FileTexts(MutableMapping[str, str]):
    """The texts of all files of a host, by their absolute paths; what is set is written there.

    Symlinks are followed, and are no files themselves.

    :param expand: makes a path absolute.
    """

    def __init__(self, files: MemoryFiles, expand: Callable[[str], str]) -> None:
        self._files = files
        self._expand = expand

    def __getitem__(self, path: str) -> str:
        try:
            content = self._files.read(self._expand(path))
        except OSError as error:
            raise KeyError(path) from error
        return content.decode(errors="surrogateescape")

    def __setitem__(self, path: str, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"{path}: a file holds a text here, not {text!r}")
        self._files.write(self._expand(path), text.encode(errors="surrogateescape"))

    def __delitem__(self, path: str) -> None:
        try:
            self._files.remove(self._expand(path))
        except OSError as error:
            raise KeyError(path) from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._files.paths())

    def __len__(self) -> int:
        return len(self._files.paths())

    def __repr__(self) -> str:
        return repr(dict(self))


class _Written(io.RawIOBase):
    """A new file that is being written."""

    def __init__(self, entry: _Entry) -> None:
        self._entry = entry

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._entry.content += data
        return len(data)


def _steps(path: str) -> list[str]:
    """Return the names in a path, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _directory_of(way: _Way) -> _Entry:
    # Only the last one on a way may not be there.
    directory = way[-2][1] if len(way) > 1 else None
    if directory is None:
        raise _error(errno.EBUSY, "/")
    return directory


def _paths(path: str, entry: _Entry) -> Iterator[str]:
    for name, inner in entry.entries.items():
        if inner.is_dir:
            yield from _paths(f"{path}/{name}", inner)
        elif not inner.is_link:
            yield f"{path}/{name}"


def _stat(name: str, entry: _Entry) -> Stat:
    size = len(entry.target.encode()) if entry.is_link else len(entry.content)
    return Stat(name, entry.mode, size, entry.uid, entry.gid, entry.mtime, entry.mtime)


def _error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)
