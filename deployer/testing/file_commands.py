"""The commands about a single file that a fake host carries out on those in memory.

They are the ones that ``contrib``'s node ``Config`` runs; all others have no effect.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from contextlib import suppress

from .answers import Answer
from .memory_files import MemoryFiles
from .recorded_run import RecordedRun

__all__ = ["carry_out"]


def carry_out(files: MemoryFiles, run: RecordedRun) -> Answer | None:
    """Do what a command does; None where it is none of them, or there is no such file."""
    try:
        words = shlex.split(run.command)
    except ValueError:
        return None
    with suppress(FileNotFoundError, NotADirectoryError):
        match words:
            case ["stat", "-L", "-c", pattern, path]:
                return _stat(files, pattern, path, _absolute(run, path))
            case ["chmod", mode, path] if re.fullmatch("[0-7]+", mode):
                files.chmod(_absolute(run, path), int(mode, 8))
                return Answer()
            case ["chown", "--", owner, path]:
                _chown(files, owner, _absolute(run, path))
                return Answer()
            case ["test", "!", "-e", new, "&&", "cp", "-p", old, target] if new == target:
                _copy(files, _absolute(run, old), _absolute(run, new))
                return Answer()
            case ["/bin/sh", "-c", script, "sh", path] if _asks_for_symlink(script):
                return Answer(_describe_symlink(files, path))
    return None


def _absolute(run: RecordedRun, path: str) -> str:
    return posixpath.join(run.directory, path)


def _stat(files: MemoryFiles, pattern: str, path: str, full_path: str) -> Answer:
    try:
        found = files.stat(full_path)
    except OSError as error:
        said = f"stat: cannot statx '{path}': {error.strerror}\n"
        return Answer(stderr=said, exit_status=1)
    known = {
        "%a": f"{found.permissions:o}",
        "%U": files.get_name(found.st_uid),
        "%G": files.get_name(found.st_gid),
        "%u": str(found.st_uid),
        "%g": str(found.st_gid),
        "%s": str(found.st_size),
        "%Y": str(int(found.st_mtime)),
        "%n": path,
    }
    return Answer(re.sub("%.", lambda each: known.get(each[0], each[0]), pattern) + "\n")


def _asks_for_symlink(script: str) -> bool:
    # Imported here: most tests run no such thing.
    from ..contrib.nodes import config

    return script == config._SYMLINK


def _describe_symlink(files: MemoryFiles, path: str) -> str:
    """Return whose a symlink is, and whose the file that it leads to, a line for each."""
    said = ""
    with suppress(OSError):
        for found in (files.lstat, files.stat):
            if files.lstat(path).is_link:
                said += f"{files.get_name(found(path).st_uid)}\n"
    return said


def _chown(files: MemoryFiles, owner: str, path: str) -> None:
    found = files.stat(path)
    user, _, group = owner.partition(":")
    files.chown(
        path,
        files.get_id(user) if user else found.st_uid,
        files.get_id(group) if group else found.st_gid,
    )


def _copy(files: MemoryFiles, old: str, new: str) -> None:
    found = files.stat(old)
    files.write(new, files.read(old))
    files.chmod(new, found.permissions)
    files.chown(new, found.st_uid, found.st_gid)
    files.utime(new, found.st_mtime)
