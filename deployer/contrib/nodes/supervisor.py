"""A program that supervisor runs on a host."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from ...exceptions import ExecCommandFailed, RemoteFileError
from ...host import RunResult
from ...node import Node, changes_nothing, required_property, suppress_action_result
from ...query import Q
from ...secret import Secret
from ...utils import indent
from .changes import Changes, ask, report
from .config import Config

__all__ = ["Program"]

# Seconds between two looks at a program that is starting.
_PAUSE = 0.2
# What supervisorctl says, by its command, when there is no socket, or nobody listens at it.
_NO_ANSWER = (
    r"^\S+://\S* (no such file|refused connection)|FileNotFoundError|ConnectionRefusedError"
)


class Program(Node):
    """A program that supervisor runs on the host.

    By default, it is for the supervisor of the machine. For one of your own, say where its
    configuration includes files from, and how its ``supervisorctl`` is called::

        class worker(Program):
            name = "worker"
            command = "/srv/site/env/bin/worker --queue mail"
            config_directory = "/srv/site/supervisor.d"
            supervisorctl = "/srv/site/env/bin/supervisorctl -c /srv/site/supervisord.conf"
            use_sudo = False
    """

    #: What supervisor calls the program.
    name: Any = required_property("What supervisor calls the program")
    #: The command line; supervisor takes it apart like a shell, but knows no variables, no ``;``.
    #: A ``~`` at its very beginning is a home directory, as in ``directory``.
    command: Any = required_property("The command line of the program")
    #: Where it runs; None for the directory of supervisor. A leading ``~`` is the home directory of
    #: ``user``, or where that is None, of the login user.
    directory: Any = None
    #: Who runs it; None for the user of supervisor.
    user: Any = None
    #: More variables of its environment, by name; a value may be a
    #: :class:`~deployer.secret.Secret`. Where there are queries in it, it is one itself:
    #: ``Q({"TOKEN": Q.parent.token})``.
    environment: Any = None
    #: More options of a ``[program]`` section, by name, as supervisor reads them: here,
    #: ``%(program_name)s`` and the like have a meaning, and a ``~`` is the home directory of the
    #: user of supervisor.
    options: Any = None
    #: Whether ``setup`` starts it.
    running: Any = True

    #: The directory that the configuration of supervisor includes ``*.conf`` from.
    config_directory: Any = "/etc/supervisor/conf.d"
    #: The command, for the shell, that controls supervisor.
    supervisorctl: Any = "supervisorctl"
    #: Write the file, and control supervisor, as root.
    use_sudo: Any = True

    class config(Config):
        """The file with the section of the program."""

        remote_path = Q("%s/%s.conf") % (Q.parent.config_directory, Q.parent.name)
        content = Q.parent.content
        use_sudo = Q.parent.use_sudo
        # Passwords come to a program in its environment.
        mode = 0o600

    @property
    def content(self) -> str:
        """What the file of the program holds."""
        return "".join(f"{line}\n" for line in _lines(self))

    @suppress_action_result
    def setup(self) -> Changes:
        """Write the configuration, have supervisor read it, and start the program.

        Nothing happens when it is so already. A program with another configuration is updated:
        supervisor stops it, and starts it with the new one unless ``autostart`` is off.

        :raises ExecCommandFailed: when it does not stay for ``startsecs``; ``tail`` says why.
        """
        config: Any = self.config
        changes: Changes = config.setup()
        # Also after a setup that was cut short before supervisor read what it had written.
        if (changes and self.host.is_sandbox) or _is_new(self):
            _control(self, "update", str(self.name))
            changes += report(self, f"updated {self.name}")
        if self.running and not _are_running(_settled_states(self)):
            changes += _start(self)
        return changes

    @suppress_action_result
    def start(self) -> Changes:
        """Start the program, unless it is running or starting."""
        return Changes() if self.is_running() else _start(self)

    @suppress_action_result
    def stop(self) -> Changes:
        """Stop the program, unless it is not running."""
        if not _states(self) & {"RUNNING", "STARTING", "BACKOFF"}:
            return Changes()
        return _do(self, "stop", "stopped")

    @suppress_action_result
    def restart(self) -> Changes:
        """Restart the program, or start it."""
        return _do(self, "restart", "restarted")

    @changes_nothing
    def is_running(self) -> bool:
        """Return whether the program is running or starting: all processes that it has."""
        return _are_running(_states(self))

    @changes_nothing
    def status(self) -> str:
        """Return what ``supervisorctl status`` says of the program."""
        result = _ask(self, "status", _processes(self))
        # 3: it is not running.
        if result.exit_status not in (0, 3) and "(no such group)" not in result.stdout:
            raise _explain(self, ExecCommandFailed(result))
        return result.stdout

    @changes_nothing
    def tail(self, size: int = 1600, stream: str = "stdout") -> str:
        """Return the end of what the program has written; of several processes, by their names.

        :param size: how many bytes of it, for each process.
        :param stream: ``stdout`` or ``stderr``.
        """
        names = [name for name, _ in _list(self)] or [str(self.name)]
        found = {name: _ask(self, "tail", f"-{size}", name, stream) for name in names}
        for result in found.values():
            if not result.ok:
                raise _explain(self, ExecCommandFailed(result))
        if len(found) == 1:
            return found[names[0]].stdout
        return "\n".join(f"{name}:\n{indent(text.stdout.rstrip())}" for name, text in found.items())


def _processes(program: Any) -> str:
    """Return what stands for all processes of a program, of which there may be several."""
    return f"{program.name}:*"


def _command(program: Any, words: tuple[str, ...]) -> str:
    return f"{program.supervisorctl} {shlex.join(words)}"


def _ask(program: Any, *words: str) -> RunResult:
    return ask(program, _command(program, words), use_sudo=program.use_sudo)


def _control(program: Any, *words: str) -> None:
    try:
        program.host.run(_command(program, words), use_sudo=program.use_sudo)
    except ExecCommandFailed as error:
        raise _explain(program, error) from None


def _explain(program: Any, error: ExecCommandFailed) -> ExecCommandFailed:
    """Add what to do to what supervisorctl says when nobody answers it."""
    if re.search(_NO_ANSWER, error.result.stdout + error.result.stderr, re.MULTILINE):
        error.add_note(
            f"supervisord does not seem to run on {program.host.slug}: start it, as with `sudo "
            "systemctl start supervisor`, or with `supervisord -c FILE` where it is one of your own"
        )
    return error


def _do(program: Any, verb: str, done: str) -> Changes:
    _control(program, verb, _processes(program))
    return report(program, f"{done} {program.name}")


def _start(program: Any) -> Changes:
    # What supervisor tries again and again is started for it: it would say yes, and do nothing.
    trying = [name for name, state in _list(program) if state in ("BACKOFF", "STARTING")]
    if trying:
        _control(program, "stop", *trying)
    return _do(program, "start", "started")


def _list(program: Any) -> list[tuple[str, str]]:
    """Return the processes of a program, with their states."""
    found = re.findall(r"^(\S+) +([A-Z]+)\b", program.status(), re.MULTILINE)
    return [(name, state) for name, state in found if state != "ERROR"]


def _is_new(program: Any) -> bool:
    """Return whether supervisor runs a program with another configuration, or does not know it."""
    found = _ask(program, "reread")
    if not found.ok:
        raise _explain(program, ExecCommandFailed(found))
    name = re.escape(str(program.name))
    return re.search(f"^{name}: (available|changed)$", found.stdout, re.MULTILINE) is not None


def _states(program: Any) -> set[str]:
    """Return the states of the processes of a program; none when supervisor does not know it."""
    return {state for _, state in _list(program)}


def _settled_states(program: Any) -> set[str]:
    """Return the states of the processes of a program when none is starting any more."""
    while "STARTING" in (states := _states(program)):
        # That lasts for `startsecs`, and supervisor does not tell of its end. Ctrl-C ends the wait.
        program.host.pty.interrupted.wait(_PAUSE)
        program.host.pty.check_interrupted()
    return states


def _are_running(states: set[str]) -> bool:
    return bool(states) and states <= {"RUNNING", "STARTING"}


def _lines(program: Any) -> Iterator[str]:
    """Yield the lines of a program's section."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", str(program.name)):
        raise ValueError(
            f"{program.name!r} is no name for a program of supervisor: take letters, digits, _ . -"
        )
    if not isinstance(program.command, str):
        raise TypeError(f"{program.name}: its command is a text, not {program.command!r}")
    try:
        words = shlex.split(program.command)
    except ValueError as error:
        raise ValueError(f"{program.name}: its command is none: {error}") from error
    words = [_expand(program, word) for word in words[:1]] + words[1:]
    values = {"command": _literal(shlex.join(words), "''")}
    if program.directory is not None:
        values["directory"] = _literal(_expand(program, str(program.directory)))
    if program.user is not None:
        values["user"] = _literal(str(program.user))
    pairs = sorted(_mapping(program, "environment").items())
    if pairs:
        values["environment"] = ",".join(f"{name}={_quoted(name, text)}" for name, text in pairs)
    values |= {name: str(text) for name, text in _mapping(program, "options").items()}
    yield f"[program:{program.name}]"
    for name, text in values.items():
        if re.search(r"[\n\r\0]", text):
            raise ValueError(f"{program.name}: the {name} has to be one line")
        yield f"{name}={text}"


