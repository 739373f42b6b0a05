"""How parallel runs are shown away from a terminal, and kept in files."""

from __future__ import annotations

import io
import json
import os
import stat
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from deployer.console import Console
from deployer.exceptions import (
    ConnectionFailedException,
    DeployerException,
    ExecCommandFailed,
    NoInput,
    ParallelActionException,
    ParallelExecCommandFailed,
)
from deployer.host import LocalHost
from deployer.host_container import HostsContainer
from deployer.loggers import DefaultLogger, LoggerInterface
from deployer.node import Env, Node, ParallelNode
from deployer.node.shown import shown_as_asked
from deployer.parallel import Interrupted, Job, Outcome, RunOptions, run
from deployer.parallel.views import OUTPUTS
from deployer.parallel.views.live import LiveView
from deployer.parallel.views.view import show_in
from deployer.pseudo_terminal import Pty
from deployer.secret import Secret
from shown_jobs import Act, Shown, fails, says


def on_here(command: str) -> Act:
    return lambda pty: LocalHost(pty).run(command)


# Lines as they come.


def test_stderr_is_marked_and_kept_apart() -> None:
    shown = Shown("stream")
    shown.run({"a": on_here("echo out; echo err >&2"), "b": says()})
    assert shown.out == ["a | out"]
    assert shown.err == ["a ! err"]


def test_the_commands_of_each_host_stand_behind_its_name() -> None:
    class Farm(ParallelNode):
        class Hosts:
            host = (type("web1", (LocalHost,), {}), type("database", (LocalHost,), {}))

        def act(self) -> None:
            self.host.run("true")

    shown = Shown("stream")
    logger = LoggerInterface()
    logger.attach(DefaultLogger())
    Env(Farm(), shown.pty, logger).act()
    assert sorted(shown.err) == ["database | $ true", "web1     | $ true"]


def test_by_default_a_single_host_has_the_terminal_itself() -> None:
    shown = Shown()
    shown.run({"a": says("one")})
    assert shown.out == ["one"]


# Folded output.


def test_gathered_output_is_written_once_where_it_is_equal() -> None:
    shown = Shown("gather")
    jobs: dict[str, Act] = {f"web{n:02}": says("same\n", "lines\n") for n in range(1, 19)}
    jobs["db1"] = says("other\n")
    jobs["quiet"] = says()
    shown.run(jobs)
    assert shown.out == ["web[01-18] (18):", "  same", "  lines", "db1:", "  other"]


def test_output_that_is_equal_with_another_end_is_not_folded() -> None:
    shown = Shown("gather")
    shown.run({"web1": says("x"), "web2": fails("x")})
    assert shown.out == ["web1:", "  x", "web2:", "  x"]


def test_a_recap_says_how_it_ended_and_how_it_is_run_again() -> None:
    shown = Shown("gather", make_rerun=lambda hosts: f"deploy.py run --hosts {hosts} act")
    jobs: dict[str, Act] = {f"web{n}": says() for n in range(1, 4)}
    jobs["web4"] = on_here("exit 3")
    jobs["web5"] = fails(error=ConnectionFailedException("web5: no"))
    jobs["web6"] = on_here("kill -9 $$")
    shown.run(jobs)
    recap = [line.split("  ") for line in shown.err[-5:-1]]
    assert [[word.strip() for word in line if word.strip()][:2] for line in recap] == [
        ["web[1-3] (3)", "ok"],
        ["web4", "exit 3"],
        ["web5", "unreachable"],
        ["web6", "signal KILL"],
    ]
    assert shown.err[-1] == "run again: deploy.py run --hosts web[4-6] act"


def test_differences_are_shown_against_the_most_common_output() -> None:
    shown = Shown("diff")
    shown.run({"web1": says("a\nb\n"), "web2": says("a\nc\n"), "web3": says("a\nb\n")})
    assert shown.out == [
        "web[1,3] (2):",
        "  a",
        "  b",
        "--- web[1,3] (2)",
        "+++ web2",
        "@@ -1,2 +1,2 @@",
        " a",
        "-b",
        "+c",
    ]


def test_no_output_is_something_to_differ_from() -> None:
    shown = Shown("diff")
    shown.run({"web1": says(), "web2": says("a\n"), "web3": says()})
    assert shown.out[0:2] == ["web[1,3] (2):", "  (no output)"]
    assert "+a" in shown.out


