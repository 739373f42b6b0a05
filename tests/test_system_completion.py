"""The words of a program are completed by real shells, each in a terminal of its own.

What the completed line means is seen from what the program gets when it is run.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from terminals import ROOT, Screen, run_command_in_terminal

pytestmark = pytest.mark.machine

SHELLS = ("bash", "zsh", "fish")

# Run for completion, it does what it has to. Otherwise it shows its arguments, and runs nothing.
PROGRAM = """\
#!{python}
import json, os, sys
if sys.argv[1:2] not in (["--complete"], ["completion"]):
    print("ARGV", json.dumps(sys.argv[1:]))
    sys.exit()
if os.path.exists("quick"):
    # What deployer would answer about the words of "say", without its start.
    index, words = int(sys.argv[3]), sys.argv[5:]
    found = [word for word in {words!r} if word.startswith(words[index])]
    print(*(word + "\\t" for word in found), "space", sep="\\n")
    sys.exit()
if os.path.exists("noise"):
    print("noise")
    print("noise", file=sys.stderr)
if os.path.exists("broken"):
    raise RuntimeError("broken")
from enum import Enum
from deployer.client import start
from deployer.host import LocalHost
from deployer.node import Node, ParallelNode, alias

class Web1(LocalHost):
    slug = "web1"

class Web2(LocalHost):
    slug = "web2"

class Colour(Enum):
    red = "r"
    green = "g"

Word = Enum("Word", {{word: word for word in {words!r}}})

class Root(Node):
    class Hosts:
        database = LocalHost

    class git(Node):
        '''The repository.'''
        def checkout(self, commit, force: bool = False):
            '''Check out a commit.'''

    class web(ParallelNode.Array):
        '''The servers.'''
        class Hosts:
            host = (Web1, Web2)
        def restart(self):
            '''Restart it.'''

    @alias("two words")
    def paint(self, colour: Colour = Colour.red):
        '''Paint it.'''

    def say(self, *words: Word):
        '''Say some words.'''

