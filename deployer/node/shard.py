"""A shard: cells of an array that are run elsewhere. What is sent there, and what comes back."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ..host import HostContext
from ..loggers import Logger
from ..parallel import RunOptions
from ..secret import knows_secrets, redact
from .root_class import SCRIPT, RootClass

if TYPE_CHECKING:
    from .base import Node
    from .env import Env

__all__ = ["Codec", "Report", "Shard", "ShardCell", "Way", "find_node", "get_root", "get_way"]

#: How a node is reached from the root: the names of child nodes, and the indices of cells.
Way: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True)
class ShardCell:
    """A cell to run the action in."""

    name: str
    way: Way
    #: Those of the cell's hosts, in order; empty where all of them are in none.
    contexts: tuple[HostContext, ...] = ()


@dataclass(frozen=True)
class Shard:
    """What a worker is sent: plain values, which say where everything is to be imported from.

    No host is among them, so that no password is, either.
    """

    #: No two have the same. Up to the slash, it is the same for all shards of a run.
    id: str
    root: RootClass
    #: The array.
    way: Way
    action: str
    #: Which of the definitions of the action is meant: 0 is what the class has, 1 is what that
    #: overrides, and so on.
    definition: int
    #: The positional and the named ones, by ``Codec``.
    arguments: bytes
    cells: tuple[ShardCell, ...]
    is_sandbox: bool
    options: RunOptions
    #: What makes those that log there what happens there.
    loggers: tuple[Callable[[], Logger], ...] = ()


@dataclass(frozen=True)
class Report:
    """What became of a cell, as a worker sends it back."""

    #: Whether ``content`` is an error, and no result.
    failed: bool
    #: By ``Codec``; None for what cannot be pickled.
    content: bytes | None
    #: The same in words, for when there is no content, or it cannot be read.
    summary: str
    duration: float
    #: Where in the worker the error was raised.
    origin: str = ""
    #: What it wrote: pairs of the ``Kind`` and the text.
    pieces: tuple[tuple[str, str], ...] = ()


def get_way(node: Node) -> Way:
    """Return how a node is reached from the root of its tree."""
    if node._node_array is not None and node._node_index is not None:
        return (*get_way(node._node_array), node._node_index)
    if node.parent is None or node._node_attribute is None:
        return ()
    return (*get_way(node.parent), node._node_attribute.name)


def get_root(node: Node) -> Node:
    """Return the root of a node's tree, which is no cell of it."""
    while node._node_array is not None or node.parent is not None:
        node = node._node_array if node._node_array is not None else node.parent
    return node


def find_node(root: Node, way: Way) -> Node:
    """Return the node that is reached from the root in this way.

    :raises AttributeError: when there is no such node.
    :raises LookupError: when there is no such cell.
    """
    node = root
    for step in way:
        node = getattr(node, step) if isinstance(step, str) else node._node_cell(step)
    return node


class Codec:
    """Pickles what goes from one process to the other; nodes of the tree are the same in both.

    :param root: the root of the tree, in this process.
    :param script: what the module of the root is called in this process, if that is a script.
    """

    def __init__(self, root: Env, script: str | None) -> None:
        self._root = root
        self._script = script

    def dump(self, value: Any, hides_secrets: bool = False) -> bytes:
        """Return a value as bytes; raise whatever it raises when it cannot be pickled.

        :param hides_secrets: redact its texts. Where it arrives, not all secrets are known that
            are known here, so that they would be shown there.
        """
        file = io.BytesIO()
        _Pickler(file, self._root._node_bare, hides_secrets).dump(value)
        return file.getvalue()

    def load(self, content: bytes) -> Any:
        """Return the value again; raise whatever it raises when it cannot be read here."""
        return _Unpickler(io.BytesIO(content), self._root, self._script).load()


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, root: Node, hides_secrets: bool) -> None:
        super().__init__(file)
        self._root = root
        self._hides_secrets = hides_secrets and knows_secrets()

    def persistent_id(self, value: Any) -> str | tuple[bool, Way] | None:
        """Return what stands for a value; None for those that stand for themselves.

        That is a text without secrets, or whether a node is in an Env, and the way to it.
        """
        if type(value) is str:
            shown = redact(value) if self._hides_secrets else value
            return None if shown == value else shown
        if not hasattr(type(value), "_node_bind_action"):
            return None
        is_env = hasattr(type(value), "_node_env_of")
        node = value._node_bare if is_env else value
        return (is_env, get_way(node)) if type(get_root(node)) is type(self._root) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, root: Env, script: str | None) -> None:
        super().__init__(file)
        self._root = root
        self._script = script

    def persistent_load(self, place: Any) -> Any:
        if isinstance(place, str):
            return place
        is_env, way = place
        node = find_node(self._root._node_bare, way)
        return self._root._node_env_of(node) if is_env else node

    def find_class(self, module: str, name: str) -> Any:
        if self._script is not None and (module == "__main__" or module.startswith(SCRIPT)):
            module = self._script
        return super().find_class(module, name)
