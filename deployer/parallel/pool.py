"""A bounded pool of threads that finishes every job and keeps every outcome."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from ..pseudo_terminal import Pty

__all__ = ["DEFAULT_FAN_OUT", "Interrupted", "Job", "Outcome", "run"]

T = TypeVar("T")

#: How many jobs run at once. Between 8 and 64 the time for many hosts is the same; more threads
#: than that only cost memory and switches.
DEFAULT_FAN_OUT = 64

# How long jobs get to end their commands after Ctrl-C. Most need no time; but one that is about to
# connect to a host that does not answer, or computes, does not notice before it comes to a command.
_TIME_TO_STOP = 5.0
# How often those who wait for jobs look whether they are to stop, in seconds.
_LOOK = 0.25


@dataclass(frozen=True)
class Job(Generic[T]):
    """Something to run, with the name that its output is shown under."""

    name: str
    function: Callable[[Pty], T]


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What became of a job: its ``result``, or the ``error`` that it raised."""

    name: str
    result: T | None = None
    error: Exception | None = None


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


def run(pty: Pty, jobs: Sequence[Job[T]], fan_out: int = DEFAULT_FAN_OUT) -> list[Outcome[T]]:
    """Run all jobs, at most ``fan_out`` at once, and return their outcomes in the same order.

    A single job runs in this thread, in ``pty`` itself; of several, each gets a Pty of its own.
    A job's failure ends in its outcome and stops no other. Ctrl-C starts no more jobs, interrupts
    those that run, gives them a few seconds to stop, and is raised again as Interrupted.
    """
    if fan_out < 1:
        raise ValueError(f"fan_out is {fan_out}; at least one job has to run at a time")
    if len(jobs) == 1:
        return [_attempt(jobs[0].name, partial(jobs[0].function, pty))]

    pool = _Pool[T]()

    def remembering(function: Callable[[Pty], T]) -> Callable[[Pty], T]:
        def run_in(own: Pty) -> T:
            pool.interrupt_later(own)
            return function(own)

        return run_in

    def run_all(callables: Sequence[Callable[[], T]]) -> list[Outcome[T]]:
        return pool.run([(job.name, f) for job, f in zip(jobs, callables, strict=True)], fan_out)

    return pty.run_in_auxiliary_ptys(
        [(job.name, remembering(job.function)) for job in jobs], run_all
    )


class _Pool(Generic[T]):
    """Threads for the jobs of one run.

    They are daemons, unlike those of ``concurrent.futures``: after Ctrl-C, a job that does not
    notice it must keep neither the caller nor the end of the process waiting.
    """

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._condition = threading.Condition()
        self._ended = 0
        self._ptys: list[Pty] = []
        self._waiting: deque[tuple[int, str, Callable[[], T]]] = deque()
        self._begun: set[int] = set()
        self._outcomes: dict[int, Outcome[T]] = {}
        self._stopped_by: BaseException | None = None

    def run(self, jobs: Sequence[tuple[str, Callable[[], T]]], fan_out: int) -> list[Outcome[T]]:
        self._waiting.extend((index, name, job) for index, (name, job) in enumerate(jobs))
        threads = [
            threading.Thread(target=self._work, name=f"deployer-job-{number}", daemon=True)
            for number in range(min(fan_out, len(jobs)))
        ]
        started = 0
        try:
            for thread in threads:
                thread.start()
                started += 1
            self._wait_for(started, None)
        except BaseException as error:
            self._stop()
            self._wait_for(started, _TIME_TO_STOP)
            self._stopped_by = error
        if isinstance(self._stopped_by, KeyboardInterrupt):
            raise self._interrupted([name for name, _ in jobs]) from None
        if self._stopped_by is not None:
            raise self._stopped_by
        return [self._outcomes[index] for index in range(len(jobs))]

    def _interrupted(self, names: Sequence[str]) -> Interrupted:
        # A job that did not notice may end at any moment.
        outcomes, begun = dict(self._outcomes), set(self._begun)
        return Interrupted(
            [outcomes[index] for index in sorted(outcomes)],
            [names[index] for index in sorted(begun - set(outcomes))],
            [name for index, name in enumerate(names) if index not in begun],
        )

    def _wait_for(self, threads: int, timeout: float | None) -> None:
        # Not by joining them: a join that Ctrl-C interrupts leaves Python 3.11 believing that the
        # thread has ended.
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._condition:
            # In short waits: a signal that another thread is given does not wake this one, and only
            # this one acts on it.
            while not self._condition.wait_for(lambda: self._ended >= threads, _LOOK):
                if deadline is not None and time.monotonic() >= deadline:
                    return

    def interrupt_later(self, pty: Pty) -> None:
        """Interrupt what runs in a Pty when the others are, also if that is now."""
        self._ptys.append(pty)
        if self._stopping.is_set():
            pty.interrupted.set()

    def _stop(self) -> None:
        self._stopping.set()
        for pty in list(self._ptys):
            pty.interrupted.set()

    def _work(self) -> None:
        try:
            self._work_on_jobs()
        finally:
            with self._condition:
                self._ended += 1
                self._condition.notify_all()

    def _work_on_jobs(self) -> None:
        while not self._stopping.is_set():
            try:
                index, name, function = self._waiting.popleft()
            except IndexError:
                return
            self._begun.add(index)
            try:
                self._outcomes[index] = _attempt(name, function)
            except BaseException as error:
                # KeyboardInterrupt, or an exit: meant for all of them, and for the caller.
                self._stopped_by = self._stopped_by or error
                self._stop()


def _attempt(name: str, function: Callable[[], T]) -> Outcome[T]:
    try:
        return Outcome(name, result=function())
    except Exception as error:
        return Outcome(name, error=error)