start(Root, name={name!r})
"""

# Each is known by its first two characters.
WORDS = [
    "it's so",
    '"quoted"',
    "for$HOME",
    "any*",
    "end;ls",
    "ünder",
    "~tilde",
    "#hash",
    "=equals",
    "back\\slash",
    "{b,race}",
    "hey!",
    "(paren)",
    "[x]",
    "%percent",
    "^caret",
    "amp&&ls",
    # The last, as bash takes what follows for another command, also behind a backslash.
    "by`tty`",
]

# Without any of the user's files; the prompt is a single character.
COMMANDS = {
    "bash": ["bash", "--noprofile", "--norc"],
    "zsh": ["zsh", "-f"],
    "fish": [
        *("fish", "--no-config", "--init-command"),
        "set fish_greeting; set fish_autosuggestion_enabled 0; "
        "function fish_prompt; echo '> '; end",
    ],
}
SET_UP = {
    "bash": 'eval "$({program} completion bash)"',
    "zsh": 'eval "$({program} completion zsh)"',
    "fish": "{program} completion fish | source",
}


class Session:
    """A shell in a terminal, in the folder of a program."""

    def __init__(self, shell: str, screen: Screen, folder: Path) -> None:
        self.shell = shell
        self.screen = screen
        self.folder = folder
        self._begun = 0
        self.screen.wait_for(is_at_prompt)

    def begin(self) -> None:
        """Leave whatever line there is, and clear the screen."""
        self._begun += 1
        if not is_at_prompt(self.screen.lines):
            self.screen.interrupt_line(is_at_prompt)
        self.screen.type(f"clear; echo begun {self._begun}\r")
        self._wait_for_end(f"begun {self._begun}")

    def run(self, line: str) -> None:
        """Run a command, and wait for its end."""
        self.begin()
        self.screen.type(f"{line}\recho 'is' done\r")
        self._wait_for_end("is done")

    def get_arguments(self, keys: str) -> list[str]:
        """Type a line with Tabs in it and run it; return the arguments that the program gets."""
        self.begin()
        self.screen.type(keys + "\r")
        line = self._wait_for_end("ARGV [")
        arguments: list[str] = json.loads(line.removeprefix("ARGV "))
        return arguments

    @contextmanager
    def having(self, name: str) -> Iterator[None]:
        """Let the program find a file beside it."""
        (self.folder / name).touch()
        try:
            yield
        finally:
            (self.folder / name).unlink()

    def _wait_for_end(self, text: str) -> str:
        """Return the line that begins with a text, once it is there and the shell waits again."""

        def find(lines: list[str]) -> list[str]:
            return [line for line in lines if line.startswith(text)]

        lines = self.screen.wait_for(lambda lines: bool(find(lines)) and is_at_prompt(lines))
        return find(lines)[0]

    def show(self, keys: str, *texts: str) -> list[str]:
        """Type a line, and return the screen once all these texts are on it."""
        self.begin()
        self.screen.type(keys)
        return self.screen.wait_for(lambda lines: all(text in "\n".join(lines) for text in texts))


def is_at_prompt(lines: list[str]) -> bool:
    return lines[-1] == ">"


def write_program(file: Path, name: str | None = None) -> None:
    file.write_text(PROGRAM.format(python=sys.executable, name=name, words=WORDS))
    file.chmod(0o755)


def write_script(file: Path, text: str) -> None:
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


@pytest.fixture(scope="module", params=SHELLS)
def session(
    request: pytest.FixtureRequest,
    need_program: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Session]:
    """A shell that completes ``./deploy.py``, in a folder with a blank in its name."""
    shell = request.param
    need_program(shell)
    top = tmp_path_factory.mktemp("completion")
    folder, home = top / "a folder", top / "home"
    (folder / "logs").mkdir(parents=True)
    (folder / "lost").touch()
    (folder / "big file").touch()
    (folder / "other").mkdir()
    home.mkdir()
    write_program(folder / "deploy.py")
    (home / "deploy.py").symlink_to(folder / "deploy.py")
    environment = {
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PS1": "> ",
        "PS2": "more> ",
        "PYTHONPATH": str(ROOT),
    }
    with run_command_in_terminal(COMMANDS[shell], folder, environment, 50, 400) as screen:
        session = Session(shell, screen, folder)
        session.run(SET_UP[shell].format(program="./deploy.py"))
        yield session


@pytest.mark.parametrize(
    ("keys", "arguments"),
    [
        ("ru\tx", ["run", "x"]),
        ("--ho\tx", ["--hosts", "x"]),
        ("--output ga\tru\t", ["--output", "gather", "run"]),
        ("--output=ga\tru\t", ["--output=gather", "run"]),
        ("run git.che\tx", ["run", "git.checkout", "x"]),
        ("run git.checkout fo\ty\tx", ["run", "git.checkout", "force=yes", "x"]),
        ("run paint colour=gr\tx", ["run", "paint", "colour=green", "x"]),
        ("ls web:web2\tx", ["ls", "web:web2", "x"]),
        ("ls web:\t2\tx", ["ls", "web:web2", "x"]),
        ("--hosts web1,w\tx", ["--hosts", "web1,web2", "x"]),
        ("run --path gi\tche\tx", ["run", "--path", "git", "checkout", "x"]),
        ("--json completion fi\tx", ["--json", "completion", "fish", "x"]),
        # The cursor is in the middle of the line.
        ("ru x\x02\x02\t", ["run", "x"]),
        ("--outp\t --outdir d\x01", ["--output", "--outdir", "d"]),
    ],
)
def test_a_word_is_completed(session: Session, keys: str, arguments: list[str]) -> None:
    assert session.get_arguments(f"./deploy.py {keys}") == arguments


@pytest.mark.parametrize("keys", ["tw", "two\\ w", "'two w", '"two w', "two' w", 'two" "w'])
def test_what_is_quoted_is_completed(session: Session, keys: str) -> None:
    assert session.get_arguments(f"./deploy.py run {keys}\tx") == ["run", "two words", "x"]


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_the_program_gets_a_word_as_it_is(session: Session, quote: str) -> None:
    begun = [word[:2] for word in WORDS]
    if not quote:
        begun = [re.sub(r"(\W)", r"\\\1", word) for word in begun]
    elif quote == '"':
        begun = [word.replace('"', '\\"') for word in begun]
    keys = "".join(f"{quote}{word}\t" for word in begun)
    # Once for deployer and the shell; for what the shell does with a quote, it need not be started.
    with session.having("quick" if quote else "nothing"):
        assert session.get_arguments(f"./deploy.py run say {keys}") == ["run", "say", *WORDS]


@pytest.mark.parametrize(
    ("keys", "arguments"),
    [
        ("run --log bi\tx", ["run", "--log", "big file", "x"]),
        ("run --log=bi\tx", ["run", "--log=big file", "x"]),
        ("--outdir lo\t", ["--outdir", "logs"]),
        ("--outdir=lo\t", ["--outdir=logs"]),
    ],
)
def test_paths_are_completed(session: Session, keys: str, arguments: list[str]) -> None:
    *others, last = session.get_arguments(f"./deploy.py {keys}")
    assert [*others, last.removesuffix("/")] == arguments


def test_help_stands_beside_what_there_is(session: Session) -> None:
    tabs = "\t\t" if session.shell == "bash" else "\t"
    session.show(f"./deploy.py --output {tabs}", "gather", "failures only")


@pytest.mark.parametrize("program", ["deploy.py", "~/deploy.py", "{folder}/deploy.py"])
def test_a_program_is_known_wherever_it_is_called_from(session: Session, program: str) -> None:
    command = program.format(folder=str(session.folder).replace(" ", "\\ "))
    assert session.get_arguments(f"{command} ru\tx") == ["run", "x"]


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_program_is_known_by_a_path_in_quotes(session: Session, quote: str) -> None:
    command = f"{quote}{session.folder}/deploy.py{quote}"
    assert session.get_arguments(f"{command} ru\tx") == ["run", "x"]


def test_a_program_may_have_another_name(session: Session) -> None:
    write_program(session.folder / "named.py", "site")
    write_script(session.folder / "site", 'exec "${0%/*}/named.py" "$@"')
    session.run(SET_UP[session.shell].format(program="./named.py"))
    assert session.get_arguments("site ru\tx") == ["run", "x"]
    assert session.get_arguments("./named.py ru\tx") == ["run", "x"]
    # And the first one is still known.
    assert session.get_arguments("./deploy.py ru\tx") == ["run", "x"]


def test_another_file_of_the_same_name_is_not_run(session: Session) -> None:
    write_script(
        session.folder / "other" / "deploy.py", 'echo "$1" >> calls; echo "ARGV [\\"$1\\"]"'
    )
    assert session.get_arguments("other/deploy.py ru\tx") == ["rux"]
    assert (session.folder / "calls").read_text() == "rux\n"


@pytest.mark.parametrize(
    "word", ["$(touch ran)", "`touch ran`", "<(touch ran)", "${x:=$(touch ran)}"]
)
def test_nothing_in_the_line_is_run(session: Session, word: str) -> None:
    session.show(f"./deploy.py --hosts {word} ru\tzzz", "zzz")
    assert not (session.folder / "ran").exists()


def test_what_a_module_prints_is_not_shown(session: Session) -> None:
    with session.having("noise"):
        assert session.get_arguments("./deploy.py ru\tx") == ["run", "x"]
    assert "noise" not in session.screen.lines


def test_a_program_that_fails_completes_nothing_and_says_nothing(session: Session) -> None:
    with session.having("broken"):
        assert session.get_arguments("./deploy.py ru\tx") == ["rux"]
    assert not any("Error" in line for line in session.screen.lines)


def test_strict_options_of_the_shell_change_nothing(session: Session) -> None:
    strict, lax = {
        "bash": ("set -u; shopt -s failglob nocasematch", "set +u; shopt -u failglob nocasematch"),
        "zsh": (
            "setopt no_unset ksh_arrays sh_word_split",
            "unsetopt no_unset ksh_arrays sh_word_split",
        ),
        "fish": ("set -g IFS x", "set -e IFS"),
    }[session.shell]
    session.run(strict)
    try:
        assert session.get_arguments("./deploy.py run 'two w\tx") == ["run", "two words", "x"]
        assert session.get_arguments("./deploy.py run --log=bi\tx") == [
            "run",
            "--log=big file",
            "x",
        ]
    finally:
        session.run(lax)


def test_the_functions_for_bash_run_with_all_its_strict_options(
    need_program: Callable[[str], str], tmp_path: Path
) -> None:
    write_program(tmp_path / "deploy.py")
    script = """
        eval "$(./deploy.py completion bash)"
        compopt() { echo "compopt $*"; }
        for words in "ru" "run paint colour=" "--nothing"; do
            COMP_LINE="./deploy.py $words"
            COMP_POINT=${#COMP_LINE} COMP_TYPE=63
            text=${COMP_LINE##*[ =]}
            _deployer_complete ./deploy.py "$text" ""
            echo "${#COMPREPLY[@]}: ${COMPREPLY[*]-}"
        done
    """
    done = subprocess.run(
        [need_program("bash"), "-eu", "-o", "pipefail", "-O", "failglob", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "40"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines == ["1: run", "2: red green", "0:"]
