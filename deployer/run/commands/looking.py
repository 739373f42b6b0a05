"""Looking around in the tree, without running anything of it.

With ``--json``, each writes what the classes in ``deployer.inspection.description`` and
``deployer.inspection.details`` say, with the names of their attributes. No property is evaluated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...inspection.description import as_data, describe_node, find_in
from ...shell.listing import draw_tree, list_found, list_node
from ...shell.members import find_member
from ...shell.style import Style, get_style

if TYPE_CHECKING:
    from ...node import Env
    from ..command_line import CommandLine

__all__ = ["find", "graph", "inspect", "ls", "tree"]

_DONE, _FAILED = 0, 1


def ls(line: CommandLine) -> int:
    """List what is in a node; with ``-l``, say what it is for.

    As JSON it is an object: a ``NodeDescription`` with its ``Members``, of which ``nodes`` are
    described without what is in them.
    """
    env = line.make_env(*line.arguments.words)
    node = describe_node(env)
    is_long = line.arguments.long
    return _write(line, env, node, lambda style: list_node(node, style, is_long))


def tree(line: CommandLine) -> int:
    """Show a node and all that is below it.

    As JSON it is an object, as for ``ls``, with what is in all the ``nodes``.
    """
    env = line.make_env(*line.arguments.words)
    node = describe_node(env, depth=None)
    return _write(line, env, node, lambda style: draw_tree(node, style))


def find(line: CommandLine) -> int:
    """List what is in the tree, or what of it matches a pattern; return 1 where nothing does.

    As JSON it is a list of objects: ``Found``.
    """
    env = line.make_env()
    found = find_in(describe_node(env, depth=None), *line.arguments.words)
    _write(line, env, found, lambda style: list_found(found, style))
    return _DONE if found else _FAILED


def inspect(line: CommandLine) -> int:
    """Say all about a node, an action, a property or a query; return 1 for a query that fails.

    As JSON it is an object, whose ``kind`` is ``node``, ``action``, ``property`` or ``query``: a
    ``NodeDetails``, ``ActionDetails``, and so on. A query is evaluated.
    """
    # Imported here, as it takes its time.
    from ...shell.inspecting import inspect_member, is_failure, show_details

    env = line.make_env()
    details = inspect_member(find_member(env, line.arguments.words))
    _write(line, env, details, lambda style: show_details(details, style))
    return _FAILED if is_failure(details) else _DONE


def graph(line: CommandLine) -> int:
    """Draw a node and all that is below it, with roles and hosts, as the text of a diagram.

    As JSON it is what ``tree`` writes.
    """
    from ...inspection.graph import FORMATS

    env = line.make_env(*line.arguments.words)
    node = describe_node(env, depth=None)
    return _write(line, env, node, lambda _: [FORMATS[line.arguments.format](node)])


def _write(line: CommandLine, env: Env, value: Any, show: Callable[[Style], list[str]]) -> int:
    """Write something as JSON, or else as text."""
    pty = env.console.pty
    if line.writes_json:
        # Imported here, as it takes its time.
        import json

        pty.write(json.dumps(as_data(value)) + "\n")
    elif lines := show(get_style(pty)):
        pty.write("\n".join(lines) + "\n")
    return _DONE
