"""Looking around, on either side."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO

from ..host.files import Stat, check_regular
from ..host.measured import CHUNK
from .display import describe_stat, list_long, mark, shown
from .failures import Failures
from .globbing import Word
from .places import Found

if TYPE_CHECKING:
    from .places import Place
    from .shell import ScpShell
    from .table import Arguments

__all__ = ["cd", "ls", "pwd", "stat", "view"]

# As git does it: what has a zero in its beginning is no text.
_BEGINNING = 8000
_HERE = Word(".")


def cd(shell: ScpShell, place: Place, arguments: Arguments) -> None:
    """Go to another directory."""
    if not arguments.words:
        place.enter(place.get_home())
    elif arguments.words[0] == Word("-", frozenset({0}), True):
        place.enter_last()
    else:
        place.enter(place.find_one(arguments.words[0]))


def pwd(shell: ScpShell, place: Place, arguments: Arguments) -> None:
    """Say where one is."""
    shell.show(shown(place.directory))


def ls(shell: ScpShell, place: Place, arguments: Arguments) -> int:
    """List files, and what is in directories; of what matches a pattern, only the names."""
    failures = Failures(shell)
    is_long = "l" in arguments.options
    entries: list[tuple[Found, Stat]] = []
    directories: list[Found] = []
    for word in arguments.words or (_HERE,):
        with failures.noted():
            for found in place.find(word):
                with failures.noted():
                    # As in shells, a symlink to a directory is listed as one.
                    if not word.has_wildcards and place.stat(found.path, "list").is_dir:
                        directories.append(found)
                    else:
                        entries.append((found, place.look_at(found)))
    _show_entries(shell, place, entries, is_long)
    for number, directory in enumerate(directories):
        if len(directories) > 1 or entries:
            shell.show(("\n" if number or entries else "") + f"{shown(directory.text)}:")
        with failures.noted():
            inner = [
                (Found(entry.filename, f"{directory.path}/{entry.filename}"), entry)
                for entry in place.list(directory.path)
                if "a" in arguments.options or not entry.filename.startswith(".")
            ]
            _show_entries(shell, place, inner, is_long)
    return failures.status


def stat(shell: ScpShell, place: Place, arguments: Arguments) -> int:
    """Say what is known of files."""
    failures = Failures(shell)
    for found in failures.find_all(place, arguments.words):
        with failures.noted():
            known = place.look_at(found)
            leads_to = place.read_link(found.path) if known.is_link else None
            shell.show_lines(describe_stat(found.path, known, leads_to))
    return failures.status


def view(shell: ScpShell, place: Place, arguments: Arguments) -> int:
    """Show what is in files, in the pager."""
    failures = Failures(shell)
    for found in failures.find_all(place, arguments.words):
        with failures.noted():
            _view(shell, place, found.path)
    return failures.status


def _view(shell: ScpShell, place: Place, path: str) -> None:
    # The pager has the terminal, and has to end before anything is said.
    problems: list[Exception] = []
    with ExitStack() as stack:
        files = stack.enter_context(place.open_files())
        with place.errors(path, "show"):
            check_regular(files.stat(path))
            file = stack.enter_context(files.open(path, "rb"))
            beginning = file.read(_BEGINNING)
            if b"\0" in beginning:
                raise OSError("it is binary, and no text; `get` it to look at it here")

        def read() -> Iterator[str]:
            try:
                with place.errors(path, "show"):
                    yield from _read_lines(file, beginning)
            except Exception as error:
                problems.append(error)

        shell.console.lesspipe(read())
    if problems:
        raise problems[0]


def _read_lines(file: BinaryIO, data: bytes) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    while data:
        *lines, rest = (rest + decoder.decode(data)).split("\n")
        yield from lines
        data = file.read(CHUNK)
    rest += decoder.decode(b"", True)
    if rest:
        yield rest


def _show_entries(
    shell: ScpShell, place: Place, entries: Sequence[tuple[Found, Stat]], is_long: bool
) -> None:
    if not is_long:
        shell.show_lines(
            shell.console.in_columns(mark(found.text, stat) for found, stat in entries)
        )
        return
    rows = [
        (found.text, stat, place.read_link(found.path) if stat.is_link else None)
        for found, stat in entries
    ]
    shell.show_lines(list_long(rows))
