"""Making, moving and removing files on the host."""

from __future__ import annotations

import errno
import os
import posixpath
import re
from collections.abc import Sequence
from contextlib import nullcontext
from functools import cache, partial
from typing import TYPE_CHECKING

from ..cli import Status
from ..exceptions import RemoteFileError
from ..host.files import FileSystem, Stat
from .display import shown
from .failures import Failures
from .table import UsageError

if TYPE_CHECKING:
    from ..progress_bar import ProgressBar
    from .places import Found, Place
    from .shell import ScpShell
    from .table import Arguments

__all__ = ["chmod", "mkdir", "mv", "parse_mode", "rm"]

_SYMBOLIC_MODE = re.compile(r"[ugoa]*[-+=][rwxX]*(,[ugoa]*[-+=][rwxX]*)*")
_CHANGE = re.compile(r"([ugoa]*)([-+=])([rwxX]*)")
# How many names are told of before it is asked whether to remove them.
_NAMED = 5


def mkdir(shell: ScpShell, place: Place, arguments: Arguments) -> int:
    """Make directories."""
    failures = Failures(shell)
    for word in arguments.words:
        with failures.noted():
            _make_directory(place, place.resolve(word), "p" in arguments.options)
    return failures.status


def mv(shell: ScpShell, place: Place, arguments: Arguments) -> int:
    """Rename files, or move them into a directory."""
    failures = Failures(shell)
    *sources, last = arguments.words
    target = place.find_one(last)
    found = list(failures.find_all(place, sources))
    into_directory = place.is_directory(target)
    if not into_directory and (len(found) > 1 or last.text.endswith("/")):
        with place.errors(target, "move into"):
            raise NotADirectoryError(
                errno.ENOTDIR, "the last word is the target, and has to be a directory there"
            )
    for one in found:
        with failures.noted():
            path = one.path
            new = posixpath.join(target, posixpath.basename(path)) if into_directory else target
            with place.errors(f"{path} to {new}", "move"), place.open_files() as files:
                _rename(files, path, new)
    return failures.status


def rm(shell: ScpShell, place: Place, arguments: Arguments) -> int:
    """Remove files, and directories with all that is in them."""
    failures = Failures(shell)
    is_forced = "f" in arguments.options
    removed: list[tuple[Found, Stat]] = []
    for word in arguments.words:
        try:
            found = place.find(word)
            _check_removable(place, found)
            removed += [(one, place.look_at(one)) for one in found]
        except RemoteFileError as error:
            if not (is_forced and error.errno == errno.ENOENT and word.text):
                failures.note(error)
    directories = [one for one, stat in removed if stat.is_dir]
    if "r" not in arguments.options:
        for one in directories:
            with failures.noted(), place.errors(one.path, "remove"):
                raise IsADirectoryError(errno.EISDIR, "it is a directory; rm -r removes those")
        removed = [(one, stat) for one, stat in removed if not stat.is_dir]
        directories = []
    asks = shell.console.is_interactive and not is_forced
    if asks and (directories or len(removed) > 1):
        question = _ask_about(place, [one for one, _ in removed], bool(directories))
        if not shell.console.confirm(question, default=False):
            shell.show("Nothing is removed")
            return Status.FAILED
    is_shown = shell.pty.is_interactive and bool(directories)
    bar = shell.console.progress_bar("removed", clear_on_finish=True) if is_shown else None
    with bar or nullcontext(), place.open_files() as files:
        for one, stat in removed:
            _remove(place, files, one.path, stat, failures, bar)
    return failures.status


def chmod(shell: ScpShell, place: Place, arguments: Arguments) -> int:
    """Change permissions."""
    failures = Failures(shell)
    mode = arguments.words[0].text
    parse_mode(mode, 0, False)
    for one in failures.find_all(place, arguments.words[1:]):
        what = "change the mode of"
        with failures.noted(), place.errors(one.path, what), place.open_files() as files:
            found = files.stat(one.path)
            files.chmod(one.path, parse_mode(mode, found.permissions, found.is_dir))
    return failures.status


