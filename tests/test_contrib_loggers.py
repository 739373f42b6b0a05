"""The history on each host, the JSON lines, and recordings that asciinema plays."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import io
import json
import logging
import math
import os
import pickle
import random
import re
import signal
import stat
import struct
import sys
import termios
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import deployer.contrib.loggers.on_host
from canary import Canary
from deployer.contrib.loggers import AsciicastRecorder, JsonLinesLogger, OnHostLogger
from deployer.exceptions import ActionException
from deployer.host import LocalHost, SSHHost
from deployer.loggers import DefaultLogger, Logger, LoggerInterface
from deployer.node import Env, Node, ParallelNode
from deployer.pseudo_terminal import DummyPty, Pty
from deployer.secret import Secret, redact
from shell_tree import SCRIPT
from terminals import ROOT, Screen, run_command_in_terminal, run_in_terminal, run_script
from world import PASSWORD, World

pytestmark = pytest.mark.machine


def attached(*loggers: Logger) -> LoggerInterface:
    interface = LoggerInterface()
    for logger in loggers:
        interface.attach(logger)
    return interface


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# The history on each host.


def test_the_history_says_what_was_run_by_whom_and_how_it_ended(tmp_path: Path) -> None:
    history = tmp_path / "the history"
    host = LocalHost(logger=attached(OnHostLogger(str(history))))
    host.run("echo 'a\\b'\nprintf '\x1b[1m'")
    host.run("exit 3", ignore_exit_status=True)

    first, second = history.read_text().splitlines()
    time_and_user = rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00 {getpass.getuser()}@\S+ "
    command = re.escape(r"0 echo 'a\\b'\nprintf '\x1b[1m'")
    assert re.fullmatch(time_and_user + command, first)
    assert re.fullmatch(time_and_user + "3 exit 3", second)
    assert mode_of(history) == 0o600


def test_the_history_of_a_server_is_on_the_server(world: World, ssh_host: type[SSHHost]) -> None:
    logger = attached(OnHostLogger("~/history-of-the-test"))
    ssh_host(logger=logger).sudo("true")
    ssh_host(logger=logger).sudo("true", user="nosudo")
    history = world.run(["cat", "history-of-the-test"], user="deploy")
    world.run(["rm", "history-of-the-test"], user="deploy")
    assert [line.split(" ", 2)[2] for line in history.splitlines()] == [
        "0 sudo true",
        "0 sudo -u nosudo true",
    ]
    assert PASSWORD not in history


def test_other_hosts_and_sandboxes_get_no_history(tmp_path: Path) -> None:
    class other(LocalHost):
        slug = "LocalHost"

    logger = attached(OnHostLogger(str(tmp_path / "history"), hosts=[LocalHost]))
    other(logger=logger).run("true")
    LocalHost(logger=logger, is_sandbox=True).run("true")
    assert list(tmp_path.iterdir()) == []


def test_the_history_is_written_when_the_action_is_over(tmp_path: Path) -> None:
    history = tmp_path / "history"
    seen = []

    class other(LocalHost):
        pass

    class Root(Node):
        class Hosts:
            host = LocalHost

        class cells(ParallelNode.Array):
            class Hosts:
                host = (LocalHost, other)

            def work(self) -> None:
                self.host.run("echo in a cell")

        def part(self) -> None:
            self.host.run("echo 1")

        def work(self) -> None:
            self.part()
            self.host.run("echo 2")
            seen.append(history.exists())
            self.cells.work()
            seen.append(history.exists())

    Env(Root(), DummyPty(), attached(OnHostLogger(str(history)))).work()
    commands = [line.split(" 0 ")[1] for line in history.read_text().splitlines()]
    assert seen == [False, True]
    # Actions in cells that run beside others end first.
    assert sorted(commands) == ["echo 1", "echo 2", "echo in a cell", "echo in a cell"]


def test_lines_of_several_writers_stay_whole(tmp_path: Path) -> None:
    history = tmp_path / "history"
    command = f": {'x' * 20_000}"

    def write() -> None:
        LocalHost(logger=attached(OnHostLogger(str(history)))).run(command)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = history.read_text().splitlines()
    assert [line.split(" 0 ")[1] for line in lines] == [command] * 8


def test_a_host_that_cannot_be_written_to_gets_one_warning_and_its_lines_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "not there"
    host = LocalHost(logger=attached(OnHostLogger(str(directory / "history"))))
    assert (host.run("echo 1"), host.run("echo 2")) == ("1\n", "2\n")
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("deployer.contrib.loggers", logging.WARNING)
    assert re.match("LocalHost: the history .*not there/history cannot be written", record.message)
    # What the host said, and not how a line is appended.
    assert "flock" not in record.message
    directory.mkdir()
    host.run("echo 3")
    assert re.findall("echo .", (directory / "history").read_text()) == [
        "echo 1",
        "echo 2",
        "echo 3",
    ]


def test_a_host_that_takes_too_long_to_write_is_not_waited_for_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployer.contrib.loggers.on_host, "_TIMEOUT", 0.2)
    # Nobody reads from it: to open it takes forever.
    os.mkfifo(tmp_path / "history")
    host = LocalHost(logger=attached(OnHostLogger(str(tmp_path / "history"))))
    durations = [host.run("true").duration for _ in range(10)]
    assert len(durations) == 10
    assert len(caplog.records) == 1


# JSON lines.


def read_lines(text: str) -> list[dict[str, Any]]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def test_each_line_is_an_object_with_what_happens(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"

    class Root(Node):
        class Hosts:
            host = LocalHost

        class cells(ParallelNode.Array):
            class Hosts:
                host = type("cell", (LocalHost,), {})

            def say(self) -> None:
                self.host.logger.log_message("hello")

        def work(self, name: str, *, force: bool) -> None:
            with self.host.open(str(tmp_path / "motd"), "w") as file:
                file.write("hello")
            self.cells.say()
            self.host.run("exit 3")

    logger = JsonLinesLogger(str(path))
    with contextlib.closing(logger), pytest.raises(Exception, match="exit 3"):
        Env(Root(), DummyPty(), attached(logger)).work("v1", force=True)
    lines = read_lines(path.read_text())
    told = [(line["event"], line.get("kind"), line["host"]) for line in lines]
    assert told == [
        ("start", "action", ""),
        ("start", "file", "LocalHost"),
        ("end", "file", "LocalHost"),
        ("start", "action", "cell"),
        ("message", None, "cell"),
        ("end", "action", "cell"),
        ("start", "run", "LocalHost"),
        ("end", "run", "LocalHost"),
        ("end", "action", ""),
    ]
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)
    action, run = lines[-1], lines[-2]
    assert (action["action"], action["args"], action["kwargs"]) == (
        "Root.work",
        ["v1"],
        {"force": True},
    )
    assert (action["status"], action["error_type"]) == ("failed", "ExecCommandFailed")
    assert action["started"] <= run["started"] <= run["time"]
    del run["time"], run["started"], run["duration"]
    assert run == {
        "event": "end",
        "kind": "run",
        "host": "LocalHost",
        "command": "exit 3",
        "sudo": False,
        "user": None,
        "sandbox": False,
        "status": "failed",
        "exit_code": 3,
        "error": None,
        "error_type": None,
    }
    assert mode_of(path) == 0o600


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError


def test_whatever_is_logged_the_lines_parse() -> None:
    endless: list[Any] = []
    endless.append(endless)
    stream = io.StringIO()
    logger = attached(JsonLinesLogger(stream))
    odd = ("a\nb\udcff\u2028", b"\xff", math.nan, {1: {2}, "k": None}, Unshowable(), endless, 1.5)
    with logger.group("odd", *odd):
        logger.log_message("a\nb\udc80")
    logger.log_exception(KeyError("key"))
    start, message, end, exception = read_lines(stream.getvalue())
    assert start["args"][:5] == [
        "a\nb\ufffd\u2028",
        "\ufffd",
        "nan",
        {"1": [2], "k": None},
        "a Unshowable",
    ]
    assert (start["args"][6], end["status"]) == (1.5, "ok")
    assert message["text"] == "a\nb\ufffd"
    assert (exception["error"], exception["error_type"]) == ("'key'", "KeyError")


def test_several_may_write_json_lines_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    text = "é" * 20_000
    with contextlib.ExitStack() as stack:
        first, second = (
            stack.enter_context(contextlib.closing(JsonLinesLogger(str(path)))) for _ in range(2)
        )
        # As in a worker.
        make_remote = pickle.loads(pickle.dumps(first.make_remote()))
        remote = stack.enter_context(contextlib.closing(make_remote()))
        assert make_remote() is remote
        threads = [
            threading.Thread(target=lambda to=to: [to.log_message(text) for _ in range(40)])
            for to in (first, second, remote, remote)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [line["text"] for line in read_lines(path.read_text())] == [text] * 160
    assert JsonLinesLogger(io.StringIO()).make_remote() is None


def test_a_full_disk_is_told_once_and_what_is_logged_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger = JsonLinesLogger("/dev/full")
    interface = attached(logger)
    interface.log_message("one")
    interface.fork("web1").log_message("two")
    logger.close()
    (record,) = caplog.records
    assert record.message.startswith("<JsonLinesLogger '/dev/full'> cannot write: ")
    assert "No space left on device" in record.message
    assert record.exc_info is None


# Recordings.


def read_cast(path: Path) -> tuple[dict[str, Any], list[list[Any]]]:
    header, *events = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    assert [event[0] for event in events] == sorted(event[0] for event in events)
    return header, events


def shown_in(path: Path) -> str:
    """Return all output in a recording."""
    return "".join(data for _, code, data in read_cast(path)[1] if code == "o")


def play(cast: Path, rows: int = 24, columns: int = 80) -> list[str]:
    """Return what is on the screen once a recording was played."""
    command = [sys.executable, "-m", "asciinema", "play", "-s", "1000", str(cast)]
    environment = {"LC_ALL": "C.UTF-8", "HOME": str(cast.parent), "PATH": os.environ["PATH"]}
    with run_command_in_terminal(command, None, environment, rows, columns) as screen:
        assert screen.wait_for_end() == 0, screen.lines
        return screen.lines


def at_prompt(screen: Screen, *texts: str) -> None:
    """Wait for texts, and a prompt behind them."""
    screen.wait_for(
        lambda lines: (
            all(any(text in line for line in lines) for text in texts)
            and lines[-1].startswith("Tree")
            and lines[-1].endswith(">")
        )
    )


@pytest.mark.machine
def test_a_session_is_played_as_it_was_seen(tmp_path: Path) -> None:
    pytest.importorskip("asciinema")
    cast = tmp_path / "session.cast"
    arguments = ["-y", "--record", str(cast)]
    with run_in_terminal(SCRIPT, *arguments, rows=60, XDG_STATE_HOME=str(tmp_path)) as screen:
        at_prompt(screen)
        # Readline completes.
        screen.type("git checkout m\x7fé depth=2\n")
        at_prompt(screen, "é False 2")
        screen.type("qui\t\n")
        at_prompt(screen, "quiet: done")
        screen.type("ask\n")
        screen.wait_for(lambda lines: lines[-1].startswith("Which branch"))
        screen.type("develop\n")
        at_prompt(screen, "ask: done")
        screen.type("web half\n")
        at_prompt(screen, "Failed on 1 of 2 hosts")
        assert not any("--record" in line for line in screen.lines)
        screen.type("--run echo in a terminal; stty size\n")
        at_prompt(screen, "60 80")
        screen.type("exit\n")
        assert screen.wait_for_end() == 0
        seen = screen.lines
    header, _ = read_cast(cast)
    assert (header["version"], header["width"], header["height"]) == (2, 80, 60)
    assert mode_of(cast) == 0o600
    assert any("quiet" in line for line in seen)
    assert play(cast, rows=60) == seen


FARM = """
from deployer.client import start
from deployer.exceptions import ActionException
from deployer.host import LocalHost
from deployer.node import ParallelNode

