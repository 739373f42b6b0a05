"""A pane of tmux for each host: keyboards, sizes and whole screens, and how panes end."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.host import Host, SSHHost
from terminals import ROOT, run_in_terminal
from waiting import until

pytestmark = pytest.mark.machine

# Runs an action of its arguments on some hosts, and writes what it returns, or raises, to a file.
SCRIPT = """
import json, os, sys
from pathlib import Path
from deployer.exceptions import ParallelActionException
from deployer.host import LocalHost, SSHHost
from deployer.node import Env, ParallelNode
from deployer.pseudo_terminal import Presentation, Pty

action, command, fan_out, hosts, report_file, directory = sys.argv[1:]
# What clients are run with.
sys.executable = os.environ.get("PYTHON_IN_PANES", sys.executable)

class Farm(ParallelNode):
    class Hosts:
        host = [
            type("Host", (SSHHost if "port" in host else LocalHost,), host)
            for host in json.loads(hosts)
        ]

    def run(self):
        return self.host.run(command)

    def ask(self):
        answer = self.console.input("Which one")
        secret = self.console.input("And the word", is_password=True)
        return f"{answer} {secret}"

pty = Pty()
pty.presentation = Presentation("panes", directory)
try:
    report = {}
    result = getattr(Env(Farm(), pty), action).with_options(fan_out=int(fan_out))()
except ParallelActionException as error:
    result = error.result
    report = {cell.host.slug: type(failure).__name__ for cell, failure in result.failed.items()}
except KeyboardInterrupt:
    result, report = None, {"all": "interrupted"}
if result:
    report |= {cell.host.slug: value for cell, value in result.succeeded.items()}
Path(report_file + ".new").write_text(json.dumps(report))
os.replace(report_file + ".new", report_file)
"""

COMMAND_LINE = """
from deployer.client import start
from deployer.host import LocalHost
from deployer.node import Node, ParallelNode

class Web(ParallelNode):
    class Hosts:
        host = [type("Host", (LocalHost,), {"slug": slug}) for slug in ("one", "two")]

    def run(self, command):
        return self.host.run(command)

class Root(Node):
    web = Web.Array

