"""What a host class leaves unset comes from the ssh config."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployer.exceptions import ConnectionFailedException
from deployer.host import SSHHost
from deployer.host.ssh import ssh_config
from deployer.host.ssh.config import Gateway, Settings, report_unsupported, resolve
from deployer.pseudo_terminal import DummyPty
from world import Server, World

Resolve = Callable[..., Settings]


@pytest.fixture
def settings(tmp_path: Path) -> Resolve:
    def resolved(config: str, address: str = "web", **attributes: Any) -> Settings:
        file = tmp_path / "config"
        file.write_text(config)
        attributes = {"address": address, "config_filename": str(file), **attributes}
        return resolve(type("Web", (SSHHost,), attributes))

    return resolved


def test_the_config_completes_the_class(settings: Resolve, tmp_path: Path) -> None:
    key = tmp_path / "key"
    found = settings(
        f"""
        Host web
            HostName web.example.com
            User bob
            Port 2222
            IdentityFile {key}
            ConnectTimeout 3
            ServerAliveInterval 7
            UserKnownHostsFile ~/.known /etc/known
            StrictHostKeyChecking yes
            HostKeyAlias alias
        """
    )
    assert (found.hostname, found.username, found.port) == ("web.example.com", "bob", 2222)
    assert found.key_filenames == (str(key),)
    assert (found.timeout, found.keepalive_interval) == (3.0, 7.0)
    assert found.user_known_hosts == (os.path.expanduser("~/.known"), "/etc/known")
    assert found.reject_unknown_hosts
    assert (found.host_key_name, found.host_key_port) == ("alias", 22)


def test_the_class_wins(settings: Resolve) -> None:
    found = settings(
        "Host *\n User bob\n Port 2222\n IdentityFile /a\n ConnectTimeout 3\n",
        username="eve",
        port=22,
        key_filename="~/b",
        timeout=5,
    )
    assert (found.username, found.port, found.timeout) == ("eve", 22, 5.0)
    assert found.key_filenames == (os.path.expanduser("~/b"),)
    assert not found.use_agent


def test_without_either_there_are_ssh_s_own_defaults(settings: Resolve) -> None:
    found = settings("")
    assert (found.hostname, found.port, found.username) == (
        "web",
        22,
        pwd.getpwuid(os.getuid()).pw_name,
    )
    assert found.key_filenames[0] == os.path.expanduser("~/.ssh/id_ed25519")
    assert found.use_agent and not found.keys_are_explicit
    assert found.user_known_hosts[0] == os.path.expanduser("~/.ssh/known_hosts")
    assert not found.reject_unknown_hosts


def test_included_files_are_read_where_they_are_included(settings: Resolve, tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text("Host web\n  User included\n")
    (tmp_path / "b.conf").write_text("Host web\n  User late\n  Port 77\n")
    found = settings(f"Include {tmp_path}/*.conf\nHost web\n  User last\n")
    assert (found.username, found.port) == ("included", 77)


def test_jumps_are_dialled_in_their_order(settings: Resolve) -> None:
    assert settings("Host web\n ProxyJump a,b@c:2\n").proxy_jump == ("a", "b@c:2")
    assert settings("Host web\n ProxyJump none\n").proxy_jump == ()


def test_identities_only_is_about_keys_that_are_not_configured(settings: Resolve) -> None:
    assert not settings("").identities_only
    found = settings("Host web\n IdentitiesOnly yes\n")
    assert found.identities_only and found.use_agent


def test_a_key_of_the_class_is_the_only_one(settings: Resolve) -> None:
    config = "IdentityFile /a\nIdentityFile /b\n"
    named = settings(config, key_filename="/c")
    assert (named.key_filenames, named.keys_are_explicit, named.use_agent) == (("/c",), True, False)
    given = settings(config, rsa_key="text")
    assert (given.key_filenames, given.keys_are_explicit, given.use_agent) == ((), False, False)


def test_no_key_files_can_be_asked_for(settings: Resolve) -> None:
    assert settings("IdentityFile none\n").key_filenames == ()


def test_a_changed_config_is_read_again(settings: Resolve) -> None:
    assert settings("Host web\n Port 1\n").port == 1
    assert settings("Host web\n Port 2\n  User changed\n").port == 2


def test_a_host_without_an_address_says_what_to_do(settings: Resolve) -> None:
    with pytest.raises(ConnectionFailedException, match=r"Web: .* set `address`"):
        settings("", address=None)


@pytest.mark.parametrize(
    ("time", "seconds"), [("90", 90), ("30s", 30), ("1m30s", 90), ("2H", 7200), ("none", 10)]
)
def test_times_are_read_as_ssh_reads_them(settings: Resolve, time: str, seconds: float) -> None:
    assert settings(f"Host web\n ConnectTimeout {time}\n").timeout == seconds


def test_a_file_name_may_be_quoted(settings: Resolve) -> None:
    found = settings('Host web\n UserKnownHostsFile "/a b" /c\n')
    assert found.user_known_hosts == ("/a b", "/c")


@pytest.mark.parametrize("line", ["Port abc", "ConnectTimeout soon", "ServerAliveInterval -1"])
def test_a_value_that_makes_no_sense_names_the_file(
    settings: Resolve, tmp_path: Path, line: str
) -> None:
    with pytest.raises(ConnectionFailedException, match=f"Web: .*{tmp_path}/config"):
        settings(f"Host web\n {line}\n")


def test_a_config_that_was_asked_for_has_to_be_there(settings: Resolve) -> None:
    with pytest.raises(ConnectionFailedException, match=r"Web: .*/missing/config.*No such file"):
        settings("", config_filename="/missing/config")


def test_a_broken_config_names_the_file(settings: Resolve, tmp_path: Path) -> None:
    with pytest.raises(ConnectionFailedException, match=f"Web: .*{tmp_path}/config"):
        settings("Host web\n Port abc\n Match nonsense\n")


def test_a_dead_peer_is_noticed_unless_that_is_switched_off(settings: Resolve) -> None:
    found = settings("")
    assert (found.keepalive_interval, found.keepalive_count) == (15.0, 3)
    assert settings("ServerAliveInterval 0\n").keepalive_interval == 0
    assert settings("ServerAliveInterval 5\n", keepalive_interval=0).keepalive_interval == 0
    found = settings("ServerAliveInterval 1m\nServerAliveCountMax 9\n")
    assert (found.keepalive_interval, found.keepalive_count) == (60.0, 9)


def test_tokens_and_variables_stand_for_what_is_known(
    settings: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYS", "/keys")
    found = settings(
        "HostName %h.example.com\nIdentityFile ${KEYS}/%n-%r@%h:%p%%\n"
        "CertificateFile %d/%u\nProxyJump %r@gate-%h\n",
        port=7,
        username="bob",
    )
    assert found.key_filenames == ("/keys/web-bob@web.example.com:7%",)
    (certificate,) = found.certificate_filenames
    assert certificate == f"{os.path.expanduser('~')}/{pwd.getpwuid(os.getuid()).pw_name}"
    assert found.proxy_jump == ("bob@gate-web.example.com",)


def test_the_port_and_the_user_of_the_class_are_known_to_the_config(settings: Resolve) -> None:
    found = settings(
        "ProxyCommand nc %h %p %r\nMatch user eve exec 'test %p = 7'\n User no\n HostKeyAlias a\n",
        username="eve",
        port=7,
    )
    assert (found.proxy_command, found.username, found.host_key_name) == (
        "nc web 7 eve",
        "eve",
        "a",
    )


def test_the_agent_may_be_another_or_none(
    settings: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/usual")
    monkeypatch.setenv("OTHER", "/run/other")
    for value, socket in {
        "SSH_AUTH_SOCK": "/run/usual",
        "$OTHER": "/run/other",
        "${OTHER}.sock": "/run/other.sock",
        "/run/%n": "/run/web",
        "none": None,
        "$NOT_SET_ANYWHERE": None,
    }.items():
        assert settings(f"IdentityAgent {value}\n").agent_socket == socket
    assert settings("").agent_socket == "/run/usual"


@pytest.mark.parametrize(
    ("word", "place"),
    [
        ("gate", (None, "gate", None)),
        ("bob@gate:2200", ("bob", "gate", 2200)),
        ("a@b@gate", ("a@b", "gate", None)),
        ("[::1]", (None, "::1", None)),
        ("bob@[::1]:22", ("bob", "::1", 22)),
        ("ssh://b%40b@gate:3", ("b@b", "gate", 3)),
        ("ssh://[fe80::1%25eth0]:3", (None, "fe80::1%eth0", 3)),
    ],
)
def test_the_words_of_a_jump(word: str, place: tuple[str | None, str, int | None]) -> None:
    gateway = Gateway.of(type("Web", (SSHHost,), {}), word)
    assert (gateway.username, gateway.address, gateway.port) == place


def test_an_address_of_ipv6_in_a_jump_needs_brackets() -> None:
    with pytest.raises(ConnectionFailedException, match=r"Web: .*::1.* in brackets"):
        Gateway.of(type("Web", (SSHHost,), {}), "::1")


def test_the_users_config_comes_before_the_systems(
    settings: Resolve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = tmp_path / "system"
    system.write_text("Host *\n User system\n Port 7\n")
    monkeypatch.setattr(ssh_config, "SYSTEM_CONFIG", str(system))
    monkeypatch.setenv("HOME", str(tmp_path))
    usual = {"config_filename": SSHHost.config_filename}
    assert settings("", **usual).username == "system"
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text("Include more*\nHost *\n User user\n")
    (tmp_path / ".ssh/more.conf").write_text("HostKeyAlias included\n")
    found = settings("", **usual)
    assert (found.username, found.port, found.host_key_name) == ("user", 7, "included")
    # One that is named stands alone, and there may be none at all.
    assert settings("Port 8\n").port == 8
    assert settings("Port 8\n", config_filename=None).port == 22
    (tmp_path / ".ssh/config").chmod(0o666)
    with pytest.raises(ConnectionFailedException, match="chmod go-w"):
        settings("", **usual)


def test_a_changed_include_is_read_again(settings: Resolve, tmp_path: Path) -> None:
    included = tmp_path / "included"
    included.write_text("Port 1\n")
    assert settings(f"Include {included}\n").port == 1
    included.write_text("Port 12\n")
    assert settings(f"Include {included}\n").port == 12
    included.unlink()
    assert settings(f"Include {included}\n").port == 22


def test_each_file_is_read_once_for_many_hosts_and_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    parse = ssh_config._parse
    monkeypatch.setattr(
        ssh_config, "_parse", lambda text, name: reads.append(name) or parse(text, name)
    )
    config, included = tmp_path / "config", tmp_path / "included"
    included.write_text("ForwardAgent yes\n")
    blocks = [f"Host web{number}\n Port {number + 1}\n" for number in range(200)]
    config.write_text("".join(blocks) + f"Host *\n Include {included}\n")
    attributes = {"config_filename": str(config)}
    resolve(type("Web", (SSHHost,), {"address": "web0", **attributes}))
    ports: list[tuple[int, int]] = []

    def work() -> None:
        for number in range(200):
            found = resolve(type("Web", (SSHHost,), {"address": f"web{number}", **attributes}))
            ports.append((number + 1, found.port if found.forward_agent else 0))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ports) == 800
    assert all(expected == port for expected, port in ports)
    assert sorted(reads) == sorted([str(config), str(included)])


def test_no_pattern_takes_long(settings: Resolve) -> None:
    patterns = f"{'*' * 60}b *{'a*' * 30}b"
    assert settings(f"Host {patterns}\n Port 1\n", address="a" * 200).port == 22
    assert settings(f"Host {patterns}\n Port 1\n", address="a" * 200 + "b").port == 1


# What cannot be honoured.

ASKED_IN_VAIN = [
    "BindInterface eth0",
    "CanonicalizeHostname yes",
    "CheckHostIP yes",
    "DynamicForward 1080",
    "ForwardAgent /run/other",
    "ForwardX11 yes",
    "GSSAPIAuthentication yes",
    "HostbasedAuthentication yes",
    "KnownHostsCommand /bin/keys %h",
    "LocalForward 8080 localhost:80",
    "NoHostAuthenticationForLocalhost yes",
    "PKCS11Provider /lib/x.so",
    "PubkeyAcceptedAlgorithms ssh-ed25519",
    "RemoteCommand tmux attach",
    "RemoteForward 8080 localhost:80",
    "RequiredRSASize 4096",
    "SecurityKeyProvider /lib/x.so",
    "SessionType none",
    "Tunnel ethernet",
    "VerifyHostKeyDNS ask",
    "SomeNewOption of a later release",
]


@pytest.mark.parametrize("line", ASKED_IN_VAIN)
def test_what_cannot_be_honoured_is_named_with_its_place(
    settings: Resolve, tmp_path: Path, line: str
) -> None:
    (text,) = settings(f"Host db\n {line}\nHost web\n {line}\n").unsupported
    assert text.startswith(f"{tmp_path}/config line 4: {line.split()[0]}")


@pytest.mark.parametrize(
    "lines",
    [
        "Host db\n Tunnel yes\n Unknown yes",
        "ForwardX11 no\nTunnel no\nRemoteCommand none\nSessionType default",
        "LocalForward 8080 localhost:80\nClearAllForwardings yes",
        "LocalCommand date",
        "ProxyUseFdpass yes",
        "ControlMaster auto\nControlPath ~/%C\nVisualHostKey yes\nLogLevel DEBUG\nEscapeChar none",
        "AddKeysToAgent yes\nUpdateHostKeys ask\nNumberOfPasswordPrompts 1\nUseKeychain yes",
        "IgnoreUnknown Some*\nSomeNewOption yes",
    ],
)
def test_what_makes_no_difference_is_passed_over(settings: Resolve, lines: str) -> None:
    assert settings(lines).unsupported == ()


def test_two_that_only_matter_together(settings: Resolve) -> None:
    assert settings("PermitLocalCommand yes\nLocalCommand date\n").unsupported
    assert settings("ProxyUseFdpass yes\nProxyCommand nc\n").unsupported


def test_what_a_distribution_sets_for_everybody_is_nobodys_wish(settings: Resolve) -> None:
    from deployer.host.ssh.ssh_keywords import parse_line
    from deployer.host.ssh.unsupported import unsupported

    for place, count in {"/etc/ssh/ssh_config": 0, "/home/bob/.ssh/config": 1}.items():
        options = ssh_config.Options("web", "web")
        line = parse_line("GSSAPIAuthentication yes", place, 1)
        assert line is not None
        options.take(line)
        assert len(unsupported(options, None)) == count


def test_a_block_that_cannot_be_decided_is_left_out_and_named(settings: Resolve) -> None:
    found = settings("Match host web tagged prod\n Port 7\nMatch host db tagged x\n Port 8\n")
    assert found.port == 22
    (text,) = found.unsupported
    assert "line 1: `Match tagged`" in text


def test_it_is_told_once_for_all_hosts(
    new_ssh_host: Callable[..., type[SSHHost]], sshd: Server, tmp_path: Path
) -> None:
    config = tmp_path / "tunnels"
    config.write_text(f"Tunnel yes\nUserKnownHostsFile {tmp_path}/known\n")
    pty = DummyPty()
    for name in ("First", "Second"):
        new_ssh_host(name=name, config_filename=str(config))(pty).run("true")
    (line,) = [line for line in pty.get_output().splitlines() if "Tunnel" in line]
    assert line == (
        f"First: the ssh config asks for what deployer does not do: {config} line 1: Tunnel yes "
        "(there are no tunnels)"
    )
    again = DummyPty()
    report_unsupported("Third", resolve(new_ssh_host(config_filename=str(config))), again)
    assert again.get_output() == ""


@pytest.mark.parametrize(
    ("line", "cipher"),
    [
        ("Ciphers aes192-ctr,aes256-ctr", "aes192-ctr"),
        ("Ciphers ^aes256-ctr", "aes256-ctr"),
        ("Ciphers -aes128*,aes256*", "aes192-ctr"),
    ],
)
def test_the_algorithms_of_the_config_are_used(
    new_ssh_host: Callable[..., type[SSHHost]],
    world: World,
    tmp_path: Path,
    line: str,
    cipher: str,
) -> None:
    config = tmp_path / "algorithms"
    config.write_text(f"{line}\nUserKnownHostsFile {tmp_path}/known\n")
    with world.serve("LogLevel DEBUG1") as server:
        host = new_ssh_host(server=server, config_filename=str(config))
        host().run("true")
        host.close_connection()
        assert f"kex: client->server cipher: {cipher} " in world.run(["cat", server.log])


def test_a_config_can_refuse_a_host(settings: Resolve) -> None:
    with pytest.raises(ConnectionFailedException, match="line 1: RefuseConnection not from here"):
        settings("RefuseConnection not from here\n")


@pytest.mark.parametrize(
    "attributes", [{"address": "-oProxyCommand=x"}, {"address": "a;b"}, {"username": "`x`"}]
)
def test_names_that_a_shell_would_run_are_refused(
    settings: Resolve, attributes: dict[str, str]
) -> None:
    with pytest.raises(ConnectionFailedException, match=r"Web: the (address|username) .* has char"):
        settings("", **attributes)


def test_a_command_is_not_run_for_a_host_that_is_not_meant(
    settings: Resolve, tmp_path: Path
) -> None:
    command = f'exec "touch {tmp_path}/%h"'
    settings(f"Match host db {command}\nMatch host web {command}\nMatch !host web {command}\n")
    assert (tmp_path / "web").exists()
    settings(f"Match host web {command}\n", address="db")
    assert not (tmp_path / "db").exists()


def test_a_command_of_match_that_does_not_end_is_given_up(
    settings: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_config, "_EXEC_TIMEOUT", 0.05)
    with pytest.raises(ConnectionFailedException, match="line 1: 'sleep 30' did not end"):
        settings("Match exec 'sleep 30'\n")


def test_reading_a_config_needs_no_paramiko() -> None:
    program = (
        "import sys; from deployer.host import SSHHost\n"
        "from deployer.host.ssh.config import resolve\n"
        "class Web(SSHHost): address = 'web'; config_filename = None\n"
        "resolve(Web); sys.exit('paramiko' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
