"""What is said of an action when it is over: how it ended, how long it took, and where it ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..cli.status import Status

if TYPE_CHECKING:
    from ..loggers.hosts_seen import HostsSeen
    from .execution import Outcome

__all__ = ["describe_outcome"]

_ENDINGS = {
    Status.DONE: "done in",
    Status.INTERRUPTED: "interrupted after",
    Status.NO_INPUT: "not done, after",
}


def describe_outcome(name: str, outcome: Outcome, seen: HostsSeen, is_sandbox: bool) -> str:
    """Return a line like ``deploy: done in 4.1s on web[01-18] (18)``."""
    from ..parallel.views.report import show_duration
    from ..utils.folding import fold

    ending = _ENDINGS.get(outcome.status, "failed after")
    names = seen.names
    count = f" ({len(names)})" if len(names) > 1 else ""
    where = f" on {fold(names)}{count}" if names else ""
    text = f"{name}: {ending} {show_duration(outcome.duration)}{where}"
    if is_sandbox:
        commands = f"{seen.commands} command" + "s" * (seen.commands != 1)
        text += f"; a sandbox: {commands} checked, and nothing was changed"
    return text
