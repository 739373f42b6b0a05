"""What a command line runs in: the tree in the process's own terminal, with loggers and options."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from ..exceptions import NodeUsageError
from ..loggers import LoggerInterface
from ..node import Env
from ..parallel.choices import DEFAULT_FAN_OUT
from ..pseudo_terminal import Presentation, Pty
from .terminal import OneAtATimePty, ReadByProgramPty
from .wrong_use import WrongUse

if TYPE_CHECKING:
    from ..parallel import RunOptions
    from .command_line import CommandLine

__all__ = ["make_env"]


def make_env(line: CommandLine, path: str = "") -> Env:
    """Return the node at a path in the tree; see ``CommandLine.make_env``."""
    options = _make_options(line)
    logger = _make_logger(line)
    pty = _make_pty(line)
    root = Env(line.make_root(), pty, logger, line.arguments.sandbox, options)
    env = _find(root, path) if path else root
    if options is not None and options.hosts is not None:
        from ..shell.hosts import check_hosts

        try:
            check_hosts(env, options.hosts)
        except NodeUsageError as error:
            raise WrongUse(f"--hosts: {error}") from error
    if line.arguments.ask_password:
        _ask_password(pty)
    return env


def _ask_password(pty: Pty) -> None:
    # Imported here: few want it.
    from ..host.credentials import credentials

    if not pty.can_ask:
        raise WrongUse("--ask-password: there is no terminal to ask at")
    if password := pty.ask_secret("Password for all hosts that have none: "):
        credentials.answer_for_all(password)


def _find(root: Env, path: str) -> Env:
    # Imported here: it comes with the shell, and takes its time.
    from ..cli.grammar import LineError, parse
    from ..shell.hosts import advise_on_host
    from ..shell.navigation import NotFound, find_node

    try:
        return find_node(root, parse(path).texts)
    except LineError as error:
        raise WrongUse(str(error)) from error
    except NotFound as error:
        raise WrongUse(f"{error}{advise_on_host(root, error.name, '--hosts')}") from error


def _make_pty(line: CommandLine) -> Pty:
    arguments = line.arguments
    kind = Pty
    if line.writes_json:
        kind = ReadByProgramPty
    elif arguments.single and arguments.output is None:
        kind = OneAtATimePty
    pty = kind(interactive=not arguments.non_interactive)
    pty.presentation = Presentation(arguments.output, arguments.outdir, _make_rerun(line))
    return pty


def _make_logger(line: CommandLine) -> LoggerInterface:
    # Imported here: whoever asks for no log lines does without.
    logger = LoggerInterface()
    if line.arguments.verbose:
        from ..loggers.default import IndentedDefaultLogger

        logger.attach(IndentedDefaultLogger())
    elif not line.arguments.quiet:
        from ..loggers.default import DefaultLogger

        logger.attach(DefaultLogger())
    elif line.arguments.sandbox:
        # What would be changed is what a sandbox is for.
        from ..loggers.default import MessageLogger

        logger.attach(MessageLogger())
    if line.arguments.log is not None:
        from .log_file import LogFile

        logger.attach(LogFile(line.arguments.log))
    for extra in line.extra_loggers:
        logger.attach(extra)
    return logger


def _make_options(line: CommandLine) -> RunOptions | None:
    """Return the options that were given, None when none was."""
    arguments = line.arguments
    # Where it is shown in some way, one at a time are as many at once; else each has the terminal.
    one_at_once = arguments.single and arguments.output is not None
    fan_out = 1 if one_at_once else arguments.parallel
    given = (fan_out, arguments.fail_fast, arguments.retries, arguments.hosts)
    if given == (DEFAULT_FAN_OUT, False, 0, None):
        return None
    from ..parallel import RunOptions
    from ..utils.folding import parse

    try:
        hosts = None if arguments.hosts is None else parse(arguments.hosts)
    except ValueError as error:
        raise WrongUse(f"--hosts: {error}") from error
    return RunOptions(
        fan_out=fan_out, fail_fast=arguments.fail_fast, retries=arguments.retries, hosts=hosts
    )


def _make_rerun(line: CommandLine) -> Callable[[str], str] | None:
    """Return what gives the command line that runs the same on some hosts only."""
    command, words = line.arguments.command, line.arguments.words
    if command not in ("run", "exec") or not words:
        return None

    def make_rerun(hosts: str) -> str:
        import shlex

        options = [*_to_repeat(line.arguments.given), "--hosts", hosts]
        if command == "exec":
            return shlex.join([*line.invocation, command, *options, words[0], "--", *words[1:]])
        # Behind the action, what looks like an option would be refused.
        end = ["--"] if any(word.startswith("-") for word in words) else []
        return shlex.join([*line.invocation, command, *options, *end, *words])

    return make_rerun


def _to_repeat(options: Sequence[str]) -> Iterator[str]:
    """Give options as they were written, without ``--hosts``, and ``--record``, whose file is there
    by then.
    """
    words = iter(options)
    for word in words:
        if word in ("--hosts", "--record"):
            next(words, None)
        elif not word.startswith(("--hosts=", "--record=")):
            yield word
