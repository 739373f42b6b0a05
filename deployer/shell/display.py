"""What somebody sees of nodes, actions, results and failures: text, made of values."""

from __future__ import annotations

import contextlib
import inspect
import os
import pprint
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..exceptions import ActionException, DeployerException, ExecCommandFailed, NoInput
from ..host.result import RunResult
from ..inspection import Inspector
from ..node import Isolation, Node, ParallelActionResult, ParallelNode
from ..utils.columns import display_width, shorten
from .execution import leaf_errors

if TYPE_CHECKING:
    from ..node import Env

__all__ = [
    "describe_action",
    "describe_failure",
    "describe_node",
    "describe_result",
    "describe_usage",
    "get_summary",
    "in_two_columns",
]

# As frames name it, so that symlinks are left as they are.
_OUR_CODE = str(Path(__file__).parent.parent) + os.sep
_LAST_LINES = 10


def get_summary(doc: str | None) -> str:
    """Return the first line of a docstring that has text."""
    return next((line.strip() for line in (doc or "").splitlines() if line.strip()), "")


def get_node_doc(node: Env) -> str:
    """Return the docstring of a node's class, or of the nearest of the user's classes below it."""
    for cls in node.__class__.__mro__:
        if cls in (Node, ParallelNode):
            break
        if cls.__doc__:
            return inspect.cleandoc(cls.__doc__).strip()
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
    doc = inspect.cleandoc(action.__doc__ or "").strip()
    usage = describe_usage(name, inspect.signature(action))
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
        (describe_usage(action.name, inspect.signature(action)), get_summary(action.__doc__))
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
        case ParallelActionResult():
            results = {_get_cell_name(cell): describe_result(v) for cell, v in value.items()}
            return "\n".join(f"{name}: {text}" for name, text in results.items() if text)
    return pprint.pformat(value)


def describe_failure(error: BaseException) -> str:
    """Say what went wrong, for the person who ran an action.

    A failed command is shown with its host, status and last lines; any other of our exceptions
    by its message; a fault in the user's code by its traceback, without the frames of deployer.
    """
    failures = list(leaf_errors(error))
    if len(failures) == 1 and not hasattr(error, "failures"):
        return _describe_leaf(failures[0])
    parts = [str(error).partition("\n")[0].capitalize()]
    for name, failure in _get_failures(error):
        lines = describe_failure(failure).splitlines()
        parts.append("\n".join([f"{name}:", *(f"  {line}" for line in lines)]))
    return "\n".join(parts)


def _get_failures(error: BaseException) -> Sequence[tuple[str, BaseException]]:
    while not hasattr(error, "failures") and isinstance(error, ActionException):
        error = error.inner_exception
    failures = getattr(error, "failures", {})
    return [(_get_cell_name(cell), failure) for cell, failure in failures.items()]


def _get_cell_name(cell: Any) -> str:
    # A failure on a host goes by the host's name, one in a cell by the cell.
    return cell if isinstance(cell, str) else Isolation((), cell).name


def _describe_leaf(error: BaseException) -> str:
    match error:
        case KeyboardInterrupt():
            # Of several hosts, it says which of them were done.
            return f"Interrupted ({error})" if str(error) else "Interrupted"
        case SystemExit():
            return f"The action asked to end the program (status {error.code})"
        case ExecCommandFailed():
            text = _describe_command(error)
        case NoInput():
            return f"No answer: {error}"
        case DeployerException():
            text = f"{type(error).__name__}: {error}"
        case _:
            return _describe_fault(error)
    where = _get_place(error.__traceback__)
    return text + (f"\n  at {where}" if where else "")


def _describe_command(error: ExecCommandFailed) -> str:
    result = error.result
    rows = [
        ("host", error.host),
        ("command", ("sudo " if error.use_sudo else "") + error.command),
    ]
    if result.exit_signal:
        rows.append(("signal", str(result.exit_signal)))
    else:
        rows.append(("status", str(error.exit_status)))
    lines = ["Command failed", *(f"  {name:<8} {value}" for name, value in rows)]
    lines[0] = {"CommandTimeout": "Command did not end in time"}.get(type(error).__name__, lines[0])
    last = (result.stderr or result.stdout).rstrip().splitlines()[-_LAST_LINES:]
    return "\n".join(lines + [f"  | {line}" for line in last])


def _describe_fault(error: BaseException) -> str:
    report = traceback.TracebackException.from_exception(error)
    _leave_out_our_frames(report)
    if report.stack:
        return "".join(report.format()).rstrip()
    return "".join(report.format_exception_only()).rstrip()


def _leave_out_our_frames(report: traceback.TracebackException) -> None:
    # ``report.stack`` is a list of its own, so that only what is shown changes.
    ours = (_OUR_CODE, contextlib.__file__)
    report.stack[:] = [f for f in report.stack if not f.filename.startswith(ours)]
    for other in (report.__cause__, report.__context__, *(report.exceptions or ())):
        if other is not None:
            _leave_out_our_frames(other)


def _get_place(trace: TracebackType | None) -> str:
    """Return file, line and function of the innermost frame that is the user's."""
    # Imported here: it takes its time, and is only needed for failures.
    import sysconfig

    kinds = ("stdlib", "platstdlib", "purelib", "platlib")
    paths = {sysconfig.get_path(kind) for kind in kinds} | {os.path.dirname(os.__file__)}
    libraries = (_OUR_CODE, *(path + os.sep for path in paths))
    for frame in reversed(traceback.extract_tb(trace)):
        if not frame.filename.startswith(libraries):
            return f"{frame.filename}:{frame.lineno} in {frame.name}"
    return ""
