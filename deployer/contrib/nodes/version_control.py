"""What the nodes for Git and Mercurial share: a working copy, and the program that works in it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, ClassVar
from urllib.parse import urlsplit

from ...exceptions import DeployerException, NodeDefinitionError
from ...host import RunResult
from ...node import Node, changes_nothing, required_property
from .changes import Changes, ask, report

__all__ = ["Program", "WorkingCopy", "command", "hide_password", "question"]


class WorkingCopy(Node):
    """A working copy of a repository on the host; the base of ``Git`` and ``Hg``."""

    #: The repository: a URL, or a path on the host. A password in it is refused: the program would
    #: show it to all users of the host, and write it down there.
    repository: Any = required_property("The URL of the repository")
    #: The directory on the host where the working copy is.
    repository_location: Any = required_property("Where the working copy is on the host")
    #: What is checked out when nothing else is asked for; None is the default of the repository.
    default_changeset: Any = None
    #: Work there as root.
    use_sudo: Any = False
    #: Work there as this user, by sudo: the one whom the working copy belongs to, and who has
    #: access to the repository.
    user: Any = None
    #: More actions that are commands of the program: a mapping from their names to these, as in
    #: ``{"recent": "log -n 5"}``. A method of the class that has the name is kept.
    commands: Any = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        for name, line in _read_commands(cls.__name__, own.get("commands")).items():
            if name not in own:
                setattr(cls, name, command(name, line, f"Run ``{line}``, with more arguments."))

    @property
    def _program(self) -> Program:
        raise NotImplementedError


class Program:
    """A program for version control, run in the working copy of a node, as its user."""

    #: What it is called.
    name: ClassVar[str]
    #: What it keeps in the directories that are its working copies.
    store: ClassVar[str]

    def __init__(self, node: Any) -> None:
        self.node = node
        self.host = node.host
        #: The absolute path of the working copy.
        self.path: str = self.host.expand_path(node.repository_location)
        #: As whom ``host.run`` is to run it.
        self.options = {"use_sudo": bool(node.use_sudo), "user": node.user}

    @property
    def url(self) -> str:
        """Where the repository is: a URL, or an absolute path."""
        url: str = self.node.repository
        if not url or not url.isprintable():
            raise ValueError(f"{self.node!r}: {url!r} cannot be the URL of a repository")
        if urlsplit(url).password:
            raise ValueError(
                f"{self.node!r}: there is a password in the URL {hide_password(url)}, which "
                f"{self.name} would show to all users of the host; use an SSH key, or keep the "
                "password in a file on the host that only the user can read"
            )
        # Neither a URL nor HOST:PATH.
        return self.host.expand_path(url) if re.match("[^:]*(/|$)", url) else url

    def get_environment(self) -> dict[str, str]:
        """Return the environment that it needs."""
        raise NotImplementedError

    def get_clone_commands(self, url: str, directory: str) -> list[list[str]]:
        """Return what clones a repository, and leaves out all files."""
        raise NotImplementedError

    def run(self, *words: str) -> RunResult:
        """Run it in the working copy, for everybody to see."""
        return self.run_line(shlex.join([self.name, *words]))

    def run_line(self, line: str, ignore_exit_status: bool = False) -> RunResult:
        """Run a line of shell in the working copy."""
        with ExitStack() as context:
            context.enter_context(self.host.cd(self.path))
            for name, value in self.get_environment().items():
                context.enter_context(self.host.env(name, value))
            result: RunResult = self.host.run(
                line, ignore_exit_status=ignore_exit_status, **self.options
            )
            return result

    def ask(self, *words: str, directory: str | None = None) -> RunResult:
        """Return what it answers to a question, which changes nothing, and what its status is."""
        settings = [f"{name}={value}" for name, value in self.get_environment().items()]
        command = shlex.join(["env", "LC_ALL=C", *settings, self.name, *words])
        directory = shlex.quote(directory or self.path)
        return ask(self.node, f"cd {directory} && {command}", **self.options)

    def answer(self, *words: str, directory: str | None = None) -> str:
        """Return what it answers to a question; raise DeployerException if it has no answer."""
        result = self.ask(*words, directory=directory)
        if not result.ok:
            raise self.failure(result)
        return result.strip()

    def failure(self, result: RunResult) -> DeployerException:
        """Return the exception for a question that has no answer."""
        lines = result.stderr.strip().splitlines() or [f"{self.name} failed, and does not say why"]
        fatal = [line for line in lines if line.startswith(("fatal: ", "abort: "))]
        return self.problem((fatal or lines[-1:])[0])

    def problem(self, text: str) -> DeployerException:
        """Return the exception for a problem with the working copy."""
        return DeployerException(f"{self.host.slug}: {self.path}: {text}")

    def is_there(self) -> bool:
        """Return whether there is a working copy; raise where it would be in the way of others."""
        arguments = [self.path, self.store, self._new_store]
        found = ask(
            self.node, shlex.join(["/bin/sh", "-c", _LOOK, "sh", *arguments]), **self.options
        )
        if found.strip() not in ("yes", "no"):
            raise self.problem(
                f"there is something else, which is no working copy of {self.name}; move it away, "
                "or set another `repository_location`"
            )
        return found.strip() == "yes"

    def clone(self) -> Changes:
        """Clone the repository, without any files; its directory may be there, if it is empty."""
        url = self.url
        self.host.run(f"mkdir -p -- {shlex.quote(self.path)}", **self.options)
        # Made beside its place, and moved there when it is whole: if that is killed, what is left
        # of it is never taken for a clone, and does not keep the next one from being made.
        new, store = self._new_store, self.store
        commands = [
            ["rm", "-rf", new],
            *self.get_clone_commands(url, new),
            ["mv", f"{new}/{store}", store],
            ["rmdir", new],
        ]
        self.run_line(" && ".join(map(shlex.join, commands)))
        return report(self.node, f"cloned {url} to {self.path}")

    @property
    def _new_store(self) -> str:
        return f"{self.store}.new"


# Its arguments are the directory, what a working copy has in it, and what a clone that was killed
# has left in it.
_LOOK = """\
if [ -e "$1/$2" ]; then
    echo yes
