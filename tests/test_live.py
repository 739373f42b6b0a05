"""Parallel runs at a terminal: what the screen shows, and what the keys do."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pyte
import pytest

from deployer.parallel.views.cells import Cell
from deployer.parallel.views.terminal_pty import TerminalPty
from deployer.parallel.views.view import View
from deployer.pseudo_terminal import Pty
from terminals import Screen, run_in_terminal
from waiting import until

pytestmark = pytest.mark.machine

_HEAD = """
import os, sys
from deployer.client import start
from deployer.host import LocalHost
from deployer.node import Node, ParallelNode, dont_isolate_yet, serial

def make(*names):
    return tuple(type(name, (LocalHost,), {}) for name in names)

class Farm(ParallelNode):
    class Hosts:
        host = make(*os.environ["HOSTS"].split())

    def hello(self):
        self.host.run("echo hello")
        return "done"

    def until_file(self, name):
        # So that the tests say when it ends.
        self.host.run(f"echo begun; while [ ! -e {name} ]; do sleep 0.02; done; echo ended")

    def failing(self, name):
        if self.host.slug == "web2":
            self.host.run("echo one; echo two >&2; exit 3")
        self.until_file(name)

    def prompt(self):
        if self.host.slug == "web2":
            self.host.run("printf 'Your name: '; read name; echo Hello, $name")
            self.host.run(
                "stty size; until stty size | grep -qx '30 100'; do sleep 0.02; done;"
                " echo resized; read line; echo got $line"
            )
        else:
            self.until_file(os.environ["DONE"])

    def edit(self, name):
        if self.host.slug == "web2":
            self.host.run(f"vi {name}")
        else:
            self.until_file(os.environ["DONE"])

    def ask(self):
        if self.host.slug in ("web2", "web3"):
            return self.console.input("Which branch", default="main")

    def choose(self):
        if self.host.slug == "web2":
            return self.console.choice("What now?", [("Yes", 1), ("No", 2)])

    def ask_later(self, name):
        if self.host.slug == "web2":
            self.host.run(f"while [ ! -e {name} ]; do sleep 0.02; done")
            return self.console.input("Which branch")
        self.until_file(os.environ["DONE"])

    def answer(self, name):
        if self.host.slug == "web2":
            self.host.run(f"printf 'Sure? '; while [ ! -e {name} ]; do sleep 0.02; done; exit 3")
        self.host.run("printf 'Really? '; read line; echo got $line; [ $line = yes ]")

    def asks_terminal(self):
        self.host.run(r"printf '\\033[6n\\033[c'; echo asked; read line; [ $line = me ]")

    def colourful(self):
        self.host.run(r"printf '\\033[31mred\\n\\033[7mreverse\\n'; exit 3")

    def flood(self):
        self.host.run("yes | head -n 3000; exit 3")

    @dont_isolate_yet
    def ask_once(self):
        answer = self.console.input("For all")
        return self.use(answer)

    def use(self, answer):
        return f"{self.host.slug} {answer}"

    def sleep(self):
        self.host.run(f"exec sleep {os.environ['SECONDS_']}")

    def deaf(self):
        # A job that does not notice Ctrl-C before it has computed for long.
        import time
        print("computing")
        for _ in range(600):
            time.sleep(0.1)

if __name__ == "__main__":
    start(Farm, name="farm")
