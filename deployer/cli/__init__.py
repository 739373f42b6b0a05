"""Line commands: what a line says, what could complete it, and reading it from a terminal."""

from typing import TYPE_CHECKING, Any

from .completion import Candidate, CandidateSource, Completion, complete, did_you_mean
from .grammar import Invocation, LineError, Token, parse, quote, tokenize
from .status import Status

if TYPE_CHECKING:
    from .history import History
    from .line_shell import LineShell
    from .reader import PlainReader, Reader, make_reader
else:

    def __getattr__(name: str) -> Any:
        """Return what reads lines: to complete the words of a command line takes no terminal."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from . import history, line_shell, reader

        places = (history, line_shell, reader)
        return next(getattr(place, name) for place in places if name in place.__all__)


__all__ = [
    "Candidate",
    "CandidateSource",
    "Completion",
    "History",
    "Invocation",
    "LineError",
    "LineShell",
    "PlainReader",
    "Reader",
    "Status",
    "Token",
    "complete",
    "did_you_mean",
    "make_reader",
    "parse",
    "quote",
    "tokenize",
]
