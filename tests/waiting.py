"""Waiting for what has no other way to tell."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["until"]


def until(condition: Callable[[], object], what: object = "", seconds: float = 40.0) -> None:
    """Return as soon as the condition holds; fail when it does not in time.

    :param what: is said of the failure; a callable is asked then.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what() if callable(what) else what
        # The one place where tests wait for what nothing tells of.
        time.sleep(0.01)
