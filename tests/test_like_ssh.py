"""Commands do what they do with the ``ssh`` client over SSH, and with ``subprocess`` here."""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.host import Host, LocalHost, RunResult, SSHHost

pytestmark = pytest.mark.faults


class Case(NamedTuple):
    """A command for bash, and all that it reads."""

    command: str
    input: str = ""


ANYWHERE = [
    *map(Case, (":", "true", "false", "exit 3", "exit 255", "exit 256", "exit -1", "! true")),
    *map(Case, ("echo out", "echo err >&2", "echo out; echo err >&2; exit 7", "printf 'no end'")),
    # Words, expansions, what a shell is told of itself.
    *map(Case, ("echo $0", "echo $-", "echo $#", "echo $SHLVL", "echo a  'b  c'  \"d  $HOME\"")),
    *map(Case, ("pwd", "echo ~ ~root", "echo {1..3} $((2 + 3))", "id -un", "umask", "ulimit -n")),
    *map(Case, ("echo $TERM", "env | grep -v -e ^SSH_ -e ^_= | sort", "cd /usr && pwd", "echo /*")),
    *map(Case, ("a=(1 2); echo ${a[1]}", "[[ a == [a-c] ]]", "cat <(echo from a process)")),
    *map(Case, ("f() { echo f $1; return 5; }; f x", "x=$(echo sub); echo \"$x\"", "cat <<<here")),
    *map(Case, ("echo one\necho two\nexit 4", "cat <<END\na document\nEND", "# nothing", "\n\n:")),
    # Failures of the shell's own.
    *map(Case, ("no-such-command", "/no/such/file", "/etc/passwd", "/", "if", "echo 'open", "fi")),
    *map(Case, ("cd /nowhere || exit", "cat /nowhere", "set -e; false; echo no", ". /nowhere")),
    *map(Case, ("set -u; echo $unset", "readonly r=1; r=2; echo no", "exec no-such-command")),
    # Statuses, also of what is in between.
    *map(Case, ("false | true", "set -o pipefail; (exit 6) | true", "(exit 9)", "exit 7 | cat")),
    *map(Case, ("trap 'echo bye' EXIT; exit 4", "trap 'echo caught' TERM; kill $$; echo after")),
    *map(Case, ("exec 2>&-; sh -c 'kill -9 $$'; echo $?", "timeout 0.05 sleep 9")),
    # Ends by a signal.
    *map(Case, ("kill -KILL $$", "kill -TERM $$", "kill -HUP $$", "kill -INT $$", "kill -34 $$")),
    *map(Case, ("kill -USR1 $$", "ulimit -c 0; kill -BUS $$", "ulimit -c 0; kill -SEGV $$")),
    # Bytes of all kinds, many of them, and late ones.
    *map(Case, ("printf '\\303\\251 \\377\\376 \\342\\202'", "printf 'a\\0b\\033[1mc\\a\\b'")),
    *map(Case, ("echo 日本 é 😀", "seq 20000", "head -c 300000 /dev/zero | tr '\\0' x")),
    *map(Case, ("seq 5000 >&2; seq 5000", "sleep 0.1; echo late", "printf 'a\\r\\nb\\rc\\n'")),
    *map(Case, ("(sleep 0.1; echo behind) & echo ahead; wait", "yes | head -n 1000")),
    # Streams that are closed.
    *map(Case, ("exec >&-; echo lost; exit 2", "exec 2>&-; echo lost >&2; echo kept")),
    *map(Case, ("exec <&-; echo kept", "test -t 0; echo $?; test -t 1; echo $?")),
]  # fmt: skip

AWAY_FROM_A_TERMINAL = [
    *map(Case, ("cat", "read x; echo $? [$x]", "tty", "echo x >/dev/tty", "wc -c")),
    Case("cat", "a line\nand no end"),
    Case("cat", "é \0 \udcff \r\n"),
    Case("read x; echo $x; read y; echo $y; read z || echo end", "one\ntwo\n"),
    Case("head -c 3; echo; exit 5", "more than it reads"),
    Case("tee /dev/stderr | wc -c", "0123456789" * 30_000),
    Case("sh", "echo a script\nexit 6\n"),
    Case("true", "not read at all\n" * 20_000),
    Case("exec <&-; echo done", "x" * 100_000),
]  # fmt: skip

