"""The deployment shell: what its lines do, and how it feels at a terminal."""

from __future__ import annotations

import re

import pytest

from deployer.host import LocalHost
from deployer.node import Env, Node, ParallelNode
from deployer.pseudo_terminal import DummyPty
from deployer.shell import DeploymentShell
from deployer.shell.hosts import advise_on_host
from shell_session import Session
from shell_tree import SCRIPT, Tree
from terminals import run_in_terminal


@pytest.fixture
def session():
    return Session(Tree, confirms=False)


# Walking


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        (["cd git"], "Tree.git"),
        (["cd web logs"], "Tree.web.logs"),
        (["cd web.logs"], "Tree.web.logs"),
        (["cd web", "cd logs"], "Tree.web.logs"),
        (["cd web.logs", "cd .."], "Tree.web"),
        (["cd web.logs", "cd .. .."], "Tree"),
        (["cd .."], "Tree"),
        (["cd web.logs", "cd /"], "Tree"),
        (["cd web.logs", "cd / git"], "Tree.git"),
        (["cd web.logs", "cd"], "Tree"),
        (["cd git", "cd /", "cd -"], "Tree.git"),
        (["cd git", "cd -", "cd -"], "Tree.git"),
        (["cd web :second"], "Tree.web[1]"),
        (["cd web:second"], "Tree.web[1]"),
        (["cd web :0"], "Tree.web[0]"),
        (["cd web[1].logs"], "Tree.web[1].logs"),
        (["cd web:second.logs"], "Tree.web[1].logs"),
        (["cd web", "cd :1.logs"], "Tree.web[1].logs"),
        (["cd web", "cd :first", "cd logs"], "Tree.web[0].logs"),
        (["cd 'git'"], "Tree.git"),
        (["cd web/logs", "cd ../.."], "Tree"),
        (["cd git/", "cd /web/logs"], "Tree.web.logs"),
        (["cd git", "cd ../web:second"], "Tree.web[1]"),
        (["cd web", "cd [1]"], "Tree.web[1]"),
        (["cd _hidden"], "Tree._hidden"),
    ],
)
def test_cd_goes_somewhere(session, lines, place):
    assert session.run(*lines) == ""
    assert session.place == place
    assert session.run("pwd") == place + "\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cd gti", "Tree has no node or action 'gti'. Did you mean 'git'?"),
        ("cd hello", "'hello' is an action of Tree, and no node"),
        ("cd web :third", "Tree.web has no cell 'third'; it has first, second."),
        ("cd web :secnd", "Did you mean 'second'?"),
        ("cd web:secnd.logs", "no cell 'secnd.logs'; it has first, second. Did you mean 'second'?"),
        ("cd web:second.lgs", "Tree.web[1] has no node or action 'lgs'. Did you mean 'logs'?"),
        ("cd web:second.", "'web:second.' is not the name of a node: one is missing beside a dot"),
        ("cd :first", "Tree is not an array, so it has no cell 'first'"),
        ("pwd now", "pwd takes no arguments"),
        ("helo", "Did you mean 'hello'"),
        ("exti", "Did you mean 'exit'?"),
        ("git.xyz", "Tree.git has no node or action 'xyz'. It has checkout, log."),
        ("cd second", "no node or action 'second'. It has git, web, service, hello"),
        ("cd second", "second is a host: web:second, or set-option hosts second."),
        ("web.second.name", "second is a host: web:second, or set-option hosts second."),
        ("second name", "second is a host: web:second, or set-option hosts second."),
        ("exec uptime", "--run runs a command on the hosts."),
        ("ssh first", "--connect opens a shell on the host."),
        ("run hello", "An action is run by its name alone; --run runs a command on the hosts."),
        ("quit", "exit leaves the shell."),
        ("logout", "exit leaves the shell."),
        ("hello 'open", "The quote ' at 'open' is never closed"),
    ],
)
def test_a_mistake_gets_one_line_that_helps(session, line, message):
    output = session.run(line)
    assert message in output
    assert output.count("\n") == 1
    assert session.status == 2
    assert session.place == "Tree"


