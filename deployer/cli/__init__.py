"""Line commands: what a line says, what could complete it, and reading it from a terminal."""

from .completion import Candidate, CandidateSource, Completion, complete, did_you_mean
from .grammar import Invocation, LineError, Token, parse, quote, tokenize
from .history import History
from .line_shell import LineShell, Status
from .reader import PlainReader, Reader, ReadlineReader, make_reader

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
    "ReadlineReader",
    "Status",
    "Token",
    "complete",
    "did_you_mean",
    "make_reader",
    "parse",
    "quote",
    "tokenize",
]
