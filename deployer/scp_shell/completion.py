"""What could come next in a line: commands, options, and names on either side."""

from __future__ import annotations

import posixpath
import threading
import time
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from ..cli import Candidate, Completion, complete
from .globbing import Word
from .places import LocalPlace, Place, RemotePlace
from .table import COMMANDS, Command

__all__ = ["ScpCandidates"]

# How long somebody who has pressed Tab is kept waiting, and how long a list is taken to be right.
_SECONDS_TO_WAIT = 2.0
_SECONDS_KEPT = 5.0
# Of so many symlinks it is found out whether they lead to directories.
_MAX_LINKS = 50


class ScpCandidates:
    """Knows the words that may follow others. It never raises, and never takes long."""

    def __init__(self, remote: RemotePlace, local: LocalPlace) -> None:
        self._remote = _Listings(remote)
        self._local = _Listings(local)

    def forget(self) -> None:
        """Take nothing for right that was listed before."""
        self._remote.forget()
        self._local.forget()

    def complete(self, line: str, cursor: int) -> list[Completion]:
        """Return the completions of what stands before the cursor."""
        if line.lstrip().startswith("!"):
            return []
        return [_as_plain(found) for found in complete(self, line, cursor)]

    def get_candidates(self, words: Sequence[str], word: str) -> Iterator[Candidate]:
        """Return what the word at the cursor could be; see ``CandidateSource``."""
        if not words:
            yield from (Candidate(name, command.summary) for name, command in COMMANDS.items())
            return
        command = COMMANDS.get(words[0])
        if command is None:
            return
        if command.completes == "commands":
            yield from (Candidate(name, command.summary) for name, command in COMMANDS.items())
            return
        names = [name for name in words[1:] if not (command.options and name.startswith("-"))]
        if word.startswith("-") and command.options and "--" not in words:
            options = command.options.items()
            yield from (Candidate(f"-{letter}", meaning) for letter, meaning in options)
            return
        yield from self._get_names(command, names, word)

    def _get_names(self, command: Command, names: Sequence[str], word: str) -> Iterator[Candidate]:
        if not command.completes or (command.most is not None and len(names) >= command.most):
            return
        # What a mode can be, nobody has to be told.
        if command.function == "changing.chmod" and not names:
            return
        sides = [self._local, self._remote] if command.is_local else [self._remote, self._local]
        if not command.has_target:
            sides = sides[:1]
        elif names:
            # It is the target, or one more to copy.
            sides.reverse()
        else:
            sides = sides[:1]
        paths = [list(_get_paths(side, word, command.completes == "directories")) for side in sides]
        for found in paths:
            if any(path.value.lower().startswith(word.lower()) for path in found):
                yield from found
                return
        # Only one that is a little like it may be left.
        yield from paths[0]


class _Entry(NamedTuple):
    name: str
    is_dir: bool


class _Listings:
    """What is in the directories of one side, for a few seconds."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._lock = threading.Lock()
        self._found: dict[tuple[str, str], tuple[float, list[_Entry]]] = {}
        self._pending: dict[tuple[str, str], threading.Thread] = {}

    def forget(self) -> None:
        with self._lock:
            self._found.clear()
            self._pending.clear()

    def get(self, folder: str) -> list[_Entry]:
        """Return what is in a directory; nothing where it cannot be listed, or not in time."""
        key = (self._place.directory, folder)
        with self._lock:
            listed, entries = self._found.get(key, (float("-inf"), []))
            if time.monotonic() - listed < _SECONDS_KEPT:
                return entries
            thread = self._pending.get(key)
            if thread is None:
                # In a thread, which may be left alone when the line is stuck.
                place = self._place.apart() if isinstance(self._place, RemotePlace) else self._place
                thread = threading.Thread(target=self._fetch, args=(place, key), daemon=True)
                self._pending[key] = thread
                thread.start()
        thread.join(_SECONDS_TO_WAIT)
        with self._lock:
            return self._found.get(key, (0.0, []))[1]

    def _fetch(self, place: Place, key: tuple[str, str]) -> None:
        try:
            entries = _list(place, key[1])
        except Exception:
            # There is nothing to choose from; a command on it says why.
            entries = []
        with self._lock:
            if self._pending.get(key) is threading.current_thread():
                del self._pending[key]
                self._found[key] = (time.monotonic(), entries)


def _list(place: Place, folder: str) -> list[_Entry]:
    directory = place.resolve(Word(folder or ".", begins_plain=True))
    entries = []
    links = 0
    for found in place.list(directory):
        is_dir = found.is_dir
        if found.is_link and links < _MAX_LINKS:
            links += 1
            with suppress(OSError):
                is_dir = place.is_directory(posixpath.join(directory, found.filename))
        entries.append(_Entry(found.filename, is_dir))
    return entries


def _get_paths(side: _Listings, word: str, only_directories: bool) -> Iterator[Candidate]:
    folder, slash, beginning = word.rpartition("/")
    folder += slash
    for name, is_dir in side.get(folder):
        if only_directories and not is_dir:
            continue
        if (name.startswith(".") and not beginning.startswith(".")) or not _can_be_typed(name):
            continue
        # A directory goes on.
        end = "/" if is_dir else ""
        value = folder + name + end
        if not folder and name.startswith(("-", "~")):
            # Neither an option nor a home.
            value = f"./{value}"
        yield Candidate(value, "", name + end, not is_dir)


def _can_be_typed(name: str) -> bool:
    """Whether a name can stand in a line; of others, a pattern can tell."""
    categories = {unicodedata.category(character) for character in name}
    return not categories & {"Cc", "Cs", "Zl", "Zp"}


def _as_plain(found: Completion) -> Completion:
    """Return a completion in which wildcards are quoted: a name is to stand for itself."""
    if found.text[:1] in ("'", '"'):
        return found
    return found._replace(text=_quote_wildcards(found.text))


def _quote_wildcards(quoted: str) -> str:
    return "".join("\\" + c if c in "*?[" else c for c in quoted)
