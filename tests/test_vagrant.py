"""Hosts that Vagrant runs, played by a script that prints what it prints."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from deployer.exceptions import ConnectionFailedException
from deployer.host.vagrant import VagrantHost
from world import Server, World


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
