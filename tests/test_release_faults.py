"""Releases when something is killed or cut at every step: what is current is whole, always."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from deadly import Deadly
from deployer.contrib.nodes.release import Release
from deployer.exceptions import ActionException, LockHeld
from deployer.host import Host, LocalHost, SSHHost
from fault_proxy import fault_proxy
from ready_made import node_on
from terminals import ROOT
from world import Server, World

pytestmark = pytest.mark.faults

NewHost = Callable[..., type[SSHHost]]

# Each of them has the name of its release in it; the last one is written at the end.
FILES = ("first", "conf/b", "last")


class Site(Release):
    keep = 2
    shared = ["media/", "conf/local.py"]

    def build(self, directory: str) -> None:
        name = directory.rpartition("/")[2]
        self.host.run(f"cd {directory} && mkdir media conf && echo seed >media/a")
        self.host.run(
            f"cd {directory} && for file in {' '.join(FILES)}; do echo {name} >$file; done"
        )

    def activated(self, directory: str) -> None:
        self.host.run(f"cat {directory}/last >{self.path}/running")


def site_at(path: object, host: type[Host] = LocalHost) -> Any:
    return node_on(host, Site, path=str(path))


def read(path: Path) -> str | None:
    return path.read_text().strip() if path.exists() else None


def check_current(root: Path) -> str | None:
    """Check that the current release is whole; return its name."""
    if not (root / "current").is_symlink():
        return None
    name = (root / "current").readlink().name
    for file in FILES:
        assert (root / "current" / file).read_text() == f"{name}\n"
    assert (root / "current" / "media" / "a").read_text() == "seed\n"
    assert (root / "current" / "conf" / "local.py").read_text() == ""
    return name


def check_next(root: Path, name: str) -> None:
    """Check that whatever has happened, the next deploy works, and nothing is left of the other."""
    site = site_at(root)
    if (root / "deploy.lock").exists():
        site.lock.break_(confirmed=True)
    before = check_current(root)
    good = {release.name for release in site.releases() if release.is_good}
    site.deploy(name)
    assert check_current(root) == read(root / "running") == name
    assert sorted(path.name for path in root.iterdir() if ".lock." not in path.name) == [
        "current", "releases", "releases.log", "running", "shared"
    ]  # fmt: skip
    there = {path.name for path in (root / "releases").iterdir()}
    assert there == {release.name for release in site.releases()}
    # The newest ones, and the last that was good.
    assert name in there and len(there) <= 3
    assert before is None or before in there or before not in good
    for path in (root / "releases").iterdir():
        assert read(path / "last") == path.name
    assert not list((root / "shared").rglob("*.partial"))
    if before in good:
        site.rollback()
        assert check_current(root) == read(root / "running") == before


@pytest.fixture(scope="module")
def with_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the releases v1 and v2, to be copied."""
    root = tmp_path_factory.mktemp("two") / "site"
    for name in ("v1", "v2"):
        site_at(root).deploy(name)
    assert check_current(root) == "v2"
    return root


@pytest.fixture
def new_root(tmp_path: Path) -> Iterator[Callable[[Path | None], Path]]:
    """Return a function that makes a place for releases, like another one or with none in it."""
    made = 0

    def new_root(like: Path | None) -> Path:
        nonlocal made
        made += 1
        root = tmp_path / str(made)
        if like is not None:
            shutil.copytree(like, root, symlinks=True)
        return root

    yield new_root


#: What is called, and what may be current when it did not end.
CALLS: dict[tuple[str, ...], set[str | None]] = {
    ("deploy", "v1"): {None, "v1"},
    ("deploy", "v3"): {"v2", "v3"},
    ("rollback",): {"v2", "v1"},
    ("activate", "v1"): {"v2", "v1"},
    ("cleanup",): {"v2"},
}
CALLS_WITH_TWO = list(CALLS)[1:]


def prepare(root: Path, action: str) -> None:
    """Have something to remove."""
    if action == "cleanup":
        for name in ("v0", "v4"):
            shutil.copytree(root / "releases" / "v1", root / "releases" / name)
        (root / "releases" / ".v4.partial").touch()


# The shell on the host.


@pytest.fixture
def deadly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deadly:
    return Deadly(tmp_path / "deadly", monkeypatch)


