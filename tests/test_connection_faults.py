"""What goes wrong with connections: each call ends in time, with a result or a typed error."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import paramiko
import pytest

from deployer.exceptions import (
    ConnectionFailedException,
    ConnectionLost,
    RemoteFileError,
)
from deployer.host import SSHHost
from deployer.host.ssh.keepalive import Keepalive, Step
from deployer.pseudo_terminal import DummyPty
from fault_proxy import FaultProxy, fault_proxy
from terminals import ROOT
from waiting import until
from world import Server, World

pytestmark = pytest.mark.faults

NewHost = Callable[..., type[SSHHost]]

# Quick, and more than a busy machine needs to answer.
KEEPALIVE = 0.5
DEADLINE = 30.0


@pytest.fixture(autouse=True)
def _nothing_is_left(sshd: Server) -> Iterator[None]:
    """No test may leave a thread or an open file behind."""

    def files() -> int:
        return len(os.listdir("/proc/self/fd"))

    threads_before, files_before = threading.active_count(), files()
    yield
    until(lambda: threading.active_count() <= threads_before, f"{threading.enumerate()}")
    until(lambda: files() <= files_before, "a file is still open")


@pytest.fixture
def proxy(sshd: Server) -> Iterator[FaultProxy]:
    with fault_proxy(sshd.port) as proxy:
        yield proxy


@pytest.fixture
def behind_proxy(new_ssh_host: NewHost, sshd: Server, proxy: FaultProxy) -> NewHost:
    """Make hosts whose packets go through the proxy."""
    server = dataclasses.replace(sshd, port=proxy.port)

    def new_host(**attributes: object) -> type[SSHHost]:
        settings = {"timeout": 5, "keepalive_interval": KEEPALIVE}
        return new_ssh_host(server=server, **(settings | attributes))

    return new_host


@contextlib.contextmanager
def ends_in_time() -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < DEADLINE


def server_process(host: SSHHost) -> str:
    """Return the process of sshd that has the connection of a host."""
    return host.run("echo $PPID", silent=True).strip()


@pytest.fixture
def freeze(world: World) -> Iterator[Callable[[str], None]]:
    """Return a function that stops a process of the world for the rest of the test."""
    frozen: list[str] = []

    def freeze(pid: str) -> None:
        world.run(["kill", "-STOP", pid])
        frozen.append(pid)

    yield freeze
    for pid in frozen:
        world.run(["kill", "-KILL", pid], check=False)


# Connecting.


def test_an_address_without_a_route_is_an_error_in_time(new_ssh_host: NewHost) -> None:
    # Kept for documentation by RFC 5737.
    with ends_in_time(), pytest.raises(ConnectionFailedException, match=r"Remote: .*192\.0\.2\.1"):
        new_ssh_host(address="192.0.2.1", timeout=1)().run("true")


def test_a_server_that_is_not_ssh_is_asked_once(new_ssh_host: NewHost) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepted = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    accepted.append(1)
                    with connection:
                        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                        connection.recv(1000)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(ConnectionFailedException, match=r"it said 'HTTP/1\.1 400"):
            new_ssh_host(port=server.getsockname()[1])().run("true")
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        assert len(accepted) == 1


def test_more_attempts_are_made_where_the_config_says_so(
    new_ssh_host: NewHost, tmp_path: Path
) -> None:
    config = tmp_path / "attempts"
    config.write_text("Host *\n  ConnectionAttempts 3\n")
    with socket.socket() as server:
        # Refused, until it listens.
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            # Nothing shows here that the first attempt has been refused.
            time.sleep(0.3)
            server.listen()
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"here I am\r\n")
                connection.recv(1000)

        thread = threading.Thread(target=serve)
        thread.start()
        host = new_ssh_host(port=server.getsockname()[1], config_filename=str(config))
        with pytest.raises(ConnectionFailedException, match="here I am"):
            host().run("true")
        thread.join()


@pytest.mark.parametrize("stuck", ["connecting", "shaking hands"])
def test_an_interrupt_does_not_wait_for_a_host_that_is_silent(
    new_ssh_host: NewHost, stuck: str
) -> None:
    pty = DummyPty()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        if stuck == "connecting":
            # A full backlog: the handshake of TCP is never completed.
            for _ in range(4):
                other = stack.enter_context(socket.socket())
                other.setblocking(False)
                other.connect_ex(server.getsockname())
        host = new_ssh_host(port=server.getsockname()[1], timeout=60)
        timer = threading.Timer(0.3, pty.interrupted.set)
        timer.start()
        begun = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            host(pty).run("true")
        assert time.monotonic() - begun < 10
        timer.join()


def test_a_connection_that_is_dropped_before_the_banner_is_made_again(
    behind_proxy: NewHost, proxy: FaultProxy
) -> None:
    proxy.set(drop_after_down=0)
    proxy.faulty_connections = 2
    assert behind_proxy()().run("whoami") == "deploy\n"
    assert proxy.connections == 3


def test_a_server_that_always_drops_connections_is_given_up(
    behind_proxy: NewHost, proxy: FaultProxy
) -> None:
    proxy.set(drop_after_down=0, reset=True)
    with ends_in_time(), pytest.raises(ConnectionFailedException, match="MaxStartups"):
        behind_proxy()().run("true")
    assert 1 < proxy.connections < 10


def test_a_connection_that_is_lost_after_the_banner_is_not_made_again(
    behind_proxy: NewHost, proxy: FaultProxy
) -> None:
    proxy.set(drop_after_down=200)
    with pytest.raises(ConnectionFailedException):
        behind_proxy()().run("true")
    assert proxy.connections == 1


def test_a_wave_of_connections_gets_through_a_narrow_door(
    new_ssh_host: NewHost, world: World
) -> None:
    with world.serve("MaxStartups 2:100:2") as server:
        hosts = [new_ssh_host(server=server, name=f"Host{number}") for number in range(60)]
        with ends_in_time(), ThreadPoolExecutor(len(hosts)) as pool:
            found = list(pool.map(lambda host: host().run("whoami"), hosts))
        assert found == ["deploy\n"] * len(hosts)
        for host in hosts:
            host.close_connection()


# Losing a connection.

LOSSES = {
    "the server is killed": lambda proxy, kill: kill(),
    "the link is cut": lambda proxy, kill: proxy.drop_all(),
    "the link is reset": lambda proxy, kill: proxy.drop_all(reset=True),
    "the server says no more": lambda proxy, kill: proxy.set(half_close_after_down=proxy.down + 10),
    "a byte is wrong": lambda proxy, kill: proxy.set(corrupt_down=proxy.down + 40),
    "a length is wrong": lambda proxy, kill: proxy.set(corrupt_down=proxy.down),
    "nothing comes through": lambda proxy, kill: proxy.set(freeze_after_down=proxy.down),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_in_the_middle_of_a_command_is_never_a_success(
    behind_proxy: NewHost, proxy: FaultProxy, world: World, loss: str
) -> None:
    host = behind_proxy()
    process = server_process(host())
    proxy.faulty_connections = 1
    pty = DummyPty()
    result: list[object] = []

    def run() -> None:
        try:
            command = "echo begun; while sleep 0.1; do echo more; done"
            result.append(host(pty).run(command, ignore_exit_status=True))
        except ConnectionLost as error:
            result.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: "more" in pty.get_output(), "nothing was printed")
    with ends_in_time():
        LOSSES[loss](proxy, lambda: world.run(["kill", "-9", process]))
        thread.join()
    (error,) = result
    assert isinstance(error, ConnectionLost)
    assert error.result is not None
    assert error.result.startswith("begun\nmore\n")
    assert error.result == pty.get_output()
    # The next call has a new connection.
    assert host().run("whoami") == "deploy\n"
    assert proxy.connections == 2


def test_all_who_use_a_connection_are_told_of_its_end_and_who_waits_gets_another(
    new_ssh_host: NewHost, world: World
) -> None:
    host = new_ssh_host()
    process = server_process(host())
    ptys = [DummyPty() for _ in range(10)]
    # As many sessions as sshd allows.
    with ThreadPoolExecutor(14) as pool:
        lost = [pool.submit(host(pty).run, "echo begun; sleep 60") for pty in ptys]
        until(lambda: all(pty.get_output() for pty in ptys), "not all have begun")
        others = [pool.submit(host().run, "whoami") for _ in range(4)]
        world.run(["kill", "-9", process])
        errors = [job.exception(DEADLINE) for job in lost]
        assert [type(error) for error in errors] == [ConnectionLost] * 10
        assert [job.result(DEADLINE) for job in others] == ["deploy\n"] * 4


@pytest.mark.parametrize("pause", [0.0, 0.5])
def test_an_exit_status_alone_is_no_success(
    new_ssh_host: NewHost, monkeypatch: pytest.MonkeyPatch, pause: float
) -> None:
    unlink = paramiko.Channel._unlink  # type: ignore[attr-defined]

    def slowly(channel: paramiko.Channel) -> None:
        # The thread of the connection does this, and then says that it has ended.
        unlink(channel)
        time.sleep(pause)

    monkeypatch.setattr(paramiko.Channel, "_unlink", slowly)
    # The status comes at once; more output might, until the connection breaks.
    with pytest.raises(ConnectionLost) as caught:
        new_ssh_host()().run("echo some; (sleep 0.3; kill -9 $PPID; sleep 9) & exit 0")
    assert caught.value.result == "some\n"


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_command_is_never_run_twice(
    behind_proxy: NewHost, proxy: FaultProxy, direction: str, ssh_host: type[SSHHost]
) -> None:
    outcomes = set()
    ssh_host().run("rm -f counter")
    # Opening a session, asking for the command, its output and its end are some 600 bytes.
    for number, size in enumerate(itertools.chain(range(1, 200, 9), range(200, 600, 40))):
        host = behind_proxy()
        before = getattr(proxy, direction)
        host().run("true")
        proxy.faulty_connections = proxy.connections
        passed = getattr(proxy, direction) - before
        proxy.set(**{f"drop_after_{direction}": passed + size})
        with ends_in_time():
            try:
                outcomes.add(host().run(f"echo {number} >>counter; echo done"))
            except ConnectionLost:
                outcomes.add(ConnectionLost)
        proxy.set(**{f"drop_after_{direction}": None})
        host.close_connection()
    lines = ssh_host().run("cat counter").split()
    assert len(lines) == len(set(lines))
    assert outcomes == {"done\n", ConnectionLost}


@pytest.mark.parametrize("fault", ["drop_after_down", "drop_after_up", "corrupt_down"])
def test_every_moment_of_a_connection_may_be_its_last(
    behind_proxy: NewHost, proxy: FaultProxy, fault: str
) -> None:
    content = os.urandom(20_000)

    def work(host: type[SSHHost]) -> None:
        assert host().run("echo $((6 * 7))") == "42\n"
        with host().open("life", "wb") as file:
            file.write(content)
        with host().open("life", "rb") as file:
            assert file.read() == content

    host = behind_proxy(timeout=2)
    work(host)
    host.close_connection()
    life = proxy.up if fault == "drop_after_up" else proxy.down
    failures = 0
    for place in sorted({*range(0, 4000, 250), *range(4000, life, life // 8)}):
        host = behind_proxy(timeout=2)
        proxy.set(**{fault: place})
        proxy.faulty_connections = proxy.connections + 1
        with ends_in_time():
            try:
                work(host)
            except (ConnectionFailedException, RemoteFileError):
                failures += 1
        proxy.set(**{fault: None})
        host.close_connection()
    assert failures > 10


def test_a_network_that_pauses_after_the_exit_status_loses_no_output(
    behind_proxy: NewHost, proxy: FaultProxy
) -> None:
    host = behind_proxy(keepalive_interval=30)
    host().run("true")
    # After the status, and before the output; longer than open streams are waited for.
    begin = threading.Timer(0.2, proxy.set, kwargs={"freeze_after_down": 0})
    end = threading.Timer(2.0, proxy.set, kwargs={"freeze_after_down": None})
    for timer in (begin, end):
        timer.start()
    assert host().run("(sleep 0.5; echo late) & exit 0") == "late\n"
    for timer in (begin, end):
        timer.join()


def test_bytes_that_come_one_by_one_are_as_good(behind_proxy: NewHost, proxy: FaultProxy) -> None:
    proxy.set(piece=1)
    assert behind_proxy()().run("seq 100") == "".join(f"{n}\n" for n in range(1, 101))


# Dead peers.


def test_a_silent_peer_is_asked_before_it_is_given_up() -> None:
    keepalive = Keepalive(10, 2)
    steps = [keepalive.next_step(now, 0, None) for now in (9, 10, 19, 20, 29, 30)]
    assert steps == [Step.WAIT, Step.ASK, Step.WAIT, Step.ASK, Step.WAIT, Step.GIVE_UP]


def test_a_peer_that_says_something_is_not_asked() -> None:
    keepalive = Keepalive(10, 2)
    assert {keepalive.next_step(now, now - 5, None) for now in range(0, 100, 5)} == {Step.WAIT}


def test_an_answer_counts_and_bytes_that_are_no_packet_do_not() -> None:
    keepalive = Keepalive(10, 1)
    assert keepalive.next_step(10, 0, None) is Step.ASK
    keepalive.packet_arrived()
    assert keepalive.next_step(25, 11, None) is Step.ASK
    assert keepalive.next_step(40, 26, None) is Step.GIVE_UP


def test_nobody_is_given_up_because_we_were_asleep() -> None:
    keepalive = Keepalive(10, 1)
    assert keepalive.next_step(10_000, 0, None) is Step.ASK


def test_a_peer_that_takes_what_was_sent_lives() -> None:
    keepalive = Keepalive(10, 1)
    steps = [keepalive.next_step(now, 0, unsent) for now, unsent in ((10, 900), (20, 500))]
    assert steps == [Step.ASK, Step.ASK]
    assert keepalive.next_step(30, 0, 500) is Step.GIVE_UP


def test_a_command_that_says_nothing_for_long_is_left_alone(behind_proxy: NewHost) -> None:
    assert behind_proxy(keepalive_interval=0.1)().run("sleep 1.5; echo done") == "done\n"


FREEZE = "kill -STOP $PPID; "


@pytest.mark.parametrize(
    ("command", "size"), [("echo begun; sleep 60", 0), ("cat >/dev/null", 30_000_000)]
)
def test_a_server_that_freezes_in_the_middle_of_a_command_is_noticed(
    new_ssh_host: NewHost, world: World, command: str, size: int
) -> None:
    host = new_ssh_host(keepalive_interval=KEEPALIVE)
    process = server_process(host())
    begun = time.monotonic()
    # It may be frozen before it has said that it takes the command.
    noticed = r"Remote: .* (was lost while .* ran|did not take a command: nothing came from it)"
    with pytest.raises(ConnectionLost, match=noticed):
        host().run(FREEZE + command, initial_input=b"x" * size)
    assert time.monotonic() - begun < 15
    world.run(["kill", "-KILL", process])
    assert host().run("whoami") == "deploy\n"


def test_a_server_that_freezes_while_a_file_is_written_is_noticed(
    new_ssh_host: NewHost, freeze: Callable[[str], None]
) -> None:
    host = new_ssh_host(keepalive_interval=KEEPALIVE)
    begun = time.monotonic()
    lost = pytest.raises(ConnectionLost, match=r"Remote: .*nothing came from it for")
    with lost, host().open("frozen", "wb") as file:
        file.write(b"x" * 100_000)
        freeze(server_process(host()))
        for _ in range(1000):
            file.write(b"x" * 100_000)
    assert time.monotonic() - begun < 15
    assert not host().exists("frozen")


@pytest.mark.parametrize("call", ["run", "exists"])
def test_a_server_that_froze_before_a_call_is_replaced(
    new_ssh_host: NewHost, freeze: Callable[[str], None], call: str
) -> None:
    host = new_ssh_host(keepalive_interval=KEEPALIVE)
    process = server_process(host())
    freeze(process)
    with ends_in_time():
        getattr(host(), call)("echo")
    assert server_process(host()) != process


def test_closing_does_not_wait_for_a_frozen_server(
    new_ssh_host: NewHost, freeze: Callable[[str], None]
) -> None:
    host = new_ssh_host()
    host().exists("file")
    freeze(server_process(host()))
    begun = time.monotonic()
    host.close_connection()
    assert time.monotonic() - begun < 5


# Keys that are replaced in the middle.


def test_new_keys_in_the_middle_change_no_byte(new_ssh_host: NewHost, world: World) -> None:
    content = os.urandom(5_000_000)
    with world.serve("RekeyLimit 64K") as server:
        host = new_ssh_host(server=server)

        def command(number: int) -> bool:
            echoed = host().run("cat", initial_input=content, silent=True)
            return echoed.encode(errors="surrogateescape") == content

        def files(number: int) -> bool:
            with host().open(f"rekey{number}", "wb") as file:
                file.write(content)
            with host().open(f"rekey{number}", "rb") as file:
                return bool(file.read() == content)

        with ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(job, n) for n, job in enumerate((command, files) * 2)]
            assert [job.result() for job in jobs] == [True] * 4
        host.close_connection()


# Open files.

_FEW_FILES = """
import os, resource, sys
soft, hard = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
from deployer.exceptions import ConnectionFailedException
from deployer.host import SSHHost

