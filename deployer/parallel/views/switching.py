"""The whole screen for one host at a time, and keys to go from one to the next."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Sequence
from typing import ClassVar

from ...streams import write_text
from .cells import Cell, Status
from .live import LiveView
from .terminal_pty import TerminalPty
from .terminals import LEAVE_KEY

__all__ = ["SwitchingView"]

_CLEAR = b"\x1b[H\x1b[2J"
# Seconds without keys after which whoever types is taken to have seen that another host is shown.
_QUIET = 1.0
# Programs that draw on the alternate screen: the whole view does, and must not be taken from it.
_OTHER_SCREEN = re.compile(rb"\x1b\[\?(?:10)?4[79][hl]")


class SwitchingView(LiveView):
    """Gives the alternate screen to the terminal of one host after another.

    Ctrl-] shows the others; from there, keys lead to another one. What is shown afterwards is as in
    the live view.
    """

    interrupts_attached: ClassVar[bool] = True
    keys: ClassVar[str] = "Enter: back   n: next   p: previous   a: another   Ctrl-C: stop"

    # Which host was shown last; and whether somebody looks at all of them.
    _last: Cell | None = None
    _is_choosing = False
    # From when on keys are meant for the host that is shown.
    _heeds_from = 0.0
    # What is to be said at the end.
    _kept: Sequence[str] = ()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        write_text(self.pty.stdout, "\x1b[?1049h" + _CLEAR.decode())
        try:
            with super().running():
                yield
        finally:
            write_text(self.pty.stdout, "\x1b[?1049l")

    def translate(self, data: bytes) -> bytes:
        return _OTHER_SCREEN.sub(_CLEAR, data)

    def opened(self, terminal: TerminalPty) -> None:
        if self._is_unoccupied:
            self.attach(terminal)

    def ended(self, cell: Cell) -> None:
        super().ended(cell)
        # Only now, so that what has become of it is counted.
        if cell is self._last:
            self._go_on()

    def attach(self, terminal: TerminalPty) -> None:
        self._wait_for_quiet()
        self._is_choosing = False
        self._last = terminal.cell
        self.show_bytes(_CLEAR)
        super().attach(terminal)

    def left(self) -> None:
        super().left()
        self.show_bytes(_CLEAR)
        self._wait_for_quiet()
        if self._last is not None and self._last.status is not Status.RUNNING:
            # It has ended while somebody was asked something.
            self._go_on()

    def get_attached_hint(self, name: str) -> str:
        return "; ".join([f"{name} — Ctrl-]: the others", *self.describe_failed()])

    def heed(self, keys: bytes) -> bytes:
        now = time.monotonic()
        if now >= self._heeds_from:
            return keys
        _, leave, rest = keys.partition(LEAVE_KEY)
        self._heeds_from = 0.0 if leave else now + _QUIET
        return leave + rest

    def leave(self) -> None:
        self._is_choosing = True
        super().leave()

    def type_key(self, key: str) -> None:
        match key:
            case "n" | " ":
                self._go(1)
            case "p":
                self._go(-1)
            case "\r" | "\n":
                self._go(0)
            case _:
                super().type_key(key)

    @property
    def _is_unoccupied(self) -> bool:
        """Whether the screen is for whichever host runs."""
        return not (self.attached or self._is_choosing or self.is_asking or self._is_over)

    def _wait_for_quiet(self) -> None:
        """Drop what is being typed: it was meant for what was shown before."""
        if not self._is_choosing:
            self._heeds_from = time.monotonic() + _QUIET

    def _go_on(self) -> None:
        """Show the next host, after the one that was shown has ended."""
        if self._is_unoccupied:
            self._go(1)

    def _go(self, step: int) -> None:
        """Attach to the host so many places behind the last one, of those that run."""
        terminals = sorted(self.terminals.values(), key=lambda t: t.cell.number)
        running = [t for t in terminals if t.cell.status is Status.RUNNING and not t.has_ended]
        if not running:
            return
        last = -1 if self._last is None else self._last.number
        here = next((n for n, t in enumerate(running) if t.cell.number >= last), 0)
        if step > 0 and running[here].cell.number != last:
            # The last one runs no more: this is the next already.
            step = 0
        self.attach(running[(here + step) % len(running)])

    def take_above(self) -> list[str]:
        # What is written on the alternate screen is gone with it.
        self._kept = [*self._kept, *super().take_above()]
        return []

    def finish(self) -> None:
        self._above = [*self._kept, *self._above]
        super().finish()
