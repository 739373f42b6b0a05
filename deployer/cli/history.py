"""The lines that were entered before, kept in a file that several shells may share."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

__all__ = ["History"]

_MAX_LINES = 2000


class History:
    """The history of one project. A file that cannot be read or written costs a warning, once.

    :param path: the file; one line each. None keeps nothing.
    :param warn: is called with the text of a warning.
    """

    def __init__(self, path: str | os.PathLike[str] | None, warn: Callable[[str], None]) -> None:
        self._path = None if path is None else os.fspath(path)
        self._warn = warn
        self._last = ""

    @classmethod
    def for_project(
        cls, project: str | os.PathLike[str], shell: str, warn: Callable[[str], None]
    ) -> History:
        """Return the history of a shell in the project that a script belongs to."""
        # Imported here: most runs have no history. A cryptographic hash would take as long as a
        # quarter of Python itself.
        import zlib

        state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
        resolved = os.path.realpath(project)
        folder, script = os.path.split(resolved)
        # The name is for people; the checksum keeps projects apart that have the same name.
        title = f"{os.path.basename(folder)}-{os.path.splitext(script)[0]}"
        name = re.sub(r"[^\w.-]", "_", title)
        checksum = f"{zlib.crc32(os.fsencode(resolved)):08x}"
        state = os.path.expanduser(state)
        if state.startswith("~"):  # Nobody's home is known, as in some containers.
            return cls(None, warn)
        return cls(os.path.join(state, "deployer", f"{name}-{checksum}.{shell}"), warn)

    def load(self) -> list[str]:
        """Return the last lines, the oldest first; what is not text in the file is left out."""
        if self._path is None:
            return []
        try:
            with open(self._path, "rb") as file:
                content = file.read()
        except FileNotFoundError:
            return []
        except OSError as error:
            self._give_up(f"cannot be read: {error.strerror}")
            return []
        lines = content.decode("utf-8", "replace").splitlines()
        return [line for line in lines if line and line.isprintable()][-_MAX_LINES:]

    def append(self, line: str) -> None:
        """Keep a line. Not kept: repetitions, and lines that begin with a blank (secrets, say)."""
        if self._path is None or not line.strip() or line[0].isspace() or line == self._last:
            return
        self._last = line
        try:
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            # One write in append mode: the lines of two shells never mix.
            fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(fd, line.replace("\n", " ").encode("utf-8", "replace") + b"\n")
            finally:
                os.close(fd)
        except OSError as error:
            self._give_up(f"cannot be written: {error.strerror}")

    def _give_up(self, reason: str) -> None:
        self._warn(f"the history {self._path} {reason}; it is not kept")
        self._path = None
