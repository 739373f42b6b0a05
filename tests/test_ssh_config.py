"""What a host class leaves unset comes from the ssh config."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployer.exceptions import ConnectionFailedException
from deployer.host import SSHHost
from deployer.host.ssh.config import Settings, resolve

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
    assert (found.hostname, found.port, found.username) == ("web", 22, getpass.getuser())
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


def test_identities_only_leaves_the_agent_alone(settings: Resolve) -> None:
    assert not settings("Host web\n IdentitiesOnly yes\n").use_agent


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
