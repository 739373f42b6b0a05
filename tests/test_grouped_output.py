"""Output and failures that are equal stand once, under the names of all their hosts."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deployer.exceptions import ConnectionFailedException
from deployer.host import LocalHost
from deployer.node import Env, ParallelNode, serial
from deployer.parallel import Job, RunOptions, run
from deployer.pseudo_terminal import Pty
from shown_jobs import Act, Shown, fails, says
from waiting import until

ROOT = Path(__file__).parent.parent


def show(output: str, jobs: dict[str, Act]) -> tuple[list[str], list[str]]:
    """Return the lines on stdout and on stderr."""
    shown = Shown(output)
    shown.run(jobs)
    return shown.out, shown.err


def on_host(name: str, command: str) -> Act:
    return lambda pty: type(name, (LocalHost,), {})(pty).run(command)


# Failures.


@pytest.mark.parametrize("output", ["gather", "diff"])
def test_an_equal_failure_stands_once_under_its_hosts(output: str) -> None:
    jobs = {f"web{n}": fails(error=ValueError("bad")) for n in range(1, 4)}
    _, err = show(output, {**jobs, "db": fails(error=ValueError("worse"))})
    (several, one) = (err.index("web[1-3] (3):"), err.index("db:"))
    assert "  ValueError: bad" in err[several:one]
    assert "  ValueError: worse" in err[one:]
    assert sum("ValueError: " in line for line in err) == 2


def test_a_command_that_failed_alike_on_several_hosts_names_them_all() -> None:
    jobs = {f"web{n}": on_host(f"web{n}", "exit 3") for n in range(1, 4)}
    _, err = show("gather", {**jobs, "web4": on_host("web4", "exit 4")})
    assert err[0:5] == [
        "web[1-3] (3):",
        "  Command failed",
        "    host     web[1-3]",
        "    command  exit 3",
        "    status   3",
    ]
    assert [line.split()[:2] for line in err if "status " in line] == [
        ["status", "3"],
        ["status", "4"],
    ]
    assert "    host     web4" in err


def test_hosts_that_cannot_be_reached_are_told_in_one_line() -> None:
    def refuses(name: str) -> Act:
        message = f"{name}: cannot connect to {name}.example.com port 22: refused"
        return fails(error=ConnectionFailedException(message))

    _, err = show("gather", {f"web{n:02}": refuses(f"web{n:02}") for n in range(1, 96)})
    names = "web[01-95]"
    refused = f"{names}: cannot connect to {names}.example.com port 22: refused"
    assert err[0:2] == [f"{names} (95):", f"  ConnectionFailedException: {refused}"]
    assert sum("refused" in line for line in err) == 1


def test_a_host_whose_name_is_in_other_words_spoils_no_text() -> None:
    _, err = show(
        "gather", {"a": fails(error=OSError("a sad tale of 1")), "1": fails(error=OSError("2"))}
    )
    assert {"  OSError: a sad tale of 1", "  OSError: 2"} <= set(err)


# What is equal.


def test_only_the_same_output_is_shown_together() -> None:
    texts = ["  a\n", "  a", "\n\n  a\n\n", "  a  \n"]
    out, _ = show("gather", {f"web{n}": says(text) for n, text in enumerate(texts, 1)})
    assert out == [
        *("web[1-2] (2):", "    a"),
        *("web3:", "", "", "    a", ""),
        *("web4:", "    a  "),
    ]


def test_all_that_differs_from_no_output_is_what_is_there() -> None:
    out, _ = show("diff", {"web1": says(""), "web2": says("hi\n"), "web3": says("")})
    assert out[2:] == ["--- web[1,3] (2)", "+++ web2", "@@ -0,0 +1 @@", "+hi"]


def test_colours_are_no_difference() -> None:
    jobs = {"web1": says("hi\n"), "web2": says("\x1b[31mhi\x1b[0m\n")}
    assert show("diff", jobs)[0] == ["web[1-2] (2):", "  hi"]


def test_what_a_job_runs_in_turn_is_equal_whichever_is_quicker() -> None:
    ended: set[tuple[str, str]] = set()

    def outer(name: str, order: tuple[str, str]) -> Act:
        def inner(host: str) -> Act:
            def act(pty: Pty) -> None:
                if host == order[1]:
                    until(lambda: (name, order[0]) in ended)
                pty.write(f"on {host}\n")
                ended.add((name, host))
                raise ValueError("bad")

            return act

        return lambda pty: _raise_first(
            run(pty, [Job(host, inner(host)) for host in ("db1", "db2")], RunOptions())
        )

    jobs = {"web1": outer("web1", ("db1", "db2")), "web2": outer("web2", ("db2", "db1"))}
    out, err = show("gather", jobs)
    assert out == ["web[1-2] (2):", "  db1:", "    on db1", "  db2:", "    on db2"]
    assert err[0:2] == ["web[1-2] (2):", "  db[1-2] (2):"]
    recaps = [line for line in err if line.startswith("  db") and "failed" in line]
    assert recaps == ["  db[1-2] (2)  failed (ValueError)"]


def _raise_first(outcomes: list[Any]) -> None:
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error


# What is run again.


TREE = """
from deployer.client import start
from deployer.host import LocalHost
from deployer.node import ParallelNode

