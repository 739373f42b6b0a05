"""Front ends: what makes a tree of nodes run, in a terminal or as one command."""

from .standalone import make_env, run_action, run_scp, run_shell
from .terminal import OneAtATimePty

__all__ = ["OneAtATimePty", "make_env", "run_action", "run_scp", "run_shell"]
