"""Programs that kill the shell that runs them, to see what scripts leave when they do not end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from deployer.exceptions import ActionException

__all__ = ["Deadly"]


class Deadly:
    """Programs that kill the shell that runs them, one after another."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        directory.mkdir()
        (directory / "count").write_text("0\n")
        # Those that change something: between two others, all is as before.
        for name in ("cp", "ln", "mkdir", "mv", "rm", "rmdir"):
            (directory / name).write_text(_DEADLY)
            (directory / name).chmod(0o755)
        self._count = directory / "count"
        self._directory = directory
        self._monkeypatch = monkeypatch

    def kill_at(self, number: int, when: str, action: Callable[[], object]) -> bool:
        """Have a call of a program be the last one of its shell; return whether there was one."""
        self._count.write_text("0\n")
        with self._monkeypatch.context() as patch:
            patch.setenv("DEADLY", str(self._directory))
            patch.setenv("DEADLY_AT", str(number))
            patch.setenv("DEADLY_WHEN", when)
            patch.setenv("PATH", str(self._directory), prepend=":")
            with suppress(ActionException):
                action()
        return int(self._count.read_text()) >= number


# In place of a program: it counts, and kills the shell that runs it at one of the calls. A shell
# replaces itself by the last program of a line; then there is nothing else to kill.
_DEADLY = """\
#!/bin/sh
read -r number <"$DEADLY/count"
number=$((number + 1))
echo "$number" >"$DEADLY/count"
PATH=${PATH#"$DEADLY:"}
[ "$number" = "$DEADLY_AT" ] || exec "${0##*/}" "$@"
[ "$DEADLY_WHEN" = before ] || "${0##*/}" "$@"
read -r parent <"/proc/$PPID/comm"
[ "$parent" != sh ] || kill -9 "$PPID"
kill -9 $$
"""
