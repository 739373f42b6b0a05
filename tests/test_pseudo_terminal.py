"""A terminal and its twin."""

from __future__ import annotations

import fcntl
import io
import os
import select
import signal
import struct
import termios

import pytest

from deployer.pseudo_terminal import DummyPty, Pty
from terminals import open_terminal


def test_a_real_terminal_is_interactive_unless_told_otherwise() -> None:
    with open_terminal() as terminal:
        pty = terminal.pty
        assert pty.is_interactive
        assert not Pty(pty.stdin, pty.stdout, interactive=False).is_interactive
        assert not Pty(pty.stdin, io.StringIO()).is_interactive
        assert not Pty(io.StringIO(), pty.stdout).is_interactive


def test_a_closed_stream_is_no_terminal() -> None:
    closed = io.StringIO()
    closed.close()
    assert not Pty(closed, closed).is_interactive


def test_the_size_is_the_terminals() -> None:
    with open_terminal(columns=123) as terminal:
        assert terminal.pty.get_size() == (24, 123)


def test_without_a_terminal_there_is_a_usual_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("LINES", raising=False)
    with open(os.devnull, "w") as nowhere:
        assert Pty(io.StringIO(), nowhere).get_size() == (24, 80)
    assert DummyPty().get_size() == (40, 80)


def test_raw_mode_is_left_also_after_an_exception() -> None:
    with open_terminal() as terminal:
        before = termios.tcgetattr(terminal.pty.stdin.fileno())
        with pytest.raises(ZeroDivisionError), terminal.pty.raw_mode():
            assert not terminal.echoes
            raise ZeroDivisionError
        assert termios.tcgetattr(terminal.pty.stdin.fileno()) == before


def test_raw_mode_away_from_a_terminal_is_nothing() -> None:
    with DummyPty().raw_mode():
        pass


def test_a_new_window_size_is_an_event() -> None:
    with open_terminal() as terminal:
        before = signal.getsignal(signal.SIGWINCH)
        with terminal.pty.resize_events() as events:
            assert events is not None
            assert select.select([events], [], [], 0)[0] == []
            size = struct.pack("HHHH", 50, 100, 0, 0)
            fcntl.ioctl(terminal.pty.stdout.fileno(), termios.TIOCSWINSZ, size)
            # It is not our controlling terminal, so that the kernel tells us nothing.
            os.kill(os.getpid(), signal.SIGWINCH)
            assert select.select([events], [], [], 10)[0] == [events]
            assert terminal.pty.get_size() == (50, 100)
        assert signal.getsignal(signal.SIGWINCH) == before


def test_away_from_a_terminal_there_are_no_events() -> None:
    with DummyPty().resize_events() as events:
        assert events is None


def test_what_an_encoding_lacks_is_replaced() -> None:
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Pty(io.StringIO(), output).write("é \udcff\n")
    assert output.buffer.getvalue() == b"? ?\n"  # type: ignore[attr-defined]


def test_the_dummy_reads_what_it_is_given_and_keeps_what_is_written() -> None:
    pty = DummyPty("line\n")
    assert pty.stdin.readline() == "line\n"
    pty.write("out")
    pty.stderr.write("err")
    assert pty.get_output() == "outerr"
    assert not pty.is_interactive


def test_the_streams_of_the_process_may_be_redirected(capsys: pytest.CaptureFixture[str]) -> None:
    Pty().write("seen")
    assert capsys.readouterr().out == "seen"
