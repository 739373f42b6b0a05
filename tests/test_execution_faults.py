"""Commands that end badly, print or read too much, or do not end: on both kinds of hosts."""

from __future__ import annotations

import ast
import errno
import fcntl
import io
import json
import os
import re
import shlex
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest

from deployer.exceptions import (
    CommandTimeout,
    ConnectionFailedException,
    ExecCommandFailed,
)
from deployer.host import Host, LocalHost, SSHHost
from deployer.pseudo_terminal import DummyPty, Pty
from terminals import ROOT, open_terminal
from waiting import until
from world import World

pytestmark = pytest.mark.faults

HostClass = type[Host]
NewHost = Callable[..., type[SSHHost]]

MB = 1_000_000

_numbers = count(1)


@pytest.fixture
def host(host_class: HostClass) -> Host:
    return host_class()


@pytest.fixture
def long() -> str:
    """Return a command that takes long, and that nothing else on this machine runs."""
    return f"sleep 5432.{os.getpid()}{next(_numbers):03}"


def runs(host: Host, command: str) -> bool:
    pattern = f"[{command[0]}]{command[1:]}"
    return host.run(f"pgrep -f {shlex.quote(pattern)}", ignore_exit_status=True, silent=True).ok


@pytest.fixture(params=[False, True], ids=["pipes", "terminal"])
def interactive(request: pytest.FixtureRequest) -> bool:
    """Run commands on pipes, and in a terminal."""
    found: bool = request.param
    return found


# Signals.


def test_a_signal_that_ends_a_command_is_named(host: Host, interactive: bool) -> None:
    for name in ("KILL", "TERM", "SEGV", "HUP", "USR1"):
        result = host.run(
            f"ulimit -c 0; kill -{name} $$", interactive=interactive, ignore_exit_status=True
        )
        assert (result.exit_status, result.exit_signal, result.ok) == (None, name, False)


def test_a_signal_that_leaves_a_core_is_named(host: Host) -> None:
    directory = host.run("mktemp -d").strip()
    with host.cd(directory):
        result = host.run("ulimit -c unlimited; kill -ABRT $$", ignore_exit_status=True)
    host.run(f"rm -r {directory}")
    assert (result.exit_status, result.exit_signal) == (None, "ABRT")


def test_a_signal_without_a_name_in_ssh_is_a_signal(host: Host) -> None:
    for number in (signal.SIGBUS, signal.SIGRTMIN + 5):
        with pytest.raises(ExecCommandFailed, match="was ended by the signal") as caught:
            host.run(f"ulimit -c 0; kill -{int(number)} $$")
        assert caught.value.result.exit_status is None
        assert caught.value.result.exit_signal


def test_statuses_above_128_are_statuses(host: Host) -> None:
    for status in (129, 137, 255):
        result = host.run(f"exit {status}", ignore_exit_status=True)
        assert (result.exit_status, result.exit_signal) == (status, None)


# Much output, much input.

_MEASURE = """\
import json, resource, sys, time
from deployer.host import LocalHost, SSHHost

attributes, small, large = json.loads(sys.argv[1])
host = type("Measured", (SSHHost if attributes else LocalHost,), attributes)()
host.run("true")

def measure(size):
    letters = "head -c %d /dev/zero | tr '\\\\0'" % (size // 2)
    begun = time.monotonic()
    result = host.run(f"{letters} o & {letters} e >&2; wait", silent=True)
    took = time.monotonic() - begun
    assert len(result) == len(result.stderr) == size // 2
    assert result.count("o") == result.stderr.count("e") == size // 2
    return took

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

before = peak()
seconds = [measure(small), measure(large)]
print(json.dumps([seconds, peak() - before]))
"""


def test_100_mb_on_both_streams_take_memory_and_time_in_proportion(host_class: HostClass) -> None:
    names = ("address", "port", "username", "key_filename", "config_filename")
    attributes = {name: getattr(host_class, name) for name in names if hasattr(host_class, name)}
    if issubclass(host_class, LocalHost):
        attributes = {}
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, json.dumps([attributes, 25 * MB, 100 * MB])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (small, large), memory = json.loads(done.stdout)
    assert memory <= 3 * 100 * MB + 60 * MB
    # Four times as much; what grows with the square takes sixteen times as long.
    assert large < 10 * max(small, 0.3)


