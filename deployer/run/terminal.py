"""The terminal of a run that takes one host at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from ..pseudo_terminal import Pty

__all__ = ["OneAtATimePty"]

T = TypeVar("T")
R = TypeVar("R")


class OneAtATimePty(Pty):
    """Gives each job this terminal itself, one after another, and so never needs another one."""

    def run_in_auxiliary_ptys(
        self,
        jobs: Sequence[tuple[str, Callable[[Pty], T]]],
        run_all: Callable[[Sequence[Callable[[], T]]], list[R]],
    ) -> list[R]:
        """Run the jobs in their order."""
        self.interrupted.clear()
        try:
            return [result for _, function in jobs for result in run_all([partial(function, self)])]
        except KeyboardInterrupt:
            self.interrupted.set()
            raise
