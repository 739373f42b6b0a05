"""Line commands: what a line says, what could complete it, and reading it from a terminal."""

from .completion import Candidate, CandidateSource, Completion, complete, did_you_mean
from .grammar import Invocation, LineError, Token, parse, quote, tokenize
from .history import History
from .reader import PlainReader, Reader, ReadlineReader

__all__ = [
    "Candidate",
    "CandidateSource",
    "Completion",
    "History",
    "Invocation",
    "LineError",
    "PlainReader",
    "Reader",
    "ReadlineReader",
    "Token",
    "complete",
    "did_you_mean",
    "parse",
    "quote",
    "tokenize",
]