def _expand(program: Any, path: str) -> str:
    """Return a path with a leading tilde expanded: supervisor would take it literally."""
    if not path.startswith("~"):
        return path
    if program.user is not None and path.partition("/")[0] == "~":
        path = f"~{program.user}{path[1:]}"
    try:
        expanded: str = program.host.expand_path(path)
    except RemoteFileError:
        if not program.host.is_sandbox:
            raise
        # A user who would have been made by then.
        return path
    return expanded


def _mapping(program: Any, name: str) -> Mapping[str, Any]:
    value = getattr(program, name) or {}
    if not isinstance(value, Mapping):
        kind = type(value).__name__
        raise TypeError(
            f"{program.name}: its {name} is a mapping from names to values, not a {kind}"
        )
    return value


def _literal(text: str, nothing: str = "%(program_name).0s") -> str:
    """Return a text as a value that supervisor reads as that text.

    :param nothing: what can be put between a blank and the ``;`` or ``#`` that would begin a
        comment; by default, zero characters of a variable of supervisor's.
    """
    return re.sub(r"(?<=\s)(?=[;#])", nothing, text.replace("%", "%%"))


def _quoted(name: str, value: Any) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError(f"{name!r} cannot be the name of an environment variable")
    text = value.reveal() if isinstance(value, Secret) else str(value)
    # Supervisor drops all quotes at either end of what it finds, and knows no escapes.
    quote = "'" if '"' in text else '"'
    if quote in text or text != text.strip("'\""):
        raise ValueError(
            f"supervisor cannot give the variable {name} a value that has both kinds of quotes, or "
            "one at its beginning or end; have the command set it"
        )
    quoted = f"{quote}{_literal(text)}{quote}"
    # What is hidden is hidden as it stands in the file, too.
    return Secret(quoted).reveal() if isinstance(value, Secret) else quoted
