"""Reading lines, at a real terminal and from a pipe."""

from __future__ import annotations

import ctypes.util
import fcntl
import io
import os
import struct
import subprocess
import sys
import termios
import textwrap
import unicodedata
from contextlib import contextmanager

import pytest

from deployer.cli import PlainReader
from deployer.cli.listing import place_text
from shell_tree import SCRIPT as TREE
from terminals import ROOT, run_in_terminal, run_script

SCRIPT = """
    import sys
    from deployer.cli import Candidate, History, complete
    from deployer.cli.readline_reader import ReadlineReader

    class Words:
        def get_candidates(self, words, word):
            if word == "boom":
                raise ValueError("no candidates today")
            if word.startswith("m"):
                yield from (Candidate(f"m{number:03}") for number in range(400))
            yield Candidate("checkout", "Check out a commit.", colour="green")
            yield Candidate("clone", "Get the repository.")
            yield Candidate("web server", "Has a blank in it.")
            yield Candidate("Überblick", "Begins with a letter of two bytes.")
            yield Candidate("\\u6f22\\u5b57", "Is wide.")

    words = Words()
    history = History(sys.argv[1], lambda text: print("Warning:", text))
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

UP, DOWN, LEFT, SHIFT_TAB = "\x1b[A", "\x1b[B", "\x1b[D", "\x1b[Z"


@contextmanager
def open_reader(folder, history=None, inputrc=None, **how):
    script = folder / "reader.py"
    script.write_text(textwrap.dedent(SCRIPT), encoding="utf-8")
    # Not that of whoever runs the tests.
    (folder / "inputrc").write_text(inputrc or "")
    how |= {"INPUTRC": str(folder / "inputrc")}
    with run_in_terminal(script, str(history or folder / "state" / "history"), **how) as screen:
        screen.wait_for("root >")
        yield screen


@pytest.fixture
def screen(tmp_path):
    with open_reader(tmp_path) as screen:
        yield screen


def resize(screen, columns):
    screen._screen.resize(24, columns)
    fcntl.ioctl(screen._master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


def last_is(line):
    return lambda lines: lines[-1] == line


def wait_for_prompt_after(screen, text):
    """Wait for what a line said, and the next prompt: only from there on, keys are the reader's."""
    screen.wait_for(lambda lines: lines[-2:] == [text, "root >"])


def test_a_line_is_read(screen):
    screen.type("clone it\n")
    screen.wait_for("got 'clone it'")


# Completing


def test_tab_completes_what_is_unique(screen):
    screen.type("che\t")
    screen.wait_for("root > checkout")
    screen.type("x\n")
    screen.wait_for("got 'checkout x'")


def test_tab_shows_the_candidates_with_their_help_and_keeps_the_line(screen):
    screen.type("c\t")
    lines = screen.wait_for(lambda lines: "clone     Get the repository." in lines)
    screen.wait_for(last_is("root > c"))
    assert "checkout  Check out a commit." in lines
    screen.type("l\t\n")
    screen.wait_for("got 'clone '")


def test_a_candidate_is_shown_in_its_colour(screen):
    screen.type("c\t")
    screen.wait_for(lambda lines: lines[-1] == "root > c" and len(lines) > 2)
    assert screen.colour_at("checkout  Check out a commit.") == "green"
    assert screen.colour_at("clone     Get the repository.") == "default"


def test_colours_are_shown_to_those_who_want_them(tmp_path):
    with open_reader(tmp_path, NO_COLOR="1") as screen:
        screen.type("c\t")
        screen.wait_for(lambda lines: lines[-1] == "root > c" and len(lines) > 2)
        assert screen.colour_at("checkout  Check out a commit.") == "default"


