"""What may follow in a command line, as the scripts for bash, zsh and fish ask for it."""

from __future__ import annotations

import subprocess
import sys
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from deployer.host import LocalHost
from deployer.node import Node, ParallelNode, alias
from deployer.query import Q
from deployer.run.command_line import CommandLine
from deployer.run.command_table import COMMANDS, GLOBAL_OPTIONS, SHELLS
from deployer.run.commands.completion import show_script
from deployer.run.completing import Answer, Paths, complete, main
from deployer.run.wrong_use import WrongUse
from deployer.shell import NotFound


class Web1(LocalHost):
    slug = "web1"


class Web2(LocalHost):
    slug = "web2"


class Db(LocalHost):
    slug = "db,main"


class Branch(Enum):
    main = 1
    next = 2


class Root(Node):
    class Hosts:
        database = Db

    class git(Node):
        """The repository."""

        remote = Q.parent

        def checkout(self, branch: Branch, force: bool = False):
            """Check out a branch."""

        @property
        def revision(self):
            raise AssertionError("properties are not evaluated")

    class web(ParallelNode.Array):
        """The servers."""

        class Hosts:
            host = (Web1, Web2)

        def restart(self):
            """Restart it."""

    class _private(Node):
        pass

    @alias('say it\'s "so"')
    def hello(self):
        """Greet.\t\x1b[31mAnd more."""

    @alias("a\nb")
    def no_line(self):
        pass


def ask(line: str) -> Answer:
    """Return the answer for words between blanks, of which the last one is at the cursor.

    What comes after a bar is after the cursor.
    """
    before, _, after = line.partition("|")
    words = before.split(" ")
    return complete(Root, [*words, *after.split()], len(words) - 1)


def values(line: str) -> str:
    """Return the candidates, with a blank after those that are complete, and bars between."""
    return "|".join(c.value + " " * c.is_final for c in ask(line).candidates)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # Commands.
        ("ru", "run "),
        ("co", "completion "),
        ("RU", "run "),
        ("nothing", ""),
        ("--hosts web1 ru", "run "),
        ("--json ru", "run "),
        # Options of the command and global ones, once each.
        ("--ho", "--hosts "),
        ("run --ho", "--hosts "),
        ("run --pat", "--path "),
        ("ls --pat", ""),
        ("--vers", "--version "),
        ("--lis", "--list "),
        ("run --lis", ""),
        ("run --hosts web1 --ho", ""),
        ("run --hosts=web1 --ho", ""),
        ("--hosts web1 run --ho", ""),
        ("run --ho| --hosts web1", ""),
        ("run --ho| --hosts", ""),
        ("--ho| run --hosts web1 x", ""),
        ("run --pat| --hosts web1", "--path "),
        ("-n --sandb", ""),
        ("ls --sandb", "--sandbox "),
        ("run -s", "-s "),
        # An action, and a command for hosts, have options of their own.
        ("run hello --ho", ""),
        ("run -- hello --ho", ""),
        ("exec web --ho", "--hosts "),
        ("exec web ls --ho", ""),
        ("exec web -- --ho", ""),
        ("ls web --ho", "--hosts "),
        ("ls -- --ho", ""),
        # Values of options.
        ("--color a", "auto |always "),
        ("--color=al", "--color=always "),
        ("run --output ga", "gather "),
        ("graph --format d", "dot "),
        ("graph --format=", "--format=mermaid |--format=dot "),
        ("--nothing=", ""),
        ("--json=", ""),
        ("--parallel ", ""),
        ("run --executor ", "dask |processes "),
        ("exec --lo", "--log "),
        # Hosts, as --hosts takes them.
        ("--hosts w", "web1 |web2 "),
        ("--hosts=w", "--hosts=web1 |--hosts=web2 "),
        ("run --hosts web1,w", "web1,web2 "),
        ("--hosts !w", "!web1 |!web2 "),
        ("--hosts w*,!web1,!w", "w*,!web1,!web2 "),
        ("--hosts d", r"db\,main "),
        ("run --path git --hosts w", ""),
        # Nodes.
        ("run --path we", "web "),
        ("run --path=we", "--path=web "),
        ("run --path web:", "web:web1 |web:web2 "),
        ("ls g", "git "),
        ("tree we", "web "),
        ("ssh web:web2", "web:web2 "),
        ("exec web:w", "web:web1 |web:web2 "),
        ("scp _p", "_private "),
        ("graph git.", ""),
        ("ls git ", ""),
        ("ls nowhere.", ""),
        # Actions and their parameters, from --path on.
        ("run g", "git "),
        ("run git.che", "git.checkout "),
        ("run git che", "checkout "),
        ("run --path git che", "checkout "),
        ("run --path=git che", "checkout "),
        ("run web:web1 re", "restart "),
        ("run git.checkout bra", "branch="),
        ("run git.checkout fo", "force="),
        ("run git.checkout branch=n", "branch=next "),
        ("run git.checkout main force=", "force=yes |force=no "),
        ("run git.checkout force=yes fo", ""),
        # What one may ask about, also what has a value.
        ("inspect git.", "git.checkout |git.revision |git.remote "),
        ("inspect git.rev", "git.revision "),
        ("inspect hel", "hello "),
        # The rest.
        ("completion ", "bash |zsh |fish "),
        ("completion bash ", ""),
        ("find ", ""),
        ("nothing ", ""),
        ("run nothing.", ""),
    ],
)
def test_the_word_at_the_cursor_is_completed(line: str, expected: str) -> None:
    assert values(line) == expected


