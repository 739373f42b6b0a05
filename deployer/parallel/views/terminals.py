"""Views that give each job a terminal of its own, and show one of these at a time, if any."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

from ...pseudo_terminal import Pty
from ...streams import note_shown
from .cells import Cell, Kind
from .job_pty import JobPty, StreamsPty
from .terminal_pty import RESET_SCREEN, TerminalPty
from .view import View

__all__ = ["LEAVE_KEY", "TerminalsView"]

#: Ctrl-], which nothing else uses, as telnet knows.
LEAVE_KEY = b"\x1d"
# How often a question that waits for its turn looks whether it is still one, in seconds.
_LOOK = 0.25
# Seconds that the end of a job waits for the rest of its output, which somebody else may hold open.
_DRAINING = 2.0
# And the most bytes that it takes of them by itself: more than a terminal holds.
_REST = 1024 * 1024
_OTHER_SCREEN = b"\x1b[?1049h"


class TerminalsView(View):
    """Reads the terminals of all jobs in a thread of its own, which also has the keyboard.

    Somebody may be *attached* to one of them: it then has the screen and the keys.
    """

    #: Whether somebody is attached as a rule, so that questions do not wait until nobody is.
    interrupts_attached: ClassVar[bool] = False

    def __init__(self, pty: Pty, names: Sequence[str], title: str = "") -> None:
        super().__init__(pty, names, title)
        self.terminals: dict[int, TerminalPty] = {}
        self.attached: TerminalPty | None = None
        self._raw_mode = contextlib.ExitStack()
        # Notified when nobody is attached any more, or the last question was answered.
        self._is_free = threading.Condition(self.lock)
        self._questions = 0
        self._is_over = False
        self._is_blind = False
        self._wake_reader, self._wake_writer = -1, -1
        self._resized: int | None = None

    # What kinds of this do.

    def typed(self, keys: str) -> str:
        """Act on keys that were pressed while nobody was attached. Called with the lock.

        :return: those that are left once somebody is.
        """
        return ""

    def heed(self, keys: bytes) -> bytes:
        """Return those of the keys that were pressed that are meant. Called with the lock."""
        return keys

    def tick(self) -> float:
        """Draw what is to be drawn, and return after how many seconds to come back."""
        return 1.0

    def clear_screen(self) -> None:
        """Take away what is on the screen, to make room for something else."""

    def left(self) -> None:
        """Somebody was detached. Called with the lock."""

    def opened(self, terminal: TerminalPty) -> None:
        """A job got its terminal. Called with the lock."""

    def translate(self, data: bytes) -> bytes:
        """Return what to write to the screen for output of the terminal that is attached."""
        return data

    # What they share.

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        self._wake_reader, self._wake_writer = os.pipe()
        for fd in (self._wake_reader, self._wake_writer):
            os.set_blocking(fd, False)
        thread = threading.Thread(target=self._follow, name="deployer-view", daemon=True)
        try:
            with self.pty.resize_events() as resized, self.pty.cbreak_mode():
                self._resized = resized
                thread.start()
                try:
                    yield
                finally:
                    with self.lock:
                        self._is_over = True
                    self.wake()
                    thread.join()
                    with self.lock:
                        self.detach()
                        self.clear_screen()
                        # What is left here belongs to jobs that did not notice Ctrl-C.
                        for terminal in self.terminals.values():
                            terminal.close()
        finally:
            # After a second Ctrl-C, it may still be there.
            if not thread.is_alive():
                os.close(self._wake_reader)
                os.close(self._wake_writer)
                self._wake_reader = self._wake_writer = -1

    @contextlib.contextmanager
    def terminal_of(self, cell: Cell) -> Iterator[JobPty]:
        try:
            terminal = TerminalPty(self, cell)
        except OSError:
            # There are as many terminals, or files, as there may be.
            yield StreamsPty(self, cell)
            return
        with self.lock:
            self.terminals[terminal.master] = terminal
            self.opened(terminal)
        self.wake()
        try:
            yield terminal
        finally:
            terminal.end()
            # What it wrote last is to come before its end, however late the thread comes round.
            self._read_rest(terminal)
            if not terminal.is_drained.is_set():
                self.wake()
                terminal.is_drained.wait(_DRAINING)
                self._read_rest(terminal)
            with self.lock:
                self.terminals.pop(terminal.master, None)
                if self.attached is terminal:
                    self.detach()
                terminal.close()

    @contextlib.contextmanager
    def conversation(self, check: Callable[[], None]) -> Iterator[Pty]:
        with super().conversation(check) as pty:
            with self.lock:
                if self.attached is not None and not self.interrupts_attached:
                    # The screen is taken: whoever has it hears that there is a question.
                    self.show("\a")
                while self.attached is not None and not self.interrupts_attached:
                    self._is_free.wait(_LOOK)
                    check()
                self._questions += 1
                was_attached = self.attached
                self.detach()
                self.clear_screen()
            # The keyboard is the question's from here on.
            self.wake()
            try:
                yield pty
            finally:
                with self.lock:
                    self._questions -= 1
                    if was_attached is not None:
                        if was_attached.master in self.terminals:
                            self.attach(was_attached)
                        else:
                            self.left()
                self.wake()

    @property
    def is_asking(self) -> bool:
        """Whether somebody is being asked something."""
        return self._questions > 0

    def wake(self) -> None:
        """Have the thread look at once."""
        with contextlib.suppress(OSError):
            os.write(self._wake_writer, b"\0")

    def attach(self, terminal: TerminalPty) -> None:
        """Give the screen and the keys to a terminal. Called with the lock."""
        self.clear_screen()
        self.attached = terminal
        self._raw_mode.enter_context(self.pty.raw_mode())
        size = rows, columns = self.pty.get_size()
        start = _OTHER_SCREEN if terminal.is_on_other_screen else b""
        self.show_bytes(self.translate(start + terminal.tail))
        # Twice, so that a program that draws on the whole screen draws all of it again.
        terminal.resize((max(rows - 1, 1), columns))
        terminal.resize(size)

    def detach(self) -> None:
        """Take them back. Called with the lock."""
        if self.attached is None:
            return
        self.attached = None
        self._raw_mode.close()
        self.show_bytes(self.translate(RESET_SCREEN.encode()) + b"\r\n")
        self.left()
        self._is_free.notify_all()

    def show(self, text: str) -> None:
        """Write to the screen itself."""
        self.show_bytes(text.encode(self.pty.stdout.encoding or "utf-8", "replace"))

    def show_bytes(self, data: bytes) -> None:
        """Write to the screen itself, what may be a part of a character."""
        if self._is_blind:
            return
        try:
            fd = self.pty.stdout.fileno()
            rest = data
            while rest:
                rest = rest[os.write(fd, rest) :]
            note_shown(self.pty.stdout, data)
        except (OSError, ValueError):
            # The terminal is gone; the jobs go on, and what they write is still read.
            self._is_blind = True

    # The thread.

    def _follow(self) -> None:
        resized = self._resized
        while True:
            with self.lock, self.printing_outside():
                timeout = self.tick() if not self._is_blind else 1.0
                terminals = dict(self.terminals)
                keyboard = None if self._questions or self._is_blind else self._get_keyboard()
                is_over = self._is_over
            poll = select.poll()
            for fd, terminal in terminals.items():
                if not terminal.is_drained.is_set():
                    poll.register(
                        fd, select.POLLIN | (select.POLLOUT if terminal.has_more_to_type else 0)
                    )
            for other in (self._wake_reader, keyboard, resized):
                if other is not None:
                    poll.register(other, select.POLLIN)
            ready = dict(poll.poll(timeout * 1000))
            if self._wake_reader in ready:
                with contextlib.suppress(OSError):
                    os.read(self._wake_reader, 4096)
            for fd, terminal in terminals.items():
                if fd in ready:
                    self._read(terminal)
            with self.lock, self.printing_outside():
                if keyboard is not None and keyboard in ready and not self._questions:
                    self._read_keys(keyboard)
                if resized is not None and resized in ready:
                    self._resize(resized)
            if is_over:
                return

    def _get_keyboard(self) -> int | None:
        with contextlib.suppress(OSError, ValueError):
            return self.pty.stdin.fileno()
        return None

    def _read(self, terminal: TerminalPty) -> int:
        """Take some of what a job wrote; return how many bytes."""
        # The lock is for what is read, too: the thread and that of the job may both be here.
        with self.lock, self.printing_outside():
            if terminal.is_drained.is_set():
                return 0
            data, is_end = terminal.receive()
            text = terminal.take(data, is_end)
            if text:
                self.write(terminal.cell, Kind.STDOUT, text)
            if self.attached is terminal:
                self.show_bytes(self.translate(data))
            if is_end:
                terminal.is_drained.set()
            return len(data)

    def _read_rest(self, terminal: TerminalPty) -> None:
        # Whoever holds it open may write on it forever.
        left = _REST
        while left > 0 and (size := self._read(terminal)):
            left -= size

    def _read_keys(self, keyboard: int) -> None:
        try:
            keys = os.read(keyboard, 4096)
        except OSError:
            keys = b""
        if not keys:
            self._is_blind = True
            return
        keys = self.heed(keys)
        # Several may have been pressed at once, and some of them after others had an effect.
        while keys:
            if self.attached is None:
                rest = self.typed(keys.decode(errors="surrogateescape"))
                keys = rest.encode(errors="surrogateescape")
            else:
                for_host, leave, keys = keys.partition(LEAVE_KEY)
                self.attached.type(for_host)
                if leave:
                    self.leave()

    def leave(self) -> None:
        """The key was pressed that leaves a terminal."""
        self.detach()

    def _resize(self, resized: int) -> None:
        with contextlib.suppress(OSError):
            os.read(resized, 4096)
        size = self.pty.get_size()
        for terminal in self.terminals.values():
            terminal.resize(size)
