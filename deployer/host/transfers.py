"""Copying the content of files, with what a person or a caller sees of it meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

from ..progress_bar import ProgressBar
from ..pseudo_terminal import Pty
from .files import copy_stream
from .writers import Writer

__all__ = ["Progress", "Transfer", "transfer"]

#: Is told how many bytes are done, and how many there are.
Progress = Callable[[int, int], object]

# What takes less is over before a person has read what is shown of it.
_SECONDS_UNTIL_SHOWN = 0.5
_KB = 1024


class Transfer:
    """How far the copying of so many bytes is; made by :func:`transfer`."""

    def __init__(
        self, pty: Pty, name: str, total: int, progress: Progress | None, stack: ExitStack
    ) -> None:
        self._pty = pty
        self._name = name
        self._total = total
        self._progress = progress
        self._stack = stack
        self._done = 0
        self._begun = time.monotonic()
        self._bar: ProgressBar | None = None

    def advance(self, size: int) -> None:
        """So many more bytes are done; raise KeyboardInterrupt when there are to be no more."""
        self._pty.check_interrupted()
        self._done += size
        # A file may grow meanwhile, and those of /proc say that they are empty.
        self._total = max(self._total, self._done)
        if self._progress is not None:
            self._progress(self._done, self._total)
        elif self._pty.is_interactive:
            self._show()

    def copy(self, source: BinaryIO, writer: Writer) -> None:
        """Copy what is left of a file, and commit it; or abort, and raise."""

        def write(data: bytes) -> None:
            writer.write(data)
            self.advance(len(data))

        try:
            self._pty.check_interrupted()
            copy_stream(source, write)
            writer.commit()
        except BaseException:
            writer.abort()
            raise

    def _show(self) -> None:
        if self._bar is None:
            if time.monotonic() - self._begun < _SECONDS_UNTIL_SHOWN:
                return
            bar = ProgressBar(self._pty, f"{self._name} (KB)", self._total // _KB, True)
            self._bar = self._stack.enter_context(bar)
        self._bar.set_progress(self._done // _KB, self._total // _KB)


@contextmanager
def transfer(pty: Pty, name: str, total: int, progress: Progress | None) -> Iterator[Transfer]:
    """Give what to copy with.

    :param name: what is copied, for a person.
    :param total: how many bytes, as far as that is known.
    :param progress: is told of all that is done; without it, a person at a terminal is shown a
        bar when it takes a while.
    """
    with ExitStack() as stack:
        moving = Transfer(pty, name, total, progress, stack)
        if progress is not None:
            progress(0, total)
        yield moving
