"""How far a copy is, and how fast it goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from ..progress_bar import ProgressBar
from ..pseudo_terminal import Pty
from .display import describe_size, shown

__all__ = ["Meter", "metering"]

# What takes less is over before a person has read what is shown of it.
_SECONDS_UNTIL_SHOWN = 0.5
_BAR_WIDTH = 20


class Meter:
    """Is told how many bytes are copied; made by :func:`metering`."""

    def __init__(self, pty: Pty, name: str, stack: ExitStack) -> None:
        self._pty = pty
        self._name = name
        self._stack = stack
        self._begun = time.monotonic()
        self._bar: _SpeedBar | None = None
        # What earlier parts had, of a copy in several.
        self._before = 0
        self.done = 0

    def __call__(self, done: int, total: int) -> None:
        """So many bytes are done, of so many; both begin anew with another part."""
        self.done = self._before + done
        if self._bar is not None:
            self._bar.set_progress(self.done, self._before + total)
        elif self._pty.is_interactive and self.seconds >= _SECONDS_UNTIL_SHOWN:
            self._bar = _SpeedBar(self._pty, self._name, self._begun)
            # Before it is drawn: Ctrl-C may come at any time, and what is drawn has to be ended.
            self._stack.push(self._bar)
            self._bar.set_progress(self.done, self._before + total)

    def begin_part(self) -> None:
        """What is told from now on is about another part."""
        self._before = self.done

    @property
    def seconds(self) -> float:
        """How long it has taken."""
        return time.monotonic() - self._begun

    def describe(self) -> str:
        """Return how much was copied, and how fast if that took a while."""
        size = describe_size(self.done)
        seconds = self.seconds
        if seconds < _SECONDS_UNTIL_SHOWN:
            return size
        return f"{size} in {seconds:.1f} s, {describe_size(self.done / seconds)}/s"


class _SpeedBar(ProgressBar):
    """A progress bar of bytes, with the speed and what is left of the time."""

    def __init__(self, pty: Pty, name: str, begun: float) -> None:
        super().__init__(pty, shown(name), clear_on_finish=True)
        self._begun = begun

    def _get_line(self) -> str:
        seconds = max(time.monotonic() - self._begun, 0.001)
        speed = self.done / seconds
        total = max(self.expected or 0, self.done, 1)
        bar = "#" * round(self.done / total * _BAR_WIDTH)
        left = (total - self.done) / speed if speed else 0.0
        time_left = f"{int(left) // 60}:{int(left) % 60:02} left"
        # What tells most comes first: the end is cut off where the window is narrow.
        return (
            f"{self.message} {100 * self.done // total:>3} % [{bar:.<{_BAR_WIDTH}}] "
            f"{describe_size(self.done)} of {describe_size(total)}  {describe_size(speed)}/s  "
            f"{time_left}"
        )


@contextmanager
def metering(pty: Pty, name: str) -> Iterator[Meter]:
    """Give what is told of the progress of a copy; a person sees a bar when it takes a while."""
    with ExitStack() as stack:
        yield Meter(pty, name, stack)
