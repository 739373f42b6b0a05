"""The ways to show a parallel run, each a module."""

from .choice import OUTPUTS, show

__all__ = ["OUTPUTS", "show"]
