"""Asking before something runs where a mistake would hurt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exceptions import Declined, NoInput
from ..inspection import Inspector
from .hosts import list_hosts

if TYPE_CHECKING:
    from ..node import Env

__all__ = ["confirm"]


def confirm(env: Env, what: str) -> None:
    """Have a person type a name before something runs on a node, where its group asks so.

    It is the name of the outermost node of the group, such as ``production``, also for a node deep
    in it. In a sandbox nothing runs, so nothing is asked.

    :param what: what is about to be run there: an action's name, or a command.
    :raises Declined: when something else is typed.
    :raises NoInput: when there is nobody to ask.
    """
    inspector = Inspector(env)
    group = inspector.get_group()
    if not group.needs_confirmation or env._node_is_sandbox:
        return
    # Imported here: hardly anything asks.
    from ..utils.folding import fold

    path, name = inspector.get_full_name(), _find_first_name(inspector)
    hosts = list_hosts(env)
    console = env.console
    if not console.is_interactive:
        raise NoInput(
            f"{path} is in {group.name}, and nobody can be asked whether {what} is to run there; "
            "give -y to run it unasked"
        )
    where = f"{fold(hosts)} ({len(hosts)})" if hosts else "no hosts of its own"
    console.warning(f"{path} is in {group.name}. {what} is about to run there, on {where}.")
    answer = console.input(f"Type {name} to go on, anything else to stop", default="")
    if answer != name:
        raise Declined(f"{what} was not run on {path}: {name} was not typed")


def _find_first_name(inspector: Inspector) -> str:
    """Return the name of the outermost node around one that is in the same group throughout."""
    group = inspector.get_group()
    while (parent := inspector.get_parent()) is not None:
        outer = Inspector(parent)
        if outer.get_group() is not group:
            break
        inspector = outer
    # A cell goes by the name of its array, which is easier to type.
    return inspector.get_name().partition("[")[0]
