"""The loop of a shell: read lines, run them, go on."""

from __future__ import annotations

import abc
import contextlib
import itertools
import termios
from collections.abc import Iterable, Sequence

from ..console import Console
from ..exceptions import NoInput
from ..pseudo_terminal import Pty
from ..streams import write_text
from ..utils.colours import paint, shows_colours
from .completion import Completion
from .grammar import tokenize
from .reader import Reader
from .status import Status

__all__ = ["LineShell"]

# Those of a screen that the question about pasted lines needs itself.
_OTHER_ROWS = 4


class LineShell(abc.ABC):
    """Runs lines until it is left; subclasses say what a line does.

    :param stop_at_failure: end at the first line that fails, as a script does.
    """

    def __init__(self, pty: Pty, stop_at_failure: bool = False) -> None:
        self.pty = pty
        self.console = Console(pty)
        self._stop_at_failure = stop_at_failure
        self._is_left = False
        self._reader: Reader | None = None

    @abc.abstractmethod
    def run_line(self, line: str) -> int:
        """Run one line and show what comes of it; return its exit status. Failures do not raise."""

    @abc.abstractmethod
    def complete(self, line: str, cursor: int) -> Sequence[Completion]:
        """Return the completions of what stands before the cursor."""

    @abc.abstractmethod
    def get_prompt(self) -> str:
        """Return the text before the line that is typed."""

    def run(self, reader: Reader) -> int:
        """Run lines until the last one, or until it is left; return the exit status."""
        self._reader = reader
        for number in itertools.count(1):
            if self._is_left:
                break
            try:
                text = reader.read(self.get_prompt())
            except EOFError:
                if self._stop_at_failure:
                    break
                self.show("")
                self.leave()
                continue
            except KeyboardInterrupt:
                self.show("")
                continue
            try:
                status = self._run_lines(_split_lines(text))
            except KeyboardInterrupt:
                # While something was shown, or another one was dealt with.
                self.show("")
                status = Status.INTERRUPTED
            if status and self._stop_at_failure:
                if number > 1:
                    self.show_error(f"Stopped at line {number}: {text.strip()}")
                return status
        return Status.DONE

    def leave(self) -> None:
        """Read no more lines."""
        self._is_left = True

    def remember(self, line: str) -> None:
        """Keep a line that was composed elsewhere among those that were typed."""
        if self._reader is not None:
            self._reader.remember(line)

    @property
    def columns(self) -> int:
        """The width of the terminal."""
        return self.pty.get_size()[1]

    def show(self, text: str) -> None:
        """Write a text, and a line's end."""
        self.pty.write(f"{text}\n")

    def show_lines(self, lines: Iterable[str]) -> None:
        """Write lines."""
        for line in lines:
            self.show(line)

    def show_error(self, text: str) -> None:
        """Write what went wrong, on stderr."""
        stream = self.pty.stderr
        write_text(stream, paint(text, "red", enabled=shows_colours(stream)) + "\n")

    def bold(self, text: str) -> str:
        """Return a text in bold, where that can be shown."""
        return paint(text, None, bold=True, enabled=shows_colours(self.pty.stdout))

    def _run_lines(self, lines: Sequence[str]) -> int:
        """Run the lines of one input, until one fails; several are pasted, and asked about."""
        if len(lines) > 1:
            shown = lines[: max(self.pty.get_size()[0] - _OTHER_ROWS, 1)]
            self.show_lines(f"  {line}" for line in shown)
            if more := len(lines) - len(shown):
                self.show(f"  … and {more} more")
            # What came right after them may be more of the same, but is no answer.
            _forget_typed(self.pty)
            try:
                if not self.console.confirm(f"Run these {len(lines)} lines?", default=False):
                    return Status.DONE
            except NoInput:
                return Status.DONE
        for line in lines:
            status = self.run_line(line)
            if status or self._is_left:
                return status
        return Status.DONE


def _split_lines(text: str) -> list[str]:
    """Return the lines of an input; of several, only those that say something."""
    lines = text.split("\n")
    return [line for line in lines if tokenize(line)] if len(lines) > 1 else lines


def _forget_typed(pty: Pty) -> None:
    if pty.is_interactive:
        with contextlib.suppress(termios.error):
            termios.tcflush(pty.stdin.fileno(), termios.TCIFLUSH)