def test_tab_shows_the_candidates_at_a_terminal_without_a_size(screen):
    fcntl.ioctl(screen._master, termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
    screen.type("c\t")
    screen.wait_for(lambda lines: any("Get the repository." in line for line in lines))


def test_tab_in_the_middle_keeps_the_cursor_there(screen):
    screen.type("c tail" + LEFT * 5 + "\t")
    screen.wait_for(lambda lines: lines[-1] == "root > c tail" and len(lines) > 2)
    screen.type("lone\n")
    screen.wait_for("got 'clone tail'")


def test_tab_within_quotes_completes_a_word_with_a_blank(screen):
    screen.type('go "web s\t')
    screen.wait_for('root > go "web server"')
    screen.type("\n")
    screen.wait_for("got 'go \"web server\" '")


def test_tab_within_quotes_minds_no_case(screen):
    screen.type('go "WEB S\t')
    screen.wait_for('root > go "web server"')


def test_tab_quotes_a_word_with_a_blank(screen):
    screen.type("web\t\n")
    screen.wait_for("got 'web\\\\ server '")


def test_tab_completes_by_letters_in_their_order(screen):
    screen.type("go ckt\t\n")
    screen.wait_for("got 'go checkout '")


def test_tab_behind_wide_letters_and_those_of_several_bytes(screen):
    screen.type("漢字 ü \tÜber\t")
    screen.wait_for("root > 漢字 ü Überblick")
    screen.type("\n")
    screen.wait_for(r"got '\u6f22\u5b57 \xfc \xdcberblick '")


def test_tab_below_a_line_of_several_rows_keeps_all_of_it(tmp_path):
    with open_reader(tmp_path, columns=30) as screen:
        line = "0123456789" * 6
        screen.type(f"{line} c {line}" + LEFT * 61 + "\t")
        # 130 characters and the prompt: in the fifth row are the last 17.
        text = f"root > {line} c {line}"
        rows = [text[start : start + 30] for start in range(0, len(text), 30)]
        screen.wait_for(lambda lines: lines[-5:] == rows and "checkout" in "".join(lines[5:-5]))
        screen.type("lo\t\n")
        screen.wait_for(lambda lines: f"got '{line} clone  {line}'" in "".join(lines))


def test_in_a_narrow_terminal_candidates_are_cut(tmp_path):
    with open_reader(tmp_path, columns=8) as screen:
        screen.type("c\t")
        # The cursor is in a row of its own, since the line fills its own.
        screen.wait_for(lambda lines: lines == ["root > c", "", "checko…", "clone", "root > c"])


@pytest.mark.parametrize("key", ["n", UP, "\x03"])
def test_more_candidates_than_fit_are_not_shown_unasked(screen, key):
    screen.type("m\t")
    screen.wait_for(last_is("Display all 400 possibilities? (y or n)"))
    screen.type(key)
    screen.wait_for(lambda lines: lines == ["root > m", "root > m"])
    screen.type("x\n")
    screen.wait_for("got 'mx'")


def test_more_candidates_than_fit_are_shown_page_by_page(tmp_path):
    with open_reader(tmp_path, rows=10, columns=40) as screen:
        screen.type("m\t")
        screen.wait_for(last_is("Display all 400 possibilities? (y or n)"))
        screen.type("y")
        lines = screen.wait_for(last_is("--More--"))
        assert [line[:4] for line in lines[:-1]] == [f"m{number:03}" for number in range(9)]
        screen.type("\r")
        lines = screen.wait_for(
            lambda lines: lines[-2:] == [lines[-2], "--More--"] and "m009" in lines[-2]
        )
        screen.type("q")
        screen.wait_for(last_is("root > m"))
        screen.type("x\n")
        screen.wait_for("got 'mx'")


def test_an_exception_while_completing_is_shown_and_the_line_is_kept(screen):
    screen.type("boom\t")
    screen.wait_for("Completing failed: ValueError: no candidates today")
    screen.wait_for(last_is("root > boom"))
    screen.type("\n")
    screen.wait_for("got 'boom'")


# Editing


def test_ctrl_c_gives_up_the_line(screen):
    screen.type("half a li")
    screen.wait_for("root > half a li")
    screen.interrupt_line(lambda lines: any(line.endswith("interrupted") for line in lines))
    screen.type("whole\n")
    screen.wait_for("got 'whole'")


def test_ctrl_d_ends_only_on_an_empty_line(screen):
    screen.type("text\x04\n")
    wait_for_prompt_after(screen, "got 'text'")
    screen.type("\x04")
    assert screen.wait_for_end() == 0


def test_bytes_that_are_no_text_are_no_end(screen):
    os.write(screen._master, b"caf\xe9 \xff\n")
    screen.wait_for(lambda lines: any(line.startswith("got 'caf") for line in lines))
    screen.type("next\n")
    screen.wait_for("got 'next'")


def test_letters_that_python_does_not_expect_are_no_end(tmp_path):
    with open_reader(tmp_path, PYTHONIOENCODING="ascii") as screen:
        screen.type("café\n")
        screen.wait_for(r"got 'caf\udcc3\udca9'")


def test_a_prompt_that_the_terminal_cannot_show_is_no_end(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from deployer.cli import History\n"
        "from deployer.cli.readline_reader import ReadlineReader\n"
        "print(ReadlineReader(lambda *_: [], History(None, print)).read('漢 > '))\n"
    )
    with run_in_terminal(script, PYTHONIOENCODING="latin-1") as screen:
        screen.wait_for("? >")
        screen.type("text\n")
        screen.wait_for("text")


def test_a_coloured_prompt_takes_only_its_visible_room(tmp_path):
    with open_reader(tmp_path, columns=20) as screen:
        screen.type("0123456789012345")
        screen.wait_for(lambda lines: lines == ["root > 0123456789012", "345"])


@pytest.mark.parametrize(
    "line",
    [
        "short",
        "exactly up to 20",
        "0123456789" * 7,
        "漢字漢字漢字漢字漢字",
        "a漢字漢字漢字漢字漢字",
        "e\u0301a\u0308o\u0302" * 8,
        "ümläute ÿ",
    ],
)
def test_what_readline_shows_is_where_we_take_it_to_be(tmp_path, line):
    with open_reader(tmp_path, columns=23) as screen:
        screen.type(line)
        place = place_text("root > ", line, 23)
        # The terminal of the tests composes letters.
        shown = unicodedata.normalize("NFC", place.text).replace(" ", "").rstrip("\n")
        screen.wait_for(
            lambda lines: (
                "".join(lines).replace(" ", "") == shown
                and (screen._screen.cursor.y, screen._screen.cursor.x) == place[1:]
            )
        )


@pytest.mark.parametrize("ran", [False, True], ids=["at first", "after an action"])
def test_a_line_is_drawn_for_the_new_width_of_the_window(tmp_path, ran):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from deployer.cli import History\n"
        "from deployer.cli.readline_reader import ReadlineReader\n"
        "from deployer.pseudo_terminal import Pty\n"
        "if len(sys.argv) > 1:\n"
        # As a command on a host does.
        "    with Pty().resize_events(): pass\n"
        "ReadlineReader(lambda *_: [], History(None, print)).read('root > ')\n"
    )
    with run_in_terminal(script, *(["ran"] if ran else []), columns=40) as screen:
        screen.wait_for("root >")
        screen.type("0123456789" * 4)
        screen.wait_for(lambda lines: lines == ["root > " + ("0123456789" * 4)[:33], "3456789"])
        resize(screen, 60)
        screen.wait_for(lambda lines: lines == ["root > " + "0123456789" * 4])


