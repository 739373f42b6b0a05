"""The terminals of jobs that run beside others."""

from __future__ import annotations

import codecs
import contextlib
import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO, cast

from ... import printing
from ...pseudo_terminal import Pty
from ...secret import Secret
from .cells import Cell, Kind

if TYPE_CHECKING:
    from .view import View

__all__ = ["JobPty", "StreamsPty"]


class JobPty(Pty):
    """The terminal of a job among others, whose view decides what becomes of it.

    Questions are asked at the terminal that all of them share, one at a time.
    """

    def __init__(
        self,
        view: View,
        cell: Cell,
        streams: tuple[TextIO, TextIO, TextIO],
        log: TextIO,
        term: str | None = None,
    ) -> None:
        super().__init__(*streams, term=term)
        self._view = view
        self._cell = cell
        self._log = log
        if isinstance(view.pty, JobPty):
            # What interrupts a job interrupts the jobs that it started in turn.
            self.interrupted = view.pty.interrupted

    @property
    def destination(self) -> printing.Destination:
        """Where what the job prints goes."""
        return printing.Destination(self._cell.name, self.stdout, self.stderr, self._log)

    @property
    def can_ask(self) -> bool:
        return self._view.pty.can_ask

    @property
    def is_attended(self) -> bool:
        return False

    @contextlib.contextmanager
    def conversation(self, check: Callable[[], None] | None = None) -> Iterator[Pty]:
        with self._view.conversation(check or self.check_interrupted) as shared:
            person = _Person(shared, self._cell.name, self)
            with person.typing():
                yield person

    def ask_secret(self, question: str, shown: bool = False) -> Secret | None:
        if not self.can_ask:
            return None
        with self.conversation() as person:
            asker = "" if self._cell.name in question else person.asker
            return person.ask_secret(asker + question, shown)


class StreamsPty(JobPty):
    """The terminal of a job that has none: what it writes goes to its view, by kind."""

    def __init__(self, view: View, cell: Cell) -> None:
        stdout, stderr, log = (_Sink(view, cell, kind) for kind in Kind)
        super().__init__(view, cell, (io.StringIO(), stdout, stderr), log, term="dumb")

    def get_size(self) -> tuple[int, int]:
        columns = self._view.pty.get_size()[1]
        return 24, max(columns - self._view.margin, 20)


class _Sink(io.StringIO):
    """A text stream that passes on what is written to it, also as bytes to its ``buffer``."""

    encoding = "utf-8"

    def __init__(self, view: View, cell: Cell, kind: Kind) -> None:
        super().__init__()
        self._bytes = cast(BinaryIO, _Bytes(self))
        self._view = view
        self._cell = cell
        self._kind = kind

    @property
    def buffer(self) -> BinaryIO:
        return self._bytes

    def write(self, text: str) -> int:
        if text:
            self._view.write(self._cell, self._kind, text)
        return len(text)


class _Bytes(io.RawIOBase):
    """Passes on what is written to it as text."""

    def __init__(self, sink: _Sink) -> None:
        self._sink = sink
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._sink.write(self._decode(data))
        return memoryview(data).nbytes


class _Person(Pty):
    """The terminal that jobs share, while one of them has a question."""

    def __init__(self, shared: Pty, name: str, job: JobPty) -> None:
        super().__init__(
            shared.stdin, shared.stdout, shared.stderr, shared.is_interactive, shared.term
        )
        self.asker = shared.asker + (f"{name}: " if name else "")
        self.interrupted = job.interrupted

    def typing(self) -> contextlib.AbstractContextManager[None]:
        """Have the terminal take whole lines, before the first question is there."""
        return self._line_mode(echo=True) if self.is_interactive else contextlib.nullcontext()
