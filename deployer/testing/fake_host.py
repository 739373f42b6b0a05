"""A host that nothing is run on: it answers what a test has scripted, and keeps files in memory."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, NoReturn, ParamSpec, TypeVar

from ..exceptions import NodeUsageError
from ..host.base import Host
from ..host.command import build
from ..host.credentials import Account
from ..host.result import RunResult
from ..host.sudo import new_prompt
from ..loggers import LoggerInterface
from ..secret import redact, shown_command
from ..streams import write_text
from ..utils.network import IfConfig, NetworkInterface
from ..utils.string_utils import abbreviate
from . import file_commands
from .answers import Answer, Answers, Script
from .hints import note_run
from .memory_files import FileTexts, MemoryFiles
from .recorded_run import Pattern, RecordedRun, read_preparations

if TYPE_CHECKING:
    from ..host.channel import Channel
    from ..host.files import FileSystem
    from ..loggers.entries import FileEntry

__all__ = ["FakeHost"]

P = ParamSpec("P")
T = TypeVar("T")

_WIDEST_PATTERN = 60


def _in_memory(
    method: Callable[Concatenate[Host, P], T],
) -> Callable[Concatenate[FakeHost, P], T]:
    """Make a method of a host about files one that sees those in memory, with sudo or without."""
    signature = inspect.signature(method)

    def in_memory(self: FakeHost, /, *args: P.args, **kwargs: P.kwargs) -> T:
        arguments = signature.bind(self, *args, **kwargs).arguments
        arguments["self"] = self._for_files(arguments.pop("use_sudo", False))
        do: Callable[..., T] = method
        return do(**arguments)

    functools.update_wrapper(in_memory, method)
    return in_memory


class FakeHost(Host):
    """A host in memory, for tests. Subclass it, or use it as it is.

    ::

        class web1(FakeHost):
            answers = {"git rev-parse *": "abc123\\n", "nginx -t": Answer(exit_status=1)}
            files = {"/etc/motd": "Hello\\n", "~/site/.git/HEAD": "ref: main\\n"}

    As with any host, the class is the host: what was run on it and its files belong to the class,
    and a subclass begins anew, with the ``answers`` and ``files`` that it was written with.
    Everything but the machine itself is the real thing: contexts, sandboxes, logs, errors, and
    what is done with files.
    """

    #: What commands are answered with, by :data:`pattern <deployer.testing.recorded_run.Pattern>`;
    #: see :data:`~deployer.testing.answers.Script`. Of several that match, the one that was set
    #: last counts: what is general stands first, and what a test sets is stronger.
    answers: ClassVar[MutableMapping[Pattern, Script]] = {}
    #: The texts of the files on it, by path. Parents need not be there; ``~`` is the login user's
    #: home.
    files: ClassVar[MutableMapping[str, str]] = {}
    #: Whether a command that nothing is said of is an error; otherwise it prints nothing, and
    #: succeeds.
    strict: ClassVar[bool] = False
    #: The IPv4 address of each network interface.
    interfaces: ClassVar[Mapping[str, str]] = {"lo": "127.0.0.1", "eth0": "192.0.2.1"}

    #: What was run on it, in order.
    runs: ClassVar[list[RecordedRun]]
    #: What is behind ``files``: bytes, modes, owners, directories, symlinks.
    file_system: ClassVar[MemoryFiles]

    is_remote = False

    _first_answers: ClassVar[Mapping[Pattern, Script]]
    _first_files: ClassVar[Mapping[str, str]]
    # Whether files are used as root.
    _is_root = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._begin()

    @classmethod
    def _begin(cls) -> None:
        """Begin anew, with what the class was written with."""
        if "answers" in vars(cls):
            cls._first_answers = dict(cls.answers)
        if "files" in vars(cls):
            cls._first_files = dict(cls.files)
        cls.runs = []
        cls.answers = Answers(cls._first_answers)
        cls.file_system = MemoryFiles(cls.get_username())
        cls.file_system.mkdir(cls._home(None))
        cls.files = FileTexts(cls.file_system, lambda path: cls().expand_path(path))
        cls.files.update(cls._first_files)

    @classmethod
    def get_username(cls) -> str:
        return getattr(cls, "username", None) or "user"

    # Commands.

    def _execute(self, command: str, **options: Any) -> RunResult:
        self.pty.check_interrupted()
        in_pty, sandbox = options["in_pty"], options["sandbox"]
        # Raises for what no shell could take.
        build(
            self.context,
            command,
            sandbox=sandbox,
            sudo=new_prompt() if options["sudo"] and not sandbox else None,
            user=options["user"],
            password_from_stdin=not in_pty,
            shell=self.shell,
        )
        answer = self._answer(command, options)
        stdout, stderr = answer.stdout, answer.stderr
        if in_pty:
            # A terminal has one stream only.
            stdout, stderr = stdout + stderr, ""
        if not options["silent"]:
            write_text(self.pty.stdout, stdout)
            write_text(self.pty.stderr, stderr)
        return RunResult(
            stdout,
            stderr=stderr,
            exit_status=answer.exit_status,
            exit_signal=answer.exit_signal,
            command=command,
            host=self.slug,
            use_sudo=options["reported_sudo"],
            was_shown=not options["silent"],
        )

    def _answer(self, command: str, options: Mapping[str, Any]) -> Answer:
        if command.startswith("/bin/sh -c "):
            from .memory_locks import carry_out

            done = carry_out(self._memory(), command)
            if done is not None:
                return done
        prefixes, environment = read_preparations(self.context.preparations)
        run = RecordedRun(
            type(self),
            command,
            use_sudo=options["reported_sudo"],
            user=options["user"],
            directory=self.getcwd(),
            prefixes=prefixes,
            environment=environment,
            initial_input=options["initial_input"],
            sandbox=options["sandbox"],
            interactive=options["in_pty"],
            timeout=options["timeout"],
        )
        self.runs.append(run)
        if run.sandbox:
            return Answer()
        assert isinstance(self.answers, Answers)
        answer = self.answers.take(run) or file_commands.carry_out(self._memory(), run)
        if answer is None and self.strict:
            raise AssertionError(
                f"{self.slug}: nothing says what {shown_command(command)} prints, and this host is "
                f"strict; set an answer, as in {type(self).__name__}.answers["
                f'{_suggest_pattern(command)!r}] = "its output"'
            )
        note_run(run, is_answered=answer is not None)
        return answer or Answer()

    def run_unseen(
        self,
        command: str,
        use_sudo: bool = False,
        user: str | None = None,
        ignore_exit_status: bool = False,
        timeout: float | None = None,
    ) -> RunResult:
        # There is no start-up file that prints something.
        return type(self)(self.pty).run(
            command,
            use_sudo=use_sudo,
            user=user,
            interactive=False,
            silent=True,
            ignore_exit_status=ignore_exit_status,
            timeout=timeout,
        )

    def _wants_terminal(self, silent: bool) -> bool:
        return self.pty.is_interactive and not silent

    def _open_channel(self, line: str, in_pty: bool) -> AbstractContextManager[Channel]:
        raise self._cannot("open a channel")

    @contextmanager
    def _beside(self) -> Iterator[Host]:
        yield type(self)()

    def connect(self) -> None:
        """Do nothing: there is nothing to connect to."""

    @classmethod
    def close_connection(cls) -> None:
        """Do nothing: there is no connection."""

    @classmethod
    def abort_connection(cls) -> None:
        """Do nothing: there is no connection."""

    @classmethod
    def _account(cls) -> Account:
        return Account(cls.get_username(), cls.slug)

    # Files. Root and the login user see the same ones, so that nothing has to be run as root.

    @contextmanager
    def _open_files(self) -> Iterator[FileSystem]:
        yield self._memory()

    def _memory(self) -> MemoryFiles:
        return self.file_system.as_root() if self._is_root else self.file_system

    def _for_files(self, use_sudo: bool) -> FakeHost:
        """Return the host for what is done with its files, as root or not."""
        if not use_sudo:
            return self
        root = self.copy(logger=_AsRoot(self.logger))
        root._is_root = True
        return root

    open = _in_memory(Host.open)
    put_file = _in_memory(Host.put_file)
    get_file = _in_memory(Host.get_file)
    put_dir = _in_memory(Host.put_dir)
    get_dir = _in_memory(Host.get_dir)
    exists = _in_memory(Host.exists)

    def _session_directory(self) -> str:
        return self._home(None)

    def get_home_directory(self, username: str | None = None) -> str:
        """Return the home directory of a user: ``/root``, or one in ``/home``."""
        return self._home(username)

    @classmethod
    def _home(cls, username: str | None) -> str:
        username = username or cls.get_username()
        return "/root" if username == "root" else f"/home/{username}"

    # The network.

    def ifconfig(self) -> IfConfig:
        """Return the network interfaces that ``interfaces`` names."""
        return IfConfig(
            tuple(NetworkInterface(name, (address,)) for name, address in self.interfaces.items())
        )

    def _connect_from_host(self, address: str, port: int) -> NoReturn:
        raise self._cannot("forward ports")

    def _listen_on_host(self, address: str, port: int, take: object) -> NoReturn:
        raise self._cannot("forward ports")

    def _passed_on(self, *args: object, **kwargs: object) -> NoReturn:
        raise self._cannot("forward ports")

    def _cannot(self, what: str) -> NodeUsageError:
        return NodeUsageError(
            f"{self.slug} is a fake host and cannot {what}; test what does that on a real one"
        )


def _suggest_pattern(command: str) -> str:
    """Return a pattern for a command that has room in a message."""
    shown = redact(command)
    first = abbreviate(shown, _WIDEST_PATTERN)
    return shown if first == shown else first.removesuffix("…") + "*"


class _AsRoot(LoggerInterface):
    """Reports files as what sudo was used for."""

    def __init__(self, logger: LoggerInterface) -> None:
        super().__init__()
        self._logger = logger

    @contextmanager
    def log_file(self, host: str, path: str, **how: Any) -> Iterator[FileEntry]:
        with self._logger.log_file(host, path, **how | {"use_sudo": True}) as entry:
            yield entry

    def log_message(self, text: str) -> None:
        self._logger.log_message(text)


# Subclasses do so when they are made.
FakeHost._begin()
