"""Scripts of ours on a host, in a session of their own: started, and heard of that they run."""

from __future__ import annotations

import os
import time

import paramiko

from ..command import through_login_shell
from ..command_stream import command_error
from . import tuning

__all__ = ["check_end", "start_script"]

# More than a start-up file of a login shell prints before.
_LONGEST_GREETING = 64 * 1024


def start_script(session: paramiko.Channel, script: str, timeout: float) -> bytes | None:
    """Start a script for a POSIX shell; it says that it is ready with ``echo "$mark"``.

    :return: what it printed behind that; None if it did not say so, or not within the time: then
        it is another program that a server runs in its place, or there was an error.
    :raises: what paramiko does (``tuning.BROKEN``).
    """
    # A start-up file of the login shell may print something first.
    mark = f"deployer-{os.urandom(12).hex()}"
    deadline = time.monotonic() + timeout
    session.settimeout(timeout)
    session.exec_command(through_login_shell("/bin/sh", f"mark={mark}\n{script}").encode())
    printed = b""
    while len(printed) < _LONGEST_GREETING and (left := deadline - time.monotonic()) > 0:
        session.settimeout(left)
        try:
            data = session.recv(4096)
        except TimeoutError:
            break
        if not data:
            break
        before, found, after = (printed + data).partition(f"{mark}\n".encode())
        if found:
            return after
        printed = before
    return None


def check_end(session: paramiko.Channel, timeout: float) -> bool:
    """Wait for the end of a script, and raise OSError with its reason if it has failed.

    :return: False where the connection ended before.
    """
    session.status_event.wait(timeout)
    signal = tuning.exit_signal(session)
    if signal:
        raise OSError(f"the command for it was ended by SIG{signal}")
    if session.exit_status < 0:
        return False
    if session.exit_status:
        said = b""
        while data := session.recv_stderr(4096):
            said += data
        raise command_error(said.decode(errors="surrogateescape"))
    return True
