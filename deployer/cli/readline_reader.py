"""Lines that are typed at the process's own terminal, with editing, history and completion.

This is the only module that knows readline (GNU readline, or libedit in its place).
"""

from __future__ import annotations

import contextlib
import readline
import sys
import termios
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from ..streams import write_text
from .completion import Complete, Completion
from .history import History
from .listing import EditedLine, list_completions, mark_invisible, place_text, show_below
from .terminal import Resumed, end_line, get_size, handed_back, read_pasted_rest

__all__ = ["ReadlineReader"]

# What ~/.inputrc may have otherwise.
_DEFAULTS = (
    "set completion-ignore-case on",
    "set show-all-if-ambiguous on",
    "set bell-style none",
    "tab: complete",
    '"\\e[A": history-search-backward',
    '"\\e[B": history-search-forward',
    '"\\eOA": history-search-backward',
    '"\\eOB": history-search-forward',
)


class ReadlineReader:
    """Reads lines from the process's own terminal, with editing, history and completion.

    Readline has one state for the process, which belongs to the reader that was used last.

    :param complete: returns the completions for a line and the position of the cursor. It may
        raise: that is shown, and the line is still there.
    """

    _last: ClassVar[ReadlineReader | None] = None

    def __init__(self, complete: Complete, history: History) -> None:
        self._complete = complete
        self._history = history
        self._prompt = ""
        self._completions: Sequence[Completion] = ()
        self._is_libedit = "libedit" in (readline.__doc__ or "")

    def read(self, prompt: str) -> str:
        """Return the next line, and keep it in the history."""
        encoding = sys.stdout.encoding
        # What it cannot show is no reason to end.
        self._prompt = prompt.encode(encoding, "replace").decode(encoding)
        if ReadlineReader._last is not self:
            ReadlineReader._last = self
            self._configure()
        # Answers to questions are no commands, and do not belong in the history.
        readline.set_auto_history(False)
        readline.set_completer(self._get_completion)
        # Python notices no signal between here and the first key, but would in the midst of this.
        # Ctrl-C has no effect then, instead of taking away the line that is about to be typed.
        readline.set_pre_input_hook(lambda: None)
        try:
            line = self._read_line()
        except UnicodeDecodeError as error:
            line = error.object.decode(error.encoding, "surrogateescape")
        finally:
            # Not for whoever else calls input(): the completions are those of our lines.
            readline.set_completer(None)
            readline.set_startup_hook(None)
            readline.set_pre_input_hook(None)
        if self._is_libedit:
            line += read_pasted_rest()
        line = line.rstrip("\n")
        self.remember(line)
        return line

    def remember(self, line: str) -> None:
        """Keep a line in the history."""
        for kept in self._history.append(line):
            _add_history(kept)

    def _read_line(self) -> str:
        while True:
            try:
                with handed_back(sys.stdin.fileno(), end_line, self._draw_again):
                    return input(mark_invisible(self._prompt))
            except Resumed as resumed:
                readline.set_startup_hook(partial(_insert, resumed.line))
            except termios.error as error:
                raise EOFError("the terminal is gone") from error

    def _configure(self) -> None:
        readline.clear_history()
        for line in self._history.load():
            _add_history(line)
        if self._is_libedit:
            # It lists what it would put in place of its own word.
            readline.set_completer_delims(" \t\n")
            readline.parse_and_bind("bind ^I rl_complete")
            readline.parse_and_bind("bind ^R em-inc-search-prev")
            return
        # The whole line is one word for readline: where ours begin, only we know.
        readline.set_completer_delims("")
        for setting in _DEFAULTS:
            readline.parse_and_bind(setting)
        with contextlib.suppress(OSError):
            readline.read_init_file()
        # Python turns it off; without it, pasted lines run one after another.
        readline.parse_and_bind("set enable-bracketed-paste on")
        readline.set_completion_display_matches_hook(self._display_matches)

    def _get_completion(self, word: str, number: int) -> str | None:
        # Called by readline for one match after another. What is raised here would vanish.
        try:
            if number == 0:
                self._completions = self._find_completions()
            if number == len(self._completions):
                # Of two that have but the line so far in common, readline puts in neither, and
                # shows what there is.
                is_hint = number == 1 and self._completions[0].is_hint and not self._is_libedit
                return word if is_hint else None
            if number > len(self._completions):
                return None
            completion = self._completions[number]
            before = readline.get_line_buffer()[: completion.start]
            return (before + completion.text + completion.append)[readline.get_begidx() :]
        except BaseException as error:
            self._show_failure(error)
            return None

    def _find_completions(self) -> Sequence[Completion]:
        line = readline.get_line_buffer()
        begin = readline.get_begidx()
        found = self._complete(line, readline.get_endidx())
        # The word of libedit may be only the end of ours, when there are quotes.
        return [c for c in found if (line[: c.start] + c.text).startswith(line[:begin])]

    def _display_matches(self, _word: str, _matches: Sequence[str], _longest: int) -> None:
        make_lines = partial(list_completions, self._completions)
        show_below(self._get_edited(), make_lines, len(self._completions))

    def _show_failure(self, error: BaseException) -> None:
        from traceback import format_exception_only

        text = "Completing failed: " + "".join(format_exception_only(error))
        show_below(self._get_edited(), lambda _, rows: text.splitlines()[:rows])

    def _get_edited(self) -> EditedLine:
        return EditedLine(self._prompt, readline.get_line_buffer(), readline.get_endidx())

    def _draw_again(self) -> None:
        line = readline.get_line_buffer()
        if not self._is_libedit:
            # It cannot be told to draw all again, but to begin again with this line.
            raise Resumed(line)
        write_text(sys.stdout, place_text(self._prompt, line, get_size()[0]).text)


def _add_history(line: str) -> None:
    # Readline takes the locale's characters only, whatever the encoding of Python's streams is (as
    # with LC_ALL=C): what it cannot bring back with a key is still in the file of the history.
    with contextlib.suppress(UnicodeEncodeError):
        readline.add_history(line)


def _insert(line: str) -> None:
    # An exception here would be shown as a traceback, and the line is lost all the same.
    with contextlib.suppress(UnicodeEncodeError):
        readline.insert_text(line)
