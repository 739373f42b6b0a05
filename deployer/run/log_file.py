"""A file that keeps what was run, and how it ended (``--log``)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..loggers.base import Logger
from ..loggers.default import DefaultLogger, describe, describe_end
from ..loggers.files import full_path, make_opener, open_private
from ..streams import write_text
from .wrong_use import WrongUse

if TYPE_CHECKING:
    from ..loggers.entries import FileEntry, GroupEntry, RunEntry

__all__ = ["LogFile"]


class LogFile(DefaultLogger):
    """Appends a line with the time for each thing that begins or ends.

    Several processes may write to one file: each line is written at once.

    :param path: is made for its owner only when it is not there, since commands may say much.
    :raises WrongUse: when it cannot be written.
    """

    _shows_all_lines = True

    def __init__(self, path: str) -> None:
        # For other processes, which may be elsewhere.
        self._path = full_path(path)
        try:
            file = open_private(self._path)
        except OSError as error:
            raise WrongUse(f"--log: {path} cannot be written: {error.strerror}") from error
        super().__init__(file)
        self._file = file

    def __repr__(self) -> str:
        return f"<LogFile {self._path}>"

    def enter_group(self, entry: GroupEntry) -> None:
        """Write which action begins."""
        self._print(f"{entry.name} begins")

    def leave_group(self, entry: GroupEntry) -> None:
        """Write how the action ended."""
        self._print(f"{entry.name} {describe_end(entry)}")

    def end_run(self, entry: RunEntry) -> None:
        """Write how the command ended."""
        self._print(f"{self._host(entry.host)}{describe(entry)}: {describe_end(entry)}")

    def end_file(self, entry: FileEntry) -> None:
        """Write how it ended."""
        self._print(f"{self._host(entry.host)}{describe(entry)}: {describe_end(entry)}")

    def make_remote(self) -> Callable[[], Logger]:
        """Return what opens the file in another process; on another machine, it does nothing."""
        return make_opener(LogFile, self._path)

    def _print(self, text: str) -> None:
        now = time.strftime("%Y-%m-%d %H:%M:%S ")
        lines = "".join(f"{now}{line}\n" for line in text.splitlines())
        with self._lock:
            write_text(self._file, lines)

    def _colour(self, text: str, colour: str | None, bold: bool = False) -> str:
        return text
