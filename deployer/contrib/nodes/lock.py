"""A lock on a host, which says who holds it."""

from __future__ import annotations

import getpass
import os
import shlex
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ...exceptions import (
    AuthenticationFailed,
    CommandTimeout,
    ConnectionFailedException,
    ConnectionLost,
    DeployerException,
    ExecCommandFailed,
    HostKeyError,
    LockHeld,
    NoInput,
)
from ...host import Host, RunResult
from ...node import Node, changes_nothing, required_property, suppress_action_result
from ...pseudo_terminal import Pty
from .advice import show_command

__all__ = ["Lock", "LockHolder"]

# Seconds between two attempts of somebody who waits, and for each step on the host.
_PAUSE = 0.5
_STEP = 30.0
# How often a step is repeated on a new connection when its answer did not arrive.
_ATTEMPTS = 3


class LockHolder(NamedTuple):
    """Who holds a lock, since when, and why; as its holder wrote it."""

    #: ``USER@MACHINE``
    name: str
    #: The process on that machine.
    pid: int | None
    #: The time, by the clock of that machine, in ISO 8601.
    since: str
    #: What it is held for, as its holder put it.
    reason: str
    #: What tells this time of holding the lock from all others.
    token: str

    def __str__(self) -> str:
        reason = f": {self.reason}" if self.reason else ""
        return f"held by {self.name} (process {self.pid}) since {self.since}{reason}"


class Lock(Node):
    """A lock on the host, for what must not be done twice at once, such as a deployment.

    A subclass sets ``path``; whoever works on the host takes the same one::

        class Site(Node):
            class lock(Lock):
                path = "/srv/site/deploy.lock"

            def deploy(self):
                with self.lock.hold("deploy of v3"):
                    ...

    A lock that is not free raises :class:`~deployer.exceptions.LockHeld`, which names its holder.
    It is held until it is released: a holder that was killed, or has lost the host for good,
    leaves it held, and somebody who has made sure of that takes it away with ``break_``.
    """

    #: Where the lock is on the host: a path where there is nothing else, in a directory that all
    #: users of the lock may write to.
    path: Any = required_property("Where the lock is on the host")
    #: Take and release it as root.
    use_sudo: Any = False

    @suppress_action_result
    def acquire(self, reason: str = "", timeout: float = 0.0) -> None:
        """Take the lock; it is this process's until ``release``, in all actions and threads.

        :param reason: what others are told that it is held for.
        :param timeout: seconds to wait while somebody else holds it.
        :raises LockHeld: when it is not free.
        :raises ConnectionLost: when the connection was lost; the message says whether the lock was
            not taken, or nothing can be known of it now.
        """
        place = _place(self)
        if place is not None:
            _ours[place.key] = _take(place, reason, timeout)

    @suppress_action_result
    def release(self) -> None:
        """Give the lock back, if this process holds it; nothing happens when nobody does.

        :raises LockHeld: when somebody else holds it.
        """
        place = _place(self)
        if place is None:
            return
        token = _ours.get(place.key)
        was_ours = token is not None and _give_back(place, token)
        # Not before: a release that has failed may be tried again.
        _ours.pop(place.key, None)
        if not was_ours and (holder := _look(place)) is not None:
            raise _held(place, holder)
        if token is not None and not was_ours:
            self.console.warning(f"{place.what}: it was free already; somebody may have broken it")

    @contextmanager
    def hold(self, reason: str = "", timeout: float = 0.0) -> Iterator[None]:
        """Hold the lock during a ``with`` block; see ``acquire``."""
        place = _place(self)
        if place is None:
            yield
            return
        token = _take(place, reason, timeout)
        try:
            yield
        except BaseException as error:
            try:
                _give_back(place, token)
            except DeployerException as problem:
                # What has gone wrong first is what the caller needs to know first.
                error.add_note(str(problem))
            raise
        if not _give_back(place, token):
            self.console.warning(f"{place.what}: somebody has broken it meanwhile")

    @changes_nothing
    def status(self) -> LockHolder | None:
        """Return who holds the lock; None when it is free."""
        place = _place(self)
        return None if place is None else _look(place)

    @changes_nothing
    def show(self) -> str:
        """Return who holds the lock, as a line."""
        holder = self.status()
        return "free" if holder is None else str(holder)

    @suppress_action_result
    def break_(self, confirmed: bool = False) -> None:
        """Take the lock away from its holder, after a question; nothing happens when it is free.

        :param confirmed: True when no question is needed, as where nobody can be asked.
        """
        place = _place(self)
        holder = None if place is None else _look(place)
        if place is None or holder is None:
            return
        if not (confirmed or self.console.is_interactive):
            confirm = show_command(self, "break_", "confirmed=yes")
            raise NoInput(
                f"{place.what} is {holder}, and nobody can be asked whether to take it away from "
                f"there: {confirm} does it without a question"
            )
        question = f"{place.what} is {holder}. Take it away from there?"
        if confirmed or self.console.confirm(question):
            # Not another's, who may have it by now.
            _give_back(place, holder.token)


