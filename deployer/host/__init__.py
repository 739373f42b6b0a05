"""Hosts: machines that commands run on, reached over SSH or local."""

from .base import Host, HostContext, RunResult, Stat
from .local import LocalHost
from .ssh import SSHHost

__all__ = ["Host", "HostContext", "LocalHost", "RunResult", "SSHHost", "Stat"]