"""

Start = Callable[..., AbstractContextManager[Screen]]


@pytest.fixture
def farm(tmp_path: Path) -> Start:
    """Return a function that runs an action of a farm of hosts at a terminal."""
    script = tmp_path / "deploy.py"
    script.write_text(_HEAD)

    @contextmanager
    def start(
        *arguments: str, hosts: str = "web1 web2 web3", with_colours: bool = False, **how: int
    ) -> Iterator[Screen]:
        with run_in_terminal(
            script,
            *arguments,
            HOSTS=hosts,
            NO_COLOR="" if with_colours else "1",
            DONE=str(tmp_path / "done"),
            SECONDS_=f"4321.{os.getpid()}",
            XDG_STATE_HOME=str(tmp_path),
            **how,  # type: ignore[arg-type]
        ) as screen:
            yield screen

    return start


@pytest.fixture
def done(tmp_path: Path) -> Path:
    """Return the file whose coming ends what runs."""
    return tmp_path / "done"


def has(*patterns: str) -> Callable[[list[str]], bool]:
    """Return a condition: there are lines that these patterns match, in this order."""

    def is_there(lines: list[str]) -> bool:
        rest = iter(lines)
        return all(any(re.search(pattern, line) for line in rest) for pattern in patterns)

    return is_there


def sleeping() -> bool:
    pattern = f"[s]leep 4321.{os.getpid()}"
    return subprocess.run(["pgrep", "-f", pattern], capture_output=True).returncode == 0


# The block.


def test_the_block_shows_counts_and_who_takes_longest(farm: Start, done: Path) -> None:
    hosts = " ".join(f"web{n}" for n in range(1, 21))
    with farm("run", "--parallel", "15", "until_file", str(done), hosts=hosts) as screen:
        lines = screen.wait_for(has("Farm.until_file: 0/20 done, 15 running, 5 waiting"))
        screen.wait_for(has(r"^ web1 .* begun$"))
        lines = screen.lines
        assert len(lines) == 8
        assert lines[1].split()[0] == "web1" and lines[5].split()[0] == "web5"
        assert lines[6] == " … and 10 more"
        assert lines[7] == "Enter: who is pending   a: attach   Ctrl-C: stop"
        done.touch()
        lines = screen.wait_for(has(r"web\[1-20\] \(20\)  ok"))
        assert screen.wait_for_end() == 0
        assert [line for line in screen.lines if "done," in line or "Enter:" in line] == []


def test_equal_output_is_folded_at_the_end(farm: Start) -> None:
    with farm("run", "hello") as screen:
        assert screen.wait_for_end() == 0
        lines = screen.lines
        assert lines[:3] == ["web[1-3] (3):", "  $ echo hello", "  hello"]
        assert lines[3].startswith("web[1-3] (3)  ok  ")
        assert lines[4:] == ["web[1-3]: done"]


def test_a_failure_is_printed_whole_and_at_once(farm: Start, done: Path) -> None:
    with farm("run", "failing", str(done), columns=200) as screen:
        lines = screen.wait_for(has("web2: exit 3", r"\| one", r"\| two", "status   3", "1 failed"))
        assert any("2 running" in line for line in lines)
        done.touch()
        assert screen.wait_for_end() == 1
        lines = screen.lines
        assert sum("| one" in line for line in lines) == 1
        assert has(
            r"^web\[1,3\] \(2\):$",
            "ended",
            r"web\[1,3\] \(2\)  ok",
            "web2 .* exit 3",
            f"run again: farm run --hosts web2 failing {done}",
            "Failed on 1 of 3 hosts",
        )(lines)


def test_the_line_to_run_again_runs_the_failed_hosts_only(farm: Start, done: Path) -> None:
    with farm("run", "--hosts", "web2", "failing", str(done)) as screen:
        # A single host, at a terminal: somebody is asked.
        screen.wait_for(has("What now"))
        screen.type("a\r")
        assert screen.wait_for_end() == 1
        assert not any("web1" in line or "web3" in line for line in screen.lines)


def test_enter_says_who_is_pending(farm: Start, done: Path) -> None:
    with farm("run", "--parallel", "2", "until_file", str(done)) as screen:
        screen.wait_for(has("web1.*begun"))
        screen.type("\r")
        lines = screen.wait_for(has("^web1  ", "^web2  ", "^not begun yet: web3", "0/3 done"))
        done.touch()
        assert screen.wait_for_end() == 0
        assert sum(line == "not begun yet: web3" for line in lines) == 1


def test_no_line_of_the_block_is_wider_than_the_window(farm: Start, done: Path) -> None:
    hosts = " ".join(f"web{n}" for n in range(9))
    with farm("run", "until_file", str(done), hosts=hosts, rows=12, columns=5) as screen:
        lines = screen.wait_for(lambda lines: lines[-1:] == ["Ent…"])
        assert len(lines) == 8 and lines[-2] == " … …"
        done.touch()
        assert screen.wait_for_end() == 0


def test_the_block_fits_into_a_small_window(farm: Start, done: Path) -> None:
    hosts = " ".join(f"a-very-long-name-of-a-host-{n}" for n in range(9))
    with farm("run", "until_file", str(done), hosts=hosts, rows=5, columns=30) as screen:
        screen.wait_for(lambda lines: len(lines) == 4 and has("begun")(lines))
        assert all(len(line) < 30 for line in screen.lines)
        done.touch()
        assert screen.wait_for_end() == 0


def test_of_a_flood_that_failed_the_end_is_shown(farm: Start) -> None:
    with farm("run", "flood", hosts="web1 web2", rows=1100) as screen:
        assert screen.wait_for_end() == 1
        lines = screen.lines
    # Besides those of the output, there are lines that say what was run, and how it ended.
    assert "  … 2,002 lines before these are left out (--outdir keeps all)" in lines
    assert has(r"\| y", "exit status 3", "status +3", "left out", r"\| y", "exit status 3")(lines)


def test_the_colours_of_a_failure_end_with_its_lines(farm: Start) -> None:
    with farm("run", "colourful", with_colours=True) as screen:
        assert screen.wait_for_end() == 1
        lines = screen.lines
        rows = [screen._screen.buffer[lines.index(f"  | {text}")] for text in ("red", "reverse")]
        rows.append(screen._screen.buffer[lines.index("  | reverse") + 1])
        assert [(row[2].fg, row[2].reverse) for row in rows] == [("default", False)] * 3
        assert [row[4].fg for row in rows[:2]] == ["red", "red"] and rows[1][4].reverse


# Somebody attaches.


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have the screen do what real ones do, and return what becomes longer when it rings."""
    set_margins = pyte.Screen.set_margins

    def set_margins_and_move(screen: pyte.Screen, *margins: int) -> None:
        set_margins(screen, *margins)
        screen.cursor_position()

    bells: list[str] = []
    monkeypatch.setattr(pyte.Screen, "set_margins", set_margins_and_move)
    monkeypatch.setattr(pyte.Screen, "bell", lambda *_: bells.append("bell"))
    return bells