class Site(ParallelNode):
    class Hosts:
        host = tuple(type(name, (LocalHost,), {}) for name in ("--", "-x", "a", "b"))

    def act(self, failing):
        print(self.host.slug)
        if self.host.slug in failing.split("/"):
            raise ValueError

start(Site)
"""


@pytest.mark.parametrize("failing", ["-x/b", "--", "--/-x"])
def test_hosts_that_look_like_options_are_run_again(tmp_path: Path, failing: str) -> None:
    (tmp_path / "deploy.py").write_text(TREE)

    def shell(line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            line, shell=True, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
        )

    script = f"{sys.executable} {tmp_path / 'deploy.py'}"
    told = shell(f"{script} run -q --output gather -- act {failing}").stderr
    (again,) = (line for line in told.splitlines() if line.startswith("run again: "))
    second = shell(again.removeprefix("run again: ").replace("gather", "jsonl"))
    begun = second.stdout.count('"event": "start"')
    assert (second.returncode, begun) == (1, len(failing.split("/"))), second.stderr


@pytest.mark.parametrize("option", ["--hosts", "--output", "--outdir"])
def test_two_dashes_are_no_value(tmp_path: Path, option: str) -> None:
    (tmp_path / "deploy.py").write_text(TREE)
    words = [sys.executable, str(tmp_path / "deploy.py"), "exec", f"{option}=--", ".", "true"]
    told = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert (told.returncode, told.stderr.count("\n")) == (2, 1)
    assert "-- cannot be the value of an option" in told.stderr


# Options that make no sense.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hosts": ["web1"]}, r"hosts is \['web1'\]"),
        ({"batches": "25%"}, "batches is '25%'; it has to be a tuple"),
        ({"batches": 2}, "batches is 2; it has to be a tuple"),
    ],
)
def test_an_option_of_the_wrong_kind_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RunOptions().replace(**options)


@pytest.mark.parametrize("count", [1, 2])
def test_an_unknown_output_is_refused_with_those_there_are(count: int) -> None:
    with pytest.raises(ValueError, match="no output 'nope'; there are live, stream, gather"):
        show("nope", {f"web{n}": says("") for n in range(count)})


def test_no_batches_undo_those_of_the_action() -> None:
    class Farm(ParallelNode):
        class Hosts:
            host = tuple(type(f"web{n}", (LocalHost,), {}) for n in range(3))

        @serial(1)
        def act(self) -> None:
            begun.append(self.host.slug)
            until(lambda: len(begun) == 3 or not is_at_once)

    pty = Pty(io.StringIO(), io.StringIO(), interactive=False)
    begun: list[str] = []
    is_at_once = True
    Env(Farm(), pty).act.with_options(batches=())()
    assert len(begun) == 3
    begun.clear()
    is_at_once = False
    Env(Farm(), pty).act()
    assert begun == ["web0", "web1", "web2"]