# Pasting


def test_pasted_lines_arrive_together(screen):
    screen.type("\x1b[200~one\ntwo\nthree\x1b[201~")
    screen.type("\n")
    screen.wait_for("got 'one\\ntwo\\nthree'")


def test_a_pasted_line_does_not_run_by_itself(screen):
    screen.type("\x1b[200~one\n\x1b[201~")
    screen.wait_for("root > one")
    screen.type("\x7f two\n")
    screen.wait_for("got 'one two'")


@contextmanager
def open_shell(folder, **how):
    with run_in_terminal(TREE, XDG_STATE_HOME=str(folder), NO_COLOR="1", **how) as screen:
        screen.wait_for("Tree >")
        yield screen


@pytest.mark.parametrize(
    ("pasted", "question"),
    [
        ("service one\nservice two", "Run these 2 lines? [y/N]"),
        ("service one\nservice two\n", "Run these 2 lines? [y/N]"),
        ("service one\r\nservice two\r\n", "Run these 2 lines? [y/N]"),
        ("service one\rservice two\r", "Run these 2 lines? [y/N]"),
        ("  service one\n\n\tservice two\n\n# that was all\n", "Run these 2 lines? [y/N]"),
    ],
)
def test_pasted_lines_run_when_that_is_wanted(tmp_path, pasted, question):
    with open_shell(tmp_path) as screen:
        screen.type(f"\x1b[200~{pasted}\x1b[201~\n")
        screen.wait_for(question)
        assert "restarted one" not in screen.lines
        screen.type("y\n")
        screen.wait_for("restarted two")
        assert "restarted one" in screen.lines


