"""Ports are passed on between this machine and a host, both ways."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from deployer.exceptions import ConnectionFailedException
from deployer.host import Host, SSHHost
from deployer.pseudo_terminal import DummyPty
from waiting import until
from world import Server, World, free_port

pytestmark = pytest.mark.machine

HostClass = type[Host]
NewHost = Callable[..., type[SSHHost]]
Forward = Callable[..., contextlib.AbstractContextManager[int]]


class _Digest(socketserver.StreamRequestHandler):
    """Reads to the end, and answers with the digest of it, after as many bytes of zeros."""

    def handle(self) -> None:
        data = self.rfile.read()
        self.wfile.write(bytes(len(data)) + hashlib.sha256(data).digest())


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64


@pytest.fixture
def served() -> Iterator[int]:
    """Give the port of a server on loopback, which is this machine's and the host's."""
    with _Server(("127.0.0.1", 0), _Digest) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(params=["forward_local", "forward_remote"])
def forward(request: pytest.FixtureRequest, host_class: HostClass) -> Forward:
    method: Forward = getattr(host_class(), request.param)
    return method


def asked(port: int, data: bytes) -> bytes:
    """Return what the server behind a port answers to bytes and the end of them."""
    with socket.create_connection(("127.0.0.1", port), 30) as sock:

        def send() -> None:
            # Where the connection has been cut, the answer says so.
            with contextlib.suppress(OSError):
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
        sender.join()
    return answer


def is_answered(port: int, data: bytes) -> bool:
    try:
        return asked(port, data) == answer_to(data)
    except ConnectionResetError:
        return False


def ends_at_once(port: int) -> bool:
    """Whether a connection is closed before it has said anything."""
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        try:
            return sock.recv(10) == b""
        except ConnectionResetError:
            return True


def answer_to(data: bytes) -> bytes:
    return bytes(len(data)) + hashlib.sha256(data).digest()


def test_bytes_and_their_end_pass_both_ways(forward: Forward, served: int) -> None:
    data = os.urandom(3_000_000)
    with forward(0, served) as port:
        assert port != served
        assert asked(port, b"") == answer_to(b"")
        assert asked(port, data) == answer_to(data)


def test_many_connections_at_once(forward: Forward, served: int) -> None:
    texts = [os.urandom(1 + 1000 * number) for number in range(40)]
    with forward(0, served) as port, ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda text: asked(port, text), texts))
    assert answers == [answer_to(text) for text in texts]


def test_afterwards_the_port_is_closed(forward: Forward, served: int) -> None:
    with forward(0, served) as port:
        pass
    with pytest.raises(ConnectionRefusedError):
        asked(port, b"")


def test_a_connection_ends_with_the_block(forward: Forward) -> None:
    threads = threading.active_count()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with forward(0, silent.getsockname()[1]) as port:
            sock = socket.create_connection(("127.0.0.1", port), 20)
            other, _ = silent.accept()
            with other:
                sock.sendall(b"x")
                assert other.recv(10) == b"x"
        with sock:
            assert sock.recv(10) == b""
    # The connection of an SSH host has a thread, too, and may have been opened here.
    assert threading.active_count() <= threads + 1


def test_two_ports_of_one_host_do_not_know_each_other(host_class: HostClass, served: int) -> None:
    host = host_class()
    with host.forward_remote(0, served) as first:
        with host.forward_remote(0, served) as second:
            assert first != second
            assert asked(second, b"second") == answer_to(b"second")
        assert asked(first, b"first") == answer_to(b"first")


def test_a_port_that_is_passed_on_already_stays_so(ssh_host: type[SSHHost], served: int) -> None:
    host = ssh_host()
    with host.forward_remote(0, served) as port:
        message = f"Remote: port {port} .* already"
        with pytest.raises(ConnectionFailedException, match=message), host.forward_remote(port, 1):
            pass
        assert asked(port, b"still") == answer_to(b"still")


def test_a_port_that_is_taken_is_named(forward: Forward, served: int) -> None:
    message = f"listen on 127.0.0.1 port {served}"
    with pytest.raises(ConnectionFailedException, match=message), forward(served, served):
        pass


def test_the_port_on_the_other_side_is_the_same_unless_it_is_said(host_class: HostClass) -> None:
    with pytest.raises(ValueError, match="`remote_port`"):
        host_class().forward_local(0)
    with pytest.raises(ValueError, match="`local_port`"):
        host_class().forward_remote(0)


@pytest.mark.parametrize("method", ["forward_local", "forward_remote"])
def test_who_cannot_be_reached_is_named_and_the_connection_ends(
    host_class: HostClass, method: str
) -> None:
    pty = DummyPty()
    nobody = free_port()
    host = host_class(pty)
    with getattr(host, method)(0, nobody) as port:
        assert ends_at_once(port)
        told = f"{host.slug}: cannot connect to localhost port {nobody}"
        until(lambda: told in pty.get_output())
    assert host.run("echo alive") == "alive\n"


def test_a_sandbox_opens_no_port(host_class: HostClass) -> None:
    port = free_port()
    with host_class(is_sandbox=True).forward_local(port, 1) as found:
        assert found == port
        with pytest.raises(ConnectionRefusedError):
            asked(port, b"")


def test_a_server_that_forbids_it_is_named(new_ssh_host: NewHost, world: World) -> None:
    with world.serve("AllowTcpForwarding no") as server:
        pty = DummyPty()
        host = new_ssh_host(server=server)(pty)
        message = r"Remote: .*AllowTcpForwarding"
        with pytest.raises(ConnectionFailedException, match=message), host.forward_remote(0, 1):
            pass
        with host.forward_local(0, 1) as port:
            assert ends_at_once(port)
        assert "AllowTcpForwarding" in pty.get_output()


def test_commands_run_meanwhile_on_the_same_connection(
    new_ssh_host: NewHost, sshd: Server, served: int
) -> None:
    host = new_ssh_host()()
    server = host.run("echo $PPID")
    with host.forward_local(0, served) as port, ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(asked, port, b"x" * 500_000) for _ in range(8)]
        assert {host.run("echo $PPID") for _ in range(20)} == {server}
        assert {asked.result() for asked in asking} == {answer_to(b"x" * 500_000)}


def test_a_local_port_survives_the_connection(
    new_ssh_host: NewHost, world: World, served: int
) -> None:
    host = new_ssh_host()()
    with host.forward_local(0, served) as port:
        assert asked(port, b"before") == answer_to(b"before")
        world.run(["kill", "-9", host.run("echo $PPID").strip()])
        until(lambda: is_answered(port, b"after"))