start(Root)
"""

MAIN = "%0"


class Tmux:
    """A tmux server of its own, with a script in its first pane."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.report_file = directory / "report"
        self.logs = directory / "logs"
        self._script = directory / "script.py"
        self._script.write_text(SCRIPT)
        self._configuration = directory / "tmux.conf"
        self._configuration.touch()
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in ("TMUX", "TMUX_PANE", "NO_COLOR")
        }
        self.environment = {
            **kept,
            "TMUX_TMPDIR": str(directory),
            "TMPDIR": str(directory),
            "SHELL": "/bin/sh",
            "PYTHONPATH": str(ROOT),
        }

    def configure(self, *commands: str) -> None:
        """Have the server do some commands when it begins, as users do."""
        self._configuration.write_text("\n".join(commands))

    def run(
        self,
        *hosts: str | dict[str, Any],
        command: str = "",
        action: str = "run",
        fan_out: int = 8,
        size: tuple[int, int] = (200, 60),
    ) -> None:
        """Begin to run a command, or an action, on some hosts."""
        attributes = [{"slug": host} if isinstance(host, str) else host for host in hosts]
        arguments = [action, command, str(fan_out), json.dumps(attributes), str(self.report_file)]
        line = shlex.join([sys.executable, str(self._script), *arguments, str(self.logs)])
        # The shell outlives Ctrl-C, for what is typed afterwards.
        self.run_line(f"trap : INT; {line}; exec sh", size)

    def run_line(self, line: str, size: tuple[int, int] = (200, 60)) -> None:
        """Begin to run a line of a shell in the first pane."""
        columns, rows = map(str, size)
        session = ["new-session", "-d", "-x", columns, "-y", rows, line]
        self("-f", str(self._configuration), *session)

    def __call__(self, *arguments: str) -> str:
        """Return what a command of tmux prints."""
        return subprocess.run(
            ["tmux", "-u", "-L", "t", *arguments],
            env=self.environment,
            capture_output=True,
            encoding="utf-8",
            check=True,
        ).stdout

    def attach(self, window: str) -> Any:
        """Look at a window in a terminal, as a person does."""
        self("select-window", "-t", window)
        script = self.directory / "attach.py"
        script.write_text("import os; os.execlp('tmux', *'tmux -u -L t attach'.split())")
        variables = {"TMUX_TMPDIR": str(self.directory), "TMUX": "", "TERM": "screen"}
        return run_in_terminal(script, rows=60, columns=200, **variables)

    def kill(self) -> None:
        subprocess.run(
            ["tmux", "-L", "t", "kill-server"],
            env=self.environment,
            stderr=subprocess.DEVNULL,
            check=False,
        )

    def list_panes(self, form: str) -> list[str]:
        """Return what a format gives for each pane but that of the script."""
        lines = self("list-panes", "-a", "-F", f"#{{pane_id}}\t{form}").splitlines()
        return [line.partition("\t")[2] for line in lines if not line.startswith(f"{MAIN}\t")]

    @property
    def panes(self) -> dict[str, str]:
        """The panes by their hosts, in order."""
        pairs = [line.split("\t") for line in self.list_panes("#{@deployer_host}\t#{pane_id}")]
        return {host: pane for host, pane in pairs if host}

    def text(self, pane: str) -> str:
        """Return what is to be seen in a pane."""
        return self("capture-pane", "-p", "-J", "-t", pane)

    def type(self, pane: str, *keys: str) -> None:
        """Press keys, or type texts."""
        self("send-keys", "-t", pane, *keys)

    def wait_for(self, pane: str, text: str) -> None:
        """Wait until a text is to be seen in a pane."""
        until(lambda: text in self.text(pane), lambda: f"{text!r} is not in:\n{self.text(pane)}")

    def wait_for_panes(self, *hosts: str, text: str = "ready") -> dict[str, str]:
        """Return the panes once there is one for each host, and a text in it."""
        until(lambda: [*self.panes] == [*hosts], lambda: f"{self.panes}\n{self.text(MAIN)}")
        panes = self.panes
        for pane in panes.values():
            self.wait_for(pane, text)
        return panes

    def wait_for_end_of(self, *panes: str) -> None:
        """Wait until there are no such panes any more."""
        until(lambda: not {*panes} & {*self.list_panes("#{pane_id}")}, lambda: self.panes)

    @property
    def report(self) -> dict[str, str]:
        """What the script has written: what each host gave, or the name of an error."""
        until(self.report_file.exists, lambda: self.text(MAIN))
        found: dict[str, str] = json.loads(self.report_file.read_text())
        return found


@pytest.fixture
def tmux(
    tmp_path_factory: pytest.TempPathFactory, need_program: Callable[[str], str]
) -> Iterator[Tmux]:
    need_program("tmux")
    # The path of a socket has to be short.
    tmux = Tmux(tmp_path_factory.mktemp("t"))
    try:
        yield tmux
    finally:
        tmux.kill()


def is_running(command: str) -> bool:
    # The command lines of others contain it.
    pgrep = ["pgrep", "-f", f"^{command}"]
    return subprocess.run(pgrep, stdout=subprocess.DEVNULL, check=False).returncode == 0


def attributes_of(host: type[Host], slug: str) -> dict[str, Any]:
    """Return what the script needs to make such a class."""
    if not issubclass(host, SSHHost):
        return {"slug": slug}
    names = ("address", "port", "username", "password", "key_filename", "config_filename")
    return {"slug": slug, **{name: getattr(host, name) for name in names}}


def test_each_host_has_a_pane_with_a_keyboard_of_its_own(tmux: Tmux) -> None:
    hosts = [f"web{number}" for number in range(1, 9)]
    tmux.run(*hosts, command="stty -echo; echo ready; read word; echo got $word")
    panes = tmux.wait_for_panes(*hosts)
    assert tmux.list_panes("#{pane_title}") == hosts
    assert (
        tmux.list_panes("#{window_index} #{window_name}") == ["1 Farm.run"] * 6 + ["2 Farm.run"] * 2
    )
    for host in reversed(hosts):
        tmux.type(panes[host], f"{host}-word", "Enter")
    assert tmux.report == {host: f"ready\ngot {host}-word\n" for host in hosts}
    tmux.wait_for_end_of(*panes.values())
    assert (tmux.logs / "web3.log").read_text() == "ready\ngot web3-word\n"
    shown = tmux.text(MAIN)
    assert "\nweb3  ok  " in shown
    assert "\nweb[1-8] (8)  ok  " in shown


