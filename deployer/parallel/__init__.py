"""Run callables at once: bounded fan-out, each with a Pty of its own, all outcomes kept."""

from .pool import DEFAULT_FAN_OUT, Interrupted, Job, Outcome, run

__all__ = ["DEFAULT_FAN_OUT", "Interrupted", "Job", "Outcome", "run"]
