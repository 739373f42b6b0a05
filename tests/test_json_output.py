"""What other programs read is JSON, whatever actions return and hosts print, and at what speed."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from deployer.exceptions import ConnectionFailedException
from deployer.host import LocalHost
from deployer.node import Env, ParallelNode
from deployer.node.shown import shown_as_asked
from deployer.parallel import Job, RunOptions, run
from deployer.pseudo_terminal import Presentation, Pty

Act = Callable[[Pty], object]
TEXT = "é€😀"


class Flushed(io.TextIOWrapper):
    """A stream of some encoding that counts how often it is flushed."""

    def __init__(self, encoding: str) -> None:
        self.kept = io.BytesIO()
        self.flushes = 0
        super().__init__(self.kept, encoding, newline="\n")

    def flush(self) -> None:
        self.flushes += 1
        super().flush()


class Written:
    """A run of which JSON is written."""

    def __init__(self, output: str = "jsonl", encoding: str = "utf-8") -> None:
        self.stdout = Flushed(encoding)
        self.pty = Pty(io.StringIO(), self.stdout, io.StringIO(), interactive=False, term="dumb")
        self.pty.presentation = Presentation(output)

    def run(self, jobs: dict[str, Act], **options: Any) -> list[dict[str, Any]]:
        """Run jobs as ``exec`` does, and return what was written."""
        made = [Job(name, act) for name, act in jobs.items()]
        run(self.pty, made, RunOptions(**options), "Root.farm.exec")
        return self.read()

    def read(self) -> list[dict[str, Any]]:
        """Return the objects, as a strict reader gets them."""
        lines = self.stdout.kept.getvalue().decode().splitlines()
        return [json.loads(line, parse_constant=pytest.fail) for line in lines]

    def read_lines(self) -> list[str]:
        """Return what the ``output`` events tell."""
        return [event["line"] for event in self.read() if event["event"] == "output"]


class one(LocalHost):
    pass


class two(LocalHost):
    pass


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


CYCLIC: list[object] = []
CYCLIC.append(CYCLIC)


class Farm(ParallelNode.Array):
    class Hosts:
        host = one, two

    def mixed(self) -> object:
        return {(1, 2): 3} if self.host.slug == "one" else 5

    def greet(self) -> str:
        sys.stdout.write(f"{TEXT}\n")
        return TEXT


# Results.


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ([1, (True, None), {"a": "é", 2: 0.5}], [1, [True, None], {"a": "é", "2": 0.5}]),
        ({"load": float("nan"), "n": 1}, {"load": "nan", "n": 1}),
        ([float("-inf")], ["-inf"]),
        ({"both": {1: 2, "1": 3}}, {"both": "{1: 2, '1': 3}"}),
        ([{(1, 2): 3}, 4], ["{(1, 2): 3}", 4]),
        ({None: {1}}, {"null": "{1}"}),
        ({"is in": CYCLIC}, "{'is in': [[...]]}"),
    ],
)
@pytest.mark.parametrize("output", ["json", "jsonl"])
def test_of_a_result_only_what_json_lacks_is_a_repr(output: str, result: Any, told: Any) -> None:
    written = Written(output).run({"web1": lambda pty: result})
    host = written[0]["hosts"][0] if output == "json" else written[1]
    assert (host["status"], host["result"]) == ("ok", told)


@pytest.mark.parametrize("result", [10**5000, Unprintable()], ids=["number", "object"])
def test_a_result_without_a_repr_is_no_failure(result: object) -> None:
    (told,) = Written("json").run({"a": lambda pty: result, "b": lambda pty: [result, 1]})
    a, b = (host["result"] for host in told["hosts"])
    assert told["status"] == "ok"
    assert a.startswith("<") and f"{type(result).__name__} object at 0x" in a
    assert b == [a, 1]
    begin, end, _ = Written("jsonl").run({"a": lambda pty: result})
    assert (begin["event"], end["event"], end["result"]) == ("start", "end", a)


@pytest.mark.parametrize("output", ["json", "jsonl"])
def test_what_json_lacks_in_the_result_of_a_cell_leaves_those_of_others_alone(output: str) -> None:
    written = Written(output)
    shown_as_asked(Env(Farm(), written.pty).mixed)()
    assert written.read()[-1]["result"] == {"one": "{(1, 2): 3}", "two": 5}


@pytest.mark.parametrize("output", ["json", "jsonl"])
def test_hosts_that_were_not_begun_leave_all_others_unreachable(output: str) -> None:
    def fails(pty: Pty) -> None:
        raise ConnectionFailedException("no")

    how = {"fan_out": 1, "fail_fast": True}
    assert Written(output).run({"a": fails, "b": fails}, **how)[-1]["status"] == "unreachable"
    told = Written(output).run({"a": lambda pty: None, "b": fails, "c": fails}, **how)[-1]
    assert told["status"] == "failed"


# Text.


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "latin-1", "ascii"])
@pytest.mark.parametrize("output", ["json", "jsonl"])
def test_nothing_is_lost_by_the_encoding_of_stdout(output: str, encoding: str) -> None:
    written = Written(output, encoding)
    shown_as_asked(Env(Farm(), written.pty).greet)()
    told = written.read()
    assert told[-1]["result"] == {"one": TEXT, "two": TEXT}
    if output == "json":
        assert [host["stdout"] for host in told[0]["hosts"]] == [f"{TEXT}\n"] * 2
    else:
        assert written.read_lines() == [TEXT, TEXT]
    is_escaped = written.stdout.kept.getvalue().isascii()
    assert is_escaped == (encoding in ("latin-1", "ascii"))


def test_lines_have_no_carriage_return_at_their_end() -> None:
    def act(pty: Pty) -> None:
        for text in ("a\r", "\nb 1%\rb 2%\r\n", "\n", "c", "c\r\nd"):
            pty.stdout.write(text)

    written = Written()
    written.run({"web1": act})
    assert written.read_lines() == ["a", "b 1%\rb 2%", "", "cc", "d"]


# Speed.


def test_a_line_may_come_in_very_many_pieces() -> None:
    def act(pty: Pty) -> None:
        for _ in range(2000):
            pty.stdout.write("x" * 10000)

    written = Written()
    start = time.process_time()
    written.run({"web1": act})
    assert time.process_time() - start < 2
    assert [len(line) for line in written.read_lines()] == [20_000_000]


def test_lines_that_come_together_are_written_together_and_at_once() -> None:
    written = Written()
    flushes, seen = [], []

    def act(pty: Pty) -> None:
        for text in ("line\n" * 10000, "last\n"):
            before = written.stdout.flushes
            pty.stdout.write(text)
            flushes.append(written.stdout.flushes - before)
            seen.append(len(written.read_lines()))

    written.run({"web1": act})
    assert flushes == [1, 1]
    assert seen == [10000, 10001]
