"""Faults while files are written and read: cut connections, killed processes, full disks, races.

Whatever happens, a file is the old one or the new one, and what is left over beside it goes with
the next write.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployer.exceptions import ConnectionFailedException, ConnectionLost, RemoteFileError
from deployer.host import Host, LocalHost, SSHHost
from fault_proxy import fault_proxy
from world import Server, World

pytestmark = pytest.mark.faults

HostClass = type[Host]
NewHost = Callable[..., type[SSHHost]]


@pytest.fixture
def host(host_class: HostClass) -> Iterator[Host]:
    """A host in a new directory of its own, with a file in it."""
    host = host_class()
    directory = host.run("mktemp -d").strip()
    with host.cd(directory):
        host.run("printf old >file; chmod 640 file")
        yield host
    host.run(f"chmod -R u+rwx {directory}; rm -rf {directory}")


@pytest.fixture
def sudoer(ssh_host: HostClass) -> Iterator[Host]:
    host = ssh_host()
    host.sudo("mkdir -m 755 /var/faults; printf old >/var/faults/file")
    with host.cd("/var/faults"):
        yield host
    host.sudo("umount /var/faults/full 2>/dev/null; rm -rf /var/faults")


def write(host: Host, text: str, path: str = "file", use_sudo: bool = False) -> None:
    with host.open(path, "w", use_sudo) as file:
        file.write(text)


def names(host: Host) -> list[str]:
    return host.run("ls -A").split()


# The connection.


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("use_sudo", [False, True])
def test_a_connection_that_is_cut_leaves_the_old_file_or_the_new(
    new_ssh_host: NewHost, sshd: Server, direction: str, use_sudo: bool
) -> None:
    straight = new_ssh_host("nopass")()
    directory = straight.run("mktemp -d").strip()
    said = []
    with straight.cd(directory):
        write(straight, "old", use_sudo=use_sudo)
        after, step = 0, {"up": 800, "down": 60}[direction]
        while True:
            with fault_proxy(sshd.port) as proxy:
                through = replace(sshd, port=proxy.port)
                faulty = new_ssh_host("nopass", through)()
                with faulty.cd(directory):
                    faulty.exists("file")
                    proxy.set(**{f"drop_after_{direction}": getattr(proxy, direction) + after})
                    new = f"new {after} " * 300
                    try:
                        write(faulty, new, use_sudo=use_sudo)
                        outcome = "done"
                    except ConnectionFailedException as error:
                        outcome = str(error)
                faulty.close_connection()
            # What was started as root goes on to its end.
            straight.run("while pgrep -f 'root[.]deployer-tmp' >/dev/null; do sleep 0.05; done")
            content = straight.run("cat file")
            assert content == new or (content == "old" and outcome != "done"), outcome
            if content == new and outcome != "done":
                assert "whether" in outcome and "is unknown" in outcome
            said.append(outcome)
            write(straight, "old", use_sudo=use_sudo)
            assert names(straight) == ["file"]
            if outcome == "done":
                break
            after += step
    assert len(said) > 4
    if (direction, use_sudo) == ("down", False):
        assert "old file or the new one is unknown, but it is whole" in "".join(said)


def test_a_directory_that_was_cut_off_is_finished_by_the_next_run(
    new_ssh_host: NewHost, sshd: Server, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(20):
        (source / f"file{number}").write_bytes(os.urandom(300_000))
    target = new_ssh_host()().run("mktemp -d").strip()
    with fault_proxy(sshd.port, drop_after_up=3_000_000) as proxy:
        proxy.faulty_connections = 1
        host = new_ssh_host(server=replace(sshd, port=proxy.port))()
        with pytest.raises(ConnectionLost, match=r"Remote: cannot write .*/file\d+: the connecti"):
            host.put_dir(str(source), target)
        done = host.put_dir(str(source), target)
        assert 0 < len(done.copied) < 20 and done.unchanged == 20 - len(done.copied)
        assert len(host.run(f"ls -A {target}").split()) == 20
        host.close_connection()


# This process, and others.

_WRITER = """\
import sys, time
from deployer.host import {base} as Base
host = type("Child", (Base,), {attributes!r})()
file = host.open({path!r}, "wb")
file.write(b"new" * 1_000_000)
print("writing", flush=True)
# It is killed; and ends by itself where a test fails before.
time.sleep(60)
"""


def writer(host: Host, path: str) -> subprocess.Popen[str]:
    """Return a process that is writing a file."""
    kind = type(host)
    wanted = ("address", "port", "username", "password", "key_filename", "config_filename")
    base = "SSHHost" if isinstance(host, SSHHost) else "LocalHost"
    attributes = {name: getattr(kind, name) for name in wanted if base == "SSHHost"}
    script = _WRITER.format(base=base, attributes=attributes, path=path)
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "writing\n"
    return child


def test_what_a_killed_process_left_goes_with_the_next_write(host: Host) -> None:
    child = writer(host, f"{host.getcwd()}/file")
    try:
        assert ".file.deployer-tmp" in names(host)
        write(host, "mine")
        assert len(host.run("ls -A .file.deployer-tmp").split()) == 1
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    assert names(host) == [".file.deployer-tmp", "file"]
    assert host.run("cat file") == "mine"
    write(host, "new")
    assert names(host) == ["file"]
    assert host.run("cat file; stat -c %a file") == "new640\n"


def test_two_writers_of_one_file_do_not_disturb_each_other(host: Host) -> None:
    first = host.open("file", "w")
    first.write("first" * 100_000)
    write(host, "second")
    assert host.run("cat file") == "second"
    first.close()
    assert len(host.run("cat file")) == 500_000
    assert names(host) == ["file"]


def test_many_threads_write_one_file(host: Host) -> None:
    errors: list[BaseException] = []
    directory = host.getcwd()

    def work(letter: str) -> None:
        try:
            mine = type(host)()
            with mine.cd(directory):
                for _ in range(10):
                    write(mine, letter * 100_000)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    content = host.run("cat file")
    assert len(content) == 100_000 and len(set(content)) == 1
    assert names(host) == ["file"]


def test_what_another_machine_writes_is_left_alone_for_a_day(host: Host) -> None:
    host.run(
        "mkdir -m 700 .file.deployer-tmp; cd .file.deployer-tmp; touch 0af1-1-1-fresh 0af1-1-1-old;"
        "touch -d '25 hours ago' 0af1-1-1-old"
    )
    write(host, "new")
    assert host.run("cat file; ls -A .file.deployer-tmp") == "new0af1-1-1-fresh\n"


def test_an_interrupt_leaves_the_old_file(host: Host, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), host.open("file", "w") as file:
        file.write("new" * 1_000_000)
        raise KeyboardInterrupt
    (tmp_path / "source").write_bytes(b"x" * 5_000_000)

    def interrupt(done: int, total: int) -> None:
        if done:
            host.pty.interrupted.set()

    with pytest.raises(KeyboardInterrupt):
        host.put_file(str(tmp_path / "source"), "file", progress=interrupt)
    with pytest.raises(KeyboardInterrupt):
        host.put_dir(str(tmp_path), "dir", progress=interrupt)
    host.pty.interrupted.clear()
    assert host.run("cat file") == "old"
    assert host.run("find . -name '*.deployer-tmp'") == ""


def test_a_place_that_somebody_else_prepared_is_not_written_to(
    ssh_host: HostClass, new_ssh_host: NewHost
) -> None:
    host, other = ssh_host(), new_ssh_host("nopass")()
    directory = host.run("mktemp -d").strip()
    host.run(f"chmod 1777 {directory}")
    with host.cd(directory), other.cd(directory):
        other.run("mkdir -m 777 .file.deployer-tmp; touch .file.deployer-tmp/theirs; mkdir mine")
        other.run("ln -s mine .link.deployer-tmp; chmod 777 mine; mkdir -m 700 .own.deployer-tmp")
        other.run("touch .plain.deployer-tmp")
        for name in ("file", "link", "own", "plain"):
            with host.open(name, "w") as file:
                file.write("text")
                assert host.run("ls mine .file.deployer-tmp") == (
                    ".file.deployer-tmp:\ntheirs\n\nmine:\n"
                )
        hidden = [f".{name}.deployer-tmp" for name in ("file", "link", "own", "plain")]
        assert names(host) == [*hidden, "file", "link", "mine", "own", "plain"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_root_does_not_write_where_somebody_else_could_change_it(tmp_path: Path) -> None:
    theirs = tmp_path / ".file.deployer-tmp"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, 12345, 12345)
    with LocalHost().open(str(tmp_path / "file"), "w") as file:
        file.write("text")
        assert list(theirs.iterdir()) == []
    assert (tmp_path / "file").read_text() == "text"
    assert sorted(os.listdir(tmp_path)) == [".file.deployer-tmp", "file"]


# As root.


def test_what_a_killed_writer_of_roots_left_goes_with_the_next_write(sudoer: Host) -> None:
    dead = sudoer.run("sh -c 'echo $$'").strip()
    sudoer.sudo(
        "umask 077; mkdir .file.root.deployer-tmp; cd .file.root.deployer-tmp;"
        f"touch $(uname -n):{dead} $(uname -n):1 elsewhere:{dead} elsewhere:old;"
        "touch -d '3 days ago' elsewhere:old"
    )
    write(sudoer, "new", use_sudo=True)
    left = sudoer.sudo("cat file; ls -A .file.root.deployer-tmp").splitlines()
    machine = sudoer.run("uname -n").strip()
    assert sorted(left) == sorted([f"new{machine}:1", f"elsewhere:{dead}"]) or sorted(left) == (
        sorted([f"newelsewhere:{dead}", f"{machine}:1"])
    )


def test_what_is_left_in_the_private_directory_goes_with_the_next_write(sudoer: Host) -> None:
    with contextlib.suppress(RemoteFileError), sudoer.open("file", "w", use_sudo=True) as file:
        file.write("x" * 1_000_000)
        assert sudoer.run("stat -c %a /tmp/deployer-*") == "700\n"
        # Nothing can be removed over this connection any more.
        file.flush()
        type(sudoer).close_connection()
        with pytest.raises(ConnectionLost):
            file.write("x" * 1_000_000)
        raise RemoteFileError("given up")
    assert sudoer.run("ls -d /tmp/deployer-*") == "/tmp/deployer-deploy.deployer-tmp\n"
    write(sudoer, "new", use_sudo=True)
    assert sudoer.run("cat file; ls -d /tmp/deployer-* || true") == "new"


def test_nobody_else_can_read_what_root_writes(sudoer: Host, world: World, tmp_path: Path) -> None:
    sudoer.sudo("chmod 600 file; rm -f /tmp/watched /tmp/stop")
    watch = (
        "touch /tmp/watching; while ! [ -e /tmp/stop ]; do"
        " cat /tmp/deployer-*/* /var/faults/.*/* /var/faults/.[!.]* /var/faults/f* 2>/dev/null;"
        " done"
    )
    (tmp_path / "secret").write_text("canary" * 1_000_000)
    (tmp_path / "secret").chmod(0o600)
    with open(tmp_path / "seen", "wb") as seen:
        watcher = subprocess.Popen(world.command(["sh", "-c", watch], "nosudo"), stdout=seen)
        try:
            deadline = time.monotonic() + 10
            while not sudoer.exists("/tmp/watching") and time.monotonic() < deadline:
                pass
            for number in range(5):
                sudoer.put_file(str(tmp_path / "secret"), f"file{number}", use_sudo=True)
                write(sudoer, "canary" * 200_000, use_sudo=True)
        finally:
            world.run(["touch", "/tmp/stop"])
            watcher.wait(20)
            world.run(["rm", "-f", "/tmp/stop", "/tmp/watching"])
    assert b"canary" not in (tmp_path / "seen").read_bytes()
    assert sudoer.sudo("stat -c %a file") == "600\n"


# Full disks.


@pytest.fixture
def full(sudoer: Host, world: World) -> Iterator[Host]:
    """A host in a directory of 1 MB, with a file in it."""
    world.run(["mkdir", "/var/faults/full"])
    options = "size=1m,uid=" + world.run(["id", "-u", "deploy"]).strip()
    world.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", "/var/faults/full"])
    with sudoer.cd("full"):
        sudoer.run("printf old >file")
        yield sudoer


@pytest.mark.parametrize("use_sudo", [False, True])
@pytest.mark.parametrize("method", ["open", "put_file", "put_dir", "append"])
def test_a_full_disk_is_an_error_and_leaves_the_old_file(
    full: Host, tmp_path: Path, method: str, use_sudo: bool
) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "file").write_bytes(b"x" * 3_000_000)
    (tmp_path / "dir" / "a").write_bytes(b"small")
    with pytest.raises(RemoteFileError, match=r"Remote: .*file.*: .*No space left on") as caught:
        if method == "open":
            write(full, "x" * 3_000_000, use_sudo=use_sudo)
        elif method == "append":
            with full.open("file", "a+", use_sudo) as file:
                file.write("x" * 3_000_000)
        elif method == "put_file":
            full.put_file(str(tmp_path / "dir" / "file"), "file", use_sudo=use_sudo)
        else:
            full.put_dir(str(tmp_path / "dir"), ".", use_sudo=use_sudo)
    assert caught.value.errno == errno.ENOSPC
    assert full.run("cat file") == "old"
    assert names(full) == (["a", "file"] if method == "put_dir" else ["file"])
    assert full.run("ls -d /tmp/deployer-* || true") == ""
    write(full, "new", use_sudo=use_sudo)
    assert full.run("cat file") == "new"


@pytest.mark.parametrize("use_sudo", [False, True])
def test_a_full_disk_is_an_error_among_many_small_files(
    full: Host, tmp_path: Path, use_sudo: bool
) -> None:
    source = tmp_path / "many"
    source.mkdir()
    for number in range(200):
        (source / f"file{number:03}").write_bytes(b"x" * 10_000)
    with pytest.raises(
        RemoteFileError, match=r"Remote: cannot write .*/many/file\d+: No space left on"
    ) as caught:
        full.put_dir(str(source), "many", use_sudo=use_sudo)
    assert caught.value.errno == errno.ENOSPC
    there = full.run("cd many; ls -A; stat -c %s * | sort -u").split()
    assert 50 < len(there) < 110 and there[-1] == "10000" and ".deployer-tmp" not in there
    full.run("rm file")
    for number in range(70, 200):
        (source / f"file{number:03}").write_bytes(b"")
    full.put_dir(str(source), "many", use_sudo=use_sudo)
    assert len(full.run("ls -A many").split()) == 200


_LOCAL = """\
import errno, os, sys
from deployer.host import LocalHost
from deployer.exceptions import RemoteFileError
host = LocalHost()
for use_sudo in (False, True):
    with host.cd("/var/faults/full"):
        try:
            with host.open("file", "w", use_sudo) as file:
                file.write("x" * 3_000_000)
        except RemoteFileError as error:
            assert error.errno == errno.ENOSPC, error
        else:
            raise AssertionError("no error")
        assert sorted(os.listdir("/var/faults/full")) == ["file"]
        assert open("/var/faults/full/file").read() == "old"
