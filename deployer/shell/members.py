"""Words into what one may ask about: a node, an action, a property or a query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..cli.completion import did_you_mean
from ..inspection import Inspector
from .navigation import NotFound, find_node, split_slashes

if TYPE_CHECKING:
    from ..node import Env

__all__ = ["Member", "find_member"]


class Member(NamedTuple):
    """Something in a tree: a node, or what is in it."""

    node: Env
    #: ``node``, ``action``, ``property`` or ``query``.
    kind: str = "node"
    #: The name in the node; empty for the node itself.
    name: str = ""


def find_member(node: Env, words: Sequence[str]) -> Member:
    """Return what words lead to from a node; raise NotFound where they lead to nothing.

    They are those of ``find_node``, and in the end the name of something in that node.
    """
    parts = [part for word in words for part in split_slashes(word)]
    for position, word in enumerate(parts):
        member = _find_in_word(node, word)
        if member is None:
            node = _find_node(node, word)
        elif position < len(parts) - 1:
            path = f"{Inspector(member.node).get_full_name()}.{member.name}"
            raise NotFound(f"{path} is {_NOUNS[member.kind]}, and there is nothing in it")
        else:
            return member
    return Member(node)


def _find_in_word(node: Env, word: str) -> Member | None:
    """Return what a word ends in, which is no node; names may have dots themselves."""
    names = word.split(".")
    for count in range(len(names)):
        way, name = names[:count], ".".join(names[count:])
        if not all(way):
            continue
        try:
            owner = find_node(node, [".".join(way)] if way else [])
        except NotFound:
            continue
        if kind := _get_kind(owner, name):
            return Member(owner, kind, name)
    return None


def _get_kind(node: Env, name: str) -> str | None:
    inspector = Inspector(node)
    if inspector.has_action(name):
        return "action"
    if inspector.has_property(name):
        return "property"
    return "query" if inspector.has_query(name) else None


def _find_node(node: Env, word: str) -> Env:
    try:
        return find_node(node, [word])
    except NotFound as error:
        way, _, name = word.rpartition(".")
        try:
            inspector = Inspector(find_node(node, [way] if way else []))
        except NotFound:
            raise error from None
        attributes = [*inspector.get_properties(), *inspector.get_queries()]
        hint = did_you_mean(name, [each.name for each in attributes])
        if not hint or "Did you mean" in str(error):
            raise
        raise NotFound(
            f"{inspector.get_full_name()} has no node, action, property or query {name!r}.{hint}"
        ) from None


_NOUNS = {"action": "an action", "property": "a property", "query": "a query"}
