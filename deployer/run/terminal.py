"""The terminal of a run that takes one host at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from ..pseudo_terminal import Pty

__all__ = ["OneAtATimePty"]

T = TypeVar("T")
R = TypeVar("R")


class OneAtATimePty(Pty):
    """Gives each job this terminal itself, one after another, so that none needs another one."""

    def run_in_auxiliary_ptys(
        self,
        jobs: Sequence[tuple[str, Callable[[Pty], T]]],
        run_all: Callable[[Sequence[Callable[[], T]]], list[R]],
    ) -> list[R]:
        """Run the jobs in their order, each when the one before it has ended."""
        # Jobs may be started at once, but never in another order: what each waits for has begun.
        ended = [threading.Event() for _ in jobs]

        def take_turn(number: int) -> T:
            try:
                if number:
                    ended[number - 1].wait()
                if self.interrupted.is_set():
                    raise InterruptedError("the run was interrupted before its turn")
                return jobs[number][1](self)
            finally:
                ended[number].set()

        def make(number: int) -> Callable[[], T]:
            return lambda: take_turn(number)

        try:
            return run_all([make(number) for number in range(len(jobs))])
        finally:
            # Whoever runs the jobs sets it for those that are under way; what comes next is not.
            self.interrupted.clear()
