"""The ready-made parts, on this machine and on a server."""

from __future__ import annotations

import getpass
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployer.contrib.commands import append_line, bashrc_append, wget
from deployer.contrib.loggers import HistoryLogger
from deployer.contrib.nodes import Config
from deployer.exceptions import ConnectionFailedException
from deployer.host import LocalHost, SSHHost
from deployer.host.vagrant import VagrantHost
from deployer.loggers import LoggerInterface
from deployer.node import Env, Node
from world import PASSWORD, Server, World

HOSTILE = 'it\'s a "$HOME" `id` \\ -x'


def sh(command: str, directory: Path) -> str:
    return subprocess.run(
        ["sh", "-c", command], cwd=directory, check=True, capture_output=True, encoding="utf-8"
    ).stdout


# Commands.


def test_a_line_is_appended_once(tmp_path: Path) -> None:
    command = append_line("a file", HOSTILE)
    sh(f"{command}; {command}", tmp_path)
    assert (tmp_path / "a file").read_text() == f"{HOSTILE}\n"


def test_a_line_does_not_run_into_an_unended_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("first\nsecond")
    sh(append_line("file", "third"), tmp_path)
    assert (tmp_path / "file").read_text() == "first\nsecond\nthird\n"


def test_a_part_of_a_line_is_not_the_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("PATH=/bin:/usr/bin\n")
    sh(append_line("file", "PATH=/bin"), tmp_path)
    assert (tmp_path / "file").read_text() == "PATH=/bin:/usr/bin\nPATH=/bin\n"


def test_more_than_a_line_is_refused() -> None:
    with pytest.raises(ValueError, match="one line"):
        append_line("file", "a\nb")


def test_bashrc_is_the_one_of_the_user(tmp_path: Path) -> None:
    sh(f"HOME='{tmp_path}'; {bashrc_append('alias ll=ls')}", tmp_path)
    assert (tmp_path / ".bashrc").read_text() == "alias ll=ls\n"


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (wget("http://a/?b=c&d='e'"), ["wget", "--no-verbose", "--", "http://a/?b=c&d='e'"]),
        (
            wget("-x", "/a b/$c"),
            ["wget", "--no-verbose", "--output-document=/a b/$c", "--", "-x"],
        ),
    ],
)
def test_wget_gets_its_arguments_literally(
    command: str, arguments: list[str], tmp_path: Path
) -> None:
    printed = sh(f'wget() {{ printf "%s\\n" wget "$@"; }}; {command}', tmp_path)
    assert printed.splitlines() == arguments


# The history on each host.


def test_the_history_says_what_was_run_by_whom_and_how_it_ended(tmp_path: Path) -> None:
    history = tmp_path / "the history"
    logger = LoggerInterface()
    logger.attach(HistoryLogger([LocalHost], str(history)))
    host = LocalHost(logger=logger)
    host.run("echo 'a\\b'\necho second")
    host.run("exit 3", ignore_exit_status=True)

    first, second = history.read_text().splitlines()
    time_and_user = rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00 {getpass.getuser()}@\S+ "
    assert re.fullmatch(time_and_user + re.escape(r"0 echo 'a\\b'\necho second"), first)
    assert re.fullmatch(time_and_user + "3 exit 3", second)


def test_the_history_of_a_server_is_on_the_server(world: World, ssh_host: type[SSHHost]) -> None:
    logger = LoggerInterface()
    logger.attach(HistoryLogger([ssh_host], "~/history-of-the-test"))
    ssh_host(logger=logger).sudo("true")
    history = world.run(["cat", "history-of-the-test"], user="deploy")
    assert history.endswith(" 0 sudo true\n")
    assert PASSWORD not in history


def test_other_hosts_and_sandboxes_get_no_history(tmp_path: Path) -> None:
    class other(LocalHost):
        pass

    logger = LoggerInterface()
    logger.attach(HistoryLogger([LocalHost], str(tmp_path / "history")))
    other(logger=logger).run("true")
    LocalHost(logger=logger, is_sandbox=True).run("true")
    assert list(tmp_path.iterdir()) == []


# Configuration files.