def test_a_host_that_is_no_node_is_looked_for_here_first(session):
    session.run("cd git")
    assert "second is a host: /web:second, or " in session.run("second")

    class Both(Node):
        class staging(Tree):
            pass

        class production(Tree):
            pass

    advice = advise_on_host(Env(Both()).production, "second", "--hosts")
    assert advice == " second is a host: /production.web:second, or --hosts second."


def test_ls_lists_what_is_here(session):
    output = session.run("ls")
    assert output.startswith("Child nodes\n  git      web      service\nActions\n")
    assert "hello" in output
    assert "_hidden" not in output


def test_ls_explains_what_is_elsewhere(session):
    assert session.run("ls -l git") == (
        "Actions\n  checkout COMMIT [force=False] [depth=0]  Check out a commit.\n  log\n"
    )


def test_ls_lists_the_cells_of_an_array(session):
    assert session.run("ls web").endswith("Cells\n  :first   :second\n")


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("find check", ["git.checkout"]),
        ("find *.show", ["web.logs.show"]),
        ("find LOG", ["git.log", "web.logs", "web.logs.show"]),
        ("find nothing-like-it", []),
    ],
)
def test_find_names_what_can_be_reached(session, line, names):
    assert [found.split()[0] for found in session.run(line).splitlines()] == names


def test_what_find_names_can_be_run(session):
    assert session.run(session.run("find *.checkout").split()[0] + " v1") == "v1 False 0\n"


@pytest.mark.parametrize(
    ("line", "texts"),
    [
        ("help", ["cd NAME", "Tab completes"]),
        ("help cd", ["usage: cd", "Go to"]),
        ("help git", ["Tree.git\n\nThe repository.\n\nWith its history.", "checkout COMMIT"]),
        ("help git checkout", ["usage: git checkout COMMIT", "Stops when there are changes."]),
        ("help service", ["Tree.service", "usage: service [name=all]\n\nRestart."]),
    ],
)
def test_help_explains(session, line, texts):
    output = session.run(line)
    for text in texts:
        assert text in output


# Running


@pytest.mark.parametrize(
    ("lines", "output"),
    [
        (["git.checkout v1"], "v1 False 0"),
        (["git checkout v1"], "v1 False 0"),
        (["cd git", "checkout v1"], "v1 False 0"),
        (["cd git", ".. git checkout v1"], "v1 False 0"),
        (["git checkout 'a b' yes 3"], "a b True 3"),
        (["git checkout depth=2 commit='a b'"], "a b False 2"),
        (["git checkout x=1"], "x=1 False 0"),
        (["git checkout 'commit=v1'"], "commit=v1 False 0"),
        (["git checkout v1 force=on"], "v1 True 0"),
        (["hello a 'b c' d=1"], "hello ('a', 'b c') {'d': '1'}"),
        (["git log"], "['one', 'two']"),
        (["with.dots"], "plain"),
        (["service"], "restarted all"),
        (["service nginx"], "restarted nginx"),
        (["service name=nginx"], "restarted nginx"),
        (["cd service", ". nginx"], "restarted nginx"),
        ([". ls"], "the action"),
        (["_hidden act"], "hidden"),
        (["web:second name"], "second"),
        (["web name"], "first: first\nsecond: second"),
        (["web :first logs show"], "logs of first"),
    ],
)
def test_an_action_is_run_and_its_result_shown(session, lines, output):
    assert session.run(*lines).rstrip("\n") == output
    assert session.status == 0


