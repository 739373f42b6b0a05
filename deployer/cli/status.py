"""How a command line ends."""

from __future__ import annotations

__all__ = ["Status"]


class Status:
    """The exit statuses of a command line."""

    DONE = 0
    FAILED = 1
    WRONG_USE = 2
    NO_INPUT = 3
    UNREACHABLE = 4
    INTERRUPTED = 130
    BROKEN_PIPE = 141
