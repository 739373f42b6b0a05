"""The process's own terminal: what a line that is edited in it needs, and readline does not do."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
from collections.abc import Callable, Iterator

from ..pseudo_terminal import exchange_mode, terminal_restored

__all__ = ["Resumed", "end_line", "get_size", "handed_back", "read_key", "read_pasted_rest"]

# Milliseconds within which the rest of a paste arrives, where the terminal does not mark it.
_PASTE_GAP = 30


class Resumed(KeyboardInterrupt):
    """The process was stopped while a line was typed, and goes on."""

    def __init__(self, line: str) -> None:
        super().__init__(line)
        self.line = line


@contextlib.contextmanager
def handed_back(
    fd: int, leave: Callable[[], object], come_back: Callable[[], object]
) -> Iterator[None]:
    """Have the terminal in its present mode while the process is stopped (Ctrl-Z), and at its end.

    Meanwhile, the block may set whatever mode it likes. For the main thread only.

    :param leave: what else to do before whoever stopped or ended the process has the terminal.
    :param come_back: what else to do when the process goes on; may raise.
    """
    before = termios.tcgetattr(fd)

    def stop(number: int, _frame: object) -> None:
        within = exchange_mode(fd, before)
        leave()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
        signal.signal(number, stop)
        exchange_mode(fd, within)
        come_back()

    handler = signal.getsignal(signal.SIGTSTP)
    # When it hangs up, there is nothing to restore, and libedit would never let us know.
    with terminal_restored(fd, leave, ("SIGTERM", "SIGQUIT")):
        # Where it is ignored, nobody could resume the process.
        if handler is signal.SIG_DFL:
            signal.signal(signal.SIGTSTP, stop)
        try:
            yield
        finally:
            if handler is signal.SIG_DFL:
                signal.signal(signal.SIGTSTP, handler)


def end_line() -> None:
    """Have a terminal in which a line is edited ready for whoever writes to it next."""
    # It marks pastes no more. Not by the stream, which a signal may have interrupted in a write.
    os.write(sys.stdout.fileno(), b"\x1b[?2004l\r\n")


def get_size() -> tuple[int, int]:
    """Return ``(columns, rows)``; a terminal that nobody has given a size says that it has none."""
    size = os.get_terminal_size()
    return size.columns or 80, size.lines or 24


def read_key() -> str:
    """Return the first character of a key; an empty string when the terminal is gone."""
    with contextlib.suppress(OSError):
        # A key may be several bytes, of which none is for the line.
        return os.read(sys.stdin.fileno(), 64)[:1].decode("latin-1")
    return ""


def read_pasted_rest() -> str:
    """Return the lines that come right behind one, where the terminal does not mark pastes."""
    fd = sys.stdin.fileno()
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    rest = b""
    while poll.poll(_PASTE_GAP) and (data := os.read(fd, 65536)):
        rest += data
    # The terminal may still be in the mode in which Enter is a carriage return.
    lines = rest.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    return "\n" + lines if lines else ""
