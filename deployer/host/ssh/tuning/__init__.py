"""All that is private in paramiko.

Nothing outside of this package touches what paramiko does not document.
``tests/test_ssh_tuning.py`` fails when a release of paramiko changes what is relied on here.
"""

from . import loading as loading
from .batches import NewContent, create_files, read_files, rename_files
from .channels import (
    Waker,
    attach_waker,
    close_channel,
    exit_signal,
    reason_of_end,
    receive,
    receive_stderr,
    send_signal,
)
from .files import ReadAhead, WriteBehind, free_space, list_directory
from .opening import SessionAhead, prepare_session, start_command
from .transport import BROKEN, Transport, prepare_socket

__all__ = [
    "BROKEN",
    "NewContent",
    "ReadAhead",
    "SessionAhead",
    "Transport",
    "Waker",
    "WriteBehind",
    "attach_waker",
    "close_channel",
    "create_files",
    "exit_signal",
    "free_space",
    "list_directory",
    "prepare_session",
    "prepare_socket",
    "read_files",
    "reason_of_end",
    "receive",
    "receive_stderr",
    "rename_files",
    "send_signal",
    "start_command",
]
