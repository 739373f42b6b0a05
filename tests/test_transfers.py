"""Files that are put and got: how far it is, what a person sees of it, and what it takes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployer.exceptions import RemoteFileError
from deployer.host import Host
from deployer.pseudo_terminal import DummyPty
from terminals import open_terminal

pytestmark = pytest.mark.faults

HostClass = type[Host]
MB = 1024 * 1024


@pytest.fixture
def directory(host_class: HostClass) -> Iterator[str]:
    """A new directory on the host."""
    host = host_class()
    directory = host.run("mktemp -d").strip()
    yield directory
    host.run(f"rm -rf {directory}")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(3 * MB + 5))
    return source


@pytest.mark.parametrize("use_sudo", [False, True])
def test_progress_is_told(
    host_class: HostClass, directory: str, source: Path, use_sudo: bool
) -> None:
    host = host_class()
    put: list[tuple[int, int]] = []
    got: list[tuple[int, int]] = []
    host.put_file(str(source), f"{directory}/file", use_sudo, lambda *now: put.append(now))
    back = source.with_name("back")
    host.get_file(f"{directory}/file", str(back), use_sudo, lambda *now: got.append(now))
    assert back.read_bytes() == source.read_bytes()
    for seen in (put, got):
        assert seen[0] == (0, 3 * MB + 5) and seen[-1] == (3 * MB + 5, 3 * MB + 5)
        assert len(seen) > 5 and seen == sorted(seen)


def test_a_sandbox_writes_on_neither_side(
    host_class: HostClass, directory: str, source: Path
) -> None:
    host = host_class()
    there = f"{directory}/file"
    with host.open(there, "w") as file:
        file.write("old")
    before = source.read_bytes()
    sandbox = host_class(is_sandbox=True)
    sandbox.put_file(str(source), there)
    sandbox.get_file(there, str(source))
    assert source.read_bytes() == before
    with host.open(there) as file:
        assert file.read() == "old"


def test_progress_of_an_empty_file_is_told(
    host_class: HostClass, directory: str, tmp_path: Path
) -> None:
    (tmp_path / "empty").touch()
    seen: list[tuple[int, int]] = []
    host_class().put_file(
        str(tmp_path / "empty"), f"{directory}/file", progress=lambda *now: seen.append(now)
    )
    assert seen == [(0, 0)]


def test_what_progress_raises_ends_the_transfer(
    host_class: HostClass, directory: str, source: Path
) -> None:
    def fail(done: int, total: int) -> None:
        if done > MB:
            raise ZeroDivisionError

    host = host_class()
    with pytest.raises(ZeroDivisionError):
        host.put_file(str(source), f"{directory}/file", progress=fail)
    assert host.listdir(directory) == []


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that sets after how many seconds a bar is shown."""
    from deployer.host import transfers

    return lambda seconds: monkeypatch.setattr(transfers, "_SECONDS_UNTIL_SHOWN", seconds)


def test_a_person_sees_a_bar_that_goes_away(
    host_class: HostClass, directory: str, source: Path, slow: Callable[[float], None]
) -> None:
    slow(0.0)
    with open_terminal() as terminal:
        host = host_class(terminal.pty)
        host.put_file(str(source), f"{directory}/file")
        terminal.pty.write("END")
        seen = terminal.read_until("END")
    assert f"{host.slug}: file (KB): [" in seen
    assert seen.endswith("\r\x1b[KEND")


def test_a_bar_says_that_a_transfer_has_failed(
    host_class: HostClass, directory: str, tmp_path: Path, slow: Callable[[float], None]
) -> None:
    slow(0.0)
    with open(tmp_path / "large", "wb") as file:
        file.truncate(2**40)
    raised: list[BaseException] = []

    def put(host: Host) -> None:
        try:
            host.put_file(str(tmp_path / "large"), f"{directory}/file")
        except BaseException as error:
            raised.append(error)

    with open_terminal() as terminal:
        thread = threading.Thread(target=put, args=(host_class(terminal.pty),))
        thread.start()
        terminal.read_until("(KB): [")
        terminal.pty.interrupted.set()
        thread.join()
        terminal.pty.write("END")
        assert "failed in" in terminal.read_until("END")
    assert [type(error) for error in raised] == [KeyboardInterrupt]


def test_a_short_transfer_shows_nothing(
    host_class: HostClass, directory: str, source: Path, slow: Callable[[float], None]
) -> None:
    slow(60.0)
    with open_terminal() as terminal:
        host_class(terminal.pty).put_file(str(source), f"{directory}/file")
        terminal.pty.write("END")
        assert terminal.read_until("END") == "END"


def test_away_from_a_terminal_nothing_is_shown(
    host_class: HostClass, directory: str, source: Path, slow: Callable[[float], None]
) -> None:
    slow(0.0)
    pty = DummyPty()
    host_class(pty).put_file(str(source), f"{directory}/file")
    assert pty.get_output() == ""


def memory() -> int:
    """Return how many bytes of memory this process takes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def copy_back_and_forth(host: Host, directory: str, source: Path, use_sudo: bool) -> int:
    """Return how many more bytes of memory that takes."""
    before = memory()
    most = before

    def look(done: int, total: int) -> None:
        nonlocal most
        most = max(most, memory())

    host.put_file(str(source), f"{directory}/file", use_sudo, look)
    assert host.run(f"stat -c %s {directory}/file") == f"{source.stat().st_size}\n"
    back = source.with_name("back")
    host.get_file(f"{directory}/file", str(back), use_sudo, look)
    assert back.stat().st_size == source.stat().st_size
    back.unlink()
    return most - before


@pytest.mark.parametrize(
    ("use_sudo", "size"),
    [(False, 80), (True, 80), pytest.param(True, 2048, marks=pytest.mark.slow)],
)
def test_a_large_file_takes_no_memory(
    ssh_host: HostClass, tmp_path: Path, use_sudo: bool, size: int
) -> None:
    host = ssh_host()
    directory = host.run("mktemp -d").strip()
    with open(tmp_path / "large", "wb") as file:
        file.truncate(size * MB)
    assert copy_back_and_forth(host, directory, tmp_path / "large", use_sudo) < 40 * MB
    host.sudo(f"rm -rf {directory}")


@pytest.mark.parametrize(("count", "use_sudo"), [(1000, False), (200, True)])
def test_many_small_files(ssh_host: HostClass, tmp_path: Path, count: int, use_sudo: bool) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(count):
        (source / f"file{number}").write_bytes(b"%d " % number * 200)
    host = ssh_host()
    target = f"{host.run('mktemp -d').strip()}/target"
    assert len(host.put_dir(str(source), target, use_sudo).copied) == count + 1
    assert len(host.get_dir(target, str(tmp_path / "back"), use_sudo).copied) == count + 1
    for path in source.iterdir():
        assert (tmp_path / "back" / path.name).read_bytes() == path.read_bytes()
    host.sudo(f"rm -rf {target}")


def test_a_program_that_ends_while_it_is_read_is_an_error(
    ssh_host: HostClass, tmp_path: Path
) -> None:
    host = ssh_host()
    path = host.run("mktemp").strip()
    host.run(f"truncate -s 300M {path}")

    def end(done: int, total: int) -> None:
        if done == 0:
            return
        type(host)().sudo("pkill -KILL -x cat || true")

    with pytest.raises(RemoteFileError, match=r"Remote: cannot copy to .*: .*KILL"):
        host.get_file(path, str(tmp_path / "back"), use_sudo=True, progress=end)
    assert not (tmp_path / "back").exists()
    assert [name for name in os.listdir(tmp_path) if "deployer" in name] == []
