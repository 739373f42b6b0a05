"""What went wrong, as text for the person who ran it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from .exceptions import (
    ActionException,
    DeployerException,
    ExecCommandFailed,
    NoInput,
    ParallelActionException,
    ParallelExecCommandFailed,
)
from .secret import redact
from .utils.string_utils import first_line, tidy_path

if TYPE_CHECKING:
    from traceback import TracebackException

__all__ = ["describe_failure", "find_several", "get_place", "leaf_errors"]

# As frames name it, so that symlinks are left as they are.
_OUR_CODE = os.path.dirname(__file__) + os.sep
_LAST_LINES = 10


def leaf_errors(error: BaseException) -> Iterator[BaseException]:
    """Return what really went wrong: the errors of each host or cell, or the one there is."""
    match error:
        case ParallelActionException() | ParallelExecCommandFailed():
            for failure in error.failures.values():
                yield from leaf_errors(failure)
        case ActionException():
            yield from leaf_errors(error.inner_exception)
        case _:
            yield error


def describe_failure(error: BaseException, with_output: bool = True) -> str:
    """Say what went wrong, for the person who ran an action.

    A failed command is shown with its host, status and last lines; any other of our exceptions
    by its message; a fault in the user's code by its traceback, without the frames of deployer.
    What was shown while it ran is only summed up. Secrets are redacted.

    :param with_output: whether the last lines of a failed command are wanted.
    """
    return redact(_describe(error, with_output))


def _describe(error: BaseException, with_output: bool) -> str:
    several = find_several(error)
    if several is None:
        return _describe_leaf(next(leaf_errors(error)), with_output)
    summary = several.summary.capitalize()
    if several.was_shown:
        return summary.removesuffix(":")
    parts = [summary]
    for name, failure in several.named_failures.items():
        lines = _describe(failure, with_output).splitlines()
        parts.append("\n".join([f"{name}:", *(f"  {line}" for line in lines)]))
    return "\n".join(parts)


def find_several(
    error: BaseException,
) -> ParallelActionException | ParallelExecCommandFailed | None:
    """Return the exception of several hosts or cells that an action reports, if it is one."""
    while True:
        match error:
            case ParallelActionException() | ParallelExecCommandFailed():
                return error
            case ActionException():
                error = error.inner_exception
            case _:
                return None


def _describe_leaf(error: BaseException, with_output: bool) -> str:
    match error:
        case KeyboardInterrupt():
            # Of several hosts, it says which of them were done.
            is_told = getattr(error, "was_shown", False) or not str(error)
            return ("Interrupted" if is_told else f"Interrupted ({error})") + _add_notes(error)
        case SystemExit():
            return f"The action asked to end the program (status {error.code})"
        case ExecCommandFailed():
            text = _describe_command(error, with_output)
        case NoInput():
            return f"No answer: {error}" + _add_notes(error)
        case DeployerException():
            kind = type(error)
            text = str(error) if kind is DeployerException else f"{kind.__name__}: {error}"
        case _:
            return _describe_fault(error)
    text += _add_notes(error)
    where = get_place(error.__traceback__)
    return text + (f"\n  at {where}" if where else "")


def _add_notes(error: BaseException) -> str:
    """Return what else was noted on an error, to stand below it."""
    notes = getattr(error, "__notes__", ())
    return "".join(f"\n  {note}" for note in notes)


def _describe_command(error: ExecCommandFailed, with_output: bool) -> str:
    result = error.result
    # Redacted first: half a secret, where the first line ends, would not be found.
    command = first_line(redact(error.command))
    rows = [("host", error.host), ("command", ("sudo " if error.use_sudo else "") + command)]
    if result.exit_signal:
        rows.append(("signal", str(result.exit_signal)))
    else:
        rows.append(("status", str(error.exit_status)))
    lines = ["Command failed", *(f"  {name:<8} {value}" for name, value in rows)]
    lines[0] = {"CommandTimeout": "Command did not end in time"}.get(type(error).__name__, lines[0])
    last = (result.stderr or result.stdout).rstrip().splitlines()[-_LAST_LINES:]
    last = last if with_output else []
    return "\n".join(lines + [f"  | {line}" for line in last])


def _describe_fault(error: BaseException) -> str:
    # Imported here, as it takes its time.
    from traceback import TracebackException

    report = TracebackException.from_exception(error)
    _leave_out_our_frames(report)
    if report.stack:
        return "".join(report.format()).rstrip()
    return "".join(report.format_exception_only()).rstrip()


def _leave_out_our_frames(report: TracebackException) -> None:
    # ``report.stack`` is a list of its own, so that only what is shown changes.
    ours = (_OUR_CODE, contextlib.__file__)
    report.stack[:] = [f for f in report.stack if not f.filename.startswith(ours)]
    for other in (report.__cause__, report.__context__, *(report.exceptions or ())):
        if other is not None:
            _leave_out_our_frames(other)


def get_place(trace: TracebackType | None) -> str:
    """Return file, line and function of the innermost frame that is the user's."""
    # Imported here: they take their time, and are only needed for failures.
    import sysconfig
    from traceback import extract_tb

    kinds = ("stdlib", "platstdlib", "purelib", "platlib")
    paths = {sysconfig.get_path(kind) for kind in kinds} | {os.path.dirname(os.__file__)}
    libraries = (_OUR_CODE, *(path + os.sep for path in paths))
    for frame in reversed(extract_tb(trace)):
        if not frame.filename.startswith(libraries):
            return f"{tidy_path(frame.filename)}:{frame.lineno} in {frame.name}"
    return ""