def test_what_was_on_the_screen_is_still_there_when_somebody_is_back(
    farm: Start, done: Path, rung: list[str]
) -> None:
    with farm("run", "answer", str(done), columns=120) as screen:
        screen.wait_for(has("web1.*waiting for you"))
        screen.type("aweb1\r")
        screen.wait_for(has("attached to web1", "Really"))
        screen.type("no\r")
        screen.wait_for(has("web1: exit 1", r"\| got no", "1 failed"))
        screen.type("aweb3\r")
        screen.wait_for(has("attached to web3", "Really"))
        screen.type("\x1d")
        lines = screen.wait_for(has("attached to web3", "0 failed|1 failed"))
        assert has("attached to web1", "web1: exit 1", r"\| got no", "attached to web3")(lines)
        done.touch()
        screen.wait_for(has("web2: exit 3", "2 failed"))
        screen.type("aweb3\ryes\r")
        assert screen.wait_for_end() == 1


def test_what_asks_the_terminal_is_not_asked_again(farm: Start) -> None:
    with farm("run", "asks_terminal", hosts="web1 web2") as screen:
        # As real terminals do.
        screen._screen.write_process_input = screen.type  # type: ignore[method-assign]
        for name in ("web1", "web2"):
            screen.wait_for(has(f"{name} .*asked"))
            screen.type(f"a{name}\r")
            screen.wait_for(has(f"attached to {name}", "asked"))
            screen.type("me\r")
        assert screen.wait_for_end() == 0


