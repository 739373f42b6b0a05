"""Hosts that are reached through others: gateways, ProxyJump, ProxyCommand, a forwarded agent."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployer.exceptions import (
    AuthenticationFailed,
    ConnectionFailedException,
    ConnectionLost,
    ConnectionTimeout,
)
from deployer.host import SSHHost
from fault_proxy import fault_proxy
from waiting import until
from world import Server, World, free_port

pytestmark = pytest.mark.faults

NewHost = Callable[..., type[SSHHost]]
DEADLINE = 30.0


@pytest.fixture(autouse=True)
def _nothing_is_left(sshd: Server, world: World) -> Iterator[None]:
    """No test may leave a thread, an open file or a process behind."""

    def left() -> tuple[int, int, int]:
        children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text()
        return threading.active_count(), len(os.listdir("/proc/self/fd")), len(children.split())

    before = left()
    yield
    until(
        lambda: all(now <= then for now, then in zip(left(), before, strict=True)),
        lambda: f"{threading.enumerate()}, {left()} after {before}",
    )


@pytest.fixture
def gate(world: World) -> Iterator[Server]:
    with world.serve() as server:
        yield server


def logins(world: World, server: Server) -> int:
    return world.run(["cat", server.log]).count("Accepted publickey")


# Gateways.


def test_hosts_share_the_connection_of_their_gateway(
    new_ssh_host: NewHost, world: World, gate: Server
) -> None:
    gateway = new_ssh_host("nopass", server=gate, name="Gate")
    hosts = [new_ssh_host(name=f"Host{n}", gateway=gateway) for n in range(4)]
    results: list[str] = []
    threads = [
        threading.Thread(target=lambda host=host: results.append(host().run("whoami")))
        for host in hosts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["deploy\n"] * 4
    assert gateway().run("whoami") == "nopass\n"
    assert logins(world, gate) == 1
    for host in (*hosts, gateway):
        host.close_connection()


def test_a_gateway_wins_over_the_ssh_config(
    new_ssh_host: NewHost, gate: Server, tmp_path: Path
) -> None:
    gateway = new_ssh_host(server=gate, name="Gate")
    plain = Path(str(new_ssh_host().config_filename)).read_text()
    for option in ("ProxyJump nowhere.invalid", "ProxyCommand false"):
        config = tmp_path / "config"
        config.write_text(f"{plain}  {option}\n")
        host = new_ssh_host(gateway=gateway, config_filename=str(config))
        assert host().run("whoami") == "deploy\n"
        host.close_connection()


def test_a_gateway_has_a_gateway_of_its_own(
    new_ssh_host: NewHost, world: World, gate: Server
) -> None:
    outer = new_ssh_host("nopass", server=gate, name="Outer")
    with world.serve() as server:
        inner = new_ssh_host("zsher", server=server, name="Inner", gateway=outer)
        host = new_ssh_host(gateway=inner)
        assert host().run("whoami") == "deploy\n"
        assert (logins(world, gate), logins(world, server)) == (1, 1)
        for each in (host, inner, outer):
            each.close_connection()


def test_gateways_in_a_circle_are_named(new_ssh_host: NewHost) -> None:
    first = new_ssh_host(name="First")
    second = new_ssh_host(name="Second", gateway=first)
    first.gateway = second
    with pytest.raises(ConnectionFailedException, match=r"circle: 'First', 'Second', 'First'"):
        first().run("true")
    first.gateway = first
    with pytest.raises(ConnectionFailedException, match=r"circle: 'Second', 'First', 'First'"):
        second().run("true")


def test_a_connection_of_a_gateway_that_died_is_made_again(
    new_ssh_host: NewHost, world: World, gate: Server
) -> None:
    gateway = new_ssh_host(server=gate, name="Gate")
    host = new_ssh_host(gateway=gateway)
    process = gateway().run("echo $PPID").strip()
    assert host().run("whoami") == "deploy\n"
    world.run(["kill", "-9", process])
    with contextlib.suppress(ConnectionLost):
        host().run("whoami")
    assert host().run("whoami") == "deploy\n"
    assert logins(world, gate) == 2


def test_a_frozen_gateway_is_noticed(new_ssh_host: NewHost, world: World, gate: Server) -> None:
    gateway = new_ssh_host(server=gate, name="Gate", keepalive_interval=0.5)
    host = new_ssh_host(gateway=gateway, keepalive_interval=0)
    process = gateway().run("echo $PPID").strip()
    host().run("true")
    timer = threading.Timer(0.3, world.run, [["kill", "-STOP", process]])
    timer.start()
    begun = time.monotonic()
    with pytest.raises(ConnectionLost, match="Remote: "):
        host().run("sleep 60")
    assert time.monotonic() - begun < 15
    timer.join()
    world.run(["kill", "-KILL", process])
    assert host().run("whoami") == "deploy\n"


def test_an_error_names_the_hop(new_ssh_host: NewHost, gate: Server) -> None:
    closed = new_ssh_host(name="Closed", port=free_port())
    with pytest.raises(ConnectionFailedException, match=r"Remote: through Closed: cannot connect"):
        new_ssh_host(gateway=closed)().run("true")
    locked = new_ssh_host(name="Locked", key_filename=None, password="wr0ng")
    with pytest.raises(AuthenticationFailed, match=r"Remote: through Locked: .*'deploy'"):
        new_ssh_host(gateway=locked)().run("true")
    gateway = new_ssh_host(server=gate, name="Gate")
    with pytest.raises(ConnectionFailedException, match=r"Remote: its gateway cannot reach .*port"):
        new_ssh_host(gateway=gateway, port=free_port())().run("true")


def test_a_gateway_that_forwards_nothing_says_so(new_ssh_host: NewHost, world: World) -> None:
    with world.serve("AllowTcpForwarding no") as server:
        gateway = new_ssh_host(server=server, name="Gate")
        with pytest.raises(ConnectionFailedException, match="AllowTcpForwarding"):
            new_ssh_host(gateway=gateway)().run("true")
        gateway.close_connection()


# ProxyJump.


@pytest.fixture
def jump_config(world: World, sshd: Server, gate: Server, tmp_path: Path) -> Callable[[str], str]:
    """Return a function that writes an ssh config with two gates and more lines."""

    def write(lines: str) -> str:
        file = tmp_path / "jumps"
        file.write_text(
            f"{lines}\n"
            f"Host gate\n  HostName 127.0.0.1\n  Port {gate.port}\n  User nopass\n"
            f"Host second\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User zsher\n"
            f"Host *\n  IdentityFile {world.key_filename}\n  Port {sshd.port}\n"
            f"  UserKnownHostsFile {tmp_path / 'known'}\n"
        )
        return str(file)

    return write


def is_found(world: World, command: list[str]) -> bool:
    return world.run(["sh", "-c", '"$@" && echo yes', "sh", *command], check=False) == "yes\n"


def test_hosts_with_the_same_jumps_share_them_until_the_last_is_closed(
    new_ssh_host: NewHost,
    world: World,
    gate: Server,
    jump_config: Callable[[str], str],
) -> None:
    config = jump_config("Host target*\n  HostName 127.0.0.1\n  ProxyJump gate,second")
    hosts = [
        new_ssh_host(name=name, address=name, port=None, config_filename=config)
        for name in ("target1", "target2")
    ]
    for host in hosts:
        assert host().run("whoami") == "deploy\n"
    assert logins(world, gate) == 1
    hosts[0].close_connection()
    assert hosts[1]().run("whoami") == "deploy\n"
    assert logins(world, gate) == 1
    hosts[1].close_connection()
    connected = ["pkill", "-0", "-P", world.run(["cat", f"/run/sshd-{gate.port}.pid"]).strip()]
    until(lambda: not is_found(world, connected), "still connected")
    assert hosts[0]().run("whoami") == "deploy\n"
    assert logins(world, gate) == 2


def test_a_jump_host_has_jumps_of_its_own(
    new_ssh_host: NewHost, world: World, gate: Server, jump_config: Callable[[str], str]
) -> None:
    config = jump_config(
        "Host target\n  HostName 127.0.0.1\n  ProxyJump second\nHost second\n  ProxyJump gate"
    )
    host = new_ssh_host(address="target", port=None, config_filename=config)
    assert host().run("whoami") == "deploy\n"
    assert logins(world, gate) == 1


def test_a_jump_for_all_hosts_is_not_one_for_itself(
    new_ssh_host: NewHost, world: World, gate: Server, jump_config: Callable[[str], str]
) -> None:
    config = jump_config("Host *\n  ProxyJump gate\nHost target\n  HostName 127.0.0.1")
    host = new_ssh_host(address="target", port=None, config_filename=config)
    assert host().run("whoami") == "deploy\n"
    assert logins(world, gate) == 1


def test_jumps_in_a_circle_are_named(
    new_ssh_host: NewHost, jump_config: Callable[[str], str]
) -> None:
    config = jump_config("Host gate\n  ProxyJump second\nHost second\n  ProxyJump gate")
    host = new_ssh_host(address="gate", port=None, config_filename=config)
    with pytest.raises(ConnectionFailedException, match="in a circle: 'Remote', 'second', 'gate'"):
        host().run("true")


# ProxyCommand.

RELAY = """
import os, signal, socket, sys, threading
print("relay", os.getpid(), file=sys.stderr, flush=True)
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def up():
    while d := os.read(0, 65536): s.sendall(d)
