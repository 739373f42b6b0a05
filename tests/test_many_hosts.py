"""Three hundred hosts, each an address of its own on a real server."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deployer.exceptions import (
    CommandTimeout,
    ConnectionFailedException,
    ConnectionTimeout,
    ExecCommandFailed,
    ParallelActionException,
)
from deployer.host import SSHHost
from deployer.node import Env, ParallelNode
from deployer.pseudo_terminal import DummyPty, Presentation
from terminals import run_in_terminal
from waiting import until
from world import World, free_port

pytestmark = pytest.mark.faults

_COUNT = 300
#: A command that takes long, and that no other run of the tests on this machine has.
LONG = f"sleep 7654.{os.getpid()}"


@dataclass
class Farm:
    """Many addresses of one server, and what a host class needs to reach them."""

    world: World
    settings: dict[str, Any]

    def attributes(self, number: int) -> dict[str, Any]:
        address = f"127.0.{1 + number // 200}.{1 + number % 200}"
        return {**self.settings, "address": address}

    def count_running(self) -> int:
        listed = self.world.run(["pgrep", "-u", "deploy", "-xf", LONG], check=False)
        return len(listed.split())


@pytest.fixture(scope="module")
def farm(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    directory = tmp_path_factory.mktemp("many")
    with world.serve("ListenAddress 0.0.0.0", "MaxStartups 1000") as server:
        known_hosts = directory / "known_hosts"
        known_hosts.write_text(f"[127.0.*]:{server.port} {server.host_key}\n")
        config = directory / "config"
        config.write_text(f"Host *\n  UserKnownHostsFile {known_hosts}\n")
        settings = {
            "port": server.port,
            "username": "deploy",
            "key_filename": world.key_filename,
            "config_filename": str(config),
        }
        yield Farm(world, settings)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Give a port at which somebody listens, and says nothing."""
    with socket.create_server(("0.0.0.0", 0)) as listener:
        yield listener.getsockname()[1]


def test_of_three_hundred_hosts_one_refuses_some_hang_and_one_fails(
    farm: Farm, silent_port: int
) -> None:
    special: dict[int, dict[str, Any]] = {
        17: {"port": free_port()},
        118: {"port": silent_port, "timeout": 3},
    }
    hosts = tuple(
        type(f"web{n:03}", (SSHHost,), farm.attributes(n) | special.get(n, {}))
        for n in range(_COUNT)
    )

    class Web(ParallelNode):
        class Hosts:
            host = hosts

        def uname(self) -> str:
            match self.host.slug:
                case "web219":
                    result = self.host.run(f"uname -a; exec {LONG}", timeout=5)
                case "web250":
                    result = self.host.run("uname -a; exit 3")
                case _:
                    result = self.host.run("uname -a")
            return str(result)

    pty = DummyPty()
    pty.presentation = Presentation("gather")
    with pytest.raises(ParallelActionException) as caught:
        Env(Web(), pty).uname()
    error = caught.value
    failures = {cell.host.slug: failure for cell, failure in error.failures.items()}
    assert list(failures) == ["web017", "web118", "web219", "web250"]
    assert type(failures["web017"]) is ConnectionFailedException
    assert isinstance(failures["web118"], ConnectionFailedException | ConnectionTimeout)
    assert isinstance(failures["web219"], CommandTimeout)
    assert type(failures["web250"]) is ExecCommandFailed
    uname = farm.world.run(["uname", "-a"])
    assert list(error.results.values()) == [uname] * (_COUNT - 4)
    # What had arrived of those that failed later is kept.
    for name in ("web219", "web250"):
        failure = failures[name]
        assert isinstance(failure, ExecCommandFailed) and failure.result == uname
    output = pty.get_output()
    assert "web[000-016,018-117,119-218,220-249,251-299] (296):\n  Linux" in output
    assert "timed out" in output and "exit 3" in output and "unreachable" in output
    until(lambda: farm.count_running() == 0)
    for host in hosts:
        host.close_connection()


_SCRIPT = """
import json, os
from deployer.client import start
from deployer.host import SSHHost
from deployer.node import ParallelNode

given = json.loads(os.environ["GIVEN"])

class Farm(ParallelNode):
    class Hosts:
        host = tuple(type(f"web{n:03}", (SSHHost,), a) for n, a in enumerate(given["hosts"]))

    def uname(self):
        self.host.run("uname")

    def sleep(self):
        self.host.run(f"exec {given['command']}")

if __name__ == "__main__":
    start(Farm)
"""


def test_ctrl_c_leaves_no_process_on_three_hundred_hosts(farm: Farm, tmp_path: Path) -> None:
    script = tmp_path / "deploy.py"
    script.write_text(_SCRIPT)
    given = {"hosts": [farm.attributes(n) for n in range(_COUNT)], "command": LONG}
    with run_in_terminal(
        script,
        "--parallel",
        str(_COUNT),
        columns=120,
        GIVEN=json.dumps(given),
        XDG_STATE_HOME=str(tmp_path),
        NO_COLOR="1",
    ) as screen:
        screen.wait_for(lambda lines: lines[-1] == f"Farm ({_COUNT}) >")
        screen.type("uname\r")
        screen.wait_for(
            lambda lines: (
                any(line.startswith("web[000-299] (300)  ok") for line in lines)
                and lines[-1] == f"Farm ({_COUNT}) >"
            ),
            seconds=60,
        )
        screen.type("sleep\r")
        until(lambda: farm.count_running() == _COUNT, farm.count_running)
        screen.type("\x03")
        screen.wait_for(
            lambda lines: (
                any("web[000-299] (300)  stopped" in line for line in lines)
                and lines[-1] == f"Farm ({_COUNT}) ✗ >"
            ),
            seconds=60,
        )
        until(lambda: farm.count_running() == 0, farm.count_running)
        screen.type("exit\r")
        assert screen.wait_for_end() == 0
