"""Loggers beyond the built-in ones."""

from __future__ import annotations

import getpass
import shlex
import socket
from collections.abc import Iterable
from datetime import UTC, datetime

from ..host import Host
from ..host.command import shell_path
from ..loggers import Logger
from ..loggers.entries import RunEntry

__all__ = ["HistoryLogger"]


class HistoryLogger(Logger):
    """Keep a history on each host: what was run there, when, by whom, and how it ended.

    A line is ``TIME USER@MACHINE STATUS [sudo] COMMAND``; a status of ``-`` is a command that was
    ended by a signal or has lost its connection. It costs one more command on the host for each.

    :param hosts: the hosts that get one.
    :param path: the file, in the home directory of the user who logs in.
    """

    def __init__(self, hosts: Iterable[type[Host]], path: str = "~/.deployer-history") -> None:
        self._hosts = {host.slug: host for host in hosts}
        self._path = path

    def end_run(self, entry: RunEntry) -> None:
        """Append a line to the history of the host."""
        if entry.host in self._hosts and not entry.sandbox:
            line = shlex.quote(_history_line(entry))
            # A new host object: this one runs nothing that would be logged itself.
            self._hosts[entry.host]().run(f"printf '%s\\n' {line} >>{shell_path(self._path)}")


def _history_line(entry: RunEntry) -> str:
    started = datetime.fromtimestamp(entry.started, UTC).isoformat(timespec="seconds")
    who = f"{getpass.getuser()}@{socket.gethostname()}"
    status = "-" if entry.exit_status is None else str(entry.exit_status)
    sudo = f"sudo -u {entry.user}" if entry.user else "sudo"
    command = entry.command.replace("\\", "\\\\").replace("\n", "\\n")
    return " ".join([started, who, status, *([sudo] if entry.use_sudo else []), command])
