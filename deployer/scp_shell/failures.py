"""Going on with the other files when one of them fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..cli import Status

if TYPE_CHECKING:
    from .globbing import Word
    from .places import Found, Place
    from .shell import ScpShell

__all__ = ["Failures"]


class Failures:
    """What went wrong with some of several files, while the others go on."""

    def __init__(self, shell: ScpShell) -> None:
        self._shell = shell
        self.number = 0

    @property
    def status(self) -> int:
        """The exit status for all."""
        return Status.FAILED if self.number else Status.DONE

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Show what fails in the ``with`` block; not a lost connection, which ends it all."""
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            self.note(error)

    def find_all(self, place: Place, words: Iterable[Word]) -> Iterator[Found]:
        """Yield all files that words stand for; a word that stands for nothing is a failure."""
        for word in words:
            found: list[Found] = []
            with self.noted():
                found = place.find(word)
            yield from found

    def note(self, error: OSError) -> None:
        """Show one failure."""
        self._shell.show_failure(error)
        self.number += 1
