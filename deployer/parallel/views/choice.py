"""Which way to show a run there is, and which one suits."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from typing import Any

from ...pseudo_terminal import Pty, R
from ..choices import OUTPUTS
from ..jobs import Outcome
from .job_pty import JobPty
from .log_files import keeping
from .view import Function, View, show_in

__all__ = ["OUTPUTS", "run_alone", "show"]


def show(
    pty: Pty,
    jobs: Sequence[tuple[str, Function]],
    run_all: Callable[[Sequence[Callable[[], Outcome[Any]]]], list[Outcome[Any]]],
    title: str = "",
) -> list[Outcome[Any]]:
    """Run jobs and show them as the terminal's ``presentation`` says, or in the way that suits.

    A single job has the terminal itself, unless something else was asked for.
    """
    name = _choose(pty, len(jobs))
    if name is None:
        return [run_alone(pty, *jobs[0])]
    return show_in(_load(name), pty, jobs, run_all, title)


def _choose(pty: Pty, count: int) -> str | None:
    if isinstance(pty, JobPty):
        # What a job runs in turn is shown in its own terminal.
        return None if count == 1 else pty.presentation.output or "stream"
    has_screen = pty.is_interactive and pty.term != "dumb"
    match pty.presentation.output:
        case None if count == 1:
            return None
        case None:
            return "live" if has_screen else "stream"
        case "live" | "panes" if not has_screen:
            return "stream"
        case "panes" if not os.environ.get("TMUX"):
            return "switching"
        case name:
            return name


def _load(name: str) -> type[View]:
    # Only what is used: most runs show nothing of the kind.
    if name == "switching":
        module, kind = "switching", "SwitchingView"
    elif name in OUTPUTS:
        module, kind = OUTPUTS[name][:2]
    else:
        raise ValueError(f"there is no output {name!r}; there are {', '.join(OUTPUTS)}")
    found: type[View] = getattr(importlib.import_module(f"{__package__}.{module}"), kind)
    return found


def run_alone(pty: Pty, name: str, function: Callable[[Pty], R]) -> R:
    """Run a job in a terminal itself, and keep its output if that is wanted."""
    before = pty.presentation
    # What the job runs in turn is a part of what would be run again, and of what is kept.
    pty.presentation = before._replace(directory=None, make_rerun=None)
    try:
        with keeping(pty, before.directory, name):
            return function(pty)
    finally:
        pty.presentation = before
