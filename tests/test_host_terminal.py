"""A person at a terminal, and a command in a terminal on a host: keys, sizes, passwords."""

from __future__ import annotations

import fcntl
import os
import shlex
import signal
import struct
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator

import pyte
import pytest

from deployer.exceptions import ExecCommandFailed, SudoAuthenticationFailed
from deployer.host import Host, SSHHost
from terminals import Terminal, open_terminal, person
from world import PASSWORD

HostClass = type[Host]

#: A command that takes long, and that no other run of the tests on this machine has.
LONG = f"sleep 6789.{os.getpid()}"


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with open_terminal() as terminal:
        yield terminal


def test_keys_reach_the_command_and_nothing_else_eats_them(
    host_class: HostClass, terminal: Terminal
) -> None:
    def act() -> None:
        terminal.read_until("ready")
        assert not terminal.echoes
        # An arrow, Ctrl-C, Ctrl-Z, Ctrl-D and a letter of two bytes.
        terminal.type("\x1b[A\x03\x1a\x04é")

    with person(act):
        result = host_class(terminal.pty).run(
            "stty raw -echo; echo ready; head -c 8 | od -An -tx1; stty sane"
        )
    assert result.partition("ready")[2].strip() == "1b 5b 41 03 1a 04 c3 a9"
    assert terminal.echoes


def test_what_was_typed_ahead_is_not_lost(host_class: HostClass, terminal: Terminal) -> None:
    terminal.type("early\r")
    assert "got early\n" in host_class(terminal.pty).run("read x; echo got $x", timeout=20)


def test_a_new_window_size_reaches_the_command(host_class: HostClass, terminal: Terminal) -> None:
    def act() -> None:
        terminal.read_until("24 80")
        size = struct.pack("HHHH", 33, 99, 0, 0)
        fcntl.ioctl(terminal.pty.stdin.fileno(), termios.TIOCSWINSZ, size)
        # The kernel would send it, were this terminal the one that the tests run in.
        os.kill(os.getpid(), signal.SIGWINCH)

    before = signal.getsignal(signal.SIGWINCH)
    with person(act):
        result = host_class(terminal.pty).run(
            "trap 'stty size; exit' WINCH; stty size; while :; do sleep 0.05; done", timeout=20
        )
    assert result == "24 80\n33 99\n"
    assert signal.getsignal(signal.SIGWINCH) is before


def test_ctrl_c_is_the_commands(host_class: HostClass, terminal: Terminal) -> None:
    def act() -> None:
        terminal.read_until("ready")
        terminal.type("\x03")

    with person(act), pytest.raises(ExecCommandFailed) as caught:
        host_class(terminal.pty).run(f"echo ready; exec {LONG}", timeout=20)
    assert caught.value.result.exit_signal == "INT"
    assert terminal.echoes


def test_the_terminal_is_restored_after_an_exception(
    host_class: HostClass, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(number: int, frame: object) -> None:
        raise ZeroDivisionError

    def act() -> None:
        terminal.read_until("ready")
        assert not terminal.echoes
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, fail)
    try:
        with person(act), pytest.raises(ZeroDivisionError):
            host_class(terminal.pty).run(f"echo ready; exec {LONG}", timeout=20)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert terminal.echoes
    host_class().run(f"while pgrep -f '[s]{LONG[1:]}'; do sleep 0.05; done", timeout=20)


# Draws in the corners of the window, and tells which key was pressed.
FULL_SCREEN = """
import curses

def draw(screen):
    rows, columns = screen.getmaxyx()
    screen.addstr(0, 0, "top")
    screen.addstr(rows - 1, columns - 8, "bottom")
    screen.refresh()
    screen.addstr(5, 10, curses.keyname(screen.getch()).decode() + " pressed", curses.A_BOLD)
    screen.refresh()
    screen.getch()

curses.wrapper(draw)
print("ended")
"""


