"""The terminal of a run that takes one host at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..pseudo_terminal import Jobs, Pty, R, RunAll

__all__ = ["OneAtATimePty"]


class OneAtATimePty(Pty):
    """Gives each job this terminal itself, one after another, so that none needs another one."""

    def run_in_auxiliary_ptys(
        self,
        jobs: Jobs[R],
        run_all: RunAll[R],
        show: Callable[[Pty, Jobs[R], RunAll[R]], list[R]],
    ) -> list[R]:
        """Run the jobs in their order, each when the one before it has ended."""
        # Jobs may be started at once, but never in another order: what each waits for has begun.
        ended = [threading.Event() for _ in jobs]

        def take_turn(number: int) -> R:
            try:
                if number:
                    ended[number - 1].wait()
                self.check_interrupted()
                return jobs[number][1](self)
            finally:
                ended[number].set()

        def make(number: int) -> Callable[[], R]:
            return lambda: take_turn(number)

        try:
            return run_all([make(number) for number in range(len(jobs))])
        finally:
            # Whoever runs the jobs sets it for those that are under way; what comes next is not.
            self.interrupted.clear()
