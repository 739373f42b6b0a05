"""Progress bars: redrawn in place on a terminal, one line at the end elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import TracebackType

from .pseudo_terminal import Pty
from .streams import write_text
from .utils.colours import paint, shows_colours
from .utils.columns import shorten

__all__ = ["ProgressBar", "ProgressBarSteps"]

# Redrawing for each of thousands of steps would take longer than the steps.
_SECONDS_BETWEEN_DRAWINGS = 0.1
_BAR_WIDTH = 20


class ProgressBar:
    """Shows how far something is, during a ``with`` block, on the stderr of a Pty.

    :param expected: how many steps there are, if that is known.
    :param clear_on_finish: remove the bar at the end instead of leaving it.
    """

    def __init__(
        self,
        pty: Pty,
        message: str,
        expected: int | None = None,
        clear_on_finish: bool = False,
    ) -> None:
        self.message = message
        self.expected = expected
        self.done = 0
        self._stream = pty.stderr
        self._pty = pty
        self._clear_on_finish = clear_on_finish
        self._redrawn = shows_cursor_movement(pty)
        self._started = time.monotonic()
        self._drawn_at = float("-inf")

    def next(self) -> None:
        """One more step is done."""
        self.set_progress(self.done + 1)

    def set_progress(self, done: int, expected: int | None = None) -> None:
        """So many steps are done, of so many if that is only known now."""
        self.done = done
        if expected is not None:
            self.expected = expected
        now = time.monotonic()
        if self._redrawn and now - self._drawn_at >= _SECONDS_BETWEEN_DRAWINGS:
            self._drawn_at = now
            self._draw(self._get_line())

    def __enter__(self) -> ProgressBar:
        self._started = time.monotonic()
        self.set_progress(self.done)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        colour, ending = ("green", "done") if error is None else ("red", "failed")
        seconds = time.monotonic() - self._started
        line = f"{self._get_line()}  {ending} in {seconds:.1f}s"
        if not self._redrawn:
            write_text(self._stream, line + "\n")
        elif self._clear_on_finish and error is None:
            self._draw("")
        else:
            self._draw(line, colour)
            write_text(self._stream, "\n")

    def _get_line(self) -> str:
        """Return the line to show, without how it ended."""
        if not self.expected:
            return f"{self.message}: {self.done}"
        share = min(self.done / self.expected, 1)
        bar = "#" * round(share * _BAR_WIDTH)
        return f"{self.message}: [{bar:.<{_BAR_WIDTH}}] {self.done}/{self.expected}"

    def _draw(self, line: str, colour: str | None = None) -> None:
        # A line as wide as the terminal would wrap, and could not be redrawn.
        text = shorten(line, self._pty.get_size()[1] - 1)
        painted = paint(text, colour, enabled=shows_colours(self._stream))
        write_text(self._stream, f"\r{painted}\x1b[K")


class ProgressBarSteps(ProgressBar):
    """A progress bar whose steps have names: each ``next()`` begins the following one.

    :param steps: the names in order, or a mapping of numbers to names.
    """

    def __init__(
        self,
        pty: Pty,
        message: str,
        steps: Sequence[str] | Mapping[int, str],
        clear_on_finish: bool = False,
    ) -> None:
        ordered = [steps[n] for n in sorted(steps)] if isinstance(steps, Mapping) else list(steps)
        super().__init__(pty, message, len(ordered), clear_on_finish)
        self._steps = ordered

    def _get_line(self) -> str:
        line = super()._get_line()
        return f"{line} {self._steps[self.done - 1]}" if 0 < self.done <= len(self._steps) else line


def shows_cursor_movement(pty: Pty) -> bool:
    """Whether what is drawn on the Pty's stderr can be drawn over."""
    try:
        return pty.term != "dumb" and pty.stderr.isatty()
    except (AttributeError, ValueError):  # No stream at all, or a closed one.
        return False
