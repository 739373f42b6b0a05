"""Looking at a tree of nodes without running anything."""

from . import filters
from .inspector import Attribute, Inspector, NodeIterator, PathType

__all__ = ["Attribute", "Inspector", "NodeIterator", "PathType", "filters"]
