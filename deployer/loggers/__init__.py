"""Loggers see what runs: actions, commands, files, exceptions and messages."""

from typing import TYPE_CHECKING, Any

from .base import DummyLoggerInterface, Logger, LoggerInterface

if TYPE_CHECKING:
    from .default import DefaultLogger, IndentedDefaultLogger
    from .entries import Entry, FileEntry, ForkEntry, GroupEntry, RunEntry
    from .trace import TraceEntry, TraceLogger
else:

    def __getattr__(name: str) -> Any:
        """Return what is needed once something is logged: until then, it need not be imported."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if name in ("DefaultLogger", "IndentedDefaultLogger"):
            from . import default as module
        elif name in ("TraceEntry", "TraceLogger"):
            from . import trace as module
        else:
            from . import entries as module
        return getattr(module, name)

    def __dir__() -> list[str]:
        return [*__all__]


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
