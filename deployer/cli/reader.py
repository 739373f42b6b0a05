"""Reading lines: with editing, history and completion at a terminal, or plainly from a pipe.

This is the only module that knows readline (GNU readline, or libedit in its place).
"""

from __future__ import annotations

import io
import os
import re
import select
import sys
from collections.abc import Callable, Sequence
from typing import ClassVar, Protocol, TextIO

from ..console import Console
from ..pseudo_terminal import Pty, write_text
from ..utils.colours import paint, shows_colours
from ..utils.columns import display_width, shorten, to_columns
from .completion import Completion
from .history import History

__all__ = ["PlainReader", "Reader", "ReadlineReader", "is_terminal", "make_reader"]

_ESCAPE_SEQUENCE = re.compile(r"\x1b\[[0-9;]*m")
# More than these are shown without their help, in columns.
_MAX_HELP_LINES = 30

Complete = Callable[[str, int], Sequence[Completion]]


class Reader(Protocol):
    """Where a shell's lines come from."""

    def read(self, prompt: str) -> str:
        """Return the next line; it has several lines in it when they were pasted together.

        Raises EOFError at the end of the input (Ctrl-D), and KeyboardInterrupt at Ctrl-C.
        """


class PlainReader:
    """Reads lines as they are.

    :param output: where prompts go; None for no prompts.
    """

    def __init__(self, stream: TextIO, output: TextIO | None = None) -> None:
        self._stream = stream
        self._output = output

    def read(self, prompt: str) -> str:
        """Return the next line."""
        if self._output is not None:
            write_text(self._output, prompt)
        line = self._stream.readline()
        if not line:
            raise EOFError
        return line.removesuffix("\n")


class ReadlineReader:
    """Reads lines from the process's own terminal, with editing, history and completion.

    Readline has one state for the process, which belongs to the reader that was used last.

    :param complete: returns the completions for a line and the position of the cursor. It may
        raise: that is shown, and the line is still there.
    """

    _last: ClassVar[ReadlineReader | None] = None

    def __init__(self, complete: Complete, history: History) -> None:
        # Imported here: some Pythons have none.
        import readline

        self._readline = readline
        self._complete = complete
        self._history = history
        self._prompt = ""
        self._completions: Sequence[Completion] = ()
        self._is_libedit = "libedit" in (readline.__doc__ or "")

    def read(self, prompt: str) -> str:
        """Return the next line, and keep it in the history."""
        self._prompt = prompt
        if ReadlineReader._last is not self:
            ReadlineReader._last = self
            self._configure()
        # Answers to questions are no commands, and do not belong in the history.
        self._readline.set_auto_history(False)
        self._readline.set_completer(self._get_completion)
        try:
            # Readline has to know which characters take no room.
            line = input(_ESCAPE_SEQUENCE.sub("\x01\\g<0>\x02", prompt)) + self._read_pasted_rest()
        finally:
            # Not for whoever else calls input(): the completions are those of our lines.
            self._readline.set_completer(None)
        line = line.rstrip("\n")
        if line.strip():
            self._readline.add_history(line)
            self._history.append(line)
        return line

    def _configure(self) -> None:
        readline = self._readline
        readline.clear_history()
        for line in self._history.load():
            readline.add_history(line)
        readline.set_completer_delims(" \t\n")
        if self._is_libedit:
            readline.parse_and_bind("bind ^I rl_complete")
            readline.parse_and_bind("bind ^R em-inc-search-prev")
            return
        for setting in (
            # Python turns it off; without it, pasted lines run one after another.
            "set enable-bracketed-paste on",
            "set completion-ignore-case on",
            "set show-all-if-ambiguous on",
            "set bell-style none",
            "tab: complete",
            '"\\e[A": history-search-backward',
            '"\\e[B": history-search-forward',
            '"\\eOA": history-search-backward',
            '"\\eOB": history-search-forward',
        ):
            readline.parse_and_bind(setting)
        readline.set_completion_display_matches_hook(self._display_matches)

    def _read_pasted_rest(self) -> str:
        """Return the lines that are waiting already, where the terminal cannot tell of a paste."""
        rest = b""
        fd = sys.stdin.fileno()
        while self._is_libedit and select.select([fd], [], [], 0)[0]:
            data = os.read(fd, 65536)
            if not data:
                break
            rest += data
        # The terminal may still be in the mode in which Enter is a carriage return.
        lines = rest.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
        return "\n" + lines if lines else ""

    def _get_completion(self, _word: str, number: int) -> str | None:
        # Called by readline for one match after another. What is raised here would vanish.
        try:
            if number == 0:
                self._completions = self._find_completions()
            completion = self._completions[number]
        except IndexError:
            return None
        except Exception as error:
            self._show([f"Completing failed: {type(error).__name__}: {error}"])
            return None
        begin = self._readline.get_begidx()
        return completion.text[begin - completion.start :] + completion.append

    def _find_completions(self) -> Sequence[Completion]:
        line = self._readline.get_line_buffer()
        begin = self._readline.get_begidx()
        found = self._complete(line, self._readline.get_endidx())
        # Readline replaces its own word only, which is the end of ours when there are quotes.
        return [c for c in found if c.text.startswith(line[c.start : begin])]

    def _display_matches(self, _word: str, _matches: Sequence[str], _longest: int) -> None:
        self._show(list_completions(self._completions, _get_columns()))

    def _show(self, lines: Sequence[str]) -> None:
        """Write lines below the one that is edited, and that one again."""
        line = self._readline.get_line_buffer()
        columns = _get_columns()
        end = display_width(self._prompt + line)
        cursor = display_width(self._prompt + line[: self._readline.get_endidx()])
        text = "".join(f"{shown}\n" for shown in ["", *lines]) + self._prompt + line
        # Readline believes that the cursor is where it was: put it there.
        if rows := end // columns - cursor // columns:
            text += f"\x1b[{rows}A"
        if end != cursor:
            text += f"\x1b[{cursor % columns + 1}G"
        write_text(sys.stdout, text)


def make_reader(pty: Pty, complete: Complete, name: str) -> Reader:
    """Return a reader of lines from a Pty, with all that it has to offer.

    :param name: whose history is kept: the same name has the same history in a project.
    """
    if not is_terminal(pty.stdin):
        # There is none where a program is started with stdin closed.
        return PlainReader(pty.stdin or io.StringIO())
    if not pty.is_interactive:
        return PlainReader(pty.stdin, pty.stderr)
    console = Console(pty)
    if pty.stdin is sys.stdin:
        try:
            history = History.for_project(sys.argv[0], name, console.warning)
            return ReadlineReader(complete, history)
        except ImportError:
            console.warning("this Python has no readline: no history, and no completion")
    return PlainReader(pty.stdin, pty.stdout)


def _get_columns() -> int:
    # A terminal that nobody has given a size says that it has none.
    return os.get_terminal_size().columns or 80


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody types what is read from a stream."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # It is closed.
        return False


def list_completions(completions: Sequence[Completion], columns: int) -> list[str]:
    """Return the lines that show completions: with their help, or in columns if there are many."""
    if len(completions) > _MAX_HELP_LINES or not any(c.help for c in completions):
        return to_columns([c.display for c in completions], columns)
    width = max(display_width(c.display) for c in completions)
    enabled = shows_colours(sys.stdout)
    lines = []
    for completion in completions:
        padding = " " * (width - display_width(completion.display) + 2)
        shown_help = shorten(completion.help, max(columns - width - 3, 0))
        line = completion.display + padding + paint(shown_help, "dark_grey", enabled=enabled)
        lines.append(line.rstrip())
    return lines