@pytest.mark.parametrize("pasted", ["service one\n", "\nservice one\r\n# done\n"])
def test_a_paste_of_one_line_runs_with_enter(tmp_path, pasted):
    with open_shell(tmp_path) as screen:
        screen.type(f"\x1b[200~{pasted}\x1b[201~")
        screen.wait_for(lambda lines: any(line.endswith("service one") for line in lines))
        assert "restarted one" not in screen.lines
        screen.type("\n")
        screen.wait_for("restarted one")


@pytest.mark.parametrize("answer", ["\n", "n\n", "\x04", "\x03"])
def test_pasted_lines_do_not_run_when_that_is_not_wanted(tmp_path, answer):
    with open_shell(tmp_path) as screen:
        screen.type("\x1b[200~service one\nservice two\x1b[201~\n")
        screen.wait_for("Run these 2 lines? [y/N]")
        screen.type(answer)
        screen.wait_for(last_is("Tree >"))
        screen.type("service three\n")
        screen.wait_for("restarted three")
        assert "restarted one" not in screen.lines


def test_what_was_typed_before_the_question_is_no_answer(tmp_path):
    with open_shell(tmp_path) as screen:
        screen.type("\x1b[200~service one\nservice two\x1b[201~\ry\r")
        screen.wait_for("Run these 2 lines? [y/N]")
        screen.type("n\n")
        screen.wait_for(last_is("Tree >"))
        assert "restarted one" not in screen.lines


def test_of_many_pasted_lines_the_first_are_shown(tmp_path):
    with open_shell(tmp_path) as screen:
        screen.type("\x1b[200~" + "service x\n" * 100 + "\x1b[201~\n")
        lines = screen.wait_for(last_is("Run these 100 lines? [y/N]"))
        assert lines[-2] == "  … and 80 more"


# The user's own settings


def test_the_keys_of_the_user_stay_as_they_are(tmp_path):
    (tmp_path / "history").write_text("clone one\ncheckout two\n")
    settings = '"\\e[A": previous-history\nset editing-mode emacs\n'
    with open_reader(tmp_path, tmp_path / "history", settings) as screen:
        screen.type(f"cl{UP}\n")
        screen.wait_for("got 'checkout two'")


def test_whoever_likes_vi_has_it(tmp_path):
    with open_reader(tmp_path, inputrc="set editing-mode vi\nset keyseq-timeout 50\n") as screen:
        screen.type("clone it")
        screen.wait_for("root > clone it")
        screen.type("\x1b")
        screen.type("0dwiche\t")
        screen.wait_for("root > checkout it")
        screen.type("\n")
        screen.wait_for("got 'checkout it'")


def test_whoever_likes_menus_has_them(tmp_path):
    settings = 'tab: menu-complete\n"\\e[Z": menu-complete-backward\n'
    with open_reader(tmp_path, inputrc=settings) as screen:
        screen.type("c\t")
        screen.wait_for(lambda lines: lines[-1] == "root > checkout")
        screen.type("\t")
        screen.wait_for(lambda lines: lines[-1] == "root > clone")
        screen.type(SHIFT_TAB)
        screen.wait_for(lambda lines: lines[-1] == "root > checkout")
        screen.type("\n")
        screen.wait_for("got 'checkout '")


def test_pasted_lines_are_one_for_whoever_has_turned_that_off(tmp_path):
    with open_reader(tmp_path, inputrc="set enable-bracketed-paste off\n") as screen:
        screen.type("\x1b[200~one\ntwo\x1b[201~\n")
        screen.wait_for("got 'one\\ntwo'")


# Finding lines again


