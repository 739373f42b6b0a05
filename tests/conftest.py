"""Fixtures that all tests share: a world with users and OpenSSH servers, and hosts for it."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from run import PACKAGES
from world import SHELLS, Server, World, WorldRefused, new_world

if TYPE_CHECKING:
    from deployer.host import Host, SSHHost


def in_ci() -> bool:
    """Whether this is a run of CI, where everything that tests need has to be there."""
    return bool(os.environ.get("CI"))


def need(program: str) -> str:
    """Return the path of a program; skip the test without it, and fail it in CI."""
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if path is None:
        reason = f"{program} is not installed (Debian's package {PACKAGES[program]})"
        if in_ci():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return path


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Have what runs tests again (``--reruns``) not wait 40 ms for each: see TCP_NODELAY."""
    sock = getattr(getattr(config, "failures_db", None), "sock", None)
    if sock is not None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out modules of which no test is wanted: to read all of them takes seconds."""
    if (
        collection_path.suffix != ".py"
        or "not machine and not faults" not in config.option.markexpr
    ):
        return None
    text = collection_path.read_text(encoding="utf-8")
    return bool(re.search(r"^pytestmark = pytest\.mark\.(machine|faults)$", text, re.M)) or None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a server: it says little about the interpreter, and takes long."""
    for item in items:
        if isinstance(item, pytest.Function) and _needs_world(item):
            item.add_marker(pytest.mark.machine)
    # What takes minutes is begun first, so that all workers end at about the same time.
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def _needs_world(item: pytest.Function) -> bool:
    # `host_class` asks for one only when it is about SSH.
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return "world" in item.fixturenames or parameters.get("host_class") == "ssh"


@pytest.fixture(autouse=True)
def _secrets_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget the secrets of a test at its end, and what was answered in it.

    In the texts of other tests they would be hidden.
    """
    from deployer import secret
    from deployer.host.credentials import credentials

    monkeypatch.setattr(secret, "_words", secret._words)
    yield
    credentials.clear()


@pytest.fixture(autouse=True)
def _hosts_are_near(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no sessions opened ahead where a test does not want it, however busy the machine is."""
    from deployer.host.ssh import sessions

    monkeypatch.setattr(sessions, "FAR", 60.0)


@pytest.fixture(scope="session")
def need_program() -> Callable[[str], str]:
    """Return a function that gives a program's path, or skips the test when it is not there."""
    return need


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """Give a world of its own to the session; see the module `world`."""
    for program in ("nsenter", "sshd", "sudo"):
        need(program)
    try:
        with new_world() as world:
            yield world
    except WorldRefused as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def sshd(world: World) -> Iterator[Server]:
    """Run an OpenSSH server of the world, for the whole session."""
    with world.serve() as server:
        yield server


@pytest.fixture
def new_ssh_host(
    world: World, sshd: Server, tmp_path: Path
) -> Iterator[Callable[..., type[SSHHost]]]:
    """Return a function that makes a class for a user of the world, on `sshd` or another server.

    The server's key is known; keyword arguments are more attributes of the class.
    """
    from deployer.host import SSHHost

    made: list[type[SSHHost]] = []

    def new_ssh_host(
        user: str = "deploy", server: Server = sshd, name: str = "Remote", **attributes: Any
    ) -> type[SSHHost]:
        if user in SHELLS:
            need(Path(SHELLS[user]).name)
        number = len(list(tmp_path.glob("ssh_config_*")))
        known_hosts = tmp_path / f"known_hosts_{number}"
        known_hosts.write_text(f"[{server.address}]:{server.port} {server.host_key}\n")
        config = tmp_path / f"ssh_config_{number}"
        config.write_text(
            f"Host *\n    UserKnownHostsFile {known_hosts}\n    GlobalKnownHostsFile /dev/null\n"
        )
        settings = {
            "address": server.address,
            "port": server.port,
            "username": user,
            "password": world.password,
            "key_filename": world.key_filename,
            "config_filename": str(config),
        }
        host = type(name, (SSHHost,), settings | attributes)
        made.append(host)
        return host

    yield new_ssh_host
    for host in made:
        host.close_connection()


@pytest.fixture
def ssh_host(new_ssh_host: Callable[..., type[SSHHost]]) -> type[SSHHost]:
    """Make a class for the user `deploy`, who may use sudo with a password."""
    return new_ssh_host()


@pytest.fixture(params=["root", "deploy"])
def admin_host(
    request: pytest.FixtureRequest, new_ssh_host: Callable[..., type[SSHHost]]
) -> type[SSHHost]:
    """Make a class for whoever sets machines up: root, and a user with sudo and a password."""
    return new_ssh_host(request.param)


@pytest.fixture(params=["local", "ssh"])
def host_class(request: pytest.FixtureRequest) -> type[Host]:
    """Make a class for a host: this machine, and one over SSH."""
    from deployer.host import LocalHost

    if request.param == "local":
        return type("Here", (LocalHost,), {})
    found: type[Host] = request.getfixturevalue("ssh_host")
    return found


@pytest.fixture(name="host")
def host_in_directory(host_class: type[Host]) -> Iterator[Host]:
    """A host in a new directory of its own."""
    host = host_class()
    directory = host.run("mktemp -d").strip()
    with host.cd(directory):
        yield host
    host.run(f"chmod -R u+rwx {directory}; rm -rf {directory}")
