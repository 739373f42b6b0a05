"""What a node has changed on its host: returned to its caller, and told to the loggers."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any

from ...exceptions import SudoFailed
from ...host import RunResult

__all__ = ["Changes", "ask", "report"]


class Changes(tuple[str, ...]):
    """What an action has changed, a short text for each thing; false when it changed nothing.

    So that what depends on it is done when it has to be::

        if self.config.setup():
            self.service.reload()

    In a sandbox, it is what would have been changed.
    """

    __slots__ = ()

    def __new__(cls, changes: Iterable[str] = ()) -> Changes:
        return super().__new__(cls, changes)

    def __add__(self, other: Iterable[str]) -> Changes:  # type: ignore[override]
        return Changes((*self, *other))

    def __str__(self) -> str:
        return "\n".join(self)


def report(node: Any, *changes: str) -> Changes:
    """Tell the loggers what a node has changed on its host, and return that.

    :param changes: what was done, as in ``"wrote /etc/motd"``.
    """
    host = node.host
    for change in changes:
        host.logger.log_change(host.slug, change, host.is_sandbox)
    return Changes(changes)


def ask(node: Any, command: str, use_sudo: bool = False, user: str | None = None) -> RunResult:
    """Run a command that changes nothing on the host of a node, and return what it gave.

    It runs outside the context, in a sandbox as well, unseen; its exit status is the caller's to
    look at. In a sandbox, a user who would have been made by then is not there; the login user asks
    instead.
    """
    try:
        return _ask(node, command, use_sudo, user)
    except SudoFailed:
        if user is None or not node.host.is_sandbox or _is_there(node, user):
            raise
        return _ask(node, command, False, None)


def _ask(node: Any, command: str, use_sudo: bool, user: str | None) -> RunResult:
    result: RunResult = node.host.run_unseen(command, use_sudo, user, ignore_exit_status=True)
    return result


def _is_there(node: Any, user: str) -> bool:
    # 2: there is none.
    return _ask(node, f"getent passwd {shlex.quote(user)}", False, None).exit_status != 2
