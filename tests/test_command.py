"""The shell line that a host gets: a table, and properties in real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.host.command import (
    HostContext,
    SudoPrompt,
    build,
    join_path,
    shell_path,
    through_login_shell,
)

ROOT = HostContext()
PROMPT = SudoPrompt("TOKEN", "STARTED")

# A shell's argument can hold everything but NUL; surrogates are bytes that are no UTF-8.
any_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
any_name = any_text.filter(
    lambda name: name not in ("", ".", "..") and "/" not in name and len(os.fsencode(name)) < 200
)
POSIX_SHELLS = [
    pytest.param(name, marks=pytest.mark.skipif(not shutil.which(name), reason=f"no {name}"))
    for name in ("bash", "dash", "zsh")
]


def run_in(shell: str, line: str, cwd: Path | None = None) -> str:
    environment = {**os.environ, "SHELL": shutil.which(shell) or shell, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [shell, "-c", line], cwd=cwd, env=environment, capture_output=True, check=False
    )
    assert not done.stderr, done.stderr
    return done.stdout.decode(errors="surrogateescape")


@pytest.mark.parametrize(
    ("base", "path", "expand", "expected"),
    [
        (None, "src", True, "src"),
        ("/srv", "src", True, "/srv/src"),
        ("/", "src", True, "/src"),
        ("~/git", "..", True, "~/git/.."),
        ("/srv", "/etc", True, "/etc"),
        ("/srv", "~", True, "~"),
        ("/srv", "~user/x", True, "~user/x"),
        ("/srv", "~", False, "/srv/~"),
        (None, "~/x", False, "./~/x"),
        (None, "~+", True, "./~+"),
    ],
)
def test_paths_chain(base: str | None, path: str, expand: bool, expected: str) -> None:
    assert join_path(base, path, expand) == expected


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/srv/www", "/srv/www"),
        ("/srv/my site", "'/srv/my site'"),
        ("~", "~"),
        ("~/", "~/"),
        ("~/my site", "~/'my site'"),
        ("~bob/x", "~bob/x"),
        ("~bob x", "'./~bob x'"),
        ("-", "./-"),
        ("src", "./src"),
        ("../src", "../src"),
        ("a$b", "'./a$b'"),
    ],
)
def test_only_the_tilde_of_a_path_is_the_shells(path: str, word: str) -> None:
    assert shell_path(path) == word


def test_the_directory_comes_first_and_the_rest_in_the_order_entered() -> None:
    context = ROOT.with_variable("A", "x y").with_prefix(". env").with_path("~/src")
    assert build(context, "make") == (
        "cd ~/src || exit\nexport A='x y' || exit\n. env || exit\nmake"
    )


def test_contexts_are_values() -> None:
    inner = ROOT.with_path("/srv").with_prefix("true")
    assert HostContext() == ROOT
    assert inner == ROOT.with_path("/srv").with_prefix("true")


def test_a_command_does_not_run_where_its_directory_is_missing(tmp_path: Path) -> None:
    line = build(ROOT.with_path(str(tmp_path / "missing")), "true; echo ran")
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stdout == ""
    assert "missing" in done.stderr


def test_a_failing_prefix_is_the_commands_failure() -> None:
    done = subprocess.run(
        ["sh", "-c", build(ROOT.with_prefix("(exit 7)"), "echo ran")], check=False
    )
    assert done.returncode == 7


@pytest.mark.parametrize("shell", POSIX_SHELLS)
@pytest.mark.parametrize(
    "prefix", ["(exit 7) # why", "true\n(exit 7)", "(exit 7);", "(exit 7) <<END\ntext\nEND"]
)
def test_a_prefix_of_any_form_can_fail(shell: str, prefix: str) -> None:
    line = build(ROOT.with_prefix(prefix), "echo ran")
    done = subprocess.run([shell, "-c", line], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (7, b"")


@pytest.mark.parametrize("shell", POSIX_SHELLS)
@pytest.mark.parametrize(
    "prefix", ["A=1", "A=1;", "A=1 # why", "A=0\nA=1", "A=$(cat <<X\n1\nX\n)", "A=1; true &"]
)
def test_a_prefix_of_any_form_is_in_the_shell_of_the_command(shell: str, prefix: str) -> None:
    assert run_in(shell, build(ROOT.with_prefix(prefix), 'echo "$A"')) == "1\n"


@pytest.mark.parametrize("shell", POSIX_SHELLS)
def test_without_its_variable_a_command_does_not_run(shell: str) -> None:
    context = ROOT.with_prefix("readonly A=1").with_variable("A", "2")
    done = subprocess.run([shell, "-c", build(context, "echo ran")], capture_output=True)
    assert done.returncode != 0
    assert done.stdout == b""


@pytest.mark.parametrize("shell", POSIX_SHELLS)
@given(value=any_text)
@settings(max_examples=25, deadline=None)
def test_any_value_reaches_the_environment(shell: str, value: str) -> None:
    line = build(ROOT.with_variable("VALUE", value), 'printf %s "$VALUE"')
    assert run_in(shell, line) == value


@pytest.mark.parametrize("shell", POSIX_SHELLS)
@given(name=any_name)
@settings(max_examples=25, deadline=None)
def test_cd_reaches_any_directory(
    shell: str, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    parent = tmp_path_factory.mktemp("cd")
    os.mkdir(os.path.join(os.fsencode(parent), os.fsencode(name)))
    line = build(ROOT.with_path(name, expand=False), "pwd -P; echo .")
    assert run_in(shell, line, parent) == f"{os.path.realpath(parent)}/{name}\n.\n"


def test_an_unescaped_value_is_the_shells() -> None:
    context = ROOT.with_variable("A", "one  two").with_variable("B", "$A $(echo 3)", escape=False)
    assert run_in("sh", build(context, 'printf %s "$B"')) == "one  two 3"


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A=", "Ä", "A\n"])
def test_a_bad_variable_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name of an environment variable"):
        ROOT.with_variable(name, "x")


@pytest.mark.parametrize(
    "make",
    [
        lambda: build(ROOT, "a\0b"),
        lambda: ROOT.with_path("a\0b"),
        lambda: ROOT.with_variable("A", "a\0b"),
        lambda: ROOT.with_prefix("a\0b"),
    ],
)
def test_a_nul_is_refused(make: object) -> None:
    with pytest.raises(ValueError, match="NUL"):
        make()  # type: ignore[operator]


def test_a_command_that_no_host_takes_is_refused() -> None:
    with pytest.raises(ValueError, match="initial_input"):
        build(ROOT, "x" * 140_000)


def test_an_empty_path_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        ROOT.with_path("")


def test_a_sandboxed_command_is_checked_and_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    line = build(ROOT.with_path("/missing"), f"touch {mark}", sandbox=True)
    assert run_in("bash", line) == ""
    assert not mark.exists()
    bad = build(ROOT, "if", sandbox=True)
    environment = {**os.environ, "SHELL": "/bin/bash"}
    done = subprocess.run(["sh", "-c", bad], capture_output=True, check=False, env=environment)
    assert done.returncode != 0


def test_sudo_changes_the_directory_as_the_other_user_with_the_login_users_tilde() -> None:
    line = build(ROOT.with_path("~/a b"), "make", sudo=PROMPT, user="bob", shell="/bin/sh")
    assert line == (
        "sudo -S -p TOKEN -H -u bob -- /bin/sh -c 'printf %s STARTED >&2\n"
        "cd \"$1\" || exit\nmake' sh ~/'a b'"
    )


def test_sudo_at_a_terminal_asks_there() -> None:
    line = build(ROOT, "make", sudo=PROMPT, password_from_stdin=False)
    assert line.startswith('sudo -p TOKEN -H -- "$SHELL" -c ')


LOGIN_SHELLS = [
    pytest.param(name, marks=pytest.mark.skipif(not shutil.which(name), reason=f"no {name}"))
    for name in ("bash", "dash", "zsh", "fish", "tcsh")
]


@pytest.mark.parametrize("login_shell", LOGIN_SHELLS)
@given(value=any_text)
@settings(max_examples=12, deadline=None)
def test_any_login_shell_passes_any_line_on(login_shell: str, value: str) -> None:
    line = build(ROOT.with_variable("VALUE", value), 'printf %s "$VALUE"; exit 0\n')
    assert run_in(login_shell, through_login_shell("/bin/sh", line)) == value


@pytest.mark.parametrize("login_shell", LOGIN_SHELLS)
def test_the_status_comes_back_through_any_login_shell(login_shell: str) -> None:
    line = through_login_shell("/bin/sh", "exit 7")
    assert subprocess.run([login_shell, "-c", line], check=False).returncode == 7