# Failures only.


def test_quietly_only_failures_are_shown() -> None:
    shown = Shown("quiet")
    shown.run({"web1": says("x"), "web2": on_here("echo why >&2; exit 3")})
    assert shown.out == []
    assert shown.err[0] == "web2:"
    assert "    status   3" in shown.err
    assert "    | why" in shown.err
    assert not any("web1" in line for line in shown.err)


# For other programs.


def test_json_is_one_object_with_all_hosts() -> None:
    shown = Shown("json")
    outcomes = shown.run(
        {
            "web1": on_here("echo out; echo err >&2"),
            "web2": on_here("echo half; exit 3"),
            "web3": lambda pty: {"a": Path("/x")},
            "web4": fails(error=ConnectionFailedException("web4: no")),
        }
    )
    (line,) = shown.out
    told = json.loads(line)
    assert (told["path"], told["action"], told["status"]) == ("Root.farm", "act", "failed")
    hosts = {host.pop("host"): host for host in told["hosts"]}
    assert all(isinstance(host.pop("duration"), float) for host in hosts.values())
    assert hosts["web1"] == {
        "status": "ok",
        "exit_code": 0,
        "stdout": "out\n",
        "stderr": "err\n",
        "result": "out\n",
        "error": None,
        "error_type": None,
    }
    assert hosts["web2"]["exit_code"] == 3
    assert hosts["web2"]["stdout"] == "half\n"
    assert hosts["web2"]["error_type"] == "ExecCommandFailed"
    assert (hosts["web3"]["exit_code"], hosts["web4"]["exit_code"]) == (0, None)
    assert hosts["web3"]["result"] == {"a": repr(Path("/x"))}
    assert (hosts["web4"]["status"], hosts["web4"]["error"]) == ("unreachable", "web4: no")
    assert [outcome.result_was_shown for outcome in outcomes] == [True] * 4


def test_json_lines_are_events() -> None:
    shown = Shown("jsonl")
    shown.run({"web1": on_here("printf 'a\\nb'"), "web2": fails()}, fan_out=1)
    events = [json.loads(line) for line in shown.out]
    assert all(event.pop("time", 0.0) is not None for event in events)
    assert [(event["event"], event.get("host")) for event in events[:-1]] == [
        ("start", "web1"),
        ("output", "web1"),
        ("output", "web1"),
        ("end", "web1"),
        ("start", "web2"),
        ("end", "web2"),
    ]
    assert [event["line"] for event in events if event["event"] == "output"] == ["a", "b"]
    assert events[3]["status"] == "ok"
    assert (events[-1]["event"], events[-1]["hosts"]) == ("summary", {"ok": 1, "failed": 1})


@pytest.mark.parametrize("output", ["json", "jsonl"])
def test_what_json_has_no_place_for_is_still_one_line_of_it(output: str) -> None:
    shown = Shown(output)
    cyclic: list[object] = []
    cyclic.append(cyclic)
    shown.run({"a": on_here("printf '\\377'"), "b": lambda pty: {(1, 2): 3}, "c": lambda p: cyclic})
    for line in shown.out:
        line.encode("utf-8")
        json.loads(line)
    assert any("\N{REPLACEMENT CHARACTER}" in line for line in shown.out)


# Files.


