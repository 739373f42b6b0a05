"""One use of the command line: which tree it is about, and what was given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ..loggers import Logger
    from ..node import Env, Node

__all__ = ["CommandLine"]


class CommandLine(NamedTuple):
    """What the functions of ``commands`` get."""

    #: The program's name, for messages.
    program: str
    root: type[Node]
    #: The values of all options by name, and ``words``: a list of what is none.
    arguments: Any
    extra_loggers: Sequence[Logger] = ()

    def make_env(self, path: str = "") -> Env:
        """Return the node at a path in the tree, in the process's own terminal.

        Raises NotFound when there is nothing at the path, and what the node raises when it is made.
        """
        import sys

        from .parallel_options import make_options, make_presentation
        from .standalone import make_env

        return make_env(
            self.root,
            self.extra_loggers,
            interactive=not self.arguments.non_interactive,
            path=path,
            options=make_options(self.arguments),
            presentation=make_presentation(self.arguments, self.program, sys.argv[1:]),
        )
