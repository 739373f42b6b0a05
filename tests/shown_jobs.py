"""Jobs that are run and shown away from a terminal, for tests of how that looks."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deployer.parallel import Job, Outcome, RunOptions, run
from deployer.pseudo_terminal import Presentation, Pty

Act = Callable[[Pty], object]


class Shown:
    """A place without a terminal, whose two streams are apart."""

    def __init__(
        self,
        output: str | None = None,
        directory: Path | None = None,
        kind: type[Pty] = Pty,
        **more: Any,
    ) -> None:
        self._out, self._err = io.StringIO(), io.StringIO()
        self.pty = kind(io.StringIO(), self._out, self._err, interactive=False, term="dumb")
        kept = None if directory is None else str(directory)
        self.pty.presentation = Presentation(output, kept, **more)

    def run(self, jobs: dict[str, Act], **options: Any) -> list[Outcome[object]]:
        made = [Job(name, act) for name, act in jobs.items()]
        return run(self.pty, made, RunOptions(**options), "Root.farm.act")

    @property
    def out(self) -> list[str]:
        return self._out.getvalue().splitlines()

    @property
    def err(self) -> list[str]:
        return self._err.getvalue().splitlines()


def says(*texts: str) -> Act:
    def act(pty: Pty) -> None:
        for text in texts:
            pty.write(text)

    return act


def fails(text: str = "", error: Exception | None = None) -> Act:
    def act(pty: Pty) -> None:
        pty.write(text)
        raise error or ValueError("no")

    return act
