"""What a failure in a test is told besides: that a command or a question was given no answer."""

from __future__ import annotations

import threading

from ..exceptions import NoInput, ParallelActionException
from ..failures import leaf_errors
from ..loggers import Logger
from ..loggers.entries import ForkEntry, GroupEntry
from ..secret import shown_command
from .recorded_run import RecordedRun

__all__ = ["HintLogger", "note_run"]


class _InThread(threading.local):
    # The command that ran last in the innermost action, where nothing was said of it.
    unanswered: RecordedRun | None = None


_local = _InThread()


def note_run(run: RecordedRun, is_answered: bool) -> None:
    """Remember a command until the next one, and whether a test has said what it prints."""
    _local.unanswered = None if is_answered else run


class HintLogger(Logger):
    """Add a note to what an action raises after a command that was given no answer.

    Code that looks for something in the output of a command fails in strange ways when a fake host
    prints nothing: with a KeyError, or an IndexError.
    """

    def enter_group(self, entry: GroupEntry) -> None:
        """What ran before the action is not to blame for what goes wrong in it."""
        _local.unanswered = None

    def leave_group(self, entry: GroupEntry) -> None:
        """Add the note."""
        run, _local.unanswered = _local.unanswered, None
        # Cells have notes of their own.
        if entry.error is None or isinstance(entry.error, ParallelActionException):
            return
        error = next(leaf_errors(entry.error))
        if getattr(error, "__notes__", None):
            return
        if isinstance(error, NoInput):
            error.add_note("The lines that somebody types in a test: FakeTree(..., typed=[...])")
        elif run is not None:
            error.add_note(
                f"No answer says what {shown_command(run.command)} does on {run.host.slug}, so "
                "that it did nothing."
            )

    def fork(self, entry: ForkEntry) -> Logger:
        """Return this one: it remembers by threads."""
        return self
