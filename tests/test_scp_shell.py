"""The secure-copy shell: both sides of it, on a host that is this machine."""

from __future__ import annotations

import pytest

from deployer.node import Env
from deployer.pseudo_terminal import DummyPty
from deployer.scp_shell import ScpShell
from shell_tree import SCRIPT, Tree
from terminals import run_in_terminal, run_script


class Session:
    """The shell in two directories, ``there`` on the host and ``here``."""

    def __init__(self, folder):
        self.there, self.here = folder / "there", folder / "here"
        for side in (self.there, self.here):
            (side / "my folder").mkdir(parents=True)
        (self.there / "remote file").write_text("from there")
        (self.here / "it's local").write_text("from here")
        (self.here / ".hidden").touch()
        self.pty = DummyPty()
        self.shell = ScpShell(Env(Tree(), self.pty).host)
        self.status = 0
        self.run(f"cd {self.there}", f"lcd {self.here}")

    def run(self, *lines):
        """Return what the lines write."""
        before = len(self.pty.get_output())
        for line in lines:
            self.status = self.shell.run_line(line)
        return self.pty.get_output()[before:]

    def complete(self, line):
        return [c.text + c.append for c in self.shell.complete(line, len(line))]


@pytest.fixture
def session(tmp_path):
    return Session(tmp_path)


def test_each_side_has_its_directory(session):
    assert session.run("pwd", "lpwd") == f"{session.there}\n{session.here}\n"
    session.run("cd 'my folder'", "lcd my\\ folder/..")
    assert session.run("pwd", "lpwd") == f"{session.there}/my folder\n{session.here}\n"


def test_each_side_is_listed_with_marked_directories_and_without_hidden_files(session):
    assert session.run("ls") == "my folder/   remote file\n"
    assert session.run("lls") == "it's local  my folder/\n"
    assert session.run("ls 'my folder'") == ""


def test_a_file_is_put_into_the_remote_directory(session):
    session.run('put "it\'s local"')
    assert (session.there / "it's local").read_text() == "from here"
    assert session.status == 0


def test_a_file_is_put_under_another_name(session):
    session.run("put it\\'s\\ local 'my folder/renamed'")
    assert (session.there / "my folder" / "renamed").read_text() == "from here"


def test_a_file_is_got_into_the_local_directory(session):
    session.run("get 'remote file'", "get 'remote file' 'my folder'")
    assert (session.here / "remote file").read_text() == "from there"
    assert (session.here / "my folder" / "remote file").read_text() == "from there"


def test_stat_says_what_is_known(session):
    (session.there / "remote file").chmod(0o640)
    lines = session.run("stat 'remote file'").splitlines()
    assert lines[0] == f"path      '{session.there}/remote file'"
    assert lines[1] == "mode      -rw-r----- (640)"
    assert lines[3] == "size      10 bytes"


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("cd nowhere", 1, "nowhere"),
        ("cd 'remote file'", 2, "is no directory"),
        ("lcd nowhere", 2, "nowhere here is no directory"),
        ("get nothing", 1, "nothing"),
        ("put nothing", 1, "nothing"),
        ("get", 2, "usage: get FILE [TARGET]"),
        ("pwd please", 2, "usage: pwd"),
        ("gte 'remote file'", 2, "There is no command 'gte'. Did you mean 'get'?"),
        ("lls ~nobody-at-all", 2, "there is no such user"),
        ("get 'open", 2, "never closed"),
    ],
)
def test_a_mistake_gets_one_line(session, line, status, message):
    output = session.run(line)
    assert message in output
    assert output.count("\n") == 1
    assert session.status == status
    assert session.shell.remote == str(session.there)


@pytest.mark.parametrize(
    ("line", "completions"),
    [
        ("ge", ["get "]),
        ("cd m", ["my\\ folder/"]),
        ("get ", ["my\\ folder/", "remote\\ file "]),
        ("get 'rem", ["'remote file' "]),
        ("get x ", ["it\\'s\\ local ", "my\\ folder/"]),
        ("put ", ["it\\'s\\ local ", "my\\ folder/"]),
        ("put .", [".hidden "]),
        ("put x ../th", ["../there/"]),
        ("pwd ", []),
    ],
)
def test_both_sides_complete(session, line, completions):
    assert session.complete(line) == completions


def test_help_lists_all_commands(session):
    output = session.run("help")
    for name in ("cd", "lcd", "put", "get", "stat", "exit"):
        assert f"  {name}" in output


def test_the_shell_opens_it_and_goes_on_after_it(tmp_path):
    with run_in_terminal(
        SCRIPT, XDG_STATE_HOME=str(tmp_path / "state"), NO_COLOR="1", columns=200
    ) as screen:
        screen.wait_for("Tree >")
        screen.type("--scp\n")
        screen.wait_for(lambda lines: lines[-1].startswith("first:"))
        screen.type(f"cd {tmp_path}\n")
        screen.wait_for(f"first:{tmp_path} >")
        screen.type("get sta\t")
        screen.wait_for(f"first:{tmp_path} > get state/")
        screen.type("\x15exit\n")
        screen.wait_for(lambda lines: lines[-1] == "Tree >")
        # The history is the outer shell's again.
        screen.type("\x1b[A")
        screen.wait_for(lambda lines: lines[-1] == "Tree > --scp")


def test_an_array_is_asked_which_host(tmp_path):
    with run_in_terminal(SCRIPT, "scp", "web", XDG_STATE_HOME=str(tmp_path)) as screen:
        screen.wait_for(lambda lines: lines[-1] == "Select a host of Tree.web:")
        screen.type("second\n")
        screen.wait_for(lambda lines: lines[-1].startswith("second:"))


def test_nobody_is_asked_which_host_without_a_terminal():
    result = run_script(SCRIPT, "scp", "web")
    assert "'Select a host of Tree.web' has no default" in result.stderr
    assert result.returncode == 3


def test_its_lines_may_be_a_script_that_stops_at_its_first_failure():
    result = run_script(SCRIPT, "scp", stdin="cd /\npwd\ncd nowhere-at-all\npwd\n")
    assert result.stdout == "/\n"
    assert "nowhere-at-all" in result.stderr
    assert result.returncode == 1