class Remote(SSHHost):
    address, port, username, key_filename, config_filename = sys.argv[3:8]
    port = int(port)

host = Remote()
kept = []
if soft == hard:
    # What it takes is imported by then: Python cannot do without a file for that.
    import deployer.host.arguments, deployer.host.execution, deployer.host.ssh.connection_pool
    try:
        while True:
            kept.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
try:
    print(host.run("whoami", silent=True).strip(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
except ConnectionFailedException as error:
    print(error)
for fd in kept:
    os.close(fd)
"""


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [(64, 512, "deploy 512"), (64, 64, "may have 64 files open")],
)
def test_the_limit_on_open_files_is_raised_or_named(
    ssh_host: type[SSHHost], soft: int, hard: int, expected: str
) -> None:
    arguments = [
        str(getattr(ssh_host, name))
        for name in ("address", "port", "username", "key_filename", "config_filename")
    ]
    done = subprocess.run(
        [sys.executable, "-c", _FEW_FILES, str(soft), str(hard), *arguments],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert expected in done.stdout, done.stderr
    if soft == hard:
        assert "ulimit -n" in done.stdout


def test_who_holds_a_session_never_waits_for_one_more(new_ssh_host: NewHost, world: World) -> None:
    with world.serve("MaxSessions 1") as server:
        host = new_ssh_host(server=server)()
        with host.open("nested", "w") as file:
            file.write(host.run("echo written", timeout=20))
            with host.open("inner", "w", use_sudo=True) as inner:
                inner.write(host.sudo("whoami", timeout=20))
        assert host.run("cat nested inner") == "written\nroot\n"


def test_threads_that_hold_all_sessions_do_not_wait_for_each_other(
    new_ssh_host: NewHost, world: World
) -> None:
    with world.serve("MaxSessions 2") as server:
        host_class = new_ssh_host(server=server)
        together = threading.Barrier(6)

        def write(number: int) -> str:
            host = host_class()
            together.wait(20)
            for turn in range(3):
                with host.open(f"held-{number}", "w") as file:
                    file.write(host.run(f"echo {number} {turn}", timeout=30))
            return host.run(f"cat held-{number}")

        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(write, range(6))) == [f"{number} 2\n" for number in range(6)]


def test_those_who_wait_for_a_host_that_is_gone_learn_it_together(new_ssh_host: NewHost) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        host_class = new_ssh_host(port=port, timeout=1.0)
        begun = time.monotonic()
        with ThreadPoolExecutor(20) as pool:
            calls = [pool.submit(host_class().run, "true") for _ in range(20)]
            for call in calls:
                with pytest.raises(ConnectionFailedException, match=f"Remote: .*{port}"):
                    call.result()
        # One after another, they would have taken twenty times as long.
        assert time.monotonic() - begun < 10
