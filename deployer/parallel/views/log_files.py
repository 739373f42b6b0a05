"""A file for each job, with the whole of its output (``--outdir``)."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TextIO

from ...exceptions import DeployerException
from ...pseudo_terminal import Pty, write_text

__all__ = ["LogFiles", "TeePty"]

# Those that this process has begun: what comes later is put behind.
_begun: set[Path] = set()


class LogFiles:
    """Keeps the output of each job in a file named after it: ``DIRECTORY/web1.log``.

    The first run of a process replaces what an earlier process left, the next ones go on behind.
    They are for the user alone: what a command prints may be secret.

    :param directory: is made when it is not there; None to keep nothing.
    :param pty: where a person is told when a file cannot be written.
    :raises DeployerException: when the directory cannot be made.
    """

    def __init__(self, directory: str | None, pty: Pty) -> None:
        self._directory = None if directory is None else Path(directory).expanduser().absolute()
        self._pty = pty
        self._files: dict[str, TextIO] = {}
        if self._directory is not None:
            try:
                self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise DeployerException(
                    f"the output cannot be kept in {self._directory}: {error.strerror or error}"
                ) from error

    def begin(self, name: str) -> None:
        """Make the file of a job, which is there also if it writes nothing."""
        self.write(name, "")

    def write(self, name: str, text: str) -> None:
        """Keep what a job wrote."""
        if self._directory is None:
            return
        try:
            if name not in self._files:
                self._files[name] = _open(self._directory / get_file_name(name))
            self._files[name].write(text.replace("\r\n", "\n"))
        except OSError as error:
            # Nobody's command is to fail because of that.
            write_text(
                self._pty.stderr,
                f"Warning: the output is not kept in {self._directory}: "
                f"{error.strerror or error}\n",
            )
            self._directory = None

    def close(self) -> None:
        """Close all files."""
        for file in self._files.values():
            with contextlib.suppress(OSError):
                file.close()
        self._files.clear()


def get_file_name(name: str) -> str:
    """Return a file's name for a job's, another one for each."""
    safe = re.sub(r"[/\0%]", lambda found: f"%{ord(found[0]):02X}", name)
    return f"{safe or '%'}.log"


def _open(path: Path) -> TextIO:
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if path in _begun else os.O_TRUNC)
    file = os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8", errors="surrogateescape")
    _begun.add(path)
    return file


class TeePty(Pty):
    """A terminal of which everything that is written is kept as well."""

    def __init__(self, pty: Pty, logs: LogFiles, name: str) -> None:
        super().__init__(
            pty.stdin,
            _Tee(pty.stdout, logs, name),  # type: ignore[arg-type]
            _Tee(pty.stderr, logs, name),  # type: ignore[arg-type]
            pty.is_interactive,
            pty.term,
        )
        self.interrupted = pty.interrupted


class _Tee:
    """A text stream that also keeps what is written to it."""

    def __init__(self, stream: TextIO, logs: LogFiles, name: str) -> None:
        self._stream = stream
        self._logs = logs
        self._name = name

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        self._logs.write(self._name, text)
        return self._stream.write(text)