def test_a_new_size_of_a_pane_reaches_the_command(tmux: Tmux) -> None:
    tmux.run(
        "one",
        command="trap 'stty size; exit' WINCH; stty size; echo ready; while :; do sleep 0.05; done",
    )
    pane = tmux.wait_for_panes("one")["one"]
    (before,) = tmux.list_panes("#{pane_height} #{pane_width}")
    tmux("resize-window", "-t", pane, "-x", "120", "-y", "41")
    # The topmost line is the border, with the name.
    assert tmux.report == {"one": f"{before}\nready\n40 120\n"}
    # Of a single host, the line at its end is the recap.
    assert tmux.text(MAIN).count("one  ok  ") == 1


def test_an_editor_works_in_a_pane(
    tmux: Tmux, host_class: type[Host], need_program: Callable[[str], str]
) -> None:
    need_program("vi")
    host = host_class()
    path = host.run("mktemp").strip()
    try:
        host.run(f"echo first line >{path}")
        tmux.run(attributes_of(host_class, "one"), command=f"vi -u NONE {path}")
        pane = tmux.wait_for_panes("one", text="first line")["one"]
        tmux.type(pane, "o", "typed é", "Escape", ":wq", "Enter")
        assert "one" in tmux.report
        assert host.run(f"cat {path}") == "first line\ntyped é\n"
    finally:
        host.run(f"rm {path}")


def test_a_pane_stays_when_its_host_fails_until_somebody_closes_it(tmux: Tmux) -> None:
    full_screen = r"printf '\033[?1049h\033[Hmenu'"
    command = f'echo ready; read x; test "$x" || {{ {full_screen}; false; }}'
    tmux.run("bad", "good", command=command)
    panes = tmux.wait_for_panes("bad", "good")
    tmux.type(panes["good"], "something", "Enter")
    tmux("move-window", "-s", panes["bad"], "-t", ":9")
    tmux.type(panes["bad"], "Enter")
    tmux.wait_for(panes["bad"], "What now?")
    tmux.wait_for(MAIN, "bad  has a question, in tmux window 9")
    tmux("move-window", "-s", panes["bad"], "-t", ":8")
    # What is typed too early closes nothing.
    tmux.type(panes["bad"], "Enter")
    tmux.wait_for(panes["bad"], "press Enter to close this pane")
    assert tmux.report == {"bad": "ExecCommandFailed", "good": "ready\nsomething\n"}
    tmux.wait_for_end_of(panes["good"])
    tmux.wait_for(MAIN, "(its pane stays, in tmux window 8)")
    # The script has ended; the pane has not.
    assert tmux.panes == {"bad": panes["bad"]}
    text = tmux.text(panes["bad"])
    assert "  status   1\n" in text
    # It is seen below what came before a program that drew on the whole screen.
    assert text.startswith("ready\n")
    assert "menu" not in text.partition("command")[0]
    assert "\x1b[31mCommand failed" in tmux("capture-pane", "-p", "-e", "-t", panes["bad"])
    tmux.type(panes["bad"], "Enter")
    tmux.wait_for_end_of(panes["bad"])


def test_who_closes_a_pane_stops_its_host_only(tmux: Tmux) -> None:
    long = f"sleep 4711.{os.getpid()}"
    tmux.run("one", "two", "three", command=f"echo ready; read x; test $x = go || {long}")
    panes = tmux.wait_for_panes("one", "two", "three")
    tmux.type(panes["two"], "wait", "Enter")
    until(lambda: is_running(long))
    tmux("kill-pane", "-t", panes["two"])
    tmux.wait_for(MAIN, "two  stopped  ")
    until(lambda: not is_running(long))
    for host in ("one", "three"):
        tmux.type(panes[host], "go", "Enter")
    assert tmux.report == {"one": "ready\ngo\n", "two": "JobStopped", "three": "ready\ngo\n"}


