"""What only SSH hosts do: connecting, host keys, logging in, sudo, sharing a connection."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployer.exceptions import (
    AuthenticationFailed,
    CommandTimeout,
    ConnectionFailedException,
    ConnectionLost,
    ConnectionTimeout,
    HostKeyError,
    SudoAuthenticationFailed,
    SudoFailed,
)
from deployer.host import SSHHost
from deployer.pseudo_terminal import DummyPty
from waiting import until
from world import PASSWORD, Server, World

NewHost = Callable[..., type[SSHHost]]


def config_with(tmp_path: Path, **options: str) -> str:
    """Write an ssh config with these options for every host."""
    file = tmp_path / "config"
    file.write_text("Host *\n" + "".join(f"  {name} {value}\n" for name, value in options.items()))
    return str(file)


# Host keys.


def test_an_unknown_host_is_remembered_once_and_its_fingerprint_shown(
    new_ssh_host: NewHost, sshd: Server, tmp_path: Path
) -> None:
    known = tmp_path / "known"
    config = config_with(tmp_path, UserKnownHostsFile=str(known))
    pty = DummyPty()
    for name in ("First", "Second"):
        new_ssh_host(name=name, config_filename=config)(pty).run("true")
    assert known.read_text() == f"[{sshd.address}]:{sshd.port} {sshd.host_key}\n"
    (shown,) = re.findall(r"First: added the new key .* (SHA256:\S+)\n", pty.get_output())
    (tmp_path / "key.pub").write_text(sshd.host_key)
    expected = subprocess.run(
        ["ssh-keygen", "-lf", tmp_path / "key.pub"], check=True, capture_output=True, text=True
    ).stdout
    assert shown in expected
    assert "Second" not in pty.get_output()


@pytest.mark.parametrize("by", ["class", "config"])
def test_an_unknown_host_is_refused_where_that_is_asked_for(
    new_ssh_host: NewHost, tmp_path: Path, by: str
) -> None:
    known = tmp_path / "known"
    strict = "yes" if by == "config" else "accept-new"
    config = config_with(tmp_path, UserKnownHostsFile=str(known), StrictHostKeyChecking=strict)
    host = new_ssh_host(config_filename=config, reject_unknown_hosts=by == "class")
    with pytest.raises(HostKeyError, match=r"Remote: the key of .* is unknown"):
        host().run("true")
    assert not known.exists()


def test_a_changed_key_is_refused_before_anything_is_sent(
    new_ssh_host: NewHost, world: World, sshd: Server, tmp_path: Path
) -> None:
    known = tmp_path / "known"
    subprocess.run(["ssh-keygen", "-qt", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    kind, key, *_ = (tmp_path / "other.pub").read_text().split()
    known.write_text(f"# a comment\n[{sshd.address}]:{sshd.port} {kind} {key}\n")
    config = config_with(tmp_path, UserKnownHostsFile=str(known))
    before = world.run(["cat", str(sshd.log)])
    with pytest.raises(HostKeyError) as caught:
        new_ssh_host(config_filename=config)().run("true")
    assert f"{known} line 2" in str(caught.value)
    assert len(set(re.findall(r"SHA256:\S{43}", str(caught.value)))) == 2
    assert known.read_text().count("\n") == 2
    assert "Accepted" not in world.run(["cat", str(sshd.log)]).removeprefix(before)


# Connecting.


def test_a_server_on_another_port_of_a_known_host_is_another(
    new_ssh_host: NewHost, sshd: Server, tmp_path: Path
) -> None:
    known = tmp_path / "known"
    subprocess.run(["ssh-keygen", "-qt", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    kind, key, *_ = (tmp_path / "other.pub").read_text().split()
    known.write_text(f"{sshd.address} {kind} {key}\n")
    config = config_with(tmp_path, UserKnownHostsFile=str(known))
    assert new_ssh_host(config_filename=config)().run("whoami") == "deploy\n"
    assert known.read_text().endswith(f"\n[{sshd.address}]:{sshd.port} {sshd.host_key}\n")


def test_an_alias_stands_in_known_hosts_without_a_port(
    new_ssh_host: NewHost, sshd: Server, tmp_path: Path
) -> None:
    known = tmp_path / "new" / "known"
    config = config_with(tmp_path, UserKnownHostsFile=str(known), HostKeyAlias="alias")
    new_ssh_host(config_filename=config)().run("true")
    assert known.read_text() == f"alias {sshd.host_key}\n"


def test_an_address_of_ipv6_and_a_banner(
    new_ssh_host: NewHost, world: World, tmp_path: Path
) -> None:
    known = tmp_path / "known"
    config = config_with(tmp_path, UserKnownHostsFile=str(known))
    options = ("ListenAddress 127.0.0.1", "ListenAddress ::1", "Banner /etc/passwd")
    with world.serve(*options) as server:
        host = new_ssh_host(server=server, address="::1", config_filename=config)
        assert host().run("whoami") == "deploy\n"
        assert known.read_text() == f"[::1]:{server.port} {server.host_key}\n"
        host.close_connection()


def test_a_port_where_nobody_listens(new_ssh_host: NewHost) -> None:
    with pytest.raises(ConnectionFailedException, match=r"Remote: .*port 1: Connection refused"):
        new_ssh_host(port=1)().run("true")


def test_a_name_that_nobody_has(new_ssh_host: NewHost) -> None:
    with pytest.raises(ConnectionFailedException, match=r"no host 'nowhere\.invalid'.*`address`"):
        new_ssh_host(address="nowhere.invalid")().run("true")


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_a_server_that_is_not_ssh_is_noticed_in_time(
    new_ssh_host: NewHost, greeting: bytes
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            connection.sendall(greeting)
            connections.append(connection)

        connections: list[socket.socket] = []
        thread = threading.Thread(target=serve)
        thread.start()
        begun = time.monotonic()
        with pytest.raises(ConnectionFailedException, match="is it an SSH server"):
            new_ssh_host(port=server.getsockname()[1], timeout=1)().run("true")
        assert time.monotonic() - begun < 30
        thread.join()
        connections[0].close()


def test_a_host_that_does_not_answer_is_given_up(new_ssh_host: NewHost) -> None:
    # A full backlog: the handshake of TCP is never completed.
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        others = [socket.socket() for _ in range(4)]
        for other in others:
            other.setblocking(False)
            other.connect_ex(server.getsockname())
        with pytest.raises(ConnectionTimeout, match=r"did not answer within 1 seconds"):
            new_ssh_host(port=server.getsockname()[1], timeout=1)().run("true")
        for other in others:
            other.close()


def test_a_gateway_is_gone_through(
    new_ssh_host: NewHost, world: World, sshd: Server, tmp_path: Path
) -> None:
    file = tmp_path / "config"
    with world.serve() as gateway:
        # The target is reachable under this name only through the gateway.
        file.write_text(
            f"Host target\n  HostName 127.0.0.1\n  ProxyJump gateway,deploy@127.0.0.1:{sshd.port}\n"
            f"Host gateway\n  HostName {gateway.address}\n  Port {gateway.port}\n  User nopass\n"
            f"Host *\n  IdentityFile {world.key_filename}\n"
            f"  UserKnownHostsFile {tmp_path / 'known'}\n"
        )
        host = new_ssh_host(address="target", config_filename=str(file))
        assert host().run("whoami") == "deploy\n"
        log = world.run(["cat", str(gateway.log)])
        assert "Accepted publickey for nopass" in log
        host.close_connection()


def test_a_proxy_command_is_used(new_ssh_host: NewHost, sshd: Server, tmp_path: Path) -> None:
    relay = tmp_path / "relay.py"
    relay.write_text(
        "import os, socket, sys, threading\n"
        "s = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "def up():\n"
        "    while d := os.read(0, 65536): s.sendall(d)\n"
        "threading.Thread(target=up, daemon=True).start()\n"
        "while d := s.recv(65536): os.write(1, d)\n"
    )
    config = config_with(
        tmp_path,
        ProxyCommand=f"{sys.executable} {relay} %h %p",
        UserKnownHostsFile=str(tmp_path / "known"),
    )
    host = new_ssh_host(config_filename=config)
    assert host().run("whoami") == "deploy\n"
    host.close_connection()


# Logging in.


def test_a_password_alone_is_enough(new_ssh_host: NewHost) -> None:
    assert new_ssh_host(key_filename=None)().run("whoami") == "deploy\n"


def test_the_text_of_a_key_is_enough(new_ssh_host: NewHost, world: World) -> None:
    text = Path(world.key_filename).read_text()
    host = new_ssh_host(key_filename=None, password=None, rsa_key=text)
    assert host().run("whoami") == "deploy\n"


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
@pytest.mark.parametrize("given", ["file", "text"])
def test_a_key_of_any_kind_with_a_passphrase(
    new_ssh_host: NewHost, world: World, tmp_path: Path, kind: str, given: str
) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-qt", kind, "-N", "pass phrase", "-f", key], check=True)
    world.run(
        ["sh", "-c", "cat >>.ssh/authorized_keys"],
        user="deploy",
        input=key.with_suffix(".pub").read_text(),
    )
    named = {"key_filename": str(key)} if given == "file" else {"rsa_key": key.read_text()}
    attributes = {"key_filename": None, "password": None, **named}
    host = new_ssh_host(**attributes, rsa_key_password="pass phrase")
    assert host().run("whoami") == "deploy\n"
    for passphrase, reason in ((None, "it is encrypted"), ("wrong", "does not open it")):
        with pytest.raises(AuthenticationFailed, match=reason) as caught:
            new_ssh_host(**attributes, rsa_key_password=passphrase)().run("true")
        assert "pass phrase" not in str(caught.value)


def test_a_key_in_the_agent_is_used(
    new_ssh_host: NewHost, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = str(tmp_path / "agent")
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        while not os.path.exists(path):
            assert agent.poll() is None
        subprocess.run(["ssh-add", "-q", world.key_filename], check=True)
        host = new_ssh_host(key_filename=None, password=None)
        assert host().run("whoami") == "deploy\n"
    finally:
        agent.terminate()
        agent.wait()


def test_a_wrong_password_is_tried_once(new_ssh_host: NewHost, world: World, sshd: Server) -> None:
    before = world.run(["cat", str(sshd.log)]).count("Failed ")
    with pytest.raises(AuthenticationFailed) as caught:
        new_ssh_host(key_filename=None, password="wr0ng")().run("true")
    assert "Remote: 127.0.0.1 does not let 'deploy' in" in str(caught.value)
    assert "the password (refused)" in str(caught.value)
    assert "wr0ng" not in str(caught.value)
    assert world.run(["cat", str(sshd.log)]).count("Failed ") == before + 1


def test_without_anything_to_log_in_with_one_is_told(
    new_ssh_host: NewHost, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(AuthenticationFailed, match="there is no key and no password to try"):
        new_ssh_host(key_filename=None, password=None)().run("true")


def test_a_key_file_that_is_missing_is_named(new_ssh_host: NewHost) -> None:
    with pytest.raises(AuthenticationFailed, match=r"no key file /missing; check `key_filename`"):
        new_ssh_host(key_filename="/missing")().run("true")


# One connection.


def test_all_instances_and_threads_share_one_connection(
    new_ssh_host: NewHost, world: World, sshd: Server
) -> None:
    before = world.run(["cat", str(sshd.log)]).count("Accepted publickey")
    host = new_ssh_host()
    threads = [threading.Thread(target=lambda: host().run("true")) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    host().exists("file")
    assert world.run(["cat", str(sshd.log)]).count("Accepted publickey") == before + 1


@pytest.mark.parametrize("allowed", [1, 2, 10])
def test_calls_wait_when_the_server_allows_no_more_sessions(
    new_ssh_host: NewHost, world: World, allowed: int
) -> None:
    with world.serve(f"MaxSessions {allowed}") as server:
        host = new_ssh_host(server=server)
        results: list[str] = []

        def work(number: int) -> None:
            results.append(host().run(f"echo {number}"))
            if host().exists("/etc/passwd"):
                results.append("exists")

        threads = [threading.Thread(target=work, args=(number,)) for number in range(15)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(results) == sorted(["exists"] * 15 + [f"{n}\n" for n in range(15)])
        host.close_connection()


def test_a_connection_that_died_is_opened_again(new_ssh_host: NewHost, world: World) -> None:
    host = new_ssh_host()
    pid = host().run("echo $PPID").strip()
    world.run(["kill", pid])
    while world.run(["sh", "-c", f"kill -0 {pid} 2>/dev/null && echo alive"], check=False):
        pass
    assert host().run("whoami") == "deploy\n"


def kill_server_of(host: type[SSHHost], world: World) -> None:
    world.run(["kill", "-9", host().run("echo $PPID").strip()])


@pytest.mark.parametrize("doing", ["reading", "writing"])
def test_a_connection_lost_with_an_open_file_is_that_error(
    new_ssh_host: NewHost, world: World, doing: str, capfd: pytest.CaptureFixture[str]
) -> None:
    host = new_ssh_host()
    with host().open("lost", "wb") as file:
        file.write(b"old" * 1_000_000)
    lost = pytest.raises(ConnectionLost, match=r"Remote: cannot \w+ lost: the connection .* lost")
    with lost, host().open("lost", "rb" if doing == "reading" else "wb") as file:
        if doing == "reading":
            file.read(1)
        kill_server_of(host, world)
        while file.read(100_000) if doing == "reading" else file.write(b"new" * 100_000):
            pass
    assert host().run("cat lost", silent=True) == "old" * 1_000_000
    assert capfd.readouterr() == ("", "")
    host().run("rm -rf lost .lost.*")


def test_a_connection_lost_during_a_command_is_never_a_success(
    new_ssh_host: NewHost, world: World
) -> None:
    host = new_ssh_host()
    with pytest.raises(ConnectionLost, match=r"was lost while .* unknown") as caught:
        host().run("echo begun; sleep 0.5; kill -9 $PPID; sleep 30", ignore_exit_status=True)
    assert caught.value.result == "begun\n"


def test_a_server_without_sftp_is_named(new_ssh_host: NewHost, world: World) -> None:
    with world.serve("Subsystem sftp /bin/false") as server:
        host = new_ssh_host(server=server)
        with pytest.raises(ConnectionFailedException, match="does not offer SFTP"):
            host().open("file", "w")
        assert host().run("echo still here") == "still here\n"
        host.close_connection()


# sudo.


def test_sudo_runs_as_root_with_roots_home(ssh_host: type[SSHHost]) -> None:
    host = ssh_host()
    with host.cd("/usr"), host.env("A", "it's"), host.prefix("B=2"):
        assert host.sudo('whoami; echo $HOME $PWD "$A" $B') == "root\n/root /usr it's 2\n"


def test_sudo_runs_as_another_user(ssh_host: type[SSHHost]) -> None:
    host = ssh_host()
    assert host.sudo("whoami; echo $HOME", user="zsher") == "zsher\n/home/zsher\n"
    assert host.run("whoami", user="zsher") == "zsher\n"


def test_the_tilde_of_a_directory_stays_the_login_users(ssh_host: type[SSHHost]) -> None:
    host = ssh_host()
    host.run("mkdir -p ~/'my dir'")
    with host.cd("~/my dir"):
        assert host.sudo("pwd") == "/home/deploy/my dir\n"


def test_root_changes_to_a_directory_of_its_own(ssh_host: type[SSHHost]) -> None:
    host = ssh_host()
    host.sudo("mkdir -p -m 700 /var/roots")
    with host.cd("/var/roots"):
        assert host.sudo("pwd") == "/var/roots\n"


def test_sudo_at_a_terminal_and_its_status(ssh_host: type[SSHHost]) -> None:
    result = ssh_host().sudo("whoami; tty; exit 3", interactive=True, ignore_exit_status=True)
    assert re.fullmatch(r"root\n/dev/pts/\d+\n", result)
    assert result.exit_status == 3


def test_input_goes_to_the_command_and_the_password_does_not(
    new_ssh_host: NewHost,
) -> None:
    for user in ("deploy", "nopass"):
        host = new_ssh_host(user)()
        for _ in range(2):  # the second time, sudo may remember the first
            assert host.sudo("cat", initial_input="line\n") == "line\n"
            assert host.sudo("cat") == ""


def test_a_wrong_sudo_password_is_tried_once(new_ssh_host: NewHost, world: World) -> None:
    host = new_ssh_host(password="wr0ng")
    for interactive in (False, True):
        with pytest.raises(SudoAuthenticationFailed, match="Remote: sudo refused") as caught:
            host().sudo("whoami", interactive=interactive)
        assert "wr0ng" not in str(caught.value)


def test_no_sudo_password_says_what_to_do(new_ssh_host: NewHost) -> None:
    with pytest.raises(SudoAuthenticationFailed, match="set `password`"):
        new_ssh_host(password=None)().sudo("whoami")
    assert new_ssh_host("nopass", password=None)().sudo("whoami") == "root\n"


def test_a_user_who_may_not_use_sudo_is_told(new_ssh_host: NewHost) -> None:
    with pytest.raises(
        SudoFailed, match=r"sudo did not run 'whoami': nosudo is not in the sudoers"
    ):
        new_ssh_host("nosudo")().sudo("whoami", ignore_exit_status=True)


def test_a_failure_under_sudo_is_the_commands(ssh_host: type[SSHHost]) -> None:
    result = ssh_host().sudo("echo out; echo err >&2; exit 1", ignore_exit_status=True)
    assert (result, result.stderr, result.exit_status) == ("out\n", "err\n", 1)
    assert result.use_sudo


def test_a_sudo_command_that_takes_too_long_is_ended(ssh_host: type[SSHHost]) -> None:
    with pytest.raises(CommandTimeout):
        ssh_host().sudo("sleep 3456", timeout=1)


@pytest.mark.parametrize("interactive", [False, True])
@pytest.mark.parametrize("command", ["sleep 3457; true", "(trap '' TERM; sleep 3457) | cat"])
def test_what_root_started_is_ended_too(
    new_ssh_host: NewHost, world: World, command: str, interactive: bool
) -> None:
    # The only session there may be is taken.
    with world.serve("MaxSessions 1") as server:
        host = new_ssh_host(server=server)
        with pytest.raises(CommandTimeout):
            host().sudo(command, timeout=1, interactive=interactive)
        until(lambda: not world.run(["pgrep", "-f", "[s]leep 3457"], check=False))
        host.close_connection()


def test_a_fake_prompt_gets_nothing(new_ssh_host: NewHost) -> None:
    host = new_ssh_host("nopass")()
    # The command sees sudo's own command line, and so even the real token.
    script = (
        "token=$(tr '\\0' '\\n' </proc/$PPID/cmdline | grep deployer-sudo | head -n 1); "
        'test -n "$token"; printf "$token" >&2; timeout 2 cat'
    )
    result = host.sudo(script, ignore_exit_status=True)
    assert PASSWORD not in result
    assert "deployer-sudo-" in result.stderr


def test_the_password_is_in_no_command_line(ssh_host: type[SSHHost]) -> None:
    host = ssh_host()
    seen = host.sudo("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert "deployer-sudo-" in seen
    assert PASSWORD not in seen


# Login shells.


@pytest.fixture
def noisy(new_ssh_host: NewHost, world: World) -> Iterator[type[SSHHost]]:
    """A host whose login shell prints something of its own."""
    world.run(
        ["sh", "-c", "cp .bashrc kept; sed -i '1i echo NOISE; echo NOISE >&2' .bashrc"],
        user="nopass",
    )
    yield new_ssh_host("nopass")
    world.run(["mv", "kept", ".bashrc"], user="nopass")


def test_what_a_start_up_file_prints_is_in_no_answer(noisy: type[SSHHost]) -> None:
    host = noisy()
    assert host.run("echo out") == "NOISE\nout\n"
    assert host.get_home_directory("deploy") == "/home/deploy"
    assert host.get_ip_address("lo") == "127.0.0.1"


def test_a_start_up_file_that_breaks_sftp_is_named(noisy: type[SSHHost]) -> None:
    with pytest.raises(ConnectionFailedException, match=r"does not offer SFTP.*\.bashrc"):
        noisy().exists("file")


def test_a_home_directory_with_a_space(new_ssh_host: NewHost, world: World) -> None:
    home = "/home/with a space"
    world.run(["useradd", "--create-home", "--home-dir", home, "--shell", "/bin/bash", "spacious"])
    world.run(["chpasswd"], input=f"spacious:{PASSWORD}\n")
    host = new_ssh_host(username="spacious", key_filename=None)()
    with host.cd("~"):
        assert host.run("pwd") == f"{home}\n" == f"{host.getcwd()}\n"
    with host.open("~spacious/file", "w") as file:
        file.write("text")
    assert host.run("cat ~/file") == "text"


@pytest.mark.parametrize("user", ["fisher", "tcsher", "zsher"])
def test_another_login_shell(new_ssh_host: NewHost, user: str) -> None:
    host = new_ssh_host(user, shell="/bin/sh")()
    with host.cd("/usr"), host.env("A", "it's\n! \\ $x \"é"), host.prefix("export B=2"):
        result = host.run('printf %s "$A$B$PWD"; exit 3', ignore_exit_status=True)
    assert (result, result.exit_status) == ("it's\n! \\ $x \"é2/usr", 3)
    with host.cd("~"):
        assert host.run("pwd") == f"/home/{user}\n"
    with host.open("file", "w") as file:
        file.write("text")
    with host.open("~/file") as file:
        assert file.read() == "text"
