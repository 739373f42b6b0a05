"""What loggers are told about: actions, commands, files, and parts that run beside others."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..host import Host

__all__ = ["Entry", "FileEntry", "ForkEntry", "GroupEntry", "RunEntry"]


@dataclass(eq=False, kw_only=True)
class Entry:
    """Something that takes time. It is filled in while it runs, and complete at its end."""

    #: Seconds since the epoch.
    started: float = field(default_factory=time.time)
    #: Seconds it took; None while it runs.
    duration: float | None = None
    #: What it raised, if it did.
    error: BaseException | None = None

    @property
    def succeeded(self) -> bool:
        """Whether it ended, and well."""
        return self.duration is not None and self.error is None


@dataclass(eq=False)
class GroupEntry(Entry):
    """A call of an action, and everything that happens in it.

    Of the arguments, texts are without secrets, also those in lists, tuples, sets and dicts. Other
    objects are passed as they are.
    """

    name: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class RunEntry(Entry):
    """A command on a host."""

    host: str
    command: str
    use_sudo: bool = False
    user: str | None = None
    sandbox: bool = False
    interactive: bool = False
    #: None while it runs, and when a signal ended it.
    exit_status: int | None = None
    #: The host itself, for loggers that have to do with it: others may have the same name.
    host_class: type[Host] | None = field(default=None, repr=False)

    @property
    def succeeded(self) -> bool:
        """Whether it ended with the exit status 0."""
        return super().succeeded and self.exit_status == 0


@dataclass(eq=False)
class FileEntry(Entry):
    """A file on a host that is opened, or a directory of which what changed is copied."""

    host: str
    path: str
    mode: str
    use_sudo: bool = False
    sandbox: bool = False
    #: Whether it is a directory: copied there by ``put_dir`` (mode ``w``) or here by ``get_dir``.
    is_directory: bool = False


@dataclass(eq=False)
class ForkEntry(Entry):
    """A part that runs beside others, such as one cell of a parallel node."""

    name: str
