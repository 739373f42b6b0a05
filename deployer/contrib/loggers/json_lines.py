"""What runs, as a JSON object in a line for each event."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

from ...failures import leaf_errors
from ...loggers import Logger
from ...loggers.entries import Entry, FileEntry, ForkEntry, GroupEntry, RunEntry
from ...loggers.files import full_path, make_opener, open_private, write_json
from ...parallel.views.cells import get_status
from ...secret import redact

__all__ = ["JsonLinesLogger"]

# How deep the arguments of an action are looked into; what is deeper is text.
_DEEPEST = 8


class JsonLinesLogger(Logger):
    """Write a JSON object in a line for each thing that begins, ends or is said.

    Its ``event`` is ``start``, ``end``, ``message`` or ``exception``. There is always the ``time``
    in seconds since the epoch, and the ``host`` that it belongs to, or else an empty text.

    ``start`` and ``end`` have a ``kind``: ``action`` (with ``action``, ``args``, ``kwargs``),
    ``run`` (``command``, ``sudo``, ``user``, ``sandbox``) or ``file`` (``path``, ``mode``,
    ``directory``, ``sudo``, ``sandbox``). An ``end`` repeats these, and has ``started``,
    ``duration``, ``status`` (``ok``, ``failed``, ``unreachable``, ``stopped``), ``error``,
    ``error_type``, and of a run the ``exit_code``, which is null where a signal ended it. A
    ``message`` has a ``text``; an ``exception``, ``error`` and ``error_type``.

    Arguments that JSON has nothing like are there as their ``repr()``.

    :param to: the path of a file, which is made for its owner only, and appended to: several
        processes may do so. Or a text stream.
    """

    def __init__(self, to: str | TextIO) -> None:
        self._path: str | None = None
        if isinstance(to, str):
            self._path = full_path(to)
            self._stream = open_private(self._path)
        else:
            self._stream = to
        self._host = ""
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<JsonLinesLogger {self._path or self._stream!r}>"

    def close(self) -> None:
        """Close the file, once nothing is to be logged any more; a stream is left as it is."""
        if self._path is not None:
            # What could not be written was told when it was to be.
            with suppress(OSError):
                self._stream.close()

    def enter_group(self, entry: GroupEntry) -> None:
        """Write which action begins."""
        self._write("start", self._host, _describe_action(entry))

    def leave_group(self, entry: GroupEntry) -> None:
        """Write how the action ended."""
        self._write("end", self._host, _describe_action(entry) | _describe_end(entry))

    def start_run(self, entry: RunEntry) -> None:
        """Write which command begins."""
        self._write("start", entry.host, _describe_run(entry))

    def end_run(self, entry: RunEntry) -> None:
        """Write how the command ended."""
        end = _describe_run(entry) | _describe_end(entry) | {"exit_code": entry.exit_status}
        self._write("end", entry.host, end)

    def start_file(self, entry: FileEntry) -> None:
        """Write which file is opened."""
        self._write("start", entry.host, _describe_file(entry))

    def end_file(self, entry: FileEntry) -> None:
        """Write how that ended."""
        self._write("end", entry.host, _describe_file(entry) | _describe_end(entry))

    def fork(self, entry: ForkEntry) -> JsonLinesLogger:
        """Return one that says whose part it is, and writes to the same place."""
        forked = JsonLinesLogger(self._stream)
        forked._path, forked._host, forked._lock = self._path, entry.name, self._lock
        return forked

    def log_exception(self, error: BaseException) -> None:
        """Write the exception's type and message."""
        self._write("exception", self._host, _describe_error(error))

    def log_message(self, text: str) -> None:
        """Write the text."""
        self._write("message", self._host, {"text": text})

    def make_remote(self) -> Callable[[], Logger] | None:
        """Return what opens the file in another process; on another machine, it does nothing."""
        if self._path is None:
            return None
        return make_opener(JsonLinesLogger, self._path)

    def _write(self, event: str, host: str, more: dict[str, Any]) -> None:
        value = {"event": event, "time": time.time(), "host": host, **more}
        with self._lock:
            write_json(self._stream, value)


def _describe_action(entry: GroupEntry) -> dict[str, Any]:
    return {
        "kind": "action",
        "action": entry.name,
        "args": _to_json(entry.args),
        "kwargs": _to_json(entry.kwargs),
    }


def _describe_run(entry: RunEntry) -> dict[str, Any]:
    return {
        "kind": "run",
        "command": entry.command,
        "sudo": entry.use_sudo,
        "user": entry.user,
        "sandbox": entry.sandbox,
    }


def _describe_file(entry: FileEntry) -> dict[str, Any]:
    return {
        "kind": "file",
        "path": entry.path,
        "mode": entry.mode,
        "directory": entry.is_directory,
        "sudo": entry.use_sudo,
        "sandbox": entry.sandbox,
    }


def _describe_end(entry: Entry) -> dict[str, Any]:
    assert entry.duration is not None
    status = "ok" if entry.succeeded else "failed"
    error: dict[str, Any] = {"error": None, "error_type": None}
    if entry.error is not None:
        error = _describe_error(entry.error)
        is_stopped = isinstance(entry.error, KeyboardInterrupt)
        status = "stopped" if is_stopped else get_status(_find_leaf(entry.error)).value
    return {
        "started": entry.started,
        "duration": round(entry.duration, 3),
        "status": status,
        **error,
    }


def _describe_error(error: BaseException) -> dict[str, Any]:
    return {"error": redact(str(error)), "error_type": type(_find_leaf(error)).__name__}


def _find_leaf(error: BaseException) -> BaseException:
    return next(leaf_errors(error), error)


def _to_json(value: Any, depth: int = _DEEPEST) -> Any:
    """Return what JSON has for a value, without secrets; whatever its methods do, never raise."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, str):
        return redact(str.__str__(value))
    if isinstance(value, bytes):
        return redact(value.decode(errors="replace"))
    if depth and isinstance(value, dict):
        return {_to_key(key): _to_json(item, depth - 1) for key, item in value.items()}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_to_json(item, depth - 1) for item in value]
    return _show(value)


def _to_key(key: Any) -> str:
    return redact(str.__str__(key)) if isinstance(key, str) else _show(key)


def _show(value: Any) -> str:
    try:
        return redact(repr(value))
    except Exception:
        return f"a {type(value).__name__}"