# A terminal echoes what is typed, and ^D ends a line or, at its beginning, the input.
IN_A_TERMINAL = [
    Case("cat", "a line\n\x04"),
    Case("read x; echo got $x", "typed\n"),
    Case("wc -c", "five\n\x04"),
    Case("cat >/dev/null; echo end", "\x04"),
    Case("stty -a | grep -o -e ' icanon' -e ' echo ' -e ' isig' -e ' icrnl'"),
    Case("test -c \"$(tty)\"; echo $?; echo to the terminal >/dev/tty"),
]  # fmt: skip


class Outcome(NamedTuple):
    """What a command printed, and its exit status, or the name of the signal that ended it."""

    stdout: bytes
    stderr: bytes
    ended: int | str

    def as_ssh_tells(self) -> Outcome:
        """The client knows no signals: it ends with 255."""
        return self._replace(ended=self.ended if isinstance(self.ended, int) else 255)

    def as_in_a_terminal(self) -> Outcome:
        return self._replace(stdout=self.stdout.replace(b"\r\n", b"\n"))


def outcome(result: RunResult) -> Outcome:
    ended = result.exit_status if result.exit_signal is None else result.exit_signal
    assert ended is not None
    return Outcome(as_bytes(result), as_bytes(result.stderr), ended)


def as_bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def by_us(host: Host, case: Case, interactive: bool = False) -> Outcome:
    return outcome(
        host.run(
            case.command,
            initial_input=case.input,
            interactive=interactive,
            ignore_exit_status=True,
            silent=True,
            timeout=30,
        )
    )


def of(done: subprocess.CompletedProcess[bytes]) -> Outcome:
    if done.returncode >= 0:
        return Outcome(done.stdout, done.stderr, done.returncode)
    try:
        name = signal.Signals(-done.returncode).name.removeprefix("SIG")
    except ValueError:
        name = str(-done.returncode)
    return Outcome(done.stdout, done.stderr, name)


Client = Callable[..., Outcome]


@pytest.fixture(scope="module")
def control_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("control")


@pytest.fixture
def by_the_client(
    need_program: Callable[[str], str], ssh_host: type[SSHHost], control_directory: Path
) -> Iterator[Client]:
    """Return a function that runs a command with the ``ssh`` client, as the same user."""
    options = {
        "BatchMode": "yes",
        "LogLevel": "QUIET",
        "Port": str(ssh_host.port),
        "User": str(ssh_host.username),
        "IdentityFile": str(ssh_host.key_filename),
        # One connection for all commands, as we have it.
        "ControlMaster": "auto",
        "ControlPath": str(control_directory / "%p"),
        "ControlPersist": "60",
    }
    argv = [need_program("ssh"), "-F", str(ssh_host.config_filename)]
    argv += [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    address = str(ssh_host.address)

    def by_the_client(case: Case, in_a_terminal: bool = False) -> Outcome:
        # With a shared connection, the client gives a terminal no modes unless it has one itself.
        how = ["-tt", "-S", "none"] if in_a_terminal else ["-T"]
        done = subprocess.run(
            [*argv, *how, address, case.command],
            input=as_bytes(case.input),
            capture_output=True,
            env={**os.environ, "TERM": "dumb"},
            timeout=30,
            check=False,
        )
        return of(done)

    # The client that keeps the connection would keep a pipe of the first command open, too.
    subprocess.run([*argv, "-fN", address], check=True, stdin=subprocess.DEVNULL)
    yield by_the_client
    subprocess.run([*argv, "-O", "exit", address], check=False, stderr=subprocess.DEVNULL)


def by_subprocess(case: Case) -> Outcome:
    shell = pwd.getpwuid(os.getuid()).pw_shell
    done = subprocess.run(
        [shell, "-c", case.command],
        input=as_bytes(case.input),
        capture_output=True,
        env={**os.environ, "SHELL": shell},
        timeout=30,
        check=False,
    )
    return of(done)


def by_subprocess_in_a_terminal(case: Case) -> Outcome:
    shell = pwd.getpwuid(os.getuid()).pw_shell
    ours, theirs = os.openpty()
    with subprocess.Popen(
        ["setsid", "--ctty", shell, "-c", case.command],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "SHELL": shell, "TERM": "dumb"},
    ) as process:
        os.close(theirs)
        os.write(ours, as_bytes(case.input))
        printed = b""
        # The end of a terminal is an error.
        with contextlib.suppress(OSError):
            while data := os.read(ours, 65536):
                printed += data
        process.wait(60)
    os.close(ours)
    return of(subprocess.CompletedProcess([], process.returncode, printed, b""))


