"""All exceptions of deployer.

::

    DeployerException
    ├── NodeDefinitionError          (TypeError)   a node class that cannot be made
    ├── NodeUsageError               (TypeError)   a node used in a way it cannot be
    ├── NoSuchCell                   (KeyError)    an array has no cell with this key
    ├── ActionException              an action failed
    │   └── ParallelActionException  cells of an array failed
    ├── QueryException               (AttributeError is never hidden in it)
    ├── NotBegun                     a part of a parallel run that others kept from beginning
    ├── JobStopped                   a part of a parallel run that somebody stopped
    ├── WorkerLost                   whether a part of a parallel run took place is unknown
    ├── NoInput                      a question without a default, and nobody to ask
    ├── Declined                     somebody was asked whether to run something, and said no
    ├── ExecCommandFailed            a command ended with another status than 0
    │   ├── CommandTimeout           it did not end in time
    │   └── ParallelExecCommandFailed  it failed on some of several hosts
    ├── SudoFailed                   sudo refused, before the command was run
    │   └── SudoAuthenticationFailed
    ├── RemoteFileError              (OSError)     a file on a host
    ├── LockHeld                     somebody else holds a lock on a host
    └── ConnectionFailedException
        ├── AuthenticationFailed
        ├── HostKeyError
        ├── ConnectionTimeout
        └── ConnectionLost           after it had been established
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .secret import redact, shown_command

if TYPE_CHECKING:
    from .host.result import RunResult

__all__ = [
    "ActionException",
    "AuthenticationFailed",
    "CommandTimeout",
    "ConnectionFailedException",
    "ConnectionLost",
    "ConnectionTimeout",
    "Declined",
    "DeployerException",
    "ExecCommandFailed",
    "HostKeyError",
    "JobStopped",
    "LockHeld",
    "NoInput",
    "NoSuchCell",
    "NodeDefinitionError",
    "NodeUsageError",
    "NotBegun",
    "ParallelActionException",
    "ParallelExecCommandFailed",
    "QueryException",
    "RemoteFileError",
    "SudoAuthenticationFailed",
    "SudoFailed",
    "WorkerLost",
]


class DeployerException(Exception):
    """The base of everything that deployer raises on purpose.

    Its text holds no secret, also where it quotes a command, its output or another exception.
    """

    def __str__(self) -> str:
        return redact(self._message())

    def _message(self) -> str:
        return BaseException.__str__(self)

    # The arguments are results and other exceptions, which say less than the message.
    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    # Pickled by what they hold: what many of them are made of is something else.
    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args), self.__dict__


class NodeDefinitionError(DeployerException, TypeError):
    """A node class cannot be made as it is written."""


class NodeUsageError(DeployerException, TypeError):
    """A node, an action or a host was used in a way that it cannot be."""


class NoSuchCell(DeployerException, KeyError):
    """An array of nodes has no cell with this key."""

    # A KeyError shows the repr of its message.
    def _message(self) -> str:
        return str(self.args[0])


class ActionException(DeployerException):
    """An action raised; ``inner_exception`` is what it raised, and also the ``__cause__``.

    Raised once, however deep the actions were nested; ``traceback`` is the traceback of the inner
    exception, from the action on.
    """

    def __init__(
        self, inner_exception: BaseException, traceback: TracebackType | str | None = None
    ) -> None:
        super().__init__(inner_exception, traceback)
        self.inner_exception = inner_exception
        self.traceback = traceback
        self.__cause__ = inner_exception

    def _message(self) -> str:
        return str(self.inner_exception) or type(self.inner_exception).__name__

    # A traceback cannot be pickled; its text can.
    def __reduce__(self) -> tuple[Any, ...]:
        inner, text = self.inner_exception, self.traceback
        if isinstance(text, TracebackType):
            # Imported late: hardly any are pickled.
            from traceback import format_tb

            text = "".join(format_tb(text))
        return _restore, (type(self), (inner, text), inner), {**self.__dict__, "traceback": text}


class ParallelActionException(ActionException):
    """Some cells of a parallel action failed; all that were begun have finished.

    ``results`` maps the cells that succeeded to their results, ``failures`` those that failed to
    their exceptions, and ``not_begun`` lists the cells that were left out because of these.
    ``result`` is the ParallelActionResult of those that succeeded, and ``inner_exception`` the
    first failure.

    :param was_shown: whether the failures were shown to a person while they happened.
    """

    def __init__(
        self,
        results: Mapping[Any, Any],
        failures: Mapping[Any, BaseException],
        names: Mapping[Any, str] | None = None,
        not_begun: Iterable[Any] = (),
        result: Any = None,
        was_shown: bool = False,
    ) -> None:
        first = next(iter(failures.values()))
        super().__init__(first, first.__traceback__)
        self.results = dict(results)
        self.failures = dict(failures)
        self.not_begun = list(not_begun)
        self.result = result
        self.was_shown = was_shown
        self._names = dict(names or {})

    @property
    def named_failures(self) -> dict[str, BaseException]:
        """The failures by the names of their cells."""
        return {self._names.get(cell, str(cell)): error for cell, error in self.failures.items()}

    @property
    def summary(self) -> str:
        """How many failed, in a line."""
        return _failure_summary(self.results, self.failures, self.not_begun)

    def _message(self) -> str:
        return _failure_lines(self.summary, self.named_failures)


class QueryException(DeployerException):
    """A query of a node could not be evaluated.

    ``node``, ``attr_name``, ``query`` and ``inner_exception`` say which and why; ``filename`` and
    ``line`` where the query was written.
    """

    def __init__(
        self,
        node: object,
        attr_name: str,
        query: object,
        inner_exception: BaseException,
        filename: str | None = None,
        line: int | None = None,
    ) -> None:
        super().__init__(node, attr_name, query, inner_exception)
        self.node = node
        self.attr_name = attr_name
        self.query = query
        self.inner_exception = inner_exception
        self.filename = filename
        self.line = line
        self.__cause__ = inner_exception

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.args, self.inner_exception), self.__dict__

    def _message(self) -> str:
        where = f" ({self.filename}, line {self.line})" if self.filename else ""
        reason = f"{type(self.inner_exception).__name__}: {self.inner_exception}"
        return f"{self.node!r}.{self.attr_name} = {self.query!r}{where} failed: {reason}"


class NotBegun(DeployerException):
    """A part of a parallel run was not begun, because of others that had failed."""


class JobStopped(DeployerException):
    """A part of a parallel run was stopped by the person who watched it."""


class WorkerLost(DeployerException):
    """What ran a part of a parallel run is gone: whether that took place is unknown."""


class NoInput(DeployerException):
    """A question has no default, and there is nobody to answer it."""


class Declined(DeployerException):
    """Somebody was asked whether to run something, and said no. Nothing was run."""


class ExecCommandFailed(DeployerException):
    """A command on a host failed; ``result`` holds its output and status."""

    def __init__(self, result: RunResult) -> None:
        super().__init__(result)
        self.result = result

    @property
    def command(self) -> str:
        """The command as it was passed to ``run``."""
        return self.result.command

    @property
    def host(self) -> str:
        """The slug of the host."""
        return self.result.host

    @property
    def exit_status(self) -> int | None:
        """The exit status, or None when the command was ended by a signal."""
        return self.result.exit_status

    @property
    def use_sudo(self) -> bool:
        """Whether the command ran under sudo."""
        return self.result.use_sudo

    def _message(self) -> str:
        result = self.result
        how = "sudo " if result.use_sudo else ""
        ended = (
            f"was ended by the signal {result.exit_signal}"
            if result.exit_signal
            else f"failed with exit status {result.exit_status}"
        )
        return f"{result.host}: {how}{shown_command(result.command)} {ended}{_last_lines(result)}"


class CommandTimeout(ExecCommandFailed):
    """A command did not end in time; it was ended, and ``result`` holds what it printed so far."""

    def __init__(self, result: RunResult, timeout: float) -> None:
        super().__init__(result)
        self.timeout = timeout

    def _message(self) -> str:
        result = self.result
        return (
            f"{result.host}: {shown_command(result.command)} did not end within "
            f"{self.timeout:g} seconds and was stopped; pass a longer timeout if it needs more"
            f"{_last_lines(result)}"
        )


class ParallelExecCommandFailed(ExecCommandFailed):
    """A command failed on some of the hosts it was run on; it has ended wherever it was begun.

    ``results`` maps the slug of each host where it succeeded to its result, ``failures`` those
    where it failed to their exceptions, and ``not_begun`` lists the ones that were left out
    because of these. ``result``, ``command``, ``host`` and ``exit_status`` are the ones of the
    first failing command.

    :param was_shown: whether the failures were shown to a person while they happened.
    """

    def __init__(
        self,
        results: Mapping[str, Any],
        failures: Mapping[str, BaseException],
        first: RunResult,
        not_begun: Iterable[str] = (),
        was_shown: bool = False,
    ) -> None:
        super().__init__(first)
        self.results = dict(results)
        self.failures = dict(failures)
        self.not_begun = list(not_begun)
        self.was_shown = was_shown

    @property
    def named_failures(self) -> dict[str, BaseException]:
        """The failures by the names of their hosts."""
        return self.failures

    @property
    def summary(self) -> str:
        """How many failed, in a line."""
        return _failure_summary(self.results, self.failures, self.not_begun)

    def _message(self) -> str:
        return _failure_lines(self.summary, self.failures)


class SudoFailed(DeployerException):
    """sudo refused, so that the command was not run."""


class SudoAuthenticationFailed(SudoFailed):
    """sudo wants a password, and the one it got is wrong, or there is none."""


class RemoteFileError(DeployerException, OSError):
    """A file on a host could not be read or written; ``errno`` is set where it is known."""

    def __init__(self, message: str, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno
        self._text = message

    def _message(self) -> str:
        return self._text

    # An OSError keeps its errno elsewhere.
    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._text, self.errno), self.__dict__


class LockHeld(DeployerException):
    """A lock on a host is not free; ``host``, ``path``, ``holder``, ``since``, ``reason`` say more.

    ``holder`` is ``USER@MACHINE``, and ``since`` the time in ISO 8601, by the clock there.
    """

    def __init__(
        self, message: str, *, host: str, path: str, holder: str, since: str, reason: str
    ) -> None:
        super().__init__(message)
        self.host = host
        self.path = path
        self.holder = holder
        self.since = since
        self.reason = reason


class ConnectionFailedException(DeployerException):
    """There is no connection to a host."""


class AuthenticationFailed(ConnectionFailedException):
    """The host accepted none of the credentials."""


class HostKeyError(ConnectionFailedException):
    """The host's key is not the known one, is revoked, or is unknown and may not be accepted."""


