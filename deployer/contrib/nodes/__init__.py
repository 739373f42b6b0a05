"""Nodes to inherit from, or to nest."""

from .config import Config
from .lock import Lock, LockHolder

__all__ = ["Config", "Lock", "LockHolder"]
