"""Where there are colours: what was asked for, the environment, and each stream decide."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deployer.utils.colours import choose_colours, paint, shows_colours
from terminals import ROOT, TIMEOUT

pytestmark = pytest.mark.machine

SCRIPT = """\
from deployer.client import start
from deployer.host import LocalHost
from deployer.node import Node, ParallelNode

class one(LocalHost):
    pass

class two(LocalHost):
    pass

class Root(ParallelNode):
    "All of it."

    class Hosts:
        host = one, two

    def act(self):
        self.host.run("true")

if __name__ == "__main__":
    start(Root)
"""

COLOUR = b"\x1b["
VARIABLES = ("NO_COLOR", "FORCE_COLOR", "DEPLOYER_COLOR", "PYTHON_COLORS")

Coloured = Callable[..., tuple[bool, bool]]


@pytest.fixture
def coloured(tmp_path: Path) -> Coloured:
    """Return a function that runs a script, and says whether stdout and stderr have colours."""
    script = tmp_path / "deploy.py"
    script.write_text(SCRIPT)

    def run(*words: str, terminals: str = "", **environment: str) -> tuple[bool, bool]:
        kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        readers, writers = [], []
        for name in ("out", "err"):
            reader, writer = pty.openpty() if name in terminals else os.pipe()
            readers.append(reader)
            writers.append(writer)
        process = subprocess.Popen(
            [sys.executable, str(script), *words],
            stdin=subprocess.DEVNULL,
            stdout=writers[0],
            stderr=writers[1],
            env={**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm", **environment},
        )
        for writer in writers:
            os.close(writer)
        # What it writes is less than a pipe or a terminal holds.
        process.wait(TIMEOUT)
        found = [COLOUR in read_all(reader) for reader in readers]
        return found[0], found[1]

    return run


def read_all(reader: int) -> bytes:
    data = b""
    try:
        while piece := os.read(reader, 65536):
            data += piece
    except OSError:  # As Linux says it of a terminal that nobody else has any more.
        pass
    os.close(reader)
    return data


ACT = ("run", "--output", "gather", "act")


def test_each_stream_is_asked(coloured: Coloured) -> None:
    assert coloured(*ACT) == (False, False)
    assert coloured(*ACT, terminals="err") == (False, True)
    assert coloured("--help", terminals="out err") == (True, False)
    assert coloured("--help", terminals="err") == (False, False)
    assert coloured("--list", terminals="out") == (True, False)
    assert coloured("--list") == (False, False)


@pytest.mark.parametrize("words", [("--help",), ("run", "--help"), ("--list",)], ids=" ".join)
def test_help_obeys_what_was_asked_for(coloured: Coloured, words: tuple[str, ...]) -> None:
    assert coloured("--color", "always", *words) == (True, False)
    assert coloured(*words, "--color=always") == (True, False)
    assert coloured(*words, "--color", "never", terminals="out") == (False, False)
    assert coloured(*words, terminals="out", NO_COLOR="1") == (False, False)
    assert coloured(*words, FORCE_COLOR="1") == (True, False)


@pytest.mark.parametrize(
    ("words", "terminals", "environment", "expected"),
    [
        (["--color", "always"], "", {}, True),
        (["--color", "always"], "", {"NO_COLOR": "1"}, True),
        (["--color", "always"], "", {"TERM": "dumb"}, True),
        (["--color", "never"], "err", {}, False),
        (["--color", "never"], "err", {"FORCE_COLOR": "1"}, False),
        (["--color", "auto"], "err", {}, True),
        (["--color", "auto"], "err", {"NO_COLOR": "1"}, False),
        ([], "err", {"NO_COLOR": "1"}, False),
        ([], "err", {"NO_COLOR": "0"}, False),
        ([], "err", {"NO_COLOR": ""}, True),
        ([], "err", {"TERM": "dumb"}, False),
        ([], "", {"FORCE_COLOR": "1"}, True),
        ([], "", {"FORCE_COLOR": "0"}, False),
        ([], "", {"FORCE_COLOR": ""}, False),
        ([], "err", {"FORCE_COLOR": "0"}, True),
        ([], "", {"FORCE_COLOR": "1", "TERM": "dumb"}, True),
        ([], "err", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_who_decides(
    coloured: Coloured,
    words: list[str],
    terminals: str,
    environment: dict[str, str],
    expected: bool,
) -> None:
    _, on_stderr = coloured(*words, *ACT, terminals=terminals, **environment)
    assert on_stderr is expected


def test_json_has_no_colours_in_it(coloured: Coloured) -> None:
    assert coloured("--json", "--color", "always", "run", "act") == (False, False)


def test_other_processes_do_as_this_one() -> None:
    program = (
        "import subprocess, sys\n"
        "from deployer.utils.colours import choose_colours\n"
        "choose_colours(sys.argv[1])\n"
        "ask = 'import sys; from deployer.utils.colours import shows_colours as s;"
        " print(s(sys.stdout))'\n"
        "subprocess.run([sys.executable, '-c', ask], check=True)\n"
    )
    for when, expected in (("always", "True\n"), ("never", "False\n"), ("auto", "False\n")):
        kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        out = subprocess.check_output(
            [sys.executable, "-c", program, when], text=True, env=kept, cwd=ROOT
        )
        assert out == expected


def test_what_only_keeps_its_text_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert not shows_colours(io.StringIO())
    with open(os.devnull, "w") as closed:
        assert shows_colours(closed)
    assert not shows_colours(closed)


def test_nothing_is_chosen_by_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEPLOYER_COLOR", raising=False)
    choose_colours("auto")
    assert "DEPLOYER_COLOR" not in os.environ


def test_text_is_painted_where_it_is_asked_for() -> None:
    assert paint("x", "red", enabled=False) == "x"
    assert paint("x", None, enabled=True) == "x"
    assert paint("x", "red", enabled=True, bold=True) == "\x1b[1m\x1b[31mx\x1b[0m"