print("ok")
"""


def test_a_full_disk_of_this_machine_is_an_error(full: Host, world: World) -> None:
    path = f"PYTHONPATH={Path(__file__).parent.parent}"
    assert world.run(["env", path, sys.executable, "-c", _LOCAL]) == "ok\n"


def test_a_limit_that_is_reached_is_no_full_disk(new_ssh_host: NewHost, world: World) -> None:
    # As with a quota: the server says "Failure", and the disk has room.
    script = "#!/bin/sh\ntrap '' XFSZ\nulimit -f 1000\nexec /usr/lib/openssh/sftp-server\n"
    world.run(
        ["sh", "-c", "cat >/usr/local/bin/limited; chmod 755 /usr/local/bin/limited"], input=script
    )
    with world.serve("Subsystem sftp /usr/local/bin/limited") as server:
        host = new_ssh_host(server=server)()
        with pytest.raises(
            RemoteFileError, match=r"Failure, .* a quota: \d{7,} bytes are free in /tmp"
        ):
            write(host, "x" * 3_000_000, "/tmp/limited-file")
        assert not host.exists("/tmp/limited-file")
        host.close_connection()


# What is no file.


@pytest.mark.parametrize(
    ("mode", "use_sudo"),
    [*((mode, False) for mode in ("r", "w", "a", "r+", "w+", "a+", "x")), ("r", True), ("w", True)],
)
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("dir", "Is a directory|File exists"),
        ("fifo", "not a regular file|File exists"),
        ("/dev/null", "not a regular file|File exists"),
        ("missing/file", "No such file"),
    ],
)
def test_what_is_no_file_is_refused_at_once(
    ssh_host: HostClass, path: str, reason: str, mode: str, use_sudo: bool
) -> None:
    host = ssh_host()
    directory = host.run("mktemp -d").strip()
    with host.cd(directory):
        host.run("mkdir dir; mkfifo fifo; ln -s fifo link")
        with (
            pytest.raises(RemoteFileError, match=rf"Remote: cannot .* {path}: .*({reason})"),
            host.open(path, mode, use_sudo) as file,
        ):
            file.read() if mode == "r" else file.write("text")
        assert names(host) == ["dir", "fifo", "link"]


def test_what_is_no_file_is_not_put_or_got(host: Host, tmp_path: Path) -> None:
    host.run("mkfifo fifo")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(RemoteFileError, match=r"this machine: cannot read .*/fifo: it is not a"):
        host.put_file(str(tmp_path / "fifo"), "new")
    with pytest.raises(RemoteFileError, match=rf"{host.slug}: cannot read fifo: it is not a"):
        host.get_file("fifo", str(tmp_path / "new"))
    with pytest.raises(RemoteFileError, match=r"this machine: cannot write .*/fifo: it is not a"):
        host.get_file("file", str(tmp_path / "fifo"))
    assert names(host) == ["fifo", "file"]
    assert os.listdir(tmp_path) == ["fifo"] or "new" not in os.listdir(tmp_path)
