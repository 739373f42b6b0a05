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
# For root, sshd may pass no signals on (that of OpenSSH 9.2 does not), so that nothing is gone. If
# ours is known to run still, and is the only command of the connection, it is ended as well.
#
# In `stat`, the fields behind the name are the state, the parent, the group and the session.
_SCRIPT = r"""
find() { sed -n "/) Z /d; $1 s/^\([0-9]*\) .*) . $2 .*/\1/p" /proc/[0-9]*/stat 2>/dev/null; }
before=$(find '' "$PPID")
echo "$mark"
read -r state || exit 0
for pause in 0.05 0.1 0.2 0.4; do
    gone=
    for pid in $before; do [ -d "/proc/$pid" ] || gone="$gone $pid"; done
    [ -z "$gone" ] || break
    sleep $pause
done
signalled=yes
if [ "$state$gone" = runs ]; then
    signalled=
    for pid in $before; do
        name=
        read -r name 2>/dev/null <"/proc/$pid/comm"
        case $pid:$name in "$$":* | *:sftp-server | *:sshd*) ;; *) gone="$gone $pid" ;; esac
    done
fi
set -- $gone
[ $# = 1 ] || exit 0
others=$(find "${signalled:+/) . [0-9]* $1 /d;}" "[0-9]* [0-9]* $1")
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
def ending_what_is_left(
    session: paramiko.Channel | None, still_runs: Callable[[], bool]
) -> Iterator[None]:
    """End what the command that is ended in the ``with`` block has left running; bounded in time.

    :param session: a session on the same connection; without one, nothing is done.
    :param still_runs: whether it is sure that the command itself has not ended, at the end of the
        block.
    """
    finish = _watch(session) if session is not None else None
    yield
    if finish is not None:
        finish(still_runs())


def _watch(session: paramiko.Channel) -> Callable[[bool], None] | None:
    # It is an improvement where it works, and no reason to fail where it does not.
    with contextlib.suppress(*tuning.BROKEN):
        if start_script(session, _SCRIPT, _ANSWER) is None:
            return None

        def finish(runs: bool) -> None:
            with contextlib.suppress(*tuning.BROKEN):
                session.settimeout(_END)
                session.sendall(b"runs\n" if runs else b"\n")
                while session.recv(4096):
                    pass

        return finish
    return None