def test_without_a_word_there_are_all_commands_and_no_options() -> None:
    assert [c.value for c in ask("").candidates] == list(COMMANDS)


def test_a_dash_is_enough_for_all_options() -> None:
    options = (*COMMANDS["graph"].options, *GLOBAL_OPTIONS)
    names = [name for option in options for name in option.names]
    assert [c.value for c in ask("graph -").candidates] == names


@pytest.mark.parametrize(
    ("line", "paths"),
    [
        ("--outdir ", Paths.DIRECTORIES),
        ("--outdir=", Paths.DIRECTORIES),
        ("run --log ", Paths.FILES),
        ("run --log=x", Paths.FILES),
        ("run x --log ", Paths.NONE),
    ],
)
def test_paths_are_left_to_the_shell(line: str, paths: Paths) -> None:
    assert ask(line) == Answer((), paths)


@pytest.mark.parametrize(
    ("line", "help"),
    [
        ("ru", "run one action"),
        ("--outd", "keep the whole output of each host in a file there"),
        ("--output quie", "failures only"),
        ("run gi", "The repository."),
        ("run git.che", "Check out a branch."),
        ("--hosts web1", "host"),
    ],
)
def test_candidates_come_with_help(line: str, help: str) -> None:
    assert [c.help for c in ask(line).candidates] == [help]


def test_a_name_that_is_listed_twice_is_one_candidate() -> None:
    class Twice(Node):
        class first(Node):
            class Hosts:
                host = Web1

        class second(Node):
            class Hosts:
                host = Web1

    answer = complete(Twice, ["--hosts", ""], 1)
    assert [c.value for c in answer.candidates] == ["web1"]


def test_where_there_is_no_node_nothing_is_known() -> None:
    with pytest.raises(NotFound):
        ask("run --path nowhere che")


# The lines that the scripts read.


def run_main(capsys: pytest.CaptureFixture[str], *words: str, index: int | None = None) -> str:
    place = len(words) - 1 if index is None else index
    assert main(Root, ["bash", str(place), "--", *words]) == 0
    out, err = capsys.readouterr()
    assert not err
    return out


def test_a_line_is_a_value_and_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(capsys, "run", "git.c") == "git.checkout\tCheck out a branch.\nspace\n"
    assert run_main(capsys, "run", "git.checkout", "f") == "force=\tFalse if not given\nnospace\n"


def test_the_words_that_go_on_are_by_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    lines = run_main(capsys, "run", "git.checkout", "").splitlines()
    assert [line.split("\t")[0] for line in lines] == [
        *("main", "next", "space"),
        *("branch=", "force=", "nospace"),
    ]


def test_values_are_not_quoted(capsys: pytest.CaptureFixture[str]) -> None:
    assert 'say it\'s "so"\t' in run_main(capsys, "run", "say")


