"""A password that stands nowhere else, and the search for it wherever it must not be."""

from __future__ import annotations

import logging
import os
import pickle
import secrets
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from world import World

__all__ = ["Canary"]

# What a world keeps: the upper layers hold all that was ever written in it, and nothing else.
_PLACES = ("/run/layers", "/run", "/dev/shm")


class Canary:
    """A password, hostile in its characters and unique, and the places where it was found.

    What is searched for is a part of it that every kind of quoting and escaping leaves as it is.
    """

    def __init__(self) -> None:
        self.mark = secrets.token_hex(10)
        #: Descriptions of where it was found, without repetitions.
        self.found: list[str] = []
        self._lock = threading.Lock()

    # It stands in local variables of tests, whose tracebacks are searched, too.
    def __repr__(self) -> str:
        return "Canary()"

    @property
    def password(self) -> str:
        return f"ca'n \"a$ry é{self.mark}"

    def set_password(self, world: World, *users: str) -> None:
        """Make it the password of users of a world."""
        lines = "".join(f"{user}:{self.password}\n" for user in users)
        world.run(["chpasswd"], input=lines)

    def look_in(self, where: str, text: str | bytes) -> None:
        """Look in a text, and remember the place when it is there."""
        if (self.mark.encode() if isinstance(text, bytes) else self.mark) not in text:  # type: ignore[operator]
            return
        with self._lock:
            if where not in self.found:
                self.found.append(where)

    def look_in_value(self, where: str, value: object) -> None:
        """Look in the ``repr`` and ``str`` of a value, and in all that it holds."""
        self._look_inside(where, value, set())

    def _look_inside(self, where: str, value: object, seen: set[int]) -> None:
        if id(value) in seen:
            return
        seen.add(id(value))
        self.look_in(f"{where}: {type(value).__name__}", repr(value))
        if isinstance(value, str | bytes):
            self.look_in(f"{where}: {type(value).__name__}", value)
        if isinstance(value, dict):
            parts = [(repr(key), part) for key, part in value.items()]
        elif isinstance(value, list | tuple | set | frozenset):
            parts = [("[]", part) for part in value]
        elif isinstance(value, BaseException) or type(value).__module__.startswith("deployer"):
            self.look_in(f"{where}: str of {type(value).__name__}", str(value))
            names = [name for cls in type(value).__mro__ for name in getattr(cls, "__slots__", ())]
            parts = [(name, getattr(value, name, None)) for name in names if name != "_text"]
            parts += list(getattr(value, "__dict__", {}).items())
            if isinstance(value, BaseException):
                parts += [("args", value.args), ("__notes__", getattr(value, "__notes__", []))]
                parts += [("__cause__", value.__cause__), ("__context__", value.__context__)]
        else:
            return
        for name, part in parts:
            if not isinstance(part, type):
                self._look_inside(f"{where}.{name}", part, seen)

    def look_in_error(self, where: str, error: BaseException) -> None:
        """Look in an exception, and in its traceback with all local variables, to the roots."""
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        for line in shown.format():
            # A block of one frame: the first line says where, the others hold the variables.
            if self.mark in line:
                head, *rest = line.strip().splitlines()
                names = [part.strip().partition(" =")[0] for part in rest if self.mark in part]
                self.look_in(f"{where}: traceback: {head}: {names}", line)
        self.look_in_value(where, error)
        # Not everything in an exception can be pickled; what can may be sent elsewhere.
        with suppress(Exception):
            self.look_in(f"{where}: pickled {type(error).__name__}", pickle.dumps(error))

    def look_in_processes(self) -> None:
        """Look in the command lines and environments of all processes of this machine."""
        for process in Path("/proc").iterdir():
            if not process.name.isdigit():
                continue
            for name in ("cmdline", "environ"):
                with suppress(OSError):
                    content = (process / name).read_bytes()
                    self.look_in(f"{name} of a process: {content[:40]!r}", content)

    def look_in_files(self, world: World) -> None:
        """Look in all files that were made or changed in a world, and in their names."""
        found = world.run(
            ["sh", "-c", 'grep -rlaF -- "$(cat)" "$@"', "sh", *_PLACES],
            input=self.mark,
            check=False,
        )
        names = world.run(["find", *_PLACES, "-xdev"], check=False)
        for line in [*found.splitlines(), *(n for n in names.splitlines() if self.mark in n)]:
            self.look_in(f"file {line}", self.mark)

    @contextmanager
    def watching_logs(self) -> Iterator[None]:
        """Look in everything that is logged meanwhile, by whomever, at the level DEBUG."""
        handler = _Watcher(self)
        # paramiko's logger may have a level of its own.
        loggers = [logging.getLogger(name) for name in ("", "paramiko", "deployer")]
        before = [logger.level for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.DEBUG)
        loggers[0].addHandler(handler)
        try:
            yield
        finally:
            loggers[0].removeHandler(handler)
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)

    @contextmanager
    def watching_processes(self, interval: float = 0.05) -> Iterator[None]:
        """Look in the command lines and environments of all processes, again and again."""
        stop = threading.Event()

        def watch() -> None:
            while True:
                self.look_in_processes()
                if stop.wait(interval):
                    return

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


class _Watcher(logging.Handler):
    def __init__(self, canary: Canary) -> None:
        super().__init__(logging.DEBUG)
        self._canary = canary

    def emit(self, record: logging.LogRecord) -> None:
        where = f"log of {record.name}: {os.path.basename(record.pathname)}:{record.lineno}"
        self._canary.look_in(where, self.format(record))
