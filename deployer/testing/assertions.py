"""What tests claim of the commands that ran; with any test runner."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, TypeAlias

from ..secret import redact, shown_command
from ..utils.spelling import find_nearest
from .recorded_run import Pattern, RecordedRun, matches

if TYPE_CHECKING:
    from .fake_host import FakeHost
    from .fake_tree import FakeTree

__all__ = ["assert_never_runs", "assert_runs", "assert_runs_only"]

#: What has ``runs``: a fake host, or a tree of them, with the commands of all its hosts.
Subject: TypeAlias = "type[FakeHost] | FakeTree"

# As like as that, and it may be what was meant.
_SIMILARITY = 0.4
# How many lines of a script are shown. Some nodes run long ones.
_MOST_LINES = 3


def assert_runs(subject: Subject, *patterns: Pattern) -> list[RecordedRun]:
    """Fail unless these commands ran, in this order; others may have run between them.

    What a sandbox only checked counts as well.

    :param patterns: a glob over the whole command, or a compiled regular expression, each.
    :return: the commands that were meant, to look at their directory, sudo, input and so on.
    """
    __tracebackhide__ = True
    _check(subject, patterns)
    _check_number("assert_runs", patterns)
    found: list[RecordedRun] = []
    rest = iter(subject.runs)
    for pattern in patterns:
        run = next((run for run in rest if matches(pattern, run.command)), None)
        if run is None:
            after = f" after {_show(patterns[len(found) - 1])}" if found else ""
            raise AssertionError(
                f"{_name(subject)} did not run {_show(pattern)}{after}{_hint(subject, pattern)}"
                f"{_list(subject, found)}"
            )
        found.append(run)
    return found


def assert_runs_only(subject: Subject, *patterns: Pattern) -> list[RecordedRun]:
    """Fail unless exactly these commands ran, in this order; without any, unless nothing ran.

    Otherwise as :func:`assert_runs`.
    """
    __tracebackhide__ = True
    _check(subject, patterns)
    runs = subject.runs
    for number, run in enumerate(runs):
        if number == len(patterns):
            raise AssertionError(
                f"{_name(subject)} also ran {shown_command(run.command)}"
                f"{_list(subject, runs[:number])}"
            )
        if not matches(patterns[number], run.command):
            raise AssertionError(
                f"{_name(subject)} ran {shown_command(run.command)}, where "
                f"{_show(patterns[number])} was to run{_list(subject, runs[:number])}"
            )
    if len(runs) < len(patterns):
        pattern = patterns[len(runs)]
        raise AssertionError(
            f"{_name(subject)} did not run {_show(pattern)}{_hint(subject, pattern)}"
            f"{_list(subject, runs)}"
        )
    return list(runs)


def assert_never_runs(subject: Subject, *patterns: Pattern) -> None:
    """Fail if a command ran that one of the patterns means."""
    __tracebackhide__ = True
    _check(subject, patterns)
    _check_number("assert_never_runs", patterns)
    for pattern in patterns:
        found = [run for run in subject.runs if matches(pattern, run.command)]
        if found:
            raise AssertionError(
                f"{_name(subject)} ran {shown_command(found[0].command)}, which {_show(pattern)} "
                f"means{_list(subject, found)}"
            )


def _check(subject: Subject, patterns: Sequence[Pattern]) -> None:
    __tracebackhide__ = True
    if not hasattr(subject, "runs"):
        raise TypeError(
            f"{subject!r} is no fake host, and no tree of them; take what stands in for a host "
            "from the tree, as in tree['web1']"
        )
    for pattern in patterns:
        if not isinstance(pattern, str | re.Pattern):
            raise TypeError(f"{pattern!r} is no pattern: give a text or a compiled expression")


def _check_number(name: str, patterns: Sequence[Pattern]) -> None:
    __tracebackhide__ = True
    if not patterns:
        raise TypeError(f"{name}() claims nothing without a pattern: name a command, as in 'git *'")


def _name(subject: Subject) -> str:
    return subject.slug if isinstance(subject, type) else "the tree"


def _show(pattern: Pattern) -> str:
    return redact(repr(pattern if isinstance(pattern, str) else pattern.pattern))


def _hint(subject: Subject, pattern: Pattern) -> str:
    """Return what may have been meant: a run at another time, or one that is like it."""
    commands = [run.command for run in subject.runs]
    if any(matches(pattern, command) for command in commands):
        return ", but before that"
    text = pattern if isinstance(pattern, str) else pattern.pattern
    nearest = find_nearest(text, commands, _SIMILARITY)
    return f"; the nearest is {shown_command(nearest)}" if nearest is not None else ""


def _list(subject: Subject, marked: Collection[RecordedRun]) -> str:
    """Return all that ran, each on a line; what is marked has a ``>`` before it."""
    numbers = {run.number for run in marked}
    lines = []
    for run in subject.runs:
        host = "" if isinstance(subject, type) else f"{run.host.slug} | "
        first, *more = str(run).splitlines() or [""]
        lines.append(f"{'>' if run.number in numbers else ' '} {host}{first}  [{run.directory}]")
        if len(more) >= _MOST_LINES:
            more[_MOST_LINES - 1 :] = [f"... {len(more) - _MOST_LINES + 1} more lines"]
        lines += [f"      {line}" for line in more]
    return ". It ran:\n" + "\n".join(f"  {line}" for line in lines) if lines else "; nothing ran"
