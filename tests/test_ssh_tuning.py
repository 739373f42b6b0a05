"""What we rely on that is private in paramiko: each test fails when a release changes it."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import paramiko
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paramiko.sftp import CMD_READ

from deployer.host import SSHHost
from deployer.host.ssh import connection, tuning
from deployer.host.ssh.config import resolve
from deployer.host.ssh.interrupts import interrupts_wait
from deployer.host.ssh.keepalive import Stream
from deployer.host.ssh.tuning import opening
from fault_proxy import fault_proxy
from terminals import ROOT
from waiting import until
from world import Server, World

TIMEOUT = 20.0


@pytest.fixture
def transport(world: World, sshd: Server) -> Iterator[tuning.Transport]:
    """A connection as deployer makes it, without the host around it."""
    sock = socket.create_connection((sshd.address, sshd.port))
    tuning.prepare_socket(sock)
    transport = tuning.Transport(sock)
    transport.start_client(timeout=TIMEOUT)
    transport.auth_publickey("deploy", paramiko.Ed25519Key(filename=world.key_filename))
    yield transport
    transport.close()
    sock.close()


@contextlib.contextmanager
def running(transport: paramiko.Transport, command: str) -> Iterator[paramiko.Channel]:
    channel = transport.open_session(timeout=TIMEOUT)
    try:
        channel.exec_command(command)
        yield channel
    finally:
        channel.close()


def test_nothing_waits_for_a_delayed_acknowledgement(transport: tuning.Transport) -> None:
    assert transport.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_the_cheapest_cipher_is_agreed_on(transport: tuning.Transport) -> None:
    assert transport.get_security_options().ciphers[:2] == (
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
    )
    assert transport.remote_cipher == transport.local_cipher == "aes128-gcm@openssh.com"


def test_the_signal_that_ended_a_command_is_kept(transport: tuning.Transport) -> None:
    with running(transport, "kill -9 $$") as channel:
        assert channel.status_event.wait(TIMEOUT)
        assert tuning.exit_signal(channel) == "KILL"
    with running(transport, "exit 3") as channel:
        assert channel.recv_exit_status() == 3
        assert tuning.exit_signal(channel) is None


def test_a_signal_reaches_all_that_a_command_started(
    transport: tuning.Transport, world: World
) -> None:
    with running(transport, "echo begun; sleep 6543 | sleep 6543") as channel:
        assert channel.recv(100) == b"begun\n"
        tuning.send_signal(channel, "TERM")
        assert channel.status_event.wait(TIMEOUT)
        assert tuning.exit_signal(channel) == "TERM"
    until(lambda: not world.run(["pgrep", "-f", "[s]leep 6543"], check=False))


# The command does the one thing that is to be noticed once it reads a line.
NEWS = {
    "data": "read x; echo data; read x",
    "data on stderr": "read x; echo data >&2; read x",
    "the end of the data": "read x; exec >&- 2>&-; read x",
    "the exit status": "sleep 1234 & read x",
    "a signal": "sleep 1234 & read x; kill $$",
}


@pytest.mark.parametrize("through", ["alone", "descriptor"])
@pytest.mark.parametrize("news", NEWS)
def test_all_news_wake(transport: tuning.Transport, world: World, news: str, through: str) -> None:
    waker = tuning.Waker()
    channel = transport.open_session(timeout=TIMEOUT)
    tuning.attach_waker(channel, waker)
    try:
        channel.exec_command(NEWS[news])
        # Nothing has happened so far.
        waker.wait(0.05)
        if through == "descriptor":
            waker.drain()
            assert select.select([waker.fileno()], [], [], 0)[0] == []
        channel.sendall(b"go\n")
        if through == "descriptor":
            assert select.select([waker.fileno()], [], [], TIMEOUT)[0] != []
        else:
            begun = time.monotonic()
            waker.wait(TIMEOUT)
            assert time.monotonic() - begun < TIMEOUT / 2
        assert {
            "data": channel.recv_ready,
            "data on stderr": channel.recv_stderr_ready,
            "the end of the data": lambda: channel.eof_received,
            "the exit status": channel.exit_status_ready,
            "a signal": channel.exit_status_ready,
        }[news]()
    finally:
        channel.close()
        waker.close()
        world.run(["pkill", "-f", "sleep 1234"], check=False)


def test_no_news_are_lost_between_two_waits() -> None:
    waker = tuning.Waker()
    waker.set()
    waker.clear()
    begun = time.monotonic()
    waker.wait(TIMEOUT)
    waker.set()
    assert select.select([waker.fileno()], [], [], 0)[0] != []
    assert time.monotonic() - begun < TIMEOUT / 2
    waker.close()


def test_the_end_of_a_channel_is_answered_by_whoever_uses_it(
    transport: tuning.Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed_by: list[threading.Thread] = []
    close = paramiko.Channel._close_internal  # type: ignore[attr-defined]

    def noted(channel: paramiko.Channel) -> object:
        closed_by.append(threading.current_thread())
        return close(channel)

    monkeypatch.setattr(paramiko.Channel, "_close_internal", noted)
    with running(transport, "true") as channel:
        assert channel.recv_exit_status() == 0
        # The server's end comes last: then, paramiko's own handler would have answered.
        with running(transport, "true") as other:
            assert other.recv_exit_status() == 0
        assert closed_by == [threading.current_thread()]
        # What is sent now must not arrive for a channel that is no more.
        with contextlib.suppress(paramiko.SSHException):
            channel.resize_pty(80, 24)
    with running(transport, "echo alive") as channel:
        assert channel.recv(100) == b"alive\n"


# The connection itself.


@pytest.fixture
def frozen(transport: tuning.Transport, world: World) -> Iterator[Callable[[], None]]:
    """Return a function that stops the server's process of the connection."""
    with running(transport, "echo $PPID") as channel:
        pid = channel.recv(100).decode().strip()
    yield lambda: world.run(["kill", "-STOP", pid]) and None
    world.run(["kill", "-KILL", pid])


