"""What an action has shown, kept so that it can be looked at again."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO, cast

from .. import printing
from ..streams import note_shown
from ..utils.folding import natural_key
from ..utils.transcript import leave_out_screens, plain_text

if TYPE_CHECKING:
    from ..pseudo_terminal import Pty

__all__ = ["Recording"]

# Characters, of which the last are kept: more than anybody reads in a pager.
_MOST = 4_000_000


class Recording:
    """The output of one action: what it wrote itself, and what each of its parallel jobs wrote."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[str, str]] = deque()
        self._size = 0
        self._views = 0
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def of(self, pty: Pty) -> Iterator[None]:
        """Keep what is shown at a terminal, during the ``with`` block.

        That is what this thread prints, and what jobs write in whatever thread.
        """
        before = pty.presentation
        pty.presentation = before._replace(recorder=self)
        out, err = (cast(TextIO, _Tee(stream, self)) for stream in (pty.stdout, pty.stderr))
        try:
            with (
                printing.by_thread(),
                printing.printing_to(printing.Destination("", out, err, err)),
            ):
                yield
        finally:
            pty.presentation = pty.presentation._replace(recorder=before.recorder)

    @contextlib.contextmanager
    def viewing(self) -> Iterator[None]:
        """Leave out what a view draws, which shows what jobs write once more."""
        with self._lock:
            self._views += 1
        try:
            yield
        finally:
            with self._lock:
                self._views -= 1

    def add(self, name: str, text: str) -> None:
        """Keep what the job of a name wrote; without a name, the action itself."""
        with self._lock:
            # print() writes an end of its own also where that is empty.
            if not text or (not name and self._views):
                return
            self._pieces.append((name, text))
            self._size += len(text)
            while self._size > _MOST and len(self._pieces) > 1:
                self._size -= len(self._pieces.popleft()[1])

    @property
    def is_within_line(self) -> bool:
        """Whether the last line that the action itself wrote has no end yet."""
        with self._lock:
            last = self._pieces[-1][1] if self._pieces and not self._pieces[-1][0] else ""
        return bool(last) and not last.endswith(("\n", "\r"))

    @property
    def names(self) -> list[str]:
        """The names of the jobs that wrote something, ordered as people do."""
        return sorted({name for name, _ in self._pieces if name}, key=natural_key)

    def get_text(self, name: str | None = None) -> str:
        """Return what was written, as it would be left on a screen.

        :param name: of one job only; else of the action, and of all jobs under their names.
        """
        if name is not None:
            return _as_left("".join(text for owner, text in self._pieces if owner == name))
        parts = [self.get_text("").strip("\n")]
        for owner in self.names:
            lines = self.get_text(owner).strip("\n").split("\n")
            parts.append("\n".join([f"{owner}:", *(f"  {line}" for line in lines)]))
        return "\n".join(part for part in parts if part)


def _as_left(text: str) -> str:
    return plain_text(leave_out_screens(text))


class _Tee:
    """A text stream of which everything that is written to it is also kept."""

    def __init__(self, stream: TextIO, recording: Recording) -> None:
        self._stream = stream
        self._recording = recording

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, and keep."""
        self._recording.add("", text)
        return self._stream.write(text)

    def note_shown(self, data: str | bytes) -> None:
        """Keep what somebody typed."""
        text = data.decode(errors="replace") if isinstance(data, bytes) else data
        self._recording.add("", text)
        note_shown(self._stream, data)
