"""Files on a host: written whole or not at all, keeping mode, owner and symlinks."""

from __future__ import annotations

import errno
import io
import os
import posixpath
import secrets
import shlex
import stat as stat_bits
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any, BinaryIO, Protocol

from ..exceptions import RemoteFileError

__all__ = ["FileSystem", "LocalFileSystem", "RemoteFile", "Stat", "copy_stream", "file_errors"]

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


class Writer(Protocol):
    """A file that is being written, and that nobody sees before ``commit``."""

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
        self._file = files.open(self._temporary, "xb")
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
            # None is SFTP's way to say that all of it was taken.
            written = self._file.write(view)
            view = view[len(view) if written is None else written :]
        self._size += len(data)

    def commit(self) -> None:
        files = self._files
        try:
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
        except BaseException:
            self.abort()
            raise

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
        with suppress(OSError, EOFError):
            self._file.close()
        with suppress(OSError, EOFError):
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
        try:
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
        finally:
            self._clean_up()

    def abort(self) -> None:
        self._writer.abort()
        self._clean_up()

    def _clean_up(self) -> None:
        with suppress(OSError, EOFError):
            self._files.remove(self._staged)
        with suppress(OSError, EOFError):
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


class RemoteFile:
    """An open file on a host, with the methods of a Python file object, and a context manager.

    Without a mode, the first use decides: writing replaces the file, reading reads it. What is
    written becomes visible, whole, at ``close``; an exception in the ``with`` block leaves the
    old file as it was.
    """

    def __init__(
        self,
        name: str,
        mode: str | None,
        open_reader: Callable[[ExitStack], BinaryIO],
        open_writer: Callable[[ExitStack, bool, bool], Writer],
        errors: Callable[[], Any],
    ) -> None:
        if mode is not None:
            _check_mode(mode)
        self.name = name
        self.mode = mode
        self.closed = False
        self._open_reader = open_reader
        self._open_writer = open_writer
        self._errors = errors
        self._stack = ExitStack()
        self._stream: IO[Any] | None = None
        self._writer: Writer | None = None
        if mode is not None:
            # A missing file is an error here and now, as with Python's own open().
            self._get_stream(mode)

    def read(self, size: int = -1) -> Any:
        """Return the rest of the file, or at most ``size`` characters (bytes in a ``b`` mode)."""
        with self._errors():
            return self._reading().read(size)

    def readline(self) -> Any:
        """Return the next line with its newline; nothing at the end."""
        with self._errors():
            return self._reading().readline()

    def readlines(self) -> list[Any]:
        """Return all lines that are left."""
        return list(self)

    def __iter__(self) -> Iterator[Any]:
        while line := self.readline():
            yield line

    def write(self, data: Any) -> int:
        """Write text (bytes in a ``b`` mode); return how much."""
        with self._errors():
            binary = isinstance(data, bytes | bytearray | memoryview)
            return self._get_stream("wb" if binary else "w").write(data)

    def writelines(self, lines: Iterable[Any]) -> None:
        """Write each of the lines, as they are."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Do nothing: what is written becomes visible at ``close``."""

    def readable(self) -> bool:
        return self.mode is None or "r" in self.mode

    def writable(self) -> bool:
        return self.mode is None or "r" not in self.mode

    def close(self) -> None:
        """Finish; what was written takes the place of the old file."""
        if self.closed:
            return
        self.closed = True
        with self._stack, self._errors():
            if self._writer is not None:
                assert self._stream is not None
                try:
                    self._stream.close()
                except BaseException:
                    self._writer.abort()
                    raise
                self._writer.commit()
            elif self._stream is not None:
                self._stream.close()

    def abort(self) -> None:
        """Finish; what was written is dropped, and the old file stays as it was."""
        if self.closed:
            return
        self.closed = True
        with self._stack:
            if self._writer is not None:
                self._writer.abort()

    def __enter__(self) -> RemoteFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __repr__(self) -> str:
        return f"<RemoteFile {self.name!r} mode={self.mode!r}{' closed' if self.closed else ''}>"

    def _reading(self) -> IO[Any]:
        return self._get_stream("r")

    def _get_stream(self, wanted: str) -> IO[Any]:
        if self.closed:
            raise ValueError(f"{self.name}: the file is closed")
        if self._stream is None:
            mode = self.mode = self.mode or wanted
            raw: io.RawIOBase
            if "r" in mode:
                raw = _RawReader(self._open_reader(self._stack))
                binary: io.BufferedIOBase = io.BufferedReader(raw, _CHUNK)
            else:
                self._writer = self._open_writer(self._stack, "a" in mode, "x" in mode)
                binary = io.BufferedWriter(_RawWriter(self._writer), _CHUNK)
            # Line ends are kept as they are: what is written comes back equal.
            self._stream = (
                binary if "b" in mode else io.TextIOWrapper(binary, "utf-8", newline="\n")  # type: ignore[arg-type, type-var]
            )
        return self._stream


class _RawReader(io.RawIOBase):
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class _RawWriter(io.RawIOBase):
    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._writer.write(bytes(data))
        return len(data)


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


def _check_mode(mode: str) -> None:
    letters = sorted(mode.replace("t", "", 1).replace("b", "", 1))
    if letters not in (["r"], ["w"], ["a"], ["x"]) or ("b" in mode and "t" in mode):
        raise ValueError(
            f"mode {mode!r} is none of 'r', 'w', 'a' and 'x', with an optional 'b' or 't'"
        )