@pytest.mark.parametrize("hosts", [["one"], ["one", "two", "three"]], ids=["only", "first"])
def test_a_pane_that_is_closed_before_it_has_begun_stops_its_host_only(
    tmux: Tmux, hosts: list[str]
) -> None:
    tmux.configure(
        "set-hook -g after-new-window 'kill-window -t :1; set-hook -gu after-new-window'"
    )
    tmux.run(*hosts, command="echo ready; read x")
    tmux.wait_for(MAIN, "one  stopped  ")
    panes = tmux.wait_for_panes(*hosts[1:])
    for pane in panes.values():
        tmux.type(pane, "word", "Enter")
    assert tmux.report == {"one": "JobStopped"} | dict.fromkeys(hosts[1:], "ready\nword\n")
    assert "Warning" not in tmux.text(MAIN)


def test_where_clients_cannot_be_run_all_is_shown_line_by_line(tmux: Tmux) -> None:
    tmux.environment["PYTHON_IN_PANES"] = "/nowhere/python"
    tmux.run("one", "two", command="echo $((6*7))")
    assert tmux.report == {"one": "42\n", "two": "42\n"}
    shown = tmux.text(MAIN)
    assert shown.count("Warning: ") == shown.count("/nowhere/python cannot be run in them") == 1
    assert "one | 42" in shown
    assert tmux.list_panes("") == []


def test_panes_are_closed_also_for_those_who_keep_them(tmux: Tmux) -> None:
    first = "run-shell -t :1 'kill -KILL #{pane_pid}'"
    tmux.configure(
        "set -g remain-on-exit on",
        f'set-hook -g after-new-window "{first}; set-hook -gu after-new-window"',
    )
    tmux.run("one", "two", "three", command="echo ready; read x")
    panes = tmux.wait_for_panes("two", "three")
    tmux("break-pane", "-d", "-s", panes["two"])
    for pane in panes.values():
        tmux.type(pane, "word", "Enter")
    assert tmux.report["one"] == "JobStopped"
    until(lambda: tmux.list_panes("") == [], lambda: tmux.list_panes("#{pane_dead}"))


@pytest.mark.parametrize("made", ["new-window", "split-window"])
@pytest.mark.parametrize("command", ["display-message -p x", "select-pane -t :.9"])
def test_hooks_that_print_or_fail_are_not_in_the_way(tmux: Tmux, made: str, command: str) -> None:
    tmux.configure(f"set-hook -g after-{made} '{command}'")
    tmux.run("one", "two", command="echo ready; read x")
    panes = tmux.wait_for_panes("one", "two")
    for pane in panes.values():
        tmux.type(pane, "word", "Enter")
    assert tmux.report == dict.fromkeys(panes, "ready\nword\n")
    tmux.wait_for_end_of(*panes.values())
    assert "Warning" not in tmux.text(MAIN)


def test_no_pane_is_too_small_to_work_in(tmux: Tmux) -> None:
    hosts = ["one", "two", "three"]
    tmux.run(*hosts, command="echo ready; read x", size=(30, 11))
    panes = tmux.wait_for_panes(*hosts)
    assert tmux.list_panes("#{window_index} #{pane_width} #{pane_height}") == [
        "1 30 4",
        "1 30 5",
        "2 30 10",
    ]
    for pane in panes.values():
        tmux.type(pane, "word", "Enter")
    assert tmux.report == dict.fromkeys(hosts, "ready\nword\n")


def test_panes_are_in_order_also_when_somebody_has_zoomed_one(tmux: Tmux) -> None:
    tmux.configure("set-hook -g after-select-layout 'resize-pane -Z -t :1.0'")
    hosts = ["one", "two", "three", "four"]
    tmux.run(*hosts, command="echo ready; read x")
    for pane in tmux.wait_for_panes(*hosts).values():
        tmux.type(pane, "word", "Enter")
    assert [*tmux.report] == hosts


