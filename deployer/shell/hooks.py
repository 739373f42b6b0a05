"""What a node's own functions say that the parameters of its actions can be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ..inspection import Inspector
from ..inspection.hooks import HOOK_PREFIX
from ..node import Env, ParallelActionResult
from ..utils.signatures import read_parameters

__all__ = ["list_hook_values"]


def list_hook_values(node: Env, parameter: str, text: str) -> Iterator[tuple[str, str]] | None:
    """Return what a node says that a parameter can be, each with its help; None if it says nothing.

    ``def complete_branch(self, text)``, or without ``text``, returns texts, pairs of a text and its
    help, or a mapping from texts to their help; of what an array returned, it is what any of its
    cells did. It runs without a terminal, and nobody is told what
    it runs on hosts; what it raises is raised.

    :param text: what is typed of it so far.
    """
    name = HOOK_PREFIX + parameter
    inspector = Inspector(node)
    if not inspector.has_action(name):
        return None
    action = inspector.get_action(name)
    quiet = Env(
        node._node_bare,
        is_sandbox=node._node_is_sandbox,
        options=node._node_given_options,
        replace_host=node._node_replace_host,
    )
    takes_text = bool(read_parameters(action))
    found = action.action.function(quiet, *([text] if takes_text else []))
    return _as_pairs(found)


def _as_pairs(found: object) -> Iterator[tuple[str, str]]:
    if isinstance(found, ParallelActionResult):
        yield from {value: help for each in found for value, help in _as_pairs(each)}.items()
        return
    if isinstance(found, Mapping):
        found = found.items()
    if not isinstance(found, Iterable) or isinstance(found, str):
        return
    for each in found:
        value, help = each if isinstance(each, tuple) and len(each) == 2 else (each, "")
        yield str(value), str(help)