class Farm(ParallelNode):
    class Hosts:
        host = tuple(type(f"web{n}", (LocalHost,), {}) for n in range(2))

    def wait(self, name):
        self.host.run(f"echo begun; until [ -e {name} ]; do sleep 0.02; done; stty size")

    def ask(self):
        if self.host.slug == "web1":
            return self.console.input("Which branch")

start(Farm)
"""


@pytest.mark.machine
def test_what_a_view_draws_is_recorded_and_a_new_size(tmp_path: Path) -> None:
    script, cast, file = tmp_path / "deploy.py", tmp_path / "live.cast", tmp_path / "file"
    script.write_text(FARM)
    with run_in_terminal(script, "--record", str(cast), "run", "wait", str(file)) as screen:
        screen.wait_for(lambda lines: any("0/2" in line for line in lines))
        size = struct.pack("HHHH", 30, 100, 0, 0)
        fcntl.ioctl(screen._master, termios.TIOCSWINSZ, size)
        screen.type("a")
        screen.wait_for(lambda lines: any("attach to" in line for line in lines))
        screen.type("web1\r")
        screen.wait_for(lambda lines: "begun" in lines)
        file.touch()
        assert screen.wait_for_end() == 0
    _, events = read_cast(cast)
    assert "100x30" in [data for _, code, data in events if code == "r"]
    text = shown_in(cast)
    assert "0/2" in text
    assert "\x1b[" in text
    # Attached, the terminal adds nothing to the ends of lines, which are there already.
    assert "begun\r\n" in text
    assert "begun\r\r" not in text


@pytest.mark.machine
def test_an_answer_to_one_of_several_hosts_is_recorded(tmp_path: Path) -> None:
    script, cast = tmp_path / "deploy.py", tmp_path / "ask.cast"
    script.write_text(FARM)
    with run_in_terminal(script, "--record", str(cast), "run", "ask") as screen:
        screen.wait_for(lambda lines: any("Which branch" in line for line in lines))
        screen.type("develop\n")
        assert screen.wait_for_end() == 0
    assert "Which branch: develop\r\n" in shown_in(cast)


PROGRAM = """
import os, signal, sys
from deployer.contrib.loggers import AsciicastRecorder
out = sys.stdout
with AsciicastRecorder(sys.argv[1]):
    print("out é")
    print("err", file=sys.stderr)
    if "killed" in sys.argv:
        os.kill(os.getpid(), signal.SIGKILL)