def test_hosts_ask_at_once_and_each_in_its_pane(tmux: Tmux) -> None:
    tmux.run("one", "two", "three", action="ask")
    panes = tmux.wait_for_panes("one", "two", "three", text="Which one: ")
    tmux.type(panes["two"], "second", "Enter")
    tmux.type(panes["one"], "first", "Enter")
    for host in ("two", "one"):
        tmux.wait_for(panes[host], "And the word: ")
        tmux.type(panes[host], f"hidden-{host}", "Enter")
    tmux.wait_for(MAIN, "one  ok  ")
    # Ctrl-C is for the one that it was typed at.
    tmux.type(panes["three"], "C-c")
    assert tmux.report == {
        "one": "first hidden-one",
        "two": "second hidden-two",
        "three": "JobStopped",
    }
    tmux.wait_for_end_of(*panes.values())
    shown = tmux.text(MAIN)
    assert "hidden" not in shown
    # Whoever has answered one question sees the next one.
    assert shown.count("two  has a question, in tmux window 1") == 1


def test_ctrl_c_where_it_was_begun_ends_all_of_it(tmux: Tmux) -> None:
    long = f"sleep 4712.{os.getpid()}"
    tmux.run("one", "two", command=f"echo ready; {long}; true")
    panes = tmux.wait_for_panes("one", "two")
    until(lambda: is_running(long))
    tmux.type(MAIN, "C-c")
    assert tmux.report == {"all": "interrupted"}
    tmux.wait_for_end_of(*panes.values())
    assert not is_running(long)
    tmux.wait_for(MAIN, "one,two (2)  stopped  ")
    tmux.type(MAIN, "echo us''able", "Enter")
    tmux.wait_for(MAIN, "usable\n")


def test_panes_do_not_outlive_a_process_that_is_killed(tmux: Tmux) -> None:
    tmux.run("one", "two", command="echo ready; read x")
    panes = tmux.wait_for_panes("one", "two")
    shell = tmux("display-message", "-p", "-t", MAIN, "#{pane_pid}").strip()
    subprocess.run(["pkill", "-KILL", "-P", shell], check=True)
    tmux.wait_for_end_of(*panes.values())


def find_directories(tmux: Tmux) -> list[Path]:
    """Return those that sockets for panes are in."""
    return [*tmux.directory.glob("deployer-*")]


def begin_command_line(tmux: Tmux, command: str, before: str = "") -> None:
    """Run a command on two hosts, by the command line; then show its exit status."""
    script = tmux.directory / "deploy.py"
    script.write_text(COMMAND_LINE)
    words = [sys.executable, str(script), "run", "--output", "panes", "web.run", command]
    tmux.run_line(f"{before} {shlex.join(words)}; echo status $?; exec sh")


def send_to_script(tmux: Tmux, number: int) -> None:
    shell = tmux("display-message", "-p", "-t", MAIN, "#{pane_pid}").strip()
    subprocess.run(["pkill", f"-{number}", "-P", shell], check=True)


@pytest.mark.parametrize("how", ["kill", "kill-pane", "kill-server"])
def test_when_its_terminal_is_gone_nothing_is_left(tmux: Tmux, how: str) -> None:
    long = f"sleep 4713.{os.getpid()}"
    begin_command_line(tmux, f"echo ready; {long}; true")
    panes = tmux.wait_for_panes("one", "two")
    until(lambda: is_running(long))
    assert is_running(f"{sys.executable} .*{tmux.directory}")
    assert find_directories(tmux)
    match how:
        case "kill":
            send_to_script(tmux, signal.SIGHUP)
            tmux.wait_for(MAIN, f"status {128 + signal.SIGHUP}\n")
            assert "one,two (2)  stopped  " in tmux.text(MAIN)
        case "kill-pane":
            tmux("kill-pane", "-t", MAIN)
        case "kill-server":
            tmux.kill()
    until(lambda: not is_running(long))
    # The command line, and the clients in panes.
    until(lambda: not is_running(f"{sys.executable} .*{tmux.directory}"))
    assert not find_directories(tmux)
    if how == "kill":
        tmux.wait_for_end_of(*panes.values())


