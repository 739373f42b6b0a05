"""What a person types to run an action, for messages that say what to do."""

from __future__ import annotations

from typing import Any

from ...inspection import Inspector

__all__ = ["show_command"]


def show_command(node: Any, *words: str) -> str:
    """Return what is typed at the root of the tree to run an action of a node, in backquotes.

    As in ```site.lock.break_``` or, of a cell of an array, ```web.release:web1.activate v3```.

    :param words: the name of the action, and its parameters.
    """
    inspector = Inspector(node)
    # What follows the path says of which cell it is.
    path = ".".join(name.partition("[")[0] for name in inspector.get_path()[1:])
    cell = node._node_cell_name()
    if cell != inspector.get_full_name():
        path += f":{cell}"
    return f"`{' '.join([f'{path}.{words[0]}'.removeprefix('.'), *words[1:]])}`"
