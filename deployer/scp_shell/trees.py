"""Whole directories, from one side to the other: all that can be copied is."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from ..exceptions import RemoteFileError
from ..host.files import FileSystem, Stat
from ..host.transfers import transfer
from ..host.trees import Side, copy_tree, plan_tree
from .failures import Failures
from .meter import Meter

if TYPE_CHECKING:
    from .places import Place
    from .shell import ScpShell

__all__ = ["TreeCopy"]

# There is no room for the next file either.
_FULL = (errno.ENOSPC, errno.EDQUOT)


class TreeCopy:
    """Copies a directory as :meth:`Host.put_dir` does, but goes on when something in it fails.

    It is copied as a whole, which is quick. When that fails, its entries are copied in halves, and
    those in halves again, until what fails is alone; what was copied before is not copied again.
    """

    def __init__(self, shell: ScpShell, source: Place, target: Place, meter: Meter) -> None:
        self._shell = shell
        self._source = source
        self._target = target
        self._meter = meter
        self._failures = Failures(shell)
        self._copied = 0

    def run(self, source: str, target: str) -> str:
        """Copy a directory; return what was done. Raises when something in it is not copied."""
        with self._source.open_files() as from_files, self._target.open_files() as to_files:
            self._copy(
                Side(from_files, source, self._source.name),
                Side(to_files, target, self._target.name),
            )
        if self._failures.number:
            raise RemoteFileError(
                f"{self._source.name}: {source} is not copied whole: "
                f"{self._failures.number} failed in it"
            )
        if not self._copied:
            return "nothing has changed"
        return f"{self._copied} changed, {self._meter.describe()}"

    def _copy(self, source: Side, target: Side) -> None:
        """Copy a directory, and all that is in it."""
        try:
            self._copy_part(source, target)
            return
        except OSError as error:
            _raise_if_full(error)
        try:
            with source.errors(".", "list"):
                entries = source.files.listdir(source.root)
            # Without the directory itself, all that is in it would fail for the same reason.
            self._copy_part(_only(source, ()), target)
        except OSError as error:
            self._failures.note(error)
        else:
            self._copy_entries(source, target, entries)

    def _copy_entries(self, source: Side, target: Side, entries: Sequence[Stat]) -> None:
        """Copy some of what is in a directory, of which something fails."""
        if len(entries) == 1 and entries[0].is_dir:
            name = entries[0].filename
            self._copy(
                replace(source, root=source.path(name)), replace(target, root=target.path(name))
            )
            return
        try:
            self._copy_part(_only(source, entries), target)
        except OSError as error:
            _raise_if_full(error)
            if len(entries) == 1:
                self._failures.note(error)
                return
            half = len(entries) // 2
            self._copy_entries(source, target, entries[:half])
            self._copy_entries(source, target, entries[half:])

    def _copy_part(self, source: Side, target: Side) -> None:
        pty = self._shell.pty
        plan = plan_tree(source, target, False, pty.check_interrupted)
        summary = plan.summary()
        self._meter.begin_part()
        if summary.changed:
            with transfer(pty, "", plan.size, self._meter) as moving:
                copy_tree(plan, source, target, moving)
        self._copied += len(summary.copied)


class _Part:
    """Files of which a directory has some entries only; otherwise as they are."""

    def __init__(self, files: FileSystem, directory: str, entries: Sequence[Stat]) -> None:
        self._files = files
        self._directory = directory
        self._entries = list(entries)

    def listdir(self, path: str) -> list[Stat]:
        return self._entries if path == self._directory else self._files.listdir(path)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._files, name)


def _only(side: Side, entries: Sequence[Stat]) -> Side:
    return replace(side, files=cast(FileSystem, _Part(side.files, side.root, entries)))


def _raise_if_full(error: OSError) -> None:
    if error.errno in _FULL:
        raise error
