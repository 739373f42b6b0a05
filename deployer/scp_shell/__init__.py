"""The secure-copy shell: look around on a host and here, and copy files between both."""

from .shell import ScpShell, open_scp_shell

__all__ = ["ScpShell", "open_scp_shell"]