def test_who_ignores_that_terminals_go_is_not_stopped(tmux: Tmux) -> None:
    begin_command_line(tmux, "echo ready; read x", "trap '' HUP;")
    panes = tmux.wait_for_panes("one", "two")
    send_to_script(tmux, signal.SIGHUP)
    for pane in panes.values():
        tmux.type(pane, "word", "Enter")
    tmux.wait_for(MAIN, "status 0\n")


def test_a_long_path_for_temporary_files_does_for_panes_as_well(tmux: Tmux) -> None:
    directory = tmux.directory / ("long" * 25)
    directory.mkdir()
    tmux.environment["TMPDIR"] = str(directory)
    tmux.run("one", "two", command="echo ready; read x")
    panes = tmux.wait_for_panes("one", "two")
    path = next(
        Path(word)
        for word in tmux("list-panes", "-a", "-F", "#{pane_start_command}").split()
        if word.endswith("/panes")
    )
    assert path.exists()
    for pane in panes.values():
        tmux.type(pane, "word", "Enter")
    assert tmux.report == dict.fromkeys(panes, "ready\nword\n")
    assert not path.parent.exists()


def test_names_are_shown_as_they_are(tmux: Tmux) -> None:
    names = ['a#{b}"c d', "#[fg=red]x", "1%H;", "two\nlines"]
    shown = [*names[:3], "two lines"]
    tmux.run(*names, command="echo ready; read x")
    panes = tmux.wait_for_panes(*shown)
    assert tmux.list_panes("#{pane_title}") == shown
    with tmux.attach(panes[shown[0]]) as screen:
        for name in shown:
            screen.wait_for(lambda lines, name=name: any(f"─ {name} ─" in line for line in lines))


def test_only_the_clients_of_panes_may_use_the_socket(tmux: Tmux) -> None:
    tmux.run("one", "two", command="stty -echo; echo ready; read x; echo $x")
    panes = tmux.wait_for_panes("one", "two")
    (path,) = tmux.directory.glob("deployer-*/*")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    ours, theirs = os.openpty()
    for message in (b'{"token": "guessed", "term": "xterm"}\n', b"nonsense\n", b"[]\n"):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(str(path))
            socket.send_fds(stranger, [message], [theirs])
            assert stranger.recv(100) == b""
    # Nobody holds the terminal that was offered.
    os.close(theirs)
    with pytest.raises(OSError, match="Input/output"):
        os.read(ours, 100)
    os.close(ours)
    for host, pane in panes.items():
        tmux.type(pane, host, "Enter")
    assert tmux.report == {"one": "ready\none\n", "two": "ready\ntwo\n"}
    assert not [*tmux.directory.glob("deployer-*")]


def test_the_terminal_of_a_remote_host_is_the_pane(
    tmux: Tmux, new_ssh_host: Callable[..., type[SSHHost]]
) -> None:
    tmux.run(
        *(attributes_of(new_ssh_host(), slug) for slug in ("one", "two")),
        command="trap 'echo caught; exit' INT; test -t 0 && tput cols; echo ready; "
        "while :; do sleep 0.05; done",
    )
    panes = tmux.wait_for_panes("one", "two")
    width, _ = tmux.list_panes("#{pane_width}")
    for pane in panes.values():
        tmux.type(pane, "C-c")
    assert tmux.report == dict.fromkeys(panes, f"{width}\nready\n^Ccaught\n")


def test_without_a_tmux_all_is_shown_line_by_line(tmux: Tmux) -> None:
    arguments = ["run", "echo $((6*7))", "8", '[{"slug": "one"}, {"slug": "two"}]']
    files = [str(tmux.report_file), str(tmux.logs)]
    with run_in_terminal(
        tmux.directory / "script.py", *arguments, *files, TMUX=f"{tmux.directory}/gone,1,0"
    ) as screen:
        lines = screen.wait_for("two | 42")
        screen.wait_for_end()
    assert tmux.report == {"one": "42\n", "two": "42\n"}
    assert "one | 42" in screen.lines
    assert sum("Warning: " in line for line in lines) == 1