def test_the_table_is_long_enough() -> None:
    assert len(ANYWHERE + AWAY_FROM_A_TERMINAL) >= 60
    assert len({*ANYWHERE, *AWAY_FROM_A_TERMINAL, *IN_A_TERMINAL}) == len(
        ANYWHERE + AWAY_FROM_A_TERMINAL + IN_A_TERMINAL
    )


def differences(cases: list[Case], by: Callable[[Case], tuple[Outcome, Outcome]]) -> list[object]:
    """Return the cases whose two outcomes are not the same, with them."""
    with ThreadPoolExecutor(8) as pool:
        pairs = pool.map(by, cases)
        return [
            (case, *pair) for case, pair in zip(cases, pairs, strict=True) if pair[0] != pair[1]
        ]


def test_over_ssh(ssh_host: type[SSHHost], by_the_client: Client) -> None:
    def both(case: Case) -> tuple[Outcome, Outcome]:
        return by_us(ssh_host(), case).as_ssh_tells(), by_the_client(case)

    assert differences([*ANYWHERE, *AWAY_FROM_A_TERMINAL], both) == []


def test_over_ssh_in_a_terminal(ssh_host: type[SSHHost], by_the_client: Client) -> None:
    def both(case: Case) -> tuple[Outcome, Outcome]:
        ours = by_us(ssh_host(), case, interactive=True).as_ssh_tells()
        return ours, by_the_client(case, in_a_terminal=True).as_in_a_terminal()

    assert differences([*ANYWHERE, *IN_A_TERMINAL], both) == []


def test_here() -> None:
    def both(case: Case) -> tuple[Outcome, Outcome]:
        return by_us(LocalHost(), case), by_subprocess(case)

    assert differences([*ANYWHERE, *AWAY_FROM_A_TERMINAL], both) == []


def test_here_in_a_terminal(need_program: Callable[[str], str]) -> None:
    need_program("setsid")

    def both(case: Case) -> tuple[Outcome, Outcome]:
        ours = by_us(LocalHost(), case, interactive=True)
        return ours, by_subprocess_in_a_terminal(case).as_in_a_terminal()

    assert differences([*ANYWHERE, *IN_A_TERMINAL], both) == []


# Commands that nobody thought of: pieces printed on either stream, and an end.
_pieces = st.tuples(
    st.sampled_from(["", " >&2"]),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
    st.integers(1, 300),
)
_ends = st.one_of(
    st.integers(0, 255).map(lambda status: f"exit {status}"),
    st.sampled_from(["KILL", "TERM", "HUP", "ALRM", "USR2"]).map(lambda name: f"kill -{name} $$"),
)


@given(pieces=st.lists(_pieces, max_size=5), end=_ends, text=st.text(st.characters(codec="utf-8")))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_command(
    ssh_host: type[SSHHost],
    by_the_client: Client,
    pieces: list[tuple[str, str, int]],
    end: str,
    text: str,
) -> None:
    lines = [
        f"for ((i = 0; i < {times}; i++)); do printf %s {shlex.quote(piece)}{where}; done"
        for where, piece, times in pieces
    ]
    case = Case("\n".join([*lines, "cat", end]), text)
    assert by_us(ssh_host(), case).as_ssh_tells() == by_the_client(case)
    assert by_us(LocalHost(), case) == by_subprocess(case)
