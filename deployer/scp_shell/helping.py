"""Help, and the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..cli import did_you_mean
from ..utils.columns import display_width
from .table import COMMANDS, Command, UsageError

if TYPE_CHECKING:
    from .places import Place
    from .shell import ScpShell
    from .table import Arguments

__all__ = ["help", "leave"]

_SECTIONS = {
    "Between both": "put get",
    "On the host": "cd ls pwd stat view edit mkdir rm mv chmod connect",
    "On this machine": "lcd lls lpwd lstat lview ledit lconnect !",
    "The shell": "help exit",
}

_HINTS = """\
*, ? and [a-z] stand for all names that match; quotes or a backslash make them, and blanks, plain
characters. The Tab key completes names; `help COMMAND` explains a command."""


_LEAST_WIDTH = 30


def help(shell: ScpShell, place: Place, arguments: Arguments) -> None:
    """List the commands, or explain one."""
    if arguments.words:
        name = arguments.words[0].text
        if name not in COMMANDS:
            hint = did_you_mean(name, COMMANDS) or " `help` lists all."
            raise UsageError(f"There is no command {name!r}.{hint}")
        shell.show_lines(_explain(COMMANDS[name], shell.columns))
        return
    width = max(display_width(command.usage) for command in COMMANDS.values()) + 2
    for title, names in _SECTIONS.items():
        shell.show(shell.bold(title))
        for name in names.split():
            command = COMMANDS[name]
            shell.show(f"  {command.usage:<{width}}{command.summary}")
    shell.show("")
    shell.show_lines(_fold(_HINTS, shell.columns))


def leave(shell: ScpShell, place: Place, arguments: Arguments) -> None:
    """Leave the shell."""
    shell.leave()


def _explain(command: Command, columns: int) -> list[str]:
    lines = [f"usage: {command.usage}", "", command.summary]
    lines += [f"  -{letter}  {meaning}" for letter, meaning in command.options.items()]
    return [*lines, *(["", *_fold(command.details, columns)] if command.details else [])]


def _fold(text: str, columns: int) -> list[str]:
    """Return a text in lines that break between words."""
    # Imported here, as only help needs it.
    from textwrap import wrap

    return wrap(text, max(columns - 1, _LEAST_WIDTH), break_long_words=False)
