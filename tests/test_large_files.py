"""Large files, which go through ``cat`` on the host where they can; and where they cannot."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployer.exceptions import ConnectionLost, RemoteFileError
from deployer.host import Host, SSHHost
from deployer.host.ssh import sftp, whole_files
from fault_proxy import fault_proxy
from waiting import until
from world import Server, World

NewHost = Callable[..., type[SSHHost]]

#: What is large in these tests, in bytes.
LARGE = 100_000
ODD = "-a 'b'\n\"$x\" \udcff é"


@pytest.fixture(autouse=True)
def _what_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sftp, "CAT_FROM", LARGE)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ways that went through ``cat``."""
    ways: list[str] = []

    def note(name: str) -> None:
        function = getattr(whole_files, name)

        def noted(*arguments: object) -> object:
            found = function(*arguments)
            if found is not None:
                ways.append(name)
            return found

        monkeypatch.setattr(sftp, name, noted)

    note("open_reader")
    note("open_writer")
    return ways


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A large file of this machine."""
    path = tmp_path / "here"
    path.write_bytes(os.urandom(100 * LARGE + 7))
    path.chmod(0o640)
    return path


@pytest.fixture
def host(ssh_host: type[SSHHost]) -> Iterator[Host]:
    yield from in_directory(ssh_host())


def in_directory(host: Host) -> Iterator[Host]:
    directory = host.run("mktemp -d").strip()
    with host.cd(directory):
        yield host
    host.run(f"rm -rf {directory}")


def check(host: Host, here: Path, name: str = "there") -> None:
    """Put a file to a host, over another one, and get it back."""
    with host.open(name, "w") as file:
        file.write("old")
    host.run(f"chmod 600 {name}" if name == "there" else "true")
    host.put_file(str(here), name)
    back = here.with_name("back")
    host.get_file(name, str(back))
    assert back.read_bytes() == here.read_bytes()
    assert host.listdir() == [name]


def test_a_large_file_goes_there_and_comes_back(host: Host, here: Path, opened: list[str]) -> None:
    check(host, here)
    assert host.stat("there").permissions == 0o600
    assert opened == ["open_writer", "open_reader"]


def test_an_odd_name_is_a_name_like_another(host: Host, here: Path, opened: list[str]) -> None:
    check(host, here, ODD)
    assert opened == ["open_writer", "open_reader"]


@pytest.mark.parametrize("user", ["fisher", "tcsher", "zsher", "dasher"])
def test_whatever_the_login_shell_is(
    new_ssh_host: NewHost, here: Path, opened: list[str], user: str
) -> None:
    for host in in_directory(new_ssh_host(user, shell="/bin/sh")()):
        check(host, here)
    assert opened == ["open_writer", "open_reader"]


def test_in_a_directory_large_files_go_the_same_way(
    host: Host, here: Path, tmp_path: Path, opened: list[str]
) -> None:
    directory = tmp_path / "directory"
    directory.mkdir()
    here.rename(directory / "large")
    host.put_dir(str(directory), "there")
    host.get_dir("there", str(tmp_path / "back"))
    assert (tmp_path / "back/large").read_bytes() == (directory / "large").read_bytes()
    assert not host.put_dir(str(directory), "there").changed
    assert opened == ["open_writer", "open_reader"]


def test_what_a_caller_writes_in_pieces_stays_in_order(host: Host, opened: list[str]) -> None:
    with host.open("there", "wb") as file:
        for number in range(3000):
            file.write(b"%09d\n" % (10 * number) * 10)
    numbers = host.run("cat there").split()
    assert numbers == [f"{10 * number:09}" for number in range(3000) for _ in range(10)]
    assert opened == ["open_writer"]


@pytest.mark.parametrize("option", ["ForceCommand internal-sftp", "MaxSessions 1"])
def test_where_there_is_nothing_but_sftp_it_does_it_all(
    world: World,
    new_ssh_host: NewHost,
    here: Path,
    opened: list[str],
    option: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(whole_files, "_BEGIN", 1.0)
    with world.serve(option, "Subsystem sftp internal-sftp") as server:
        host = new_ssh_host(port=server.port, reject_unknown_hosts=False)
        host().put_file(str(here), "large-over-sftp")
        host().get_file("large-over-sftp", str(tmp_path / "back"))
        assert (tmp_path / "back").read_bytes() == here.read_bytes()
        host.close_connection()
    world.run(["rm", f"{world.home('deploy')}/large-over-sftp"])
    assert opened == []


def test_a_cat_that_is_killed_leaves_the_old_file(host: Host, world: World, here: Path) -> None:
    with host.open("there", "w") as file:
        file.write("old")

    def kill(done: int, total: int) -> None:
        if done > 10 * LARGE:
            # It says that it begins a moment before it is called so.
            cats = ["-u", "deploy", "-x", "cat"]
            until(lambda: world.run(["pkill", "-c", *cats], check=False) > "0")
            # What was killed first may have been what another test has left.
            until(lambda: world.run(["pkill", "-c", *cats], check=False) == "0\n")

    with pytest.raises(RemoteFileError, match=r"there: .*SIGTERM"):
        host.put_file(str(here), "there", progress=kill)
    assert host.run("cat there") == "old"
    assert host.listdir() == ["there"]
    host.put_file(str(here), "there")
    with pytest.raises(RemoteFileError, match="there: the command for it was ended by SIGTERM"):
        host.get_file("there", str(here.with_name("back")), progress=kill)
    assert not here.with_name("back").exists()


def test_what_cannot_be_read_is_the_same_error(host: Host, here: Path) -> None:
    host.put_file(str(here), "there")
    host.run("chmod 0 there")
    with pytest.raises(RemoteFileError, match="there") as caught:
        host.get_file("there", str(here.with_name("back")))
    assert caught.value.errno == errno.EACCES


def test_an_interrupt_ends_it_and_leaves_the_old_file(host: Host, here: Path) -> None:
    with host.open("there", "w") as file:
        file.write("old")

    def interrupt(done: int, total: int) -> None:
        if done > 10 * LARGE:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        host.put_file(str(here), "there", progress=interrupt)
    assert host.listdir() == ["there"]
    assert host.run("cat there") == "old"
    host.put_file(str(here), "there")
    with pytest.raises(KeyboardInterrupt):
        host.get_file("there", str(here.with_name("back")), progress=interrupt)
    assert not list(here.parent.glob("*back*"))


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_connection_that_is_cut_leaves_the_old_file(
    sshd: Server, new_ssh_host: NewHost, here: Path, way: str
) -> None:
    with fault_proxy(sshd.port) as proxy:
        host = new_ssh_host(address=proxy.address, port=proxy.port, reject_unknown_hosts=False)()
        for _ in in_directory(host):
            with host.open("there", "w") as file:
                file.write("old")
            back = here.with_name("back")
            if way == "up":
                proxy.set(drop_after_up=proxy.up + 20 * LARGE)
                with pytest.raises(ConnectionLost, match="there"):
                    host.put_file(str(here), "there")
                proxy.set(drop_after_up=None)
                assert host.run("cat there") == "old"
            else:
                host.put_file(str(here), "there")
                proxy.set(drop_after_down=proxy.down + 20 * LARGE)
                with pytest.raises(ConnectionLost, match="there"):
                    host.get_file("there", str(back))
                proxy.set(drop_after_down=None)
                assert not back.exists()
            host.put_file(str(here), "there")
            host.get_file("there", str(back))
            assert back.read_bytes() == here.read_bytes()
            assert host.listdir() == ["there"]


def test_many_threads_copy_large_files(host: Host, here: Path) -> None:
    """More of them than the server allows sessions."""
    errors: list[BaseException] = []

    def work(number: int) -> None:
        own = host.copy()
        try:
            own.put_file(str(here), f"there{number}")
            back = here.with_name(f"back{number}")
            own.get_file(f"there{number}", str(back))
            assert back.read_bytes() == here.read_bytes()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(host.listdir()) == 12
