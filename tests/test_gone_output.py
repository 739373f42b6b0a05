"""Output that cannot be written, or that nobody takes; and what would do harm where it is shown."""

from __future__ import annotations

import io
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from deployer.exceptions import DeployerException
from deployer.host import LocalHost
from deployer.node import Env, ParallelNode
from deployer.parallel import Job, RunOptions, run
from deployer.pseudo_terminal import Presentation, Pty
from terminals import ROOT, TIMEOUT
from waiting import until

needs_full = pytest.mark.skipif(
    not os.path.exists("/dev/full"), reason="this system has no /dev/full"
)
OUTPUTS = ["stream", "jsonl", "gather", "json"]

SCRIPT = """
from deployer.client import start
from deployer.host import LocalHost
from deployer.node import Node, ParallelNode


class A(LocalHost):
    slug = "a"


class B(LocalHost):
    slug = "b"


class Root(Node):
    class web(ParallelNode.Array):
        class Hosts:
            host = A, B

        def sh(self, command):
            self.host.run(command)


start(Root)
"""


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    script = tmp_path / "tree.py"
    script.write_text(SCRIPT)
    return [sys.executable, str(script)]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    # Python flushes its streams otherwise than it does as a rule.
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


class Shown:
    """A place without a terminal, whose two streams are apart."""

    def __init__(self, output: str) -> None:
        self.stdout, self.stderr = io.StringIO(), io.StringIO()
        self.pty = Pty(io.StringIO(), self.stdout, self.stderr, interactive=False, term="dumb")
        self.pty.presentation = Presentation(output)

    def run(self, *acts: Callable[[Pty], object], **options: int) -> None:
        jobs = [Job("ab"[number], act) for number, act in enumerate(acts)]
        run(self.pty, jobs, RunOptions(**options))  # type: ignore[arg-type]

    @property
    def lines(self) -> list[str]:
        return self.stdout.getvalue().split("\n")


def says(*texts: str) -> Callable[[Pty], object]:
    def act(pty: Pty) -> None:
        for text in texts:
            pty.write(text)

    return act


def is_there(begun: Path) -> bool:
    return Path("/proc", begun.name.removeprefix("begun-")).exists()


# Nobody takes it.


@pytest.mark.parametrize("output", ["stream", "jsonl"])
def test_sigterm_ends_what_runs_also_when_nobody_takes_its_output(
    command: list[str], tmp_path: Path, output: str
) -> None:
    reader, writer = os.pipe()
    on_hosts = f"touch {tmp_path}/begun-$$; yes hello | head -c 500000; exec sleep 77777"
    process = subprocess.Popen(
        [*command, "exec", "-q", "--output", output, "web", "--", on_hosts],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: len(list(tmp_path.glob("begun-*"))) == 2)
    until(lambda: not select.select([], [writer], [], 0)[1], "the pipe is not full")
    process.send_signal(signal.SIGTERM)
    try:
        _, errors = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
        os.close(reader)
        os.close(writer)
    assert (process.returncode, errors) == (143, "Interrupted (stopped: a, b)\n")
    for begun in tmp_path.glob("begun-*"):
        until(lambda begun=begun: not is_there(begun))


