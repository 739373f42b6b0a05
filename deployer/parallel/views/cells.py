"""The jobs of a run as they are shown: how each is doing, and what it has written."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ...exceptions import (
    CommandTimeout,
    ConnectionFailedException,
    ConnectionLost,
    ExecCommandFailed,
    JobStopped,
    NotBegun,
    ParallelExecCommandFailed,
    WorkerLost,
)
from ...failures import leaf_errors
from ..jobs import Outcome

__all__ = ["Cell", "Kind", "Status", "describe_status", "get_status"]


class Kind(StrEnum):
    """Where a piece of output comes from."""

    STDOUT = "stdout"
    STDERR = "stderr"
    #: What loggers say of the job.
    LOG = "log"


class Status(StrEnum):
    """How a job is doing."""

    WAITING = "waiting"
    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    STOPPED = "stopped"
    UNKNOWN = "unknown"
    NOT_BEGUN = "not begun"


@dataclass(eq=False)
class Cell:
    """One of the jobs of a run."""

    number: int
    name: str
    status: Status = Status.WAITING
    #: When it was begun, by the monotonic clock.
    begun: float | None = None
    #: Seconds that it took, once it has ended.
    duration: float | None = None
    outcome: Outcome[Any] | None = None
    #: What it wrote, in order, where that is kept.
    pieces: list[tuple[Kind, str]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long it took, or has been running."""
        if self.duration is not None:
            return self.duration
        return 0.0 if self.begun is None else time.monotonic() - self.begun

    @property
    def error(self) -> Exception | None:
        """What it raised, if it did."""
        return None if self.outcome is None else self.outcome.error

    def get_text(self, *kinds: Kind) -> str:
        """Return what it wrote of some kinds, or of all."""
        return "".join(text for kind, text in self.pieces if not kinds or kind in kinds)

    def begin(self) -> None:
        """Note that it is running."""
        self.status, self.begun = Status.RUNNING, time.monotonic()

    def end(self, outcome: Outcome[Any]) -> None:
        """Note what became of it."""
        self.outcome, self.duration = outcome, outcome.duration
        self.status = Status.OK if outcome.error is None else get_status(outcome.error)

    def leave(self) -> None:
        """Note that the run is over: whatever has no outcome by now has been stopped."""
        if self.status is Status.RUNNING:
            self.status, self.duration = Status.STOPPED, self.seconds
        elif self.status is Status.WAITING:
            self.status = Status.NOT_BEGUN


def describe_status(cell: Cell) -> str:
    """Say in a word or two how a job is doing: ``ok``, ``exit 3``, ``unreachable``."""
    match _first_error(cell.error):
        case CommandTimeout():
            return "timed out"
        case ExecCommandFailed() as error if not isinstance(error, ParallelExecCommandFailed):
            signal = error.result.exit_signal
            return f"signal {signal}" if signal else f"exit {error.exit_status}"
        case error if error is not None and cell.status is Status.FAILED:
            return f"failed ({type(error).__name__})"
    return cell.status.value


def _first_error(error: BaseException | None) -> BaseException | None:
    return None if error is None else next(leaf_errors(error))


def get_status(error: BaseException) -> Status:
    """Return how a job is doing that has raised something."""
    match _first_error(error):
        case NotBegun():
            return Status.NOT_BEGUN
        case JobStopped():
            return Status.STOPPED
        case WorkerLost():
            return Status.UNKNOWN
        case ConnectionLost():
            # The host was reached, and what it did before is not known.
            return Status.FAILED
        case ConnectionFailedException():
            return Status.UNREACHABLE
    return Status.FAILED
