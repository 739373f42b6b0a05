"""``put`` and ``get``: copying files from one side to the other."""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..host.files import Stat, check_regular
from .display import shown
from .failures import Failures
from .globbing import Word
from .meter import Meter, metering
from .trees import TreeCopy

if TYPE_CHECKING:
    from .places import Found, Place
    from .shell import ScpShell
    from .table import Arguments

__all__ = ["get", "put"]

_HERE = Word(".")


def put(shell: ScpShell, place: Place, arguments: Arguments) -> int:
    """Copy files to the host."""
    host = shell.remote.host

    def copy_file(source: str, target: str, meter: Meter) -> None:
        host.put_file(source, target, progress=meter)

    return _Copy(shell, shell.local, shell.remote, copy_file).run(arguments)


def get(shell: ScpShell, place: Place, arguments: Arguments) -> int:
    """Copy files of the host here."""
    host = shell.remote.host

    def copy_file(source: str, target: str, meter: Meter) -> None:
        host.get_file(source, target, progress=meter)

    return _Copy(shell, shell.remote, shell.local, copy_file).run(arguments)


class _Copy:
    """One command: its files are copied one after another, also when one of them fails.

    :param copy_file: takes the path of a file, its new one, and the meter.
    """

    def __init__(
        self,
        shell: ScpShell,
        source: Place,
        target: Place,
        copy_file: Callable[[str, str, Meter], None],
    ) -> None:
        self._shell = shell
        self._source = source
        self._target = target
        self._copy_file = copy_file
        self._failures = Failures(shell)

    def run(self, arguments: Arguments) -> int:
        """Copy what the words name; return the exit status."""
        *words, last = arguments.words
        # A single word is what to copy.
        words, last = (words, last) if words else ([last], _HERE)
        target = self._target.find_one(last)
        found = list(self._failures.find_all(self._source, words))
        into_directory = self._target.is_directory(target)
        if not into_directory and (len(words) > 1 or len(found) > 1 or last.text.endswith("/")):
            with self._target.errors(target, "copy into"):
                raise NotADirectoryError(
                    errno.ENOTDIR, "the last word is the target, and has to be a directory there"
                )
        copied = 0
        try:
            for one, new in self._place_all(found, target, into_directory):
                number = self._failures.number
                with self._failures.noted():
                    self._copy(one, new, "r" in arguments.options)
                copied += self._failures.number == number
        finally:
            if len(found) > 1 and copied < len(found):
                self._shell.show(f"{copied} of {len(found)} are copied")
        return self._failures.status

    def _place_all(
        self, found: Sequence[Found], target: str, into_directory: bool
    ) -> list[tuple[Found, str]]:
        """Return the files with their new paths; those that have no place there are failures."""
        if not into_directory:
            return [(one, target) for one in found]
        taken: set[str] = set()
        placed = []
        for one in found:
            # Of the root directory, what is in it goes there.
            new = posixpath.join(target, posixpath.basename(one.path)).rstrip("/") or "/"
            if new in taken:
                with self._failures.noted(), self._source.errors(one.path, "copy"):
                    raise FileExistsError(errno.EEXIST, "another one has the same name")
                continue
            taken.add(new)
            placed.append((one, new))
        return placed

    def _copy(self, one: Found, new: str, is_recursive: bool) -> None:
        found = self._source.stat(one.path, "copy")
        with self._source.errors(one.path, "copy"):
            if found.is_dir and not is_recursive:
                raise IsADirectoryError(errno.EISDIR, "it is a directory; -r copies those")
            if not found.is_dir:
                check_regular(found)
        with metering(self._shell.pty, one.text) as meter:
            summary = self._copy_one(one, new, found, meter)
        where = f"{self._source.locate(one.path)} -> {self._target.locate(new)}"
        self._shell.show(f"{shown(where)}  {summary}")

    def _copy_one(self, one: Found, new: str, found: Stat, meter: Meter) -> str:
        """Copy a file or a directory; return how much that was."""
        if found.is_dir:
            return TreeCopy(self._shell, self._source, self._target, meter).run(one.path, new)
        if self._target.is_directory(new):
            with self._target.errors(new, "write"):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        self._copy_file(one.path, new, meter)
        return meter.describe()