# What this process has acquired, and not released: the token by host and path.
_ours: dict[tuple[type[Host], str, bool], str] = {}


@dataclass(frozen=True)
class _Place:
    """A lock, seen from here."""

    host: type[Host]
    path: str
    use_sudo: bool
    pty: Pty
    #: What frees it, whoever holds it, for messages.
    breaking: str
    #: What tells who holds it, for messages.
    showing: str

    @property
    def key(self) -> tuple[type[Host], str, bool]:
        return self.host, self.path, self.use_sudo

    @property
    def what(self) -> str:
        return f"{self.host.slug}: the lock {self.path}"

    def run(self, script: str, *arguments: str) -> RunResult:
        """Run a script on the host; its arguments are the path and the given ones."""
        # Out of any context of the node's host; and after Ctrl-C, what has to be undone still is.
        host = self.host(None if self.pty.interrupted.is_set() else self.pty)
        words = shlex.join(["/bin/sh", "-c", script, "sh", self.path, *arguments])
        return host.run_unseen(words, use_sudo=self.use_sudo, timeout=_STEP)


def _place(lock: Any) -> _Place | None:
    """Return where a lock is; None in a sandbox, where nothing is locked."""
    host = lock.host
    if host.is_sandbox:
        return None
    return _Place(
        host.host_class,
        host.expand_path(lock.path),
        bool(lock.use_sudo),
        host.pty,
        show_command(lock, "break_"),
        show_command(lock, "show"),
    )


# A lock is a directory with one file in it, which is named like the token and says who holds it; an
# empty directory is as good as none. It is made elsewhere and moved to its place: rename(2) either
# does that, whole, or fails since the place is taken. And to remove a file by the name of its token
# never frees the lock of somebody else, however late it happens.
_PREPARE = """\
set -e
umask 022
mkdir -- "$1.$2"
printf %s "$3" >"$1.$2/$2"
"""
# Where the place is taken, its files say by whom; otherwise, what mv says is the reason.
_MOVE = """\
mv -T -- "$1.$2" "$1" || [ -d "$1.$2" ]
for file in "$1"/*; do
    [ ! -e "$file" ] || { cat -- "$file"; printf '\\ntoken: %s\\n' "${file##*/}"; }
done
"""
_SHOW = _MOVE.partition("\n")[2]
_WITHDRAW = """\
rm -rf -- "$1.$2"
"""
_REMOVE = """\
set -e
if rm -- "$1/$2" 2>/dev/null; then
    echo removed
elif [ -e "$1/$2" ]; then
    rm -- "$1/$2"
fi
rmdir -- "$1" 2>/dev/null || true
"""


def _take(place: _Place, reason: str, timeout: float) -> str:
    """Take a lock, and return the token of its holder."""
    deadline = time.monotonic() + timeout
    token = os.urandom(8).hex()
    place.pty.check_interrupted()
    with _errors(place):
        try:
            place.run(_PREPARE, token, _describe(reason))
            _move(place, token, deadline)
        except (ConnectionLost, CommandTimeout) as error:
            # It may have been moved before the connection broke, and might still be.
            if not _settle(place, token, error):
                raise ConnectionLost(
                    f"{place.what} was not taken: the connection to the host was lost, or it did "
                    "not answer in time; it can be tried again"
                ) from error
        except (KeyboardInterrupt, SystemExit, LockHeld, ExecCommandFailed):
            with suppress(DeployerException):
                place.run(_WITHDRAW + _REMOVE, token)
            raise
    return token


