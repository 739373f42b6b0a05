"""One use of the command line: which tree it is about, and what was given."""

from __future__ import annotations

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
