"""The ways to show a parallel run, each a module."""

from .choice import OUTPUTS, show
from .view import show_in

__all__ = ["OUTPUTS", "show", "show_in"]
