"""The session that is opened ahead: it saves a round trip, and is in nobody's way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from deployer.host import Host, SSHHost
from deployer.host.ssh import sessions, tuning
from deployer.host.ssh.connection import Connection
from deployer.host.ssh.connection_pool import connections
from fault_proxy import fault_proxy
from waiting import until
from world import Server, World

NewHost = Callable[..., type[SSHHost]]


@pytest.fixture(autouse=True)
def _everything_is_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "FAR", 0.0)


def connection_of(host: Host) -> Connection:
    assert isinstance(host, SSHHost)
    return connections.get(type(host))


def has_next(host: Host) -> bool:
    return connection_of(host)._next._kept is not None


def prepared(kind: type[SSHHost]) -> SSHHost:
    """Return a host with a session ahead."""
    host = kind()
    for _ in range(sessions.OPENED):
        host.run("true")
    assert has_next(host)
    return host


def open_sessions(host: Host) -> int:
    live = connection_of(host)._live
    assert live is not None
    return live.sessions._open


def test_it_is_used_by_the_next_command_whatever_that_is(ssh_host: type[SSHHost]) -> None:
    host = prepared(ssh_host)
    assert host.run("echo one") == "one\n"
    assert host.run("tty >/dev/null; echo $?", interactive=True) == "0\n"
    assert host.run("cat", initial_input="typed", interactive=False) == "typed"
    assert host.sudo("id -un") == "root\n"
    assert host.run("exit 3", ignore_exit_status=True).exit_status == 3
    assert has_next(host)
    with host.open("/etc/passwd") as file:
        assert "deploy" in file.read()
    # The one for files is kept as well.
    assert not has_next(host)
    assert open_sessions(host) == 1


def test_a_server_that_allows_one_session_has_it_for_who_wants_it(
    world: World, new_ssh_host: NewHost
) -> None:
    with world.serve("MaxSessions 1") as server:
        host = new_ssh_host(server=server)()
        for number in range(4):
            assert host.run(f"echo {number}") == f"{number}\n"
            host.exists("/etc")
        type(host).close_connection()


def test_it_makes_room_for_those_who_wait(ssh_host: type[SSHHost]) -> None:
    host = prepared(ssh_host)
    begun = threading.Barrier(sessions.MAX_SESSIONS + 1)
    results: list[str] = []

    def work(own: Host, number: int) -> None:
        begun.wait(20)
        results.append(own.run(f"echo {number}; sleep 0.1").strip())

    threads = [
        threading.Thread(target=work, args=(host.copy(), number))
        for number in range(sessions.MAX_SESSIONS)
    ]
    for thread in threads:
        thread.start()
    begun.wait(20)
    for thread in threads:
        thread.join()
    assert sorted(results) == sorted(map(str, range(sessions.MAX_SESSIONS)))


def test_one_of_a_connection_that_died_is_forgotten(sshd: Server, new_ssh_host: NewHost) -> None:
    with fault_proxy(sshd.port) as proxy:
        host = prepared(new_ssh_host(port=proxy.port, reject_unknown_hosts=False))
        live = connection_of(host)._live
        proxy.drop_all()
        until(lambda: live is not None and not live.transport.is_active())
        assert host.run("echo again") == "again\n"
        assert open_sessions(host) == 0
        assert host.run("echo again") == "again\n"


def test_one_that_the_server_ended_is_replaced(ssh_host: type[SSHHost]) -> None:
    host = prepared(ssh_host)
    kept = connection_of(host)._next._kept
    assert kept is not None
    channel = kept.session.take(10)
    assert channel is not None
    tuning.close_channel(channel)
    assert host.run("echo again") == "again\n"
    assert not has_next(host)
    assert open_sessions(host) == 0


def test_one_that_is_refused_is_not_asked_for_again(
    ssh_host: type[SSHHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    host = prepared(ssh_host)
    monkeypatch.setattr(tuning.SessionAhead, "take", lambda self, timeout: None)
    for _ in range(3):
        assert host.run("echo on") == "on\n"
        assert not has_next(host)


def test_it_ends_with_the_connection(ssh_host: type[SSHHost], tmp_path: Path) -> None:
    host = prepared(ssh_host)
    ssh_host.close_connection()
    assert not has_next(host)
    assert host.run("echo again") == "again\n"
