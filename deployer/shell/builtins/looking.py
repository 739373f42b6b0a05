"""Looking around in the tree, without running anything of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...cli.completion import did_you_mean
from ...cli.status import Status
from ...inspection.description import describe_node, find_in
from ..listing import draw_tree, list_found, list_node
from ..members import find_member
from ..navigation import NotFound, find_node
from ..style import Style, get_style, in_table
from .table import BUILTINS, Builtin, UsageError

if TYPE_CHECKING:
    from ...cli.grammar import Token
    from ..shell import DeploymentShell

__all__ = ["find", "help", "inspect", "ls", "source_code", "tree"]


def ls(shell: DeploymentShell, words: Sequence[Token]) -> None:
    """List what is in a node; with ``-l``, say what it is for."""
    texts, is_long = _split_option("ls", "-l", words)
    node = describe_node(find_node(shell.state.node, texts))
    shell.show("\n".join(list_node(node, get_style(shell.pty), is_long)))


def tree(shell: DeploymentShell, words: Sequence[Token]) -> None:
    """Show a node and all that is below it."""
    node = describe_node(find_node(shell.state.node, _get_texts(words)), depth=None)
    _show_paged(shell, draw_tree(node, get_style(shell.pty)))


def find(shell: DeploymentShell, words: Sequence[Token]) -> int:
    """List what is below the current node, or what of it matches a pattern."""
    if len(words) > 1:
        raise UsageError("find takes one pattern")
    root = describe_node(shell.state.node, depth=None)
    pattern = words[0].text if words else ""
    found = find_in(root, pattern)
    _show_paged(shell, list_found(found, get_style(shell.pty)))
    if not found and pattern and shell.pty.is_interactive:
        shell.show_error(f"Nothing below has {pattern!r} in its name or in what is said of it")
    return Status.DONE if found else Status.FAILED


def help(shell: DeploymentShell, words: Sequence[Token]) -> None:
    """Explain the shell, a command of it, or something in the tree."""
    texts, is_long = _split_option("help", "-l", words)
    style = get_style(shell.pty)
    if not texts:
        lines = _INTRODUCTION.splitlines()
        lines += _explain_builtins(style) if is_long else _list_builtins(style)
        _show_paged(shell, lines)
    elif len(texts) == 1 and (builtin := BUILTINS.get(texts[0])):
        shell.show(f"usage: {builtin.usage}\n\n{builtin.summary}")
    else:
        from ..display import describe_member

        try:
            member = find_member(shell.state.node, texts)
        except NotFound as error:
            hint = did_you_mean(texts[0], BUILTINS) if len(texts) == 1 else ""
            if "Did you mean" in str(error):
                raise
            raise NotFound(f"{error}{hint}", error.name) from None
        shell.show(describe_member(member, " ".join(texts), style))


def inspect(shell: DeploymentShell, words: Sequence[Token]) -> int:
    """Say all about a node, an action, a property or a query; a query is evaluated."""
    # Imported here, as it takes its time, and few look so closely.
    from ..inspecting import inspect_member, is_failure, show_details

    details = inspect_member(find_member(shell.state.node, _get_texts(words)))
    _show_paged(shell, show_details(details, get_style(shell.pty)))
    return Status.FAILED if is_failure(details) else Status.DONE


def source_code(shell: DeploymentShell, words: Sequence[Token]) -> None:
    """Show the source of a node's class, an action, a property or a query."""
    from ..sources import show_source

    member = find_member(shell.state.node, _get_texts(words))
    _show_paged(shell, show_source(member, get_style(shell.pty)))


def _get_texts(words: Sequence[Token]) -> list[str]:
    return [word.text for word in words]


def _split_option(name: str, option: str, words: Sequence[Token]) -> tuple[list[str], bool]:
    """Return the words without an option, and whether it was among them."""
    texts = [text for text in _get_texts(words) if text != option]
    for text in texts:
        if text.startswith("-") and text not in BUILTINS:
            raise UsageError(f"{name} has no option {text}; it has {option}")
    return texts, len(texts) < len(words)


def _show_paged(shell: DeploymentShell, lines: Sequence[str]) -> None:
    """Show lines, in the pager if somebody reads them and they are more than the screen has."""
    if shell.pty.is_attended and len(lines) >= shell.pty.get_size()[0]:
        shell.console.lesspipe(lines)
    elif lines:
        shell.show("\n".join(lines))


# The commands by the module that has them, which is by what they are for.
_TITLES = {"walking": "Go", "looking": "Look", "running": "Run", "session": "Session"}


def _group_builtins() -> dict[str, list[tuple[str, Builtin]]]:
    groups: dict[str, list[tuple[str, Builtin]]] = {title: [] for title in _TITLES.values()}
    for name, builtin in BUILTINS.items():
        title = _TITLES.get(builtin.function.partition(".")[0], "More")
        groups.setdefault(title, []).append((name, builtin))
    return groups


def _list_builtins(style: Style) -> list[str]:
    """Return the commands, each with its words, in as few lines as they take."""
    lines = []
    indent = max(map(len, _TITLES.values())) + 4
    for title, builtins in _group_builtins().items():
        line = style.paint(f"  {title:<{indent - 2}}", bold=True)
        width = indent
        for _, builtin in builtins:
            if width > indent and width + 3 + len(builtin.usage) > style.columns:
                lines.append(line.rstrip())
                line, width = " " * indent, indent
            gap = "   " if width > indent else ""
            line += gap + builtin.usage
            width += len(gap + builtin.usage)
        lines.append(line)
    return lines


def _explain_builtins(style: Style) -> list[str]:
    """Return the commands, each with what it does."""
    lines = []
    for title, builtins in _group_builtins().items():
        rows = [(builtin.usage, builtin.summary) for _, builtin in builtins]
        lines += [style.paint(title, bold=True), *in_table(rows, style)]
    return lines


_INTRODUCTION = """\
Type the name of an action to run it, with its arguments behind it:

  checkout master            an action of this node
  git checkout master        an action of the child node git (or git.checkout)
  checkout commit=master     an argument by its name
  . find                     an action that is named like a command below

Tab completes; Ctrl-C stops an action; `help NAME` explains a command, a node,
or what is in it; `help -l` explains all of the commands, which are:

"""