elif [ ! -e "$1" ] && [ ! -L "$1" ]; then
    echo no
else
    names=$(ls -A -- "$1/") || exit
    [ -n "$names" ] && [ "$names" != "$3" ] || echo no
fi
"""


def hide_password(url: str) -> str:
    """Return a URL to be shown."""
    return re.sub("(://[^/@:]*):[^/]*@", r"\1:***@", url)


def command(name: str, line: str, doc: str) -> Callable[..., RunResult]:
    """Return an action that runs a command of the program, with the arguments that it is given.

    :param line: what comes after the name of the program, as in ``"log -n 5"``.
    """
    words = shlex.split(line)

    def run_command(self: Any, *arguments: str) -> RunResult:
        result: RunResult = self._program.run(*words, *arguments)
        return result

    run_command.__name__ = run_command.__qualname__ = name
    run_command.__doc__ = doc
    return run_command


def question(name: str, line: str, doc: str) -> Callable[..., RunResult]:
    """Return an action as ``command`` does, for a command that only looks at what is there.

    Arguments do not make it change anything, apart from the file that Git's ``--output`` names.
    """
    return changes_nothing(command(name, line, doc))


def _read_commands(owner: str, commands: object) -> Mapping[str, str]:
    if commands is None:
        return {}
    if not isinstance(commands, Mapping) or not all(
        isinstance(name, str) and name.isidentifier() and isinstance(line, str) and line.strip()
        for name, line in commands.items()
    ):
        raise NodeDefinitionError(
            f"{owner}.commands is {commands!r}; it has to be a mapping from the names of actions "
            'to commands, as in {"recent": "log -n 5"}'
        )
    return commands
