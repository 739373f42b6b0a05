"""What goes wrong in parallel runs: some hosts fail, some hang, and somebody presses Ctrl-C."""

from __future__ import annotations

import json
import os
import shlex
import termios
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from deployer.exceptions import (
    ActionException,
    CommandTimeout,
    ConnectionFailedException,
    DeployerException,
    ExecCommandFailed,
    ParallelActionException,
    ParallelExecCommandFailed,
)
from deployer.host import SSHHost
from deployer.host_container import HostsContainer
from deployer.node import Env, ParallelNode
from deployer.pseudo_terminal import DummyPty
from fault_proxy import fault_proxy
from terminals import Screen, run_in_terminal
from waiting import until
from world import Server, World

pytestmark = pytest.mark.faults

Hosts = list[type[SSHHost]]

#: A command that takes long, and that no other run of the tests on this machine has.
LONG = f"sleep 6543.{os.getpid()}"


# One hundred hosts.


@pytest.fixture(scope="module")
def hundred(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Make a hundred hosts on a server, connected to all of them."""
    directory = tmp_path_factory.mktemp("hundred")
    with world.serve("MaxStartups 200") as server:
        hosts = [_new_host(world, server, directory, f"web{number}") for number in range(100)]
        HostsContainer({"host": hosts}).run("true")
        yield hosts
        for host in hosts:
            host.close_connection()


def _new_host(
    world: World, server: Server, directory: Path, name: str, **attributes: Any
) -> type[SSHHost]:
    known_hosts = directory / f"known_hosts_{server.port}"
    known_hosts.write_text(f"[{server.address}]:{server.port} {server.host_key}\n")
    config = directory / f"config_{server.port}"
    config.write_text(f"Host *\n  UserKnownHostsFile {known_hosts}\n")
    settings = {
        "address": server.address,
        "port": server.port,
        "username": "deploy",
        "key_filename": world.key_filename,
        "config_filename": str(config),
    }
    return type(name, (SSHHost,), settings | attributes)


@pytest.fixture(params=["a command that does not end", "a line that is frozen", "a silent port"])
def hanging(
    request: pytest.FixtureRequest, hundred: Hosts, world: World, tmp_path: Path
) -> Iterator[tuple[Hosts, type[DeployerException]]]:
    """Give a hundred hosts, of which one fails (web3) and another hangs (web7), and its error."""
    if request.param == "a command that does not end":
        yield hundred, CommandTimeout
        return
    direct = hundred[7]
    assert direct.port is not None
    with fault_proxy(direct.port) as proxy:
        known = world.run(["cut", "-d", " ", "-f", "1,2", "/run/host_key.pub"]).strip()
        server = Server(proxy.address, proxy.port, known, "")
        host = _new_host(world, server, tmp_path, "web7", timeout=2, keepalive_interval=1)
        if request.param == "a silent port":
            proxy.set(freeze_after_down=0)
        else:
            host().run("true")
            proxy.set(freeze_after_down=0)
        # The frozen line may be noticed before the run, which then cannot open another.
        yield [*hundred[:7], host, *hundred[8:]], ConnectionFailedException
        proxy.set(freeze_after_down=None)
        host.close_connection()


# What fails on one host, hangs on another, and works on the others.
_COMMAND = f"case $SLUG in web3) echo broken >&2; exit 3;; web7) exec {LONG};; esac; echo $SLUG"
_TIMEOUT = 6.0


def test_of_a_hundred_hosts_one_fails_and_one_hangs(
    hanging: tuple[Hosts, type[DeployerException]],
) -> None:
    hosts, kind = hanging
    container = HostsContainer({"host": hosts})
    with ExitStack() as contexts, pytest.raises(ParallelExecCommandFailed) as caught:
        for one in container:
            contexts.enter_context(one.env("SLUG", one.slug))
        container.run(_COMMAND, timeout=_TIMEOUT)
    error = caught.value
    expected = {f"web{number}": f"web{number}\n" for number in range(100) if number not in (3, 7)}
    assert error.results == expected
    assert list(error.failures) == ["web3", "web7"]
    assert type(error.failures["web3"]) is ExecCommandFailed
    assert isinstance(error.failures["web7"], kind)
    lines = str(error).splitlines()
    assert lines[0] == "failed on 2 of 100 hosts:"
    assert [line.split(":")[0] for line in lines if line.startswith("  web")] == [
        "  web3",
        "  web7",
    ]


@pytest.mark.parametrize("hanging", ["a command that does not end"], indirect=True)
def test_of_a_hundred_cells_one_fails_and_one_hangs(
    hanging: tuple[Hosts, type[DeployerException]],
) -> None:
    hosts, kind = hanging

    class Farm(ParallelNode):
        class Hosts:
            host = tuple(hosts)

        def work(self) -> str:
            with self.host.env("SLUG", self.host.slug):
                result: str = self.host.run(_COMMAND, timeout=_TIMEOUT)
                return result

    farm = Env(Farm(), DummyPty())
    with pytest.raises(ParallelActionException) as caught:
        farm.work()
    error = caught.value
    assert sorted(error.results.values()) == sorted(
        f"web{number}\n" for number in range(100) if number not in (3, 7)
    )
    assert [cell.host.slug for cell in error.failures] == ["web3", "web7"]
    failed, hung = error.failures.values()
    assert type(failed) is ExecCommandFailed and failed.host == "web3"
    assert isinstance(hung, kind)
    assert "failed on 2 of 100 hosts:" in str(error)
    assert "web3" in str(error) and "web7" in str(error)


def test_an_action_that_runs_on_all_hosts_names_those_that_failed(hundred: Hosts) -> None:
    class Farm(ParallelNode):
        class Hosts:
            host = tuple(hundred[:5])

        def work(self) -> None:
            if self.host.slug == "web3":
                raise ValueError("not this one")

    with pytest.raises(ActionException, match=r"failed on 1 of 5 hosts:\n  .*web3.*not this one"):
        Env(Farm(), DummyPty()).work()


# Ctrl-C in the shell, at a real terminal.

_SCRIPT = """
import json, os, subprocess, sys
from deployer.client import start
from deployer.host import LocalHost, SSHHost
from deployer.node import Node, ParallelNode

given = json.loads(os.environ["GIVEN"])
# More than run at once.
remote = [type(f"remote{n}", (SSHHost,), given["host"]) for n in range(3)]
local = [type(f"local{n}", (LocalHost,), {}) for n in range(66)]

class Root(Node):
    class farm(ParallelNode.Array):
        class Hosts:
            host = tuple(remote + local)

        def work(self):
            if self.host.slug == "remote0":
                return self.host.run("echo the result")
            if self.host.slug.startswith("local"):
                self.host.run(f"echo {self.host.slug} >>{given['begun']}")
            self.host.run(given["command"])

    def settings(self):
        subprocess.run(["stty", "-g"], check=True)

    def hello(self):
        print("hello again")

if __name__ == "__main__":
    start(Root)
"""


@pytest.fixture
def shell(
    new_ssh_host: Callable[..., type[SSHHost]], tmp_path: Path
) -> Iterator[tuple[Screen, Path]]:
    """Start a shell at a terminal; give that, and where local hosts say they have begun."""
    begun = tmp_path / "begun"
    host = new_ssh_host()
    names = ("address", "port", "username", "password", "key_filename", "config_filename")
    given = {
        "host": {name: getattr(host, name) for name in names},
        "begun": str(begun),
        "command": f"exec {LONG}",
    }
    script = tmp_path / "tree.py"
    script.write_text(_SCRIPT)
    with run_in_terminal(
        script,
        rows=300,
        columns=200,
        GIVEN=json.dumps(given),
        XDG_STATE_HOME=str(tmp_path),
        NO_COLOR="1",
    ) as screen:
        screen.wait_for(lambda lines: lines[-1].startswith("Root >"))
        yield screen, begun


def test_ctrl_c_in_a_parallel_run_stops_it_and_nothing_else(
    shell: tuple[Screen, Path], world: World
) -> None:
    screen, begun = shell
    at_prompt = termios.tcgetattr(screen._master)
    screen.type("settings\r")
    screen.wait_for(lambda lines: any(line.count(":") > 10 for line in lines))
    (settings,) = [line for line in screen.lines if line.count(":") > 10]
    screen.type("farm work\r")

    def count() -> int:
        here = begun.read_text().split() if begun.exists() else []
        return len(here)

    def running() -> int:
        listed = world.run(["pgrep", "-u", "deploy", "-xf", LONG], check=False)
        return len(listed.split())

    # Of 69, one is done and 64 run at once: two on the server, and 62 here.
    until(lambda: running() == 2 and count() == 62)
    screen.wait_for(lambda lines: any("1/69 done, 64 running, 4 waiting" in x for x in lines))
    screen.type("\x03")
    lines = screen.wait_for(lambda lines: "Interrupted" in lines)
    assert lines[lines.index("remote0:") :][:3] == [
        "remote0:",
        "  $ echo the result",
        "  the result",
    ]
    recap = {line.split("  ")[0]: line for line in lines}
    assert "ok" in recap["remote0"]
    assert "stopped" in recap["local[0-61],remote[1-2] (64)"]
    assert "not begun" in recap["local[62-65] (4)"]
    until(lambda: running() == 0 and _ended_here())
    screen.type("hello\r")
    screen.wait_for("hello again")
    screen.type("settings\r")
    screen.wait_for(lambda lines: sum(line == settings for line in lines) == 2)
    # Under load, what was stopped may say so only now, behind the prompt.
    until(lambda: termios.tcgetattr(screen._master) == at_prompt)
    assert count() == 62


def _ended_here() -> bool:
    pattern = f"[s]{LONG[1:]}"
    return os.system(f"pgrep -f {shlex.quote(pattern)} >/dev/null") != 0
