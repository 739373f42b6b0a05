"""What scripts are asked on their command line: commands, options, exit statuses, and JSON."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.host import SSHHost
from deployer.run.command_table import COMMANDS
from script_server import serve_scripts
from terminals import ROOT, TIMEOUT, run_in_terminal
from waiting import until
from world import free_port

pytestmark = pytest.mark.machine

SCRIPT = """\
import json, os
from deployer.client import start
from deployer.groups import production
from deployer.host import LocalHost, SSHHost
from deployer.node import Node, ParallelNode, dont_isolate_yet, isolate_one_only, map_roles

class one(LocalHost):
    pass

class two(LocalHost):
    pass

class third(LocalHost):
    pass

class gone(SSHHost):
    address, port, timeout = "127.0.0.1", int(os.environ.get("FREE_PORT", 1)), 5

class far(SSHHost):
    locals().update(json.loads(os.environ.get("FAR", "{}")))

class Site(Node):
    "All of it."

    class web(ParallelNode.Array):
        class Hosts:
            host = one, two

        def name(self):
            "Say which host this is."
            self.host.run(f"echo on {self.host.slug}")
            return self.host.slug

        def sleep(self, command):
            self.host.run(command)

        def half(self):
            if self.host.slug == "two":
                self.host.run("echo half; exit 4")

        @dont_isolate_yet
        def both(self):
            print("before")
            return list(self.name())

        @isolate_one_only
        def any(self):
            return self.host.slug

    class roles(ParallelNode.Array):
        class Hosts:
            host = two
            backup = one, two

        def name(self):
            return self.host.slug

    class db(Node):
        class Hosts:
            host = one

        def dump(self, table="all"):
            print("printed")
            self.host.run("echo out; echo err >&2")
            return {"table": table}

        def touch(self, path):
            self.host.run(f"touch {path}")

        def fail(self):
            self.host.run("echo out; exit 3")

        def elsewhere(self, begin="true"):
            self.host.run(begin)
            self.parent.web.half()

    class both(Node):
        class Hosts:
            host = one
            other = two, one

        def act(self):
            print("mine")
            self.hosts.run("echo first")
            self.hosts.run('echo second; test "$NEVER"')

        def caught(self):
            try:
                self.hosts.run("false")
            except Exception:
                return "went on"

    class outer(Node):
        class Hosts:
            host = one

        class inner(Node):
            class Hosts:
                host = two

        def act(self):
            return "done"

    class plain(Node):
        def act(self):
            return 7

        def fault(self):
            return {}["key"]

        def ask(self):
            return self.console.input("Which branch")

        def leave(self):
            raise SystemExit(7)

        def on_empty(self):
            return self.parent.empty.act()

        def half(self):
            self.parent.web.half()

        def reach(self):
            self.parent.nowhere.act()

    class empty(ParallelNode.Array):
        class Hosts:
            host = ()

        def act(self):
            pass

    class system(Node):
        class Hosts:
            host = one, two
            front = third

        @map_roles("hosst")
        class misspelt(ParallelNode.Array):
            def act(self):
                pass

            @isolate_one_only
            def any(self):
                pass

        @map_roles("host", front="front")
        class web(ParallelNode.Array):
            def name(self):
                self.host.run("true")

            def all(self):
                self.hosts.run("test $HOSTNAME = nowhere")

            @isolate_one_only
            def all_of_one(self):
                self.hosts.run("test $HOSTNAME = nowhere")

        @map_roles("front")
        class front(Node):
            def setup(self, command="true"):
                self.host.run(command, ignore_exit_status=command == "false")

        @map_roles("host")
        class both(Node):
            def run(self, number, command):
                self.hosts[int(number)].run(command)

        def deploy(self, command="true"):
            self.web.name()
            self.front.setup(command)

        def again(self, command):
            self.web.name()
            self.both.run(1, command)

    class nowhere(Node):
        class Hosts:
            host = gone

        def act(self):
            self.host.run("true")

    class partly(ParallelNode.Array):
        class Hosts:
            host = one, gone

        def act(self):
            self.host.run("true")

    class away(Node):
        class Hosts:
            host = far

        def who(self):
            return str(self.host.sudo("whoami")).strip()

    @production
    class live(Node):
        class Hosts:
            host = one

        def act(self):
            return "done"

if __name__ == "__main__":
    start(Site, name="deploy")
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


MOTD = """\
from deployer.client import start
from deployer.contrib.nodes import Config
from deployer.host import LocalHost
from deployer.node import Node

class one(LocalHost):
    pass

class Site(Node):
    class Hosts:
        host = one

    class motd(Config):
        remote_path = __file__.replace("deploy.py", "motd")
        content = "hello"

    def go(self):
        self.host.run("set -e\\ntest -d /")
        self.motd.setup()

start(Site)
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of the script."""
    path = tmp_path_factory.mktemp("script") / "deploy.py"
    path.write_text(SCRIPT)
    return path


@pytest.fixture(scope="module")
def run(script: Path) -> Iterator[Run]:
    """Return a function that runs the script with words."""
    with serve_scripts(ROOT, TIMEOUT) as server:

        def run(*words: str, **how: str) -> subprocess.CompletedProcess[str]:
            return server.run(script, *words, FREE_PORT=str(free_port()), **how)

        yield run


