"""A history on each host of what was run on it."""

from __future__ import annotations

import getpass
import logging
import re
import shlex
import socket
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial

from ...exceptions import (
    CommandTimeout,
    ConnectionFailedException,
    ConnectionLost,
    ExecCommandFailed,
)
from ...host import Host
from ...host.command import shell_path
from ...loggers import Logger
from ...loggers.entries import GroupEntry, RunEntry
from ...secret import redact

__all__ = ["OnHostLogger"]

# Without flock, the lines of several writers stay whole as well: they are few, and cat writes them
# at once.
_APPEND = 'umask 077; exec 9>>"$1" || exit; flock 9 2>/dev/null; cat >&9'
# Seconds that a host may take to append.
_TIMEOUT = 10.0
# Seconds after which lines are written before the action has ended: it may be killed.
_LONGEST_WAIT = 10.0
# Lines that are kept for a host that cannot be written to now.
_MOST_LINES = 1000

# What a terminal would obey, and what would end the line.
_CONTROL = re.compile(r"[\\\x00-\x1f\x7f-\x9f\u2028\u2029]")


class OnHostLogger(Logger):
    r"""Keep a history on each host that something is run on.

    A line is ``TIME USER@MACHINE STATUS [sudo] COMMAND``: who ran the command, and from where. A
    status of ``-`` is a command that was ended by a signal, or whose connection was lost. Line ends
    and other control characters in a command are written as ``\n`` or ``\x1b``. What runs in a
    sandbox is not recorded.

    Lines are written when the action is over that has run the commands, every ten seconds where
    that takes longer, and at once outside of actions: it costs an action one more command on each
    of its hosts. When the process is killed, what is not yet written is lost.

    The file is made for its owner only, and locked with ``flock`` where the host has that. A host
    that it cannot be written on gets a warning in the log ``deployer.contrib.loggers``, once, and
    goes on; one that takes longer than ten seconds to write it gets no more lines.

    :param path: the file, in the home directory of the user who logs in.
    :param hosts: those that have one; all of them, when not given.
    """

    def __init__(
        self, path: str = "~/.deployer-history", hosts: Iterable[type[Host]] | None = None
    ) -> None:
        self._path = path
        self._hosts = None if hosts is None else frozenset(hosts)
        self._unwritten: dict[type[Host], list[str]] = {}
        self._warned: set[type[Host]] = set()
        self._given_up: set[type[Host]] = set()
        self._lock = threading.Lock()
        self._local = _InThread()

    def enter_group(self, entry: GroupEntry) -> None:
        """Collect lines until the action is over."""
        self._local.depth += 1

    def leave_group(self, entry: GroupEntry) -> None:
        """Write what was collected in this thread."""
        self._local.depth -= 1
        if not self._local.depth:
            self._write_all()

    def end_run(self, entry: RunEntry) -> None:
        """Collect a line for the history of the host."""
        host = entry.host_class
        if host is None or not self._keeps(host) or entry.sandbox or not _was_run(entry):
            return
        with self._lock:
            lines = self._unwritten.setdefault(host, [])
            lines.append(_make_line(entry))
            del lines[:-_MOST_LINES]
        if not self._local.hosts:
            self._local.since = time.monotonic()
        # Ordered, so that the same run writes in the same order.
        self._local.hosts[host] = None
        if not self._local.depth or time.monotonic() - self._local.since > _LONGEST_WAIT:
            self._write_all()

    def make_remote(self) -> Callable[[], Logger] | None:
        """Return what makes one that does the same in another process, for all hosts."""
        return partial(OnHostLogger, self._path) if self._hosts is None else None

    def _keeps(self, host: type[Host]) -> bool:
        return host not in self._given_up and (self._hosts is None or host in self._hosts)

    def _write_all(self) -> None:
        hosts, self._local.hosts = self._local.hosts, {}
        for host in hosts:
            self._write(host)

    def _write(self, host: type[Host]) -> None:
        with self._lock:
            lines = self._unwritten.pop(host, [])
        if not lines:
            return
        try:
            # A host of its own: nothing of this is shown, or logged in turn.
            host().run(
                f"sh -c {shlex.quote(_APPEND)} sh {shell_path(self._path)}",
                initial_input=redact("".join(lines)),
                interactive=False,
                silent=True,
                timeout=_TIMEOUT,
            )
        except Exception as error:
            with self._lock:
                if isinstance(error, CommandTimeout):
                    self._given_up.add(host)
                else:
                    self._unwritten[host] = [*lines, *self._unwritten.get(host, [])]
                is_first = host not in self._warned
                self._warned.add(host)
            if is_first:
                logging.getLogger("deployer.contrib.loggers").warning(
                    "%s: the history %s cannot be written: %s",
                    host.slug,
                    self._path,
                    _get_reason(error),
                )


class _InThread(threading.local):
    """What a thread is at: how deep in actions, and on which hosts it has run something."""

    def __init__(self) -> None:
        self.depth = 0
        self.hosts: dict[type[Host], None] = {}
        #: When the first of these lines was collected.
        self.since = 0.0


def _was_run(entry: RunEntry) -> bool:
    """Whether anything came to the host."""
    error = entry.error
    return not isinstance(error, ConnectionFailedException) or isinstance(error, ConnectionLost)


def _get_reason(error: Exception) -> object:
    """Return what the host said; how a line is appended is nobody's concern."""
    said = error.result.stderr.split("\n") if isinstance(error, ExecCommandFailed) else []
    return next(filter(None, said), error)


def _make_line(entry: RunEntry) -> str:
    started = datetime.fromtimestamp(entry.started, UTC).isoformat(timespec="seconds")
    who = f"{getpass.getuser()}@{socket.gethostname()}"
    status = "-" if entry.exit_status is None else str(entry.exit_status)
    sudo = f"sudo -u {entry.user}" if entry.user else "sudo"
    command = _CONTROL.sub(_escape, entry.command)
    return " ".join([started, who, status, *([sudo] if entry.use_sudo else []), command]) + "\n"


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    # As Python has it in a text.
    return character.encode("unicode_escape").decode("ascii")
