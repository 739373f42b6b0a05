"""Hosts that are reached over SSH."""

from .host import SSHHost

__all__ = ["SSHHost"]
