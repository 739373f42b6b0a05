"""The terminals that a command line asks for: of one host at a time, and of a program."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .. import printing
from ..exceptions import DeployerException
from ..pseudo_terminal import Jobs, Pty, R, RunAll

__all__ = ["OneAtATimePty", "ReadByProgramPty"]


class OneAtATimePty(Pty):
    """Gives each job this terminal itself, one after another, so that none needs another one."""

    def run_in_auxiliary_ptys(
        self,
        jobs: Jobs[R],
        run_all: RunAll[R],
        show: Callable[[Pty, Jobs[R], RunAll[R]], list[R]],
    ) -> list[R]:
        """Run the jobs in their order, each when the one before it has ended."""
        # Imported here: most command lines run nothing of the kind.
        from ..parallel.views.choice import run_alone

        # What they print is a part of what the job prints that they are run by.
        destination = printing.get_destination()
        # Jobs may be started at once, but never in another order: what each waits for has begun.
        ended = [threading.Event() for _ in jobs]

        def take_turn(number: int) -> R:
            try:
                if number:
                    ended[number - 1].wait()
                self.check_interrupted()
                with printing.printing_to(destination):
                    return run_alone(self, *jobs[number])
            finally:
                ended[number].set()

        def make(number: int) -> Callable[[], R]:
            return lambda: take_turn(number)

        try:
            return run_all([make(number) for number in range(len(jobs))])
        finally:
            # Whoever runs the jobs sets it for those that are under way; what comes next is not.
            self.interrupted.clear()


class ReadByProgramPty(Pty):
    """Has a program that reads what is shown, and waits for something."""

    #: Whether what was run has been shown.
    has_shown = False

    def run_in_auxiliary_ptys(
        self,
        jobs: Jobs[R],
        run_all: RunAll[R],
        show: Callable[[Pty, Jobs[R], RunAll[R]], list[R]],
    ) -> list[R]:
        """Run the jobs as any terminal does, and note it."""
        self.has_shown = True
        try:
            return super().run_in_auxiliary_ptys(jobs, run_all, show)
        except DeployerException:
            # Those of jobs are kept with them: what would have shown them could not be made.
            self.has_shown = False
            raise
