"""The secure-copy shell: look around on a host and here, and copy files between both."""

from __future__ import annotations

import os
import posixpath
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from stat import filemode
from typing import TYPE_CHECKING

from .cli import (
    Candidate,
    Completion,
    LineError,
    LineShell,
    Status,
    complete,
    did_you_mean,
    make_reader,
    parse,
)
from .cli.reader import is_terminal
from .exceptions import DeployerException
from .host_container import HostContainer
from .utils.columns import display_width

if TYPE_CHECKING:
    from .host import Stat
    from .node import Env

__all__ = ["ScpShell", "open_scp_shell"]


def open_scp_shell(env: Env) -> int:
    """Open the shell for the host of a node; ask for one cell of an array.

    Return 0, or 1 when a line of a script failed.
    """
    pty = env.console.pty
    host = env.console.select_node_isolation(env).host
    shell = ScpShell(host, stop_at_failure=not is_terminal(pty.stdin))
    return shell.run(make_reader(pty, shell.complete, "scp"))


@dataclass(frozen=True)
class Command:
    """A command of the shell, and what its words are."""

    run: Callable[[ScpShell, Sequence[str]], None]
    usage: str
    summary: str
    #: For each word the side whose names it has: ``remote`` or ``local``.
    sides: tuple[str, ...] = ()
    required: int = 0


class ScpShell(LineShell):
    """Runs lines on the files of one host, and on those of this machine.

    Neither side's directory changes for anybody else.
    """

    def __init__(self, host: HostContainer, stop_at_failure: bool = False) -> None:
        super().__init__(host.pty, stop_at_failure)
        self._host = host
        self.remote = host.getcwd()
        self.local = Path.cwd()

    def run_line(self, line: str) -> int:
        """Run one line and show what comes of it; return its exit status. Failures do not raise."""
        try:
            words = parse(line).texts
            if words:
                self._run_words(words)
        except LineError as error:
            self.show_error(str(error))
            return Status.WRONG_USE
        except BrokenPipeError:
            raise
        except (DeployerException, OSError) as error:
            self.show_error(str(error))
            return Status.FAILED
        except KeyboardInterrupt:
            self.show("")
            self.show_error("Interrupted")
            return Status.INTERRUPTED
        return Status.DONE

    def complete(self, line: str, cursor: int) -> Sequence[Completion]:
        """Return commands, or names of the side that a command is about."""
        return complete(self, line, cursor)

    def get_prompt(self) -> str:
        """Return the host and its current directory."""
        return f"{self.bold(f'{self._host.slug}:{self.remote}')} > "

    def get_candidates(self, words: Sequence[str], word: str) -> Iterator[Candidate]:
        """Return what the word at the cursor could be; see ``CandidateSource``."""
        if not words:
            yield from (Candidate(name, command.summary) for name, command in COMMANDS.items())
            return
        sides = COMMANDS[words[0]].sides if words[0] in COMMANDS else ()
        side = sides[len(words) - 1] if len(words) <= len(sides) else ""
        folder, slash, beginning = word.rpartition("/")
        lister = {"remote": self._list_remote, "local": self._list_local}.get(side)
        for name, is_dir in lister(folder + slash) if lister else ():
            if beginning.startswith(".") or not name.startswith("."):
                # A directory goes on.
                end = "/" if is_dir else ""
                yield Candidate(folder + slash + name + end, "", name + end, not is_dir)

    def _run_words(self, words: Sequence[str]) -> None:
        name, *arguments = words
        command = COMMANDS.get(name)
        if command is None:
            hint = did_you_mean(name, COMMANDS) or " `help` lists all."
            raise LineError(f"There is no command {name!r}.{hint}")
        if not command.required <= len(arguments) <= len(command.sides):
            raise LineError(f"usage: {command.usage}")
        command.run(self, arguments)

    # The remote side. Its paths are joined here, since its host is shared with whoever has it.

    def _find_remote(self, path: str) -> str:
        joined = path if path.startswith("~") else posixpath.join(self.remote, path)
        return posixpath.normpath(self._host.expand_path(joined))

    def _list_remote(self, path: str) -> list[tuple[str, bool]]:
        entries = self._host.listdir_stat(self._find_remote(path or "."))
        return [(entry.filename, entry.is_dir) for entry in entries]

    def _cd(self, words: Sequence[str]) -> None:
        target = self._find_remote(words[0] if words else "~")
        if not self._host.stat(target).is_dir:
            raise LineError(f"{target} on {self._host.slug} is no directory")
        self.remote = target

    def _ls(self, words: Sequence[str]) -> None:
        self._show_names(self._list_remote(words[0] if words else ""))

    def _pwd(self, _: Sequence[str]) -> None:
        self.show(self.remote)

    def _stat(self, words: Sequence[str]) -> None:
        path = self._find_remote(words[0])
        self.show_lines(_describe_stat(path, self._host.stat(path)))

    # The local side

    def _find_local(self, path: str) -> Path:
        try:
            expanded = Path(path).expanduser()
        except RuntimeError as error:
            raise LineError(f"{path}: there is no such user") from error
        return Path(os.path.normpath(self.local / expanded))

    def _list_local(self, path: str) -> list[tuple[str, bool]]:
        return sorted((p.name, p.is_dir()) for p in self._find_local(path).iterdir())

    def _lcd(self, words: Sequence[str]) -> None:
        target = self._find_local(words[0] if words else "~")
        if not target.is_dir():
            raise LineError(f"{target} here is no directory")
        self.local = target

    def _lls(self, words: Sequence[str]) -> None:
        self._show_names(self._list_local(words[0] if words else ""))

    def _lpwd(self, _: Sequence[str]) -> None:
        self.show(str(self.local))

    # Between both

    def _put(self, words: Sequence[str]) -> None:
        source = self._find_local(words[0])
        target = self._find_remote(words[1] if len(words) > 1 else ".")
        self._host.put_file(str(source), target)
        self.show(f"{source} -> {self._host.slug}:{target}")

    def _get(self, words: Sequence[str]) -> None:
        source = self._find_remote(words[0])
        target = self._find_local(words[1] if len(words) > 1 else ".")
        self._host.get_file(source, str(target))
        self.show(f"{self._host.slug}:{source} -> {target}")

    def _help(self, _: Sequence[str]) -> None:
        width = max(display_width(command.usage) for command in COMMANDS.values()) + 2
        self.show_lines(f"  {c.usage:<{width}}{c.summary}" for c in COMMANDS.values())

    def _exit(self, _: Sequence[str]) -> None:
        self.leave()

    def _show_names(self, entries: Sequence[tuple[str, bool]]) -> None:
        names = [name + "/" * is_dir for name, is_dir in entries if not name.startswith(".")]
        self.show_lines(self.console.in_columns(names))


