"""A bounded pool of threads that begins jobs in order, and keeps every outcome."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from ..exceptions import NotBegun
from ..pseudo_terminal import Pty
from .jobs import Interrupted, Job, Outcome
from .options import RunOptions, split_into_batches

__all__ = ["Pool"]

T = TypeVar("T")

# How long jobs get to end their commands after Ctrl-C, since the last one that did: many take their
# time together. Most need none; but one that is about to connect to a host that does not answer, or
# computes, does not notice before it comes to a command.
_TIME_TO_STOP = 5.0
# How often those who wait for jobs look whether they are to stop, in seconds.
_LOOK = 0.25


class Pool(Generic[T]):
    """Threads for the jobs of one run.

    They are daemons, unlike those of ``concurrent.futures``: after Ctrl-C, a job that does not
    notice it must keep neither the caller nor the end of the process waiting.
    """

    def __init__(self, pty: Pty, jobs: Sequence[Job[T]], options: RunOptions) -> None:
        self._pty = pty
        self._jobs = jobs
        self._options = options
        self._limit = options.get_failure_limit(len(jobs))
        # A batch is run as a whole, so that the same failures have the same consequences each time.
        is_strict = options.fail_fast or not options.batches
        self._limit_within_batch = self._limit if is_strict else len(jobs)
        self._stopping = threading.Event()
        self._condition = threading.Condition()
        self._working = 0
        self._failed = 0
        self._ptys: list[Pty] = []
        self._waiting: deque[int] = deque()
        self._begun: set[int] = set()
        self._outcomes: dict[int, Outcome[T]] = {}
        self._stopped_by: BaseException | None = None
        #: Whether connections were closed because somebody did not want to wait.
        self.has_aborted = False

    def interrupt_later(self, pty: Pty) -> None:
        """Interrupt what runs in a Pty when the others are, also if that is now."""
        self._ptys.append(pty)
        if self._stopping.is_set():
            pty.interrupted.set()

    def run(self, functions: Sequence[Callable[[], Outcome[T]]]) -> list[Outcome[T]]:
        """Run what the jobs have become, and return their outcomes in the same order.

        Ctrl-C begins no more jobs, interrupts those that run, gives them a few seconds to stop,
        and is raised again as Interrupted. A second one closes their connections and does not wait.
        What interrupts the Pty that they are run in is like Ctrl-C.
        """
        self._functions = functions
        try:
            for batch in split_into_batches(len(functions), self._options.batches):
                self._pty.check_interrupted()
                if self._failed <= self._limit:
                    self._run_batch(batch)
        except BaseException as error:
            self._wait_to_stop()
            self._stopped_by = error
        if isinstance(self._stopped_by, KeyboardInterrupt):
            raise self._interrupted() from None
        if self._stopped_by is not None:
            raise self._stopped_by
        return [self._outcomes.get(n) or self._left_out(n) for n in range(len(functions))]

    def _run_batch(self, batch: Sequence[int]) -> None:
        self._waiting.extend(batch)
        for number in range(min(self._options.fan_out, len(batch))):
            if self._stopping.is_set():
                break
            with self._condition:
                self._working += 1
            thread = threading.Thread(target=self._work, name=f"deployer-job-{number}", daemon=True)
            try:
                thread.start()
            except BaseException:
                # There are as many threads as there may be, or this was interrupted.
                if thread.ident is None:
                    self._leave()
                raise
        self._wait_for_end(None)
        self._waiting.clear()

    def _wait_for_end(self, timeout: float | None) -> None:
        """Wait until no thread works, or none has stopped to for so many seconds."""
        # Not by joining them: a join that Ctrl-C interrupts leaves Python 3.11 believing that the
        # thread has ended.
        with self._condition:
            working, last_end = self._working, time.monotonic()
            # In short waits: a signal that another thread is given does not wake this one, and only
            # this one acts on it.
            while not self._condition.wait_for(lambda: not self._working, _LOOK):
                if timeout is None:
                    self._pty.check_interrupted()
                if self._working != working:
                    working, last_end = self._working, time.monotonic()
                if timeout is not None and time.monotonic() - last_end >= timeout:
                    return

    def _wait_to_stop(self) -> None:
        try:
            self._stop()
            self._wait_for_end(_TIME_TO_STOP)
        except KeyboardInterrupt:
            self._stop()
            self.has_aborted = True
            for number in set(self._begun) - set(self._outcomes):
                for host in self._jobs[number].hosts:
                    host.abort_connection()

    def _stop(self) -> None:
        self._stopping.set()
        for pty in list(self._ptys):
            pty.interrupted.set()

    def _leave(self) -> None:
        with self._condition:
            self._working -= 1
            self._condition.notify_all()

    def _work(self) -> None:
        try:
            while not self._stopping.is_set() and self._failed <= self._limit_within_batch:
                try:
                    number = self._waiting.popleft()
                except IndexError:
                    return
                self._begun.add(number)
                outcome = self._functions[number]()
                with self._condition:
                    self._failed += outcome.error is not None
                self._outcomes[number] = outcome
        except BaseException as error:
            # KeyboardInterrupt, or an exit: meant for all of them, and for the caller.
            self._stopped_by = self._stopped_by or error
            self._stop()
        finally:
            self._leave()

    def _left_out(self, number: int) -> Outcome[Any]:
        name = self._jobs[number].name
        why = f"{self._failed} had failed" if self._failed > 1 else "another one had failed"
        return Outcome(name, error=NotBegun(f"{name}: not begun, since {why}"))

    def _interrupted(self) -> Interrupted:
        # A job that did not notice may end at any moment.
        outcomes, begun = dict(self._outcomes), set(self._begun)
        names = [job.name for job in self._jobs]
        return Interrupted(
            [outcomes[number] for number in sorted(outcomes)],
            [names[number] for number in sorted(begun - set(outcomes))],
            [name for number, name in enumerate(names) if number not in begun],
        )
