"""A running command, seen from here: its streams, its end, and how to wait for either."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

__all__ = ["Channel"]


class Channel(Protocol):
    """What ``interaction.run`` needs of a running command, on an SSH channel or locally.

    The names are those of paramiko's channel, where it has the same thing.
    """

    def recv_ready(self) -> bool:
        """Whether ``recv`` has something: data, or the end."""

    def recv(self, size: int) -> bytes:
        """Return the next bytes of stdout; nothing at the end. Only when ``recv_ready``."""

    def recv_stderr_ready(self) -> bool:
        """Whether ``recv_stderr`` has something: data, or the end."""

    def recv_stderr(self, size: int) -> bytes:
        """Return the next bytes of stderr; nothing at the end. Only when ``recv_stderr_ready``."""

    def at_end(self) -> bool:
        """Whether nothing more will arrive on either stream."""

    def has_caught_up(self) -> bool:
        """Whether what the command printed before it ended is here; asked until it is."""

    def exit_status_ready(self) -> bool:
        """Whether the command has ended, or the connection."""

    @property
    def exit_status(self) -> int | None:
        """The exit status; None when a signal ended it, or nobody can know."""

    @property
    def exit_signal(self) -> str | None:
        """The name of the signal that ended it, without ``SIG``."""

    def send(self, data: bytes) -> int:
        """Write to its stdin what can be written without waiting; return how many bytes."""

    def shutdown_write(self) -> None:
        """End its stdin."""

    def resize(self, rows: int, columns: int) -> None:
        """Tell its terminal a new size; nothing happens when it has ended."""

    def wait(self, readers: Sequence[int], sending: bool, timeout: float) -> list[int]:
        """Wait for news on this channel, or for one of the file descriptors to become readable.

        :param sending: whether room to send is news, too.
        :param timeout: seconds; news may also fail to come.
        :return: the file descriptors that are readable.
        """

    def terminate(self) -> None:
        """End the command and what it started; bounded in time."""

    def close(self) -> None:
        """Give back what the channel holds."""
