"""What somebody sees of nodes, actions, results and failures: text, made of values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..host.result import RunResult
from ..inspection import Inspector
from ..inspection.texts import clean_doc, describe_usage, get_node_doc, get_summary
from ..node import Isolation, ParallelActionResult
from ..utils.signatures import read_parameters
from .style import Style, in_table

if TYPE_CHECKING:
    from ..node import Env
    from .members import Member

__all__ = [
    "describe_action",
    "describe_member",
    "describe_node",
    "describe_result",
    "describe_usage",
    "get_node_doc",
    "get_summary",
    "in_two_columns",
]


def describe_action(name: str, action: Callable[..., Any]) -> str:
    """Say how an action is called, and what it does."""
    doc = clean_doc(action.__doc__)
    usage = describe_usage(name, read_parameters(action))
    return f"usage: {usage}" + (f"\n\n{doc}" if doc else "")


def describe_node(node: Env, style: Style = Style()) -> str:  # noqa: B008 - it cannot be changed
    """Return the lines of a node's help: its name, docstring, and what is in it."""
    # Imported here: most sessions look at no node like this.
    from ..inspection import description
    from .listing import list_members

    inspector = Inspector(node)
    doc = get_node_doc(node)
    parts = [inspector.get_full_name() + (f"\n\n{doc}" if doc else "")]
    if inspector.is_callable():
        parts.append(describe_action(inspector.get_name(), inspector.get_action("__call__")))
    members = description.describe_node(node).members
    assert members is not None
    if lines := list_members(members._replace(default_action=None), style):
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def describe_member(member: Member, name: str, style: Style = Style()) -> str:  # noqa: B008
    """Return the help for a node or for what is in it; no property or query is evaluated.

    :param name: what it was called, as it is to be shown.
    """
    inspector = Inspector(member.node)
    match member.kind:
        case "action":
            return describe_action(name, inspector.get_action(member.name))
        case "property":
            kind, doc = "property", clean_doc(inspector.get_property(member.name).doc)
        case "query":
            kind, doc = "query", repr(inspector.get_query(member.name))
        case _:
            return describe_node(member.node, style)
    path = f"{inspector.get_full_name()}.{member.name}"
    return f"{path} is a {kind}" + (f"\n\n{doc}" if doc else "")


def in_two_columns(
    rows: Iterable[tuple[str, str]], indent: int = 0, width: int = 80, most: int = 36
) -> list[str]:
    """Return lines that show names with their help beside them, cut to a width.

    :param most: a name longer than this gets no more room: its help follows it directly.
    """
    return in_table(list(rows), Style(width, is_cut=True), indent, most)


def describe_result(value: Any) -> str:
    """Return the text of an action's result: a text is itself, nothing is empty.

    So is the output of commands that has been shown already.
    """
    match value:
        case None:
            return ""
        case RunResult() if value.was_shown:
            return ""
        case list() if value and all(isinstance(v, RunResult) and v.was_shown for v in value):
            return ""
        case str():
            return str(value).removesuffix("\n")
        case ParallelActionResult() if value.was_shown:
            return ""
        case ParallelActionResult():
            results = {Isolation((), c).name: describe_result(v) for c, v in value.items()}
            from ..utils.folding import fold
            from ..utils.string_utils import under_name
            from ..utils.transcript import group_equal

            # What many cells returned alike stands there once.
            grouped = group_equal({name: text for name, text in results.items() if text})
            return "\n".join(under_name(fold(names), text) for names, text in grouped)
    if _says_how_it_reads(value):
        return str(value)
    if type(value) in (list, tuple) and value and all(map(_says_how_it_reads, value)):
        return "\n".join(map(str, value))
    from pprint import pformat

    return pformat(value)


def _says_how_it_reads(value: Any) -> bool:
    """Whether there is a text of an object for people, besides its ``repr``."""
    own = any("__str__" in vars(cls) for cls in type(value).__mro__[:-1])
    return own and not isinstance(value, str | bytes)
