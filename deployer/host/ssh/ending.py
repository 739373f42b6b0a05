"""The end of what a command has left running on a host, when it had to be ended itself."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import paramiko

from . import tuning
from .scripts import start_script

__all__ = ["ending_what_is_left"]

# sshd passes a signal on to the process group of the command, until the command itself has ended.
# What ignores it then, or has a group of its own (under `timeout`, and with `set -m`), runs on, in
# the session (setsid(2)) of the command; and only processes of the host can see that. This one
# notes which commands run on the connection, waits for ours to be ended, and so knows which it was:
# the one that is gone. Where another went at the same moment, it leaves all as it is.
#
# In `stat`, the fields behind the name are the state, the parent, the group and the session.
_SCRIPT = r"""
find() { sed -n "/) Z /d; $1 s/^\([0-9]*\) .*) . $2 .*/\1/p" /proc/[0-9]*/stat 2>/dev/null; }
before=$(find '' "$PPID")
echo "$mark"
read -r _ || exit 0
for pause in 0.05 0.1 0.2 0.4; do
    gone=
    for pid in $before; do [ -d "/proc/$pid" ] || gone="$gone $pid"; done
    [ -z "$gone" ] || break
    sleep $pause
done
set -- $gone
[ $# = 1 ] || exit 0
others=$(find "/) . [0-9]* $1 /d;" "[0-9]* [0-9]* $1")
[ -z "$others" ] || kill -s TERM $others 2>/dev/null
for pause in 0.1 0.2 0.3 0.4; do
    left=$(find '' "[0-9]* [0-9]* $1")
    [ -n "$left" ] || exit 0
    sleep $pause
done
kill -s KILL $left 2>/dev/null
"""

# Seconds for the host to answer; and to end everything, which itself takes one.
_ANSWER = 2.0
_END = 3.0


@contextlib.contextmanager
def ending_what_is_left(session: paramiko.Channel | None) -> Iterator[None]:
    """End what the command that is ended in the ``with`` block has left running; bounded in time.

    :param session: a session on the same connection; without one, nothing is done.
    """
    finish = _watch(session) if session is not None else None
    yield
    if finish is not None:
        finish()


def _watch(session: paramiko.Channel) -> Callable[[], None] | None:
    # It is an improvement where it works, and no reason to fail where it does not.
    with contextlib.suppress(*tuning.BROKEN):
        if start_script(session, _SCRIPT, _ANSWER) is None:
            return None

        def finish() -> None:
            with contextlib.suppress(*tuning.BROKEN):
                session.settimeout(_END)
                session.sendall(b"\n")
                while session.recv(4096):
                    pass

        return finish
    return None
