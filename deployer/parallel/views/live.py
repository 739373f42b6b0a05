"""A block on the screen with those that take longest, failures at once, and the rest at the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import ClassVar

from ...pseudo_terminal import Pty
from ...streams import write_text
from ...utils.colours import paint, shows_colours
from ...utils.columns import display_width, shorten
from ...utils.transcript import leave_out_screens, plain_text, split_lines
from .cells import Cell, Status, describe_status
from .report import (
    describe_cell_failure,
    group_outputs,
    name_group,
    show_duration,
    show_groups,
    show_recap,
)
from .terminal_pty import TerminalPty
from .terminals import TerminalsView

__all__ = ["LiveView"]

_ROWS = 8
# A run that is over before that needs no block.
_FIRST_DRAWING = 0.3
_BETWEEN_DRAWINGS = 0.1
# Lines of the output of a failure that are shown.
_MOST_LINES = 1000
_ESCAPE, _BACKSPACES, _ENDS = "\x1b", "\x7f\b", "\r\n"


class LiveView(TerminalsView):
    """Shows how far a run is while it is under way, in at most eight rows.

    Each job has a terminal of its own, to which somebody may attach.
    """

    #: What the keys do.
    keys: ClassVar[str] = "Enter: who is pending   a: attach   Ctrl-C: stop"

    def __init__(self, pty: Pty, names: Sequence[str], title: str = "") -> None:
        super().__init__(pty, names, title)
        self._begun = time.monotonic()
        self._drawn_at = 0.0
        self._block: list[str] = []
        #: What is to be written above the block.
        self._above: list[str] = []
        # The name of a host that is being typed, to attach to it.
        self._name: str | None = None

    # What happens.

    def ended(self, cell: Cell) -> None:
        if cell.status not in (Status.OK, Status.NOT_BEGUN):
            self._above += self._describe_failure(cell)
            self.wake()

    def finish(self) -> None:
        stream = self.pty.stdout
        enabled = shows_colours(stream)
        shown = [cell for cell in self.cells if cell.status in (Status.OK, Status.STOPPED)]
        lines = [
            *self._above,
            *show_groups(group_outputs(shown), enabled),
            *show_recap(self.cells, enabled, self.pty.presentation.make_rerun),
        ]
        write_text(stream, "".join(f"{line}\n" for line in lines))

    def _describe_failure(self, cell: Cell) -> list[str]:
        enabled = shows_colours(self.pty.stdout)
        how = f"{describe_status(cell)}, after {show_duration(cell.seconds)}"
        lines = [paint(f"{cell.name}: {how}", "red", enabled=enabled, bold=True)]
        # Cut before it is read as a terminal would, which takes its time.
        written = leave_out_screens(cell.get_text()).removesuffix("\n")
        last = written.rsplit("\n", _MOST_LINES)
        if len(last) > _MOST_LINES:
            count = last.pop(0).count("\n") + 1
            lines.append(f"  … {count:,} lines before these are left out (--outdir keeps all)")
        if written:
            lines += [f"  | {line}".rstrip() for line in split_lines(plain_text("\n".join(last)))]
        return lines + [f"  {line}" for line in describe_cell_failure(cell)]

    # What is on the screen.

    def tick(self) -> float:
        if self.attached is not None or self.is_asking:
            return 1.0
        now = time.monotonic()
        wait = max(self._begun + _FIRST_DRAWING, self._drawn_at + _BETWEEN_DRAWINGS) - now
        if self._above or wait <= 0:
            self._draw(with_block=now >= self._begun + _FIRST_DRAWING)
            return _BETWEEN_DRAWINGS if self._is_moving() else 0.5
        return wait

    def _is_moving(self) -> bool:
        return any(t.last_output > self._drawn_at - 1.0 for t in self.terminals.values())

    def clear_screen(self) -> None:
        self.show(self._erase())

    def _draw(self, with_block: bool) -> None:
        text = self._erase()
        # The terminal is in a mode in which a newline goes to the beginning of the next line.
        text += "".join(f"{line}\n" for line in self.take_above())
        if with_block and not self._is_over:
            self._block = self._make_block()
            text += "\x1b[?25l" + "\n".join(self._block)
        self._drawn_at = time.monotonic()
        self.show(text)

    def take_above(self) -> list[str]:
        """Return the lines to write above the block, once."""
        above, self._above = self._above, []
        return above

    def _erase(self) -> str:
        if not self._block:
            return ""
        columns = self.pty.get_size()[1]
        # After the window got narrower, a line takes several rows.
        rows = sum(max(1, -(-display_width(line) // columns)) for line in self._block)
        self._block = []
        up = f"\x1b[{rows - 1}A" if rows > 1 else ""
        return f"\r{up}\x1b[J\x1b[?25h"

    def _make_block(self) -> list[str]:
        rows, columns = self.pty.get_size()
        enabled = shows_colours(self.pty.stdout)
        terminals = self._list_terminals()
        room = max(min(_ROWS, rows - 1) - 2, 0)
        shown = terminals[: room if len(terminals) <= room else max(room - 1, 0)]
        width = min(max((display_width(t.cell.name) for t in shown), default=0), columns // 3)
        lines = [paint(shorten(self._sum_up(), columns - 1), None, enabled=enabled, bold=True)]
        for terminal in shown:
            name = shorten(terminal.cell.name, width)
            padding = " " * (width - display_width(name))
            begin = f" {name}{padding} {show_duration(terminal.cell.seconds):>6}  "
            begin = shorten(begin, columns - 1)
            left = columns - 1 - display_width(begin)
            mark = shorten("waiting for you: ", left) if terminal.is_waiting else ""
            last = shorten(terminal.last_text, left - len(mark))
            marked = paint(mark, "yellow", enabled=enabled, bold=True)
            lines.append(begin + marked + last)
        if len(shown) < len(terminals):
            lines.append(shorten(f" … and {len(terminals) - len(shown)} more", columns - 1))
        lines.append(paint(shorten(self._get_hint(), columns - 1), "dark_grey", enabled=enabled))
        return lines[: max(min(_ROWS, rows - 1), 1)]

    def _sum_up(self) -> str:
        counts = Counter(cell.status for cell in self.cells)
        done = len(self.cells) - counts[Status.WAITING] - counts[Status.RUNNING]
        parts = [f"{done}/{len(self.cells)} done", *self.describe_failed()]
        parts += [
            f"{counts[status]} {status.value}"
            for status in (Status.RUNNING, Status.WAITING)
            if counts[status]
        ]
        if any(terminal.interrupted.is_set() for terminal in self.terminals.values()):
            parts.append("stopping; Ctrl-C again closes the connections")
        elapsed = show_duration(time.monotonic() - self._begun)
        return f"{self.title}: {', '.join(parts)}  {elapsed}".removeprefix(": ")

    def describe_failed(self) -> list[str]:
        """Return how many have failed, if any."""
        others = (Status.OK, Status.WAITING, Status.RUNNING)
        failed = sum(cell.status not in others for cell in self.cells)
        return [f"{failed} failed"] if failed else []

    def _get_hint(self) -> str:
        if self._name is None:
            return self.keys
        chosen = self._find(self._name)
        name = chosen.cell.name if chosen else "nobody"
        return f"attach to: {self._name}_   (Enter: {name}, Esc: back)"

    def _list_terminals(self) -> list[TerminalPty]:
        """Return the terminals of those that run: first who waits, then who runs longest."""
        return sorted(self.terminals.values(), key=lambda t: (not t.is_waiting, -t.cell.seconds))

    # Keys.

    def typed(self, keys: str) -> str:
        self._drawn_at = 0.0
        for position, key in enumerate(keys, 1):
            if self._name is not None:
                self._type_name(self._name, key)
            else:
                self.type_key(key)
            if self.attached is not None:
                return keys[position:]
        return ""

    def type_key(self, key: str) -> None:
        """A key was pressed, while no name is typed."""
        if key in _ENDS:
            self._above += self._list_pending()
        elif key == "a":
            self._name = ""

    def _type_name(self, name: str, key: str) -> None:
        if key in _ENDS:
            self._name = None
            if terminal := self._find(name):
                self.attach(terminal)
        elif key in _BACKSPACES:
            self._name = name[:-1]
        elif key == _ESCAPE:
            self._name = None
        elif key.isprintable():
            self._name = name + key

    def _find(self, name: str) -> TerminalPty | None:
        """Return the terminal of a host by its name or the beginning of it; of none, the first."""
        terminals = self._list_terminals()
        exact = (t for t in terminals if t.cell.name == name)
        return next(exact, next((t for t in terminals if t.cell.name.startswith(name)), None))

    def attach(self, terminal: TerminalPty) -> None:
        self.clear_screen()
        enabled = shows_colours(self.pty.stdout)
        hint = self.get_attached_hint(terminal.cell.name)
        self.show(paint(hint, "yellow", enabled=enabled, bold=True) + "\r\n")
        super().attach(terminal)

    def get_attached_hint(self, name: str) -> str:
        """Return what is said to whom is attached to a host."""
        return f"attached to {name}; Ctrl-] returns"

    def left(self) -> None:
        self._drawn_at = 0.0
        self.wake()

    def _list_pending(self) -> Iterable[str]:
        for terminal in self._list_terminals():
            mark = "waiting for you: " if terminal.is_waiting else ""
            seconds = show_duration(terminal.cell.seconds)
            yield f"{terminal.cell.name}  {seconds}  {mark}{terminal.last_text}"
        if waiting := [cell for cell in self.cells if cell.status is Status.WAITING]:
            yield f"not begun yet: {name_group(waiting)}"
