"""The command line of a script that calls ``start()``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from deployer.client import start
from deployer.node import Node
from shell_tree import SCRIPT
from terminals import ROOT, TIMEOUT, run_in_terminal, run_script

pytestmark = pytest.mark.machine


def run(*arguments, script=SCRIPT, **how):
    return run_script(script, *arguments, **how)


@pytest.fixture
def write_script(tmp_path):
    """Return a function that writes a script which starts a tree, and returns its path."""

    def write(body, call="start(Tree)"):
        script = tmp_path / "deploy.py"
        head = "from deployer.client import start\nfrom deployer.node import *\n"
        script.write_text(head + textwrap.dedent(body) + f"\n{call}\n", encoding="utf-8")
        return script

    return write


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["run", "git.checkout", "v1"], "v1 False 0"),
        (["run", "git", "checkout", "v1"], "v1 False 0"),
        (["run", "--path", "git", "checkout", "v1"], "v1 False 0"),
        (["run", "--path", "web.logs", "..:second", "name"], None),
        (["run", "git.checkout", "commit=a b", "depth=3"], "a b False 3"),
        (["run", "hello", "--force", "-x", "it's"], "hello ('--force', '-x', \"it's\") {}"),
        (["run", "--", "hello", "-x"], "hello ('-x',) {}"),
        (["run", "service"], "restarted all"),
        (["run", "-y", "--path", "web:second", "name"], "second"),
        (["run", "ls"], "the action"),
        (["run", "-ys", "web", "name"], "first: first\nsecond: second"),
        (["run", "quiet"], ""),
    ],
)
def test_run_prints_the_result(arguments, output):
    result = run(*arguments)
    if output is None:
        assert result.returncode == 2
    else:
        assert (result.stdout.rstrip("\n"), result.returncode) == (output, 0)
        assert result.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["run", "fail"], 1, "status   3"),
        (["run", "fault"], 1, "KeyError: 'key'"),
        (["run", "-y", "web.half"], 1, "Failed on 1 of 2 hosts"),
        (["run", "nowhere"], 2, "Tree has no node or action 'nowhere'"),
        (["run", "git"], 2, "Tree.git is a node"),
        (["run", "--path", "gti", "log"], 2, "deploy: Tree has no node or action 'gti'. Did you"),
        (["run", "git.checkout"], 2, "missing a required argument: 'commit'"),
        (["run", "--nonsense"], 2, ""),
        (["destroy"], 2, "invalid choice: 'destroy'"),
        (["run", "ask"], 3, "'Which branch' has no default"),
        (["run", "--scp", "hello"], 2, "takes no action"),
    ],
)
def test_the_exit_status_says_how_it_went(arguments, status, message, write_script):
    script = write_script("from shell_tree import Tree", call="start(Tree, name='deploy')")
    result = run(*arguments, script=script, PYTHONPATH=f"{ROOT}:{ROOT / 'tests'}")
    assert result.returncode == status
    assert message in result.stderr
    assert "deployer/" not in result.stderr


def test_hosts_that_cannot_be_reached_have_a_status_of_their_own(write_script):
    script = write_script(
        """
        from deployer.host import SSHHost
        class one(SSHHost):
            address, port, timeout = "127.0.0.1", 1, 5
        class two(one):
            pass
        class Tree(ParallelNode):
            class Hosts:
                host = (one, two)
            def act(self):
                self.host.run("true")
            def fault(self):
                if self.host.slug == "two":
                    raise ValueError
                self.host.run("true")
        """
    )
    assert run("run", "act", script=script).returncode == 4
    assert run("run", "fault", script=script).returncode == 1


def test_ctrl_c_ends_a_run():
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), "run", "spin"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout.readline() == "spinning\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=TIMEOUT) == ("", "Interrupted\n")
    assert process.returncode == 130


def test_non_interactive_asks_nothing_at_a_terminal_either():
    with run_in_terminal(SCRIPT, "run", "--non-interactive", "ask") as screen:
        assert screen.wait_for_end() == 3


def test_a_question_is_asked_at_a_terminal():
    with run_in_terminal(SCRIPT, "run", "ask") as screen:
        screen.wait_for("Which branch:")
        screen.type("main\n")
        assert screen.wait_for_end() == 0
        assert "main" in screen.lines


def test_lines_on_stdin_are_a_script():
    result = run(stdin="# prepare\ncd git\n\ncheckout v1\ncd ..\nservice\n")
    assert (result.stdout, result.stderr) == ("v1 False 0\nrestarted all\n", "")
    assert result.returncode == 0


def test_a_script_stops_at_its_first_failure():
    result = run(stdin="service one\nfault\nservice two\n")
    assert result.stdout == "restarted one\n"
    assert "KeyError" in result.stderr
    assert result.returncode == 1


def test_a_script_may_exit_early():
    result = run(stdin="exit\nfault\n")
    assert (result.stdout, result.stderr, result.returncode) == ("", "", 0)


def test_a_pipe_that_nobody_reads_ends_the_program_quietly():
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run(
        [sys.executable, str(SCRIPT), "run", "git.log"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    os.close(writer)
    assert (process.returncode, process.stderr) == (141, "")


def test_without_any_stdin_there_are_no_lines():
    command = f"{sys.executable} {SCRIPT} <&-"
    result = subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert (result.stdout, result.stderr, result.returncode) == ("", "", 0)


def test_run_without_an_action_opens_the_shell_there():
    assert run("run", "--path", "web.logs", stdin="pwd\n").stdout == "Tree.web.logs\n"


def test_the_shell_of_an_empty_tree_opens(write_script, tmp_path):
    script = write_script("class Tree(Node):\n    pass\n")
    with run_in_terminal(script, XDG_STATE_HOME=str(tmp_path), NO_COLOR="1") as screen:
        screen.wait_for("Tree >")
        screen.type("ls\n")
        screen.wait_for("Nothing here yet: no child nodes, and no actions.")
        screen.type("exit\n")
        assert screen.wait_for_end() == 0


def test_start_returns_when_the_shell_is_left(write_script):
    script = write_script("class Tree(Node):\n    pass\n", call="start(Tree); print('after')")
    assert run(script=script, stdin="pwd\n").stdout == "Tree\nafter\n"


def test_a_node_without_hosts_says_so_in_one_message(write_script):
    script = write_script(
        """
        class Tree(Node):
            def act(self):
                self.host.run("true")
        """
    )
    result = run("run", "act", script=script)
    assert "there are no hosts: nest a class Hosts in Tree" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.returncode == 1


def test_a_root_that_cannot_be_made_says_so_in_one_message(write_script):
    script = write_script(
        """
        class Tree(Node):
            pass
        class Other(Tree):
            def __new__(cls):
                raise RuntimeError("no such luck")
        """,
        call="start(Other)",
    )
    result = run(script=script)
    assert "Other cannot be made" in result.stderr
    assert "no such luck" in result.stderr
    assert result.returncode == 1


@pytest.mark.parametrize(
    ("root", "message"),
    [
        (42, r"start\(\) takes a Node class; it was given 42"),
        (int, "takes a Node class; it was given <class 'int'>"),
    ],
)
def test_only_a_node_class_can_be_started(root, message):
    with pytest.raises(TypeError, match=message):
        start(root)


def test_an_instance_is_not_started_and_its_class_is_named():
    class Tree(Node):
        pass

    with pytest.raises(TypeError, match=r"as in start\(Tree\)"):
        start(Tree())


def test_extra_loggers_see_what_runs(write_script):
    script = write_script(
        """
        from deployer.host import LocalHost
        from deployer.loggers import TraceLogger
        class here(LocalHost):
            pass
        class Tree(Node):
            class Hosts:
                host = here
            def act(self):
                self.host.run("true")
        trace = TraceLogger()
        """,
        call="""
