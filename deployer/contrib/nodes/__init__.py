"""Nodes to inherit from, or to nest."""

from .config import Config

__all__ = ["Config"]
