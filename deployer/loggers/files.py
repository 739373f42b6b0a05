"""Files that loggers write to: for their owner only, whole lines at a time."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import cache, partial
from typing import Any, TextIO

from ..streams import write_text
from .base import Logger

__all__ = ["full_path", "make_opener", "open_private", "write_json"]

_SURROGATE = re.compile("[\ud800-\udfff]")
# JSON takes them as they are; but for some they end a line, or do something to a terminal.
_CONTROL = re.compile("[\x7f-\x9f\u2028\u2029]")


def full_path(path: str) -> str:
    """Return a path that means the same in any directory, with ``~`` expanded."""
    return os.path.abspath(os.path.expanduser(path))


def open_private(path: str, *, new: bool = False) -> TextIO:
    """Return a file to append to. It is made for its owner only: what was run may say much.

    Several processes may write to it. A line that is written and flushed at once stays whole.

    :param new: refuse a file that is there, with FileExistsError.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | (os.O_EXCL if new else 0)
    return os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8", errors="backslashreplace")


def write_json(stream: TextIO, value: Any) -> None:
    """Write a JSON value as a line, at once.

    Bytes that are no UTF-8 are kept as lone surrogates, which JSON has no place for.
    """
    import json

    text = json.dumps(value, ensure_ascii=False)
    text = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
    text = _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    write_text(stream, text + "\n")


def make_opener(kind: Callable[..., Logger], *args: str) -> Callable[[], Logger]:
    """Return what makes the logger of a file in another process; see ``Logger.make_remote``.

    On another machine, where its path means another file, that does nothing.
    """
    # Imported here: most runs stay in this process.
    import socket

    return partial(_open_again, kind, args, socket.gethostname())


# One for all shards of a worker.
@cache
def _open_again(kind: Callable[..., Logger], args: tuple[str, ...], machine: str) -> Logger:
    import socket

    return kind(*args) if socket.gethostname() == machine else Logger()