def test_5_mb_pass_through_a_command(host: Host) -> None:
    data = os.urandom(MB) * 5
    result = host.run("cat", initial_input=data, silent=True)
    assert result.encode(errors="surrogateescape") == data


def test_5_mb_that_nobody_reads(host: Host) -> None:
    assert host.run("sleep 0.2; echo done", initial_input=b"x" * 5 * MB) == "done\n"


def test_5_mb_for_a_command_that_has_soon_read_enough(host: Host) -> None:
    result = host.run("head -c 2; exit 3", initial_input=b"x" * 5 * MB, ignore_exit_status=True)
    assert (result, result.exit_status) == ("xx", 3)
    assert host.run("echo still here") == "still here\n"


def test_input_does_not_keep_a_command_from_being_ended(host: Host, long: str) -> None:
    with pytest.raises(CommandTimeout):
        host.run(f"{long}; true", initial_input=b"x" * 5 * MB, timeout=0.3)
    assert not runs(host, long)


# Bytes.


def test_characters_in_pieces_are_shown_whole_and_bytes_kept(host_class: HostClass) -> None:
    pty = DummyPty()
    text = "é日😀".encode()
    pieces = "; sleep 0.02; ".join(f"printf '\\{byte:03o}'" for byte in text)
    result = host_class(pty).run(f"{pieces}; printf '\\377|\\000|\\342\\202'")
    assert result.encode(errors="surrogateescape") == text + b"\xff|\x00|\xe2\x82"
    assert pty.get_output() == "é日😀\ufffd|\x00|\ufffd"


def test_a_terminal_that_nobody_can_write_to_any_more_ends_the_command(
    host_class: HostClass, long: str
) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        host_class(Pty(io.StringIO(), Closed())).run(f"echo one; {long}; echo two")
    assert not runs(host_class(), long)


# What no host can run.


def test_what_no_host_can_run_is_refused_and_disturbs_nobody(host: Host) -> None:
    server = host.run("echo $PPID")
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(type(host)().run, "sleep 0.3; echo undisturbed")
        for command in ("echo a\0b", "x" * 200_000, "echo '" + "é" * MB + "'"):
            for use_sudo in (False, True):
                with pytest.raises(ValueError, match=r"NUL|a host takes at most"):
                    host.run(command, use_sudo=use_sudo)
        assert other.result() == "undisturbed\n"
    assert host.run("echo $PPID") == server


def test_a_line_that_is_too_long_once_it_is_encoded_is_refused(new_ssh_host: NewHost) -> None:
    host = new_ssh_host(shell="/bin/sh")()
    assert len(host.run("printf %s " + "x" * 100_000, silent=True)) == 100_000
    with pytest.raises(ValueError, match="encoded for the login shell"):
        host.run("echo '" + "!" * 100_000 + "'")
    assert host.run("echo still here") == "still here\n"


def test_the_longest_command_is_run(host: Host) -> None:
    assert len(host.run("printf %s " + "x" * 130_900, silent=True)) == 130_900


# What outlives a command.


def test_a_daemon_is_no_reason_for_a_timeout(host: Host, long: str) -> None:
    assert host.run(f"{long} & echo done", timeout=0.3) == "done\n"
    # It has not been ended, either.
    assert runs(host, long)
    host.run(f"pkill -f '[s]{long[1:]}'")


# Commands that are ended, with what they have started.

ENDING = [
    "{0} | {0}",
    "{0} & {0} & wait",
    "sh -c 'sh -c \"{0}; true\"; true'; true",
    # In a group of its own, for one reason or another.
    "timeout 6000 {0}; true",
    "set -m; {0} & wait",
    # It ignores TERM; in front or behind.
    "(trap '' TERM; {0}; true); true",
    "(trap '' TERM; {0}; true) & {0}",
]


def end_all(hosts: list[Host], commands: list[str], interactive: bool = False) -> None:
    """Run each command on one of the hosts, all at once, until it has taken too long."""

    def work(host: Host, command: str) -> None:
        with pytest.raises(CommandTimeout):
            host.run(command, timeout=0.5, interactive=interactive)

    begun = time.monotonic()
    with ThreadPoolExecutor(len(commands)) as pool:
        list(pool.map(work, hosts, commands))
    assert time.monotonic() - begun < 30


