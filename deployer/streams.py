"""Text streams that are written to: also when nobody reads them, or what reads them is slow."""

from __future__ import annotations

import contextlib
import fcntl
import io
import select
import termios
import threading
from collections.abc import Callable, Iterator
from typing import TextIO

__all__ = ["Nowhere", "drops_all", "note_shown", "or_nowhere", "stopping_to_wait", "write_text"]

# How often somebody who waits for a slow reader looks whether to stop, in seconds.
_LOOK = 0.2


class Nowhere(io.StringIO):
    """A text stream that drops what is written to it."""

    def write(self, text: str) -> int:
        return len(text)


def drops_all(stream: TextIO | None) -> bool:
    """Whether nobody ever sees what is written to a stream, so that it need not be."""
    return stream is None or isinstance(stream, Nowhere)


def or_nowhere(stream: TextIO | None) -> TextIO:
    """Return a stream; for None, which Python has for one that was closed, what drops all."""
    return Nowhere() if stream is None else stream


class _Patience(threading.local):
    check: Callable[[], None] | None = None


_patience = _Patience()


@contextlib.contextmanager
def stopping_to_wait(check: Callable[[], None]) -> Iterator[None]:
    """Have ``write_text`` wait in this thread for a slow reader only until ``check`` raises.

    A thread that waits in a write can otherwise not be stopped.
    """
    before = _patience.check
    _patience.check = check
    try:
        yield
    finally:
        _patience.check = before


def write_text(stream: TextIO | None, text: str) -> None:
    """Write to a text stream and flush it; what its encoding lacks is replaced, never an error."""
    if stream is None:
        # What Python has in place of a standard stream that was closed from the start.
        return
    check = _patience.check
    if check is None:
        _write_at_once(stream, text)
        return
    try:
        fd = stream.fileno()
    except (AttributeError, OSError, ValueError):
        # One of Python's own, or a closed one, which says so itself.
        _write_at_once(stream, text)
        return
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    width = 1 if text.isascii() else 4
    start = 0
    while start < len(text):
        while not poll.poll(_LOOK * 1000):
            check()
        is_short = (len(text) - start) * width <= select.PIPE_BUF
        end = len(text) if is_short else start + _get_room(fd) // width
        _write_at_once(stream, text[start:end])
        start = end


def _get_room(fd: int) -> int:
    """Return how many bytes can at least be written to what is ready without waiting."""
    # For all of a pipe when nothing is in it, which makes less work of much output.
    if hasattr(fcntl, "F_GETPIPE_SZ"):
        with contextlib.suppress(OSError):
            capacity: int = fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)
            if not any(fcntl.ioctl(fd, termios.FIONREAD, bytes(4))):
                return capacity
    return select.PIPE_BUF


def _write_at_once(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "replace").decode(encoding))
    stream.flush()


def note_shown(stream: TextIO, data: str | bytes) -> None:
    """Say what was shown on a stream without being written to it, as what somebody has typed.

    It is for whatever stands in its place and records what is shown.
    """
    note = getattr(stream, "note_shown", None)
    if note is not None:
        note(data)
