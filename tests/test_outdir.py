"""The files that the output of hosts is kept in: when it is there, and what becomes of errors."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from deployer.node import Node
from deployer.parallel import Job, Outcome, run
from deployer.pseudo_terminal import Presentation, Pty
from deployer.run.arguments import parse_arguments
from deployer.run.terminal import OneAtATimePty
from deployer.run.wrong_use import WrongUse
from shell_tree import SCRIPT
from shown_jobs import Act, Shown, says
from terminals import run_script

needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="there is no /proc")
needs_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")


class Kept(Shown):
    """A place without a terminal, where the output of jobs is kept in files."""

    def __init__(self, directory: Path, kind: type[Pty] = Pty) -> None:
        super().__init__(directory=directory, kind=kind)
        self._directory = directory

    def run(self, jobs: dict[str, Act], **options: Any) -> list[Outcome[object]]:
        outcomes = super().run(jobs, **options)
        assert [outcome.error for outcome in outcomes] == [None] * len(jobs)
        return outcomes

    def read(self, name: str) -> bytes:
        return (self._directory / f"{name}.log").read_bytes()


def list_open(directory: Path) -> list[str]:
    """Return the names of the files in a directory that this process has open."""
    # That of the list itself is gone by then.
    links = [Path("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")]
    files = [Path(os.readlink(link)) for link in links if link.is_symlink()]
    return sorted(file.name for file in files if file.parent == directory)


@pytest.mark.parametrize("names", [["web1"], ["web1", "web2"]], ids=["alone", "together"])
def test_what_a_host_has_printed_is_in_its_file_at_once(names: list[str], tmp_path: Path) -> None:
    kept = Kept(tmp_path)

    def act(pty: Pty) -> bytes:
        pty.write("begun\n")
        return kept.read("web1")

    outcomes = kept.run(dict.fromkeys(names, act), fan_out=1)
    assert outcomes[0].result == b"begun\n"


@needs_proc
def test_a_file_is_open_only_while_its_host_runs(tmp_path: Path) -> None:
    names = ["web1", "web2", "web3"]
    kept = Kept(tmp_path)
    outcomes = kept.run(dict.fromkeys(names, lambda pty: list_open(tmp_path)), fan_out=1)
    assert [outcome.result for outcome in outcomes] == [["web1.log"], ["web2.log"], ["web3.log"]]
    assert list_open(tmp_path) == []


@needs_proc
def test_what_is_printed_after_the_end_is_kept_as_well(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    ptys: list[Pty] = []
    kept.run({"web1": ptys.append, "web2": says()})
    ptys[0].write("late\n")
    ptys[0].write("later\n")
    assert kept.read("web1") == b"late\nlater\n"
    assert "web1.log" not in list_open(tmp_path)


def test_a_name_that_is_too_long_for_a_file_concerns_no_other_host(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    long = "x" * 252
    kept.run(
        {"web1": says("one\n"), long: says("two\n", "three\n"), "web2": says("four\n")}, fan_out=1
    )
    assert (kept.read("web1"), kept.read("web2")) == (b"one\n", b"four\n")
    assert kept.err == [
        f"Warning: not all output of {long} is kept in {tmp_path}: File name too long"
    ]


@needs_full
@pytest.mark.parametrize(
    ("names", "folded"), [(["web1"], "web1"), (["web1", "web2", "web3"], "web[1-2]")]
)
def test_a_full_disk_is_told_once_also_when_little_is_printed(
    names: list[str], folded: str, tmp_path: Path
) -> None:
    for name in ("web1", "web2"):
        (tmp_path / f"{name}.log").symlink_to("/dev/full")
    kept = Kept(tmp_path)
    kept.run({name: says("a\n", "b\n") for name in names})
    assert kept.err == [
        f"Warning: not all output of {folded} is kept in {tmp_path}: No space left on device"
    ]
    assert sum(line.endswith("b") for line in kept.out) == len(names)
    assert "web3" not in names or kept.read("web3") == b"a\nb\n"


def test_what_no_file_has_a_place_for_is_replaced(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.run({"web1": lambda pty: print("a\ud800b\n\xe9"), "web2": says("\udcff\n")})  # noqa: T201
    assert kept.read("web1") == "a?b\n\xe9\n".encode()
    assert kept.read("web2") == b"\xff\n"


def test_what_a_terminal_has_no_place_for_is_kept_once(tmp_path: Path) -> None:
    shown = io.BytesIO()
    pty = Pty(io.StringIO(), io.TextIOWrapper(shown, "ascii"), interactive=False)
    pty.presentation = Presentation(directory=str(tmp_path))
    run(pty, [Job("web1", says("\xe9\n"))])
    assert (tmp_path / "web1.log").read_bytes() == "\xe9\n".encode()
    assert shown.getvalue() == b"?\n"


def test_the_end_of_a_line_may_come_in_two_pieces(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.run({"web1": says("a\r", "\nb\r", "50%\r", "100%\r"), "web2": says()})
    assert kept.read("web1") == b"a\nb\r50%\r100%\r"


def test_all_that_the_action_of_a_single_host_prints_is_kept(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    def act(pty: Pty) -> None:
        print("printed")  # noqa: T201
        sys.stdout.writelines(["line\n", "other\n"])
        sys.stdout.flush()
        sys.stdout.buffer.write(b"\xff\0\n")
        sys.stdout.buffer.flush()
        print("error", file=sys.stderr)  # noqa: T201
        pty.write("written\n")

    pty = Pty(interactive=False)
    pty.presentation = Presentation(directory=str(tmp_path))
    before = sys.stdout
    run(pty, [Job("web1", act)])
    assert sys.stdout is pty.stdout is before
    assert pty.presentation.directory == str(tmp_path)
    everything = b"printed\nline\nother\n\xff\0\nerror\nwritten\n"
    assert (tmp_path / "web1.log").read_bytes() == everything
    assert capfdbinary.readouterr() == (everything.replace(b"error\n", b""), b"error\n")


# One host at a time.


def test_of_one_host_at_a_time_each_has_its_file(tmp_path: Path) -> None:
    result = run_script(SCRIPT, "run", "-y", "-s", "--outdir", str(tmp_path), "web", "half")
    assert result.returncode == 1
    assert sorted(os.listdir(tmp_path)) == ["first.log", "second.log"]


def test_what_one_host_at_a_time_runs_in_turn_is_in_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def inner(pty: Pty) -> None:
        print("printed")  # noqa: T201
        pty.write("written\n")

    def outer(pty: Pty) -> None:
        pty.write("mine\n")
        run(pty, [Job("db1", inner), Job("db2", inner)])

    kept = Kept(tmp_path, OneAtATimePty)
    kept.run({"web1": outer, "web2": says("other\n")})
    assert sorted(os.listdir(tmp_path)) == ["web1.log", "web2.log"]
    assert kept.read("web1") == b"mine\n" + b"printed\nwritten\n" * 2
    assert kept.read("web2") == b"other\n"
    assert kept.out == ["mine", "written", "written", "other"]
    assert capsys.readouterr().out == "printed\n" * 2


# The command line.


@pytest.mark.parametrize("words", [["--outdir", ""], ["--outdir="], ["--outdir", " "]])
def test_a_variable_that_is_not_set_is_no_directory(words: list[str]) -> None:
    with pytest.raises(WrongUse, match=r"--outdir: it is empty"):
        parse_arguments("deploy.py", Node, ["exec", *words, "web", "true"])