def test_all_that_a_command_has_started_is_ended(
    host_class: HostClass, long: str, interactive: bool
) -> None:
    # On a connection each.
    hosts = [type(f"Host{number}", (host_class,), {})() for number in range(len(ENDING))]
    try:
        end_all(hosts, [command.format(long) for command in ENDING], interactive)
    finally:
        for host in hosts:
            if isinstance(host, SSHHost):
                host.close_connection()
    here = host_class()
    # A terminal that hangs up is not waited for.
    until(lambda: not runs(here, long))


def test_it_is_ended_with_every_login_shell(new_ssh_host: NewHost, long: str) -> None:
    users = {"dasher": None, "zsher": None, "fisher": "/bin/sh", "tcsher": "/bin/sh"}
    hosts: list[Host] = [new_ssh_host(user, shell=shell)() for user, shell in users.items()]
    end_all(hosts, [f"(trap '' TERM; {long}; true) & {long}"] * len(hosts))
    assert [host for host in hosts if runs(host, long)] == []


def test_it_is_ended_for_root_whose_signals_sshd_does_not_pass_on(
    new_ssh_host: NewHost, long: str
) -> None:
    host = new_ssh_host("root")
    # A file that is open is no command.
    host().exists("/")
    for command in (long, f"{long} | {long}", f"(trap '' TERM; {long}; true); true"):
        with pytest.raises(CommandTimeout):
            host().run(command, timeout=0.3)
        assert not runs(host(), long)
    # Which of two is meant, nobody can tell.
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(host().run, "sleep 4; echo undisturbed")
        with pytest.raises(CommandTimeout):
            host().run("sleep 60", timeout=0.3)
        assert other.result() == "undisturbed\n"


def test_a_command_may_clean_up_first(host: Host, tmp_path: Path) -> None:
    with pytest.raises(CommandTimeout) as caught:
        host.run(
            "trap 'sleep 0.2; echo cleaned up; exit' TERM; echo begun; while :; do sleep 0.1; done",
            timeout=0.5,
        )
    assert caught.value.result.stdout == "begun\ncleaned up\n"


def test_nobody_else_is_ended(host: Host, long: str) -> None:
    # A daemon of an earlier command, another command, and a file that is open.
    host.run(f"nohup {long} >/dev/null 2>&1 & true")
    host.exists("/")
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(type(host)().run, "sleep 1.7; echo undisturbed")
        with pytest.raises(CommandTimeout):
            host.run("(trap '' TERM; sleep 60; true) & sleep 60", timeout=0.3)
        assert other.result() == "undisturbed\n"
    assert runs(host, long)
    assert host.exists("/")
    host.run(f"pkill -f '[s]{long[1:]}'")


def test_who_leaves_the_session_stays(host: Host, long: str) -> None:
    with pytest.raises(CommandTimeout):
        host.run(f"setsid {long} & {long}1", timeout=0.3)
    assert runs(host, f"{long}$") and not runs(host, f"{long}1$")
    host.run(f"pkill -f '[s]{long[1:]}'")


def test_a_command_is_ended_where_there_is_no_session_to_spare(
    new_ssh_host: NewHost, world: World, long: str
) -> None:
    with world.serve("MaxSessions 1") as server:
        host = new_ssh_host(server=server)()
        for _ in range(2):
            with pytest.raises(CommandTimeout):
                host.run(f"{long} | {long}", timeout=0.3)
            assert not runs(host, long)
        host.close_connection()


def test_many_commands_are_ended_at_once(host_class: HostClass, long: str) -> None:
    def work(_: int) -> str:
        with pytest.raises(CommandTimeout) as caught:
            host_class().run(f"echo begun; {long} | {long}", timeout=1)
        return caught.value.result.stdout

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(work, range(10))) == ["begun\n"] * 10
    assert not runs(host_class(), long)


def test_ctrl_c_ends_the_command(host_class: HostClass, long: str) -> None:
    pty = DummyPty()

    def press() -> None:
        until(lambda: "begun" in pty.get_output())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        host_class(pty).run(f"echo begun; {long} | {long}", timeout=60)
    thread.join()
    assert not runs(host_class(), long)
    assert host_class().run("echo still here") == "still here\n"


