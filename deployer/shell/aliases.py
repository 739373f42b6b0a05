"""Short names for lines, kept for a project."""

from __future__ import annotations

import os
from collections.abc import Callable

__all__ = ["Aliases"]


class Aliases(dict[str, str]):
    """Lines by their short names.

    :param path: the file that they are kept in, ``name=line`` in each line; None keeps nothing.
    :param warn: is called with the text of a warning when that file cannot be used.
    """

    def __init__(self, path: str | None, warn: Callable[[str], None]) -> None:
        super().__init__()
        self._path = path
        self._warn = warn
        self._load()

    def change(self, name: str, line: str) -> None:
        """Let a name stand for a line; without a line, for nothing."""
        # Another shell may have changed others meanwhile.
        self._load()
        if line:
            self[name] = line
        else:
            self.pop(name, None)
        self._save()

    def _load(self) -> None:
        if self._path is None:
            return
        try:
            with open(self._path, encoding="utf-8", errors="replace") as file:
                pairs = [line.rstrip("\n").partition("=") for line in file]
        except FileNotFoundError:
            pairs = []
        except OSError as error:
            self._give_up(f"cannot be read: {error.strerror}")
            return
        self.clear()
        self.update({name: line for name, _, line in pairs if name and line})

    def _save(self) -> None:
        if self._path is None:
            return
        new = f"{self._path}.{os.getpid()}"
        try:
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(fd, "w", encoding="utf-8") as file:
                file.writelines(f"{name}={line}\n" for name, line in sorted(self.items()))
            os.replace(new, self._path)
        except OSError as error:
            self._give_up(f"cannot be written: {error.strerror}")

    def _give_up(self, reason: str) -> None:
        self._warn(f"the aliases in {self._path} {reason}; they are kept until the shell is left")
        self._path = None
