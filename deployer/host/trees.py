"""Whole directories, copied from one file system to another: only what changed.

As rsync does it with ``-rlp`` and its quick check: a file with the same size and the same time of
change (in whole seconds) is taken to be the same, so a copy gets the time of the original.
"""

from __future__ import annotations

import errno
import os
import posixpath
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO, cast

from .files import FileSystem, NewFile, Stat, file_errors, space_errors
from .measured import BATCH_BYTES, BATCH_FILES
from .staging import SUFFIX, Staging, is_staging
from .transfers import Transfer
from .writers import AtomicWriter, in_doubt

__all__ = ["Plan", "Side", "TreeSummary", "copy_tree", "plan_tree"]


@dataclass(frozen=True)
class TreeSummary:
    """What copying a directory has done; paths are relative to it."""

    #: What was made or changed: files, symlinks and directories.
    copied: tuple[str, ...]
    #: What was removed, since it is not in the original.
    removed: tuple[str, ...]
    #: How many files and symlinks were as they should be.
    unchanged: int
    #: How many bytes were copied.
    size: int

    @property
    def changed(self) -> bool:
        """Whether anything was done at all."""
        return bool(self.copied or self.removed)


@dataclass(frozen=True)
class Side:
    """A directory that is copied, or copied to.

    :param name: the host, for messages.
    """

    files: FileSystem
    root: str
    name: str

    def path(self, relative: str) -> str:
        return posixpath.join(self.root, relative) if relative != "." else self.root

    def errors(self, relative: str, what: str) -> AbstractContextManager[None]:
        """Name the file in errors."""
        return file_errors(self.name, self.path(relative), what)


#: A file, and what is there under its name.
_Wanted = tuple[Stat, Stat | None]


@dataclass
class _Directory:
    path: str
    source: Stat
    #: The one that is there, if there is one.
    existing: Stat | None
    files: list[_Wanted] = field(default_factory=list)
    #: Symlinks, and where they lead.
    links: list[tuple[str, str]] = field(default_factory=list)
    #: Files with another mode, and nothing else.
    modes: list[Stat] = field(default_factory=list)

    @property
    def permissions(self) -> int:
        """What it is to have. The set-group-id bit is the target's: new files inherit by it."""
        kept = 0 if self.existing is None else self.existing.permissions & 0o2000
        return self.source.permissions & ~0o2000 | kept

    @property
    def changes(self) -> list[str]:
        names = [stat.filename for stat, _ in self.files]
        names += [name for name, _ in self.links]
        names += [stat.filename for stat in self.modes]
        is_same = self.existing is not None and self.existing.permissions == self.permissions
        return [
            *([] if is_same else [self.path]),
            *sorted(_join(self.path, name) for name in names),
        ]


@dataclass
class Plan:
    """What there is to do."""

    directories: list[_Directory] = field(default_factory=list)
    removed: list[tuple[str, Stat]] = field(default_factory=list)
    unchanged: int = 0

    @property
    def size(self) -> int:
        """How many bytes are to be copied."""
        return sum(stat.st_size for directory in self.directories for stat, _ in directory.files)

    def summary(self) -> TreeSummary:
        copied = [path for directory in self.directories for path in directory.changes]
        removed = [path for path, _ in self.removed]
        return TreeSummary(tuple(copied), tuple(removed), self.unchanged, self.size)


def plan_tree(source: Side, target: Side, delete: bool, check: Callable[[], None]) -> Plan:
    """Compare two directories; raise for what cannot be copied, before anything is.

    :param delete: whether to remove what is not in the original.
    :param check: is called between steps, and may raise.
    """
    plan = Plan()
    with source.errors(".", "read"):
        root = source.files.stat(source.root)
        _check_directory(root)
    existing = None
    with target.errors(".", "write"):
        try:
            existing = target.files.stat(target.root)
        except FileNotFoundError:
            pass
        else:
            _check_directory(existing)
    waiting = [_Directory(".", root, existing)]
    while waiting:
        check()
        directory = waiting.pop()
        plan.directories.append(directory)
        inner = _compare(directory, source, target, delete, plan)
        waiting += reversed(inner)
    return plan


