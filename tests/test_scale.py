"""Thousands of connections: what each of them costs while nothing happens on it, and its end."""

from __future__ import annotations

import multiprocessing
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest

from deployer.exceptions import ConnectionFailedException, ConnectionLost
from deployer.host import Host, LocalHost, SSHHost, open_files
from deployer.host.ssh import tuning
from deployer.host.ssh.connection_pool import connections
from deployer.host.ssh.keepalive import Stream
from deployer.host.ssh.stacks import STACK_SIZE, SmallStack
from deployer.pseudo_terminal import DummyPty
from terminals import ROOT
from waiting import until
from world import Server, World

TIMEOUT = 20.0

NewHost = Callable[..., type[SSHHost]]


def transport_of(host: type[SSHHost]) -> tuning.Transport:
    """Return what the connection of a host runs over."""
    return connections.get(host).transport(DummyPty())


@pytest.fixture
def behind_gateway(new_ssh_host: NewHost) -> type[SSHHost]:
    """Make a host that is reached through another one."""
    return new_ssh_host(gateway=new_ssh_host(name="Gateway"), name="Behind")


_RELAY = """
import os, selectors, socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as sock:
    selector = selectors.DefaultSelector()
    selector.register(0, selectors.EVENT_READ)
    selector.register(sock, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            data = sock.recv(65536) if key.fileobj is sock else os.read(0, 65536)
            if not data:
                sys.exit()
            if key.fileobj is sock:
                os.write(1, data)
            else:
                sock.sendall(data)
"""


@pytest.fixture(params=["directly", "through a gateway", "through a command"])
def host(request: pytest.FixtureRequest, new_ssh_host: NewHost, tmp_path: Path) -> type[SSHHost]:
    """Make a host that is reached in one of the ways that there are."""
    if request.param == "directly":
        return new_ssh_host()
    if request.param == "through a gateway":
        behind: type[SSHHost] = request.getfixturevalue("behind_gateway")
        return behind
    made = new_ssh_host()
    config = Path(str(made.config_filename))
    relay = tmp_path / "relay.py"
    relay.write_text(_RELAY)
    command = f"{sys.executable} {relay} {made.address} {made.port}"
    config.write_text(f"{config.read_text()}    ProxyCommand {command}\n")
    return made


# Rest.


def test_paramiko_wakes_as_often_as_is_thought() -> None:
    assert paramiko.Transport._active_check_timeout == 0.1  # type: ignore[attr-defined]


@pytest.fixture
def wakes(monkeypatch: pytest.MonkeyPatch) -> list[Stream]:
    """Collect the stream of each sleep that ends without any news."""
    found: list[Stream] = []
    wait_for = Stream._wait_for

    def noted(stream: Stream, seconds: float) -> None:
        found.append(stream)
        wait_for(stream, seconds)

    monkeypatch.setattr(Stream, "_wait_for", noted)
    return found


def test_a_connection_that_rests_wakes_rarely(host: type[SSHHost], wakes: list[Stream]) -> None:
    transport = transport_of(host)
    # Its thread is still in the short sleep that logging in needs.
    until(lambda: transport.stream.gettimeout() > 1)
    wakes.clear()
    transport.join(1.5)
    assert wakes.count(transport.stream) == 0


