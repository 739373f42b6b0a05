"""What every host can do, however it is reached."""

from __future__ import annotations

import abc
import io
import posixpath
import re
import shlex
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from typing import Any, BinaryIO, ClassVar, TypeVar

from ..exceptions import (
    CommandTimeout,
    ConnectionLost,
    ExecCommandFailed,
    RemoteFileError,
    SudoAuthenticationFailed,
    SudoFailed,
)
from ..loggers import DummyLoggerInterface, LoggerInterface
from ..pseudo_terminal import DummyPty, Pty
from ..utils.network import IfConfig, parse_ifconfig_output
from . import interaction
from .channel import Channel
from .command import HostContext, build, join_path
from .files import (
    AtomicWriter,
    FileSystem,
    LocalFileSystem,
    RemoteFile,
    Stat,
    SudoWriter,
    Writer,
    copy_stream,
    file_errors,
)
from .result import RunResult
from .sudo import SudoDialogue, new_prompt

__all__ = ["Host", "HostContext", "RunResult", "Stat"]

H = TypeVar("H", bound="Host")


class Host(abc.ABC):
    """A machine that commands run on. Subclass :class:`SSHHost` or :class:`LocalHost`.

    The class is the host: its attributes say how to reach it, and its subclasses share them. An
    instance is one user's view of it, in one thread, with a context (directory, prefixes,
    environment) of its own.

    :param pty: where output is shown, and keys come from; nowhere by default.
    :param logger: who is told what runs.
    :param is_sandbox: check the syntax of commands instead of running them, and write no files.
    """

    #: The name of the host in output, logs and isolation; the name of the class by default.
    slug: ClassVar[str] = "host"
    #: Where it is.
    address: ClassVar[str | None] = None
    #: The password of the user, for logging in and for sudo.
    password: ClassVar[str | None] = None
    #: The shell that runs commands, as a path; None is the user's login shell. Name a POSIX one
    #: where the login shell is another kind (fish, csh).
    shell: ClassVar[str | None] = None

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
        self.pty = pty if pty is not None else DummyPty()
        self.logger = logger if logger is not None else DummyLoggerInterface()
        self.is_sandbox = is_sandbox
        self._context = HostContext()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.slug!r} at {self.address}>"

    def copy(self: H, pty: Pty | None = None, logger: LoggerInterface | None = None) -> H:
        """Return the host in the same context, for another terminal or thread."""
        host = type(self)(pty or self.pty, logger or self.logger, self.is_sandbox)
        host._context = self._context
        return host

    # What a kind of host has to supply.

    @classmethod
    @abc.abstractmethod
    def get_username(cls) -> str:
        """Return the name of the user that commands run as."""

    @abc.abstractmethod
    def _open_channel(self, line: str, in_pty: bool) -> AbstractContextManager[Channel]:
        """Start a shell line, and give its channel."""

    @abc.abstractmethod
    def _open_files(self) -> AbstractContextManager[FileSystem]:
        """Give the host's files."""

    @abc.abstractmethod
    def _session_directory(self) -> str:
        """Return the absolute path of the directory where commands start."""

    @abc.abstractmethod
    def get_home_directory(self, username: str | None = None) -> str:
        """Return the home directory of a user; that of the login user by default."""

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

    def cd(self, path: str, expand: bool = True) -> AbstractContextManager[None]:
        """Run what is in the ``with`` block in another directory.

        Relative paths start in the directory of the surrounding ``cd``. The path is literal, but
        for a leading ``~`` or ``~user``.

        :param expand: False to take a leading tilde literally as well.
        """
        return self._in_context(self._context.with_path(path, expand))

    def prefix(self, command: str) -> AbstractContextManager[None]:
        """Run a command (``'. bin/activate'``) before each command of the ``with`` block.

        It runs in the same shell; when it fails, the command is not run.
        """
        return self._in_context(self._context.with_prefix(command))

    def env(self, name: str, value: str, escape: bool = True) -> AbstractContextManager[None]:
        """Set an environment variable for the commands of the ``with`` block.

        Other users of the host can see it while a command runs: it is no place for secrets.

        :param escape: False to have the shell expand ``$NAME`` and ``$(command)`` in the value.
        """
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
        :param timeout: seconds after which the command is ended, with CommandTimeout.
        """
        sandbox = sandbox or self.is_sandbox
        use_sudo = use_sudo or user is not None
        if interactive is None:
            interactive = self.pty.is_interactive and not silent
        if sandbox:
            interactive = False
        with self.logger.log_run(
            self.slug,
            command,
            use_sudo=use_sudo,
            user=user,
            sandbox=sandbox,
            interactive=interactive,
        ) as entry:
            result = self._execute(
                command,
                # Root needs no sudo to be root, and a small system may have none.
                sudo=use_sudo and not (user in (None, "root") and self.get_username() == "root"),
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
        self, command: str | None = None, initial_input: str | bytes | None = None
    ) -> None:
        """Hand the terminal to a shell on the host (or to ``command``) until it ends."""
        shell = shlex.quote(self.shell) if self.shell else '"$SHELL"'
        self.run(
            command or f"exec {shell} -i",
            interactive=True,
            ignore_exit_status=True,
            initial_input=initial_input,
        )

    def has_command(self, name: str) -> bool:
        """Whether a shell on the host finds a command of this name."""
        found = self._ask(f"command -v {shlex.quote(name)}", ignore_exit_status=True)
        return found.ok

    def _ask(self, command: str, **options: Any) -> RunResult:
        """Run a command of ours, for its output."""
        return self.run(command, interactive=False, silent=True, **options)

    def _execute(
        self,
        command: str,
        *,
        sudo: bool,
        reported_sudo: bool,
        sandbox: bool,
        in_pty: bool,
        user: str | None,
        initial_input: str | bytes | None,
        silent: bool,
        timeout: float | None,
    ) -> RunResult:
        prompt = new_prompt() if sudo and not sandbox else None
        line = build(
            self._context,
            command,
            sandbox=sandbox,
            sudo=prompt,
            user=user,
            password_from_stdin=not in_pty,
            shell=self.shell,
        )
        answer = None
        if prompt is not None:
            answer = interaction.SudoAnswer(
                SudoDialogue(prompt),
                self._sudo_password(),
                f"[sudo] password for {self.get_username()} on {self.slug}: ",
            )
        text_input = b"" if initial_input is None else _as_bytes(initial_input)
        exchange = interaction.Exchange()
        begun = time.monotonic()

        def result() -> RunResult:
            stdout = b"".join(exchange.stdout)
            if in_pty:
                stdout = stdout.replace(b"\r\n", b"\n")
            return RunResult(
                stdout.decode(errors="surrogateescape"),
                stderr=b"".join(exchange.stderr).decode(errors="surrogateescape"),
                exit_status=exchange.exit_status,
                exit_signal=exchange.exit_signal,
                command=command,
                host=self.slug,
                use_sudo=reported_sudo,
                duration=time.monotonic() - begun,
            )

        with self._open_channel(line, in_pty) as channel:
            try:
                interaction.run(
                    channel,
                    self.pty,
                    exchange,
                    in_pty=in_pty,
                    initial_input=text_input,
                    silent=silent,
                    timeout=timeout,
                    sudo=answer,
                )
            except interaction.TimedOut:
                assert timeout is not None
                raise CommandTimeout(result(), timeout) from None
            except interaction.SudoRefused:
                raise SudoAuthenticationFailed(self._sudo_refusal(command)) from None
        ended = result()
        if ended.exit_status is None and ended.exit_signal is None:
            raise ConnectionLost(
                f"{self.slug}: the connection to {self.address} was lost while {command!r} ran; "
                "whether it did its work is unknown",
                ended,
            )
        if not exchange.started and not ended.ok:
            said = (ended.stderr or ended.stdout).strip() or f"exit status {ended.exit_status}"
            raise SudoFailed(f"{self.slug}: sudo did not run {command!r}: {said}")
        return ended

    def _sudo_password(self) -> bytes | None:
        if self.password is None:
            return None
        if "\n" in self.password:
            raise ValueError(f"{self.slug}: the password has a newline in it; sudo reads one line")
        return self.password.encode()

    def _sudo_refusal(self, command: str) -> str:
        who = f"{self.get_username()} on {self.address}"
        if self.password is None:
            return (
                f"{self.slug}: sudo wants a password for {who} to run {command!r}, and the host "
                "has none: set `password` in its class, or allow it with NOPASSWD in sudoers"
            )
        return (
            f"{self.slug}: sudo refused the password of {who} for {command!r}; it was tried once: "
            "correct `password` in the host's class"
        )

    # Paths and files.

    def getcwd(self) -> str:
        """Return the absolute path of the directory that commands run in."""
        return self.expand_path(".")

    def expand_path(self, path: str, expand: bool = True) -> str:
        """Return the absolute path of ``path``, seen from the current directory.

        :param expand: False to take a leading tilde literally.
        """
        path = join_path(self._context.path, path, expand)
        if path.startswith("~"):
            user, slash, rest = path[1:].partition("/")
            path = self.get_home_directory(user or None).rstrip("/") + slash + rest
        elif not path.startswith("/"):
            path = posixpath.join(self._session_directory(), path)
        # Not `a/..`: that is another directory where `a` is a symlink.
        return re.sub(r"/(\./)+|/+", "/", path).removesuffix("/.") or "/"

    def _home_of(self, username: str, found: str) -> str:
        if not found.startswith("/"):
            raise RemoteFileError(f"{self.slug}: there is no user {username!r} on {self.address}")
        return found

    def open(self, path: str, mode: str | None = None, use_sudo: bool = False) -> RemoteFile:
        """Open a file on the host, as Python's own ``open`` does.

        Without a mode, the first use decides: writing replaces the file, reading reads it. Text
        is UTF-8. What is written becomes visible at ``close``, whole, or not at all; the file
        keeps its mode and owner, and a symlink stays one.

        :param mode: ``r``, ``w``, ``a`` or ``x``, with ``b`` for bytes.
        :param use_sudo: read or write as root; ``~`` stays the home of the login user. A new file
            belongs to root and has the mode 644.
        :raises RemoteFileError: also from the methods of the file.
        """
        return RemoteFile(
            path,
            mode,
            partial(self._open_reader, path, use_sudo),
            partial(self._open_writer, path, use_sudo, None),
            partial(file_errors, self.slug, path, "read or write" if mode is None else _verb(mode)),
        )

    def _open_reader(self, path: str, use_sudo: bool, stack: ExitStack) -> BinaryIO:
        stack.enter_context(
            self.logger.log_file(
                self.slug, path, mode="r", use_sudo=use_sudo, sandbox=self.is_sandbox
            )
        )
        with file_errors(self.slug, path, "read"):
            full_path = self.expand_path(path)
            if use_sudo:
                return io.BytesIO(self._read_as_root(full_path))
            files = stack.enter_context(self._open_files())
            if files.stat(full_path).is_dir:
                raise IsADirectoryError(21, "it is a directory")
            return files.open(full_path, "rb")

    def _read_as_root(self, path: str) -> bytes:
        try:
            content = self._outside()._ask(f"cat -- {shlex.quote(path)}", use_sudo=True)
        except ExecCommandFailed as error:
            raise OSError(error.result.stderr.strip()) from error
        return content.encode(errors="surrogateescape")

    def _open_writer(
        self,
        path: str,
        use_sudo: bool,
        new_mode: int | None,
        stack: ExitStack,
        append: bool,
        exclusive: bool,
    ) -> Writer:
        stack.enter_context(
            self.logger.log_file(
                self.slug, path, mode="w", use_sudo=use_sudo, sandbox=self.is_sandbox
            )
        )
        if self.is_sandbox:
            return _Nowhere()
        with file_errors(self.slug, path, "write"):
            full_path = self.expand_path(path)
            files = stack.enter_context(self._open_files())
            options: dict[str, Any] = {
                "append": append,
                "exclusive": exclusive,
                "new_mode": new_mode,
            }
            if use_sudo:
                return SudoWriter(files, full_path, self._run_as_root, **options)
            return AtomicWriter(files, full_path, **options)

    def _run_as_root(self, script: str) -> None:
        try:
            self._outside()._ask(f"/bin/sh -c {shlex.quote(script)}", use_sudo=True)
        except ExecCommandFailed as error:
            raise OSError(error.result.stderr.strip()) from error

    def _outside(self: H) -> H:
        """Return the host without a context, and without reporting what is part of a file."""
        return type(self)(self.pty, DummyLoggerInterface(), self.is_sandbox)

    def put_file(self, local_path: str, remote_path: str, use_sudo: bool = False) -> None:
        """Copy a local file to the host; a directory as target takes it under its own name.

        A new file gets the permissions of the local one.
        """
        here = LocalFileSystem()
        with file_errors("this machine", local_path, "read"):
            source = here.open(local_path, "rb")
        with source, ExitStack() as stack:
            if self._is_directory(remote_path):
                remote_path = posixpath.join(remote_path, posixpath.basename(local_path))
            with file_errors(self.slug, remote_path, "write"):
                writer = self._open_writer(
                    remote_path, use_sudo, here.stat(local_path).permissions, stack, False, False
                )
                _transfer(source, writer)

    def get_file(self, remote_path: str, local_path: str, use_sudo: bool = False) -> None:
        """Copy a file of the host here; a directory as target takes it under its own name."""
        here = LocalFileSystem()
        with suppress(OSError):
            if here.stat(local_path).is_dir:
                local_path = posixpath.join(local_path, posixpath.basename(remote_path))
        with ExitStack() as stack:
            source = stack.enter_context(self._open_reader(remote_path, use_sudo, stack))
            with file_errors("this machine", local_path, "write"):
                writer = AtomicWriter(here, local_path)
            with file_errors(self.slug, remote_path, f"copy to {local_path}:"):
                _transfer(source, writer)

    def _is_directory(self, path: str) -> bool:
        with suppress(RemoteFileError):
            return self.stat(path).is_dir
        return False

    def stat(self, path: str) -> Stat:
        """Return what is known of a file; of the one that it leads to, for a symlink."""
        with file_errors(self.slug, path, "stat"), self._open_files() as files:
            return files.stat(self.expand_path(path))

    def listdir(self, path: str = ".") -> list[str]:
        """Return the names in a directory, sorted."""
        return [found.filename for found in self.listdir_stat(path)]

    def listdir_stat(self, path: str = ".") -> list[Stat]:
        """Return what is known of all files in a directory, sorted by name."""
        with file_errors(self.slug, path, "list"), self._open_files() as files:
            return sorted(files.listdir(self.expand_path(path)), key=lambda found: found.filename)

    def exists(self, path: str, use_sudo: bool = False) -> bool:
        """Whether there is a file or directory; a symlink that leads nowhere is none.

        :param use_sudo: look as root.
        """
        if use_sudo:
            command = f"test -e {shlex.quote(self.expand_path(path))}"
            return self._outside()._ask(command, use_sudo=True, ignore_exit_status=True).ok
        with file_errors(self.slug, path, "look for"), self._open_files() as files:
            try:
                files.stat(self.expand_path(path))
            except (FileNotFoundError, NotADirectoryError):
                return False
            return True

    # The network.

    def ifconfig(self) -> IfConfig:
        """Return the network interfaces of the host."""
        # Not in everybody's PATH; and either of the two may be missing.
        with self.env("PATH", "$PATH:/sbin:/usr/sbin", escape=False):
            return parse_ifconfig_output(self._ask("ip addr show 2>/dev/null || ifconfig -a"))

    def get_ip_address(self, interface: str = "eth0") -> str | None:
        """Return the IPv4 address of an interface; None when it has none."""
        return self.ifconfig().get_interface(interface).ip


class _Nowhere:
    """Where a sandbox writes."""

    def write(self, data: bytes) -> None:
        pass

    def commit(self) -> None:
        pass

    def abort(self) -> None:
        pass


def _transfer(source: BinaryIO, writer: Writer) -> None:
    try:
        copy_stream(source, writer.write)
    except BaseException:
        writer.abort()
        raise
    writer.commit()


def _as_bytes(text: str | bytes) -> bytes:
    return text.encode(errors="surrogateescape") if isinstance(text, str) else text


def _verb(mode: str) -> str:
    return "read" if "r" in mode else "write"
