"""Run callables at once: bounded fan-out, each with a Pty of its own, all outcomes kept."""

from typing import TYPE_CHECKING, Any

from .choices import DEFAULT_FAN_OUT

if TYPE_CHECKING:
    from .jobs import Interrupted, Job, Outcome
    from .options import RunOptions
    from .running import run
else:

    def __getattr__(name: str) -> Any:
        """Return what is needed once something runs: before that, it need not be imported."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if name == "RunOptions":
            from .options import RunOptions

            return RunOptions
        from . import jobs, running

        return running.run if name == "run" else getattr(jobs, name)


__all__ = ["DEFAULT_FAN_OUT", "Interrupted", "Job", "Outcome", "RunOptions", "run"]
