"""Looking around in the tree."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ...inspection import Inspector
from ..display import (
    describe_action,
    describe_node,
    get_node_doc,
    get_summary,
    in_two_columns,
    list_actions,
    list_childnodes,
)
from ..execution import get_action
from ..navigation import DEFAULT_ACTION, find_node, find_target
from .table import BUILTINS, UsageError

if TYPE_CHECKING:
    from ...cli.grammar import Token
    from ...node import Env
    from ..shell import DeploymentShell

__all__ = ["find", "help", "ls"]


def ls(shell: DeploymentShell, words: Sequence[Token]) -> None:
    is_long = any(word.text == "-l" for word in words)
    node = find_node(shell.state.node, [word.text for word in words if word.text != "-l"])
    cells = [(f":{i.name}", "") for i in Inspector(node).iter_isolations() if i.identifier]
    sections = (
        ("Child nodes", list_childnodes(node)),
        ("Actions", list_actions(node)),
        ("Cells", cells),
    )
    for title, rows in sections:
        if not rows:
            continue
        shell.show(shell.bold(title))
        if is_long:
            shell.show_lines(in_two_columns(rows, indent=2, width=shell.columns))
        else:
            names = [name.partition(" ")[0] for name, _ in rows]
            shell.show_lines(shell.console.in_columns(names, margin_left=2))
    if not any(rows for _, rows in sections):
        shell.show("Nothing here yet: no child nodes, and no actions.")


def find(shell: DeploymentShell, words: Sequence[Token]) -> None:
    if len(words) > 1:
        raise UsageError("find takes one pattern")
    pattern = words[0].text.lower() if words else "*"
    if not any(character in pattern for character in "*?["):
        pattern = f"*{pattern}*"
    found = [
        (name, summary)
        for name, summary in _walk(shell.state.node)
        if fnmatch.fnmatch(name.lower(), pattern)
    ]
    shell.show_lines(in_two_columns(found, width=shell.columns))


def _walk(node: Env, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Go through the public nodes and actions below a node, by the names that lead to them."""
    inspector = Inspector(node)
    for action in inspector.get_actions(include_private=False):
        yield ".".join([*path, action.name]), get_summary(action.__doc__)
    for child in inspector.get_childnodes(include_private=False):
        below = (*path, Inspector(child).get_name())
        yield ".".join(below), get_summary(get_node_doc(child))
        yield from _walk(child, below)


def help(shell: DeploymentShell, words: Sequence[Token]) -> None:
    if not words:
        rows = [(builtin.usage, builtin.summary) for builtin in BUILTINS.values()]
        shell.show(_INTRODUCTION)
        shell.show_lines(in_two_columns(rows, indent=2, width=shell.columns))
    elif len(words) == 1 and (builtin := BUILTINS.get(words[0].text)):
        shell.show(f"usage: {builtin.usage}\n\n{builtin.summary}")
    elif (target := find_target(shell.state.node, words)).action_name in (None, DEFAULT_ACTION):
        shell.show(describe_node(target.node))
    else:
        name = " ".join(word.text for word in words[: len(words) - len(target.arguments)])
        shell.show(describe_action(name, get_action(target)))


_INTRODUCTION = """\
Type the name of an action to run it, with its arguments behind it:

  checkout master            an action of this node
  git checkout master        an action of the child node git (or git.checkout)
  checkout commit=master     an argument by its name
  . find                     an action that is named like a command below

Tab completes; `help NAME` explains an action or a node; Ctrl-C stops an action.
"""