@pytest.mark.parametrize("output", [None, *OUTPUTS])
def test_the_whole_output_of_each_host_is_kept_in_a_file(
    output: str | None, tmp_path: Path
) -> None:
    directory = tmp_path / "new" / "logs"
    shown = Shown(output, directory)
    lines = "".join(f"line {n}\n" for n in range(5000))
    shown.run({"web1": says(lines), "web2": fails("half\n"), "web3": says()})
    assert (directory / "web1.log").read_text() == lines
    assert (directory / "web2.log").read_text() == "half\n"
    assert (directory / "web3.log").read_text() == ""
    assert stat.S_IMODE((directory / "web1.log").stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_single_host_has_a_file_too(tmp_path: Path) -> None:
    shown = Shown(None, tmp_path)
    shown.run({"web1": on_here("echo out; echo err >&2")})
    assert shown.out == ["out"]
    assert sorted((tmp_path / "web1.log").read_text().split()) == ["err", "out"]


def test_later_runs_of_a_process_go_on_behind(tmp_path: Path) -> None:
    (tmp_path / "web1.log").write_text("of another process\n")
    shown = Shown(None, tmp_path)
    for text in ("one\n", "two\n"):
        shown.run({"web1": says(text), "web2": says()})
    assert (tmp_path / "web1.log").read_text() == "one\ntwo\n"


def test_odd_names_get_files_of_their_own(tmp_path: Path) -> None:
    names = ["a/b", "a%2Fb", "..", "", "é"]
    Shown("quiet", tmp_path).run({name: says(name) for name in names})
    assert sorted(path.read_text() for path in tmp_path.iterdir()) == sorted(names)


def test_a_directory_that_cannot_be_made_stops_the_run_before_it_begins(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    begun: list[Pty] = []
    with pytest.raises(DeployerException, match=r"cannot be kept in .*file/logs"):
        Shown(None, tmp_path / "file" / "logs").run({"a": begun.append, "b": begun.append})
    assert begun == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_file_that_cannot_be_written_fails_no_command(tmp_path: Path) -> None:
    (tmp_path / "web1.log").symlink_to("/dev/full")
    shown = Shown("quiet", tmp_path)
    outcomes = shown.run({"web1": says("x" * 100_000), "web2": says("y")})
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert sum("No space left" in line for line in shown.err) == 1


# What belongs to a cell.


def test_print_in_a_cell_is_output_of_that_cell(capsys: pytest.CaptureFixture[str]) -> None:
    turn = threading.Barrier(2)

    def act(pty: Pty) -> None:
        print("begin", end=" ")  # noqa: T201
        turn.wait(10)
        print("end")  # noqa: T201
        print("wrong", file=sys.stderr)  # noqa: T201

    before = sys.stdout
    run(Pty(interactive=False), [Job(name, act) for name in ("a", "b")])
    assert sys.stdout is before
    captured = capsys.readouterr()
    assert sorted(captured.out.splitlines()) == ["a | begin end", "b | begin end"]
    assert sorted(captured.err.splitlines()) == ["a ! wrong", "b ! wrong"]


def test_print_elsewhere_goes_where_it_always_goes(capsys: pytest.CaptureFixture[str]) -> None:
    def act(pty: Pty) -> None:
        thread = threading.Thread(target=print, args=("of nobody",))
        thread.start()
        thread.join()

    Shown("gather").run({"a": act, "b": says()})
    assert capsys.readouterr().out == "of nobody\n"


def test_runs_at_the_same_time_leave_the_streams_as_they_were() -> None:
    before = sys.stdout, sys.stderr

    def several() -> None:
        Shown("quiet").run({"a": says("x"), "b": lambda pty: print("y")})  # noqa: T201

    threads = [threading.Thread(target=several) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sys.stdout, sys.stderr) == before


def test_nobody_is_asked_away_from_a_terminal() -> None:
    def ask(pty: Pty) -> str:
        return Console(pty).input("Which")

    outcomes = Shown("stream").run({"a": ask, "b": lambda p: Console(p).input("X", default="y")})
    assert isinstance(outcomes[0].error, NoInput)
    assert outcomes[1].result == "y"


# Actions.


def make_farm(names: Sequence[str]) -> type[ParallelNode]:
    class Farm(ParallelNode):
        class Hosts:
            host = tuple(type(name, (LocalHost,), {}) for name in names)

        def act(self, command: str = "true") -> object:
            return self.host.run(f"SLUG={self.host.slug}; {command}")

    return Farm


def test_a_stream_ends_with_what_has_failed_and_how_to_run_it_again() -> None:
    shown = Shown("stream", make_rerun=lambda hosts: f"deploy.py run --hosts {hosts} act")
    shown.run({"web1": says("x"), "web2": on_here("echo why >&2; exit 3")})
    assert shown.out == ["web1 | x"]
    assert shown.err[0:3] == ["web2 ! why", "web2 ! Command failed", "web2 !   host     LocalHost"]
    assert [line.split()[:3] for line in shown.err[-3:-1]] == [
        ["web1", "ok", "0.0s"],
        ["web2", "exit", "3"],
    ]
    assert shown.err[-1] == "run again: deploy.py run --hosts web2 act"


def test_where_nothing_fails_a_stream_is_only_what_hosts_say() -> None:
    shown = Shown("stream", make_rerun=lambda hosts: f"deploy.py run --hosts {hosts} act")
    shown.run({"web1": says("x"), "web2": says("y")})
    assert (sorted(shown.out), shown.err) == (["web1 | x", "web2 | y"], [])


def test_quietly_it_is_said_what_to_run_again() -> None:
    shown = Shown("quiet", make_rerun=lambda hosts: f"deploy.py run --hosts {hosts} act")
    shown.run({"web1": says("x"), "web2": on_here("exit 3")})
    assert shown.err[-1] == "run again: deploy.py run --hosts web2 act"


def test_failures_that_were_shown_say_so() -> None:
    farm = make_farm(["one", "two"])
    for output in ("gather", "stream", "quiet"):
        with pytest.raises(ParallelActionException) as caught:
            Env(farm(), Shown(output).pty).act("test $SLUG = one")
        assert caught.value.was_shown
        assert {cell.host.slug for cell in caught.value.result.succeeded} == {"one"}
        assert {cell.host.slug for cell in caught.value.result.failed} == {"two"}
    with pytest.raises(ParallelExecCommandFailed) as failed:
        HostsContainer({"host": farm.Hosts.host}, Shown("quiet").pty).run("false")
    assert failed.value.was_shown


def test_an_action_of_one_host_can_be_shown_in_another_way_as_well() -> None:
    class Alone(Node):
        class Hosts:
            host = type("web1", (LocalHost,), {})

        def act(self) -> str:
            return str(self.host.run("echo out"))

    shown = Shown("json")
    assert shown_as_asked(Env(Alone(), shown.pty).act)() is None
    (host,) = json.loads(shown.out[0])["hosts"]
    assert (host["host"], host["stdout"], host["result"]) == ("web1", "out\n", "out\n")
    quiet = Shown()
    assert shown_as_asked(Env(Alone(), quiet.pty).act)() == "out\n"


def test_what_is_run_within_a_job_is_shown_in_its_terminal() -> None:
    shown = Shown("gather")

    def outer(pty: Pty) -> None:
        run(pty, [Job("x", says("1\n")), Job("y", says("2\n"))], RunOptions(fan_out=1))

    shown.run({"a": outer, "b": outer})
    assert shown.out == ["a,b (2):", "  x:", "    1", "  y:", "    2"]


def test_after_an_interrupt_what_had_arrived_is_shown() -> None:
    shown = Shown("gather")

    def stop(pty: Pty) -> None:
        pty.write("begun\n")
        raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        shown.run({"a": says("done\n"), "b": stop, "c": says()}, fan_out=1)
    assert caught.value.was_shown
    assert shown.out == ["a:", "  done", "b:", "  begun"]
    statuses = [line.split("  ")[:2] for line in shown.err]
    assert [name.strip() for name, *_ in statuses] == ["a", "b", "c"]
    assert "stopped" in shown.err[1] and "not begun" in shown.err[2]


@pytest.mark.parametrize("output", OUTPUTS)
def test_no_secret_is_shown_of_an_error(output: str) -> None:
    secret = Secret("hunter2-canary")
    shown = Shown(output)
    shown.run({"a": fails(error=RuntimeError(secret.reveal())), "b": says()})
    assert "hunter2-canary" not in "\n".join([*shown.out, *shown.err])


def test_a_run_ends_when_nobody_reads_any_more() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    pty = Pty(io.StringIO(), Closed(), io.StringIO(), interactive=False)
    with pytest.raises(BrokenPipeError):
        run(pty, [Job("a", says("x\n")), Job("b", says("y\n"))])


def test_a_failed_command_is_an_outcome_and_no_more() -> None:
    outcomes = Shown("quiet").run({"a": on_here("exit 3"), "b": says()})
    assert isinstance(outcomes[0].error, ExecCommandFailed)
    assert outcomes[0].error_was_shown


def test_what_a_job_writes_is_shown_even_if_nobody_has_time_to_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LiveView, "_follow", lambda self: None)
    shown = Shown()
    lines = [str(number) for number in range(100)]

    def write(pty: Pty) -> Outcome[Any]:
        return Outcome("", pty.write("".join(f"{line}\n" for line in lines)))

    def run_in_order(functions: Sequence[Callable[[], Outcome[Any]]]) -> list[Outcome[Any]]:
        return [function() for function in functions]

    show_in(LiveView, shown.pty, [("a", write), ("b", write)], run_in_order)
    assert shown.out[:-1] == ["a,b (2):", *(f"  {line}" for line in lines)]
