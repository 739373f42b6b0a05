"""Run things on hosts over SSH, described as a tree of nodes."""

__all__ = ["__version__"]

__version__ = "0.1.0"