@pytest.mark.parametrize(
    "query",
    [
        *("\x05", "\x1bZ", "\x1b[c", "\x1b[>0c", "\x1b[=c", "\x1b[5n", "\x1b[?6n", "\x1b[?2026$p"),
        *("\x1b[14t", "\x1b[>q", "\x1b[>0q", "\x1b[?u", "\x1b]11;?\x07", "\x1b]4;1;?\x1b\\"),
        *("\x1b]52;c;?\x07", "\x1bP$qm\x1b\\", "\x1bP+q544e\x1b\\"),
    ],
)
def test_what_is_shown_again_has_no_queries(query: str) -> None:
    kept = "\x1b]0;what?\x07\x1b[?25l\x1b[2 q\x1b[5;1H\x1b[31m"
    terminal = TerminalPty(View(Pty(), ["web1"]), Cell(0, "web1"))
    terminal.take(f"a{kept}{query}b?\r\n".encode(), False)
    assert terminal.tail.decode() == f"a{kept}b?\r\n"
    terminal.end()
    terminal.close()


def test_a_bell_tells_whoever_is_attached_of_a_question(
    farm: Start, done: Path, tmp_path: Path, rung: list[str]
) -> None:
    ready = tmp_path / "ready"
    with farm("run", "ask_later", str(ready)) as screen:
        screen.wait_for(has("web1 .*begun"))
        screen.type("aweb1\r")
        screen.wait_for(has("attached to web1", "begun"))
        assert not rung
        ready.touch()
        screen.wait_for(lambda lines: bool(rung))
        screen.type("\x1d")
        screen.wait_for(has("web2: Which branch"))
        screen.type("main\r")
        done.touch()
        assert screen.wait_for_end() == 0
        assert rung == ["bell"]


def test_a_host_that_waits_for_an_answer_is_marked_and_gets_it(farm: Start, done: Path) -> None:
    with farm("run", "prompt") as screen:
        screen.wait_for(has("web2 .*waiting for you: Your name:"))
        screen.type("a\r")
        screen.wait_for(has("attached to web2; Ctrl-] returns", "Your name:"))
        screen.type("Bob\r")
        screen.wait_for(has("Hello, Bob", "24 80"))
        resize(screen, 30, 100)
        screen.wait_for(has("resized"))
        screen.type("\x1d")
        screen.wait_for(has("0/3 done"))
        # All at once, as who types fast does, or pastes.
        screen.type("aweb2\rmore\r")
        screen.wait_for(has("got more", "1/3 done"))
        done.touch()
        assert screen.wait_for_end() == 0
        assert has("web2:", "Hello, Bob", "got more")(screen.lines)


