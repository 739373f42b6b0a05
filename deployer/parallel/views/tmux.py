"""Windows of tmux that are filled with panes."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from ...exceptions import DeployerException

__all__ = ["PANES_IN_A_WINDOW", "TmuxFailed", "Window", "Windows", "printable"]

#: With more of them, each is too small to work in.
PANES_IN_A_WINDOW = 6

# Seconds that tmux gets for a command, which takes it a few milliseconds.
_TIMEOUT = 10.0

# The host's name is an option of the pane, and not its title: programs change that. As `q/h` gives
# it, what is special to tmux in it (`#[fg=red]`) is shown as it is.
_NAME_OPTION = "@deployer_host"
_WINDOW_OPTIONS = {
    "allow-rename": "off",
    "automatic-rename": "off",
    "pane-border-status": "top",
    "pane-border-format": f" #{{q/h:{_NAME_OPTION}}} ",
    # What is over is closed, also for those who keep such panes elsewhere.
    "remain-on-exit": "off",
}


class TmuxFailed(DeployerException):
    """tmux did not do what it was asked for."""


@dataclass(eq=False)
class Window:
    """A window with panes of ours."""

    #: Its name for tmux: ``@3``.
    id: str
    #: Its number for people.
    index: str
    #: How many of the panes are in use, or stay.
    panes: int = 0


class Windows:
    """The windows of one run. They appear beside the one that is in use, which is left alone.

    One thread at a time may use them.
    """

    def __init__(self, title: str) -> None:
        self._title = printable(title) or "deployer"
        self._windows: list[Window] = []

    def open_pane(self, name: str, argv: Sequence[str]) -> Window:
        """Run a program in a new pane, and return the window that it is in.

        A window is filled before the next one is opened.

        :param name: what stands above the pane.
        :raises TmuxFailed: when tmux is not there, or has no room.
        """
        for window in [window for window in self._windows if window.panes < PANES_IN_A_WINDOW]:
            try:
                pane = self._split(window, argv)
                break
            except TmuxFailed:
                # It is too small for one more, or somebody has closed it.
                self._windows.remove(window)
        else:
            pane, window = self._open_window(argv)
        window.panes += 1
        _run_tmux(["set-option", "-p", "-t", pane, _NAME_OPTION, printable(name)])
        return window

    def note_closed(self, window: Window) -> None:
        """Note that there is room for one more in a window."""
        window.panes -= 1
        # It goes with its last pane.
        if not window.panes and window in self._windows:
            self._windows.remove(window)

    def _split(self, window: Window, argv: Sequence[str]) -> str:
        # The last one, so that they are in order.
        last = f"{window.id}.{{bottom-right}}"
        return _run_tmux(
            ["split-window", "-d", "-P", "-F", "#{pane_id}", "-t", last, "--", *argv],
            ["select-layout", "-t", window.id, "tiled"],
        ).strip()

    def _open_window(self, argv: Sequence[str]) -> tuple[str, Window]:
        ids = "#{pane_id} #{window_id} #{window_index}"
        # tmux expands the name as a format.
        name = self._title.replace("#", "##")
        pane, window_id, index = _run_tmux(
            ["new-window", "-d", "-P", "-F", ids, "-n", name, "--", *argv]
        ).split()
        window = Window(window_id, index)
        self._windows.append(window)
        _run_tmux(
            *(["set-option", "-w", "-t", window.id, *option] for option in _WINDOW_OPTIONS.items())
        )
        return pane, window


def printable(text: str) -> str:
    """Return a name on one line, of characters that a terminal shows."""
    return "".join(character if character.isprintable() else " " for character in text)


def _run_tmux(*commands: Sequence[str]) -> str:
    """Return what tmux prints for some commands, in one process."""
    words: list[str] = []
    for command in commands:
        # A word that ends in a semicolon would end the command.
        words += [re.sub(r";\Z", r"\\;", word) for word in command]
        words.append(";")
    try:
        ended = subprocess.run(
            ["tmux", *words[:-1]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except OSError as error:
        raise TmuxFailed(f"tmux cannot be run: {error.strerror or error}") from error
    except subprocess.TimeoutExpired as error:
        raise TmuxFailed(f"tmux does not answer within {_TIMEOUT:.0f} seconds") from error
    if ended.returncode:
        said = ended.stderr.decode(errors="replace").strip()
        raise TmuxFailed(f"tmux {commands[0][0]}: {said or f'exit status {ended.returncode}'}")
    return ended.stdout.decode()
