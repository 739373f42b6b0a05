"""Reading lines, at a real terminal and from a pipe."""

from __future__ import annotations

import ctypes.util
import fcntl
import io
import os
import struct
import termios
import textwrap
from contextlib import contextmanager
from pathlib import Path

import pytest

from deployer.cli import History, PlainReader
from terminals import run_in_terminal

SCRIPT = """
    import sys
    from pathlib import Path
    from deployer.cli import Candidate, History, ReadlineReader, complete

    class Words:
        def get_candidates(self, words, word):
            if word == "boom":
                raise ValueError("no candidates today")
            yield Candidate("checkout", "Check out a commit.")
            yield Candidate("clone", "Get the repository.")
            yield Candidate("web server", "Has a blank in it.")

    words = Words()
    history = History(Path(sys.argv[1]), lambda text: print("Warning:", text))
    reader = ReadlineReader(lambda line, cursor: complete(words, line, cursor), history)
    while True:
        try:
            print("got", ascii(reader.read("\\x1b[31mroot\\x1b[0m > ")))
        except KeyboardInterrupt:
            print("interrupted")
        except EOFError:
            print("end")
            break
"""


@contextmanager
def open_reader(folder, history=None, **how):
    script = folder / "reader.py"
    script.write_text(textwrap.dedent(SCRIPT), encoding="utf-8")
    with run_in_terminal(script, str(history or folder / "state" / "history"), **how) as screen:
        screen.wait_for("root >")
        yield screen


@pytest.fixture
def screen(tmp_path):
    with open_reader(tmp_path) as screen:
        yield screen


def test_a_line_is_read(screen):
    screen.type("clone it\n")
    screen.wait_for("got 'clone it'")


def test_tab_completes_what_is_unique(screen):
    screen.type("che\t")
    screen.wait_for("root > checkout")
    screen.type("x\n")
    screen.wait_for("got 'checkout x'")


def test_tab_shows_the_candidates_with_their_help_and_keeps_the_line(screen):
    screen.type("c\t")
    lines = screen.wait_for(lambda lines: "clone     Get the repository." in lines)
    screen.wait_for(lambda lines: lines[-1] == "root > c")
    assert "checkout  Check out a commit." in lines
    screen.type("l\t\n")
    screen.wait_for("got 'clone '")


