"""Functions of a node that say what a parameter of its actions can be: ``complete_PARAMETER``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from ..inspection import Inspector
from ..node import Env
from ..utils.signatures import read_parameters

if TYPE_CHECKING:
    from ..node.action import Action, EnvAction

__all__ = ["is_hook", "list_hook_values"]

_PREFIX = "complete_"


def is_hook(action: Action | EnvAction) -> bool:
    """Whether an action is there for completion only: some action beside it has that parameter."""
    if not action.name.startswith(_PREFIX):
        return False
    name = action.name.removeprefix(_PREFIX)
    return any(
        name == parameter.name
        for other in Inspector(action.node).get_actions()
        if other.name != action.name
        for parameter in read_parameters(other)
    )


def list_hook_values(node: Env, parameter: str, text: str) -> Iterator[tuple[str, str]] | None:
    """Return what a node says that a parameter can be, each with its help; None if it says nothing.

    ``def complete_branch(self, text)``, or without ``text``, returns texts, pairs of a text and its
    help, or a mapping from texts to their help. It runs without a terminal, and nobody is told what
    it runs on hosts; what it raises is raised.

    :param text: what is typed of it so far.
    """
    name = _PREFIX + parameter
    inspector = Inspector(node)
    if not inspector.has_action(name):
        return None
    action = inspector.get_action(name)
    quiet = Env(node._node_bare, is_sandbox=node._node_is_sandbox, options=node._node_given_options)
    takes_text = bool(read_parameters(action))
    found = action.action.function(quiet, *([text] if takes_text else []))
    return _as_pairs(found)


def _as_pairs(found: object) -> Iterator[tuple[str, str]]:
    if isinstance(found, Mapping):
        found = found.items()
    if not isinstance(found, Iterable) or isinstance(found, str):
        return
    for each in found:
        value, help = each if isinstance(each, tuple) and len(each) == 2 else (each, "")
        yield str(value), str(help)
