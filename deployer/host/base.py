"""What every host can do, however it is reached."""

from __future__ import annotations

import abc
import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from ..exceptions import ExecCommandFailed
from ..secret import Secret
from .file_access import FileAccess
from .forwarding import PortForwarding
from .result import RunResult

# The rest is imported by the methods that need it: every script defines hosts, also one that is
# asked for ``--help`` only. What runs a command is all in ``execution``.
if TYPE_CHECKING:
    from ..loggers import LoggerInterface
    from ..pseudo_terminal import Pty
    from ..utils.network import IfConfig
    from .channel import Channel
    from .command import HostContext
    from .command_stream import CommandStream
    from .credentials import Account
    from .files import Stat
else:

    def __getattr__(name: str) -> Any:
        """Return one of the names in ``__all__`` that no host needs before it is used."""
        if name == "HostContext":
            from .command import HostContext as found
        elif name == "Stat":
            from .files import Stat as found
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return found


__all__ = ["Host", "HostContext", "RunResult", "Stat"]

H = TypeVar("H", bound="Host")


class Host(FileAccess, PortForwarding):
    """A machine that commands run on. Subclass :class:`~deployer.host.ssh.SSHHost` or
    :class:`~deployer.host.local.LocalHost`.

    The class is the host: its attributes say how to reach it, and its subclasses share them. An
    instance is one user's view of it, in one thread, with a context (directory, prefixes,
    environment) of its own.

    :param pty: where output is shown, and keys come from; nowhere by default.
    :param logger: who is told what runs.
    :param is_sandbox: check the syntax of commands instead of running them, and write no files.
    """

    #: The name of the host in output, logs and isolation; the name of the class by default.
    slug = "host"
    #: Where it is.
    address: ClassVar[str | None] = None
    #: The password of the user, for logging in and for sudo: a text, a function without arguments
    #: that returns one and is called when it is first needed, or None to ask for it at the
    #: terminal, once for each user and host.
    password: ClassVar[str | Secret | Callable[[], str | Secret] | None] = None
    #: The shell that runs commands, as a path; None is the user's login shell. Name a POSIX one
    #: (``'/bin/sh'``) where the login shell is another kind: in fish and csh, ``env``, ``prefix``
    #: and directories with odd names may not work without.
    shell: ClassVar[str | None] = None
    #: Whether there is a connection to it, which is kept.
    is_remote: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "slug" not in vars(cls):
            cls.slug = cls.__name__

    def __init__(
        self,
        pty: Pty | None = None,
        logger: LoggerInterface | None = None,
        is_sandbox: bool = False,
    ) -> None:
        from ..loggers import DummyLoggerInterface
        from ..pseudo_terminal import DummyPty
        from .command import HostContext

        self.pty = pty if pty is not None else DummyPty(keeps_output=False)
        self.logger = logger if logger is not None else DummyLoggerInterface()
        self.is_sandbox = is_sandbox
        self._context = HostContext()
        # Hidden from now on, wherever it stands; what has to be computed, from when it is needed.
        if isinstance(given := type(self).password, str):
            Secret(given)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.slug!r} at {self.address}>"

    def copy(self: H, pty: Pty | None = None, logger: LoggerInterface | None = None) -> H:
        """Return the host in the same context, for another terminal or thread."""
        host = type(self)(pty or self.pty, logger or self.logger, self.is_sandbox)
        host._context = self._context
        return host

    @classmethod
    def close_connection(cls) -> None:
        """Close the connection of this host, if there is one; the next use opens it again."""

    # What a kind of host has to supply.

    @classmethod
    @abc.abstractmethod
    def get_username(cls) -> str:
        """Return the name of the user that commands run as."""

    @abc.abstractmethod
    def _open_channel(self, line: str, in_pty: bool) -> AbstractContextManager[Channel]:
        """Start a shell line, and give its channel."""

    def _execute(self, command: str, **options: Any) -> RunResult:
        """Carry out a command, and return what it gave; see :func:`~.execution.execute`."""
        from . import execution

        return execution.execute(self, command, **options)

    def _wants_terminal(self, silent: bool) -> bool:
        """Whether a command runs in a terminal when its caller does not say."""
        return self.pty.is_interactive and not silent

    @contextmanager
    def _beside(self) -> Iterator[Host]:
        """Give the host for a command of ours that must not wait for the others."""
        yield type(self)()

    # The connection.

    def connect(self) -> None:
        """Open the connection, if it is not open; nothing to do for a host without one."""

    @classmethod
    def abort_connection(cls) -> None:
        """Close the connection at once; nothing to do for a host without one."""

    # The context.

    @property
    def context(self) -> HostContext:
        """The directory, prefixes and environment that the next command gets."""
        return self._context

    @contextmanager
    def _in_context(self, context: HostContext) -> Iterator[None]:
        before = self._context
        self._context = context
        try:
            yield
        finally:
            self._context = before

    def take_context(self, other: Host) -> None:
        """Enter the context of another host, unless that is in none."""
        from .command import HostContext

        if other._context != HostContext():
            self._context = other._context

    def cd(self, path: str, expand: bool = True) -> AbstractContextManager[None]:
        """Run what is in the ``with`` block in another directory.

        Relative paths start in the directory of the surrounding ``cd``. The path is literal, but
        for a leading ``~`` or ``~user``.

        :param expand: False to take a leading tilde literally as well.
        """
        from .arguments import check_text

        check_text(self.slug, "the path", path)
        return self._in_context(self._context.with_path(path, expand))

    def prefix(self, command: str) -> AbstractContextManager[None]:
        """Run a command (``'. bin/activate'``) before each command of the ``with`` block.

        It runs in the same shell; when it fails, the command is not run.
        """
        from .arguments import check_text

        check_text(self.slug, "the prefix", command)
        return self._in_context(self._context.with_prefix(command))

    def env(self, name: str, value: str, escape: bool = True) -> AbstractContextManager[None]:
        """Set an environment variable for the commands of the ``with`` block.

        Other users of the host can see it while a command runs: it is no place for secrets.

        :param escape: False to have the shell expand ``$NAME`` and ``$(command)`` in the value.
        """
        from .arguments import check_text

        check_text(self.slug, f"the value of {name}", value)
        return self._in_context(self._context.with_variable(name, value, escape))

    # Commands.

    def run(
        self,
        command: str,
        use_sudo: bool = False,
        sandbox: bool = False,
        interactive: bool | None = None,
        user: str | None = None,
        ignore_exit_status: bool = False,
        initial_input: str | bytes | None = None,
        silent: bool = False,
        timeout: float | None = None,
    ) -> RunResult:
        """Return what the command printed; raise ExecCommandFailed unless its exit status is 0.

        :param command: a line (or a script) for the shell.
        :param use_sudo: run it under sudo, as root or as ``user``.
        :param sandbox: only check its syntax.
        :param interactive: run it in a terminal, with the keyboard and the window of ours. None
            does so when there is a person at ours; False keeps stdout and stderr apart.
        :param user: the user to run it as, under sudo, with that user's home.
        :param ignore_exit_status: return the result whatever the exit status is.
        :param initial_input: what the command reads first; away from a terminal, all it reads.
        :param silent: do not show the output.
        :param timeout: seconds after which the command is ended, with CommandTimeout. All that it
            started ends with it, but for what left its session (``setsid``).
        """
        from .arguments import check_input, check_text

        check_text(self.slug, "the command", command)
        check_input(self.slug, initial_input)
        sandbox = sandbox or self.is_sandbox
        use_sudo = use_sudo or user is not None
        if interactive is None:
            interactive = self._wants_terminal(silent)
        if sandbox:
            interactive = False
        with self.logger.log_run(
            self.slug,
            command,
            use_sudo=use_sudo,
            user=user,
            sandbox=sandbox,
            interactive=interactive,
            host_class=type(self),
        ) as entry:
            result = self._execute(
                command,
                # To be who one is takes no sudo: it may not be allowed, or not be there.
                sudo=use_sudo and (user or "root") != self.get_username(),
                reported_sudo=use_sudo,
                sandbox=sandbox,
                in_pty=interactive,
                user=user,
                initial_input=initial_input,
                silent=silent,
                timeout=timeout,
            )
            entry.exit_status = result.exit_status
        if not result.ok and not ignore_exit_status:
            raise ExecCommandFailed(result)
        return result

    def sudo(
        self,
        command: str,
        sandbox: bool = False,
        interactive: bool | None = None,
        user: str | None = None,
        ignore_exit_status: bool = False,
        initial_input: str | bytes | None = None,
        silent: bool = False,
        timeout: float | None = None,
    ) -> RunResult:
        """Run a command as root, or as ``user``; see :meth:`run`."""
        return self.run(
            command,
            True,
            sandbox,
            interactive,
            user,
            ignore_exit_status,
            initial_input,
            silent,
            timeout,
        )

    def start_interactive_shell(
        self,
        command: str | None = None,
        initial_input: str | bytes | None = None,
        use_sudo: bool = False,
    ) -> None:
        """Hand the terminal to a shell on the host (or to ``command``) until it ends.

        :param use_sudo: run it as root.
        """
        shell = shlex.quote(self.shell) if self.shell else '"$SHELL"'
        self.run(
            command or f"exec {shell} -i",
            use_sudo=use_sudo,
            interactive=True,
            ignore_exit_status=True,
            initial_input=initial_input,
        )

    def has_command(self, name: str) -> bool:
        """Return whether a shell on the host finds a command of this name."""
        host = self.copy()
        host.is_sandbox = False
        command = f"command -v {shlex.quote(name)}"
        return host.run(command, interactive=False, ignore_exit_status=True, silent=True).ok

    def run_unseen(
        self,
        command: str,
        use_sudo: bool = False,
        user: str | None = None,
        ignore_exit_status: bool = False,
        timeout: float | None = None,
    ) -> RunResult:
        """Run a command for what it prints: nothing of it is shown or logged.

        It is for questions that change nothing: it runs in a sandbox, too, and outside of the
        context. What a start-up file of the login shell prints is left out. Otherwise as
        :meth:`run`.
        """
        host = type(self)(self.pty)
        mark = f"deployer-{os.urandom(12).hex()}"
        with host.prefix(f"printf %s {mark}"):
            result = host.run(
                command,
                use_sudo=use_sudo,
                user=user,
                interactive=False,
                silent=True,
                ignore_exit_status=True,
                timeout=timeout,
            )
        result = result.with_stdout(result.partition(mark)[2])
        if not result.ok and not ignore_exit_status:
            raise ExecCommandFailed(result)
        return result

    def _stream_as_root(self, command: str) -> AbstractContextManager[CommandStream]:
        from . import execution

        return execution.stream_as_root(self, command)

    @classmethod
    def _account(cls) -> Account:
        """Return whose password ``password`` is."""
        from .credentials import Account

        return Account(cls.get_username(), cls.address or cls.slug)

    # The network.

    def ifconfig(self) -> IfConfig:
        """Return the network interfaces of the host."""
        from ..utils.network import parse_ifconfig_output

        # Not in everybody's PATH; and either of the two may be missing.
        path = "PATH=$PATH:/sbin:/usr/sbin"
        return parse_ifconfig_output(
            self.run_unseen(f"{path}; ip addr show 2>/dev/null || ifconfig -a")
        )

    def get_ip_address(self, interface: str = "eth0") -> str | None:
        """Return the IPv4 address of an interface; None when it has none.

        :raises LookupError: when there is no such interface; it lists those that there are.
        """
        return self.ifconfig().get_interface(interface).ip
