"""Loggers that print, one line for each thing that happens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TextIO

from .. import printing
from ..exceptions import ActionException
from ..secret import redact
from ..streams import write_text
from ..utils.colours import paint, shows_colours
from ..utils.string_utils import first_line
from .base import Logger

if TYPE_CHECKING:
    from .entries import Entry, FileEntry, ForkEntry, GroupEntry, RunEntry

__all__ = ["DefaultLogger", "IndentedDefaultLogger", "MessageLogger"]


class MessageLogger(Logger):
    """Print what nodes say, such as what they have changed, and nothing else.

    :param stream: where to; the process's stderr when not given. Colours are used on a terminal.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def log_message(self, text: str) -> None:
        """Print the text."""
        self._print(text)

    def make_remote(self) -> Callable[[], Logger] | None:
        """Return what makes one for another process, if this one prints to stderr."""
        # Of ours, since nothing is known of what a subclass is made with.
        kind = DefaultLogger if isinstance(self, DefaultLogger) else MessageLogger
        return kind if self._stream is None else None

    def _print(self, text: str) -> None:
        # One write a line, so that lines of several threads stay whole.
        with self._lock:
            write_text(self._get_stream(), self._indented(text) + "\n")

    def _indented(self, text: str) -> str:
        return text

    def _get_stream(self) -> TextIO:
        return self._stream if self._stream is not None else printing.get_log_stream()


class DefaultLogger(MessageLogger):
    """Print every command and file under the name of its host, and whatever fails.

    Of a command with several lines, only the first one is printed.
    """

    _shows_all_lines = False

    def start_run(self, entry: RunEntry) -> None:
        """Print the command."""
        text = describe(entry, all_lines=self._shows_all_lines)
        self._print(self._host(entry.host) + self._bold(text))

    def end_run(self, entry: RunEntry) -> None:
        """Print how it ended, if it failed."""
        if not entry.succeeded:
            self._print(self._host(entry.host) + self._red(describe_end(entry)))

    def start_file(self, entry: FileEntry) -> None:
        """Print the path, and what is done with it."""
        self._print(self._host(entry.host) + self._bold(describe(entry)))

    def end_file(self, entry: FileEntry) -> None:
        """Print how it ended, if it failed."""
        if not entry.succeeded:
            self._print(self._host(entry.host) + self._red(describe_end(entry)))

    def log_exception(self, error: BaseException) -> None:
        """Print the exception's type and message."""
        self._print(self._red(describe_error(error)))

    def _colour(self, text: str, colour: str | None, bold: bool = False) -> str:
        return paint(text, colour, enabled=shows_colours(self._get_stream()), bold=bold)

    def _host(self, slug: str) -> str:
        # What shows the output of several hosts says by itself whose it is.
        if self._stream is None and slug == printing.get_owner():
            return ""
        return self._colour(slug, "cyan") + " | "

    def _bold(self, text: str) -> str:
        return self._colour(text, None, bold=True)

    def _red(self, text: str) -> str:
        return self._colour(text, "red")


class IndentedDefaultLogger(DefaultLogger):
    """Print the calls of actions too, and indent what happens in them.

    Commands are printed whole.
    """

    _shows_all_lines = True

    def __init__(self, stream: TextIO | None = None, indentation: str = "  ") -> None:
        super().__init__(stream)
        self._indentation = indentation
        self._depth = 0

    def enter_group(self, entry: GroupEntry) -> None:
        """Print the action's name, and indent what follows."""
        self._print(self._colour(entry.name, "green"))
        self._depth += 1

    def leave_group(self, entry: GroupEntry) -> None:
        """End the indentation; print how the action ended, if it failed."""
        self._depth -= 1
        if not entry.succeeded:
            self._print(self._red(f"{entry.name} {describe_end(entry)}"))

    def fork(self, entry: ForkEntry) -> IndentedDefaultLogger:
        """Return one that indents on its own, from here, and shares the stream."""
        forked = _make_indented(self._stream, self._indentation, self._depth)
        forked._lock = self._lock
        return forked

    def make_remote(self) -> Callable[[], Logger] | None:
        """Return what makes one that indents from here."""
        if self._stream is not None:
            return None
        return partial(_make_indented, None, self._indentation, self._depth)

    def _indented(self, text: str) -> str:
        margin = self._indentation * self._depth
        return "\n".join(margin + line for line in text.splitlines())


def _make_indented(stream: TextIO | None, indentation: str, depth: int) -> IndentedDefaultLogger:
    logger = IndentedDefaultLogger(stream, indentation)
    logger._depth = depth
    return logger


def describe(entry: Entry, all_lines: bool = True) -> str:
    """Say what an entry is about, without its host.

    :param all_lines: False for the first line of a command, and how many there are besides.
    """
    from .entries import FileEntry, ForkEntry, GroupEntry, RunEntry

    match entry:
        case RunEntry():
            sudo = "sudo " + (f"-u {entry.user} " if entry.user else "") if entry.use_sudo else ""
            command = entry.command if all_lines else first_line(entry.command)
            return f"$ {sudo}{command}{_sandboxed(entry.sandbox)}"
        case FileEntry():
            sudo = "sudo " if entry.use_sudo else ""
            if entry.is_directory:
                text = f"{'put_dir' if entry.mode == 'w' else 'get_dir'} {entry.path}"
            else:
                text = f"open {entry.path} ({entry.mode})"
            return f"{sudo}{text}{_sandboxed(entry.sandbox)}"
        case GroupEntry() | ForkEntry():
            return entry.name
    return type(entry).__name__


def describe_end(entry: Entry) -> str:
    """Say in a few words how an entry ended, and how long it took if it was not interrupted."""
    from .entries import RunEntry

    if entry.duration is None:
        return "unfinished"
    if isinstance(entry, RunEntry) and entry.exit_status is not None:
        how = f"exit status {entry.exit_status}"
    elif isinstance(entry.error, KeyboardInterrupt):
        # How long it took is no matter of its own: so the same is said for all hosts.
        return "interrupted"
    elif entry.error is not None:
        # Its message is for whoever catches it to show.
        how = type(_unwrap(entry.error)).__name__
    elif isinstance(entry, RunEntry) and not entry.succeeded:
        how = "no exit status"
    else:
        how = "done"
    return f"{how} ({entry.duration:.1f}s)"


def describe_error(error: BaseException) -> str:
    """Say in a line what an exception is about: its type, and its message's first line."""
    error = _unwrap(error)
    message = redact(str(error)).strip().partition("\n")[0]
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _unwrap(error: BaseException) -> BaseException:
    """Return what an action raised, of the exception that reports it."""
    return error.inner_exception if isinstance(error, ActionException) else error


def _sandboxed(sandbox: bool) -> str:
    return "  (sandbox)" if sandbox else ""
