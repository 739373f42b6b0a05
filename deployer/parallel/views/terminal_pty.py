"""The terminal of a job that has no window, but somebody who reads and may type."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import re
import struct
import termios
import threading
import time
from collections import deque
from collections.abc import Iterator

from ...utils.transcript import LastLine
from .cells import Cell
from .job_pty import JobPty
from .view import View

__all__ = ["RESET_SCREEN", "TerminalPty"]

# Undoes what a program that drew on the whole screen may have left: the other screen (which is
# entered before, since leaving it twice moves the cursor), the mouse, keys, pasting, colours, a
# part of the screen that scrolls alone (to end that moves the cursor, too), no cursor.
RESET_SCREEN = (
    "\x1b[?1049h\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l"
    "\x1b[?1l\x1b>\x1b[m\x1b7\x1b[r\x1b8\x1b[?25h"
)

# Read at once from a terminal; the kernel gives 4 KB at a time. Others have to get their turn, too.
_CHUNK = 65536
_PIECES = 16
# Of a flood, the last line is looked for in so much.
_LAST = 4096
# Seconds without output after which an unfinished line is taken for a question.
_IDLE = 1.0
_FULL_SCREEN = "(a program that takes the whole screen)"
# What is shown of a terminal that somebody turns to.
_TAIL = 16 * 1024
# What terminals answer to as if it were typed: their kind, state and size, the place of the
# cursor, modes, settings, colours, the clipboard.
_QUERY = re.compile(
    rb"""
    \x05 | \x1bZ
    | \x1b\[ (?: [0-?]* (?: [cnx] | \$p ) | [0-9;]* t | [>?] [0-9;]* q | \? u )
    | \x1b\] [^\x00-\x1f]* ;\? (?: \x07 | \x1b\\ )
    | \x1bP [0-9;]* [+$] q [^\x00-\x1f]* \x1b\\
    """,
    re.VERBOSE,
)


class TerminalPty(JobPty):
    """A terminal that has no window, but somebody who reads and may type here."""

    def __init__(self, view: View, cell: Cell) -> None:
        self.master, self._slave = os.openpty()
        os.set_blocking(self.master, False)
        _set_size(self.master, view.pty.get_size())
        stdin = open(  # noqa: SIM115 - closed by `close`
            self._slave, encoding="utf-8", errors="surrogateescape", closefd=False
        )
        stdout = open(  # noqa: SIM115
            self._slave, "w", encoding="utf-8", errors="replace", closefd=False
        )
        super().__init__(view, cell, (stdin, stdout, stdout), stdout, view.pty.term)
        self.cell = cell
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        #: Whether its program draws on the alternate screen.
        self.is_on_other_screen = False
        self.last_line = LastLine()
        self.last_output = time.monotonic()
        #: Set when all of its output was read.
        self.is_drained = threading.Event()
        #: Whether its job has ended.
        self.has_ended = False
        self._typed = b""
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._resize_writers: set[int] = set()

    @property
    def is_waiting(self) -> bool:
        """Whether it seems to wait for somebody: a line has not ended, and no more of it comes."""
        is_unfinished = self.last_line.is_unfinished or self.is_on_other_screen
        return is_unfinished and time.monotonic() - self.last_output > _IDLE

    @property
    def last_text(self) -> str:
        """The last line that it shows."""
        return _FULL_SCREEN if self.is_on_other_screen else self.last_line.text.strip()

    @property
    def tail(self) -> bytes:
        """The end of what it has shown, without what a terminal would answer once more."""
        return _QUERY.sub(b"", b"".join(self._tail)[-_TAIL:])

    def receive(self) -> tuple[bytes, bool]:
        """Return what there is to read, and whether that is all; type what has waited for room."""
        if not self.has_ended:
            self.type(b"")
        pieces: list[bytes] = []
        with contextlib.suppress(BlockingIOError):
            while len(pieces) < _PIECES:
                try:
                    data = os.read(self.master, _CHUNK)
                except BlockingIOError:
                    raise
                except OSError:
                    # Linux says so when the other side was closed, and all was read.
                    data = b""
                if not data:
                    return b"".join(pieces), True
                pieces.append(data)
        return b"".join(pieces), False

    def take(self, data: bytes, final: bool) -> str:
        """Note what was read from it, and return it as text."""
        self.last_output = time.monotonic()
        self._tail.append(data)
        self._tail_size += len(data)
        while self._tail_size - len(self._tail[0]) >= _TAIL:
            self._tail_size -= len(self._tail.popleft())
        # The usual two ways; at the edge of two pieces of output it may be missed.
        enters, leaves = data.rfind(b"\x1b[?1049h"), data.rfind(b"\x1b[?1049l")
        if enters != leaves:
            self.is_on_other_screen = enters > leaves
        text = self._decode(data, final)
        if len(text) > _LAST:
            self.last_line = LastLine()
        self.last_line.feed(text[-_LAST:])
        return text

    def type(self, data: bytes) -> None:
        """Type something, as soon as there is room for it."""
        self._typed += data
        with contextlib.suppress(BlockingIOError, OSError):
            while self._typed:
                self._typed = self._typed[os.write(self.master, self._typed) :]

    @property
    def has_more_to_type(self) -> bool:
        """Whether something waits until there is room."""
        return bool(self._typed)

    def resize(self, size: tuple[int, int]) -> None:
        """Give it another size, and tell what runs in it."""
        _set_size(self.master, size)
        for writer in list(self._resize_writers):
            with contextlib.suppress(OSError):
                os.write(writer, b"\0")

    @contextlib.contextmanager
    def resize_events(self) -> Iterator[int | None]:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        self._resize_writers.add(writer)
        try:
            yield reader
        finally:
            self._resize_writers.discard(writer)
            os.close(reader)
            os.close(writer)

    def end(self) -> None:
        """Have nothing more written to it."""
        self.has_ended = True
        for stream in (self.stdin, self.stdout):
            with contextlib.suppress(OSError, ValueError):
                stream.close()
        os.close(self._slave)

    def close(self) -> None:
        """Give back what it holds, once nobody reads it any more; writing to it fails then."""
        self.is_drained.set()
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


def _set_size(fd: int, size: tuple[int, int]) -> None:
    with contextlib.suppress(OSError):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