def resize(screen: Screen, rows: int, columns: int) -> None:
    screen._screen.resize(rows, columns)
    fcntl.ioctl(screen._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


@pytest.mark.parametrize("output", ["live", "panes"])
def test_an_editor_works_in_the_terminal_of_a_host(
    farm: Start, done: Path, tmp_path: Path, output: str, need_program: Callable[[str], str]
) -> None:
    need_program("vi")
    file = tmp_path / "file"
    with farm("run", "--output", output, "edit", str(file)) as screen:
        if output == "live":
            screen.wait_for(has("web2 .*takes the whole screen"))
            screen.type("aweb2\r")
        else:
            screen.wait_for(has("web[123] — Ctrl-]"))
            screen.type("\x1d")
            screen.wait_for(has("0/3 done"))
            screen.type("aweb2\r")
        screen.wait_for(lambda lines: lines.count("~") > 15)
        screen.type("itext\x1b:wq\r")
        until(file.exists)
        done.touch()
        assert screen.wait_for_end() == 0
        assert file.read_text() == "text\n"
        # What the editor drew is no output.
        folded = screen.lines[screen.lines.index("web2:") :]
        assert not any("~" in line for line in folded)


def test_a_name_that_is_typed_may_be_corrected(farm: Start, done: Path) -> None:
    with farm("run", "until_file", str(done)) as screen:
        screen.wait_for(has("web1.*begun"))
        screen.type("aweb3")
        screen.wait_for(has(r"attach to: web3_   \(Enter: web3, Esc: back\)"))
        screen.type("\x7f2")
        screen.wait_for(has("attach to: web2_"))
        screen.type("x")
        screen.wait_for(has(r"\(Enter: nobody"))
        screen.type("\x1b")
        screen.wait_for(has("Enter: who is pending"))
        done.touch()
        assert screen.wait_for_end() == 0


def test_without_tmux_one_host_at_a_time_has_the_screen(farm: Start, done: Path) -> None:
    with farm("run", "--output", "panes", "until_file", str(done)) as screen:
        screen.wait_for(has("web[123] — Ctrl-]: the others", "begun"))
        screen.type("\x1d")
        screen.wait_for(has("0/3 done, 3 running", "n: next"))
        screen.type("aweb1\r")
        screen.wait_for(has("web1 — Ctrl-]", "begun"))
        screen.type("\x1dn")
        screen.wait_for(has("web2 — Ctrl-]", "begun"))
        screen.type("\x1dp")
        screen.wait_for(has("web1 — Ctrl-]", "begun"))
        screen.type("\x1dp")
        screen.wait_for(has("web3 — Ctrl-]", "begun"))
        done.touch()
        assert screen.wait_for_end() == 0
        assert has(r"web\[1-3\] \(3\):", "ended", "ok")(screen.lines)
        assert not any("Ctrl-]" in line for line in screen.lines)


def test_without_tmux_failures_are_still_there_at_the_end(farm: Start, done: Path) -> None:
    with farm("run", "--output", "panes", "failing", str(done)) as screen:
        screen.wait_for(has("web[13] — Ctrl-]", "begun"))
        done.touch()
        assert screen.wait_for_end() == 1
        assert has("web2: exit 3", r"\| one", "status   3", r"web\[1,3\].*ok")(screen.lines)


def test_what_was_typed_for_a_host_that_has_ended_is_not_for_the_next(
    farm: Start, done: Path, tmp_path: Path
) -> None:
    script = tmp_path / "deploy.py"
    # So that a slow machine is not taken for a person who waits.
    patience = "from deployer.parallel.views import switching; switching._QUIET = 60"
    script.write_text(f"{patience}\n{_HEAD}")
    with farm("run", "--output", "panes", "answer", str(done), hosts="web2 web3") as screen:
        screen.wait_for(has("web[23] — Ctrl-]"))
        screen.type("\x1d")
        screen.wait_for(has("0/2 done, 2 running"))
        screen.type("aweb2\r")
        screen.wait_for(has("web2 — Ctrl-]", "Sure?"))
        screen.type("y")
        screen.wait_for(has("Sure. y"))
        done.touch()
        # And how many have failed meanwhile is said, too.
        screen.wait_for(has("web3 — Ctrl-]: the others; 1 failed", "Really?"))
        screen.type("es\r")
        screen.type("\x1d")
        screen.wait_for(has("1/2 done, 1 failed"))
        screen.type("\r")
        screen.wait_for(has("web3 — Ctrl-]", "Really?"))
        screen.type("yes\r")
        assert screen.wait_for_end() == 1
        assert has("  got yes", "web3 .*ok")(screen.lines)


# Questions.


def test_questions_are_asked_one_at_a_time_by_name(farm: Start) -> None:
    with farm("run", "ask") as screen:
        lines = screen.wait_for(lambda lines: lines[-1].endswith("Which branch [main]:"))
        first = lines[-1].partition(":")[0]
        screen.type("feature\r")
        other = {"web2": "web3", "web3": "web2"}[first]
        screen.wait_for(lambda lines: lines[-1] == f"{other}: Which branch [main]:")
        screen.type("\r")
        assert screen.wait_for_end() == 0
        assert f"{first}: feature" in screen.lines
        assert f"{other}: main" in screen.lines


def test_a_wrong_answer_is_asked_again_by_the_same_host(farm: Start) -> None:
    with farm("run", "choose") as screen:
        screen.wait_for(lambda lines: lines[-1] == "web2: What now? [Y]es, [N]o:")
        screen.type("maybe\r")
        lines = screen.wait_for(
            lambda lines: lines[-1] == "web2: What now? [Y]es, [N]o:" and len(lines) > 1
        )
        assert lines[-2] == "Please answer one of: [Y]es, [N]o."
        screen.type("n\r")
        assert screen.wait_for_end() == 0
        assert "web2: 2" in screen.lines


def test_an_action_that_is_not_isolated_yet_asks_once_for_all(farm: Start) -> None:
    with farm("run", "ask_once") as screen:
        screen.wait_for("For all:")
        screen.type("yes\r")
        assert screen.wait_for_end() == 0
        assert [
            line for line in screen.lines if line.startswith("web") and line.endswith("yes")
        ] == [f"web{n}: web{n} yes" for n in (1, 2, 3)]
        assert sum("For all" in line for line in screen.lines) == 1


def test_ctrl_c_at_a_question_stops_all(farm: Start) -> None:
    with farm("run", "ask") as screen:
        screen.wait_for(lambda lines: lines[-1].endswith("Which branch [main]:"))
        screen.type("\x03")
        assert screen.wait_for_end() == 130
        assert has("web1 .*ok", "stopped", "Interrupted")(screen.lines)


# Ctrl-C.


def test_ctrl_c_ends_what_runs_and_shows_what_became_of_it(farm: Start) -> None:
    with farm("run", "--parallel", "2", "sleep") as screen:
        screen.wait_for(has("2 running, 1 waiting"))
        until(sleeping)
        screen.type("\x03")
        assert screen.wait_for_end() == 130
        assert has(r"web\[1-2\] \(2\) .*stopped", "web3 .*not begun", "run again:", "Interrupted")(
            screen.lines
        )
        until(lambda: not sleeping())


def test_the_shell_goes_on_after_ctrl_c_with_the_terminal_as_it_was(farm: Start) -> None:
    with farm() as screen:
        screen.wait_for(lambda lines: lines[-1] == "Farm (3) >")
        before = termios.tcgetattr(screen._master)
        screen.type("sleep\r")
        screen.wait_for(has("3 running"))
        screen.type("\x03")
        screen.wait_for(
            lambda lines: has("stopped", "Interrupted")(lines) and lines[-1] == "Farm (3) ✗ >"
        )
        assert "run again: farm run --hosts 'web[1-3]' sleep" in screen.lines
        screen.type("hello\r")
        screen.wait_for(lambda lines: has(r"web\[1-3\]: done", r"Farm \(3\) >")(lines))
        until(lambda: termios.tcgetattr(screen._master) == before)


def test_a_second_ctrl_c_does_not_wait(farm: Start) -> None:
    with farm("run", "deaf") as screen:
        screen.wait_for(has("computing"))
        screen.type("\x03")
        screen.wait_for(has("stopping; Ctrl-C again closes the connections"))
        screen.type("\x03")
        assert screen.wait_for_end() == 130
        assert has(r"web\[1-3\] \(3\) .*stopped")(screen.lines)


# Where there is less of a terminal.


def test_a_dumb_terminal_gets_lines(farm: Start, tmp_path: Path) -> None:
    with run_in_terminal(
        tmp_path / "deploy.py", "run", "hello", HOSTS="web1 web2", TERM="dumb"
    ) as screen:
        assert screen.wait_for_end() == 0
        assert sorted(line for line in screen.lines if "| hello" in line) == [
            "web1 | hello",
            "web2 | hello",
        ]


def test_a_single_host_has_the_raw_terminal(farm: Start) -> None:
    with farm("run", "hello", hosts="web1") as screen:
        assert screen.wait_for_end() == 0
        assert screen.lines[:2] == ["web1 | $ echo hello", "hello"]


def test_output_that_redraws_itself_is_shown_as_it_was_left(farm: Start, tmp_path: Path) -> None:
    script = tmp_path / "deploy.py"
    script.write_text(
        _HEAD.replace('run("echo hello")', "run(r\"printf '10%%\\r50%%\\r100%%\\n'\")")
    )
    with farm("run", "hello") as screen:
        assert screen.wait_for_end() == 0
        assert "  100%" in screen.lines
        assert not any("10%" in line and "printf" not in line for line in screen.lines[2:])