def test_a_handshake_needs_no_thread_to_keep_the_time() -> None:
    ours, its = socket.socketpair()
    with its:
        its.sendall(b"SSH-2.0-silent\r\n")
        transport = tuning.Transport(ours)
        transport.handshake_timeout = 0.5
        negotiated = threading.Event()
        transport.start_client(event=negotiated)
        until(lambda: transport.remote_version)
        assert not [each for each in threading.enumerate() if isinstance(each, threading.Timer)]
        assert negotiated.wait(TIMEOUT)
        assert not transport.is_active()


def test_an_answer_to_us_is_not_taken_for_another(world: World, sshd: Server) -> None:
    with fault_proxy(sshd.port) as proxy:
        transport = tuning.Transport(socket.create_connection((proxy.address, proxy.port)))
        transport.start_client(timeout=TIMEOUT)
        transport.auth_publickey("deploy", paramiko.Ed25519Key(filename=world.key_filename))
        # A question is under way all the time.
        proxy.set(delay=0.1)
        transport.watch(0.05, 100)
        sent = proxy.up
        until(lambda: proxy.up > sent)
        ports = {transport.request_port_forward("127.0.0.1", 0) for _ in range(3)}
        assert len(ports) == 3
        assert 0 not in ports
        assert transport.is_active()
        transport.close()


