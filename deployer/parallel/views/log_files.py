"""A file for each job, with the whole of its output (``--outdir``)."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO, cast

from ... import printing
from ...exceptions import DeployerException
from ...pseudo_terminal import Pty
from ...streams import or_nowhere, write_text

__all__ = ["LogFiles", "keeping"]

# Those that this process has begun: what comes later is put behind.
_begun: set[Path] = set()


class LogFiles:
    """Keeps the output of each job in a file named after it: ``DIRECTORY/web1.log``.

    The first run of a process replaces what an earlier process left, the next ones go on behind.
    They are for the user alone: what a command prints may be secret. What a job writes is there at
    once, and a file is open only while its job runs.

    :param directory: is made when it is not there; None to keep nothing.
    :param pty: where a person is told at the end what could not be kept.
    :raises DeployerException: when the directory cannot be made.
    """

    def __init__(self, directory: str | None, pty: Pty) -> None:
        self._directory = None if directory is None else Path(directory).expanduser().absolute()
        self._pty = pty
        # A job that was left behind may still write, and never to another file by that number.
        self._lock = threading.RLock()
        self._files: dict[str, int] = {}
        # Of a "\r" at the end, it is not known yet whether it ends a line with the next "\n".
        self._unfinished: dict[str, str] = {}
        self._errors: dict[str, str] = {}
        if self._directory is not None:
            try:
                self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise DeployerException(
                    f"the output cannot be kept in {self._directory}: {error.strerror or error}"
                ) from error

    def begin(self, name: str) -> None:
        """Open the file of a job, which is there also if it writes nothing."""
        if self._directory is None:
            return
        with self._lock, self._noting_errors(name):
            if name not in self._files:
                self._files[name] = _open(self._directory / get_file_name(name))

    def write(self, name: str, data: str | bytes) -> None:
        """Keep what a job wrote, also after its end."""
        if self._directory is None or name in self._errors:
            return
        with self._lock, self._noting_errors(name):
            if isinstance(data, str):
                data = self._encode(name, data)
            if name in self._files:
                _write(self._files[name], data)
                return
            file = _open(self._directory / get_file_name(name))
            try:
                _write(file, data)
            finally:
                os.close(file)

    def end(self, name: str) -> None:
        """Close the file of a job that has ended."""
        with self._lock, self._noting_errors(name):
            file = self._files.pop(name, None)
            if file is None:
                return
            try:
                if name not in self._errors:
                    _write(file, self._unfinished.pop(name, "").encode())
            finally:
                os.close(file)

    def close(self) -> None:
        """Close all files, and say what could not be kept."""
        with self._lock:
            for name in [*self._files]:
                self.end(name)
            names = defaultdict(list)
            for name, reason in self._errors.items():
                names[reason].append(name)
        for reason, failed in names.items():
            # Imported here: hardly any run needs it.
            from ...utils.folding import fold

            write_text(
                self._pty.stderr,
                f"Warning: not all output of {fold(failed)} is kept in {self._directory}: "
                f"{reason}\n",
            )

    def _encode(self, name: str, text: str) -> bytes:
        text = self._unfinished.pop(name, "") + text
        if text.endswith("\r") and name in self._files:
            self._unfinished[name] = "\r"
            text = text[:-1]
        text = text.replace("\r\n", "\n")
        try:
            return text.encode(errors="surrogateescape")
        except UnicodeEncodeError:
            return text.encode(errors="replace")

    @contextlib.contextmanager
    def _noting_errors(self, name: str) -> Iterator[None]:
        """Note what goes wrong with the file of a job: its command is not to fail because of it."""
        try:
            yield
        except OSError as error:
            self._errors.setdefault(name, error.strerror or str(error))


def get_file_name(name: str) -> str:
    """Return a file's name for a job's, another one for each."""
    safe = re.sub(r"[/\0%]", lambda found: f"%{ord(found[0]):02X}", name)
    return f"{safe or '%'}.log"


def _open(path: Path) -> int:
    new = 0 if path in _begun else os.O_TRUNC
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | new, 0o600)
    _begun.add(path)
    return file


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


@contextlib.contextmanager
def keeping(pty: Pty, directory: str | None, name: str) -> Iterator[None]:
    """Keep what is written at a terminal, and what this thread prints, as the output of a job.

    :param directory: see ``LogFiles``.
    """
    if directory is None:
        yield
        return
    logs = LogFiles(directory, pty)
    logs.begin(name)
    before = pty._stdout, pty._stderr
    out, err = (_tee(stream, logs, name) for stream in (sys.stdout, sys.stderr))
    destination = printing.Destination("", out, err, printing.get_log_stream())
    pty._stdout, pty._stderr = (_tee(stream, logs, name) for stream in (pty.stdout, pty.stderr))
    try:
        with printing.by_thread(), printing.printing_to(destination):
            yield
    finally:
        pty._stdout, pty._stderr = before
        logs.close()


def _tee(stream: TextIO, logs: LogFiles, name: str) -> TextIO:
    # Of one that was closed from the start, the output is kept nevertheless.
    return cast(TextIO, _Tee(or_nowhere(printing.find_stream(stream)), logs, name))


class _Tee:
    """A stream that also keeps what is written to it."""

    def __init__(self, stream: Any, logs: LogFiles, name: str) -> None:
        self._stream = stream
        self._logs = logs
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def buffer(self) -> Any:
        """What takes bytes, where there is such a thing."""
        return _Tee(self._stream.buffer, self._logs, self._name)

    def write(self, data: Any) -> int:
        """Write, and keep."""
        if isinstance(data, str):
            self._logs.write(self._name, data)
            # If a character cannot be written, nobody is to write it all again: it is kept.
            write_text(self._stream, data)
        else:
            self._logs.write(self._name, bytes(data))
            self._stream.write(data)
        return len(data)

    def writelines(self, lines: Iterable[Any]) -> None:
        """Write all of them, and keep them."""
        for line in lines:
            self.write(line)
