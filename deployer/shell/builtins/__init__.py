"""The shell's own commands: a table of them, and what each of them does."""

from .table import BUILTINS, Builtin, UsageError

__all__ = ["BUILTINS", "Builtin", "UsageError"]
