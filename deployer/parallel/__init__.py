"""Run callables at once: bounded fan-out, each with a Pty of its own, all outcomes kept."""

from .jobs import Interrupted, Job, Outcome
from .options import DEFAULT_FAN_OUT, RunOptions
from .running import run

__all__ = ["DEFAULT_FAN_OUT", "Interrupted", "Job", "Outcome", "RunOptions", "run"]
