"""Functions of a node that say what a parameter of its actions can be: ``complete_PARAMETER``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..node.action import Action, EnvAction

__all__ = ["HOOK_PREFIX", "without_hooks"]

HOOK_PREFIX = "complete_"


def without_hooks(actions: Iterable[Action | EnvAction]) -> list[Action | EnvAction]:
    """Return those of a node's actions that are not there for the parameters of others."""
    actions = list(actions)
    # Hardly any node has a name that could be one.
    if not any(action.name.startswith(HOOK_PREFIX) for action in actions):
        return actions
    from ..node.descriptors import ActionDescriptor, find_attribute
    from ..utils.signatures import read_parameters

    called: list[Callable[..., Any]] = [*actions]
    default = find_attribute(type(actions[0].node), "__call__")
    if isinstance(default, ActionDescriptor):
        called.append(default.value)
    hooks = {HOOK_PREFIX + each.name for action in called for each in read_parameters(action)}
    return [action for action in actions if action.name not in hooks]