threading.Thread(target=up, daemon=True).start()
while d := s.recv(65536): os.write(1, d)
"""


@pytest.fixture
def through_command(
    new_ssh_host: NewHost, sshd: Server, tmp_path: Path
) -> Callable[[str], type[SSHHost]]:
    """Return a function that makes a host with a ProxyCommand; RELAY in it is one that works."""
    relay = tmp_path / "relay.py"
    relay.write_text(RELAY)

    def new_host(command: str, **attributes: object) -> type[SSHHost]:
        config = tmp_path / "proxy"
        command = command.replace("RELAY", f"{sys.executable} {relay} %h %p")
        config.write_text(
            f"Host *\n  ProxyCommand {command}\n  UserKnownHostsFile {tmp_path / 'known'}\n"
        )
        return new_ssh_host(config_filename=str(config), **attributes)

    return new_host


def test_a_proxy_command_ends_with_the_connection_and_all_that_it_started(
    through_command: Callable[..., type[SSHHost]],
) -> None:
    # A number of our own: other tests, also of another run, sleep too.
    sleep = f"sleep 4323.{os.getpid()}"
    host = through_command(f"sh -c '{sleep} & RELAY'")
    assert host().run("whoami") == "deploy\n"
    assert _running(sleep)
    host.close_connection()
    until(lambda: not _running(sleep), "it still runs")


def test_a_proxy_command_that_fails_says_why(
    through_command: Callable[..., type[SSHHost]],
) -> None:
    host = through_command("sh -c 'echo no way there >&2; exit 3'")
    begun = time.monotonic()
    with pytest.raises(ConnectionFailedException, match=r"(?s)Remote: .*status 3\n.*no way there"):
        host().run("true")
    assert time.monotonic() - begun < 10


def test_a_proxy_command_that_is_silent_is_given_up(
    through_command: Callable[..., type[SSHHost]],
) -> None:
    begun = time.monotonic()
    with pytest.raises(ConnectionFailedException, match=r"Remote: .*sleep 4322"):
        through_command("sleep 4322", timeout=1)().run("true")
    assert time.monotonic() - begun < 15
    until(lambda: not _running("sleep 4322"), "it still runs")


def test_a_proxy_command_that_dies_is_a_lost_connection(
    through_command: Callable[..., type[SSHHost]], tmp_path: Path
) -> None:
    host = through_command(f"sh -c 'echo $$ >{tmp_path}/pid; exec RELAY'")
    host().run("true")
    pid = int((tmp_path / "pid").read_text())
    timer = threading.Timer(0.3, os.kill, [pid, signal.SIGKILL])
    timer.start()
    with pytest.raises(ConnectionLost):
        host().run("sleep 60")
    timer.join()
    assert host().run("whoami") == "deploy\n"


def test_an_interrupt_at_our_terminal_does_not_end_a_proxy_command(
    through_command: Callable[..., type[SSHHost]], tmp_path: Path
) -> None:
    host = through_command(f"sh -c 'echo $$ >{tmp_path}/pid; exec RELAY'")
    host().run("true")
    pid = int((tmp_path / "pid").read_text())
    # The terminal signals a process group.
    assert os.getpgid(pid) != os.getpgid(0)
    assert os.getsid(pid) != os.getsid(0)


def _running(command: str) -> bool:
    return subprocess.run(["pgrep", "-f", command], stdout=subprocess.DEVNULL).returncode == 0


# What a session is given.


@pytest.fixture
def agent(world: World, tmp_path: Path) -> Iterator[str]:
    path = str(tmp_path / "agent")
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        until(lambda: os.path.exists(path), "no agent")
        environment = {**os.environ, "SSH_AUTH_SOCK": path}
        subprocess.run(["ssh-add", "-q", world.key_filename], check=True, env=environment)
        yield path
    finally:
        process.terminate()
        process.wait()


def with_options(host: type[SSHHost], tmp_path: Path, *options: str) -> str:
    file = tmp_path / "options"
    lines = "".join(f"  {option}\n" for option in options)
    file.write_text(f"{Path(str(host.config_filename)).read_text()}{lines}")
    return str(file)


def test_our_agent_signs_for_a_host_where_the_config_forwards_it(
    new_ssh_host: NewHost, agent: str, tmp_path: Path, sshd: Server
) -> None:
    plain = new_ssh_host()
    config = with_options(plain, tmp_path, "ForwardAgent yes", f"IdentityAgent {agent}")
    host = new_ssh_host(config_filename=config)()
    keys = host.run("ssh-add -L")
    assert keys.startswith("ssh-ed25519 ")
    hop = f"ssh -o StrictHostKeyChecking=no -o LogLevel=ERROR -p {sshd.port} nopass@127.0.0.1"
    assert host.run(f"{hop} whoami") == "nopass\n"
    assert not plain().run("ssh-add -L", ignore_exit_status=True).ok


def test_sessions_have_the_environment_that_the_server_allows(
    new_ssh_host: NewHost, tmp_path: Path
) -> None:
    config = with_options(new_ssh_host(), tmp_path, "SetEnv LC_MINE=mine OTHER=not")
    assert new_ssh_host(config_filename=config)().run("echo $LC_MINE $OTHER") == "mine\n"


def test_a_terminal_is_forced_where_the_config_says_so(
    new_ssh_host: NewHost, tmp_path: Path
) -> None:
    config = with_options(new_ssh_host(), tmp_path, "RequestTTY force")
    host = new_ssh_host(config_filename=config)()
    assert host.run("test -t 0", ignore_exit_status=True).ok
    assert not host.run("test -t 0", interactive=False, ignore_exit_status=True).ok


def test_algorithms_of_the_config_are_used(new_ssh_host: NewHost, tmp_path: Path) -> None:
    options = ("Ciphers aes256-ctr", "MACs hmac-sha2-256", "Compression yes")
    host = new_ssh_host(config_filename=with_options(new_ssh_host(), tmp_path, *options))
    assert host().run("seq 3") == "1\n2\n3\n"
    transport = host()._connection.transport(host().pty)
    assert (transport.local_cipher, transport.remote_mac) == ("aes256-ctr", "hmac-sha2-256")
    assert transport.local_compression == "zlib@openssh.com"


def test_algorithms_that_deployer_lacks_are_named(new_ssh_host: NewHost, tmp_path: Path) -> None:
    config = with_options(new_ssh_host(), tmp_path, "MACs umac-64@openssh.com")
    with pytest.raises(ConnectionFailedException, match=r"only umac-64@openssh\.com \(MACs\)"):
        new_ssh_host(config_filename=config)().run("true")


@pytest.mark.parametrize(("family", "works"), [("inet", True), ("inet6", False)])
def test_the_family_of_addresses_is_kept_to(
    new_ssh_host: NewHost, tmp_path: Path, family: str, works: bool
) -> None:
    config = with_options(new_ssh_host(), tmp_path, f"AddressFamily {family}")
    host = new_ssh_host(config_filename=config)
    if works:
        assert host().run("whoami") == "deploy\n"
    else:
        with pytest.raises(ConnectionFailedException, match="there is no host"):
            host().run("true")


def test_a_connection_comes_from_the_address_of_the_config(
    new_ssh_host: NewHost, tmp_path: Path
) -> None:
    config = with_options(new_ssh_host(), tmp_path, "BindAddress 127.0.0.9")
    host = new_ssh_host(config_filename=config)
    assert host().run("echo $SSH_CONNECTION").startswith("127.0.0.9 ")


def test_a_gateway_that_is_slow_to_reach_a_host_is_given_up(
    new_ssh_host: NewHost, gate: Server
) -> None:
    with fault_proxy(gate.port, freeze_after_down=None) as proxy:
        server = dataclasses.replace(gate, port=proxy.port)
        gateway = new_ssh_host(server=server, name="Gate", timeout=1, keepalive_interval=0)
        gateway().run("true")
        proxy.set(freeze_after_down=0)
        begun = time.monotonic()
        with pytest.raises(ConnectionTimeout, match="Remote: its gateway cannot reach"):
            new_ssh_host(gateway=gateway, timeout=1)().run("true")
        assert time.monotonic() - begun < 15
        gateway.close_connection()