def _describe_stat(path: str, stat: Stat) -> list[str]:
    rows = {
        "path": shlex.quote(path),
        "mode": f"{filemode(stat.st_mode)} ({stat.permissions:o})",
        "owner": f"{stat.st_uid}:{stat.st_gid}",
        "size": f"{stat.st_size:,} bytes",
        "modified": datetime.fromtimestamp(stat.st_mtime).isoformat(" ", "seconds"),
    }
    return [f"{name:<9} {value}" for name, value in rows.items()]


#: By name, in the order of the help.
COMMANDS: dict[str, Command] = {
    "cd": Command(ScpShell._cd, "cd [DIR]", "Go to a directory of the host.", ("remote",)),
    "ls": Command(ScpShell._ls, "ls [DIR]", "List a directory of the host.", ("remote",)),
    "pwd": Command(ScpShell._pwd, "pwd", "Say where you are on the host."),
    "stat": Command(ScpShell._stat, "stat FILE", "Say what is known of a file.", ("remote",), 1),
    "lcd": Command(ScpShell._lcd, "lcd [DIR]", "Go to a directory here.", ("local",)),
    "lls": Command(ScpShell._lls, "lls [DIR]", "List a directory here.", ("local",)),
    "lpwd": Command(ScpShell._lpwd, "lpwd", "Say where you are here."),
    "put": Command(
        ScpShell._put, "put FILE [TARGET]", "Copy a file to the host.", ("local", "remote"), 1
    ),
    "get": Command(
        ScpShell._get, "get FILE [TARGET]", "Copy a file of the host here.", ("remote", "local"), 1
    ),
    "help": Command(ScpShell._help, "help", "List the commands."),
    "exit": Command(ScpShell._exit, "exit", "Leave, as Ctrl-D does."),
}
