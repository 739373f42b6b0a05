"""What a command on a host has given."""

from __future__ import annotations

__all__ = ["RunResult"]


class RunResult(str):
    """The output of a command: a ``str`` of what it printed on stdout, with the rest beside it.

    In a pty, where both streams arrive as one, it is all that the command printed. Newlines are
    ``\\n``. Bytes that are no UTF-8 are kept as surrogate escapes:
    ``result.encode(errors="surrogateescape")`` gives them back.
    """

    __slots__ = (
        "command",
        "duration",
        "exit_signal",
        "exit_status",
        "host",
        "stderr",
        "use_sudo",
        "was_shown",
    )

    #: What the command printed on stderr; empty in a pty.
    stderr: str
    #: The exit status; None when the command was ended by a signal, or was stopped.
    exit_status: int | None
    #: The name of the signal that ended it, without ``SIG`` (``'KILL'``); None otherwise. SSH has
    #: names for the usual ones only; sshd calls all others ``SIG@openssh.com``.
    exit_signal: str | None
    #: The command as it was passed to ``run``.
    command: str
    #: The slug of the host.
    host: str
    #: Whether it ran under sudo.
    use_sudo: bool
    #: Seconds from the start to the end.
    duration: float
    #: Whether the output went to the terminal while it arrived.
    was_shown: bool

    def __new__(
        cls,
        stdout: str = "",
        *,
        stderr: str = "",
        exit_status: int | None = 0,
        exit_signal: str | None = None,
        command: str = "",
        host: str = "",
        use_sudo: bool = False,
        duration: float = 0.0,
        was_shown: bool = False,
    ) -> RunResult:
        self = super().__new__(cls, stdout)
        self.stderr = stderr
        self.exit_status = exit_status
        self.exit_signal = exit_signal
        self.command = command
        self.host = host
        self.use_sudo = use_sudo
        self.duration = duration
        self.was_shown = was_shown
        return self

    @property
    def stdout(self) -> str:
        """The same text as a plain ``str``."""
        return str(self)

    def with_stdout(self, text: str) -> RunResult:
        """Return the same result with another stdout."""
        return _restore(text, {name: getattr(self, name) for name in self.__slots__})

    @property
    def ok(self) -> bool:
        """Whether the exit status is 0."""
        return self.exit_status == 0

    def __reduce__(self) -> tuple[object, ...]:
        state = {name: getattr(self, name) for name in self.__slots__}
        return _restore, (str(self), state)


def _restore(stdout: str, state: dict[str, object]) -> RunResult:
    return RunResult(stdout, **state)  # type: ignore[arg-type]