class ConnectionTimeout(ConnectionFailedException):
    """The host did not answer in time."""


class ConnectionLost(ConnectionFailedException):
    """The connection broke while it was used; ``result`` holds what had arrived, if anything."""

    def __init__(self, message: str, result: RunResult | None = None) -> None:
        super().__init__(message)
        self.result = result


def _restore(
    kind: type[DeployerException], args: tuple[Any, ...], cause: BaseException | None = None
) -> DeployerException:
    error = kind.__new__(kind, *args)
    if cause is not None:
        error.__cause__ = cause
    return error


def _last_lines(result: RunResult, count: int = 5) -> str:
    """Return the last lines that a command printed, as an indented block for a message."""
    lines = (result.stderr or result.stdout).rstrip().splitlines()[-count:]
    return "".join(f"\n    {line}" for line in lines)


def _failure_summary(succeeded: Sized, failed: Sized, not_begun: Sized) -> str:
    all_hosts = len(succeeded) + len(failed) + len(not_begun)
    left_out = f", and not begun on {len(not_begun)}" if not_begun else ""
    return f"failed on {len(failed)} of {all_hosts} hosts{left_out}:"


def _failure_lines(summary: str, failures: Mapping[str, BaseException]) -> str:
    lines = [summary]
    for name, error in failures.items():
        # Most messages begin with the host already.
        message = (str(error) or type(error).__name__).removeprefix(f"{name}: ")
        lines.append(f"  {name}: " + message.replace("\n", "\n  "))
    return "\n".join(lines)