def read_json(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the only object on stdout."""
    (line,) = result.stdout.splitlines()
    told = json.loads(line)
    assert isinstance(told, dict)
    return told


# Help.


def test_every_level_has_help_that_begins_with_examples(run: Run) -> None:
    for words in [[], *([name] for name in COMMANDS)]:
        result = run(*words, "--help")
        assert (result.returncode, result.stderr) == (0, ""), words
        usage, _, rest = result.stdout.partition("\n\n")
        assert usage.startswith("usage: deploy"), words
        assert rest.startswith("examples:\n  deploy"), words
        assert "--hosts NAMES" in rest


def test_the_help_of_what_runs_something_ends_with_the_exit_statuses(run: Run) -> None:
    for words in ([], ["run"], ["exec"]):
        result = run(*words, "-h")
        assert result.stdout.rstrip().endswith("143 ended by SIGTERM")


def test_all_commands_and_actions_are_listed(run: Run) -> None:
    result = run("--list")
    assert (result.returncode, result.stderr) == (0, "")
    lines = [re.sub(" {2,}", "  ", line) for line in result.stdout.splitlines()]
    assert lines[0] == "commands:"
    assert [line.split()[0] for line in lines[1 : lines.index("actions:")]] == [*COMMANDS]
    assert "  web.name  Say which host this is." in lines
    assert "  plain.act" in lines
    told = read_json(run("--list", "--json"))
    assert told["actions"]["web.name"] == "Say which host this is."


# Wrong use.


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rnu", "x"], "invalid choice: 'rnu' is no command. Did you mean 'run'?"),
        (["db"], "invalid choice: 'db' is no command; did you mean: deploy run db"),
        (["db.dump", "a b"], "did you mean: deploy run db.dump 'a b'"),
        (["destroy"], "'destroy' is no command. There are run, ls, "),
        (["--hsts", "one", "run"], "there is no option '--hsts'. Did you mean '--hosts'"),
        (["run", "--check", "db.dump"], "run: there is no option '--check'; --sandbox checks"),
        (["--dry-run", "run", "db.dump"], "there is no option '--dry-run'; --sandbox checks"),
        (["run", "--diff", "db.dump"], "'--diff'; the action diff of a Config shows"),
        (["run", "--limit", "one", "web.name"], "'--limit'; --hosts NAMES chooses hosts"),
        (["--limit=one", "run", "web.name"], "'--limit'; --hosts NAMES chooses hosts"),
        (["-H", "one", "run", "web.name"], "'-H'; --hosts NAMES chooses hosts"),
        (["exec", "web", "--become", "--", "id"], "'--become'; what an action runs as root"),
        (["run", "-K", "db.dump"], "'-K'; a password is asked for when it is needed"),
        (["run", "--pth", "db"], "run: there is no option '--pth'. Did you mean '--path'"),
        (["run", "--out", "x", "db"], "run: there is no option '--out'. Did you mean"),
        (["run", "--output", "gathr", "x"], "'gathr' is none of live, stream, "),
        (["run", "--output", "gathr", "x"], "Did you mean 'gather'"),
        (["--color", "sometimes"], "'sometimes' is none of auto, always, never"),
        (["run", "--retries", "-1", "x"], "--retries: '-1' is no whole number from 0 on"),
        (["--parallel", "x", "ls"], "--parallel: 'x' is no whole number from 1 on"),
        (["--"], "invalid choice: '--' is no command"),
        (["--", "ls"], "invalid choice: '--' is no command"),
        ([""], "invalid choice: '' is no command. There are run, "),
        (["help"], "did you mean: deploy --help"),
        (["help", "run"], "did you mean: deploy run --help"),
        (["version"], "did you mean: deploy --version"),
        (["run", "--path"], "run: argument --path: expected one argument"),
        (["run", "--path", "dbb", "dump"], "no node or action 'dbb'. Did you mean 'db'"),
        (["run", "--path", "'", "dump"], "deploy: "),
        (["run", "--hosts", "onne", "web.name"], "goes by 'onne'; did you mean 'one'"),
        (["exec", "--hosts", "onne", "web", "true"], "goes by 'onne'; did you mean 'one'"),
        (["run", "-q", "-v", "db.dump"], "-q and -v"),
        (["exec"], "exec takes the path of a node, and a command: exec [--sudo]"),
        (["exec", "web"], "exec takes the path of a node, and a command"),
        (["exec", "web", "--"], "exec takes the path of a node, and a command"),
        # As of a variable that is not set.
        (["exec", "", "rm -r x"], "exec: the path is empty; that of the root is `.`"),
        (["exec", "web", ""], "exec: the command is empty"),
        (["exec", "web", "--", " "], "exec: the command is empty"),
        (["exec", "--processes", "2", "web", "true"], "exec runs in this process"),
        (["exec", "wbe", "true"], "no node or action 'wbe'. Did you mean 'web'"),
        (["exec", "two", "true"], "two is a host: web:two, or --hosts two."),
        (["ssh", "gone"], "gone is a host: "),
        (["run", "--path", "web.two", "name"], "two is a host: web:two, or --hosts two."),
        (["exec", "plain", "true"], "Site.plain has no hosts: nest a class Hosts"),
        (["ssh", "plain"], "Site.plain has no hosts: nest a class Hosts"),
        (["scp"], "Site has no hosts of its own; web, roles, db, … have some"),
        (["run", "db.dump", "--sandbox"], "--sandbox stands before the action: run --sandbox db.d"),
        (
            ["run", "db.dump", "-n"],
            "As an argument, write NAME=-n, or -- before the action: run --",
        ),
        (["run", "db", "dump", "x", "--hosts", "one"], "action: run --hosts one db dump x."),
        (["run", "-q", "db.dump", "--hosts=one", "-y"], "action: run -q --hosts=one -y db.dump."),
        (["run", "db.dump", "--help"], "--help explains run; inspect ACTION explains an action"),
        (["ssh", "web", "db"], "ssh takes one PATH, and was given 2: web db"),
        (["completion", "tcsh"], "bash, zsh or fish"),
        (["telnet-server", "--port", "23"], "ssh to a machine whose sshd runs this script"),
    ],
)
def test_wrong_use_is_told_in_one_line(run: Run, words: list[str], message: str) -> None:
    result = run(*words)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("deploy: ")
    assert message in result.stderr
    assert result.stderr.count("\n") <= (1 if "no hosts:" not in result.stderr else 3)


def test_a_host_where_an_action_is_meant_is_called_a_host(run: Run) -> None:
    result = run("run", "web.two.name")
    assert result.returncode == 2
    assert "Site.web has no node or action 'two'." in result.stderr
    assert result.stderr.endswith(" two is a host: web:two, or --hosts two.\n")


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["--hosts", "two", "run", "db.dump"], 2),
        (["--hosts", "two", "run", "web:one.name"], 2),
        (["--hosts", "two", "exec", "outer", "true"], 2),
        (["--hosts", "two", "run", "both.act"], 0),
        # It has no hosts of its own, and what it runs may have.
        (["--hosts", "two", "run", "plain.act"], 0),
        # So it is here with the hosts of a node below.
        (["--hosts", "two", "run", "outer.act"], 0),
    ],
)
def test_where_no_chosen_host_is_left_nothing_is_run(
    run: Run, words: list[str], status: int
) -> None:
    result = run(*words, NEVER="x")
    assert result.returncode == status
    assert (" is among --hosts two\n" in result.stderr) == (status == 2)


# Where options stand.


@pytest.mark.parametrize(
    "words",
    [
        ["--hosts", "two", "run", "web.name"],
        ["run", "--hosts=two", "web", "name"],
        ["-q", "run", "--hosts", "two", "web.name"],
        ["--output", "gather", "run", "--hosts", "two", "-qn", "web.name"],
    ],
)
def test_global_options_stand_before_or_after_the_command(run: Run, words: list[str]) -> None:
    result = run(*words)
    assert "two" in result.stdout and "one" not in result.stdout
    assert result.returncode == 0


@pytest.mark.parametrize(
    ("words", "table"),
    [
        (["db.dump", "table=--json"], "--json"),
        (["--", "db.dump", "--json"], "--json"),
        (["db.dump", "--sandbox=x"], "--sandbox=x"),
        (["db.dump", "-x"], "-x"),
    ],
)
def test_what_follows_an_action_is_for_the_action(run: Run, words: list[str], table: str) -> None:
    result = run("run", "-q", *words)
    assert result.stdout.endswith(f"{{'table': '{table}'}}\n")


def test_how_it_is_run_again_is_no_wrong_use(run: Run) -> None:
    result = run("run", "--", "web.sleep", "--sandbox")
    assert result.returncode == 1
    words = shlex.split(result.stderr.partition("run again: ")[2].splitlines()[0])
    assert words[words.index("--") :] == ["--", "web.sleep", "--sandbox"]
    assert run(*words[1:]).returncode == 1


@pytest.mark.parametrize(
    ("words", "proposed"),
    [
        (["web.half"], "--hosts two web.half"),
        (["system.web.all"], "--hosts one,two system.web.all"),
        # On some of its hosts only, it would do something else.
        (["plain.half"], None),
        (["both.act"], None),
        # These ran within a single cell.
        (["--hosts", "two", "system.web.all"], None),
        (["--hosts", "two,third", "system.web.all_of_one"], None),
        (["system.web:two.all"], None),
    ],
)
@pytest.mark.parametrize("reads_lines", [False, True])
def test_some_hosts_are_proposed_only_for_what_runs_in_their_cells(
    run: Run, words: list[str], proposed: str | None, reads_lines: bool
) -> None:
    *options, action = words
    result = run(*options, stdin=f"{action}\n") if reads_lines else run("run", *words)
    assert result.returncode == 1
    assert "Failed on" in result.stderr
    again = [line for line in result.stderr.splitlines() if line.startswith("run again: ")]
    expected = [f"run again: deploy run {proposed}"] if proposed else []
    assert [line.replace("'one,two'", "one,two") for line in again] == expected


# Commands on all hosts.


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["exec", "web", "--", "echo", "a", "b"], ["one | a b", "two | a b"]),
        (["exec", "web", "echo", "-n", "a"], ["one | a", "two | a"]),
        (["exec", "web", "-q", "--", "echo", "-h"], ["one | -h", "two | -h"]),
        (["exec", "-q", "both", "echo '$x'"], ["one | $x", "two | $x"]),
        (["exec", "roles", "--", "echo x"], ["one | x", "two | x"]),
        (["exec", "web:two", "--", "echo x"], ["x"]),
        (["exec", "--hosts", "two", "web", "--", "echo x"], ["x"]),
        (["exec", "--parallel", "1", "web", "grep -c -- -- /dev/null || true"], ["one | 0"]),
    ],
)
def test_a_command_runs_once_on_every_host(run: Run, words: list[str], lines: list[str]) -> None:
    result = run(*words)
    assert result.returncode == 0
    shown = [line for line in result.stdout.splitlines() if line]
    assert sorted(shown)[: len(lines)] == lines
    assert len(shown) in (len(lines), 2)


@pytest.mark.parametrize("path", [".", "/"])
def test_the_root_has_a_path_too(run: Run, path: str) -> None:
    result = run("exec", path, "true")
    assert result.returncode == 2
    assert "Site has no hosts of its own; web, roles, db, … have some" in result.stderr


def test_a_command_that_fails_on_some_hosts_says_how_it_is_run_again(run: Run) -> None:
    words = ["--output", "gather", "exec", "--hosts", "one,two", "web", "--"]
    result = run(*words, 'echo "[$0]"; exit 3')
    assert result.returncode == 1
    again = "run again: deploy exec --output gather --hosts one,two web -- 'echo \"[$0]\"; exit 3'"
    assert again in [line.replace("'one,two'", "one,two") for line in result.stderr.splitlines()]
    assert "Failed on 2 of 2 hosts" in result.stderr


def test_a_command_in_a_sandbox_is_not_run(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "made"
    assert run("exec", "-n", "web", f"touch {target}").returncode == 0
    assert run("run", "--sandbox", "db.touch", str(target)).returncode == 0
    assert not target.exists()
    assert run("run", "db.touch", str(target)).returncode == 0
    assert target.exists()


def test_a_command_runs_as_root(
    run: Run, script: Path, new_ssh_host: Callable[..., type[SSHHost]]
) -> None:
    host = new_ssh_host()
    names = ("address", "port", "username", "password", "key_filename", "config_filename")
    given = json.dumps({name: getattr(host, name) for name in names}, default=str)
    assert run("exec", "away", "whoami", FAR=given).stdout == "deploy\n"
    assert run("exec", "--sudo", "away", "whoami", FAR=given).stdout == "root\n"
    told = read_json(run("--json", "exec", "away", "--sudo", "--", "whoami", FAR=given))
    assert [host["stdout"] for host in told["hosts"]] == ["root\n"]
    told = read_json(run("--json", "run", "away.who", FAR=given))
    assert (told["result"], told["hosts"][0]["host"]) == ("root", "far")


def test_a_command_on_one_host_has_the_terminal(script: Path) -> None:
    with run_in_terminal(script, "exec", "db", "read x; test -t 0 && echo got $x") as screen:
        screen.type("it\n")
        screen.wait_for("got it")
        assert screen.wait_for_end() == 0


# A shell on a host.


@pytest.mark.parametrize("path", ["db", "web", "both"])
def test_a_shell_on_a_host_needs_a_terminal(run: Run, path: str) -> None:
    result = run("ssh", path)
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr.startswith("deploy: ")
    assert "Traceback" not in result.stderr


def test_of_several_hosts_one_is_chosen_for_a_shell(script: Path, tmp_path: Path) -> None:
    with run_in_terminal(
        script, "ssh", "web", SHELL="/bin/sh", HOME=str(tmp_path), PS1="$ "
    ) as screen:
        screen.wait_for(lambda lines: lines[-1].startswith("Select a host of Site.web:"))
        screen.type("2\n")
        screen.wait_for(lambda lines: "$" in lines[-1] or "#" in lines[-1])
        screen.type("echo $((40 + 2)); exit\n")
        screen.wait_for("42")
        assert screen.wait_for_end() == 0


# Exit statuses.


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["run", "plain.act"], 0),
        (["run", "plain.fault"], 1),
        (["run", "plain.leave"], 1),
        (["run", "db.fail"], 1),
        (["run", "web.half"], 1),
        (["run", "partly.act"], 1),
        (["exec", "web", "false"], 1),
        (["exec", "db", "exit 3"], 1),
        (["run", "nothing"], 2),
        (["run", "plain"], 2),
        (["run", "empty.act"], 2),
        (["run", "db.dump", "a", "b"], 2),
        (["run", "plain.ask"], 3),
        (["run", "web.any"], 3),
        (["run", "live.act"], 3),
        (["exec", "live", "true"], 3),
        (["run", "nowhere.act"], 4),
        (["exec", "nowhere", "true"], 4),
        (["scp", "nowhere"], 4),
        (["run", "-y", "live.act"], 0),
        (["-y", "exec", "live", "true"], 0),
    ],
)
def test_the_exit_status_says_how_it_ended(run: Run, words: list[str], status: int) -> None:
    result = run(*words)
    assert result.returncode == status, result.stderr
    assert bool(result.stderr) or status == 0
    # The same as the status of a script with that line, which is its last one.
    if words[0] == "run":
        line = " ".join(words[1:])
        if line.startswith("-y "):
            return
        lines = run(stdin=f"pwd\n{line}\nplain.act\n")
        # Only a node that is named does nothing, and does it well.
        assert lines.returncode == (0 if line == "plain" else status)
        assert ("7" in lines.stdout.splitlines()) == (lines.returncode == 0)


def test_declining_is_a_status_of_its_own(script: Path) -> None:
    for words in (["run", "live.act"], ["exec", "live", "echo done"]):
        with run_in_terminal(script, *words) as screen:
            screen.wait_for(lambda lines: lines[-1].startswith("Type live"))
            screen.type("no\n")
            assert screen.wait_for_end() == 3
            assert "done" not in screen.lines


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize("words", [["exec", "web"], ["run", "web.sleep"]], ids=" ".join)
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
def test_who_stops_it_stops_what_runs_on_hosts(
    script: Path, tmp_path: Path, words: list[str], options: list[str], number: int, status: int
) -> None:
    command = f"touch {tmp_path}/begun-$$; exec sleep 77777"
    process = subprocess.Popen(
        [sys.executable, str(script), *options, *words, command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    until(lambda: len(list(tmp_path.glob("begun-*"))) == 2)
    process.send_signal(number)
    out, err = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, "Interrupted" in err) == (status, True)
    if options:
        told = json.loads(out)
        assert [host["status"] for host in told["hosts"]] == ["stopped", "stopped"]
        assert told["status"] == "stopped"
    for begun in tmp_path.glob("begun-*"):
        until(lambda name=begun.name: not Path("/proc", name.removeprefix("begun-")).exists())


@pytest.mark.parametrize(
    "words", [["--help"], ["run", "--help"], ["--list"], ["tree"], ["exec", "db", "echo x"]]
)
def test_a_pipe_that_nobody_reads_ends_it_quietly(script: Path, words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run(
        [sys.executable, str(script), "-q", *words],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    os.close(writer)
    assert (process.returncode, process.stderr) == (141, "")


@pytest.mark.parametrize("words", ["--help", "--list", "--version"])
def test_it_may_have_no_stdout_at_all(script: Path, words: str) -> None:
    process = subprocess.run(
        ["sh", "-c", f"{sys.executable} {script} {words} >&-"],
        stderr=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert (process.returncode, process.stderr) == (0, "")


# Streams.


def test_results_and_what_hosts_print_are_all_there_is_on_stdout(run: Run) -> None:
    result = run("run", "db.dump")
    assert result.stdout == "printed\nout\n{'table': 'all'}\n"
    assert result.stderr == "one | $ echo out; echo err >&2\nerr\n"


def test_quietly_there_are_no_log_lines(run: Run) -> None:
    assert run("run", "-q", "db.dump").stderr == "err\n"
    assert "Command failed" in run("-q", "run", "db.fail").stderr


def test_a_quiet_sandbox_says_what_would_be_changed_and_no_more(tmp_path: Path) -> None:
    script = tmp_path / "deploy.py"
    script.write_text(MOTD)
    with serve_scripts(ROOT, TIMEOUT) as server:
        assert server.run(script, "-q", "-n", "run", "go").stderr == (
            f"one | wrote {tmp_path}/motd  (sandbox)\n"
        )
        assert server.run(script, "-q", "run", "go").stderr == ""


def test_a_log_file_has_all_lines_of_a_command(tmp_path: Path) -> None:
    script = tmp_path / "deploy.py"
    script.write_text(MOTD)
    with serve_scripts(ROOT, TIMEOUT) as server:
        result = server.run(script, "run", "--log", str(tmp_path / "log"), "go")
    assert "one | $ set -e … (1 more line)\n" in result.stderr
    assert " test -d /\n" in (tmp_path / "log").read_text()


def test_verbosely_actions_are_named(run: Run) -> None:
    assert run("run", "-v", "db.dump").stderr.splitlines()[0] == "Site.db.dump"


def test_a_log_file_is_appended_to_and_private(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    for _ in range(2):
        assert run("run", "-q", "--log", str(log), "web.half").returncode == 1
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    lines = log.read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \S", line) for line in lines)
    ends = [line for line in lines if "two | $ echo half; exit 4: exit status 4" in line]
    assert len(ends) == 2
    assert sum(line.endswith("Site.web[1].half begins") for line in lines) == 2


def test_a_log_file_on_a_full_disk_is_told_once(run: Run) -> None:
    result = run("run", "-q", "--log", "/dev/full", "db.dump")
    assert result.returncode == 0
    assert result.stderr.count("No space left on device") == 1
    assert "Traceback" not in result.stderr


def test_a_log_file_that_cannot_be_written_is_told_before_anything_runs(
    run: Run, tmp_path: Path
) -> None:
    target = tmp_path / "made"
    result = run("run", "--log", str(tmp_path / "no" / "log"), "db.touch", str(target))
    assert result.returncode == 2
    assert "cannot be written: No such file or directory" in result.stderr
    assert not target.exists()


def test_a_command_is_logged_to_a_file_as_well(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    assert run("exec", "-q", "--log", str(log), "web", "true").returncode == 0
    ends = [line for line in log.read_text().splitlines() if "exit status 0" in line]
    assert sorted(line.split()[2] for line in ends) == ["one", "two"]


def test_what_is_logged_is_the_same_with_more_processes(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    processes = ["--processes", "2", "--log", str(log), "web.name"]
    assert run("run", "-q", *processes).stderr == ""
    text = re.sub(r" \(\d+\.\ds\)", "", log.read_text())
    lines = [line.split(maxsplit=2)[2] for line in text.splitlines()]
    assert [line for line in lines if "[1]" in line or "two" in line] == [
        "Site.web[1].name begins",
        "two | $ echo on two",
        "two | $ echo on two: exit status 0",
        "Site.web[1].name done",
    ]
    # Each of them has a host.
    lines = run("run", *processes).stderr.splitlines()
    assert sorted(lines) == ["one | $ echo on one", "two | $ echo on two"]
    verbose = run("run", "-v", *processes).stderr.splitlines()
    of_two = [line for line in verbose if line.startswith("two")]
    assert of_two == ["two | Site.web[1].name", "two |   $ echo on two"]


@pytest.mark.parametrize("output", ["gather", "diff", "quiet", "stream"])
def test_how_a_single_host_failed_is_told_once(run: Run, output: str) -> None:
    for words in (["run", "db.fail"], ["exec", "db", "exit 3"], ["run", "web:two.half"]):
        result = run("--output", output, *words)
        assert (result.returncode, result.stderr.count("Command failed")) == (1, 1), words


def test_the_path_of_a_script_is_told_without_dots(script: Path) -> None:
    process = subprocess.run(
        [sys.executable, "./deploy.py", "run", "db.fail"],
        cwd=script.parent,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert re.search(rf"  at {re.escape(str(script))}:\d+ in fail", process.stderr)


def test_one_host_at_a_time_is_shown_as_it_is_wanted(run: Run) -> None:
    result = run("run", "-qs", "--output", "gather", "web.sleep", "echo x")
    assert result.stdout == "one,two (2):\n  x\n"


def test_one_host_at_a_time_is_one_at_a_time_for_a_program_too(run: Run) -> None:
    assert run("run", "-qs", "web.name").stdout == "on one\non two\none: one\ntwo: two\n"
    told = read_json(run("run", "-s", "--json", "web.name"))
    assert [host["stdout"] for host in told["hosts"]] == ["on one\n", "on two\n"]


# JSON.


def names(told: dict[str, Any]) -> list[str]:
    return [host["host"] for host in told["hosts"]]


def test_json_of_an_array(run: Run) -> None:
    told = read_json(run("run", "--json", "web.name"))
    assert (told["path"], told["action"], told["status"]) == ("Site.web", "name", "ok")
    assert told["result"] == {"one": "one", "two": "two"}
    assert names(told) == ["one", "two"]
    assert isinstance(told["duration"], float)
    assert set(told["hosts"][0]) >= {
        *("host", "status", "exit_code", "stdout", "stderr", "duration", "result", "error")
    }
    assert [host["result"] for host in told["hosts"]] == ["one", "two"]
    assert told == {**told, "stdout": "", "stderr": "", "error": None}


def test_json_of_one_host(run: Run) -> None:
    result = run("run", "--json", "db.dump", "x")
    told = read_json(result)
    assert (told["result"], told["status"], names(told)) == ({"table": "x"}, "ok", ["one"])
    (host,) = told["hosts"]
    assert (told["stdout"], told["stderr"]) == ("", "")
    assert (host["stdout"], host["stderr"], host["exit_code"]) == ("printed\nout\n", "err\n", 0)
    assert result.stderr == ""


def test_json_of_a_cell(run: Run) -> None:
    for node in ("web[1]", "roles[0]"):
        told = read_json(run("run", "--json", node, "name"))
        assert (told["path"], told["result"], names(told)) == (f"Site.{node}", "two", ["two"])


def test_json_of_one_of_several_hosts(run: Run) -> None:
    told = read_json(run("run", "--json", "--hosts", "two", "web.name"))
    assert (told["result"], names(told)) == ({"two": "two"}, ["two"])
    told = read_json(run("run", "--json", "--hosts", "two", "both.act"))
    assert names(told) == ["two"]


def test_json_of_several_hosts_that_one_action_runs_on_twice(run: Run) -> None:
    result = run("run", "--json", "both.act", NEVER="")
    told = read_json(result)
    assert (told["status"], told["stdout"], names(told)) == ("failed", "mine\n", ["one", "two"])
    assert [host["stdout"] for host in told["hosts"]] == ["first\nsecond\n"] * 2
    assert [host["exit_code"] for host in told["hosts"]] == [1, 1]
    assert "failed on 2 of 2 hosts" in told["error"]
    assert result.returncode == 1
    assert "Failed on 2 of 2 hosts" in result.stderr


def test_json_of_failures_that_an_action_has_caught(run: Run) -> None:
    told = read_json(run("run", "--json", "both.caught"))
    assert (told["status"], told["result"]) == ("ok", "went on")
    assert [host["status"] for host in told["hosts"]] == ["failed", "failed"]


def test_json_of_an_action_that_runs_another_on_all_cells(run: Run) -> None:
    told = read_json(run("run", "--json", "web.both"))
    assert (told["result"], told["stdout"]) == (["one", "two"], "before\n")
    assert [host["stdout"] for host in told["hosts"]] == ["on one\n", "on two\n"]


def test_json_of_one_host_whose_action_runs_another_one_on_others(run: Run) -> None:
    told = read_json(run("run", "--json", "db.elsewhere"))
    assert (told["status"], names(told)) == ("failed", ["one", "two"])
    assert [host["status"] for host in told["hosts"]] == ["ok", "failed"]
    assert [host["exit_code"] for host in told["hosts"]] == [0, 4]
    told = read_json(run("run", "--json", "db.elsewhere", "echo x; exit 5"))
    assert (told["status"], names(told)) == ("failed", ["one"])
    assert (told["hosts"][0]["exit_code"], told["hosts"][0]["stdout"]) == (5, "x\n")


def test_json_of_an_action_has_the_hosts_that_it_runs_on_one_by_one(run: Run) -> None:
    told = read_json(run("run", "--json", "system.deploy"))
    assert (told["status"], names(told)) == ("ok", ["one", "two", "third"])
    assert [host["exit_code"] for host in told["hosts"]] == [0, 0, 0]
    # Its status was of no interest.
    told = read_json(run("run", "--json", "system.deploy", "false"))
    assert [host["status"] for host in told["hosts"]] == ["ok", "ok", "ok"]
    told = read_json(run("run", "--json", "system.deploy", "echo out; exit 3"))
    assert (told["status"], told["stdout"]) == ("failed", "out\n")
    assert [host["status"] for host in told["hosts"]] == ["ok", "ok", "failed"]
    third = told["hosts"][2]
    assert (third["exit_code"], third["error_type"]) == (3, "ExecCommandFailed")
    assert third["duration"] > 0
    result = run("run", "--output", "jsonl", "system.deploy", "exit 3")
    assert json.loads(result.stdout.splitlines()[-1])["hosts"] == {"ok": 2, "failed": 1}


def test_json_of_a_host_that_fails_by_itself_after_it_went_well_among_others(run: Run) -> None:
    told = read_json(run("run", "--json", "system.again", "exit 5"))
    assert (told["status"], names(told)) == ("failed", ["one", "two"])
    assert [host["status"] for host in told["hosts"]] == ["ok", "failed"]
    assert [host["exit_code"] for host in told["hosts"]] == [0, 5]
    told = read_json(run("run", "--json", "system.again", "true"))
    assert [host["status"] for host in told["hosts"]] == ["ok", "ok"]


def test_json_of_a_host_that_cannot_be_reached_from_within_an_action(run: Run) -> None:
    result = run("run", "--json", "plain.reach")
    told = read_json(result)
    assert (told["status"], names(told), result.returncode) == ("unreachable", ["gone"], 4)
    assert told["hosts"][0]["status"] == "unreachable"
    assert told["hosts"][0]["error"] == told["error"]


@pytest.mark.parametrize(
    ("words", "status", "expected"),
    [
        (["plain.act"], 0, {"status": "ok", "result": 7, "hosts": []}),
        (["plain.on_empty"], 0, {"status": "ok", "result": {}, "hosts": []}),
        (["plain.fault"], 1, {"status": "failed", "error": "'key'", "hosts": []}),
        (["plain.leave"], 1, {"status": "stopped", "result": None, "hosts": []}),
        (["plain.ask"], 3, {"status": "failed", "result": None, "hosts": []}),
        (["web.any"], 3, {"status": "failed", "result": None, "hosts": []}),
        (["nowhere.act"], 4, {"status": "unreachable", "path": "Site.nowhere", "action": "act"}),
        (["partly.act"], 1, {"status": "failed", "result": None}),
        (["db.fail"], 1, {"status": "failed", "result": None}),
    ],
)
def test_json_is_one_object_however_it_ends(
    run: Run, words: list[str], status: int, expected: dict[str, Any]
) -> None:
    result = run("run", "--json", *words)
    told = read_json(result)
    assert {key: told[key] for key in expected} == expected
    assert result.returncode == status
    assert "Traceback" not in result.stderr or "KeyError" in result.stderr


@pytest.mark.parametrize(
    ("words", "status", "error"),
    [
        (["rnu", "--json"], 2, "'rnu' is no command"),
        (["run", "--json", "--output", "live", "db.dump"], 2, "--json and --output live"),
        (["run", "--output", "json", "--pth"], 2, "no option '--pth'"),
        (["run", "--json", "nothing"], 2, "no node or action 'nothing'"),
        (["run", "--json", "--path", "x", "act"], 2, "no node or action 'x'"),
        (["run", "--json", "--hosts", "x", "web.name"], 2, "goes by 'x'"),
        (["run", "--json", "plain"], 2, "Site.plain is a node"),
        (["run", "--json", "empty.act"], 2, "Site.empty.act: nothing was run, because Site.empty"),
        (["run", "--json", "system.misspelt.act"], 2, "found none in Site.system, whose"),
        (["run", "--json", "system.misspelt.any"], 2, "any: nothing was run, because"),
        (["run", "--json", "db.dump", "a", "b"], 2, "too many positional arguments"),
        (["run", "--json", "live.act"], 3, "Site.live is in production"),
        (["exec", "--json", "plain", "true"], 2, "Site.plain has no hosts"),
        (["exec", "--json", "live", "true"], 3, "Site.live is in production"),
        (["ssh", "--json", "db"], 3, "needs a terminal"),
        (["run", "--json", "--outdir", "/proc/none", "db.dump"], 1, "cannot be kept in /proc/none"),
        (["exec", "--json", "--outdir", "/proc/none", "db", "true"], 1, "cannot be kept in /pr"),
        (["run", "--json", "--executor", "nothing", "db.dump"], 2, "no executor 'nothing'"),
    ],
)
def test_where_nothing_was_run_json_says_why(
    run: Run, words: list[str], status: int, error: str
) -> None:
    result = run(*words)
    told = read_json(result)
    assert (set(told), told["status"]) == ({"status", "error"}, "failed")
    assert error in told["error"]
    assert error in result.stderr
    assert result.returncode == status


@pytest.mark.parametrize(("path", "hosts"), [("web", ["one", "two"]), ("db", ["one"])])
def test_json_of_a_command(run: Run, path: str, hosts: list[str]) -> None:
    told = read_json(run("exec", "--json", path, "--", "echo out; echo err >&2"))
    assert (told["path"], told["action"], told["status"]) == (f"Site.{path}", "exec", "ok")
    assert names(told) == hosts
    assert {(host["stdout"], host["stderr"], host["exit_code"]) for host in told["hosts"]} == {
        ("out\n", "err\n", 0)
    }
    result = run("exec", "--json", path, "exit 3")
    told = read_json(result)
    assert (told["status"], result.returncode) == ("failed", 1)
    assert [host["exit_code"] for host in told["hosts"]] == [3] * len(hosts)
    assert "with exit status 3" in told["error"]
    assert told.keys() == read_json(run("run", "--json", "plain.act")).keys()
    told = read_json(run("exec", "--json", "nowhere", "true"))
    assert (told["status"], told["hosts"][0]["status"]) == ("unreachable", "unreachable")


def test_json_and_the_files_of_hosts(run: Run, tmp_path: Path) -> None:
    for words in (["run", "web.both"], ["run", "db.dump"], ["exec", "web", "echo x"]):
        folder = tmp_path / "-".join(words)
        read_json(run("--json", "--outdir", str(folder), *words))
        hosts = ["one", "two"] if "db.dump" not in words else ["one"]
        assert sorted(path.stem for path in folder.iterdir()) == hosts
        assert all(path.read_text() for path in folder.iterdir())


def test_json_of_what_other_processes_run(run: Run) -> None:
    told = read_json(run("run", "--json", "--processes", "2", "web.name"))
    assert [host["stdout"] for host in told["hosts"]] == ["on one\n", "on two\n"]
    assert told["result"] == {"one": "one", "two": "two"}


def read_events(result: subprocess.CompletedProcess[str]) -> list[tuple[str, ...]]:
    """Return what each line on stdout tells, but the last, which is the summary."""
    *events, summary = map(json.loads, result.stdout.splitlines())
    assert summary["event"] == "summary"
    return [
        (event["event"], event["host"], event.get("line") or event.get("status", ""))
        for event in events
    ]


def test_events_of_an_action_without_hosts_are_json_too(run: Run) -> None:
    result = run("-q", "--output", "jsonl", "run", "plain.act")
    told = read_json(result)
    assert (told["event"], told["path"], told["action"]) == ("summary", "Site.plain", "act")
    assert (told["status"], told["result"], told["error"], told["hosts"]) == ("ok", 7, None, {})


def test_events_of_one_host_are_of_that(run: Run) -> None:
    result = run("-q", "--output", "jsonl", "run", "db.dump")
    begin, printed, *lines, end = read_events(result)
    assert (begin, end) == (("start", "one", ""), ("end", "one", "ok"))
    assert printed == ("output", "one", "printed")
    # Which of the two streams is read first is not known.
    assert sorted(lines) == [("output", "one", "err"), ("output", "one", "out")]


def test_what_an_action_of_several_hosts_prints_is_an_event(run: Run) -> None:
    result = run("-q", "--output", "jsonl", "run", "--parallel", "1", "both.act", NEVER="x")
    assert read_events(result)[:4] == [
        ("output", "", "mine"),
        ("start", "one", ""),
        ("output", "one", "first"),
        ("end", "one", "ok"),
    ]
    # Each once, however often something runs on it.
    assert json.loads(result.stdout.splitlines()[-1])["hosts"] == {"ok": 2}


def test_a_host_that_was_not_begun_is_no_failure(run: Run) -> None:
    words = ["-q", "--parallel", "1", "--fail-fast", "exec", "web", "false"]
    hosts = read_json(run("--json", *words))["hosts"]
    assert [host["status"] for host in hosts] == ["failed", "not begun"]
    summary = json.loads(run("--output", "jsonl", *words).stdout.splitlines()[-1])
    assert summary["hosts"] == {"failed": 1, "not begun": 1}


def test_events_of_what_an_action_runs_elsewhere_name_its_hosts(run: Run) -> None:
    result = run("-q", "--output", "jsonl", "run", "--parallel", "1", "db.elsewhere")
    events = read_events(result)
    assert ("end", "two", "failed") in events
    assert ("output", "two", "half") in events
    summary = json.loads(result.stdout.splitlines()[-1])
    assert (summary["action"], summary["status"]) == ("elsewhere", "failed")
    assert result.returncode == 1


# How it is run again.

FAILING = """\
#!/usr/bin/env python
from deployer.client import start
from deployer.host import LocalHost
from deployer.node import ParallelNode

class Site(ParallelNode):
    class Hosts:
        host = type("one", (LocalHost,), {}), type("two", (LocalHost,), {})

    def fail(self):
        self.host.run("exit 3")

if __name__ == "__main__":
    start(Site)
"""


@pytest.mark.parametrize(
    ("typed", "again"),
    [
        ("python site.py", "python site.py"),
        ("python -W default 'odd dir/site.py'", "python -W default 'odd dir/site.py'"),
        ("python -m package.site", "python -m package.site"),
        ("./executable.py", "./executable.py"),
        ("python ./executable.py", "./executable.py"),
        ("python -u ./executable.py", "python -u ./executable.py"),
        ("in_path.py", "in_path.py"),
    ],
)
def test_the_line_to_run_again_starts_the_program_as_it_was_started(
    typed: str, again: str, tmp_path: Path
) -> None:
    for name in (
        "site.py",
        "odd dir/site.py",
        "package/site.py",
        "executable.py",
        "bin/in_path.py",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(FAILING)
        if "site" not in name:
            path.chmod(0o755)
    path = f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    for line in (f"{typed} run -q fail", f"{again} run -q --hosts one,two fail"):
        ended = subprocess.run(
            ["sh", "-c", line],
            cwd=tmp_path,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 1
        assert f"run again: {again} run -q --hosts one,two fail" in ended.stderr.splitlines()