assert sys.stdout is out
print("not recorded")
"""


def test_any_program_is_recorded_also_one_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    whole, killed = tmp_path / "whole.cast", tmp_path / "killed.cast"
    assert run_script(script, str(whole)).returncode == 0
    assert run_script(script, str(killed), "killed").returncode == -signal.SIGKILL
    assert shown_in(whole) == shown_in(killed) == "out é\r\nerr\r\n"
    refused = run_script(script, str(whole))
    assert refused.returncode == 1
    assert "FileExistsError" in refused.stderr


# The file may not grow any further, as on a full disk.
FULL = """
import resource, sys
from deployer.contrib.loggers import AsciicastRecorder
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
with AsciicastRecorder(sys.argv[1]):
    print("one")
    print("two" * 1000)
    print("three")
"""


def test_what_there_is_room_for_can_be_played_and_the_rest_is_shown(tmp_path: Path) -> None:
    script, cast = tmp_path / "program.py", tmp_path / "a.cast"
    script.write_text(FULL)
    result = run_script(script, str(cast))
    assert (result.returncode, result.stdout.split()[-1]) == (0, "three")
    assert result.stderr.startswith(f"Warning: {cast} is no longer written: File too large")
    assert result.stderr.count("\n") == 1
    assert shown_in(cast) == "one\r\n"


@pytest.mark.machine
def test_what_goes_into_a_file_is_not_recorded_for_who_sits_at_a_terminal(tmp_path: Path) -> None:
    script, cast = tmp_path / "program.py", tmp_path / "a.cast"
    script.write_text(PROGRAM)
    line = f"{sys.executable} {script} {cast} >{tmp_path / 'out'}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with run_command_in_terminal(["sh", "-c", line], None, environment) as screen:
        assert screen.wait_for_end() == 0
    assert shown_in(cast) == "err\r\n"


def test_a_recording_that_cannot_be_made_is_told_before_anything_runs(tmp_path: Path) -> None:
    there, ran = tmp_path / "there", tmp_path / "ran"
    there.touch()
    for path, why in ((there, "is there already"), (tmp_path / "no" / "cast", "cannot be written")):
        result = run_script(SCRIPT, "exec", "--record", str(path), ".", "--", f"touch {ran}")
        assert (result.returncode, result.stdout) == (2, "")
        assert f"--record: {path} {why}" in result.stderr
    assert not ran.exists()


def test_a_secret_is_replaced_however_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One begins as it ends, and one as another one does.
    for secret in ("pass1pass", "pass1passphrase", "two lines\nof it"):
        Secret(secret)
    text = "pass1 pass1pass. pass1passphrase two lines\nof it, two lines\nof pass1passpass1pass\n"
    chance = random.Random(7)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    for number in range(50):
        cast = tmp_path / f"{number}.cast"
        cuts = sorted(chance.sample(range(len(text)), 12))
        with AsciicastRecorder(str(cast)):
            for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
                sys.stdout.write(text[begin:end])
                sys.stderr.write("x")
        shown = shown_in(cast)
        assert "pass1pass" not in shown
        assert "of it" not in shown
        assert shown.replace("x", "").replace("\r\n", "\n").count("***") >= 5, redact(text)


# No secret in any of them.


def test_no_secret_is_in_what_they_write(
    world: World, new_ssh_host: Callable[..., type[SSHHost]], tmp_path: Path
) -> None:
    canary = Canary()
    canary.set_password(world, "deploy")
    token = Secret(f"token-{canary.mark}")
    host_class = new_ssh_host(password=Secret(canary.password))

    class Root(Node):
        class Hosts:
            host = host_class

        def work(self, *args: Any, name: str) -> None:
            self.host.sudo("id")
            self.host.run(f"printf %s {token.reveal()[:9]}; sleep 0.1; echo {token.reveal()[9:]}")
            sys.stdout.write(f"{token.reveal()} printed\n")
            raise ValueError(token.reveal())

    cast, lines = tmp_path / "a.cast", tmp_path / "a.jsonl"
    arguments = (token, token.reveal(), canary.password, canary.password.encode(), [{token}])
    try:
        with (
            contextlib.closing(JsonLinesLogger(str(lines))) as json_lines,
            AsciicastRecorder(str(cast)),
            pytest.raises(ActionException),
        ):
            logger = attached(DefaultLogger(), json_lines, OnHostLogger("~/history-of-canary"))
            Env(Root(), Pty(), logger).work(*arguments, name=canary.password)
        history = world.run(["cat", "history-of-canary"], user="deploy")
    finally:
        world.run(["chpasswd"], input=f"deploy:{PASSWORD}\n")
        world.run(["rm", "-f", "history-of-canary"], user="deploy")
    for path in (cast, lines):
        canary.look_in(str(path), path.read_text())
    canary.look_in("the history", history)
    assert canary.found == []
    assert "*** printed" in shown_in(cast)
    assert "| $ printf" in shown_in(cast)
    assert "sudo id" in history
