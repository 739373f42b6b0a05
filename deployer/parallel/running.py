"""Run jobs at once: the one function that everything parallel goes through."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from ..exceptions import (
    AuthenticationFailed,
    ConnectionFailedException,
    ConnectionLost,
    HostKeyError,
)
from ..failures import leaf_errors
from ..host import open_files
from ..pseudo_terminal import Pty
from .jobs import Job, Outcome, attempt
from .options import RunOptions
from .pool import Pool
from .views import show

__all__ = ["run", "run_job"]

T = TypeVar("T")

# Seconds before a connection is tried again; twice as many each time, up to the longest.
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 15.0

RunAll = Callable[[Sequence[Callable[[], Outcome[T]]]], list[Outcome[T]]]


def run(
    pty: Pty,
    jobs: Sequence[Job[T]],
    options: RunOptions | None = None,
    title: str = "",
    run_all: RunAll[T] | None = None,
) -> list[Outcome[T]]:
    """Run all jobs, begun in order, and return their outcomes in the same order.

    A single job runs in this thread, in ``pty`` itself; of several, each gets a Pty of its own.
    A job's failure ends in its outcome and stops no other, unless the options say so. Ctrl-C begins
    no more jobs, interrupts those that run, gives them a few seconds to stop, and is raised again
    as Interrupted; a second one closes their connections at once. What another thread does when it
    sets ``pty.interrupted`` is the same as Ctrl-C.

    :param title: what runs, for whoever watches.
    :param run_all: runs what the jobs have become; threads of this process, when not given.
    :raises ConnectionFailedException: when this process may not open as many files as it takes.
    """
    options = options or RunOptions()
    if not jobs:
        return []
    remote = sum(host.is_remote for job in jobs for host in job.hosts)
    if run_all is None and (remote or len(jobs) > 1):
        open_files.check(remote, min(options.fan_out, len(jobs)))
    pool = Pool(pty, jobs, options)

    def prepare(job: Job[T]) -> Callable[[Pty], Outcome[T]]:
        def run_in(own: Pty) -> Outcome[T]:
            pool.interrupt_later(own)
            outcome = attempt(job.name, partial(run_job, job, own, options.retries))
            if pool.has_aborted and _is_lost(outcome.error):
                # No failure of the host: its connection was closed here.
                raise KeyboardInterrupt
            return outcome

        return run_in

    return pty.run_in_auxiliary_ptys(
        [(job.name, prepare(job)) for job in jobs],
        run_all or pool.run,
        partial(show, title=title),
    )


def _is_lost(error: Exception | None) -> bool:
    return error is not None and any(isinstance(e, ConnectionLost) for e in leaf_errors(error))


def run_job(job: Job[T], pty: Pty, retries: int) -> T:
    """Run a job in a Pty, once its hosts are connected to; return its result."""
    if retries:
        for host in job.hosts:
            _connect(partial(host(pty).connect), pty, retries)
    return job.function(pty)


def _connect(connect: Callable[[], None], pty: Pty, retries: int) -> None:
    """Connect, and try again if it fails: nothing was run yet."""
    for number in range(retries + 1):
        try:
            return connect()
        except (AuthenticationFailed, HostKeyError):
            # Asked again, they lock accounts, or say the same.
            raise
        except ConnectionFailedException:
            if number == retries:
                raise
        pause = min(_FIRST_PAUSE * 2**number, _LONGEST_PAUSE)
        pty.interrupted.wait(random.uniform(0.5, 1.0) * pause)
        pty.check_interrupted()
