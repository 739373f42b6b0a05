"""Any text reaches a host as it is: as a directory, a variable, an argument, input, a file name.

On real hosts, with every login shell; where that is fish or csh, with ``Host.shell``.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.host import Host, LocalHost
from world import World

pytestmark = pytest.mark.faults

HostClass = type[Host]

# What shells, terminals, options and encodings give a meaning to: between blanks, and with some.
_WORDS = r"""
' " \ ` $(echo>x) ${HOME} $PATH $((1+1)) a\ \' '\'' \\ ! !! !$ a!b - -- -n -rf ~ ~root ~+ * ? [a-z]
{a,b} {1..3} # a#b ; ;false & && | < > >x ( ) () % %s %b \0101 \n = a=b ^ ^a^b : if sh EOF ';false;'
"""
_CHARACTERS = (
    "\n\r\t\x01\x03\x04\x1b\x7f\x85\xa0é日\u0301\u200f\u2028\u202e\ufeff\U0001f600\udcff\udcc3"
)
HOSTILE = [
    *_WORDS.split(),
    *_CHARACTERS,
    *("", " ", "  ", " a", "a ", "# x", "exit 3", "`echo x`", "a\n", "\nb", "\n\n", "\r\n"),
]


def _as_read(text: str) -> str:
    """Return a text as it comes back: surrogate escapes that make up a character are one."""
    return text.encode(errors="surrogateescape").decode(errors="surrogateescape")


_pieces = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    st.binary().map(lambda data: data.replace(b"\0", b"").decode(errors="surrogateescape")),
)
texts = st.lists(_pieces, max_size=4).map(lambda pieces: _as_read("".join(pieces)))
names = texts.filter(
    lambda name: name not in ("", ".", "..") and "/" not in name and len(os.fsencode(name)) < 200
)
several = st.lists(texts, max_size=6)

# Users with each of the login shells: bash, dash, zsh, fish and tcsh.
REMOTE = ["deploy", "dasher", "zsher", "fisher", "tcsher"]

# The hosts are the same for all examples.
on_real_hosts = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(params=["local", *REMOTE])
def host_class(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> HostClass:
    """Make a class for this machine, and for users with each of the login shells."""
    if request.param == "local":
        # Where a session begins.
        monkeypatch.chdir(tmp_path)
        return type("Here", (LocalHost,), {})
    new_ssh_host: Callable[..., HostClass] = request.getfixturevalue("new_ssh_host")
    shell = "/bin/sh" if request.param in ("fisher", "tcsher") else None
    return new_ssh_host(request.param, shell=shell)


@pytest.fixture
def host(host_class: HostClass) -> Host:
    return host_class()


@pytest.fixture
def directory(host: Host) -> Iterator[str]:
    """Give an empty directory on the host."""
    path = host.run("mktemp -d").strip()
    yield path
    host.run(f"rm -rf {path}")


def printing(words: list[str]) -> str:
    """Return a command that prints each of some shell words behind a mark of its own."""
    return "printf '<%s\\0' " + " ".join(words)


def printed(output: str) -> list[str]:
    return [text.removeprefix("<") for text in output.split("\0")[:-1]]


@given(variables=several, unescaped=several, arguments=several, text=texts)
@on_real_hosts
def test_variables_prefixes_arguments_and_input(
    host: Host, variables: list[str], unescaped: list[str], arguments: list[str], text: str
) -> None:
    with ExitStack() as stack:
        for number, value in enumerate(variables):
            stack.enter_context(host.env(f"E{number}", value))
        for number, value in enumerate(unescaped):
            stack.enter_context(host.prefix(f"P{number}={shlex.quote(value)}"))
        words = [f'"$E{number}"' for number in range(len(variables))]
        words += [f'"$P{number}"' for number in range(len(unescaped))]
        words += map(shlex.quote, arguments)
        result = host.run(f"{printing([*words, 'end'])}; cat", initial_input=text, silent=True)
    output, end, read = result.rpartition("<end\0")
    assert end
    assert printed(output) == variables + unescaped + arguments
    assert read == text


@given(path=st.lists(names, min_size=1, max_size=4))
@on_real_hosts
def test_directories(host: Host, path: list[str]) -> None:
    start = host.run("pwd -P").removesuffix("\n")
    # By a program that gets the names without a shell in between.
    made = "/".join([start, *path])
    host.run("xargs -0 mkdir -p", initial_input=made)
    try:
        with ExitStack() as stack:
            for name in path:
                stack.enter_context(host.cd(name, expand=False))
            assert host.run("pwd -P; echo .", silent=True) == f"{made}\n.\n"
            assert host.getcwd() == made
    finally:
        host.run("xargs -0 rm -rf", initial_input=f"{start}/{path[0]}")


@given(wanted=st.lists(names, unique=True, max_size=4))
@on_real_hosts
def test_file_names(host: Host, directory: str, wanted: list[str]) -> None:
    with host.cd(directory):
        for name in wanted:
            # Without it, `~name` would be somebody's home.
            path = f"./{name}"
            assert not host.exists(path)
            with host.open(path, "wb") as file:
                file.write(os.fsencode(name))
            assert host.exists(path)
            with host.open(path, "rb") as file:
                assert file.read() == os.fsencode(name)
        assert sorted(host.listdir()) == sorted(wanted)
        found = host.run("find . -type f -print0", silent=True).split("\0")[:-1]
        assert sorted(found) == sorted(f"./{name}" for name in wanted)
        host.run("find . -type f -exec rm -- {} +")


@pytest.mark.parametrize("host_class", REMOTE, indirect=True)
@given(name=names, variables=several, arguments=several, text=texts)
@on_real_hosts
def test_under_sudo(
    host: Host,
    world: World,
    directory: str,
    name: str,
    variables: list[str],
    arguments: list[str],
    text: str,
) -> None:
    _may_use_sudo(world, host)
    host.run("xargs -0 mkdir -p", initial_input=f"{directory}/{name}")
    with host.cd(directory), host.cd(name, expand=False), ExitStack() as stack:
        for number, value in enumerate(variables):
            stack.enter_context(host.env(f"E{number}", value))
        words = [f'"$E{number}"' for number in range(len(variables))]
        words += map(shlex.quote, arguments)
        command = f"{printing(['$(id -u)', *words])}; pwd -P; echo .; cat"
        result = host.sudo(command, initial_input=text, silent=True)
    output, _, rest = result.rpartition(f"\0{directory}/{name}\n.\n")
    assert printed(f"{output}\0") == ["0", *variables, *arguments]
    assert rest == text


def _may_use_sudo(world: World, host: Host) -> None:
    if "sudo" not in world.run(["id", "-Gn", host.get_username()]).split():
        world.run(["usermod", "--append", "--groups", "sudo", host.get_username()])
        # Groups are given at log-in.
        host.close_connection()  # type: ignore[attr-defined]


def test_in_a_terminal(host: Host) -> None:
    values = [_as_read(value) for value in HOSTILE]
    with ExitStack() as stack:
        for number, value in enumerate(values):
            stack.enter_context(host.env(f"E{number}", value))
        words = [f'"$E{number}"' for number in range(len(values))]
        command = printing([*words, *map(shlex.quote, values)])
        # As numbers: a terminal changes what is printed.
        result = host.run(f"{command} | od -An -v -tx1", interactive=True, silent=True)
    output = bytes.fromhex(result).decode(errors="surrogateescape")
    assert printed(output) == values * 2


def test_long_and_empty_values(host: Host) -> None:
    value, argument = "x" * 80_000, "y" * 40_000
    with host.env("LONG", value), host.env("EMPTY", ""):
        words = ['"$LONG"', '"$EMPTY"', '"${EMPTY-unset}"', "''", argument]
        assert printed(host.run(printing(words), silent=True)) == [value, "", "", "", argument]


def test_what_no_host_can_have_is_refused() -> None:
    host = LocalHost()
    with pytest.raises(ValueError, match="empty"), host.cd(""):
        pass
    with pytest.raises(ValueError, match="empty"):
        host.exists("")
    for name in ("", "A-B", "1", "A=B", "A\n"):
        with pytest.raises(ValueError, match="cannot be the name"), host.env(name, "x"):
            pass
    for refused in (host.cd, host.prefix, lambda text: host.env("A", text)):
        with pytest.raises(ValueError, match="NUL"), refused("a\0b"):  # type: ignore[operator]
            pass
