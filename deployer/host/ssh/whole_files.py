"""Large files, from their beginning to their end, through ``cat`` on the host.

That is up to half as fast again as SFTP, where each part is a request, and a reply. It takes one
more session; where there is none, or the host runs nothing but SFTP, SFTP does it all.
"""

from __future__ import annotations

import contextlib
import io
import shlex
from collections.abc import Callable
from typing import Any

import paramiko

from ...exceptions import ConnectionLost
from ..measured import CHUNK
from . import tuning
from .scripts import check_end, start_script

__all__ = ["CatReader", "CatWriter", "SpareSession", "open_reader", "open_writer"]

#: Gives one more session on a connection, within so many seconds; None if there is no room for it.
SpareSession = Callable[[float], contextlib.AbstractContextManager[paramiko.Channel | None]]

# Seconds for the host to begin; and without anything, after which it is given up. As for SFTP.
_BEGIN = 10.0
_TIMEOUT = 60.0


def open_reader(
    spare: SpareSession, path: str, lost: Callable[[], ConnectionLost]
) -> CatReader | None:
    """Return a file of the host to be read once; None where SFTP is to do it."""
    script = f'exec <{shlex.quote(path)} || exit; echo "$mark"; exec cat'
    with contextlib.suppress(*tuning.BROKEN), contextlib.ExitStack() as stack:
        session = stack.enter_context(spare(_BEGIN))
        if session is not None:
            begun = start_script(session, script, _BEGIN)
            if begun is not None:
                return CatReader(session, begun, stack.pop_all(), lost)
    return None


def open_writer(
    spare: SpareSession, path: str, lost: Callable[[], ConnectionLost]
) -> CatWriter | None:
    """Return what writes at the end of a file of the host; None where SFTP is to do it."""
    script = f'exec 3>&1 >>{shlex.quote(path)} || exit; echo "$mark" >&3; exec 3>&-; exec cat'
    with contextlib.suppress(*tuning.BROKEN), contextlib.ExitStack() as stack:
        session = stack.enter_context(spare(_BEGIN))
        if session is not None and start_script(session, script, _BEGIN) is not None:
            return CatWriter(session, stack.pop_all(), lost)
    return None


class _Cat(io.RawIOBase):
    def __init__(
        self,
        session: paramiko.Channel,
        release: contextlib.ExitStack,
        lost: Callable[[], ConnectionLost],
    ) -> None:
        self._session = session
        self._release = release
        self._lost = lost
        session.settimeout(_TIMEOUT)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._release.close()

    def _check_end(self) -> None:
        if not check_end(self._session, _TIMEOUT):
            raise self._lost()


class CatReader(_Cat):
    """A file that is read once."""

    def __init__(
        self,
        session: paramiko.Channel,
        begun: bytes,
        release: contextlib.ExitStack,
        lost: Callable[[], ConnectionLost],
    ) -> None:
        super().__init__(session, release, lost)
        self._begun = begun

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            return b"".join(iter(lambda: self.read(CHUNK), b""))
        if self._begun:
            data, self._begun = self._begun[:size], self._begun[size:]
            return data
        try:
            data = self._session.recv(size)
        except tuning.BROKEN as error:
            raise self._lost() from error
        if size and not data:
            self._check_end()
        return data


class CatWriter(_Cat):
    """What is written goes to the end of a file; whether all of it did, ``close`` tells."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        # paramiko takes a part of it as it does of bytes, without a copy.
        view: Any = memoryview(data)
        while view:
            try:
                sent = self._session.send(view)
            except tuning.BROKEN as error:
                if self._session.get_transport().is_active():
                    self._check_end()
                raise self._lost() from error
            if not sent:
                # It ended by itself.
                self._check_end()
                raise self._lost()
            view = view[sent:]
        return len(data)

    def close(self) -> None:
        if not self.closed:
            try:
                try:
                    self._session.shutdown_write()
                except tuning.BROKEN as error:
                    raise self._lost() from error
                self._check_end()
            finally:
                super().close()