def test_the_end_waits_for_nobody_who_sends_to_a_frozen_server(
    transport: tuning.Transport, frozen: Callable[[], None]
) -> None:
    errors: list[BaseException] = []

    def send(channel: paramiko.Channel) -> None:
        try:
            while True:
                channel.sendall(b"x" * 30_000)
        except tuning.BROKEN as error:
            errors.append(error)

    channels = [transport.open_session(timeout=TIMEOUT) for _ in range(5)]
    for channel in channels:
        channel.exec_command("cat >/dev/null")
    frozen()
    threads = [threading.Thread(target=send, args=(channel,)) for channel in channels]
    for thread in threads:
        thread.start()
    # One of them holds the lock, and what it sends goes nowhere.
    until(lambda: transport.stream.unsent() and not select.select([], [transport.sock], [], 0)[1])
    begun = time.monotonic()
    transport.close()
    assert not transport.is_active()
    for thread in (transport, *threads):
        thread.join(TIMEOUT)
        assert not thread.is_alive()
    assert time.monotonic() - begun < TIMEOUT / 2
    assert len(errors) == len(channels)


def test_a_connection_that_ends_while_a_channel_is_made_ends_whole(
    transport: tuning.Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_transport = paramiko.Channel._set_transport  # type: ignore[attr-defined]

    def slowly(channel: paramiko.Channel, of: paramiko.Transport) -> None:
        transport.stream.wake()
        # Time for the other thread to see half a channel.
        transport.join(0.3)
        set_transport(channel, of)

    monkeypatch.setattr(paramiko.Channel, "_set_transport", slowly)
    with pytest.raises(tuning.BROKEN):
        transport.open_session(timeout=TIMEOUT)
    transport.join(TIMEOUT)
    assert not transport.is_alive()
    assert not transport.is_active()


def test_those_who_open_a_channel_while_others_are_told_of_the_end_do_no_harm(
    transport: tuning.Transport,
) -> None:
    events = transport.channel_events
    events.update({number: threading.Event() for number in range(1000, 1003)})
    for number, event in enumerate(events.values()):
        events[2000 + number] = event
    assert len(events) == 6


def test_a_request_that_nobody_answers_is_an_error(
    transport: tuning.Transport, frozen: Callable[[], None]
) -> None:
    channel = transport.open_session(timeout=TIMEOUT)
    tuning.prepare_session(channel, 1.0)
    frozen()
    with pytest.raises(paramiko.SSHException, match="no reply within 1 seconds"):
        channel.exec_command("true")


def test_what_had_arrived_is_not_lost_with_the_connection(
    transport: tuning.Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(message: paramiko.Message) -> None:
        raise EOFError

    with running(transport, "head -c 1000000 /dev/zero; sleep 60") as channel:
        until(lambda: len(channel.in_buffer) == 1_000_000)
        with monkeypatch.context() as patch:
            patch.setattr(transport, "_send_user_message", broken)
            assert len(tuning.receive(channel, 2_000_000)) == 1_000_000


# Files.


@pytest.fixture
def sftp(transport: tuning.Transport) -> Iterator[paramiko.SFTPClient]:
    client = paramiko.SFTPClient.from_transport(transport)
    assert client is not None
    yield client
    client.close()


def read_all(file: paramiko.SFTPFile, size: int) -> bytes:
    ahead = tuning.ReadAhead(file)
    return b"".join(iter(lambda: ahead.read(size), b""))


@pytest.mark.parametrize("size", [0, 1, 255 * 1024 - 1, 255 * 1024, 255 * 1024 + 1, 5_000_000])
@pytest.mark.parametrize("piece", [7000, 100_000, -1])
def test_what_is_read_ahead_is_the_file(sftp: paramiko.SFTPClient, size: int, piece: int) -> None:
    content = os.urandom(size)
    with sftp.open("ahead", "wb") as file:
        file.write(content)
    with sftp.open("ahead", "rb") as file:
        assert read_all(file, piece) == content
    sftp.remove("ahead")


def test_a_file_that_does_not_know_its_size_is_read(sftp: paramiko.SFTPClient) -> None:
    assert sftp.stat("/proc/cpuinfo").st_size == 0
    with sftp.open("/proc/cpuinfo", "rb") as file:
        assert read_all(file, 100_000).decode().count("processor\t") == os.cpu_count()


def test_of_a_server_that_gives_less_no_more_is_wanted(
    sftp: paramiko.SFTPClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As some do that give 32 KB at once, whatever they are asked for."""
    content = os.urandom(3_000_000)
    with sftp.open("ahead", "wb") as file:
        file.write(content)
    asked: list[int] = []
    request = paramiko.SFTPClient._async_request  # type: ignore[attr-defined]

    def ask_for_less(client: Any, asker: Any, kind: int, *arguments: Any) -> Any:
        if kind != CMD_READ:
            return request(client, asker, kind, *arguments)
        *place, size = arguments
        asked.append(size)
        return request(client, asker, kind, *place, min(size, 32768))

    monkeypatch.setattr(paramiko.SFTPClient, "_async_request", ask_for_less)
    with sftp.open("ahead", "rb") as file:
        assert read_all(file, 100_000) == content
    assert asked[0] == 255 * 1024 and set(asked[1:-1]) == {32768}
    # Several were under way: none was asked for twice.
    assert len(asked) < 2 * len(content) / 32768
    monkeypatch.undo()
    sftp.remove("ahead")


def test_reading_ahead_that_is_given_up_disturbs_nobody(sftp: paramiko.SFTPClient) -> None:
    with sftp.open("long", "wb") as file:
        file.write(b"x" * 5_000_000)
    with sftp.open("long", "rb") as file:
        ahead = tuning.ReadAhead(file)
        for _ in range(8):
            ahead.read(31 * 1024)
        del ahead
    assert sftp.stat("long").st_size == 5_000_000
    with sftp.open("long", "rb") as file:
        assert len(read_all(file, 1_000_000)) == 5_000_000
    sftp.remove("long")


def test_an_error_while_reading_is_raised(sftp: paramiko.SFTPClient) -> None:
    with sftp.open("/usr", "rb") as file, pytest.raises(OSError, match="Failure"):
        read_all(file, 100_000)


def test_what_is_written_behind_is_the_file(sftp: paramiko.SFTPClient) -> None:
    content = os.urandom(5_000_000)
    with sftp.open("behind", "xwb") as file, sftp.open("/proc/version", "rb") as other:
        behind = tuning.WriteBehind(file)
        for start in range(0, len(content), 300_000):
            behind.write(content[start : start + 300_000])
            # Replies to the writes arrive while others are waited for.
            sftp.stat("behind")
            tuning.ReadAhead(other).read(10)
        behind.finish()
    with sftp.open("behind", "rb") as file:
        assert read_all(file, 1_000_000) == content
    sftp.remove("behind")


def test_a_write_that_failed_is_noticed_though_later_ones_did_not(
    sftp: paramiko.SFTPClient, world: World
) -> None:
    # A disk that is full for a moment only.
    world.run(["sh", "-c", "mkdir /run/small && mount -t tmpfs -o size=64k,mode=777 x /run/small"])
    try:
        with sftp.open("/run/small/other", "wb") as other:
            other.write(b"x" * 32 * 1024)
        with sftp.open("/run/small/file", "xwb") as file:
            behind = tuning.WriteBehind(file)
            for _ in range(3):
                behind.write(b"x" * 31 * 1024)
            sftp.remove("/run/small/other")
            with pytest.raises(OSError, match="Failure"):
                behind.write(b"x" * 31 * 1024)
                behind.finish()
    finally:
        world.run(["umount", "/run/small"])


# Ctrl-C.


def test_an_interrupt_waits_for_the_end_of_a_step() -> None:
    done = False
    with pytest.raises(KeyboardInterrupt), interrupts_wait():
        with interrupts_wait():
            signal.raise_signal(signal.SIGINT)
        done = True
    assert done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_interrupt_does_not_wait() -> None:
    done = False
    with pytest.raises(KeyboardInterrupt), interrupts_wait():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        done = True
    assert not done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


_SCRIPT = """
import faulthandler, sys
faulthandler.dump_traceback_later(45, exit=True)
from deployer.host import SSHHost

class Remote(SSHHost):
    address, port, username, key_filename, config_filename = sys.argv[1:6]
    port = int(port)

host = Remote()
host.run("echo $PPID", silent=True)
server = host.run("echo $PPID", silent=True)

# A function, so that nobody holds the file: Python may interrupt even the end of a with block.
def write():
    print("begun", flush=True)
    while True:
        with host.open("interrupted", "wb") as file:
            file.write(b"x" * 3_000_000)

for number in range(10):
    try:
        write()
    except KeyboardInterrupt:
        pass
same = host.run("echo $PPID", silent=True) == server
# What the last interrupt has left, the next write removes.
with host.open("interrupted", "wb") as file:
    file.write(b"whole")
print(same, host.run("cat interrupted; ls -Ad .interrupted.* || true", silent=True))
"""


def test_a_connection_survives_interrupts_in_the_middle_of_packets(
    ssh_host: type[SSHHost],
) -> None:
    arguments = [
        str(getattr(ssh_host, name))
        for name in ("address", "port", "username", "key_filename", "config_filename")
    ]
    with subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None
        for number in range(10):
            if process.stdout.readline() != "begun\n":
                break
            # In as many places as possible.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.003 * number)
            process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert rest == "True whole\n", errors


def test_a_lost_connection_prints_nothing(
    transport: tuning.Transport, world: World, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with running(transport, "sleep 0.3; kill -9 $PPID; sleep 9") as channel:
        assert channel.recv(100) == b""
    assert capfd.readouterr() == ("", "")


def test_what_sshd_says_for_debugging_costs_nothing(ssh_host: type[SSHHost]) -> None:
    # The name that paramiko calls for it; and it is really overridden.
    assert callable(paramiko.Transport._parse_debug)  # type: ignore[attr-defined]
    said: list[str] = []
    logger = logging.getLogger("paramiko.transport")
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        ssh_host().run("true")
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
    assert any("kex engine" in text or "Kex" in text for text in said)
    assert not any(text.startswith("Debug msg") for text in said)


def test_the_settings_are_found_out_once_for_a_first_command(
    ssh_host: type[SSHHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[object] = []

    def counting(host: Any) -> Any:
        found.append(host)
        return resolve(host)

    monkeypatch.setattr(connection, "resolve", counting)
    ssh_host().run("true")
    assert len(found) == 1
    ssh_host.close_connection()
    ssh_host().run("true")
    assert len(found) == 2


@given(
    st.lists(
        st.one_of(st.binary(max_size=40), st.integers(min_value=1, max_value=60), st.none()),
        max_size=60,
    )
)
def test_a_pipe_gives_back_what_went_in(steps: list[bytes | int | None]) -> None:
    """Bytes are fed, numbers are read, and None takes all that is there."""
    pipe = opening._Pipe()
    expected = b""
    for step in steps:
        if isinstance(step, bytes):
            pipe.feed(step)
            expected += step
        elif step is None:
            assert pipe.empty() == expected
            expected = b""
        elif expected:
            assert pipe.read(step) == expected[:step]
            expected = expected[step:]
        assert len(pipe) == len(expected)
        assert pipe.read_ready() == bool(expected)
    pipe.close()
    assert pipe.read(10_000) == expected


@given(st.lists(st.binary(max_size=30), max_size=20), st.lists(st.integers(1, 40), max_size=60))
def test_what_arrives_at_once_is_given_in_parts(pieces: list[bytes], sizes: list[int]) -> None:
    arriving = iter(piece for piece in pieces if piece)
    stream = Stream(SimpleNamespace(recv=lambda size: next(arriving, b"")))
    given = [stream.recv(size) for size in sizes]
    assert all(len(part) <= size for part, size in zip(given, sizes, strict=True))
    together = b"".join(given)
    assert b"".join(pieces).startswith(together)
    assert all(given) or together == b"".join(pieces)
