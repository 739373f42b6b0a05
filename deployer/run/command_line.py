"""One use of the command line: which tree it is about, and what was given."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .wrong_use import BrokenTree, WrongUse

if TYPE_CHECKING:
    from ..loggers import Logger
    from ..node import Env, Node

__all__ = ["BrokenTree", "CommandLine", "WrongUse"]


class CommandLine(NamedTuple):
    """What the functions of ``commands`` get."""

    #: The program's name, for messages.
    program: str
    root: type[Node]
    #: The values of all options by name (those of other commands have their defaults); ``command``;
    #: ``words``, the list of what is no option; and ``given``, the options as they were written.
    arguments: Any
    extra_loggers: Sequence[Logger] = ()

    @property
    def invocation(self) -> list[str]:
        """The words that start the program as it was started: what is typed before its arguments.

        Just its name, where that is known to lead to it, or nothing better is.
        """
        script, *words = sys.argv
        count = len(sys.orig_argv) - len(words)
        if self.program != os.path.basename(script) or sys.orig_argv[count:] != words:
            return [self.program]
        places = (os.path.join(directory, self.program) for directory in os.get_exec_path())
        found = next(filter(os.path.exists, places), None)
        if found is not None and os.path.realpath(found) == os.path.realpath(script):
            return [self.program]
        started = sys.orig_argv[:count]
        return [script] if _starts_itself(script, started) else started

    @property
    def writes_json(self) -> bool:
        """Whether a program reads the output, which gets a JSON object and nothing else."""
        return bool(self.arguments.json)

    def make_root(self) -> Node:
        """Return the root of the tree.

        Raises BrokenTree, whose message says where in the user's code, when it cannot be made.
        """
        try:
            return self.root()
        except Exception as error:
            # Imported here: most trees can be made.
            from ..failures import describe_failure

            raise BrokenTree(
                f"{self.root.__name__} cannot be made: {describe_failure(error)}"
            ) from error

    def make_env(self, path: str = "") -> Env:
        """Return the node at a path in the tree, in the process's own terminal.

        Raises WrongUse when there is nothing at the path, or no host among those to run on.
        """
        # Imported here: help and completion take no terminal.
        from .environment import make_env

        return make_env(self, path)


def _starts_itself(script: str, started: Sequence[str]) -> bool:
    """Whether a script that was started in this way would be so by its name alone."""
    if os.sep not in script or not os.access(script, os.X_OK):
        return False
    with open(script, "rb") as file:
        first_line = file.readline()
    return first_line.startswith(b"#!") and started == [os.fsdecode(first_line.split()[-1]), script]