def test_a_program_has_the_whole_screen(host_class: HostClass, terminal: Terminal) -> None:
    shown = []

    def act() -> None:
        terminal.read_until("bottom")
        terminal.type("\x1bOA")
        shown.append(terminal.read_until("pressed"))
        terminal.type("q")

    with person(act):
        host_class(terminal.pty).run(
            f"{shlex.quote(sys.executable)} -c {shlex.quote(FULL_SCREEN)}", timeout=30
        )
    screen = pyte.Screen(80, 24)
    pyte.Stream(screen).feed(shown[0])
    assert screen.display[0].rstrip() == "top"
    assert screen.display[5].strip() == "KEY_UP pressed"
    assert screen.display[23].rstrip() == " " * 72 + "bottom"
    assert "ended" in terminal.read_until("ended")
    assert terminal.echoes


# sudo, where the class has no password.

QUESTION = "[sudo] password for deploy on Remote: "


def test_a_person_types_the_password_once_and_unseen(
    new_ssh_host: Callable[..., type[SSHHost]], terminal: Terminal
) -> None:
    def act() -> None:
        terminal.read_until(QUESTION)
        assert not terminal.echoes
        terminal.type(f"{PASSWORD}\r")
        terminal.read_until("ready")
        terminal.type("key\r")

    host = new_ssh_host(password=None)(terminal.pty)
    with person(act):
        result = host.sudo("whoami; echo ready; read x; echo got $x", timeout=30)
    assert result == "root\nready\nkey\ngot key\n"
    # Away from the terminal, and by another class for the same user and machine, too.
    assert host.sudo("sudo -K; whoami", interactive=False) == "root\n"
    assert new_ssh_host(password=None, name="Other")().sudo("whoami") == "root\n"
    shown = terminal.read_until("got key")
    assert shown.count(QUESTION) == 1
    assert PASSWORD not in shown
    assert f"{QUESTION}\r\nroot\r\n" in shown
    assert terminal.echoes


@pytest.mark.parametrize("interactive", [None, False])
def test_a_wrong_answer_is_tried_once_and_the_next_call_asks_again(
    new_ssh_host: Callable[..., type[SSHHost]], terminal: Terminal, interactive: bool | None
) -> None:
    def act() -> None:
        terminal.read_until(QUESTION)
        terminal.type("wrong\r")
        terminal.read_until("next\r\n" + QUESTION)
        terminal.type(f"{PASSWORD}\r")

    host = new_ssh_host(password=None)(terminal.pty)
    with person(act):
        with pytest.raises(SudoAuthenticationFailed, match="tried once: call it again to be asked"):
            host.sudo("whoami", timeout=30, interactive=interactive)
        terminal.pty.write("next\n")
        assert host.sudo("whoami", timeout=30, interactive=interactive) == "root\n"
    assert "wrong" not in terminal.read_until("next")


def test_the_time_that_a_person_takes_is_not_the_commands(
    new_ssh_host: Callable[..., type[SSHHost]], terminal: Terminal
) -> None:
    asked_at = 0.0

    def act() -> None:
        nonlocal asked_at
        terminal.read_until(QUESTION)
        asked_at = time.monotonic()
        # The answer is late; what is waited for is the time itself.
        threading.Event().wait(2.1)
        terminal.type(f"{PASSWORD}\r")

    with person(act):
        assert new_ssh_host(password=None)(terminal.pty).sudo("whoami", timeout=2) == "root\n"
    assert time.monotonic() > asked_at + 2


def test_a_person_who_does_not_answer_is_told(
    new_ssh_host: Callable[..., type[SSHHost]], terminal: Terminal
) -> None:
    def act() -> None:
        terminal.read_until(QUESTION)
        terminal.type("\x04")

    host = new_ssh_host(password=None)(terminal.pty)
    with person(act), pytest.raises(SudoAuthenticationFailed, match="nobody answered"):
        host.sudo("whoami", timeout=30)
    assert terminal.echoes
