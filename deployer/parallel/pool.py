"""A bounded pool of threads that finishes every job and keeps every outcome."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from ..pseudo_terminal import Pty

__all__ = ["DEFAULT_FAN_OUT", "Job", "Outcome", "run"]

T = TypeVar("T")

#: How many jobs run at once. Between 8 and 64 the time for many hosts is the same; more threads
#: than that only cost memory and switches.
DEFAULT_FAN_OUT = 64


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


def run(pty: Pty, jobs: Sequence[Job[T]], fan_out: int = DEFAULT_FAN_OUT) -> list[Outcome[T]]:
    """Run all jobs, at most ``fan_out`` at once, and return their outcomes in the same order.

    A single job runs in this thread, in ``pty`` itself; of several, each gets a Pty of its own.
    A job's failure ends in its outcome and stops no other. Ctrl-C starts no more jobs, interrupts
    those that run, waits for them and is raised again.
    """
    if fan_out < 1:
        raise ValueError(f"fan_out is {fan_out}; at least one job has to run at a time")
    if len(jobs) == 1:
        return [_attempt(jobs[0].name, partial(jobs[0].function, pty))]

    ptys: list[Pty] = []

    def remembering(function: Callable[[Pty], T]) -> Callable[[Pty], T]:
        def run_in(own: Pty) -> T:
            ptys.append(own)
            return function(own)

        return run_in

    def run_all(callables: Sequence[Callable[[], T]]) -> list[Outcome[T]]:
        executor = ThreadPoolExecutor(min(fan_out, len(callables) or 1), "deployer-job")
        try:
            futures = [
                executor.submit(_attempt, job.name, function)
                for job, function in zip(jobs, callables, strict=True)
            ]
            return [future.result() for future in futures]
        except KeyboardInterrupt:
            for own in ptys:
                own.interrupted.set()
            raise
        finally:
            executor.shutdown(cancel_futures=True)

    return pty.run_in_auxiliary_ptys(
        [(job.name, remembering(job.function)) for job in jobs], run_all
    )


def _attempt(name: str, function: Callable[[], T]) -> Outcome[T]:
    try:
        return Outcome(name, result=function())
    except Exception as error:
        return Outcome(name, error=error)