def test_nothing_that_controls_a_terminal_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    (line, directive) = run_main(capsys, "run", "hel").splitlines()
    assert line.startswith("hello\tGreet.")
    assert line.replace("\t", "").isprintable()
    assert directive == "space"
    assert run_main(capsys, "run", "a") == ""


def test_paths_are_a_line_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(capsys, "--outdir", "") == "directories\n"
    assert run_main(capsys, "run", "--log", "") == "files\n"


def test_a_word_that_is_not_there_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(capsys, "completion", index=1) == run_main(capsys, "completion", "")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["bash"],
        ["bash", "0", "run"],
        ["bash", "x", "--", "run"],
        ["csh", "0", "--", "run"],
    ],
)
def test_other_questions_get_no_answer(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(Root, arguments) == 1
    assert capsys.readouterr() == ("", "")


def test_a_tree_that_cannot_be_made_gets_no_answer(capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> Root:
        raise RuntimeError("no")

    assert main(cast("type[Root]", broken), ["bash", "1", "--", "run", ""]) == 1
    assert capsys.readouterr() == ("", "")


# How much it takes.

SCRIPT = """\
import sys
from deployer.client import start
from deployer.host import SSHHost
from deployer.node import Node
class Server(SSHHost):
    address = "example.com"
class Root(Node):
    '''All of it.'''
    class Hosts:
        host = Server
    class child(Node):
        '''The child.'''
        def status(self, short: bool = False):
            '''Say how it is.'''
        def no_help(self, name, *names, count: int = 1):
            pass
before = set(sys.modules)
try:
    start(Root)
finally:
    print(*set(sys.modules) - before, file=sys.stderr)
"""
NEVER = """
    argparse asyncio dataclasses difflib inspect json logging paramiko pathlib pickle re readline
    shutil socket subprocess tempfile traceback deployer.host.command deployer.parallel.options
    deployer.parallel.running deployer.run.dispatch deployer.utils.folding
"""


@pytest.mark.parametrize(
    ("line", "most"),
    [
        ("ru", 16),
        ("run --ho", 16),
        ("run child.st", 40),
        ("run child.status short=y", 40),
        ("ls ch", 40),
        ("inspect child.", 40),
        ("run --hosts Ser", 40),
    ],
)
def test_completing_loads_little(line: str, most: int, tmp_path: Path) -> None:
    words = line.split()
    script = tmp_path / "deploy.py"
    script.write_text(SCRIPT)
    question = ["--complete", "bash", str(len(words) - 1), "--", *words]
    done = subprocess.run(
        [sys.executable, str(script), *question], capture_output=True, text=True, check=True
    )
    assert "\t" in done.stdout
    loaded = set(done.stderr.split())
    assert not loaded & set(NEVER.split())
    ours = sorted(name for name in loaded if name.startswith("deployer."))
    assert len(ours) <= most, ", ".join(ours)


# The scripts for the shells.


def make_command(*words: str, program: str = "deploy.py") -> CommandLine:
    return CommandLine(program, Root, SimpleNamespace(words=[*words]))


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_says_how_it_is_set_up_and_names_the_program(
    shell: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "my deploy's.py"
    file.touch()
    monkeypatch.setattr(sys, "argv", [str(file), "completion", shell])
    assert show_script(make_command(shell, program="site")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"./deploy.py completion {shell}" in "\n".join(lines[:7])
    quote = {"fish": "\\'"}.get(shell, "'\\''")
    name = str(file).replace("'", quote)
    assert lines[-1] == f"_deployer_add 'site' '{sys.executable}' '{name}'"


@pytest.mark.parametrize("words", [[], ["bsh"], ["bash", "zsh"]])
def test_another_shell_is_refused(words: list[str]) -> None:
    with pytest.raises(WrongUse, match="bash, zsh or fish") as caught:
        show_script(make_command(*words))
    assert ("Did you mean 'bash'" in str(caught.value)) == (words == ["bsh"])


def test_a_program_that_is_no_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["-c", "completion", "bash"])
    with pytest.raises(WrongUse, match="'-c' is none"):
        show_script(make_command("bash"))