@pytest.mark.parametrize("line", ["", "   ", "# a comment", "quiet"])
def test_some_lines_show_nothing(session, line):
    assert session.run(line) == ""
    assert session.status == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("git checkout", "missing a required argument: 'commit'"),
        ("git checkout a b=1 no 1 2", "too many positional arguments; there is no parameter 'b'"),
        ("git checkout a depth=deep", "depth has to be a whole number, not 'deep'"),
        ("git checkout a force=maybe", "force has to be yes or no, not 'maybe'"),
        ("git checkout a depth=1 depth=2", "depth is given twice"),
    ],
)
def test_a_wrong_call_shows_the_signature_and_no_traceback(session, line, message):
    output = session.run(line)
    assert output == (
        f"git checkout: {message}\n"
        "usage: git checkout COMMIT [force=False] [depth=0]\n\n"
        "Check out a commit.\n\n"
        "Stops when there are changes.\n"
    )
    assert session.status == 2


def test_a_node_that_cannot_be_run_is_described(session):
    output = session.run("git")
    assert output.startswith("Tree.git\n\nThe repository.")
    assert "checkout COMMIT" in output


def test_an_action_that_returns_a_node_opens_a_sub_shell(session):
    session.run("cd web", "cd ..", "find_one")
    assert session.place == "Tree.git"
    session.run("cd ..", "return")
    assert session.place == "Tree"
    session.run("cd -")
    assert session.place == "Tree.web"


def test_where_there_is_no_sub_shell_one_does_not_return(session):
    output = session.run("return")
    assert output == "There is no sub-shell to return from; exit leaves the shell\n"
    assert session.status == 2
    assert not session.shell._is_left


@pytest.mark.parametrize("line", ["cd ...", "cd git.", "cd web..logs"])
def test_a_path_without_a_name_in_it_is_shown_as_it_is(session, line):
    assert session.run(line).startswith(f"{line[3:]!r} is not the name of a node")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("git/checkout v1", "v1 False 0"),
        ("/git/checkout v1", "v1 False 0"),
        ("service /git/log", "restarted /git/log"),
    ],
)
def test_slashes_lead_to_an_action_but_are_plain_in_an_argument(session, line, shown):
    assert session.run(line) == f"{shown}\n"


def test_paths_with_slashes_are_completed(session):
    assert session.complete("cd /web/lo") == ["/web/logs "]
    assert session.complete("cd web/") == ["web/logs ", "web/:first ", "web/:second "]
    session.run("cd web")
    assert session.complete("cd ../gi") == ["../git "]
    assert session.complete("../git/che") == ["../git/checkout "]
    assert session.complete("cd ../web:s") == ["../web:second "]
    assert session.complete("help ../git.lo") == ["../git.log "]


def test_a_failed_command_is_shown_with_its_last_lines_and_its_place(session):
    output = session.run("fail")
    assert re.search(
        r"Command failed\n"
        r"  host     first\n"
        r"  command  echo first; echo last words >&2; exit 3\n"
        r"  status   3\n"
        r"  \| last words\n"
        r"  at .*shell_tree\.py:\d+ in fail\n$",
        output,
    )
    assert session.status == 1


def test_a_fault_shows_the_frames_of_the_user_only(session):
    output = session.run("fault")
    assert output.startswith("Traceback (most recent call last):\n")
    assert output.endswith("KeyError: 'key'\n")
    assert re.findall(r'File ".*/(.*)", line \d+, in (\w+)', output) == [("shell_tree.py", "fault")]


def test_the_place_of_a_failure_is_never_in_a_library(session):
    assert re.search(r"\n  at .*shell_tree\.py:\d+ in unfound\n$", session.run("unfound"))


def test_failures_of_cells_go_by_their_hosts(session):
    output = session.run("web half")
    assert output.startswith("second ! Command failed\n")
    assert output.endswith("\nFailed on 1 of 2 hosts\n")
    assert session.status == 1


def test_a_question_that_nobody_answers_is_a_failure_of_its_own(session):
    assert "No answer: 'Which branch' has no default" in session.run("ask")
    assert session.status == 3


def test_an_action_cannot_end_the_shell(session):
    assert session.run("leave") == "The action asked to end the program (status 7)\n"
    assert session.status == 1


