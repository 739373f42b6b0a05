"""What somebody sees of nodes, actions, results and failures: text, made of values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..host.result import RunResult
from ..inspection import Inspector
from ..node import Isolation, Node, ParallelActionResult, ParallelNode
from ..utils.columns import display_width, shorten

if TYPE_CHECKING:
    import inspect

    from ..node import Env

__all__ = [
    "describe_action",
    "describe_node",
    "describe_result",
    "describe_usage",
    "get_signature",
    "get_summary",
    "in_two_columns",
]


def get_signature(action: Callable[..., Any]) -> inspect.Signature:
    """Return the parameters of an action."""
    # Imported here, as it takes half as long as Python's start.
    import inspect

    return inspect.signature(action)


def get_summary(doc: str | None) -> str:
    """Return the first line of a docstring that has text."""
    return next((line.strip() for line in (doc or "").splitlines() if line.strip()), "")


def get_node_doc(node: Env) -> str:
    """Return the docstring of a node's class, or of the nearest of the user's classes below it."""
    for cls in node.__class__.__mro__:
        if cls in (Node, ParallelNode):
            break
        if cls.__doc__:
            return _clean(cls.__doc__)
    return ""


def describe_usage(name: str, signature: inspect.Signature) -> str:
    """Say how an action is called: ``checkout COMMIT [force=False]``."""
    words = [name]
    for parameter in signature.parameters.values():
        upper = parameter.name.upper()
        match parameter.kind, parameter.default is parameter.empty:
            case parameter.VAR_POSITIONAL, _:
                words.append(f"[{upper}…]")
            case parameter.VAR_KEYWORD, _:
                words.append("[NAME=VALUE…]")
            case _, False:
                words.append(f"[{parameter.name}={parameter.default}]")
            case parameter.KEYWORD_ONLY, _:
                words.append(f"{parameter.name}={upper}")
            case _:
                words.append(upper)
    return " ".join(words)


def describe_action(name: str, action: Callable[..., Any]) -> str:
    """Say how an action is called, and what it does."""
    doc = _clean(action.__doc__ or "")
    usage = describe_usage(name, get_signature(action))
    return f"usage: {usage}" + (f"\n\n{doc}" if doc else "")


def describe_node(node: Env) -> str:
    """Return the lines of a node's help: its name, docstring, child nodes and actions."""
    inspector = Inspector(node)
    doc = get_node_doc(node)
    parts = [inspector.get_full_name() + (f"\n\n{doc}" if doc else "")]
    if inspector.is_callable():
        parts.append(describe_action(inspector.get_name(), inspector.get_action("__call__")))
    for title, rows in (
        ("Child nodes:", list_childnodes(node)),
        ("Actions:", list_actions(node)),
    ):
        if rows:
            parts.append("\n".join([title, *in_two_columns(rows, indent=2)]))
    return "\n\n".join(parts)


def list_childnodes(node: Env) -> list[tuple[str, str]]:
    """Return the names of a node's public children, with their summaries."""
    children = Inspector(node).get_childnodes(include_private=False)
    return [(Inspector(c).get_name(), get_summary(get_node_doc(c))) for c in children]


def list_actions(node: Env) -> list[tuple[str, str]]:
    """Return how a node's public actions are called, with their summaries."""
    return [
        (describe_usage(action.name, get_signature(action)), get_summary(action.__doc__))
        for action in Inspector(node).get_actions(include_private=False)
    ]


def in_two_columns(
    rows: Iterable[tuple[str, str]], indent: int = 0, width: int = 80, most: int = 36
) -> list[str]:
    """Return lines that show names with their help beside them.

    :param most: a name longer than this gets no more room: its help follows it directly.
    """
    rows = list(rows)
    widths = [display_width(name) for name, _ in rows]
    column = max((w for w in widths if w <= most), default=0) + 2
    lines = []
    for (name, help), name_width in zip(rows, widths, strict=True):
        line = " " * indent + name + " " * max(column - name_width, 2)
        lines.append((line + shorten(help, max(width - display_width(line), 20))).rstrip())
    return lines


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
            from ..utils.transcript import group_equal

            # What many cells returned alike stands there once.
            grouped = group_equal({name: text for name, text in results.items() if text})
            return "\n".join(f"{fold(names)}: {text}" for names, text in grouped)
    from pprint import pformat

    return pformat(value)


def _clean(doc: str) -> str:
    """Return a docstring without its indentation."""
    from inspect import cleandoc

    return cleandoc(doc).strip()
