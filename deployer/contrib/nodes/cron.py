"""Lines in the crontab of a user on a host."""

from __future__ import annotations

import re
import shlex
from typing import Any

from ...exceptions import ExecCommandFailed
from ...node import Node, changes_nothing, required_property, suppress_action_result
from .changes import Changes, ask, report

__all__ = ["Crontab"]


class Crontab(Node):
    """Some lines of a user's crontab, between two comments that say whose they are.

    All other lines are left as they are::

        class mail(Crontab):
            name = "site: mail"
            user = "site"
            entries = ["*/5 * * * * /srv/site/bin/send-mail", "@daily /srv/site/bin/report"]

    As always in a crontab, ``%`` ends a command unless it is written as ``\\%``.
    """

    #: What tells these lines from those of others.
    name: Any = required_property("What tells these lines of the crontab from others")
    #: The lines, as cron reads them; none is as good as ``remove``.
    entries: Any = required_property("The lines, as cron reads them")
    #: Whose crontab it is; None for the login user.
    user: Any = None

    @suppress_action_result
    def setup(self) -> Changes:
        """Have these lines in the crontab, and no older ones of the same name.

        :raises ExecCommandFailed: when cron refuses one of them; then, nothing has changed.
        """
        return _replace(self, _block(self))

    @suppress_action_result
    def remove(self) -> Changes:
        """Take these lines out of the crontab."""
        return _replace(self, "")

    @changes_nothing
    def show(self) -> str:
        """Return the whole crontab of the user."""
        result = ask(self, f"env LC_ALL=C {_crontab(self)} -l", use_sudo=_is_others(self))
        # In a sandbox, a user who would have been made by now is not there.
        empty = "no crontab for|' unknown" if self.host.is_sandbox else "no crontab for"
        if not result.ok and not re.search(empty, result.stderr):
            raise ExecCommandFailed(result)
        return result.stdout


def _is_others(node: Any) -> bool:
    # To reach one's own takes no sudo, which might not be allowed.
    return node.user not in (None, node.host.host_class.get_username())


def _crontab(node: Any) -> str:
    return shlex.join(["crontab", "-u", node.user]) if _is_others(node) else "crontab"


def _markers(node: Any) -> tuple[str, str]:
    _check_line(node.name)
    return f"# begin of {node.name}\n", f"# end of {node.name}\n"


def _block(node: Any) -> str:
    """Return the lines of a node, with the comments around them."""
    entries = [node.entries] if isinstance(node.entries, str) else list(node.entries)
    for entry in entries:
        _check_line(entry)
    begin, end = _markers(node)
    return "".join([begin, *(f"{entry}\n" for entry in entries), end]) if entries else ""


def _check_line(text: str) -> None:
    if re.search(r"[\n\r\0]", text):
        raise ValueError(f"a line of a crontab is one line: {text!r}")


def _replace(node: Any, block: str) -> Changes:
    """Put a block where the one of a node is, or at the end."""
    before = node.show()
    # Not every cron sees to it that the last line has an end.
    lines = f"{before}\n" if before[-1:] not in ("", "\n") else before
    begin, end = map(re.escape, _markers(node))
    # Where somebody has removed the end, only what is surely ours is.
    found = re.search(rf"^{begin}(?s:.*?)^{end}|^{begin}", lines, re.MULTILINE)
    start, stop = found.span() if found else (len(lines), len(lines))
    after = lines[:start] + block + lines[stop:]
    if after in (before, lines):
        return Changes()
    # Not in a terminal, where the input would not end.
    command = f"{_crontab(node)} -"
    node.host.run(command, use_sudo=_is_others(node), interactive=False, initial_input=after)
    whose = node.user or node.host.host_class.get_username()
    verb = "wrote" if block else "removed"
    return report(node, f"{verb} {node.name} in the crontab of {whose}")