# Windows.


def test_a_window_that_is_resized_as_the_command_ends(host_class: HostClass) -> None:
    with open_terminal() as terminal:
        host = host_class(terminal.pty)
        server = host.run("echo $PPID", interactive=False)
        stop = threading.Event()

        def resize() -> None:
            while not stop.is_set():
                for rows in range(20, 40):
                    size = struct.pack("HHHH", rows, 100, 0, 0)
                    fcntl.ioctl(terminal.pty.stdin.fileno(), termios.TIOCSWINSZ, size)
                    os.kill(os.getpid(), signal.SIGWINCH)
                    # As fast as it takes to hit every moment of a command.
                    time.sleep(0.0005)

        before = signal.signal(signal.SIGWINCH, lambda *_: None)
        thread = threading.Thread(target=resize)
        thread.start()
        try:
            for number in range(30):
                assert host.run(f"echo {number}", timeout=30) == f"{number}\n"
        finally:
            stop.set()
            thread.join()
            signal.signal(signal.SIGWINCH, before)
        assert host.run("echo $PPID", interactive=False) == server


# Threads.


def test_nested_contexts_and_long_outputs_of_threads_do_not_mix(host_class: HostClass) -> None:
    lines = 2000
    print_lines = f'for ((i = 0; i < {lines}; i++)); do echo "$NUMBER$INNER$p/$q$PWD"; done'

    def work(number: int) -> bool:
        host = host_class()
        inner, outer = [], []
        with host.cd("/usr"), host.env("NUMBER", str(number)), host.prefix(f"p={number}"):
            for _ in range(3):
                with host.cd("share"), host.env("INNER", f"<{number}>"), host.prefix("q=$p$p"):
                    inner.append(host.run(print_lines, silent=True))
                outer.append(host.run("echo $NUMBER$INNER$p$q$PWD"))
        return (
            inner == [f"{number}<{number}>{number}/{number}{number}/usr/share\n" * lines] * 3
            and outer == [f"{number}{number}/usr\n"] * 3
        )

    with ThreadPoolExecutor(24) as pool:
        assert all(pool.map(work, range(24)))


def test_a_run_takes_the_context_as_it_is_at_one_moment(host: Host) -> None:
    home = host.run("pwd").strip()
    stop = threading.Event()

    def change() -> None:
        while not stop.is_set():
            with host.cd("/usr"), host.env("A", "1"), host.cd("share"), host.env("B", "2"):
                pass

    thread = threading.Thread(target=change)
    thread.start()
    try:
        found = {host.run("echo $PWD,$A,$B", silent=True) for _ in range(40)}
    finally:
        stop.set()
        thread.join()
    moments = (f"{home},,", "/usr,,", "/usr,1,", "/usr/share,1,", "/usr/share,1,2")
    assert found <= {f"{moment}\n" for moment in moments}


# This machine.


def zombies() -> int:
    return len(re.findall(r"^Z", _states(), re.MULTILINE))


def _states() -> str:
    return subprocess.run(
        ["ps", "-o", "state=", "--ppid", str(os.getpid())],
        capture_output=True,
        text=True,
        check=False,
    ).stdout


def test_a_thousand_local_runs_leave_nothing_behind(need_program: Callable[[str], str]) -> None:
    need_program("ps")
    host = LocalHost()

    def work(number: int) -> None:
        interactive = number % 5 == 0
        assert host.copy().run(f"echo {number}", interactive=interactive) == f"{number}\n"

    work(0)
    work(1)
    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(work, range(1000)))) == 1000
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before
    assert zombies() == 0


