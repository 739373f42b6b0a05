"""The hosts that something is done on, and how it went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .base import Logger

if TYPE_CHECKING:
    from .entries import FileEntry, RunEntry

__all__ = ["HostSeen", "HostsSeen"]


@dataclass
class HostSeen:
    """What was done on a host."""

    #: What was begun last.
    last: RunEntry | FileEntry
    #: How long it all took.
    seconds: float = 0.0
    #: What was raised last, also where that was caught, and something was done after it.
    error: BaseException | None = None


class HostsSeen(Logger):
    """Notes the hosts that something was done on."""

    def __init__(self) -> None:
        self.commands = 0
        #: The hosts by name, in the order in which they were come to.
        self.hosts: dict[str, HostSeen] = {}

    @property
    def names(self) -> list[str]:
        """The names of the hosts, in order."""
        return list(self.hosts)

    def start_run(self, entry: RunEntry) -> None:
        """Note the host of a command."""
        self.commands += 1
        self._begin(entry)

    def end_run(self, entry: RunEntry) -> None:
        """Note how a command went."""
        self._end(entry)

    def start_file(self, entry: FileEntry) -> None:
        """Note the host of a file."""
        self._begin(entry)

    def end_file(self, entry: FileEntry) -> None:
        """Note how it went with a file."""
        self._end(entry)

    def _begin(self, entry: RunEntry | FileEntry) -> None:
        self.hosts.setdefault(entry.host, HostSeen(entry)).last = entry

    def _end(self, entry: RunEntry | FileEntry) -> None:
        seen = self.hosts[entry.host]
        seen.seconds += entry.duration or 0.0
        seen.error = entry.error or seen.error
