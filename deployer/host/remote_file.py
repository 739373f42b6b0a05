"""An open file on a host."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import IO, Any, BinaryIO

from .writers import Writer

__all__ = ["RemoteFile"]

_BUFFER = 256 * 1024


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
        self.closed = False
        self._stream: IO[Any] | None = None
        self._writer: Writer | None = None
        self._raw_writer: _RawWriter | None = None
        if mode is not None:
            _check_mode(mode)
        self.name = name
        self.mode = mode
        self._open_reader = open_reader
        self._open_writer = open_writer
        self._errors = errors
        self._stack = ExitStack()
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
                    self._writer.commit()
                except BaseException:
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
            if self._raw_writer is not None:
                # Closing flushes; and so would the garbage collector.
                self._raw_writer.is_dropped = True
            if self._stream is not None:
                self._stream.close()
            if self._writer is not None:
                self._writer.abort()
        finally:
            self._stack.__exit__(kind, error, traceback)

    def __del__(self) -> None:
        # As Python's own files do. Without it, what was written so far would stay as litter.
        if self._stream is not None and not self.closed:
            lost = "" if self._writer is None else "; what was written to it is dropped"
            message = f"{self!r} was not closed{lost}"
            with suppress(Exception):
                self.abort()
            warnings.warn(message, ResourceWarning, stacklevel=2, source=self)

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
                if "r" in mode:
                    reader = self._open_reader(stack)
                    binary = io.BufferedReader(_RawReader(reader), _BUFFER)
                else:
                    self._writer = self._open_writer(stack, "a" in mode, "x" in mode)
                    self._raw_writer = _RawWriter(self._writer)
                    binary = io.BufferedWriter(self._raw_writer, _BUFFER)
                self._stack = stack.pop_all()
            # Line ends are kept as they are: what is written comes back equal.
            stream: IO[Any] = binary
            if "b" not in mode:
                stream = io.TextIOWrapper(binary, "utf-8", newline="\n")
            self._stream = stream
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
    letters = sorted(mode.replace("t", "", 1).replace("b", "", 1))
    if letters not in (["r"], ["w"], ["a"], ["x"]) or ("b" in mode and "t" in mode):
        raise ValueError(
            f"mode {mode!r} is none of 'r', 'w', 'a' and 'x', with an optional 'b' or 't'"
        )