@pytest.mark.parametrize(
    ("call", "when"),
    [
        # The same scripts again, where there is nothing yet.
        (("deploy", "v1"), "before"),
        *itertools.product(CALLS_WITH_TWO, ("before", "after")),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_shell_that_is_killed_at_any_program_leaves_a_whole_release(
    with_two: Path,
    new_root: Callable[[Path | None], Path],
    deadly: Deadly,
    call: tuple[str, ...],
    when: str,
) -> None:
    action, *arguments = call
    seen: set[str | None] = set()
    for number in itertools.count(1):
        root = new_root(None if call == ("deploy", "v1") else with_two)
        prepare(root, action)
        if not deadly.kill_at(number, when, partial(getattr(site_at(root), action), *arguments)):
            break
        seen.add(check_current(root))
        check_next(root, "v5")
    assert seen == CALLS[call]


# The process here.

# Each line is an action for a process of its own, which is forked when all is imported, and kills
# itself before one of its commands; the answer says whether it came to that.
_FORKS = """
import json, os, signal, sys
sys.path.insert(0, "tests")
from deployer.host import Host
from test_release_faults import site_at

run = Host.run
left = 0

def run_and_die(self, *arguments, **options):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return run(self, *arguments, **options)

Host.run = run_and_die
print("ready", flush=True)
for line in sys.stdin:
    root, left, action, *arguments = json.loads(line)
    pid = os.fork()
    if not pid:
        getattr(site_at(root), action)(*arguments)
        os._exit(0)
    print(json.dumps([pid, os.WIFSIGNALED(os.waitpid(pid, 0)[1])]), flush=True)
"""


@pytest.fixture(scope="module")
def kill_at() -> Iterator[Callable[..., tuple[int, bool]]]:
    """Return a function that runs an action in a process that is killed before a command."""
    with subprocess.Popen(
        [sys.executable, "-c", _FORKS],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "ready\n"

        def kill_at(root: Path, number: int, *call: str) -> tuple[int, bool]:
            process.stdin.write(json.dumps([str(root), number, *call]) + "\n")
            process.stdin.flush()
            pid, was_killed = json.loads(process.stdout.readline())
            return pid, was_killed

        yield kill_at


@pytest.mark.parametrize("call", CALLS_WITH_TWO, ids=" ".join)
def test_a_process_that_is_killed_at_any_command_leaves_a_whole_release_and_its_name(
    with_two: Path,
    new_root: Callable[[Path | None], Path],
    kill_at: Callable[..., tuple[int, bool]],
    call: tuple[str, ...],
) -> None:
    seen: set[str | None] = set()
    was_held = set()
    for number in itertools.count(1):
        root = new_root(with_two)
        prepare(root, call[0])
        pid, was_killed = kill_at(root, number, *call)
        if not was_killed:
            break
        seen.add(check_current(root))
        held = (root / "deploy.lock").exists()
        was_held.add(held)
        if held:
            with pytest.raises(ActionException, match=rf"process {pid}\).*has ended") as caught:
                site_at(root).deploy("v5")
            assert isinstance(caught.value.inner_exception, LockHeld)
        check_next(root, "v5")
    assert seen == CALLS[call]
    assert was_held == {True, False}


# The line.


@pytest.mark.parametrize("can_return", [True, False])
def test_a_line_that_is_cut_anywhere_leaves_a_whole_release(
    new_ssh_host: NewHost, sshd: Server, world: World, can_return: bool
) -> None:
    path = f"/tmp/cut-release-{can_return}"
    direct = site_at(path, new_ssh_host())
    direct.deploy("v1")
    seen = set()
    with fault_proxy(sshd.port) as proxy:
        server = Server(proxy.address, proxy.port, sshd.host_key, sshd.log)
        host = new_ssh_host(server=server, name="Cut", timeout=5)
        before = proxy.down
        site_at(path, host).deploy("v2")
        length = proxy.down - before
        for part in range(1, 8):
            host.close_connection()
            proxy.faulty_connections = proxy.connections + 1 if can_return else None
            proxy.set(drop_after_down=length * part // 8)
            name = f"w{part}"
            with suppress(ActionException):
                site_at(path, host).deploy(name)
            proxy.set(drop_after_down=None)
            current = direct.current()
            seen.add(current == name)
            assert world.run(["cat", f"{path}/current/last"]) == f"{current}\n"
            direct.lock.break_(confirmed=True)
        direct.deploy("v3")
        assert direct.current() == "v3"
        listed = world.run(["ls", "-A", f"{path}/releases"]).split()
        assert listed == sorted(release.name for release in direct.releases())
        assert world.run(["sh", "-c", f"cat {path}/releases/*/last"]).split() == listed
        host.close_connection()
    assert seen == {True, False}