def in_a_process(
    script: str, prelude: str = "", setsid: bool = False, **environment: str | None
) -> str:
    """Run a script with hosts in a process of its own, and return what it gives as `result`.

    :param prelude: shell lines that come before.
    """
    script = (
        "import sys\nfrom deployer.host import LocalHost\nfrom deployer.exceptions import *\n"
        f"from deployer.pseudo_terminal import Pty\n{script}\n"
        "open(sys.argv[1], 'w').write(repr(result))\n"
    )
    changed = {name: value for name, value in environment.items() if value is not None}
    kept = {name: value for name, value in os.environ.items() if name not in environment}
    reader, writer = os.pipe()
    try:
        done = subprocess.run(
            [
                *("sh", "-c", f'{prelude}\nexec "$@"', "sh"),
                *(sys.executable, "-c", script, f"/dev/fd/{writer}"),
            ],
            env={**kept, **changed, "PYTHONPATH": str(ROOT)},
            pass_fds=[writer],
            capture_output=True,
            text=True,
            timeout=60,
            start_new_session=setsid,
            check=False,
        )
        os.close(writer)
        writer = -1
        assert done.returncode == 0, done.stderr
        with os.fdopen(reader, closefd=False) as file:
            return file.read()
    finally:
        os.close(reader)
        if writer >= 0:
            os.close(writer)


TRIES = """\
host = LocalHost(Pty())
result = [
    str(host.run("echo out; echo err >&2; cat", initial_input="in", interactive=False)),
    str(host.run("echo x | tr x y", interactive=True)),
    host.run("exit 3", ignore_exit_status=True).exit_status,
]
"""
EXPECTED = repr(["out\nin", "y\n", 3])


def test_closed_streams_of_our_own_are_no_obstacle() -> None:
    for closed in ("<&-", ">&-", "<&- >&-", "<&- >&- 2>&-"):
        assert in_a_process(TRIES, f"exec {closed}") == EXPECTED


def test_no_controlling_terminal_is_no_obstacle() -> None:
    assert in_a_process(TRIES, setsid=True) == EXPECTED


def test_an_odd_environment_is_no_obstacle() -> None:
    assert in_a_process(TRIES, SHELL=None, HOME=None, TERM=None, LANG=None, LC_ALL="C") == EXPECTED
    assert in_a_process(TRIES, SHELL="/no/such") == EXPECTED
    for path in ("/usr/bin:/bin::relative:/no/such", "/bin"):
        assert in_a_process(TRIES, PATH=path) == EXPECTED
    absolute = 'result = str(LocalHost().run("/bin/echo x"))'
    assert in_a_process(absolute, "export PATH=") == repr("x\n")


def test_a_directory_that_is_gone(tmp_path: Path) -> None:
    gone = f"mkdir {tmp_path}/gone; cd {tmp_path}/gone; rmdir {tmp_path}/gone"
    script = (
        "host = LocalHost()\n"
        "with host.cd('/usr'):\n"
        "    result = [str(host.run('pwd')), str(host.run('pwd', interactive=True))[-5:]]\n"
        "try:\n"
        "    host.getcwd()\n"
        "except RemoteFileError as error:\n"
        "    result.append(str(error)[:32])\n"
    )
    assert in_a_process(script, gone) == repr(
        ["/usr\n", "/usr\n", "LocalHost: cannot find the direc"]
    )


def test_no_more_files_is_an_error_that_says_so() -> None:
    script = (
        "import os\n"
        "host, held = LocalHost(), []\n"
        "host.run('true')\n"
        "try:\n"
        "    while True: held.append(os.dup(1))\n"
        "except OSError: pass\n"
        "result = []\n"
        "for interactive in (False, True):\n"
        "    try:\n"
        "        host.run('true', interactive=interactive)\n"
        "    except ConnectionFailedException as error:\n"
        "        result.append(str(error))\n"
        "for fd in held: os.close(fd)\n"
        "result.append(str(host.run('echo again')))\n"
    )
    *errors, again = ast.literal_eval(in_a_process(script, "ulimit -n 64"))
    assert again == "again\n"
    assert len(errors) == 2
    for error in errors:
        assert re.match(r"LocalHost: cannot start a command .*: Too many open files; ", error)


# Shells that are not there.


def test_a_shell_that_is_not_there_is_named(host_class: HostClass, interactive: bool) -> None:
    host = type("Shelled", (host_class,), {"shell": "/no/such"})()
    with pytest.raises((ConnectionFailedException, ExecCommandFailed)) as caught:
        host.run("true", interactive=interactive)
    assert "Shelled: " in str(caught.value)
    assert "/no/such: No such file or directory" in str(caught.value)
