"""Windows of tmux that are filled with panes."""

from __future__ import annotations

import math
import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from ...exceptions import DeployerException

__all__ = ["PANES_IN_A_WINDOW", "Place", "TmuxFailed", "Window", "Windows", "printable"]

#: With more of them, each is too small to work in.
PANES_IN_A_WINDOW = 6

# Seconds that tmux gets for a command, which takes it a few milliseconds.
_TIMEOUT = 10.0

# What a pane has to have for somebody to work in it, if it is not the only one of its window.
_ROWS, _COLUMNS = 4, 20

# The host's name is an option of the pane, and not its title: programs change that. As `q/h` gives
# it, what is special to tmux in it (`#[fg=red]`) is shown as it is.
_NAME_OPTION = "@deployer_host"
_WINDOW_OPTIONS = {
    "allow-rename": "off",
    "automatic-rename": "off",
    "pane-border-status": "top",
}
# Those that a pane keeps in whatever window it is put.
_PANE_OPTIONS = {
    "pane-border-format": f" #{{q/h:{_NAME_OPTION}}} ",
    # What is over is closed, also for those who keep such panes elsewhere.
    "remain-on-exit": "off",
}

# What tmux is to print of a new pane.
_FORM = "deployer #{pane_id} #{window_id} #{window_index} #{window_width} #{window_height}"
_MADE = re.compile(r"^deployer (%\d+) (@\d+) (\d+) (\d+) (\d+)$", re.MULTILINE)


class TmuxFailed(DeployerException):
    """tmux did not do what it was asked for."""


@dataclass(eq=False)
class Window:
    """A window with panes of ours."""

    #: Its name for tmux: ``@3``.
    id: str
    #: Its number for people, when it was opened.
    index: str
    #: How many of the panes are in use, or stay.
    panes: int = 0
    #: Its size, when the last pane was opened.
    columns: int = 0
    rows: int = 0

    @property
    def has_room(self) -> bool:
        """Whether one more pane, and all others beside it, would be large enough to work in."""
        panes = self.panes + 1
        # As tmux tiles them: as many below each other as beside each other, or one more.
        down = math.isqrt(panes - 1) + 1
        across = math.ceil(panes / down)
        # Above each is its name, and between those side by side a line.
        return (
            panes <= PANES_IN_A_WINDOW
            and self.rows // down - 1 >= _ROWS
            and (self.columns + 1) // across - 1 >= _COLUMNS
        )


@dataclass(frozen=True)
class Place:
    """A pane of tmux: its name for that (``%5``), and the window that it was opened in."""

    id: str
    window: Window


class Windows:
    """The windows of one run. They appear beside the one that is in use, which is left alone.

    One thread at a time may open panes, and note that they are closed.
    """

    def __init__(self, title: str) -> None:
        self._title = printable(title) or "deployer"
        self._windows: list[Window] = []

    def open_pane(self, name: str, argv: Sequence[str]) -> Place:
        """Run a program in a new pane, and return where that is.

        A window is filled before the next one is opened. The pane may be gone again already.

        :param name: what stands above the pane.
        :raises TmuxFailed: when tmux is not there, or has no room.
        """
        for window in [window for window in self._windows if window.has_room]:
            try:
                place = self._split(window, argv)
                break
            except TmuxFailed:
                # It is too small for one more, or somebody has closed it.
                self._windows.remove(window)
        else:
            place = self._open_window(argv)
        place.window.panes += 1
        options = {**_PANE_OPTIONS, _NAME_OPTION: printable(name)}
        _run_tmux(
            *(["set-option", "-p", "-t", place.id, *option] for option in options.items()),
            # Where panes are kept, it has stayed if it was over before it had the options.
            ["if-shell", "-F", "-t", place.id, "#{pane_dead}", f"kill-pane -t {place.id}"],
        )
        return place

    def close_pane(self, place: Place) -> None:
        """End what runs in a pane, if it is there."""
        _run_tmux(["kill-pane", "-t", place.id])

    def note_closed(self, place: Place) -> None:
        """Note that there is room for one more in a window."""
        window = place.window
        window.panes -= 1
        # It goes with its last pane.
        if not window.panes and window in self._windows:
            self._windows.remove(window)

    def find(self, place: Place) -> str:
        """Return the number of the window that a pane is in now, or nothing if there is no pane."""
        form = "#{pane_id} #{window_index}"
        try:
            shown = _run_tmux(["display-message", "-p", "-t", place.id, form]).stdout
        except TmuxFailed:
            return ""
        pane, _, index = shown.strip().partition(" ")
        return index if pane == place.id else ""

    def can_run(self, argv: Sequence[str]) -> bool:
        """Whether a program ends well where those in panes run.

        :raises TmuxFailed: when tmux is not there.
        """
        # tmux expands the command as a format.
        command = shlex.join(argv).replace("#", "##")
        return "well" in _run_tmux(["if-shell", command, "display-message -p well"]).stdout

    def _split(self, window: Window, argv: Sequence[str]) -> Place:
        return self._open(
            # With -f it becomes the last one, so that they are in order.
            ["split-window", "-d", "-f", "-P", "-F", _FORM, "-t", window.id, "--", *argv],
            ["select-layout", "-t", window.id, "tiled"],
        )

    def _open_window(self, argv: Sequence[str]) -> Place:
        # tmux expands the name as a format.
        name = self._title.replace("#", "##")
        place = self._open(["new-window", "-d", "-P", "-F", _FORM, "-n", name, "--", *argv])
        in_window = ["-t", place.window.id]
        _run_tmux(
            *(["set-option", "-w", *in_window, *option] for option in _WINDOW_OPTIONS.items())
        )
        return place

    def _open(self, *commands: Sequence[str]) -> Place:
        ended = _run_tmux(*commands)
        # Hooks of the user may print something as well, or fail when the pane is there.
        made = _MADE.search(ended.stdout)
        if made is None:
            said = ended.stderr.strip() or f"exit status {ended.returncode}"
            raise TmuxFailed(f"tmux gives no pane: {said}")
        pane, window_id, index, columns, rows = made.groups()
        window = next((window for window in self._windows if window.id == window_id), None)
        if window is None:
            window = Window(window_id, index)
            self._windows.append(window)
        window.columns, window.rows = int(columns), int(rows)
        return Place(pane, window)


def printable(text: str) -> str:
    """Return a name on one line, of characters that a terminal shows."""
    return "".join(character if character.isprintable() else " " for character in text)


def _run_tmux(*commands: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Have tmux do some commands, in one process."""
    words: list[str] = []
    for command in commands:
        # A word that ends in a semicolon would end the command.
        words += [re.sub(r";\Z", r"\\;", word) for word in command]
        words.append(";")
    try:
        return subprocess.run(
            ["tmux", *words[:-1]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_TIMEOUT,
            check=False,
        )
    except OSError as error:
        raise TmuxFailed(f"tmux cannot be run: {error.strerror or error}") from error
    except subprocess.TimeoutExpired as error:
        raise TmuxFailed(f"tmux does not answer within {_TIMEOUT:.0f} seconds") from error
