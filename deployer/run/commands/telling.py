"""What there is: the version, and a list of all that can be run."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ...inspection import Inspector
from ...inspection.hooks import without_hooks
from ...streams import write_text
from ...utils.colours import paint, shows_colours
from ...utils.version import get_version
from ..command_table import COMMANDS

if TYPE_CHECKING:
    from ...node import Node
    from ..command_line import CommandLine

__all__ = ["list_all", "show_version"]


def show_version(line: CommandLine) -> int:
    """Write the versions of the program."""
    place = f"{line.root.__module__}.{line.root.__qualname__}"
    write_text(sys.stdout, f"{line.program} ({place}), deployer {get_version()}\n")
    return 0


def list_all(line: CommandLine) -> int:
    """Write all commands and all actions, each with a line of help."""
    commands = [(name, spec.summary) for name, spec in COMMANDS.items()]
    actions = list(_walk(line.make_root()))
    if line.writes_json:
        import json

        text = json.dumps({"commands": dict(commands), "actions": dict(actions)}) + "\n"
    else:
        text = "".join(
            _show_rows(title, rows)
            for title, rows in (("commands", commands), ("actions", actions))
            if rows
        )
    write_text(sys.stdout, text)
    return 0


def _show_rows(title: str, rows: Sequence[tuple[str, str]]) -> str:
    heading = paint(title, None, bold=True, enabled=shows_colours(sys.stdout))
    width = min(max(len(name) for name, _ in rows), 40)
    lines = [f"  {name:<{width}}  {summary}".rstrip() for name, summary in rows]
    return "\n".join([f"{heading}:", *lines, ""])


def _walk(node: Node, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Give the public actions of a node and of all below it, by the names that lead to them."""
    inspector = Inspector(node)
    if inspector.is_callable() and path:
        yield ".".join(path), _get_summary(inspector.get_action("__call__"))
    for action in without_hooks(inspector.get_actions(include_private=False)):
        yield ".".join([*path, action.name]), _get_summary(action)
    for child in inspector.get_childnodes(include_private=False, skip_broken=True):
        yield from _walk(child, (*path, Inspector(child).get_name()))


def _get_summary(action: object) -> str:
    """Return the first line of a docstring that has text."""
    return next((text for row in (action.__doc__ or "").splitlines() if (text := row.strip())), "")
