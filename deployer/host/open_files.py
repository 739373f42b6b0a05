"""How many files this process may have open: each connection is one."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import stat
from collections.abc import Iterator
from functools import cache

from ..exceptions import ConnectionFailedException

__all__ = ["allow_many", "check", "enough"]

# More than anybody needs, where the hard limit is without bounds.
_MOST = 65536
# What one job has open at once: a terminal and its pipes, a file here, a config that is read.
_FOR_EACH_JOB = 8
# For what users' code opens meanwhile.
_SPARE = 32


@cache
def allow_many() -> None:
    """Raise the limit on open files as far as it may be raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def check(hosts: int, at_once: int) -> None:
    """Raise ConnectionFailedException when so many hosts need more files than may be open.

    :param hosts: those that are to be connected to, or are connected to already.
    :param at_once: how many hosts are worked on at once, with a connection or without one.
    """
    allow_many()
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return
    new = _FOR_EACH_JOB * at_once + _SPARE
    names = os.listdir("/dev/fd")
    if len(names) + hosts + new <= soft:
        return
    # The connections that are open may be those to these hosts.
    sockets = sum(map(_is_socket, names))
    needed = len(names) - sockets + max(sockets, hosts) + new
    if needed > soft:
        what = f"{hosts} hosts" if hosts >= at_once else f"{at_once} hosts at once"
        raise ConnectionFailedException(
            f"{what} need about {needed} open files, with those that are open already: "
            f"{_limit()}. Nothing was run yet"
        )


@contextlib.contextmanager
def enough(slug: str) -> Iterator[None]:
    """Connect in the ``with`` block: as many files may be open as may be, or the error says so."""
    allow_many()
    try:
        yield
    except (OSError, ConnectionFailedException) as error:
        if not _is_lack_of_files(error):
            raise
        raise ConnectionFailedException(
            f"{slug}: no more connections can be made: {_limit()}"
        ) from error


def _limit() -> str:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        f"this process may have {soft} files open at once (the hard limit is {hard}); allow more "
        "with `ulimit -n`, or in /etc/security/limits.conf, or run on fewer hosts at once"
    )


def _is_socket(name: str) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(int(name)).st_mode)
    except OSError:
        # It was only there for the list.
        return False


def _is_lack_of_files(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            return True
        error = error.__cause__ or error.__context__
    return False
