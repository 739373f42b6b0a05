"""The locks of ``contrib``'s node ``Lock``, in memory.

A lock is a file ``PATH/TOKEN`` that says who holds it, as on a real host.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Callable
from contextlib import suppress

from ..contrib.nodes import lock
from .answers import Answer
from .memory_files import MemoryFiles

__all__ = ["carry_out"]


def carry_out(files: MemoryFiles, command: str) -> Answer | None:
    """Do what a script of a Lock does; None where the command is something else."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if words[:2] != ["/bin/sh", "-c"] or len(words) < 5:
        return None
    steps = _STEPS.get(words[2])
    if steps is None:
        return None
    path, arguments = words[4], words[5:]
    said = ""
    try:
        for step in steps:
            said = step(files, path, *arguments) or ""
    except OSError as error:
        return Answer(stderr=f"{path}: {error.strerror}\n", exit_status=1)
    return Answer(said)


def _prepare(files: MemoryFiles, path: str, token: str, holder: str) -> None:
    files.write(f"{path}.{token}/{token}", holder.encode())


def _move(files: MemoryFiles, path: str, token: str) -> None:
    try:
        files.replace(f"{path}.{token}", path)
    except OSError:
        # Where somebody else holds it, what is to be moved is still there.
        files.stat(f"{path}.{token}")


def _show(files: MemoryFiles, path: str, *_: str) -> str:
    said = ""
    with suppress(OSError):
        for found in files.listdir(path):
            holder = files.read(posixpath.join(path, found.filename)).decode()
            said += f"{holder}\ntoken: {found.filename}\n"
    return said


def _withdraw(files: MemoryFiles, path: str, token: str) -> None:
    with suppress(OSError):
        files.remove(f"{path}.{token}/{token}")
        files.rmdir(f"{path}.{token}")


def _remove(files: MemoryFiles, path: str, token: str) -> str:
    said = ""
    with suppress(FileNotFoundError, NotADirectoryError):
        files.remove(f"{path}/{token}")
        said = "removed\n"
    with suppress(OSError):
        files.rmdir(path)
    return said


_Step = Callable[..., str | None]

_STEPS: dict[str, tuple[_Step, ...]] = {
    lock._PREPARE: (_prepare,),
    lock._MOVE: (_move, _show),
    lock._SHOW: (_show,),
    lock._REMOVE: (_remove,),
    lock._WITHDRAW + lock._SHOW: (_withdraw, _show),
    lock._WITHDRAW + lock._REMOVE: (_withdraw, _remove),
}