def config_at(path: str, text: str, host: type[Any] = LocalHost, sudo: bool = False) -> Any:
    """Return a Config in an Env, nested in a node that says what it holds."""

    class Site(Node):
        class Hosts:
            role = host

        greeting = text

        class config(Config):
            remote_path = path
            use_sudo = sudo

            @property
            def content(self) -> str:
                content: str = self.parent.greeting
                return content

    return Env(Site()).config


def test_a_config_is_written_when_it_is_missing_or_differs(tmp_path: Path) -> None:
    path = tmp_path / "motd"
    config = config_at(str(path), "Hello\n")
    assert (config.exists(), config.changed(), config.current_content()) == (False, True, "")
    config.setup()
    assert path.read_text() == "Hello\n"
    assert (config.exists(), config.changed(), config.diff()) == (True, False, "")
    path.write_text("Goodbye\n")
    assert config.changed()
    config.setup()
    assert path.read_text() == "Hello\n"


def test_a_config_that_is_up_to_date_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "motd"
    path.write_text("Hello\n")
    before = path.stat()
    config_at(str(path), "Hello\n").setup()
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_an_empty_config_that_is_missing_is_written(tmp_path: Path) -> None:
    config_at(str(tmp_path / "empty"), "").setup()
    assert (tmp_path / "empty").read_text() == ""


def test_the_diff_shows_what_setup_would_change(tmp_path: Path) -> None:
    path = tmp_path / "motd"
    path.write_text("same\nold")
    assert config_at(str(path), "same\nnew").diff().splitlines() == [
        f"--- {path} on LocalHost",
        f"+++ {path}, new",
        "@@ -1,2 +1,2 @@",
        " same",
        "-old",
        "+new",
    ]


def test_show_gives_the_content_and_needs_no_host() -> None:
    assert config_at("/nowhere/motd", "Hello\n").show() == "Hello\n"


def test_a_config_of_root_is_written_with_sudo(world: World, ssh_host: type[SSHHost]) -> None:
    config = config_at("/etc/motd-of-the-test", "Hello\n", ssh_host, sudo=True)
    config.setup()
    assert world.run(["cat", "/etc/motd-of-the-test"]) == "Hello\n"
    assert config.changed() is False


def test_a_config_without_a_path_says_what_is_missing() -> None:
    class Site(Node):
        class Hosts:
            role = LocalHost

        class config(Config):
            content = "Hello\n"

    with pytest.raises(NotImplementedError, match=r"remote_path.*Where the file is"):
        _ = Env(Site()).config.remote_path


# Vagrant, played by a script that prints what it prints.


@pytest.fixture
def vagrant(
    world: World, sshd: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int], Path]:
    """Return a function that installs a `vagrant` for the user nopass, ending with a status."""

    def install(status: int) -> Path:
        config = f"""Host vagrant
  HostName {sshd.address}
  User nopass
  Port {sshd.port}
  UserKnownHostsFile /dev/null
  StrictHostKeyChecking no
  PasswordAuthentication no
  IdentityFile {world.key_filename}
  IdentitiesOnly yes
  LogLevel FATAL
"""
        script = tmp_path / "vagrant"
        script.write_text(
            f"#!/bin/sh\n"
            f'printf "%s\\n" "$PWD" "$@" >{shlex.quote(str(tmp_path / "called"))}\n'
            f"[ {status} = 0 ] || {{ echo 'The machine is not running.' >&2; exit {status}; }}\n"
            f"cat <<'END'\n{config}END\n"
        )
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        return tmp_path / "called"

    return install


def test_a_vagrant_host_is_reached_as_vagrant_says(
    vagrant: Callable[[int], Path], tmp_path: Path
) -> None:
    class machine(VagrantHost):
        vagrant_directory = str(tmp_path)
        vagrant_machine = "db"

    called = vagrant(0)
    assert machine().run("id -un") == "nopass\n"
    assert called.read_text().split() == [str(tmp_path), "ssh-config", "--host", "vagrant", "db"]


def test_a_vagrant_machine_that_is_down_is_an_error_that_says_so(
    vagrant: Callable[[int], Path], tmp_path: Path
) -> None:
    class machine(VagrantHost):
        vagrant_directory = str(tmp_path)

    vagrant(1)
    with pytest.raises(
        ConnectionFailedException, match=r"^machine: .*The machine is not running\..*vagrant up"
    ):
        machine().run("true")
