"""The loop of a shell: read lines, run them, go on."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Sequence

from ..console import Console
from ..pseudo_terminal import Pty, write_text
from ..utils.colours import paint, shows_colours
from .completion import Completion
from .reader import Reader

__all__ = ["LineShell", "Status"]


class Status:
    """The exit statuses of a command line."""

    DONE = 0
    FAILED = 1
    WRONG_USE = 2
    NO_INPUT = 3
    UNREACHABLE = 4
    INTERRUPTED = 130
    BROKEN_PIPE = 141


class LineShell(abc.ABC):
    """Runs lines until it is left; subclasses say what a line does.

    :param stop_at_failure: end at the first line that fails, as a script does.
    """

    def __init__(self, pty: Pty, stop_at_failure: bool = False) -> None:
        self.pty = pty
        self.console = Console(pty)
        self._stop_at_failure = stop_at_failure
        self._is_left = False

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
        while not self._is_left:
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
            status = self._run_lines(text.splitlines())
            if status and self._stop_at_failure:
                return Status.FAILED
        return Status.DONE

    def leave(self) -> None:
        """Read no more lines."""
        self._is_left = True

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
            self.show_lines(f"  {line}" for line in lines)
            try:
                if not self.console.confirm(f"Run these {len(lines)} lines?", default=False):
                    return Status.DONE
            except KeyboardInterrupt:
                self.show("")
                return Status.INTERRUPTED
        for line in lines:
            status = self.run_line(line)
            if status or self._is_left:
                return status
        return Status.DONE
