"""What a parallel run is made of, and what becomes of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ..exceptions import NotBegun
from ..host import Host
from ..pseudo_terminal import Pty

__all__ = ["Interrupted", "Job", "Outcome", "attempt"]

T = TypeVar("T")


@dataclass(frozen=True)
class Job(Generic[T]):
    """Something to run, with the name that its output is shown under."""

    name: str
    function: Callable[[Pty], T]
    #: What it is about to connect to.
    hosts: tuple[type[Host], ...] = ()


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What became of a job: its ``result``, or the ``error`` that it raised."""

    name: str
    result: T | None = None
    error: Exception | None = None
    #: Seconds that it took.
    duration: float = field(default=0.0, compare=False)
    #: Whether the error, if there is one, was shown to a person.
    error_was_shown: bool = field(default=False, compare=False)
    #: Whether the result was.
    result_was_shown: bool = field(default=False, compare=False)

    @property
    def was_begun(self) -> bool:
        """Whether it was begun, and not left out because of the failures of others."""
        return not isinstance(self.error, NotBegun)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while several jobs ran; what had become of them until then is kept.

    ``outcomes`` are those of the jobs that had ended, ``stopped`` names the ones that ran, and
    ``not_begun`` the others.
    """

    def __init__(
        self, outcomes: Sequence[Outcome[Any]], stopped: Sequence[str], not_begun: Sequence[str]
    ) -> None:
        super().__init__(outcomes, stopped, not_begun)
        self.outcomes = list(outcomes)
        self.stopped = list(stopped)
        self.not_begun = list(not_begun)
        #: Whether it was shown what became of each of them.
        self.was_shown = False

    @property
    def results(self) -> dict[str, Any]:
        """What the jobs that had ended well returned, by name."""
        return {outcome.name: outcome.result for outcome in self.outcomes if not outcome.error}

    def __str__(self) -> str:
        failed = [outcome.name for outcome in self.outcomes if outcome.error]
        parts = {
            "done": list(self.results),
            "failed": failed,
            "stopped": self.stopped,
            "not begun": self.not_begun,
        }
        return "; ".join(f"{what}: {_some(names)}" for what, names in parts.items() if names)


def _some(names: Sequence[str]) -> str:
    if len(names) <= 5:
        return ", ".join(names)
    return f"{', '.join(names[:3])} and {len(names) - 3} more"


def attempt(name: str, function: Callable[[], T]) -> Outcome[T]:
    """Return what becomes of a function; only what is no Exception gets through."""
    begun = time.monotonic()
    try:
        result = function()
    except Exception as error:
        return Outcome(name, error=error, duration=time.monotonic() - begun)
    return Outcome(name, result=result, duration=time.monotonic() - begun)
