"""An open file on a host."""

from __future__ import annotations

import codecs
import errno
import fcntl
import io
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import IO, Any, BinaryIO, cast

from .files import copy_stream
from .writers import Writer

__all__ = ["RemoteFile"]

_BUFFER = 256 * 1024


class RemoteFile:
    """An open file on a host, with the methods of a Python file object, and a context manager.

    Without a mode, the first use decides: writing replaces the file, reading reads it. What is
    written becomes visible, whole, at ``close``; an exception in the ``with`` block leaves the
    old file as it was.

    With ``+`` in the mode, a copy of the file is read and written in a nameless temporary file of
    this machine, and sent at ``close``: however large it is, it takes no memory, and what can be
    done with it is what Python's own files can.
    """

    def __init__(
        self,
        name: str,
        mode: str | None,
        open_reader: Callable[[ExitStack], BinaryIO],
        open_writer: Callable[[ExitStack, bool, bool], Writer],
        errors: Callable[[], Any],
        *,
        encoding: str | None = None,
        encoding_errors: str | None = None,
        newline: str | None = "\n",
    ) -> None:
        self.closed = False
        self._stream: IO[Any] | None = None
        self._writer: Writer | None = None
        self._raw_writer: _RawWriter | None = None
        self._spool: BinaryIO | None = None
        _check_text_options(mode, encoding, encoding_errors, newline)
        self.name = name
        self.mode = mode
        self.encoding = encoding or "utf-8"
        self._encoding_errors = encoding_errors
        self._newline = newline
        self._open_reader = open_reader
        self._open_writer = open_writer
        self._errors = errors
        self._stack = ExitStack()
        if mode is not None:
            # A missing file is an error here and now, as with Python's own open().
            self._get_stream(mode)

    def read(self, size: int | None = -1) -> Any:
        """Return the rest of the file, or at most ``size`` characters (bytes in a ``b`` mode)."""
        with self._errors():
            return self._reading().read(-1 if size is None else size)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from the file, in a ``b`` mode; return how many bytes that are."""
        with self._errors():
            stream: Any = self._get_stream("rb")
            filled: int = stream.readinto(buffer)
            return filled

    def readline(self, size: int = -1) -> Any:
        """Return the next line with its newline; nothing at the end."""
        with self._errors():
            return self._reading().readline(size)

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

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to another place, where ``seekable``; return it."""
        with self._errors():
            return self._reading().seek(offset, whence)

    def tell(self) -> int:
        """Return the place in the file, where ``seekable``."""
        with self._errors():
            return self._reading().tell()

    def truncate(self, size: int | None = None) -> int:
        """Cut the file off, or fill it up with NUL bytes, in a mode with ``+``."""
        with self._errors():
            return self._reading().truncate(size)

    def flush(self) -> None:
        """Do nothing: what is written becomes visible at ``close``."""

    def readable(self) -> bool:
        return self.mode is None or bool(set("r+") & set(self.mode))

    def writable(self) -> bool:
        return self.mode is None or self.mode.strip("bt") != "r"

    def seekable(self) -> bool:
        """Whether ``seek`` works: in modes with ``+``, and when reading, but not as root."""
        return self._stream is not None and self._stream.seekable()

    def close(self) -> None:
        """Finish; what was written takes the place of the old file."""
        if self.closed:
            return
        self.closed = True
        with self._stack, self._errors():
            if self._writer is not None:
                assert self._stream is not None
                try:
                    self._stream.flush()
                    if self._spool is not None:
                        self._spool.seek(0)
                        copy_stream(self._spool, self._writer.write)
                    self._stream.close()
                    self._writer.commit()
                except BaseException:
                    self._stop_writing()
                    self._writer.abort()
                    raise
            elif self._stream is not None:
                self._stream.close()

    def abort(self) -> None:
        """Finish; what was written is dropped, and the old file stays as it was."""
        self._drop(None, None, None)

    def _drop(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.closed:
            return
        self.closed = True
        try:
            self._stop_writing()
            if self._writer is not None:
                self._writer.abort()
        finally:
            self._stack.__exit__(kind, error, traceback)

    def _stop_writing(self) -> None:
        """Close the stream, without writing what it still holds."""
        if self._raw_writer is not None:
            # Closing flushes; and so would the garbage collector.
            self._raw_writer.is_dropped = True
        if self._stream is not None:
            # To a spool on a full disk, that may fail.
            with suppress(OSError):
                self._stream.close()

    def __del__(self) -> None:
        # As Python's own files do. Without it, what was written so far would stay as litter.
        if self._stream is not None and not self.closed:
            message = f"{self!r} was not closed"
            category: type[Warning] = ResourceWarning
            if self._writer is not None:
                # Of a kind that Python shows unasked.
                message += "; what was written to it is dropped. Open it in a `with` block"
                category = RuntimeWarning
            with suppress(Exception):
                self.abort()
            warnings.warn(message, category, stacklevel=2, source=self)

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
            self._drop(kind, error, traceback)

    def __repr__(self) -> str:
        return f"<RemoteFile {self.name!r} mode={self.mode!r}{' closed' if self.closed else ''}>"

    def _reading(self) -> IO[Any]:
        return self._get_stream("r")

    def _get_stream(self, wanted: str) -> IO[Any]:
        if self.closed:
            raise ValueError(f"{self.name}: the file is closed")
        if self._stream is None:
            mode = self.mode = self.mode or wanted
            binary: Any
            with ExitStack() as stack:
                if "+" in mode:
                    binary = self._open_spool(mode, stack)
                elif "r" in mode:
                    reader = self._open_reader(stack)
                    binary = io.BufferedReader(_RawReader(reader), _BUFFER)
                else:
                    self._writer = self._open_writer(stack, "a" in mode, "x" in mode)
                    self._raw_writer = _RawWriter(self._writer)
                    binary = io.BufferedWriter(self._raw_writer, _BUFFER)
                self._stack = stack.pop_all()
            stream: IO[Any] = binary
            if "b" not in mode:
                stream = io.TextIOWrapper(
                    binary, self.encoding, self._encoding_errors, self._newline
                )
            self._stream = stream
        return self._stream

    def _open_spool(self, mode: str, stack: ExitStack) -> BinaryIO:
        """Return a copy of the file, which ``close`` sends."""
        # Only here: it takes a while to import.
        import tempfile

        spool = cast(BinaryIO, tempfile.TemporaryFile(buffering=_BUFFER))  # noqa: SIM115 - `close` does
        try:
            if "r" in mode or "a" in mode:
                self._fetch(spool, is_needed="r" in mode)
            # Now, not at `close`: what cannot be written is an error here.
            self._writer = self._open_writer(stack, False, "x" in mode)
        except BaseException:
            spool.close()
            raise
        if "a" in mode:
            fcntl.fcntl(spool, fcntl.F_SETFL, os.O_APPEND | fcntl.fcntl(spool, fcntl.F_GETFL))
        else:
            spool.seek(0)
        self._spool = spool
        return spool

    def _fetch(self, spool: BinaryIO, is_needed: bool) -> None:
        with ExitStack() as stack:
            try:
                reader = self._open_reader(stack)
            except OSError as error:
                if is_needed or error.errno != errno.ENOENT:
                    raise
                return
            with reader:
                copy_stream(reader, spool.write)


class _RawReader(io.RawIOBase):
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._file.seekable()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        # Python's own asks for 8 KB at a time.
        return b"".join(iter(lambda: self._file.read(_BUFFER), b""))

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class _RawWriter(io.RawIOBase):
    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.is_dropped = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if not self.is_dropped:
            self._writer.write(bytes(data))
        return len(data)


def _check_mode(mode: str) -> None:
    """Raise ValueError for what is no mode of a file."""
    letters = sorted(mode)
    rest = [letter for letter in letters if letter not in "bt+"]
    if (
        len(set(letters)) != len(letters)
        or rest not in (["r"], ["w"], ["a"], ["x"])
        or {"b", "t"} <= set(letters)
    ):
        raise ValueError(
            f"mode {mode!r} is none of 'r', 'w', 'a' and 'x', with an optional 'b' or 't', and an "
            "optional '+'"
        )


def _check_text_options(
    mode: str | None, encoding: str | None, errors: str | None, newline: str | None
) -> None:
    if mode is not None:
        _check_mode(mode)
        if "b" in mode and (encoding, errors, newline) != (None, None, "\n"):
            raise ValueError(f"mode {mode!r} is for bytes: leave out encoding, errors and newline")
    if newline not in (None, "", "\n", "\r", "\r\n"):
        raise ValueError(f"newline {newline!r} is none of None, '', '\\n', '\\r' and '\\r\\n'")
    # Raises LookupError for what there is not.
    codecs.lookup(encoding or "utf-8")
    codecs.lookup_error(errors or "strict")
