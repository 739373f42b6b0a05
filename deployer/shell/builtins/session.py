"""What the shell itself has: options, its history, aliases, the last output."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...cli.completion import did_you_mean
from ...cli.grammar import quote
from ...exceptions import NodeUsageError
from ...utils.version import get_version
from ..display import in_two_columns
from .table import BUILTINS, UsageError

if TYPE_CHECKING:
    from ...cli.grammar import Token
    from ..shell import DeploymentShell

__all__ = ["alias", "edit", "history", "last", "set_option", "show_options", "show_version"]


def set_option(shell: DeploymentShell, words: Sequence[Token]) -> None:
    """Change an option."""
    from ..options import OPTIONS

    texts = [part for word in words for part in word.text.split("=", 1)]
    if len(texts) != 2:
        raise UsageError("set-option takes a name and a value; show-options lists them")
    name, text = texts
    if name not in OPTIONS:
        hint = did_you_mean(name, OPTIONS) or f" There are {', '.join(OPTIONS)}."
        raise UsageError(f"There is no option {name!r}.{hint}")
    try:
        OPTIONS[name].set(shell, text)
    except (NodeUsageError, ValueError) as error:
        raise UsageError(f"{name}: {error}") from error


def show_options(shell: DeploymentShell, words: Sequence[Token]) -> None:
    """List the options with their values."""
    from ..options import OPTIONS

    if words:
        raise UsageError("show-options takes no arguments")
    rows = [(f"{name} = {option.get(shell)}", option.summary) for name, option in OPTIONS.items()]
    shell.show_lines(in_two_columns(rows, width=shell.columns))


def history(shell: DeploymentShell, words: Sequence[Token]) -> None:
    """List the lines that were typed before, all or those that contain a text."""
    from ...cli.history import History

    text = " ".join(word.text for word in words).lower()
    lines = History.for_project(sys.argv[0], "shell", shell.console.warning).load()
    width = len(str(len(lines)))
    shell.console.lesspipe(
        f"{number:>{width}}  {line}" for number, line in enumerate(lines, 1) if text in line.lower()
    )


def last(shell: DeploymentShell, words: Sequence[Token]) -> None:
    """Show the output of the last action again, in the pager: all, or that of one host."""
    recording = shell.state.recording
    if recording is None:
        raise UsageError("No action has run in this shell yet")
    if len(words) > 1:
        raise UsageError("last takes one host")
    name = words[0].text if words else None
    if name is not None and name not in recording.names:
        known = ", ".join(recording.names)
        hint = did_you_mean(name, recording.names) or (f" It ran on {known}." if known else "")
        raise UsageError(f"The last action has no output of a host {name!r} beside others.{hint}")
    shell.console.lesspipe(recording.get_text(name) or "(no output)")


def edit(shell: DeploymentShell, words: Sequence[Token]) -> int:
    """Compose lines in the editor, and run them."""
    from ...programs import edit_text

    line = " ".join(quote(word.text) for word in words)
    text = edit_text(shell.pty, f"{line}\n")
    for composed in text.splitlines():
        if composed.strip():
            shell.show(f"  {composed}")
            shell.remember(composed)
            if status := shell.run_line(composed):
                return status
    return 0


def alias(shell: DeploymentShell, words: Sequence[Token]) -> None:
    """Give a line a short name, show what a name stands for, or list them all."""
    aliases = shell.state.aliases
    if not words:
        shell.show_lines(in_two_columns(sorted(aliases.items()), width=shell.columns, most=20))
        return
    name, equals, rest = words[0].text.partition("=")
    more = [quote(word.text) for word in words[1:]]
    # What was quoted as a whole is the line as it is: alias d='deploy v1'.
    line = " ".join([rest, *more] if rest else more)
    if not equals:
        if more:
            raise UsageError("write it as: alias NAME='LINE'")
        if name not in aliases:
            raise UsageError(f"There is no alias {name!r}.{did_you_mean(name, aliases)}")
        shell.show(f"{name}  {aliases[name]}")
    elif not name or name in BUILTINS or any(c in name for c in " \t'\"\\#!"):
        raise UsageError(f"{name!r} cannot be an alias: it is a command, or no plain word")
    else:
        aliases.change(name, line)


def show_version(shell: DeploymentShell, words: Sequence[Token]) -> None:
    """Say the version of deployer."""
    if words:
        raise UsageError("--version takes no arguments")
    shell.show(f"deployer {get_version()}")