def test_the_sleep_ends_when_a_question_is_due(
    new_ssh_host: NewHost, wakes: list[Stream], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()
    ask = tuning.Transport._ask

    def noted(transport: tuning.Transport) -> None:
        asked.set()
        ask(transport)

    monkeypatch.setattr(tuning.Transport, "_ask", noted)
    transport = transport_of(new_ssh_host(keepalive_interval=0.7))
    assert asked.wait(TIMEOUT)
    wakes.clear()
    asked.clear()
    assert asked.wait(TIMEOUT)
    # It may be a little early, and that for the first question may be among them; with paramiko's
    # own tenth of a second there would be seven.
    assert wakes.count(transport.stream) <= 4
    assert transport.stream.gettimeout() < 0.8


def test_a_connection_that_is_busy_never_wakes_for_nothing(
    new_ssh_host: NewHost, wakes: list[Stream]
) -> None:
    host = new_ssh_host()
    transport = transport_of(host)
    until(lambda: transport.stream.gettimeout() > 1)
    wakes.clear()
    assert len(host().run("head -c 5000000 /dev/zero", silent=True)) == 5_000_000
    assert transport.stream not in wakes


def test_a_connection_that_rests_ends_at_once(host: type[SSHHost]) -> None:
    transport = transport_of(host)
    until(lambda: transport.stream.gettimeout() > 1)
    begun = time.monotonic()
    host.close_connection()
    assert not transport.is_alive()
    assert time.monotonic() - begun < 0.9


def test_keys_that_we_want_to_replace_are_while_data_only_leaves(
    new_ssh_host: NewHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = new_ssh_host()
    transport = transport_of(host)
    until(lambda: transport.stream.gettimeout() > 1)
    begun = 0
    send_kex_init = paramiko.Transport._send_kex_init  # type: ignore[attr-defined]

    def noted(transport: paramiko.Transport) -> None:
        nonlocal begun
        begun += 1
        send_kex_init(transport)

    monkeypatch.setattr(paramiko.Transport, "_send_kex_init", noted)
    monkeypatch.setattr(transport.packetizer, "REKEY_BYTES", 500_000)
    content = b"x" * 10_000_000
    before = time.monotonic()
    assert host().run("wc -c", initial_input=content) == f"{len(content)}\n"
    assert begun > 2
    assert time.monotonic() - before < TIMEOUT / 2
    assert transport_of(host) is transport


class NotedSocket(socket.socket):
    """A socket that remembers which options were set."""

    def __init__(self, fileno: int) -> None:
        super().__init__(fileno=fileno)
        self.options: list[int] = []

    def setsockopt(self, level: int, option: int, *value: object) -> None:  # type: ignore[override]
        self.options.append(option)
        super().setsockopt(level, option, *value)  # type: ignore[call-overload]


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="only Linux has it")
def test_only_what_comes_first_is_acknowledged_at_once() -> None:
    ours, its = socket.socketpair()
    with its, NotedSocket(ours.detach()) as noted:
        stream = Stream(noted)
        for number in range(1, 200):
            its.sendall(b"x")
            # It is no TCP, which does no harm.
            assert stream.recv(10) == b"x"
            if number == 20:
                assert noted.options == [socket.TCP_QUICKACK] * number
        assert len(noted.options) < 100


# Threads.


def test_only_the_threads_of_connections_have_a_small_stack(
    new_ssh_host: NewHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[threading.Thread, int]] = []

    class Noted(threading.Thread):
        """As SmallStack: Python looks at this in the moment in which it makes the thread."""

        @property
        def _bootstrap(self) -> object:
            made.append((self, threading.stack_size()))
            return super()._bootstrap  # type: ignore[misc]

    stopping = threading.Event()

    def start_others() -> None:
        while not stopping.is_set():
            other = Noted(target=lambda: None)
            other.start()
            other.join()

    usual = threading.stack_size()
    starter = threading.Thread(target=start_others)
    starter.start()
    small = [SmallStack(target=stopping.wait) for _ in range(200)]
    for thread in small:
        thread.start()
    until(lambda: len(made) > 20)
    stopping.set()
    for thread in (starter, *small):
        thread.join()
    assert {size for _, size in made} == {usual}
    assert threading.stack_size() == usual


def test_twenty_connections_take_few_addresses(new_ssh_host: NewHost) -> None:
    def addresses() -> int:
        status = Path("/proc/self/status").read_text()
        found = re.search(r"VmSize:\s*(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    hosts = [new_ssh_host(name=f"Host{number}") for number in range(20)]
    transport_of(hosts[0])
    before = addresses()
    for host in hosts[1:]:
        assert issubclass(type(transport_of(host)), SmallStack)
    # Each would take 8 MB otherwise. The rest is what the allocator keeps for each processor.
    assert (addresses() - before) / 19 < 2 * STACK_SIZE + 4_000_000


# Open files.

_CHECK = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, int(sys.argv[1])))
from deployer.exceptions import ConnectionFailedException
from deployer.host import open_files
try:
    open_files.check(hosts=int(sys.argv[2]), at_once=int(sys.argv[3]))
    print("enough")
except ConnectionFailedException as error:
    print(error)
