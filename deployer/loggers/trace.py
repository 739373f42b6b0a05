"""A logger that records what happens, to be read afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from .base import Logger
from .default import describe, describe_end, describe_error
from .entries import Entry, FileEntry, ForkEntry, GroupEntry, RunEntry

__all__ = ["TraceEntry", "TraceLogger"]


@dataclass(eq=False)
class TraceEntry:
    """Something that was recorded, and what happened within it.

    ``subject`` is an ``Entry`` (a group, run, file or fork), an exception, or the text of a
    message.
    """

    subject: Entry | BaseException | str
    children: list[TraceEntry] = field(default_factory=list)

    def walk(self) -> Iterator[TraceEntry]:
        """Go through this entry and all within it, in order."""
        yield self
        for child in self.children:
            yield from child.walk()

    def __str__(self) -> str:
        lines = [_describe(self.subject)]
        lines += [f"  {line}" for child in self.children for line in str(child).splitlines()]
        return "\n".join(lines)


class TraceLogger(Logger):
    """Record everything in ``entries``: in order, nested, with results and durations."""

    def __init__(self) -> None:
        #: What was recorded at the top; the rest is in its ``children``.
        self.entries: list[TraceEntry] = []
        self._stacks = threading.local()

    def walk(self) -> Iterator[TraceEntry]:
        """Go through all entries, whatever their depth, in order."""
        for entry in self.entries:
            yield from entry.walk()

    @property
    def runs(self) -> list[RunEntry]:
        """All commands, in order."""
        return [e.subject for e in self.walk() if isinstance(e.subject, RunEntry)]

    def __str__(self) -> str:
        return "\n".join(str(entry) for entry in self.entries)

    def enter_group(self, entry: GroupEntry) -> None:
        """Record the action."""
        self._enter(entry)

    def leave_group(self, entry: GroupEntry) -> None:
        """What follows is no longer within the action."""
        self._leave(entry)

    def start_run(self, entry: RunEntry) -> None:
        """Record the command."""
        self._enter(entry)

    def end_run(self, entry: RunEntry) -> None:
        """What follows is no longer within the command."""
        self._leave(entry)

    def start_file(self, entry: FileEntry) -> None:
        """Record the file."""
        self._enter(entry)

    def end_file(self, entry: FileEntry) -> None:
        """What follows is no longer within the file."""
        self._leave(entry)

    def fork(self, entry: ForkEntry) -> TraceLogger:
        """Record the part; what happens in it becomes its children."""
        forked = TraceLogger()
        forked.entries = self._record(entry).children
        return forked

    def log_exception(self, error: BaseException) -> None:
        """Record the exception."""
        self._record(error)

    def log_message(self, text: str) -> None:
        """Record the text."""
        self._record(text)

    def _stack(self) -> list[TraceEntry]:
        # One for each thread: what one thread does is never within what another one does.
        if not hasattr(self._stacks, "entries"):
            self._stacks.entries = []
        stack: list[TraceEntry] = self._stacks.entries
        return stack

    def _record(self, subject: Entry | BaseException | str) -> TraceEntry:
        recorded = TraceEntry(subject)
        stack = self._stack()
        (stack[-1].children if stack else self.entries).append(recorded)
        return recorded

    def _enter(self, entry: Entry) -> None:
        self._stack().append(self._record(entry))

    def _leave(self, entry: Entry) -> None:
        # A file may be closed after something that was begun later has ended, or by another thread.
        stack = self._stack()
        stack[:] = [recorded for recorded in stack if recorded.subject is not entry]


def _describe(subject: Entry | BaseException | str) -> str:
    match subject:
        case RunEntry() | FileEntry():
            return f"{subject.host} | {describe(subject)}: {describe_end(subject)}"
        case ForkEntry():
            return describe(subject)
        case Entry():
            return f"{describe(subject)}: {describe_end(subject)}"
        case BaseException():
            return describe_error(subject)
    return subject
