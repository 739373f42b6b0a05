"""Every measured setting, and all that is private in paramiko.

Nothing outside of this package touches what paramiko does not document.
``tests/test_ssh_tuning.py`` fails when a release of paramiko changes what is relied on here.
"""

from .channels import (
    Waker,
    attach_waker,
    bound_replies,
    close_channel,
    exit_signal,
    reason_of_end,
    receive,
    receive_stderr,
    send_signal,
)
from .files import ReadAhead, WriteBehind, free_space, list_directory
from .transport import BROKEN, Transport, prepare_socket

__all__ = [
    "BROKEN",
    "ReadAhead",
    "Transport",
    "Waker",
    "WriteBehind",
    "attach_waker",
    "bound_replies",
    "close_channel",
    "exit_signal",
    "free_space",
    "list_directory",
    "prepare_socket",
    "reason_of_end",
    "receive",
    "receive_stderr",
    "send_signal",
]