def _move(place: _Place, token: str, deadline: float) -> None:
    """Move a lock to its place; wait for that until the deadline."""
    attempts = 0
    while True:
        attempts += 1
        result = place.run(_MOVE, token)
        holder = _parse(result)
        if holder is not None and holder.token == token:
            return
        left = deadline - time.monotonic()
        if holder is None and attempts >= _ATTEMPTS:
            # Not just released, but something that is no lock.
            raise ExecCommandFailed(result)
        if holder is not None and left <= 0:
            raise _held(place, holder)
        # An interrupt ends the wait, too.
        place.pty.interrupted.wait(min(max(left, 0.0), _PAUSE))
        place.pty.check_interrupted()


def _settle(place: _Place, token: str, cause: DeployerException) -> bool:
    """Find out whether a lock was taken when the answer was lost; afterwards, it will not be."""
    try:
        # Without what is to be moved, a move that is still under way fails.
        result, _ = _persistently(place, _WITHDRAW + _SHOW, token)
    except DeployerException:
        raise ConnectionLost(
            f"{place.what}: the connection was lost while it was taken, and no other could be "
            "made; whether it is held now is unknown. Once the host answers again, "
            f"{place.showing} tells, and {place.breaking} frees it"
        ) from cause
    holder = _parse(result)
    return holder is not None and holder.token == token


def _give_back(place: _Place, token: str) -> bool:
    """Free a lock if it is held by a token; return whether it was."""
    with _errors(place):
        try:
            result, attempts = _persistently(place, _REMOVE, token)
        except (ConnectionFailedException, CommandTimeout) as error:
            raise ConnectionLost(
                f"{place.what}: the connection was lost before it was released, so it may be held "
                f"still. Once the host answers again, {place.showing} tells, and {place.breaking} "
                "frees it"
            ) from error
    # The answer that was lost may have been that it was removed.
    return attempts > 1 or result == "removed\n"


def _look(place: _Place) -> LockHolder | None:
    """Return who holds a lock."""
    with _errors(place):
        return _parse(_persistently(place, _SHOW)[0])


def _persistently(place: _Place, script: str, *arguments: str) -> tuple[RunResult, int]:
    """Run what may be run twice until its answer arrives; return that, and how often it ran."""
    for attempt in range(1, _ATTEMPTS):
        try:
            return place.run(script, *arguments), attempt
        except (AuthenticationFailed, HostKeyError):
            raise
        except (ConnectionFailedException, CommandTimeout):
            continue
    return place.run(script, *arguments), _ATTEMPTS


@contextmanager
def _errors(place: _Place) -> Iterator[None]:
    try:
        yield
    except CommandTimeout:
        raise
    except ExecCommandFailed as error:
        lines = error.result.stderr.strip().splitlines()
        raise DeployerException(
            f"{place.what} cannot be used: {lines[-1] if lines else error}; its directory has to "
            "exist, to be one that the user may write to, and to have room"
        ) from error


def _describe(reason: str) -> str:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    lines = {
        "holder": f"{getpass.getuser()}@{socket.gethostname()}",
        "pid": str(os.getpid()),
        "since": since,
        "reason": " ".join(reason.split()),
    }
    return "".join(f"{name}: {value}\n" for name, value in lines.items())


def _parse(text: str) -> LockHolder | None:
    """Return who holds a lock, by what its file says; None for no file."""
    if not text:
        return None
    found = dict(line.partition(": ")[::2] for line in text.splitlines())
    pid = found.get("pid", "")
    return LockHolder(
        found.get("holder", "somebody"),
        int(pid) if pid.isdecimal() else None,
        found.get("since", "some time"),
        found.get("reason", ""),
        found.get("token", ""),
    )


def _held(place: _Place, holder: LockHolder) -> LockHeld:
    gone = ""
    if holder.name.endswith(f"@{socket.gethostname()}") and holder.pid is not None:
        try:
            os.kill(holder.pid, 0)
        except ProcessLookupError:
            gone = "; that process has ended"
        except PermissionError:
            pass
    return LockHeld(
        f"{place.what} is {holder}{gone}. Wait for it, or, when you have made sure that nobody "
        f"works there any more, free it with {place.breaking}",
        host=place.host.slug,
        path=place.path,
        holder=holder.name,
        since=holder.since,
        reason=holder.reason,
    )
