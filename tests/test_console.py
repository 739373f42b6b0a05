"""The console asks and shows things, at a real terminal and without one."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import termios
import threading

import pytest

from deployer.console import Console, NoInput
from deployer.inspection import Inspector, filters
from deployer.node import Env
from deployer.pseudo_terminal import DummyPty, Pty
from deployer.secret import Secret
from deployer.utils.columns import display_width, shorten, to_columns
from shell_tree import Tree
from terminals import open_terminal, run_in_terminal


@pytest.fixture
def terminal():
    with open_terminal() as terminal:
        yield terminal


@pytest.fixture
def console(terminal):
    return Console(terminal.pty)


@pytest.fixture
def silent():
    """A console without anybody at it."""
    return Console(DummyPty("typed\n"))


def test_an_answer_is_returned_without_the_blanks_around_it(terminal, console):
    terminal.type("  my answer \n")
    assert console.input("Name") == "my answer"
    assert "Name: " in terminal.read_until("Name: ")


def test_enter_alone_takes_the_default_which_is_shown(terminal, console):
    terminal.type("\n")
    assert console.input("Name", default="web") == "web"
    terminal.read_until("Name [web]: ")


def test_enter_alone_asks_again_when_there_is_no_default(terminal, console):
    terminal.type("\n\nfinally\n")
    assert console.input("Name") == "finally"


def test_an_answer_that_is_not_allowed_is_asked_again(terminal, console):
    terminal.type("blue\nred\n")
    assert console.input("Colour", answers=["red", "green"]) == "red"
    terminal.read_until("Please answer one of: red, green.")


def ask_password(terminal, console):
    """Type a password until it is taken: what was typed before the question is thrown away."""
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(console.input("Password", is_password=True))
    )
    thread.start()
    terminal.read_until("Password: ")
    while thread.is_alive():
        if not terminal.echoes:
            terminal.type(" secret \n")
            thread.join()
    return answers[0]


def test_a_password_is_not_echoed_and_keeps_its_blanks(terminal, console):
    assert ask_password(terminal, console) == " secret "
    console.pty.write("the end")
    assert "secret" not in terminal.read_until("the end")


def test_the_terminal_echoes_again_after_a_password(terminal, console):
    ask_password(terminal, console)
    assert terminal.echoes


def test_the_end_of_the_input_is_no_answer(terminal, console):
    terminal.type("\x04")
    with pytest.raises(NoInput, match="'Name' was not answered"):
        console.input("Name")


@pytest.mark.parametrize(
    ("typed", "default", "answer"),
    [
        ("y\n", None, True),
        ("YES\n", None, True),
        ("no\n", None, False),
        ("\n", True, True),
        ("\n", False, False),
        ("what\nn\n", True, False),
        ("\ny\n", None, True),
    ],
)
def test_a_question_is_confirmed(terminal, console, typed, default, answer):
    terminal.type(typed)
    assert console.confirm("Sure?", default) is answer


CHOICES = [("Retry", 1), ("Skip", None), ("Abort", 3), ("Again", 4)]


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("r\n", 1),
        ("S\n", None),
        ("abort\n", 3),
        ("ag\n", 4),
        ("g\n", 4),
        ("a\n", 3),
        ("x\nskip\n", None),
        ("\n", None),
    ],
)
def test_a_choice_is_made_by_letter_name_or_beginning(terminal, console, typed, value):
    terminal.type(typed)
    assert console.choice("Continue?", CHOICES, default=None) == value
    terminal.read_until("Continue? [R]etry, [S]kip, [A]bort, A[g]ain [Skip]: ")


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("2\n", "Tree.git"),
        ("Tree.web.logs\n", "Tree.web.logs"),
        ("tree.ser\n", "Tree.service"),
        ("99\nTree.w\n1\n", "Tree"),
    ],
)
def test_a_node_is_selected_by_number_or_path(terminal, console, typed, name):
    terminal.type(typed)
    assert Inspector(console.select_node(Env(Tree()))).get_full_name() == name
    assert "2 Tree.git" in terminal.read_until("Select a node: ")


def test_only_the_nodes_of_a_filter_are_offered(terminal, console):
    terminal.type("1\n")
    node = console.select_node(Tree(), "Which?", filters.HasAction("checkout"))
    assert repr(node) == "<Node Tree.git>"


def test_a_cell_is_selected_by_number_or_host(terminal, console):
    terminal.type("second\n1\n")
    web = Env(Tree()).web
    assert console.select_node_isolation(web).host.slug == "second"
    assert console.select_node_isolation(web).host.slug == "first"


def test_what_has_one_cell_is_selected_without_a_question(silent):
    git = Env(Tree()).git
    assert silent.select_node_isolation(git) is git


def test_no_node_is_selected_without_a_terminal(silent):
    with pytest.raises(NoInput, match="'Select a node' has no default"):
        silent.select_node(Tree())


def test_without_a_terminal_defaults_are_taken(silent):
    assert silent.input("Name", default="web") == "web"
    assert silent.confirm("Sure?", default=False) is False
    assert silent.choice("Continue?", CHOICES, default=None) is None
    assert silent.pty.get_output() == ""


@pytest.mark.parametrize(
    "ask",
    [
        lambda console: console.input("Which one?"),
        lambda console: console.input("Which one?", is_password=True),
        lambda console: console.confirm("Which one?"),
        lambda console: console.choice("Which one?", CHOICES),
    ],
)
def test_a_question_without_a_default_raises_and_is_named(silent, ask):
    with pytest.raises(NoInput, match=re.escape("'Which one?' has no default")):
        ask(silent)


def test_a_terminal_that_is_not_interactive_is_never_asked(terminal):
    pty = Pty(terminal.pty.stdin, terminal.pty.stdout, interactive=False)
    console = Console(pty)
    assert not console.is_interactive
    with pytest.raises(NoInput):
        console.input("Name")


def test_a_warning_goes_to_stderr():
    out, err = io.StringIO(), io.StringIO()
    Console(Pty(io.StringIO(), out, err)).warning("careful")
    assert (out.getvalue(), err.getvalue()) == ("", "Warning: careful\n")


def test_a_long_text_is_paged_at_a_terminal(terminal, console, monkeypatch):
    monkeypatch.setenv("PAGER", "sed 's/^/paged /'")
    console.lesspipe(f"line {n}" for n in range(3))
    assert "paged line 2" in terminal.read_until("paged line 2")


def test_a_pager_that_ends_early_is_no_error(terminal, console, monkeypatch):
    monkeypatch.setenv("PAGER", "head -n 1")
    console.lesspipe(f"line {n}" for n in range(100_000))
    assert "line 99999" not in terminal.read_until("line 0")


def test_without_its_pager_a_text_is_written(terminal, console, monkeypatch):
    monkeypatch.setenv("PAGER", "no-such-pager-here")
    console.lesspipe("one\ntwo")
    output = terminal.read_until("two")
    assert "'no-such-pager-here' cannot be run" in output


def test_without_a_terminal_a_text_is_written(silent, monkeypatch):
    monkeypatch.setenv("PAGER", "false")
    silent.lesspipe("one\ntwo")
    assert silent.pty.get_output() == "one\ntwo\n"


def test_columns_fill_the_terminal():
    with open_terminal(columns=20) as terminal:
        lines = Console(terminal.pty).in_columns(["alpha", "beta", "gamma", "delta"], margin_left=1)
    assert lines == [" alpha  gamma", " beta   delta"]


@pytest.mark.parametrize(
    ("items", "width", "lines"),
    [
        ([], 80, []),
        (["one"], 2, ["one"]),
        (["a", "b", "c"], 7, ["a  b  c"]),
        (["a", "b", "c"], 6, ["a  c", "b"]),
        (["漢字", "b"], 10, ["漢字  b"]),
        (["漢字", "b"], 9, ["漢字", "b"]),
        (["\x1b[31mred\x1b[0m", "b"], 8, ["\x1b[31mred\x1b[0m  b"]),
    ],
)
def test_columns_know_how_wide_text_is(items, width, lines):
    assert to_columns(items, width) == lines


@pytest.mark.parametrize(
    ("text", "width", "shortened"),
    [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("漢字x", 4, "漢…"), ("abc", 0, "")],
)
def test_text_is_shortened_to_a_width(text, width, shortened):
    assert shorten(text, width) == shortened
    assert display_width(shortened) <= width


def test_a_progress_bar_is_one_line_without_a_terminal(silent):
    with silent.progress_bar("Copying", expected=4) as bar:
        for _ in range(3):
            bar.next()
    assert re.fullmatch(r"Copying: \[#{15}\.{5}\] 3/4  done in \d+\.\ds\n", silent.pty.get_output())


def test_a_progress_bar_counts_when_nothing_is_expected(silent):
    with silent.progress_bar("Copying") as bar:
        bar.set_progress(12)
    assert silent.pty.get_output().startswith("Copying: 12  done in")


def test_a_progress_bar_says_that_it_failed(silent):
    with pytest.raises(ValueError), silent.progress_bar("Copying", 2) as bar:
        bar.next()
        raise ValueError
    assert "1/2  failed in" in silent.pty.get_output()


def test_a_progress_bar_is_drawn_over_at_a_terminal(terminal, console):
    with console.progress_bar("Copying", 2) as bar:
        terminal.read_until("0/2")
        bar.next()
        bar.next()
    output = terminal.read_until("done in")
    first, second = output.split("Copying")[1:]
    assert first.endswith("0/2\x1b[K\r\x1b[32m")
    assert "2/2" in second


def test_a_progress_bar_can_be_cleared(terminal, console):
    with console.progress_bar("Copying", clear_on_finish=True):
        pass
    console.pty.write("next")
    assert terminal.read_until("next").endswith("\r\x1b[Knext")


def test_a_progress_bar_is_never_wider_than_the_terminal():
    with open_terminal(columns=20) as terminal:
        with Console(terminal.pty).progress_bar("A long message, too long", 2):
            pass
        output = terminal.read_until("…\x1b[0m\x1b[K\r\n")
    assert all(display_width(part) < 20 for part in output.split("\r"))


@pytest.mark.parametrize("steps", [["fetch", "build"], {2: "build", 1: "fetch"}])
@pytest.mark.parametrize(("done", "name"), [(1, "fetch"), (2, "build")])
def test_steps_have_names_in_their_order(silent, steps, done, name):
    with silent.progress_bar_with_steps("Deploying", steps) as bar:
        for _ in range(done):
            bar.next()
    assert f"{done}/2 {name}  done" in silent.pty.get_output()


def test_the_console_loads_no_tree():
    code = "import deployer.console, sys; sys.exit('deployer.node' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Secrets, at any terminal.


def ask_secret(terminal, question="Secret: ", **how):
    """Ask in a thread; return the thread and the list that the answer comes into."""
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(terminal.pty.ask_secret(question, **how))
    )
    thread.start()
    terminal.read_until(question)
    return thread, answers


def settings_of(terminal):
    return termios.tcgetattr(terminal.pty.stdin.fileno())


def test_a_secret_is_asked_for_in_raw_mode_too(terminal):
    with terminal.pty.raw_mode():
        before = settings_of(terminal)
        thread, answers = ask_secret(terminal)
        assert not terminal.echoes
        # Enter, and a letter that is taken back.
        terminal.type("hu\x7fh\r")
        thread.join()
        assert settings_of(terminal) == before
    assert answers == [Secret("hh")]
    assert terminal.read_until("Secret: \r\n").endswith("Secret: \r\n")
    assert terminal.echoes


def test_what_was_typed_before_the_question_is_no_answer(terminal):
    terminal.type("early\n")
    terminal.read_until("early")
    thread, answers = ask_secret(terminal)
    terminal.type("late\n")
    thread.join()
    assert answers == [Secret("late")]


def test_an_answer_may_be_shown(terminal):
    thread, answers = ask_secret(terminal, shown=True)
    assert terminal.echoes
    terminal.type("123456\n")
    thread.join()
    assert answers == [Secret("123456")]
    assert terminal.read_until("123456\r\n").count("Secret: 123456\r\n") == 1


def test_the_end_of_the_input_is_no_secret(terminal):
    thread, answers = ask_secret(terminal)
    terminal.type("\x04")
    thread.join()
    assert answers == [None]
    assert terminal.echoes


def test_without_a_terminal_nobody_is_asked_for_a_secret():
    pty = DummyPty("typed\n")
    assert pty.ask_secret("Secret: ") is None
    assert pty.get_output() == ""


def test_an_interrupt_from_elsewhere_ends_the_question(terminal):
    raised = []

    def ask():
        try:
            terminal.pty.ask_secret("Secret: ")
        except KeyboardInterrupt:
            raised.append(True)

    thread = threading.Thread(target=ask)
    thread.start()
    terminal.read_until("Secret: ")
    terminal.pty.interrupted.set()
    thread.join()
    assert raised == [True]
    assert terminal.echoes


def test_ctrl_c_at_the_question_is_an_interrupt(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import termios\n"
        "from deployer.pseudo_terminal import Pty\n"
        "pty = Pty()\n"
        "before = termios.tcgetattr(0)\n"
        "try:\n"
        "    with pty.raw_mode():\n"
        "        pty.ask_secret('Secret: ')\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', termios.tcgetattr(0) == before)\n"
    )
    with run_in_terminal(script) as screen:
        screen.wait_for("Secret:")
        screen.type("half\x03")
        screen.wait_for("interrupted True")
