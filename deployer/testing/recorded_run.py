"""What a fake host was asked to run."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeAlias

from ..secret import redact
from ..utils.string_utils import abbreviate

if TYPE_CHECKING:
    from .fake_host import FakeHost

__all__ = ["Pattern", "RecordedRun", "matches", "read_preparations"]

#: Which commands are meant: a shell glob over the whole command (``"git fetch *"``), or a compiled
#: regular expression that is searched for in it.
Pattern: TypeAlias = "str | re.Pattern[str]"

_numbers = itertools.count(1)


@dataclass(frozen=True, repr=False)
class RecordedRun:
    """A command that a fake host was given, and the circumstances that it would have run in."""

    host: type[FakeHost]
    command: str
    #: Whether it was to run under sudo, and as whom: None is root, or without sudo the login user.
    use_sudo: bool = False
    user: str | None = None
    #: The absolute path of the directory.
    directory: str = "/"
    #: What ``prefix`` has run before it.
    prefixes: tuple[str, ...] = ()
    #: What ``env`` has set for it; what the shell would expand is as it was given.
    environment: Mapping[str, str] = field(default_factory=dict)
    initial_input: str | bytes | None = None
    #: Whether only its syntax was to be checked. It was given no answer then.
    sandbox: bool = False
    interactive: bool = False
    timeout: float | None = None
    #: Its place among the commands of all fake hosts.
    number: int = field(default_factory=lambda: next(_numbers), compare=False)

    def __str__(self) -> str:
        """Return the command as logs show it, without secrets."""
        sudo = "sudo " + (f"-u {self.user} " if self.user else "") if self.use_sudo else ""
        return redact(f"{sudo}{self.command}{'  (sandbox)' if self.sandbox else ''}")

    # What it read first may be a secret that nobody has marked as one.
    def __repr__(self) -> str:
        return f"<RecordedRun {self.host.slug}: {abbreviate(str(self))} in {self.directory}>"


def matches(pattern: Pattern, command: str) -> bool:
    """Whether a pattern means a command."""
    if isinstance(pattern, str):
        # What is the same text is meant, also where it has a [ or a * in it.
        return pattern == command or fnmatchcase(command, pattern)
    return pattern.search(command) is not None


_EXPORT = re.compile(r"export (?=\w+=)")


def read_preparations(lines: tuple[str, ...]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the prefixes and the variables in the ``preparations`` of a context."""
    prefixes = []
    environment = {}
    for line in lines:
        line = line.removesuffix(" || exit")
        if line.startswith("{ ") and line.endswith("\n}"):
            line = line[2:-2]
        words = _split(line)
        if len(words) == 2 and _EXPORT.match(line):
            name, _, value = words[1].partition("=")
            environment[name] = value
        else:
            prefixes.append(line)
    return tuple(prefixes), environment


def _split(line: str) -> list[str]:
    # What the shell would expand may have a quote of its own in it.
    with suppress(ValueError):
        return shlex.split(line)
    return []