def test_tab_shows_the_candidates_at_a_terminal_without_a_size(screen):
    fcntl.ioctl(screen._master, termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
    screen.type("c\t")
    screen.wait_for(lambda lines: any("Get the repository." in line for line in lines))


def test_tab_in_the_middle_keeps_the_cursor_there(screen):
    screen.type("c tail\x1b[D\x1b[D\x1b[D\x1b[D\x1b[D\t")
    screen.wait_for(lambda lines: lines[-1] == "root > c tail" and len(lines) > 2)
    screen.type("lone\n")
    screen.wait_for("got 'clone tail'")


def test_tab_within_quotes_completes_a_word_with_a_blank(screen):
    screen.type('go "web s\t')
    screen.wait_for('root > go "web server"')
    screen.type("\n")
    screen.wait_for("got 'go \"web server\" '")


def test_tab_quotes_a_word_with_a_blank(screen):
    screen.type("web\t\n")
    screen.wait_for("got 'web\\\\ server '")


def test_an_exception_while_completing_is_shown_and_the_line_is_kept(screen):
    screen.type("boom\t")
    screen.wait_for("Completing failed: ValueError: no candidates today")
    screen.wait_for(lambda lines: lines[-1] == "root > boom")
    screen.type("\n")
    screen.wait_for("got 'boom'")


def test_ctrl_c_gives_up_the_line(screen):
    screen.type("half a li")
    screen.wait_for("root > half a li")
    screen.interrupt_line(lambda lines: any(line.endswith("interrupted") for line in lines))
    screen.type("whole\n")
    screen.wait_for("got 'whole'")


def test_ctrl_d_ends_only_on_an_empty_line(screen):
    screen.type("text\x04\n")
    screen.wait_for("got 'text'")
    screen.type("\x04")
    assert screen.wait_for_end() == 0


def test_pasted_lines_arrive_together(screen):
    screen.type("\x1b[200~one\ntwo\nthree\x1b[201~")
    screen.type("\n")
    screen.wait_for("got 'one\\ntwo\\nthree'")


def test_a_coloured_prompt_takes_only_its_visible_room(tmp_path):
    with open_reader(tmp_path, columns=20) as screen:
        screen.type("0123456789012345")
        screen.wait_for(lambda lines: lines == ["root > 0123456789012", "345"])


def test_lines_are_found_again_by_their_beginning(tmp_path):
    history = tmp_path / "history"
    history.write_text("clone one\ncheckout two\n")
    with open_reader(tmp_path, history) as screen:
        screen.type("cl\x1b[A\n")
        screen.wait_for("got 'clone one'")
    assert history.read_text() == "clone one\ncheckout two\nclone one\n"


def test_a_history_that_is_no_text_is_read_as_far_as_it_is(tmp_path):
    history = tmp_path / "history"
    history.write_bytes(b"good\n\xff\xfe\x00\x01\n_HiStOrY_V2_\nlast\n")
    with open_reader(tmp_path, history) as screen:
        screen.type("la\x1b[A\n")
        screen.wait_for("got 'last'")


LIBEDIT = ctypes.util.find_library("edit")


@pytest.fixture
def libedit_screen(tmp_path):
    if LIBEDIT is None:
        reason = "libedit is not installed (Debian's package libedit2)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    script = tmp_path / "preloaded.py"
    # What this Python is linked to cannot be changed: it takes libedit's functions for readline's,
    # and is told so, as a Python that is built with libedit would say it.
    script.write_text("import readline\nreadline.__doc__ = 'libedit'\n" + textwrap.dedent(SCRIPT))
    with run_in_terminal(script, str(tmp_path / "history"), LD_PRELOAD=LIBEDIT) as screen:
        screen.wait_for("root >")
        yield screen


def test_libedit_completes_too(libedit_screen):
    libedit_screen.type("che\t")
    libedit_screen.wait_for("root > checkout")
    libedit_screen.type("x\n")
    libedit_screen.wait_for("got 'checkout x'")


def test_with_libedit_pasted_lines_arrive_together(libedit_screen):
    libedit_screen.type("one\ntwo\nthree\n")
    libedit_screen.wait_for("got 'one\\ntwo\\nthree'")


def test_a_plain_reader_reads_lines_to_the_end():
    reader = PlainReader(io.StringIO("one\n\ntwo"))
    assert [reader.read("> "), reader.read("> "), reader.read("> ")] == ["one", "", "two"]
    with pytest.raises(EOFError):
        reader.read("> ")


def test_a_plain_reader_prompts_only_when_it_is_told_where():
    output = io.StringIO()
    PlainReader(io.StringIO("one\n"), output).read("> ")
    assert output.getvalue() == "> "


@pytest.fixture
def warnings():
    return []


def test_the_history_is_private_and_belongs_to_the_project(tmp_path, monkeypatch, warnings):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for project, line in (("a/deploy.py", "one"), ("b/deploy.py", "two")):
        History.for_project(tmp_path / project, "shell", warnings.append).append(line)
    files = sorted((tmp_path / "deployer").iterdir())
    assert [file.read_text() for file in files] == ["one\n", "two\n"]
    assert [oct(file.stat().st_mode)[-3:] for file in (tmp_path / "deployer", *files)] == [
        "700",
        "600",
        "600",
    ]


def test_two_shells_share_a_history(tmp_path, warnings):
    one, two = (History(tmp_path / "history", warnings.append) for _ in range(2))
    one.append("from one")
    two.append("from two")
    one.append("again")
    assert two.load() == ["from one", "from two", "again"]


@pytest.mark.parametrize("line", ["", "  ", " secret"])
def test_some_lines_are_not_kept(tmp_path, warnings, line):
    history = History(tmp_path / "history", warnings.append)
    history.append(line)
    assert history.load() == []


def test_a_line_is_kept_once_in_a_row(tmp_path, warnings):
    history = History(tmp_path / "history", warnings.append)
    for line in ("a", "a", "b", "a"):
        history.append(line)
    assert history.load() == ["a", "b", "a"]


def test_several_lines_are_kept_as_one(tmp_path, warnings):
    history = History(tmp_path / "history", warnings.append)
    history.append("a\nb")
    assert history.load() == ["a b"]


def test_a_history_that_cannot_be_used_costs_one_warning(tmp_path, warnings):
    history = History(tmp_path, warnings.append)
    assert history.load() == []
    history.append("one")
    history.append("two")
    (warning,) = warnings
    assert warning == f"the history {tmp_path} cannot be read: Is a directory; it is not kept"


def test_a_history_in_a_place_that_cannot_be_written_costs_one_warning(tmp_path, warnings):
    (tmp_path / "file").touch()
    history = History(tmp_path / "file" / "history", warnings.append)
    history.append("one")
    history.append("two")
    assert len(warnings) == 1


def test_nobody_s_home_is_no_history(monkeypatch, warnings):
    monkeypatch.setenv("XDG_STATE_HOME", "~nobody-at-all/state")
    history = History.for_project(Path("deploy.py"), "shell", warnings.append)
    history.append("one")
    assert (history.load(), warnings) == ([], [])