def parse_mode(text: str, before: int, is_dir: bool) -> int:
    """Return the permissions that a mode, as in ``chmod``, makes of others.

    Octal digits, or ``u+x`` and the like; without ``u``, ``g`` or ``o``, all three are meant.
    """
    if re.fullmatch("[0-7]{1,4}", text):
        return int(text, 8)
    if not _SYMBOLIC_MODE.fullmatch(text):
        raise UsageError(f"{text!r} is no mode; write 644, or u+x, or go-rw,u=rwx")
    mode = before
    for who, operator, letters in _CHANGE.findall(text):
        if "X" in letters:
            letters += "x" if is_dir or mode & 0o111 else ""
        bits = sum(bit for letter, bit in (("r", 4), ("w", 2), ("x", 1)) if letter in letters)
        for person, shift in (("u", 6), ("g", 3), ("o", 0)):
            if who and person not in who and "a" not in who:
                continue
            if operator == "=":
                mode &= ~(7 << shift)
            mode = mode & ~(bits << shift) if operator == "-" else mode | bits << shift
    return mode


def _make_directory(place: Place, path: str, with_parents: bool) -> None:
    with place.errors(path, "make the directory"), place.open_files() as files:
        missing = [path]
        if with_parents:
            while missing[-1] != "/" and not _exists(files, missing[-1]):
                missing.append(posixpath.dirname(missing[-1]))
            # The last one is there.
            if not files.stat(missing.pop()).is_dir:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        for directory in reversed(missing):
            try:
                files.mkdir(directory, 0o777)
            except OSError as error:
                # Over SFTP, that is a failure without a reason.
                if error.errno is None and _exists(files, directory):
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from error
                raise


def _exists(files: FileSystem, path: str) -> bool:
    try:
        files.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _rename(files: FileSystem, path: str, new: str) -> None:
    try:
        files.replace(path, new)
    except OSError as error:
        if error.errno is not None:
            raise
        raise OSError(
            f"{error}; is it on another file system, or a directory where there is something?"
        ) from error


def _check_removable(place: Place, found: Sequence[Found]) -> None:
    """Raise for what nobody wants to remove: ``/``, the home, and where one is."""
    with place.open_files() as files:
        home = place.get_home()
        kept = {
            "the home directory": {home, _get_real(files, home)},
            "where you are": {place.directory, _get_real(files, place.directory)},
        }
        # Most are in one directory.
        get_real = cache(partial(_get_real, files))
        for one in found:
            if one.text.rstrip("/").rpartition("/")[2] in (".", ".."):
                raise RemoteFileError(
                    f"{place.name}: {one.text} is kept; to remove a directory, call it by its name"
                )
            parent, name = posixpath.split(one.path)
            # By whatever symlinks one has come; but a symlink itself may go.
            real = posixpath.join(get_real(parent), name) if name else "/"
            for what, paths in kept.items():
                if any(_is_around(path, known) for path in (one.path, real) for known in paths):
                    what = "all files" if real == "/" else what
                    raise RemoteFileError(f"{place.name}: {one.path} is, or holds, {what}: kept")


def _get_real(files: FileSystem, path: str) -> str:
    """Return where a path leads; itself where it leads nowhere."""
    try:
        return files.real_path(path)
    except OSError:
        return path


def _is_around(path: str, inner: str) -> bool:
    return path in ("/", inner) or inner.startswith(path + "/")


def _ask_about(place: Place, removed: Sequence[Found], with_directories: bool) -> str:
    names = ", ".join(shown(one.text) for one in removed[:_NAMED])
    more = f" and {len(removed) - _NAMED} more" if len(removed) > _NAMED else ""
    inner = f", with all that is in {'it' if len(removed) == 1 else 'directories'}"
    return f"Remove {names}{more} from {place.name}{inner if with_directories else ''}?"


def _remove(
    place: Place,
    files: FileSystem,
    path: str,
    stat: Stat,
    failures: Failures,
    bar: ProgressBar | None,
) -> None:
    """Remove a file, or a directory with all that is in it; go on when something fails."""
    # What stays keeps the directories around it, of which nobody has to be told.
    kept: list[str] = []
    waiting = [(path, stat.is_dir, False)]
    while waiting:
        path, is_dir, was_listed = waiting.pop()
        if was_listed and any(stays.startswith(f"{path}/") for stays in kept):
            continue
        number = failures.number
        with failures.noted(), place.errors(path, "remove"):
            if is_dir and not was_listed:
                inner = [(f"{path}/{one.filename}", one.is_dir) for one in files.listdir(path)]
                waiting.append((path, True, True))
                waiting += [(name, is_inner_dir, False) for name, is_inner_dir in inner]
                continue
            (files.rmdir if is_dir else files.remove)(path)
            if bar is not None:
                bar.next()
        if failures.number > number:
            kept.append(path)
