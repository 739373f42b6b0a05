#!/usr/bin/env python3
"""Make the screens of the documentation, by running the real program at a real terminal.

python docs/illustrate.py             # all of them
python docs/illustrate.py walk last   # some

A file ``docs/screens/NAME.session`` says what is typed; ``docs/screens/NAME.txt`` is made of it:
what the terminal shows, with its colours. It takes pyte, git, bash and a POSIX shell.

Each session has a new home directory, in which what ``screens/prepare.sh`` makes is there, and the
current directory is ``~/site``, with the scripts of the session in it. A session begins with lines
``NAME: VALUE``, all of which may be left out:

``size: 80x24``
    columns and rows of the terminal
``files: deploy.py machines.py``
    the scripts, relative to ``docs/screens``
``keep: all``
    what is kept: ``all``, with what has scrolled away, or the ``screen`` as it is at the end
``from: TEXT``, ``until: TEXT``
    leave out what comes before the first line that has this text, and from the next one on that
    has this one

After an empty line, there is a step in each line:

``$ TEXT``, ``> TEXT``
    wait for a new prompt that ends in this character, type the text, and press Enter. Without a
    text, wait only
``? TEXT``
    wait until the text is on the screen, below the last prompt or beside it; with ``<cursor>`` at
    its end, until the cursor is behind it
``= TEXT``
    type the text at once, and press Enter
``! COMMAND``
    run a command beside the session, as something that happens meanwhile
``# …``
    a comment

``<Tab>``, ``<Up>``, ``<Ctrl-D>`` and the like in a text are keys. After a text that ends in one,
Enter is not pressed. The prompt of the system's shell at the end is left out.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import string
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyte
import pyte.graphics

DOCS = Path(__file__).resolve().parent
SCREENS = DOCS / "screens"
sys.path.insert(0, str(DOCS.parent / "tests"))

from terminals import ROOT, Screen, run_command_in_terminal  # noqa: E402

__all__ = ["Session", "illustrate", "normalise", "read_session"]

#: Seconds after which what is waited for will not come, also on a busy machine.
PATIENCE = 90.0

#: The directories that a session has, by the variables that name them, and what they are called on
#: the screen. All of them are new ones below /tmp whose names are as long.
DIRECTORIES = {
    "HOME": "/home/me",
    "GIT1": "/srv/git",
    "STAGING1": "/srv/www",
    "WEB1": "/srv/www",
    "WEB2": "/srv/www",
    "WEB3": "/srv/www",
    "DB1": "/srv/sql",
    "OTHERS": "/srv/www",
}

KEYS = {
    "Tab": "\t",
    "Enter": "\r",
    "Esc": "\x1b",
    "Backspace": "\x7f",
    "Up": "\x1b[A",
    "Down": "\x1b[B",
    "Right": "\x1b[C",
    "Left": "\x1b[D",
    **{f"Ctrl-{letter}": chr(ord(letter) - 64) for letter in string.ascii_uppercase},
}
_KEY = re.compile("<({})>".format("|".join(KEYS)))


@dataclass
class Session:
    """What a file says."""

    size: tuple[int, int] = (80, 24)
    files: list[str] = field(default_factory=lambda: ["deploy.py", "machines.py"])
    keep: str = "all"
    begin: str = ""
    end: str = ""
    steps: list[tuple[str, str]] = field(default_factory=list)


def read_session(text: str) -> Session:
    session = Session()
    head, _, body = text.partition("\n\n")
    for line in head.splitlines():
        name, _, value = line.partition(":")
        value = value.strip()
        if name.startswith("#"):
            continue
        match name:
            case "size":
                columns, rows = map(int, value.split("x"))
                session.size = columns, rows
            case "files":
                session.files = value.split()
            case "keep" if value in ("all", "screen"):
                session.keep = value
            case "from":
                session.begin = value
            case "until":
                session.end = value
            case _:
                raise ValueError(f"a session does not begin with {line!r}")
    for line in body.splitlines():
        kind, _, value = line.partition(" ")
        if kind not in ("$", ">", "?", "=", "!", "#", ""):
            raise ValueError(f"there is no step {line!r}")
        if kind not in ("#", ""):
            session.steps.append((kind, value))
    return session


class _Terminal(pyte.Screen):
    """A terminal that keeps what has scrolled away."""

    def __init__(self, columns: int, rows: int) -> None:
        self.scrolled: list[Any] = []
        super().__init__(columns, rows)

    def index(self) -> None:
        bottom = self.margins.bottom if self.margins else self.lines - 1
        if self.cursor.y == bottom:
            self.scrolled.append(self.buffer[0].copy())
        super().index()

    def select_graphic_rendition(self, *attributes: int, private: bool = False) -> None:
        # Programs set keys in a way that is taken for colours.
        if not private:
            super().select_graphic_rendition(*attributes)


class _Player:
    """Somebody at the terminal, who does what a session says."""

    def __init__(self, screen: Screen, size: tuple[int, int]) -> None:
        self._screen = screen
        self.terminal = _Terminal(*size)
        screen._screen = self.terminal  # type: ignore[assignment]
        screen._stream = pyte.ByteStream(self.terminal)
        # The row of the last prompt, from the first row of all.
        self._prompt = -1

    @property
    def _row(self) -> int:
        return len(self.terminal.scrolled) + self.terminal.cursor.y

    def wait_for_prompt(self, end: str) -> None:
        def is_there(lines: list[str]) -> bool:
            cursor = self.terminal.cursor
            line = lines[cursor.y] if cursor.y < len(lines) else ""
            return self._row > self._prompt and line.endswith(end) and cursor.x == len(line) + 1

        self._wait(is_there, f"a prompt with {end}")
        self._prompt = self._row

    def wait_for(self, text: str) -> None:
        before, is_at_cursor, _ = text.partition("<cursor>")

        def is_there(lines: list[str]) -> bool:
            if is_at_cursor:
                cursor = self.terminal.cursor
                line = lines[cursor.y] if cursor.y < len(lines) else ""
                line = line.ljust(cursor.x)[: cursor.x]
                return self._row >= self._prompt and line.endswith(before)
            first = max(self._prompt - len(self.terminal.scrolled), 0)
            return any(text in line for line in lines[first:])

        self._wait(is_there, text)

    def _wait(self, is_there: Any, what: str) -> None:
        try:
            self._screen.wait_for(is_there, PATIENCE)
        except AssertionError as error:
            lines = "\n".join(self._screen.lines)
            raise RuntimeError(f"{what!r} did not appear in\n{lines}") from error

    def type(self, text: str) -> None:
        keys = _KEY.sub(lambda match: KEYS[match[1]], text)
        self._screen.type(keys if re.search(_KEY.pattern + r"\Z", text) else keys + "\r")

    def get_cells(self, keep: str) -> list[list[Any]]:
        """Return what is seen, as rows of the characters of pyte."""
        rows = [self.terminal.buffer[row] for row in range(self.terminal.lines)]
        if keep == "all":
            rows = [*self.terminal.scrolled, *rows]
        blank = self.terminal.default_char
        return [[row.get(column, blank) for column in range(self.terminal.columns)] for row in rows]


@contextmanager
def _directories() -> Iterator[dict[str, str]]:
    """Make the directories; give them by the variables that name them."""
    letters = string.ascii_lowercase + string.digits
    with ExitStack() as stack:
        made = {}
        for name, shown in DIRECTORIES.items():
            length = len(shown) - len("/tmp/")
            for _ in range(1000):
                path = "/tmp/" + "".join(random.choices(letters, k=length))
                try:
                    os.mkdir(path)
                    break
                except FileExistsError:
                    continue
            else:
                raise RuntimeError("there is no room in /tmp")
            stack.callback(shutil.rmtree, path, ignore_errors=True)
            made[name] = path
        yield made


def illustrate(name: str) -> str:
    """Return the screen of a session, with the sequences of its colours."""
    session = read_session((SCREENS / f"{name}.session").read_text(encoding="utf-8"))
    with _directories() as directories:
        environment = {
            **directories,
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONWARNINGS": "ignore",
            "LC_ALL": "C.UTF-8",
            "TERM": "xterm",
            "TZ": "UTC",
            "PS1": "$ ",
            "PAGER": "cat",
            "USER": "me",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_DEFAULT_HASH": "sha1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "advice.detachedHead",
            "GIT_CONFIG_VALUE_0": "false",
        }
        home = Path(directories["HOME"])
        prepare = ["/bin/sh", SCREENS / "prepare.sh"]
        subprocess.run(prepare, env=environment, check=True, stdin=subprocess.DEVNULL)
        for file in session.files:
            shutil.copy(SCREENS / file, home / "site")
        columns, rows = session.size
        with run_command_in_terminal(
            ["/bin/sh"], home / "site", environment, rows, columns
        ) as screen:
            player = _Player(screen, session.size)
            for kind, text in session.steps:
                if kind in ("$", ">"):
                    player.wait_for_prompt(kind)
                if kind in ("$", ">", "=") and text:
                    player.type(text)
                elif kind == "?":
                    player.wait_for(text)
                elif kind == "!":
                    command = ["/bin/sh", "-c", text]
                    subprocess.run(command, cwd=home, env=environment, check=True)
            cells = player.get_cells(session.keep)
    _name_directories(cells, directories)
    lines = list(_cut([_to_text(row) for row in cells], session))
    return "\n".join(lines) + "\n"


def _name_directories(cells: list[list[Any]], directories: dict[str, str]) -> None:
    """Put the names of directories that are shown in the place of those there are."""
    flat = [(row, column) for row in range(len(cells)) for column in range(len(cells[row]))]
    # A path may go on in the next row.
    text = "".join((cells[row][column].data or "\0")[0] for row, column in flat)
    for variable, path in directories.items():
        for match in re.finditer(re.escape(path) + r"\b", text):
            for character, (row, column) in zip(
                DIRECTORIES[variable], flat[match.start() : match.end()], strict=True
            ):
                cells[row][column] = cells[row][column]._replace(data=character)


def _cut(lines: Sequence[str], session: Session) -> Iterator[str]:
    """Give the lines that are kept."""
    plain = [_without_colours(line) for line in lines]
    first = next((n for n, line in enumerate(plain) if session.begin in line), None)
    if first is None:
        raise RuntimeError(f"{session.begin!r} is not on the screen")
    last = len(plain)
    if session.end:
        last = next(n for n in range(first + 1, last) if session.end in plain[n])
    while last > first and plain[last - 1] in ("", "$"):
        last -= 1
    yield from lines[first:last]


_CODES = {name: code for code, name in pyte.graphics.FG_ANSI.items()}
_CODES |= {name: code for code, name in pyte.graphics.FG_AIXTERM.items()}


def _to_text(row: Sequence[Any]) -> str:
    """Return a row with the sequences that colour it."""
    width = len(row)
    while width and row[width - 1].data == " " and _codes_of(row[width - 1]) in ((), (1,)):
        width -= 1
    text = ""
    codes: tuple[int, ...] = ()
    for cell in row[:width]:
        new = _codes_of(cell)
        if new != codes:
            text += ("\x1b[0m" if codes else "") + _sequence(new)
            codes = new
        text += cell.data
    return text + ("\x1b[0m" if codes else "")


def _codes_of(cell: Any) -> tuple[int, ...]:
    codes = [1] * cell.bold + [4] * cell.underscore + [7] * cell.reverse
    if cell.fg != "default":
        codes.append(_CODES[cell.fg])
    if cell.bg != "default":
        codes.append(_CODES[cell.bg] + 10)
    return tuple(codes)


def _sequence(codes: tuple[int, ...]) -> str:
    return "\x1b[{}m".format(";".join(map(str, codes))) if codes else ""


def _without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)


def normalise(text: str) -> str:
    """Return a screen without what differs from run to run.

    That is how long it took, and how fast; and which of the hosts of a live view took longest.
    """
    text = re.sub(r"\d+\.\d+s\b|\d+m\d\ds\b|\d+\.\d+ s\b", "0s", text)
    text = re.sub(r"[\d.,]+ [kMG]?B/s|\d+:\d\d left", "0", text)
    # The releases of examples/hello_world.py.
    text = re.sub(r"\b\d{8}T\d{6}\.\d{9}\b", "NOW", text)
    text = re.sub(r"^ [a-z]+\d+( +0s +building)", r" HOST\1", text, flags=re.MULTILINE)
    # Columns are as wide as what is in them.
    return re.sub(r" +(?=\n)", "", re.sub(r" {2,}", " ", text))


def main(names: Sequence[str]) -> None:
    known = sorted(path.stem for path in SCREENS.glob("*.session"))
    for name in names or known:
        if name not in known:
            sys.exit(f"there is no {name}.session; there are {', '.join(known)}")
        text = illustrate(name)
        (SCREENS / f"{name}.txt").write_text(text, encoding="utf-8")
        sys.stdout.write(f"{name}: {text.count(chr(10))} lines\n")


if __name__ == "__main__":
    main(sys.argv[1:])
