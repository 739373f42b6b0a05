"""Loggers see what runs: actions, commands, files, exceptions and messages."""

from .base import (
    DummyLoggerInterface,
    Entry,
    FileEntry,
    ForkEntry,
    GroupEntry,
    Logger,
    LoggerInterface,
    RunEntry,
)
from .default import DefaultLogger, IndentedDefaultLogger
from .trace import TraceEntry, TraceLogger

__all__ = [
    "DefaultLogger",
    "DummyLoggerInterface",
    "Entry",
    "FileEntry",
    "ForkEntry",
    "GroupEntry",
    "IndentedDefaultLogger",
    "Logger",
    "LoggerInterface",
    "RunEntry",
    "TraceEntry",
    "TraceLogger",
]
