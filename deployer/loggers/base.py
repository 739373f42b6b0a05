"""What runs, as seen by loggers: the interface that reports it, and the hooks that receive it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from ..secret import knows_secrets, redact

# Imported once there is something to report: a terminal is opened, and completes, without.
if TYPE_CHECKING:
    from ..host import Host
    from .entries import Entry, FileEntry, ForkEntry, GroupEntry, RunEntry

__all__ = ["DummyLoggerInterface", "Logger", "LoggerInterface"]


class Logger:
    """Receives what happens. Override the hooks you need; these do nothing.

    No secret is in the texts that it gets: commands, paths, messages and arguments. An exception
    is passed as it was raised; ``default.describe_error`` gives its text without secrets.

    Hooks are called from whatever thread the thing happens in. One that raises breaks nothing:
    its first exception is reported to the ``logging`` module, as an error of ``deployer.loggers``.
    """

    def enter_group(self, entry: GroupEntry) -> None:
        """An action begins."""

    def leave_group(self, entry: GroupEntry) -> None:
        """An action ended; ``entry`` says how."""

    def start_run(self, entry: RunEntry) -> None:
        """A command is about to be run."""

    def end_run(self, entry: RunEntry) -> None:
        """A command ended; ``entry`` says how."""

    def start_file(self, entry: FileEntry) -> None:
        """A file is about to be opened, or a directory to be copied."""

    def end_file(self, entry: FileEntry) -> None:
        """A file was closed, or a directory copied; ``entry`` says how."""

    def fork(self, entry: ForkEntry) -> Logger:
        """Return the logger for a part that runs beside others; by default this one sees it."""
        return self

    def make_remote(self) -> Callable[[], Logger] | None:
        """Return what makes a logger that does the same in another process, for parts of a run.

        It is sent there by pickle. None, as here: what happens there is not seen.
        """
        return None

    def log_exception(self, error: BaseException) -> None:
        """An exception is reported."""

    def log_message(self, text: str) -> None:
        """An action has something to say."""


def _redact_all(value: Any, depth: int = 4) -> Any:
    """Return an argument of an action without the secrets in it, to some depth."""
    if not depth or not knows_secrets():
        return value
    # Exactly these: a subclass may take other arguments, and be no plain container.
    kind = type(value)
    if kind is str:
        return redact(value)
    if kind is dict:
        return {
            _redact_all(key, depth - 1): _redact_all(item, depth - 1) for key, item in value.items()
        }
    if kind in (list, tuple, set, frozenset):
        return kind(_redact_all(item, depth - 1) for item in value)
    return value


class _Attachment:
    """A logger in its place, and whether a failure of its hooks was reported yet."""

    def __init__(self, logger: Logger, reported: threading.Event | None = None) -> None:
        self.logger = logger
        self._reported = reported or threading.Event()

    def call(self, hook: str, *args: object) -> None:
        try:
            getattr(self.logger, hook)(*args)
        except Exception as error:
            self._report(hook, error)

    def fork(self, entry: ForkEntry) -> _Attachment:
        try:
            return _Attachment(self.logger.fork(entry), self._reported)
        except Exception as error:
            self._report("fork", error)
            return self

    def _report(self, hook: str, error: Exception) -> None:
        if not self._reported.is_set():
            self._reported.set()
            # Imported late: it takes its time to load, for something that hardly ever happens.
            import logging

            log = logging.getLogger("deployer.loggers")
            if isinstance(error, OSError):
                # No fault of its code, but a full disk, or the like.
                log.error("%r cannot write: %s; what it misses is lost", self.logger, error)
            else:
                log.exception("The hook %r of the logger %r failed", hook, self.logger)


E = TypeVar("E", bound="Entry")


class LoggerInterface:
    """Where everything that happens is reported, for the loggers that are attached to it."""

    def __init__(self) -> None:
        # Replaced, never changed: reports read it without the lock.
        self._attachments: tuple[_Attachment, ...] = ()
        self._lock = threading.Lock()

    def attach(self, logger: Logger) -> None:
        """Let a logger see what begins from now on."""
        with self._lock:
            self._attachments += (_Attachment(logger),)

    def detach(self, logger: Logger) -> None:
        """Remove a logger; of what is under way, it still sees the end."""
        with self._lock:
            kept = tuple(a for a in self._attachments if a.logger is not logger)
            if len(kept) == len(self._attachments):
                raise ValueError(f"{logger!r} is not attached")
            self._attachments = kept

    @contextmanager
    def attached(self, logger: Logger) -> Iterator[None]:
        """Attach a logger for the length of a ``with`` block."""
        self.attach(logger)
        try:
            yield
        finally:
            self.detach(logger)

    @contextmanager
    def group(self, name: str, /, *args: Any, **kwargs: Any) -> Iterator[GroupEntry]:
        """Report what happens in the ``with`` block as one action."""
        from .entries import GroupEntry

        group = GroupEntry(name, _redact_all(args), _redact_all(kwargs))
        with self._report(group, "enter_group", "leave_group") as entry:
            yield entry

    @contextmanager
    def log_run(
        self,
        host: str,
        command: str,
        *,
        use_sudo: bool = False,
        user: str | None = None,
        sandbox: bool = False,
        interactive: bool = False,
        host_class: type[Host] | None = None,
    ) -> Iterator[RunEntry]:
        """Report a command; the caller sets ``entry.exit_status`` before the block ends."""
        from .entries import RunEntry

        run = RunEntry(
            host, redact(command), use_sudo, user, sandbox, interactive, host_class=host_class
        )
        with self._report(run, "start_run", "end_run") as entry:
            yield entry

    @contextmanager
    def log_file(
        self,
        host: str,
        path: str,
        *,
        mode: str,
        use_sudo: bool = False,
        sandbox: bool = False,
        is_directory: bool = False,
    ) -> Iterator[FileEntry]:
        """Report a file that is open, or a directory that is copied, during the ``with`` block."""
        from .entries import FileEntry

        file = FileEntry(host, redact(path), mode, use_sudo, sandbox, is_directory)
        with self._report(file, "start_file", "end_file") as entry:
            yield entry

    def fork(self, name: str) -> LoggerInterface:
        """Return an interface of its own for a part that runs beside others."""
        from .entries import ForkEntry

        entry = ForkEntry(name)
        forked = LoggerInterface()
        forked._attachments = tuple(a.fork(entry) for a in self._attachments)
        return forked

    def make_remote(self) -> tuple[Callable[[], Logger], ...]:
        """Return what makes the loggers that do the same in another process."""
        made = (attachment.logger.make_remote() for attachment in self._attachments)
        return tuple(each for each in made if each is not None)

    def log_exception(self, error: BaseException) -> None:
        """Report an exception."""
        self._call(self._attachments, "log_exception", error)

    def log_message(self, text: str) -> None:
        """Report a text."""
        self._call(self._attachments, "log_message", redact(text))

    def log_change(self, host: str, change: str, sandbox: bool = False) -> None:
        """Report what was changed on a host, as in ``"wrote /etc/motd"``, as a text."""
        # Imported once there is a change.
        from .. import printing

        # What shows the output of several hosts says by itself whose it is.
        name = "" if host == printing.get_owner() else f"{host} | "
        self.log_message(f"{name}{change}{'  (sandbox)' if sandbox else ''}")

    @contextmanager
    def _report(self, entry: E, start: str, end: str) -> Iterator[E]:
        # Whoever saw the beginning sees the end, whatever was attached or detached between.
        attachments = self._attachments
        self._call(attachments, start, entry)
        began = time.monotonic()
        try:
            yield entry
        except BaseException as error:
            entry.error = error
            raise
        finally:
            entry.duration = time.monotonic() - began
            self._call(attachments, end, entry)

    @staticmethod
    def _call(attachments: tuple[_Attachment, ...], hook: str, *args: object) -> None:
        for attachment in attachments:
            attachment.call(hook, *args)


class DummyLoggerInterface(LoggerInterface):
    """Reports to nobody: what is attached to it is ignored."""

    def attach(self, logger: Logger) -> None:
        """Ignore the logger."""

    def detach(self, logger: Logger) -> None:
        """Ignore the logger."""
