"""The two sides of the shell: a host and this machine, each with the directory that one is in."""

from __future__ import annotations

import abc
import errno
import os
import posixpath
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

from ..exceptions import RemoteFileError
from ..host.files import FileSystem, LocalFileSystem, Stat, file_errors
from .globbing import Word, expand

if TYPE_CHECKING:
    from ..host import Host

__all__ = ["Found", "LocalPlace", "Place", "RemotePlace"]


class Found(NamedTuple):
    """A file that a word stands for; it need not exist."""

    #: As somebody would type it.
    text: str
    #: Its absolute path.
    path: str
    #: What it is, where that was seen on the way; of a symlink, the link itself.
    stat: Stat | None = None


class Place(abc.ABC):
    """One side: its files, by paths as somebody types them. Its errors name it and the path."""

    def __init__(self, name: str, directory: str) -> None:
        #: How errors call it.
        self.name = name
        #: Where one is, an absolute path; nobody else's directory changes with it.
        self.directory = directory
        self._last_directory = directory

    @abc.abstractmethod
    def open_files(self) -> AbstractContextManager[FileSystem]:
        """Give the operations on the files."""

    @abc.abstractmethod
    def get_home(self, username: str | None = None) -> str:
        """Return the home directory of a user; of one's own by default."""

    @abc.abstractmethod
    def locate(self, path: str) -> str:
        """Return how a path is shown, with where it is."""

    def errors(self, path: str, what: str) -> AbstractContextManager[None]:
        """Name this side and the path in errors."""
        return file_errors(self.name, path, what)

    def resolve(self, word: Word) -> str:
        """Return the absolute path of a word; ``..`` goes back by where one came."""
        path = word.text
        if not path:
            raise RemoteFileError(f"{self.name}: an empty name is no file", errno.ENOENT)
        if word.has_tilde:
            user, slash, rest = path[1:].partition("/")
            path = self.get_home(user or None).rstrip("/") + slash + rest
        path = posixpath.normpath(posixpath.join(self.directory, path))
        # POSIX lets two slashes at the beginning mean something else, which they do nowhere.
        return "/" + path.lstrip("/")

    def find(self, word: Word) -> list[Found]:
        """Return what a word stands for: the files that match it, or the one that it names.

        A pattern that matches nothing may be the name of a file, as in shells.
        """
        seen: dict[str, Stat] = {}

        def list_names(directory: str) -> list[str] | None:
            path = self.resolve(Word(directory or ".", begins_plain=word.has_tilde))
            with self.open_files() as files:
                try:
                    entries = files.listdir(path)
                except OSError:
                    return None
            seen.update((posixpath.join(path, entry.filename), entry) for entry in entries)
            return [entry.filename for entry in entries]

        found = [(one.text, self.resolve(one)) for one in expand(word, list_names)]
        if not found:
            path = self.resolve(word)
            with self.open_files() as files:
                try:
                    return [Found(word.text, path, files.lstat(path))]
                except OSError as error:
                    raise RemoteFileError(
                        f"{self.name}: nothing matches {word.text} in {self.directory}",
                        errno.ENOENT,
                    ) from error
        return [Found(text, path, seen.get(path)) for text, path in found]

    def find_one(self, word: Word) -> str:
        """Return the absolute path of the only file that a word stands for."""
        found = self.find(word)
        if len(found) > 1:
            raise RemoteFileError(f"{self.name}: {word.text} is {len(found)} files; name one")
        return found[0].path

    def look_at(self, found: Found) -> Stat:
        """Return what is known of a file, or of a symlink itself."""
        if found.stat is not None:
            return found.stat
        with self.errors(found.path, "look at"), self.open_files() as files:
            return files.lstat(found.path)

    def stat(self, path: str, what: str = "look at") -> Stat:
        """Return what is known of a file; of where it leads to, for a symlink."""
        with self.errors(path, what), self.open_files() as files:
            return files.stat(path)

    def list(self, path: str) -> list[Stat]:
        """Return what is in a directory, sorted by name; of symlinks, what they are."""
        with self.errors(path, "list"), self.open_files() as files:
            return sorted(files.listdir(path), key=lambda found: found.filename)

    def read_link(self, path: str) -> str:
        """Return where a symlink leads, as it is written in it."""
        with self.errors(path, "read"), self.open_files() as files:
            return files.readlink(path)

    def is_directory(self, path: str) -> bool:
        """Whether there is a directory, or a symlink to one."""
        with self.errors(path, "look at"), self.open_files() as files:
            try:
                return files.stat(path).is_dir
            except (FileNotFoundError, NotADirectoryError):
                return False

    def enter(self, path: str) -> None:
        """Go to a directory."""
        with self.errors(path, "enter"), self.open_files() as files:
            if not files.stat(path).is_dir:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        self._last_directory, self.directory = self.directory, path

    def enter_last(self) -> None:
        """Go back to where one was before."""
        self.enter(self._last_directory)


class RemotePlace(Place):
    """A host."""

    def __init__(self, host: Host, directory: str) -> None:
        super().__init__(host.slug, directory)
        self.host = host

    def open_files(self) -> AbstractContextManager[FileSystem]:
        return self.host.open_files()

    def get_home(self, username: str | None = None) -> str:
        return self.host.get_home_directory(username)

    def locate(self, path: str) -> str:
        return f"{self.name}:{path}"

    def apart(self) -> RemotePlace:
        """Return the same for another thread, which asks nobody for a password."""
        return RemotePlace(type(self.host)(), self.directory)


class LocalPlace(Place):
    """This machine."""

    def __init__(self) -> None:
        name = "this machine"
        with file_errors(name, ".", "find the current directory,"):
            super().__init__(name, os.getcwd())

    def open_files(self) -> AbstractContextManager[FileSystem]:
        return nullcontext(LocalFileSystem())

    def get_home(self, username: str | None = None) -> str:
        path = os.path.expanduser(f"~{username or ''}")
        if not path.startswith("/"):
            raise RemoteFileError(f"{self.name}: there is no user {username!r}", errno.ENOENT)
        return path

    def locate(self, path: str) -> str:
        return path