@pytest.mark.parametrize("words", [["exec", "web", "--"], ["run", "web.sh"]], ids=["exec", "run"])
def test_no_more_is_begun_once_the_reader_is_gone(
    command: list[str], tmp_path: Path, words: list[str]
) -> None:
    go = tmp_path / "go"
    os.mkfifo(go)
    on_hosts = f"touch {tmp_path}/begun-$$; echo one; cat {go}; exec sleep 77777"
    options = ["-q", "--output", "stream", "--parallel", "1"]
    process = subprocess.Popen(
        [*command, words[0], *options, *words[1:], on_hosts],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == "a | one\n"
    process.stdout.close()
    go.write_text("two\n")
    assert (process.wait(TIMEOUT), process.stderr.read()) == (141, "")
    process.stderr.close()
    (begun,) = tmp_path.glob("begun-*")
    until(lambda: not is_there(begun))


# It cannot be written.


@needs_full
@pytest.mark.parametrize("output", OUTPUTS)
def test_a_full_disk_is_named_once_and_is_no_failure_of_a_host(
    command: list[str], output: str
) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*command, "exec", "-q", "--output", output, "web", "--", "echo hi"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith("the output cannot be written: No space left on device")


@needs_full
def test_a_full_disk_is_named_also_of_help(command: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*command, "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    told = "tree.py: the output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, told)


def test_what_a_job_writes_to_clean_up_is_no_second_error() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    cleaned = []

    def act(pty: Pty) -> None:
        try:
            pty.write("working\n")
        finally:
            pty.write("cleaning up\n")
            cleaned.append(True)

    shown = Shown("stream")
    shown.pty = Pty(io.StringIO(), Full(), io.StringIO(), interactive=False)
    with pytest.raises(DeployerException, match=r"No space left on device \(stopped: a; "):
        shown.run(act, act, fan_out=1)
    assert cleaned == [True]


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("closed", [">&-", "2>&-"])
def test_a_stream_that_was_closed_from_the_start_is_no_failure(
    command: list[str], output: str, closed: str
) -> None:
    words = [*command, "exec", "--output", output, "web", "--", "echo hi; echo hey >&2"]
    done = _run_in_shell(words, closed)
    assert done.returncode == 0
    assert ("hi" in done.stdout) == (closed == "2>&-")


@pytest.mark.parametrize("closed", [">&-", "2>&-"])
def test_a_closed_stream_is_no_failure_of_a_single_host(command: list[str], closed: str) -> None:
    words = [*command, "run", "--hosts", "a", "web.sh", "echo hi; echo hey >&2"]
    done = _run_in_shell(words, closed)
    assert (done.returncode, "hi" in done.stdout) == (0, closed == "2>&-")


def test_without_stderr_there_is_one_json_object(command: list[str]) -> None:
    done = _run_in_shell([*command, "exec", "--json", "web", "--", "exit 1"], "2>&-")
    assert done.returncode == 1
    assert json.loads(done.stdout)["status"] == "failed"


def _run_in_shell(words: Sequence[str], redirection: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f'"$@" {redirection}', "sh", *words],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


# After the end of its job.


@pytest.mark.parametrize("output", ["jsonl", "stream"])
def test_nothing_is_shown_after_the_end_of_the_run(output: str) -> None:
    ptys: list[Pty] = []
    shown = Shown(output)
    shown.run(ptys.append, says("x\n"))
    before = shown.lines
    ptys[0].write("late\n")
    assert shown.lines == before


# What would do harm.


def test_long_lines_take_no_longer_than_others() -> None:
    shown = Shown("stream")
    piece = "x" * 2000
    begun = time.process_time()
    shown.run(says(*[piece] * 4000), says())
    # Were the line looked through again for each piece, it would be several seconds.
    assert time.process_time() - begun < 1.0
    assert shown.lines == ["a | " + piece * 4000, ""]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\x1b[31mred\n", "a | \x1b[31mred\x1b[0m"),
        ("\x1b[31mred\x1b[0m\n", "a | \x1b[31mred\x1b[0m"),
        ("\x1b[?1049h\x1b[2Jon a screen of its own\n", "a | on a screen of its own"),
        ("\x1b[1A\x1b[32mgreen\n", "a | \x1b[32mgreen\x1b[0m"),
        ("working\x1b[2K\x1b[1Gdone\n", "a | done"),
    ],
)
def test_a_line_does_nothing_to_what_stands_around_it(text: str, line: str) -> None:
    shown = Shown("stream")
    shown.run(says(text), says())
    assert shown.lines == [line, ""]


def test_an_action_may_write_bytes_in_each_cell() -> None:
    class Farm(ParallelNode):
        class Hosts:
            host = (type("web1", (LocalHost,), {}), type("web2", (LocalHost,), {}))

        def dump(self) -> str:
            # The second character comes in two pieces.
            for data in (b"a", b"\xc3", b"\xa9\n"):
                assert sys.stdout.buffer.write(data) == len(data)
            sys.stdout.flush()
            return sys.stdout.encoding

    shown = Shown("stream")
    assert list(Env(Farm(), shown.pty).dump().values()) == ["utf-8"] * 2
    assert sorted(shown.lines) == ["", "web1 | aé", "web2 | aé"]