def test_the_name_of_a_cell_may_have_dots():
    class Dotted(Node):
        class web(ParallelNode.Array):
            class Hosts:
                host = (
                    type("short", (LocalHost,), {"slug": "web1"}),
                    type("long", (LocalHost,), {"slug": "web1.example.com"}),
                )

            class logs(Node):
                def show(self):
                    return "logs of " + self.host.slug

    session = Session(Dotted)
    assert session.run("web:web1.example.com.logs.show") == "logs of web1.example.com\n"
    assert session.run("web:web1.logs.show") == "logs of web1\n"
    assert session.complete("web:web1.example.com.l") == ["web:web1.example.com.logs "]
    assert sorted(session.complete("web:web1.")) == ["web:web1.example.com ", "web:web1.logs "]


# Completing


@pytest.mark.parametrize(
    ("line", "completions"),
    [
        ("gi", ["git "]),
        ("cd ", ["git ", "web ", "service "]),
        ("cd w", ["web "]),
        ("cd web ", ["logs ", ":first ", ":second "]),
        ("cd web :s", [":second "]),
        ("cd web.l", ["web.logs "]),
        ("cd web:second.", ["web:second.logs "]),
        ("web:second.logs.s", ["web:second.logs.show "]),
        ("cd _", ["_hidden "]),
        ("cd .", [".. "]),
        ("cd nowhere ", []),
        ("git ", ["checkout ", "log "]),
        ("git.", ["git.checkout ", "git.log "]),
        ("git checkout ", ["commit=", "force=", "depth="]),
        ("git checkout v1 ", ["yes ", "no ", "force=", "depth="]),
        ("git checkout v1 f", ["force="]),
        ("git checkout v1 force=", ["force=yes ", "force=no "]),
        ("git checkout commit=v1 f", ["force="]),
        ("git checkout v1 yes 3 ", []),
        ("service ", ["name="]),
        ("quiet ", []),
        ("--s", ["--source-code ", "--scp "]),
        ("help pw", ["pwd "]),
        ("help git ch", ["checkout "]),
        ("fin", ["find_one ", "find "]),
        ("plai", ["plain "]),
        ("with", ["with.dots "]),
        ("pwd ", []),
    ],
)
def test_a_line_is_completed(session, line, completions):
    assert session.complete(line) == completions


def test_completions_come_with_the_first_line_of_the_docstring(session):
    completions = session.shell.complete("git ", 4)
    assert [(c.display, c.help) for c in completions] == [
        ("checkout", "Check out a commit."),
        ("log", ""),
    ]
    (git,) = session.shell.complete("git", 3)
    assert git.help == "The repository."


# At a terminal


@pytest.fixture
def screen(tmp_path):
    with run_in_terminal(SCRIPT, XDG_STATE_HOME=str(tmp_path), NO_COLOR="1") as screen:
        screen.wait_for("Tree >")
        yield screen


def prompts(screen, count):
    """Wait until the prompt has come so many times, and nothing after it."""
    return screen.wait_for(
        lambda lines: (
            sum(bool(re.match(r"Tree( ✗)? >", line)) for line in lines) == count
            and lines[-1] in ("Tree >", "Tree ✗ >")
        )
    )


def test_tab_completes_through_the_tree(screen):
    screen.type("git che\t")
    screen.wait_for("Tree > git checkout")
    screen.type("v1\n")
    screen.wait_for("v1 False 0")


def test_tab_shows_actions_with_their_docstrings(screen):
    screen.type("git \t")
    screen.wait_for("checkout  Check out a commit.")
    screen.wait_for(lambda lines: lines[-1] == "Tree > git")


def test_the_prompt_says_where_one_is(screen):
    screen.type("cd web :second\n")
    screen.wait_for("Tree.web[1] >")


def test_ctrl_c_stops_an_action_and_keeps_the_shell(screen):
    screen.type("spin\n")
    screen.wait_for("spinning")
    screen.type("\x03")
    screen.wait_for("Interrupted")
    screen.type("service\n")
    screen.wait_for("restarted all")


