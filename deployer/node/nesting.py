"""Which kinds of nodes there are, and which may be nested in which."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["NodeKind", "nesting_problem"]


class NodeKind(StrEnum):
    """How many cells a node has, seen from the node that it is nested in."""

    NORMAL = "Node"
    #: One cell per host at the root; nested in another array, it has the cells of that one.
    PARALLEL = "ParallelNode"
    #: One cell per host, for each cell of the node that it is nested in.
    ARRAY = "ParallelNode.Array"
    #: One cell, on one host.
    JUST_ONE = "ParallelNode.JustOne"


def nesting_problem(parent: NodeKind, child: NodeKind) -> str | None:
    """Return why the child cannot be nested in the parent, or None when it can."""
    if parent is NodeKind.NORMAL and child is NodeKind.PARALLEL:
        return (
            "a ParallelNode nested in a plain Node has to say how it is spread over the hosts: "
            "use its .Array for one cell per host, or its .JustOne for a single host"
        )
    return None
