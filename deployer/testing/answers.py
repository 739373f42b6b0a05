"""What a fake host says to commands."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from .recorded_run import Pattern, RecordedRun, matches

__all__ = ["Answer", "Answers", "Script"]


@dataclass(frozen=True)
class Answer:
    """What a command gives: its output, and how it ends."""

    stdout: str = ""
    stderr: str = ""
    #: None where a signal ends it.
    exit_status: int | None = 0
    #: The name of the signal that ends it, without ``SIG``.
    exit_signal: str | None = None

    def __post_init__(self) -> None:
        if self.exit_signal is not None:
            object.__setattr__(self, "exit_status", None)
        elif self.exit_status is None:
            raise ValueError(
                "an Answer takes an exit status or an exit signal; where the connection is lost "
                "meanwhile, give a ConnectionLost in its place"
            )


#: What a command is answered with: its output, an :class:`Answer`, an exception that is raised, a
#: function of the :class:`~deployer.testing.RecordedRun` that returns one of these (None for no
#: output), or a list of these, of which each run gets the next, and the last one holds for all
#: further runs.
Script: TypeAlias = (
    "str | Answer | BaseException | type[BaseException] | Callable[[RecordedRun], Any] | list[Any]"
)


class Answers(MutableMapping[Pattern, Script]):
    """The answers of one host. Of several patterns that match, the one that was set last counts."""

    def __init__(self, answers: Mapping[Pattern, Script]) -> None:
        self._scripts: dict[Pattern, list[Any]] = {}
        # How many answers were taken from each.
        self._taken: dict[Pattern, int] = {}
        self._lock = threading.Lock()
        self.update(answers)

    def __setitem__(self, pattern: Pattern, script: Script) -> None:
        if not isinstance(pattern, str | re.Pattern):
            raise TypeError(f"{pattern!r} is no pattern: give a text or a compiled expression")
        scripts = list(script) if isinstance(script, list) else [script]
        if not scripts:
            raise ValueError(f"{_show(pattern)}: an empty list has no answers")
        for each in scripts:
            _check(pattern, each)
        with self._lock:
            # To the end, where it counts most.
            self._scripts.pop(pattern, None)
            self._scripts[pattern] = scripts
            self._taken[pattern] = 0

    def __getitem__(self, pattern: Pattern) -> Script:
        scripts = self._scripts[pattern]
        return scripts[0] if len(scripts) == 1 else list(scripts)

    def __delitem__(self, pattern: Pattern) -> None:
        with self._lock:
            del self._scripts[pattern], self._taken[pattern]

    def __iter__(self) -> Iterator[Pattern]:
        return iter(dict(self._scripts))

    def __len__(self) -> int:
        return len(self._scripts)

    def __repr__(self) -> str:
        return f"{{{', '.join(map(_show, self))}}}"

    def take(self, run: RecordedRun) -> Answer | None:
        """Return what a run is answered with, or raise it; None where nothing is said of it."""
        with self._lock:
            for pattern in reversed(self._scripts):
                if matches(pattern, run.command):
                    scripts = self._scripts[pattern]
                    script = scripts[min(self._taken[pattern], len(scripts) - 1)]
                    self._taken[pattern] += 1
                    break
            else:
                return None
        # Without the lock: a function may run commands in turn.
        return _resolve(pattern, script, run)


def _resolve(pattern: Pattern, script: Any, run: RecordedRun) -> Answer:
    while _is_function(script):
        script = script(run)
        _check(pattern, "" if script is None else script)
    if isinstance(script, BaseException) or _is_exception_class(script):
        raise script
    return script if isinstance(script, Answer) else Answer(script or "")


def _check(pattern: Pattern, script: object) -> None:
    kinds = (str, Answer, BaseException)
    if not (isinstance(script, kinds) or callable(script)):
        raise TypeError(
            f"{_show(pattern)}: {script!r} is no answer: give a text, an Answer(stdout, stderr, "
            "exit_status), an exception, a function, or a list of these"
        )


def _is_function(script: object) -> bool:
    return callable(script) and not _is_exception_class(script)


def _is_exception_class(script: object) -> bool:
    return isinstance(script, type) and issubclass(script, BaseException)


def _show(pattern: Pattern) -> str:
    return repr(pattern if isinstance(pattern, str) else pattern.pattern)