def test_ctrl_c_reaches_a_command_on_a_host(screen):
    screen.type("sleep\n")
    screen.wait_for("asleep")
    screen.type("\x03")
    screen.wait_for(lambda lines: "[R]etry, [S]kip, [A]bort" in lines[-1])
    screen.type("a\n")
    prompts(screen, 2)


def test_ctrl_c_clears_the_line(screen):
    screen.type("half a line")
    screen.wait_for("Tree > half a line")
    screen.interrupt_line(lambda lines: lines[-1] == "Tree >")
    screen.type("service\n")
    screen.wait_for("restarted all")


def test_ctrl_d_leaves_the_sub_shell_and_then_the_shell(screen):
    screen.type("find_one\n")
    screen.wait_for("Tree.git >")
    screen.type("\x04")
    prompts(screen, 2)
    screen.type("\x04")
    assert screen.wait_for_end() == 0


def test_exit_leaves(screen):
    screen.type("exit\n")
    assert screen.wait_for_end() == 0


def test_an_exception_in_an_action_keeps_the_shell(screen):
    screen.type("fault\n")
    screen.wait_for("KeyError: 'key'")
    screen.type("service\n")
    screen.wait_for("restarted all")


@pytest.mark.parametrize(("answer", "runs"), [("n", False), ("y", True)])
def test_pasted_lines_are_asked_about(screen, answer, runs):
    screen.type("\x1b[200~service one\nservice two\nservice three\x1b[201~\n")
    screen.wait_for("Run these 3 lines? [y/N]")
    assert "restarted one" not in screen.lines
    screen.type(f"{answer}\n")
    lines = prompts(screen, 2)
    assert ("restarted three" in lines) is runs


def test_a_failed_command_asks_how_to_go_on(screen):
    screen.type("fail\n")
    screen.wait_for(lambda lines: "[R]etry, [S]kip, [A]bort" in lines[-1])
    screen.type("a\n")
    screen.wait_for("  status   3")


def test_a_question_is_asked_and_its_answer_is_no_history(screen):
    screen.type("ask\n")
    screen.wait_for("Which branch:")
    screen.type("main\n")
    prompts(screen, 2)
    screen.type("\x1b[A\n")
    screen.wait_for(lambda lines: [line for line in lines if line == "Tree > ask"][1:] != [])


def test_a_read_only_history_is_a_warning_at_most(tmp_path):
    state = tmp_path / "state"
    state.write_text("in the way")
    with run_in_terminal(SCRIPT, XDG_STATE_HOME=str(state), NO_COLOR="1", columns=200) as screen:
        screen.wait_for("Tree >")
        screen.type("service\n")
        screen.wait_for("restarted all")
        assert "cannot be" in "\n".join(screen.lines)


def test_the_prompt_has_the_colour_of_the_group(tmp_path):
    with run_in_terminal(SCRIPT, XDG_STATE_HOME=str(tmp_path)) as screen:
        screen.type("cd web\n")
        screen.wait_for("Tree.web (2) >")
        assert screen.colour_at("Tree.web (2) >") == "red"


class Shower(Node):
    class Hosts:
        host = type("here", (LocalHost,), {})
        more = tuple(type(f"more{n}", (LocalHost,), {}) for n in range(2))

    def shown(self):
        return self.host.run("echo out")

    def silent(self):
        return self.host.run("echo out", silent=True)

    def all(self):
        return self.hosts.filter("more").run("echo out")


@pytest.mark.parametrize(
    ("action", "output"),
    [("shown", "out\n"), ("silent", "out\n"), ("all", "more0 | out\nmore1 | out\n")],
)
def test_what_was_shown_while_it_ran_is_not_shown_again(action, output):
    pty = DummyPty()
    assert DeploymentShell(Env(Shower(), pty)).run_line(action) == 0
    assert "".join(sorted(pty.get_output().splitlines(keepends=True))) == output
