"""The secure-copy shell at a real terminal, on a host over real SSH."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from deployer.host import Host, SSHHost
from fault_proxy import FaultProxy, fault_proxy
from terminals import Screen, run_in_terminal
from waiting import until
from world import Server

pytestmark = pytest.mark.machine

NewHost = Callable[..., type[SSHHost]]
MB = 1024 * 1024

SCRIPT = """\
from deployer.client import start
from deployer.host import SSHHost
from deployer.node import Node

class remote(SSHHost):
    {settings}

class Tree(Node):
    class Hosts:
        host = remote

start(Tree)
"""


class Desk:
    """A host, in a directory of its own, and a local directory for the shell to be in."""

    def __init__(self, host: SSHHost, here: Path) -> None:
        self.host = host
        self.here = here
        self.there = host.getcwd()

    @property
    def prompt(self) -> str:
        return f"remote:{self.there} >"

    @contextmanager
    def open_shell(self, **environment: str) -> Iterator[Screen]:
        """Give the shell at a terminal, in both directories."""
        names = ["address", "port", "username", "password", "key_filename", "config_filename"]
        settings = [f"{name} = {getattr(type(self.host), name)!r}" for name in names]
        script = self.here.parent / "deploy.py"
        script.write_text(SCRIPT.format(settings="\n    ".join(settings)))
        state = str(self.here.parent / "state")
        with run_in_terminal(
            script, "scp", columns=110, NO_COLOR="1", XDG_STATE_HOME=state, **environment
        ) as screen:
            screen.wait_for(lambda lines: lines[-1].startswith("remote:"))
            screen.type(f"cd {self.there}\n")
            screen.wait_for(lambda lines: lines[-1] == self.prompt)
            screen.type(f"lcd {shlex.quote(str(self.here))}\n")
            self.wait_for_prompt(screen, "lcd ")
            yield screen

    def wait_for_prompt(self, screen: Screen, command: str) -> list[str]:
        """Return what a command has written, once it has ended; it is the last of its kind."""

        def has_ended(lines: list[str]) -> bool:
            return lines[-1] == self.prompt and any(
                line.startswith(f"{self.prompt} {command}") for line in lines
            )

        lines = screen.wait_for(has_ended)
        start = max(
            n for n, line in enumerate(lines) if line.startswith(f"{self.prompt} {command}")
        )
        return lines[start + 1 : -1]

    def run(self, screen: Screen, line: str) -> list[str]:
        """Run a line, and return what it writes."""
        screen.type(f"{line}\n")
        return self.wait_for_prompt(screen, line[:20])

    def read(self, name: str) -> str:
        with self.host.open(name) as file:
            text: str = file.read()
        return text


@contextmanager
def open_desk(host_class: type[Host], tmp_path: Path) -> Iterator[Desk]:
    host = host_class()
    assert isinstance(host, SSHHost)
    here = tmp_path / "here"
    here.mkdir()
    directory = host.run("mktemp -d").strip()
    with host.cd(directory):
        yield Desk(host, here)
    host.run(f"chmod -R u+rwx {directory}; rm -rf {directory}")


@pytest.fixture
def desk(ssh_host: type[Host], tmp_path: Path) -> Iterator[Desk]:
    with open_desk(ssh_host, tmp_path) as desk:
        yield desk


@pytest.fixture
def proxy(sshd: Server) -> Iterator[FaultProxy]:
    # A line with so little to give that there is time to look.
    with fault_proxy(sshd.port, delay=0.02, piece=49152) as proxy:
        yield proxy


@pytest.fixture
def far_desk(
    new_ssh_host: NewHost, sshd: Server, proxy: FaultProxy, tmp_path: Path
) -> Iterator[Desk]:
    with open_desk(new_ssh_host(server=replace(sshd, port=proxy.port)), tmp_path) as desk:
        yield desk


def make_editor(tmp_path: Path, script: str) -> str:
    """Return an editor, with an option, that does what a shell script does to "$1"."""
    editor = tmp_path / "my editor"
    editor.write_text(f'#!/bin/sh\n[ "$1" = -x ] && shift\n{script}\n')
    editor.chmod(0o755)
    return f"'{editor}' -x"


# Completion.


def test_names_on_both_sides_complete_at_the_keyboard(desk: Desk) -> None:
    desk.host.run("mkdir 'my folder'; echo inner >'my folder/it'\\''s [1]'")
    with desk.open_shell() as screen:
        screen.type("get m\t")
        screen.wait_for(f"{desk.prompt} get my\\ folder/")
        screen.type("\t")
        screen.wait_for(f"{desk.prompt} get my\\ folder/it\\'s\\ \\[1]")
        screen.type("\n")
        desk.wait_for_prompt(screen, "get my")
        assert (desk.here / "it's [1]").read_text() == "inner\n"
        screen.type("put 'it\t")
        # Within quotes, a quote is closed and opened again.
        screen.wait_for(f"{desk.prompt} put 'it'\\''s [1]'")
        screen.type("\n")
        desk.wait_for_prompt(screen, "put 'it")
        assert desk.read("it's [1]") == "inner\n"


def test_options_complete_with_their_help(desk: Desk) -> None:
    with desk.open_shell() as screen:
        screen.type("ls -\t")
        lines = screen.wait_for(lambda lines: lines[-1] == f"{desk.prompt} ls -" and len(lines) > 4)
        assert "-l  with permissions, owners, sizes and times" in lines
        assert "-a  also what begins with a dot" in lines


# Copying.


def test_progress_and_speed_are_shown_and_a_line_stays(far_desk: Desk) -> None:
    (far_desk.here / "large").write_bytes(os.urandom(3 * MB))
    with far_desk.open_shell() as screen:
        screen.type("put large\n")
        bar = re.compile(
            r"large +\d+ % \[#+\.+\] [\d.]+ [KM]B of 3\.0 MB  [\d.]+ [KM]B/s  0:\d\d left"
        )
        screen.wait_for(lambda lines: bar.match(lines[-1]) is not None)
        lines = far_desk.wait_for_prompt(screen, "put large")
        assert len(lines) >= 1 and not any("%" in line for line in lines)
        assert re.search(r"large +3\.0 MB in [\d.]+ s, [\d.]+ [KM]B/s$", "".join(lines))
        assert far_desk.host.stat("large").st_size == 3 * MB


@pytest.mark.parametrize(
    ("line", "listing", "left"),
    [
        ("put large small .", "ls -a", []),
        ("put -r .", "ls -a", ["here/"]),
        ("put -r .", "ls -a here", []),
        ("get large small .", "lls -a", []),
    ],
)
def test_ctrl_c_stops_a_copy_and_keeps_the_shell_and_no_half_file(
    far_desk: Desk, line: str, listing: str, left: list[str]
) -> None:
    content = os.urandom(24 * MB)
    if line.startswith("put"):
        (far_desk.here / "large").write_bytes(content)
        (far_desk.here / "small").touch()
    else:
        # Not by the slow line.
        far_desk.host.run("head -c 25165824 /dev/urandom >large; touch small")
    with far_desk.open_shell() as screen:
        screen.type(f"{line}\n")
        screen.wait_for(lambda lines: " % [" in lines[-1])
        screen.type("\x03")
        lines = screen.wait_for(
            lambda lines: "Interrupted" in lines and lines[-1] == far_desk.prompt
        )
        assert ("0 of 2 are copied" in lines) == ("small" in line)
        assert far_desk.run(screen, listing) == left
        assert far_desk.run(screen, "pwd") == [far_desk.there]


# Removing.


def test_it_is_asked_before_several_files_or_directories_are_removed(desk: Desk) -> None:
    desk.host.run("touch a.log b.log single; mkdir -p d/e; touch d/e/f")
    with desk.open_shell() as screen:
        screen.type("rm *.log\n")
        screen.wait_for("Remove a.log, b.log from remote? [y/N]")
        screen.type("\n")
        assert "Nothing is removed" in desk.wait_for_prompt(screen, "rm *.log")
        screen.type("rm -r d\n")
        screen.wait_for("Remove d from remote, with all that is in it? [y/N]")
        screen.type("\x03")
        screen.wait_for(lambda lines: "Interrupted" in lines and lines[-1] == desk.prompt)
        assert desk.host.listdir() == ["a.log", "b.log", "d", "single"]
        desk.run(screen, "rm single")
        screen.type("rm -r d *.log\n")
        screen.wait_for(
            lambda lines: (
                "Remove d, a.log, b.log from remote, with all that is in directories? [y/N]"
                in lines
            )
        )
        screen.type("y\n")
        desk.wait_for_prompt(screen, "rm -r d *.log")
        assert desk.host.listdir() == []
        desk.host.run("touch a b")
        desk.run(screen, "rm -f a b")
        assert desk.host.listdir() == []


# The editor and the pager.


def test_edit_writes_back_what_was_changed(desk: Desk, tmp_path: Path) -> None:
    desk.host.run("echo one >'my file'; chmod 640 'my file'")
    editor = make_editor(tmp_path, 'echo two >>"$1"; stat -c %a "$(dirname "$1")"; basename "$1"')
    with desk.open_shell(EDITOR="false", VISUAL=editor) as screen:
        lines = desk.run(screen, "edit 'my file'")
        assert lines == ["700", "my file", f"remote:{desk.there}/my file is written"]
        assert desk.read("my file") == "one\ntwo\n"
        assert desk.host.stat("my file").permissions == 0o640
        desk.run(screen, "edit new")
        assert desk.read("new") == "two\n"
    assert not list(Path("/tmp").glob("deployer-edit-*/my file"))


def test_edit_writes_nothing_where_nothing_was_changed(desk: Desk, tmp_path: Path) -> None:
    desk.host.run("echo one >file; touch -d 2020-01-01 file")
    before = desk.host.stat("file")
    with desk.open_shell(EDITOR=make_editor(tmp_path, "true")) as screen:
        assert desk.run(screen, "edit file") == [f"remote:{desk.there}/file is not changed"]
    after = desk.host.stat("file")
    assert (after.st_mtime, after.st_size) == (before.st_mtime, before.st_size)


def test_edit_keeps_the_text_when_it_cannot_be_written(desk: Desk, tmp_path: Path) -> None:
    desk.host.run("mkdir d; echo one >d/file")
    with desk.open_shell(
        EDITOR=make_editor(tmp_path, f'echo two >>"$1"; touch {tmp_path}/go; cat >/dev/null')
    ) as screen:
        screen.type("edit d/file\n")
        until((tmp_path / "go").exists)
        desk.host.run("chmod 500 d")
        screen.type("\x04")
        lines = desk.wait_for_prompt(screen, "edit d/file")
        text = "".join(lines)
        assert f"remote: cannot write {desk.there}/d/file: Permission denied" in text
        kept = re.search(r"Your text is kept in (/\S+/file)", text)
        assert kept and Path(kept[1]).read_text() == "one\ntwo\n"
        Path(kept[1]).unlink()
        Path(kept[1]).parent.rmdir()
    assert desk.read("d/file") == "one\n"


def test_edit_asks_before_it_replaces_what_somebody_else_wrote(desk: Desk, tmp_path: Path) -> None:
    desk.host.run("echo one >file")
    with desk.open_shell(
        EDITOR=make_editor(tmp_path, f'echo two >>"$1"; touch {tmp_path}/go; cat >/dev/null')
    ) as screen:
        screen.type("edit file\n")
        until((tmp_path / "go").exists)
        desk.host.run("echo by somebody else >file")
        screen.type("\x04")
        screen.wait_for(lambda lines: "was changed meanwhile by somebody else" in "".join(lines))
        screen.type("y\n")
        desk.wait_for_prompt(screen, "edit file")
        assert desk.read("file") == "one\ntwo\n"


def test_an_editor_that_fails_writes_nothing(desk: Desk, tmp_path: Path) -> None:
    desk.host.run("echo one >file")
    with desk.open_shell(EDITOR="no-such-editor --wait") as screen:
        (line,) = desk.run(screen, "edit file")
        assert line == "this machine: cannot run no-such-editor: No such file or directory"
        (desk.here / "local").touch()
        assert desk.run(screen, "ledit local") == [line]
    with desk.open_shell(EDITOR="'open") as screen:
        assert desk.run(screen, "edit file") == [
            '$EDITOR is "\'open", which is no command: No closing quotation'
        ]
    with desk.open_shell(EDITOR="false") as screen:
        assert desk.run(screen, "edit file") == [f"remote:{desk.there}/file is not changed"]
    with desk.open_shell(EDITOR=make_editor(tmp_path, 'echo two >>"$1"; exit 3')) as screen:
        # The window is narrower than some of it, and a blank may be the last in a row.
        text = "".join(desk.run(screen, "edit file")).replace(" ", "")
        assert "/myeditorendedwithexitstatus3:nothingiswritten" in text
        kept = Path(text.partition("Yourtextiskeptin")[2])
        assert kept.read_text() == "one\ntwo\n"
        kept.unlink()
        kept.parent.rmdir()
    assert desk.read("file") == "one\n"


def test_ledit_runs_the_editor_on_local_files(desk: Desk, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (desk.here / name).touch()
    with desk.open_shell(EDITOR=make_editor(tmp_path, 'echo "$@" | wc -w >>"$1"')) as screen:
        desk.run(screen, "ledit *.txt")
        assert (desk.here / "a.txt").read_text() == "2\n"


def test_view_shows_text_in_the_pager(desk: Desk, tmp_path: Path) -> None:
    desk.host.run("seq 3 >text; ln -s text link")
    pager = make_editor(tmp_path, "sed 's/^/paged: /'")
    with desk.open_shell(PAGER=pager) as screen:
        assert desk.run(screen, "view link") == ["paged: 1", "paged: 2", "paged: 3"]


# Shells.


def test_a_shell_opens_on_either_side_where_one_is(desk: Desk, tmp_path: Path) -> None:
    with desk.open_shell(SHELL="/bin/sh", PS1="local> ") as screen:
        screen.type("connect\n")
        screen.wait_for(lambda lines: lines[-1].endswith("$"))
        screen.type("touch made-there; exit\n")
        desk.wait_for_prompt(screen, "connect")
        assert desk.host.exists("made-there")
        screen.type("lconnect\n")
        screen.wait_for(lambda lines: lines[-1] == "local>")
        screen.type("touch made-here; exit 3\n")
        desk.wait_for_prompt(screen, "lconnect")
        assert (desk.here / "made-here").exists()


def test_ctrl_c_in_a_local_command_ends_that_alone(desk: Desk) -> None:
    with desk.open_shell() as screen:
        screen.type("!trap 'echo caught; exit 4' INT; echo ready; while :; do sleep 0.01; done\n")
        screen.wait_for("ready")
        screen.type("\x03")
        lines = desk.wait_for_prompt(screen, "!trap")
        assert lines[-2].endswith("caught")
        assert lines[-1].endswith(": exit status 4")
        screen.type("!echo asleep; sleep 1000\n")
        screen.wait_for("asleep")
        # Again, if need be: bash misses it when it is about to start something.
        screen.interrupt_line(lambda lines: lines[-1] == desk.prompt)
        assert screen.lines[-2] == "Interrupted"