assert "paramiko" not in sys.modules
"""


@pytest.mark.parametrize(
    ("hard", "hosts", "at_once", "expected"),
    [
        (1024, 100, 64, "enough"),
        (1024, 3000, 64, "3000 hosts need about 3[56]"),
        (256, 64, 64, "hard limit is 256.*ulimit -n.*limits.conf.*fewer hosts at once"),
        (256, 64, 8, "enough"),
        (256, 0, 64, "64 hosts at once need about 5.*Nothing was run yet"),
    ],
)
def test_hosts_that_need_more_files_than_there_may_be_are_refused_at_the_start(
    hard: int, hosts: int, at_once: int, expected: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CHECK, str(hard), str(hosts), str(at_once)],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert re.search(expected, done.stdout), done.stdout + done.stderr


def test_connections_that_are_open_are_not_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [socket.socketpair() for _ in range(30)]
    held = 2 * len(pairs)
    limit = len(os.listdir("/dev/fd")) + 8 + 32 + 20
    monkeypatch.setattr(open_files.resource, "getrlimit", lambda _: (limit, limit))
    open_files.check(hosts=held, at_once=1)
    with pytest.raises(ConnectionFailedException, match="need about"):
        open_files.check(hosts=held + 100, at_once=1)
    for ours, its in pairs:
        ours.close()
        its.close()


# Forks.


def _run_in_child(host: type[SSHHost], results: multiprocessing.SimpleQueue[object]) -> None:
    before = len(connections._connections)
    results.put((before, host().run("echo $PPID").strip()))
    host.close_connection()
    results.put("closed")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_connections_of_its_own(host: type[SSHHost]) -> None:
    server = host().run("echo $PPID").strip()
    with host().open("held", "w") as file:
        file.write("begun")
        fork = multiprocessing.get_context("fork")
        results: multiprocessing.SimpleQueue[object] = fork.SimpleQueue()
        # As if another thread were in the middle of things.
        transport = transport_of(host)
        with connections._lock, transport.lock:
            child = fork.Process(target=_run_in_child, args=(host, results))
            child.start()
        child.join(TIMEOUT)
        assert child.exitcode == 0
        file.write(" ended")
    known, its_server = results.get()  # type: ignore[misc]
    assert results.get() == "closed"
    assert known == 0
    assert its_server != server
    assert host().run("echo $PPID; cat held").split("\n") == [server, "begun ended"]


_FORK = """
import os, sys
from deployer.host import SSHHost

class Remote(SSHHost):
    address, port, username, key_filename, config_filename = sys.argv[1:6]
    port = int(port)

server = Remote().run("echo $PPID", silent=True)
child = os.fork()
if not child:
    # All that is done at exit is done in the child, too.
    sys.exit(0)
os.waitpid(child, 0)
print(Remote().run("echo $PPID", silent=True) == server)
"""


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_the_end_of_a_forked_process_closes_nothing(ssh_host: type[SSHHost]) -> None:
    arguments = [
        str(getattr(ssh_host, name))
        for name in ("address", "port", "username", "key_filename", "config_filename")
    ]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _FORK, *arguments],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.stdout == "True\n", done.stderr


# Opening and closing.


def test_a_host_says_whether_it_has_a_connection() -> None:
    assert (SSHHost.is_remote, LocalHost.is_remote, Host.is_remote) == (True, False, False)


def test_a_host_without_a_connection_has_none_to_open_or_end() -> None:
    LocalHost().connect()
    LocalHost.abort_connection()
    assert LocalHost().run("echo fine") == "fine\n"


def test_a_host_is_connected_to_before_it_is_used(host: type[SSHHost]) -> None:
    host().connect()
    transport = transport_of(host)
    host().connect()
    assert transport_of(host) is transport
    assert host().run("whoami") == "deploy\n"
    assert transport_of(host) is transport


def test_who_waits_for_a_connection_that_is_ended_here_is_told(host: type[SSHHost]) -> None:
    pty = DummyPty()
    errors: list[ConnectionLost] = []

    def run() -> None:
        try:
            host(pty).run("echo begun; sleep 60")
        except ConnectionLost as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: "begun" in pty.get_output())
    begun = time.monotonic()
    host.abort_connection()
    assert time.monotonic() - begun < 0.5
    thread.join(TIMEOUT)
    assert len(errors) == 1
    assert host().run("whoami") == "deploy\n"


def test_the_end_waits_for_no_frozen_host(new_ssh_host: NewHost, world: World) -> None:
    host = new_ssh_host()
    process = host().run("echo $PPID").strip()
    world.run(["kill", "-STOP", process])
    transport = transport_of(host)
    begun = time.monotonic()
    host.abort_connection()
    assert time.monotonic() - begun < 0.5
    transport.join(TIMEOUT)
    assert not transport.is_alive()
    world.run(["kill", "-KILL", process])


def test_a_host_that_is_not_connected_has_nothing_to_end(new_ssh_host: NewHost) -> None:
    host = new_ssh_host()
    host.abort_connection()
    assert host().run("whoami") == "deploy\n"


@pytest.fixture(autouse=True)
def _nothing_is_left(sshd: Server) -> Iterator[None]:
    """No test may leave a thread behind."""
    before = threading.active_count()
    yield
    connections.close()
    until(lambda: threading.active_count() <= before, lambda: str(threading.enumerate()))
