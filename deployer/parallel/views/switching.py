"""The whole screen for one host at a time, and keys to go from one to the next."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import ClassVar

from ...pseudo_terminal import write_text
from .cells import Cell, Status
from .live import LiveView
from .terminal_pty import TerminalPty

__all__ = ["SwitchingView"]

_CLEAR = b"\x1b[H\x1b[2J"
# Programs that draw on the alternate screen: the whole view does, and must not be taken from it.
_OTHER_SCREEN = re.compile(rb"\x1b\[\?(?:10)?4[79][hl]")


class SwitchingView(LiveView):
    """Gives the alternate screen to the terminal of one host after another.

    Ctrl-] shows the others; from there, keys lead to another one. What is shown afterwards is as in
    the live view.
    """

    interrupts_attached: ClassVar[bool] = True
    keys: ClassVar[str] = "Enter: back   n: next   p: previous   a: another   Ctrl-C: stop"
    attached_hint: ClassVar[str] = "{} — Ctrl-]: the others"

    # Which host was shown last; and whether somebody looks at all of them.
    _last: Cell | None = None
    _is_choosing = False
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
        if self.attached is None and not self._is_choosing and not self.is_asking:
            self.attach(terminal)

    def attach(self, terminal: TerminalPty) -> None:
        self._is_choosing = False
        self._last = terminal.cell
        self.show_bytes(_CLEAR)
        super().attach(terminal)

    def left(self) -> None:
        super().left()
        self.show_bytes(_CLEAR)
        if not self._is_choosing and not self.is_asking:
            # The one that was shown has ended.
            self._go(1)

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