def _compare(
    directory: _Directory, source: Side, target: Side, delete: bool, plan: Plan
) -> list[_Directory]:
    """Note what there is to do in a directory; return those in it."""
    inner = []
    there = {}
    if directory.existing is not None:
        with target.errors(directory.path, "list"):
            listed = target.files.listdir(target.path(directory.path))
        there = {found.filename: found for found in listed if not is_staging(found.filename)}
    with source.errors(directory.path, "list"):
        entries = source.files.listdir(source.path(directory.path))
    for entry in sorted(entries, key=lambda found: found.filename):
        if is_staging(entry.filename):
            continue
        path = _join(directory.path, entry.filename)
        old = there.pop(entry.filename, None)
        with target.errors(path, "write"):
            if entry.is_dir:
                if old is not None:
                    _check_directory(old)
                inner.append(_Directory(path, entry, old))
                continue
            if old is not None and old.is_dir:
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if entry.is_link:
            with source.errors(path, "read"):
                leads_to = source.files.readlink(source.path(path))
            with target.errors(path, "read"):
                is_same = (
                    old is not None
                    and old.is_link
                    and target.files.readlink(target.path(path)) == leads_to
                )
            if is_same:
                plan.unchanged += 1
            else:
                directory.links.append((entry.filename, leads_to))
        elif not entry.is_file:
            with source.errors(path, "copy"):
                raise OSError(errno.EINVAL, "it is no file, directory or symlink")
        elif old is None or not _is_same(entry, old):
            directory.files.append((entry, old))
        elif entry.permissions != old.permissions:
            directory.modes.append(entry)
        else:
            plan.unchanged += 1
    if delete:
        for name in sorted(there):
            plan.removed.append((_join(directory.path, name), there[name]))
    return inner


def copy_tree(plan: Plan, source: Side, target: Side, moving: Transfer) -> None:
    """Do what there is to do. Each file is replaced whole, or not at all.

    When something fails, all that was done before is done; another run does the rest.
    """
    unfinished = []
    for directory in plan.directories:
        if _prepare(directory, target):
            unfinished.append(directory)
        path = target.path(directory.path)
        with Staging(target.files, posixpath.join(path, SUFFIX)) as staging:
            for files in _together(directory.files):
                done = _copy_together(directory.path, files, source, target, staging, moving)
                # By itself, each of the others either works or fails with a reason.
                for stat, old in files:
                    if stat.filename not in done:
                        name = _join(directory.path, stat.filename)
                        _copy_file(name, stat, old, source, target, staging, moving)
            for name, leads_to in directory.links:
                moving.advance(0)
                _make_link(_join(directory.path, name), leads_to, target, staging)
        for stat in directory.modes:
            moving.advance(0)
            with target.errors(_join(directory.path, stat.filename), "change the mode of"):
                changed = posixpath.join(path, stat.filename)
                target.files.chmod(changed, stat.permissions)
    for relative, stat in plan.removed:
        for path, is_dir in _inside(target, relative, stat):
            moving.advance(0)
            with target.errors(path, "remove"):
                remove = target.files.rmdir if is_dir else target.files.remove
                remove(target.path(path))
    for directory in reversed(unfinished):
        with target.errors(directory.path, "change the mode of"):
            target.files.chmod(target.path(directory.path), directory.permissions)


def _prepare(directory: _Directory, target: Side) -> bool:
    """Make a directory, or give it its mode; True if it cannot have it before it is filled."""
    path = target.path(directory.path)
    with target.errors(directory.path, "make"):
        if directory.existing is None:
            with space_errors(target.files, posixpath.dirname(path)):
                target.files.mkdir(path, directory.source.permissions & 0o777 | 0o700)
            # It may have inherited a set-id bit; and there is the umask.
            directory.existing = target.files.lstat(path)
        wanted = directory.permissions
        is_filled = bool(directory.files or directory.links)
        filling = (
            wanted | 0o700 if is_filled or directory.existing.permissions != wanted else wanted
        )
        if directory.existing.permissions != filling:
            target.files.chmod(path, filling)
        return filling != wanted


def _together(files: Sequence[_Wanted]) -> Iterator[list[_Wanted]]:
    """Split files into those that are copied together; a large one is alone."""
    batch: list[_Wanted] = []
    size = 0
    for stat, old in files:
        if batch and (size + stat.st_size > BATCH_BYTES or len(batch) == BATCH_FILES):
            yield batch
            batch, size = [], 0
        batch.append((stat, old))
        size += stat.st_size
    if batch:
        yield batch


