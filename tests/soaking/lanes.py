"""The hosts of a soak run: this machine and users of a world, calm or behind a faulty line."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from canary import Canary
from deployer.host import Host, LocalHost, SSHHost
from world import SHELLS, Server, World

from .proxies import Proxies, run_proxies

__all__ = ["Lane", "Lanes", "new_lanes"]

_SERVERS = {
    "plain": (),
    "two sessions": ("MaxSessions 2",),
    "rekeying": ("RekeyLimit 64K",),
    "few startups": ("MaxStartups 3:50:10",),
}
# Which users have hosts on the servers where nothing goes wrong, and where everything may.
_CALM = {
    "plain": ("deploy", "nopass", "nosudo", "zsher", "fisher", "tcsher"),
    "two sessions": ("deploy", "nopass"),
    "rekeying": ("deploy",),
}
_STORMY = {
    "plain": ("deploy", "deploy", "nopass", "zsher", "tcsher"),
    "two sessions": ("deploy", "nopass"),
    "rekeying": ("deploy", "nopass"),
    "few startups": ("deploy", "nopass", "nopass"),
}
# Names of the files that several threads write at once.
SHARED = ("shared-a", "shared-b")


@dataclass
class Lane:
    """A host, where its files are, and what is known of it."""

    host: type[Host]
    #: Who logs in there.
    user: str
    #: Where its files are, as an absolute path on the host.
    directory: str
    #: How sudo answers: "password", "nopass", "refuses" (the user), "wrong" (the password), "none".
    sudo: str = "none"
    #: Where things go wrong: the server and the number of its proxy.
    server: Server | None = None
    proxy: int | None = None
    #: By name of a file, the digests of what it may hold.
    contents: dict[str, set[bytes]] = field(default_factory=dict)
    #: By name of a file, the digests of writes that failed, and may still come true.
    doubtful: dict[str, deque[bytes]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_stormy(self) -> bool:
        return self.proxy is not None

    @property
    def kind(self) -> str:
        """What its commands are counted as."""
        if issubclass(self.host, LocalHost):
            return "local"
        return "ssh, stormy" if self.is_stormy else "ssh, calm"

    @property
    def counter(self) -> str:
        """The file that every command appends its number to."""
        return f"{self.directory}/counter"


@dataclass
class Lanes:
    """All hosts of a run."""

    local: list[Lane]
    ssh: list[Lane]
    proxies: Proxies

    def close(self) -> None:
        """Close all connections."""
        for lane in self.ssh:
            assert issubclass(lane.host, SSHHost)
            lane.host.close_connection()


@contextlib.contextmanager
def new_lanes(world: World, canary: Canary, directory: Path) -> Iterator[Lanes]:
    """Start the servers and proxies, and make the hosts."""
    canary.set_password(world, "deploy", "nopass", "nosudo")
    installed = set(world.run(["ls", "/home"]).split())
    with contextlib.ExitStack() as stack:
        calm = {name: stack.enter_context(world.serve(*_SERVERS[name])) for name in _CALM}
        stormy = {name: stack.enter_context(world.serve(*_SERVERS[name])) for name in _STORMY}
        lines = [(name, user) for name, users in _STORMY.items() for user in users]
        lines = [(name, user) for name, user in lines if user in installed]
        proxies = stack.enter_context(run_proxies([stormy[name].port for name, _ in lines]))
        made = _Maker(world, canary, directory)
        ssh = [
            made.ssh_lane(user, calm[name])
            for name, users in _CALM.items()
            for user in users
            if user in installed
        ]
        ssh.append(made.ssh_lane("deploy", calm["plain"], wrong=True))
        ssh.append(made.ssh_lane("deploy", calm["plain"], key_filename=None))
        for number, (name, user) in enumerate(lines):
            ssh.append(made.ssh_lane(user, stormy[name], proxies, number))
        local = [made.local_lane(number) for number in range(4)]
        lanes = Lanes(local, ssh, proxies)
        try:
            yield lanes
        finally:
            lanes.close()


class _Maker:
    def __init__(self, world: World, canary: Canary, directory: Path) -> None:
        self._world = world
        self._canary = canary
        self._directory = directory
        self._known = directory / "known_hosts"
        self._known.touch()
        self._config = directory / "ssh_config"
        self._config.write_text(
            f"Host *\n    UserKnownHostsFile {self._known}\n    GlobalKnownHostsFile /dev/null\n"
        )
        self._number = 0

    def local_lane(self, number: int) -> Lane:
        directory = self._directory / f"local-{number}"
        directory.mkdir()
        (directory / "counter").touch()
        return Lane(type(f"Local{number}", (LocalHost,), {}), "", str(directory))

    def ssh_lane(
        self,
        user: str,
        server: Server,
        proxies: Proxies | None = None,
        number: int = 0,
        wrong: bool = False,
        **attributes: Any,
    ) -> Lane:
        self._number += 1
        directory = f"{self._world.home(user)}/lane-{self._number}"
        # Root's commands append to the counter as well, and it stays the user's.
        self._world.run(["sh", "-c", 'mkdir "$0" && touch "$0/counter"', directory], user=user)
        port = server.port if proxies is None else proxies.ports[number]
        with self._known.open("a") as known:
            known.write(f"[{server.address}]:{port} {server.host_key}\n")
        settings: dict[str, Any] = {
            "address": server.address,
            "port": port,
            "username": user,
            "password": f"wrong {self._canary.password}" if wrong else self._canary.password,
            "key_filename": self._world.key_filename,
            "config_filename": str(self._config),
            "timeout": 10,
        }
        if proxies is not None:
            settings |= {"keepalive_interval": 1, "timeout": 4}
        if not SHELLS[user].endswith(("bash", "zsh")):
            settings["shell"] = "/bin/sh"
        kinds = {"deploy": "password", "nopass": "nopass", "nosudo": "refuses"}
        return Lane(
            type(f"Lane{self._number}", (SSHHost,), settings | attributes),
            user,
            directory,
            "wrong" if wrong else kinds.get(user, "none"),
            server,
            None if proxies is None else number,
        )
