"""Terminals for tests: a pair of a terminal and whoever sits at it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pyte

from deployer.pseudo_terminal import Pty

__all__ = [
    "ROOT",
    "TIMEOUT",
    "Screen",
    "Terminal",
    "open_terminal",
    "person",
    "run_command_in_terminal",
    "run_in_terminal",
    "run_script",
]

ROOT = Path(__file__).resolve().parent.parent

#: Seconds after which what is waited for will not come.
TIMEOUT = 20.0


class Terminal:
    """A terminal of this process: ``pty`` is the side of the program, the rest is the person's."""

    def __init__(self, master: int, slave: int) -> None:
        self._master = master
        self._slave = slave
        self._stream_in = os.fdopen(slave, encoding="utf-8", closefd=False)
        self._stream_out = os.fdopen(slave, "w", encoding="utf-8", closefd=False)
        self.pty = Pty(self._stream_in, self._stream_out, term="xterm")
        self._read = b""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def read_until(self, text: str) -> str:
        """Return all output so far, once there is this text in it."""
        deadline = time.monotonic() + TIMEOUT
        while text.encode() not in self._read:
            if not select.select([self._master], [], [], max(deadline - time.monotonic(), 0))[0]:
                raise AssertionError(f"{text!r} did not appear in {self._read.decode()!r}")
            self._read += os.read(self._master, 65536)
        return self._read.decode()

    @property
    def echoes(self) -> bool:
        """Whether what is typed can be seen."""
        return bool(termios.tcgetattr(self._slave)[3] & termios.ECHO)

    def close(self) -> None:
        self._stream_in.close()
        self._stream_out.close()


@contextmanager
def open_terminal(columns: int = 80) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    terminal = Terminal(master, slave)
    try:
        yield terminal
    finally:
        terminal.close()
        os.close(slave)
        os.close(master)


class _Screen(pyte.Screen):
    """What pyte shows, also for programs that set keys in a way that it takes for colours."""

    def select_graphic_rendition(self, *attributes: int, private: bool = False) -> None:
        if not private:
            super().select_graphic_rendition(*attributes)


class Screen:
    """A program in a terminal of its own, and what that shows."""

    def __init__(self, process: subprocess.Popen[bytes], master: int, rows: int, columns: int):
        self.process = process
        self._master = master
        self._screen = _Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._rows: dict[int, str] = {}

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    @property
    def lines(self) -> list[str]:
        """The lines on the screen, without blanks at their ends, and no empty ones at the end."""
        # Only what has changed: to look at every place of a large screen takes its time.
        for row in self._screen.dirty:
            line = self._screen.buffer[row]
            # Behind a wide character is a place with nothing in it.
            places = range(1 + max(line, default=-1))
            self._rows[row] = "".join(line[place].data for place in places).rstrip()
        self._screen.dirty.clear()
        rows = (self._rows.get(row, "") for row in range(self._screen.lines))
        return "\n".join(rows).rstrip().split("\n")

    def colour_at(self, line: str) -> str:
        """Return the colour of the first character of a line on the screen."""
        colour: str = self._screen.buffer[self.lines.index(line)][0].fg
        return colour

    def wait_for(
        self, is_there: str | Callable[[list[str]], bool], seconds: float = TIMEOUT
    ) -> list[str]:
        """Return the lines once a text is among them as a whole, or a condition holds for them."""
        deadline = time.monotonic() + seconds
        while True:
            lines = self.lines
            if is_there in lines if isinstance(is_there, str) else is_there(lines):
                return lines
            if not self._receive(deadline):
                raise AssertionError("did not appear: {}\n{}".format(is_there, "\n".join(lines)))

    def interrupt_line(self, is_there: str | Callable[[list[str]], bool]) -> list[str]:
        """Press Ctrl-C while a line is typed, as often as it takes.

        Python notices it only while its readline waits for keys, and not just before that.
        """
        for _ in range(int(TIMEOUT * 2)):
            self.type("\x03")
            with suppress(AssertionError):
                return self.wait_for(is_there, seconds=0.5)
        return self.wait_for(is_there)

    def wait_for_end(self, seconds: float = TIMEOUT) -> int:
        """Return the exit status, once the program has ended."""
        deadline = time.monotonic() + seconds
        while self._receive(deadline):
            pass
        return self.process.wait(TIMEOUT)

    def _receive(self, deadline: float) -> bool:
        if not select.select([self._master], [], [], max(deadline - time.monotonic(), 0))[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux says so when the other side is closed.
            return False
        self._stream.feed(data)
        return bool(data)


def run_script(
    script: Path, *arguments: str, stdin: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a Python script to its end, without a terminal."""
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        check=False,
    )


@contextmanager
def run_in_terminal(
    script: Path,
    *arguments: str,
    rows: int = 24,
    columns: int = 80,
    **environment: str,
) -> Iterator[Screen]:
    """Run a Python script in a terminal."""
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "PAGER")}
    # -u would not do: readline writes through the C library.
    command = [sys.executable, str(script), *arguments]
    environment = {**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm", **environment}
    with run_command_in_terminal(command, None, environment, rows, columns) as screen:
        yield screen


@contextmanager
def run_command_in_terminal(
    command: Sequence[str],
    folder: Path | None,
    environment: Mapping[str, str],
    rows: int = 24,
    columns: int = 80,
) -> Iterator[Screen]:
    """Run any program in a terminal, with nothing in its environment but what is given."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=folder,
        env={"TERM": "xterm", **environment},
        # The terminal is its controlling one, so that Ctrl-C reaches it.
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        start_new_session=True,
    )
    os.close(slave)
    try:
        yield Screen(process, master, rows, columns)
    finally:
        process.kill()
        process.wait()
        os.close(master)


@contextmanager
def person(act: Callable[[], None]) -> Iterator[None]:
    """Let somebody act meanwhile. The host runs in the main thread, where windows are resized."""
    problems: list[BaseException] = []

    def acting() -> None:
        try:
            act()
        except BaseException as error:
            problems.append(error)

    thread = threading.Thread(target=acting)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        if problems:
            raise problems[0]