def _copy_together(
    directory: str,
    files: Sequence[_Wanted],
    source: Side,
    target: Side,
    staging: Staging,
    moving: Transfer,
) -> set[str]:
    """Copy small files of a directory; return the names of those that are in their places.

    Of the others, nothing is left.
    """
    moving.advance(0)
    if sum(stat.st_size for stat, _ in files) > BATCH_BYTES:
        return set()
    with source.errors(directory, "read files in"):
        contents = source.files.read_all(
            [(source.path(_join(directory, stat.filename)), stat.st_size) for stat, _ in files]
        )
    read = [
        (stat, old, content)
        for (stat, old), content in zip(files, contents, strict=True)
        if content is not None
    ]
    with target.errors(directory, "write files in"):
        # Without a way, there are none.
        new = [
            (stat.filename, NewFile(path, content, stat.permissions, stat.st_mtime, _owner(old)))
            for path, (stat, old, content) in zip(staging.make_way(len(read)), read, strict=False)
        ]
        made = target.files.create_all([file for _, file in new])
        whole = []
        for (name, file), arrived in zip(new, made, strict=True):
            if arrived is not None and _is_as_wanted(arrived, file):
                whole.append((name, file))
            else:
                staging.remove(file.path)
        path = target.path(directory)
        with in_doubt(f"each file in {path}"):
            moved = target.files.replace_all(
                [(file.path, posixpath.join(path, name)) for name, file in whole]
            )
    done = {}
    for (name, file), is_moved in zip(whole, moved, strict=True):
        if is_moved:
            staging.moved(file.path)
            done[name] = len(file.content)
        else:
            staging.remove(file.path)
    for size in done.values():
        moving.advance(size)
    return set(done)


def _owner(old: Stat | None) -> tuple[int, int] | None:
    return (old.st_uid, old.st_gid) if old is not None and old.is_file else None


def _is_as_wanted(arrived: Stat, wanted: NewFile) -> bool:
    return (
        arrived.is_file
        and arrived.st_size == len(wanted.content)
        and arrived.permissions == wanted.mode
        and int(arrived.st_mtime) == int(wanted.mtime)
        and wanted.owner in (None, (arrived.st_uid, arrived.st_gid))
    )


def _copy_file(
    path: str,
    stat: Stat,
    old: Stat | None,
    source: Side,
    target: Side,
    staging: Staging,
    moving: Transfer,
) -> None:
    with source.errors(path, "read"):
        file = source.files.open_whole(source.path(path), stat.st_size)
    with file, target.errors(path, "write"):
        writer = AtomicWriter(
            target.files,
            staging,
            target.path(path),
            old if old is not None and old.is_file else None,
            mode=stat.permissions,
            mtime=stat.st_mtime,
        )
        moving.copy(cast(BinaryIO, _Source(file, partial(source.errors, path, "read"))), writer)


def _make_link(path: str, leads_to: str, target: Side, staging: Staging) -> None:
    with target.errors(path, "write"), space_errors(target.files, target.root):
        made, _ = staging.make(partial(target.files.symlink, leads_to))
        target.files.replace(made, target.path(path))
        staging.moved(made)


class _Source:
    """A file whose errors are those of the side that is read."""

    def __init__(self, file: BinaryIO, errors: Callable[[], AbstractContextManager[None]]) -> None:
        self._file = file
        self._errors = errors

    def read(self, size: int) -> bytes:
        with self._errors():
            return self._file.read(size)


def _inside(target: Side, path: str, stat: Stat) -> Iterator[tuple[str, bool]]:
    """Yield all that is in a directory, and itself at last; and whether it is one."""
    waiting = [(path, stat, False)]
    while waiting:
        path, stat, is_listed = waiting.pop()
        if stat.is_dir and not is_listed:
            waiting.append((path, stat, True))
            with target.errors(path, "list"):
                found = target.files.listdir(target.path(path))
            waiting += [(_join(path, entry.filename), entry, False) for entry in found]
        else:
            yield path, stat.is_dir


def _is_same(one: Stat, other: Stat) -> bool:
    return (
        other.is_file and one.st_size == other.st_size and int(one.st_mtime) == int(other.st_mtime)
    )


def _check_directory(found: Stat) -> None:
    if not found.is_dir:
        what = "it is a symlink there" if found.is_link else os.strerror(errno.ENOTDIR)
        raise NotADirectoryError(errno.ENOTDIR, what)


def _join(directory: str, name: str) -> str:
    return name if directory == "." else f"{directory}/{name}"