def test_lines_are_found_again_by_their_beginning(tmp_path):
    history = tmp_path / "history"
    history.write_text("clone one\ncheckout two\nclone three\n")
    with open_reader(tmp_path, history) as screen:
        screen.type(f"cl{UP}{UP}{UP}{DOWN}\n")
        wait_for_prompt_after(screen, "got 'clone three'")
        screen.type(f"cl{UP}{UP}\n")
        screen.wait_for("got 'clone one'")
    assert history.read_text() == "clone one\ncheckout two\nclone three\nclone one\n"


def test_ctrl_r_finds_lines_by_what_is_in_them(tmp_path):
    history = tmp_path / "history"
    history.write_text("clone one\ncheckout two\nlog\n")
    with open_reader(tmp_path, history) as screen:
        screen.type("\x12kout")
        screen.wait_for("(reverse-i-search)`kout': checkout two")
        screen.type("\r")
        screen.wait_for("got 'checkout two'")


def test_pasted_lines_are_found_again_one_by_one(screen):
    screen.type("\x1b[200~one\n\n secret\ntwo\x1b[201~\n")
    wait_for_prompt_after(screen, "got 'one\\n\\n secret\\ntwo'")
    screen.type(UP)
    screen.wait_for(last_is("root > two"))
    screen.type(UP)
    screen.wait_for(last_is("root > one"))


def test_a_line_that_begins_with_a_blank_is_not_found_again(screen):
    screen.type("one\n")
    wait_for_prompt_after(screen, "got 'one'")
    screen.type(" secret\n")
    wait_for_prompt_after(screen, "got ' secret'")
    screen.type(UP)
    screen.wait_for(last_is("root > one"))


# Libedit


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
    (tmp_path / "history").write_text("clone one\ncheckout two\nlog\n")
    how = {"LD_PRELOAD": LIBEDIT, "HOME": str(tmp_path)}
    with run_in_terminal(script, str(tmp_path / "history"), **how) as screen:
        screen.wait_for("root >")
        yield screen


def test_libedit_completes_too(libedit_screen):
    libedit_screen.type("che\t")
    libedit_screen.wait_for("root > checkout")
    libedit_screen.type("x\n")
    libedit_screen.wait_for("got 'checkout x'")


def test_libedit_shows_the_candidates(libedit_screen):
    libedit_screen.type("go c\t\t")
    libedit_screen.wait_for(
        lambda lines: any(line.split() == ["checkout", "clone"] for line in lines)
    )
    libedit_screen.wait_for(last_is("root > go c"))


def test_with_libedit_an_exception_while_completing_is_shown(libedit_screen):
    libedit_screen.type("boom\t")
    libedit_screen.wait_for("Completing failed: ValueError: no candidates today")
    libedit_screen.wait_for(last_is("root > boom"))
    libedit_screen.type("\n")
    libedit_screen.wait_for("got 'boom'")


def test_with_libedit_pasted_lines_arrive_together(libedit_screen):
    libedit_screen.type("one\ntwo\nthree\n")
    libedit_screen.wait_for("got 'one\\ntwo\\nthree'")


def test_libedit_has_the_history_in_our_format(libedit_screen, tmp_path):
    libedit_screen.type(f"{UP}{UP}\n")
    libedit_screen.wait_for("got 'checkout two'")
    assert (tmp_path / "history").read_text().endswith("log\ncheckout two\n")


def test_libedit_finds_lines_by_what_is_in_them(libedit_screen):
    libedit_screen.type("\x12one")
    libedit_screen.wait_for(lambda lines: any("clone one" in line for line in lines))
    # The first Enter may only end the search.
    libedit_screen.type("\r\r")
    libedit_screen.wait_for("got 'clone one'")


def test_with_libedit_ctrl_c_gives_up_the_line(libedit_screen):
    libedit_screen.type("half")
    libedit_screen.wait_for("root > half")
    libedit_screen.interrupt_line(lambda lines: any("interrupted" in line for line in lines))
    libedit_screen.type("whole\n")
    libedit_screen.wait_for("got 'whole'")


def test_with_libedit_ctrl_d_ends_only_on_an_empty_line(libedit_screen):
    libedit_screen.type("text\x04\n")
    wait_for_prompt_after(libedit_screen, "got 'text'")
    libedit_screen.type("\x04")
    assert libedit_screen.wait_for_end() == 0


