"""Where the lines of a shell come from: whoever types them at a terminal, or a pipe."""

from __future__ import annotations

import contextlib
import io
import select
import sys
from typing import Protocol, TextIO

from ..console import Console
from ..pseudo_terminal import Pty
from ..streams import note_shown, write_text
from .completion import Complete
from .history import History

__all__ = ["PlainReader", "Reader", "is_terminal", "make_reader"]

# Seconds that a Ctrl-C may take that comes at a bad moment.
_INTERRUPT_CHECK = 0.5


class Reader(Protocol):
    """Where a shell's lines come from."""

    def read(self, prompt: str) -> str:
        """Return the next line; it has several lines in it when they were pasted together.

        Raises EOFError at the end of the input (Ctrl-D), and KeyboardInterrupt at Ctrl-C.
        """

    def remember(self, line: str) -> None:
        """Keep a line that was entered elsewhere as if it had been read, where lines are kept."""


class PlainReader:
    """Reads lines as they are.

    :param output: where prompts go; None for no prompts.
    """

    def __init__(self, stream: TextIO, output: TextIO | None = None) -> None:
        self._stream = stream
        self._output = output
        if isinstance(stream, io.TextIOWrapper):
            # Bytes that are no text are no reason to end, and go on to a host as they are. It is
            # too late for that where somebody has read from the stream already.
            with contextlib.suppress(io.UnsupportedOperation):
                stream.reconfigure(errors="surrogateescape")

    def read(self, prompt: str) -> str:
        """Return the next line."""
        if self._output is not None:
            write_text(self._output, prompt)
            if is_terminal(self._stream):
                _wait_for_keys(self._stream)
        line = self._stream.readline()
        if not line:
            raise EOFError
        if self._output is not None:
            note_shown(self._output, line)
        # Files from other systems end their lines in two characters.
        return line.removesuffix("\n").removesuffix("\r")

    def remember(self, line: str) -> None:
        """Keep nothing."""


def _wait_for_keys(stream: TextIO) -> None:
    """Return once something was typed at a terminal.

    What reads a line would not be ended by a Ctrl-C that comes just before it waits.
    """
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    while not poll.poll(_INTERRUPT_CHECK * 1000):
        pass


def make_reader(pty: Pty, complete: Complete, name: str) -> Reader:
    """Return a reader of lines from a Pty, with all that it has to offer.

    :param name: whose history is kept: the same name has the same history in a project.
    """
    if not is_terminal(pty.stdin):
        # There is none where a program is started with stdin closed.
        return PlainReader(pty.stdin or io.StringIO())
    if not pty.is_interactive:
        return PlainReader(pty.stdin, pty.stderr)
    # A terminal on which no cursor can be moved has no use for what edits lines.
    if pty.stdin is sys.stdin and pty.term != "dumb":
        console = Console(pty)
        try:
            # Imported here: some Pythons have no readline, and no script needs it.
            from .readline_reader import ReadlineReader

            history = History.for_project(sys.argv[0], name, console.warning)
            return ReadlineReader(complete, history)
        except ImportError:
            console.warning("this Python has no readline: no history, and no completion")
    return PlainReader(pty.stdin, pty.stdout)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody types what is read from a stream."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # It is closed.
        return False