try:
    start(Tree, extra_loggers=[trace])
finally:
    print([entry.command for entry in trace.runs])
""",
    )
    result = run("run", "act", script=script)
    assert result.stdout == "['true']\n"
    assert result.stderr == "here | $ true\n"


def test_a_script_beside_the_library_is_not_taken_for_it(tmp_path):
    (tmp_path / "deployer").symlink_to(ROOT / "deployer")
    script = tmp_path / "deployer-tree.py"
    script.write_text(SCRIPT.read_text())
    result = run("run", "fault", script=script, PYTHONPATH=str(tmp_path))
    assert 'deployer-tree.py", line' in result.stderr
    assert "deployer/node" not in result.stderr


def test_help_begins_with_examples_and_uses_the_name(write_script):
    script = write_script("class Tree(Node):\n    pass\n", call="start(Tree, name='ship')")
    result = run("--help", script=script)
    assert result.returncode == 0
    assert result.stdout.index("examples:") < result.stdout.index("options:")
    assert "ship run ACTION" in result.stdout
    assert run("--version", script=script).stdout.startswith("ship (__main__.Tree), deployer ")


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [(["--help"], ""), (["run", "git.log"], ""), ([], "ls\nfind log\nhelp git\n")],
)
def test_what_needs_no_connection_loads_no_paramiko(arguments, stdin, write_script):
    script = write_script(
        """
        import atexit, sys
        from deployer.host import SSHHost
        from shell_tree import Tree
        class remote(SSHHost):
            address = "192.0.2.1"
        Tree.Hosts = type("Hosts", (), {"host": remote})
        atexit.register(lambda: print("paramiko" in sys.modules))
        """
    )
    result = run(*arguments, script=script, stdin=stdin, PYTHONPATH=f"{ROOT}:{ROOT / 'tests'}")
    assert result.returncode == 0
    assert result.stdout.endswith("False\n")


def test_completing_loads_no_paramiko():
    code = """
        import sys
        from shell_tree import Tree
        from deployer.node import Env
        from deployer.shell import DeploymentShell
        assert DeploymentShell(Env(Tree())).complete("web ", 4)
        sys.exit("paramiko" in sys.modules)
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        timeout=TIMEOUT,
        check=False,
    )
    assert result.returncode == 0