# Without readline


def test_a_plain_reader_reads_lines_to_the_end():
    reader = PlainReader(io.StringIO("one\n\ntwo"))
    assert [reader.read("> "), reader.read("> "), reader.read("> ")] == ["one", "", "two"]
    with pytest.raises(EOFError):
        reader.read("> ")


def test_a_plain_reader_prompts_only_when_it_is_told_where():
    output = io.StringIO()
    PlainReader(io.StringIO("one\n"), output).read("> ")
    assert output.getvalue() == "> "


def test_a_plain_reader_takes_bytes_that_are_no_text_and_any_end_of_a_line():
    stream = io.TextIOWrapper(io.BytesIO(b"caf\xe9\r\nnext\n"), encoding="utf-8")
    reader = PlainReader(stream)
    assert [reader.read("> "), reader.read("> ")] == ["caf\udce9", "next"]


@pytest.fixture
def plain_script(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nsys.modules['readline'] = None\n"
        f"sys.path.insert(0, {str(TREE.parent)!r})\n"
        "import shell_tree\nshell_tree.start(shell_tree.Tree)\n"
    )
    return script


def test_a_python_without_readline_says_so_and_reads_lines(tmp_path, plain_script):
    with run_in_terminal(plain_script, XDG_STATE_HOME=str(tmp_path), columns=120) as screen:
        screen.wait_for(last_is("Tree >"))
        assert "Warning: this Python has no readline: no history, and no completion" in screen.lines
        check_plain(screen)


def test_a_terminal_that_cannot_move_its_cursor_gets_no_more_than_a_prompt(tmp_path):
    with run_in_terminal(TREE, XDG_STATE_HOME=str(tmp_path), TERM="dumb") as screen:
        screen.wait_for("Tree >")
        check_plain(screen)
        assert not list(tmp_path.iterdir())


def check_plain(screen):
    screen.type("half a line")
    screen.wait_for("Tree > half a line")
    screen.type("\x03")
    screen.wait_for(last_is("Tree >"))
    screen.type("serv\tice one\x7f\x7f\x7ftwo\x04\n")
    # Not before there is a prompt again: what is typed until then is shown at once.
    screen.wait_for(last_is("Tree ✗ >"))
    screen.type("service one\n")
    screen.wait_for("restarted one")
    screen.type("\x04")
    assert screen.wait_for_end() == 0


def test_the_lines_of_a_script_may_end_as_they_do_elsewhere(tmp_path):
    script = tmp_path / "lines"
    script.write_bytes(b"service one\r\nweb.logs\r\nservice 'two'\r\n")
    with script.open() as lines:
        done = subprocess.run(
            [sys.executable, TREE],
            stdin=lines,
            capture_output=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"restarted one\n") and done.stdout.endswith(b"restarted two\n")


@pytest.mark.parametrize("encoding", ["C", "C.UTF-8"])
def test_what_the_locale_cannot_show_may_be_typed_and_in_the_history(tmp_path, encoding):
    history = tmp_path / "history"
    history.write_text("größe before\n", encoding="utf-8")
    with open_reader(tmp_path, history, LC_ALL=encoding) as screen:
        screen.type("größe\n")
        screen.wait_for("got 'gr\\xf6\\xdfe'")
        screen.type("more\n")
        screen.wait_for("got 'more'")
    assert history.read_text(encoding="utf-8").split("\n")[1:3] == ["größe", "more"]


def test_a_script_says_at_which_line_it_has_stopped():
    done = run_script(TREE, stdin="service one\n\n  nowhere \nservice two")
    assert (done.returncode, done.stdout) == (2, "restarted one\n")
    assert done.stderr.splitlines()[-1] == "Stopped at line 3: nowhere"
    assert "Stopped" not in run_script(TREE, stdin="nowhere").stderr


def test_without_a_terminal_lines_are_a_script():
    done = run_script(TREE, stdin="service one\r\n\n# comment\nservice two")
    assert (done.returncode, done.stdout, done.stderr) == (0, "restarted one\nrestarted two\n", "")


def test_without_any_stdin_there_is_nothing_to_do():
    command = f"{sys.executable} {TREE} <&-"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, env=environment, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
