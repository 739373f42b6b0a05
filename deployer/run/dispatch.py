"""From the words of a command line to what they ask for, and to the exit status."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .arguments import parse_arguments, wants_json
from .command_line import CommandLine, WrongUse
from .command_table import COMMANDS

if TYPE_CHECKING:
    from ..loggers import Logger
    from ..node import Node

__all__ = ["dispatch", "write_error"]


def dispatch(
    program: str, root: type[Node], words: Sequence[str], extra_loggers: Sequence[Logger] = ()
) -> int | None:
    """Do what a command line says; return the exit status, or None when the shell was left."""
    status: int | None = None
    try:
        status = _dispatch(program, root, words, extra_loggers)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except BrokenPipeError:
        from ..cli.status import Status

        _give_up_stdout()
        return Status.BROKEN_PIPE
    except OSError as error:
        from ..cli.status import Status

        _give_up_stdout()
        # What has failed because of that has been said.
        message = f"the output cannot be written: {error.strerror or error}"
        return status or _refuse(program, message, Status.FAILED, as_json=False)


def _dispatch(
    program: str, root: type[Node], words: Sequence[str], extra_loggers: Sequence[Logger]
) -> int | None:
    try:
        arguments = parse_arguments(program, root, words)
    except WrongUse as error:
        from ..cli.status import Status

        return _refuse(program, str(error), Status.WRONG_USE, wants_json(words))
    line = CommandLine(program, root, arguments, extra_loggers)
    status = _call(line) if arguments.record is None else _record(line)
    is_shell = not (arguments.command or arguments.list or arguments.version)
    return None if is_shell and not status else status


def _call(line: CommandLine) -> int:
    try:
        return _find_function(line)(line)
    except BrokenPipeError:
        raise
    except (Exception, KeyboardInterrupt) as error:
        return _fail(line, error)


def _record(line: CommandLine) -> int:
    """Do what a command line says, and record what is shown meanwhile."""
    # Imported here: hardly anybody records what is shown.
    from ..contrib.loggers.asciicast import AsciicastRecorder

    path = line.arguments.record
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(AsciicastRecorder(path))
        except FileExistsError:
            return _fail(line, WrongUse(f"--record: {path} is there already; it would be lost"))
        except OSError as error:
            reason = f"--record: {path} cannot be written: {error.strerror}"
            return _fail(line, WrongUse(reason))
        return _call(line)


def _find_function(line: CommandLine) -> Callable[[CommandLine], int]:
    arguments = line.arguments
    name = "running.open_shell"
    if arguments.version:
        name = "telling.show_version"
    elif arguments.list:
        name = "telling.list_all"
    elif arguments.command:
        name = COMMANDS[arguments.command].function
    module, _, function = name.partition(".")
    found: Callable[[CommandLine], int] = getattr(
        importlib.import_module(f".commands.{module}", __package__), function
    )
    return found


def _fail(line: CommandLine, error: BaseException) -> int:
    """Show why a command could not do what it was to; return the exit status."""
    # Imported here: it takes its time, and most command lines go well.
    from ..cli.status import Status
    from ..exceptions import ConnectionFailedException, DeployerException, NodeUsageError
    from ..failures import describe_failure
    from ..shell.execution import Outcome

    status = Outcome(error=error).status
    if isinstance(error, WrongUse | NodeUsageError):
        status = Status.WRONG_USE
    if isinstance(error, DeployerException) and not isinstance(error, ConnectionFailedException):
        return _refuse(line.program, str(error), status, line.writes_json)
    return _refuse("", describe_failure(error), status, line.writes_json)


def _refuse(program: str, message: str, status: int, as_json: bool) -> int:
    from ..streams import write_text

    write_text(sys.stderr, f"{program}: {message}\n" if program else f"{message}\n")
    if as_json:
        write_error(message)
    return status


def write_error(message: str) -> None:
    """Write what a program gets that waits for JSON, where nothing was run."""
    import json

    from ..secret import redact
    from ..streams import write_text

    # Where it cannot be written, that is what has failed, or ends the program in its turn.
    with contextlib.suppress(OSError):
        write_text(sys.stdout, json.dumps({"status": "failed", "error": redact(message)}) + "\n")


def _give_up_stdout() -> None:
    """Let nothing more be written to a pipe that nobody reads, also not on the way out."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
