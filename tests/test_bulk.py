"""Many small files of a directory, copied together: the same as one by one, and much faster."""

from __future__ import annotations

import os
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import paramiko
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paramiko import sftp as numbers

from deployer.exceptions import ConnectionLost, RemoteFileError
from deployer.host import Host, SSHHost
from deployer.host.files import NewFile, Stat
from deployer.host.ssh.sftp import SFTPFileSystem
from fault_proxy import fault_proxy
from test_trees import tree
from world import Server, World

pytestmark = pytest.mark.machine

HostClass = type[Host]
NewHost = Callable[..., type[SSHHost]]

_SERVER = "/usr/lib/openssh/sftp-server"
# Around what fits into one request, and into what is copied together.
_SIZES = [
    *(0, 1, 1000, 31 * 1024 - 1, 31 * 1024, 31 * 1024 + 1, 62 * 1024, 100_000),
    *(256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 600_000),
]


def fill(directory: Path, number: int, size: int = 1000) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for n in range(number):
        (directory / f"file{n:03}").write_bytes(os.urandom(size))
    return directory


def left_over(host: Host) -> str:
    return host.run("find . -name '*.deployer-tmp*'")


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A directory with many small files, of all kinds."""
    many = fill(tmp_path / "many", 250)
    fill(many / "inner", 20)
    for n, size in enumerate(_SIZES):
        (many / f"size{n}").write_bytes(os.urandom(size))
    for n, mode in enumerate([0o400, 0o444, 0o600, 0o640, 0o755, 0o777, 0o4755, 0o2755]):
        (many / f"file{n:03}").chmod(mode)
    for n, name in enumerate([b"-rf", b"a\nb", b"\xff\xfe", b"~", b" ", b"x" * 255, b"'\"$(x)"]):
        path = os.fsencode(many) + b"/" + name
        Path(os.fsdecode(path)).write_bytes(name)
        os.utime(path, (n, 1_000_000_000 + n))
    return many


def test_many_files_go_there_and_come_back(host: Host, many: Path, tmp_path: Path) -> None:
    host.put_dir(str(many), "there")
    assert left_over(host) == ""
    assert not host.put_dir(str(many), "there").changed
    host.get_dir("there", str(tmp_path / "back"))
    assert tree(tmp_path / "back") == tree(many)
    assert not host.get_dir("there", str(tmp_path / "back")).changed


def test_many_files_take_the_place_of_others(host: Host, many: Path, tmp_path: Path) -> None:
    host.put_dir(str(many), "there")
    # With another mode, and other names: symlinks, one of them to a file besides.
    host.run("cd there; chmod 707 file1*; rm file20*; ln -s file100 file200; ln -s no file201")
    for path in many.glob("file*"):
        path.write_bytes(b"new " + path.name.encode())
    done = host.put_dir(str(many), "there")
    assert len(done.copied) == 250
    host.get_dir("there", str(tmp_path / "back"))
    assert tree(tmp_path / "back") == tree(many)
    assert left_over(host) == ""


def test_root_puts_and_gets_many_files(ssh_host: HostClass, many: Path, tmp_path: Path) -> None:
    host = ssh_host()
    host.sudo("mkdir -m 700 /var/many; mkdir /var/many/there")
    try:
        with host.cd("/var/many"):
            host.sudo("touch there/file000 there/file001; chown www-data:adm there/file000")
            host.put_dir(str(many), "there", use_sudo=True)
            assert host.sudo("stat -c '%U %G' there/file000 there/file001 there/file002") == (
                "www-data adm\nroot root\nroot root\n"
            )
            assert host.sudo("find . -name '*.deployer-tmp*'") == ""
            host.get_dir("there", str(tmp_path / "back"), use_sudo=True)
            assert tree(tmp_path / "back") == tree(many)
    finally:
        host.sudo("rm -rf /var/many")


_LOCAL = """\
import os, sys
from deployer.host import LocalHost
host = LocalHost()
os.mkdir("many")
for n in range(500):
    with open(f"many/file{n}", "wb") as file:
        file.write(os.urandom(3000))
assert len(host.put_dir("many", "/var/many", use_sudo=True).copied) == 501
assert host.sudo("stat -c %U /var/many/file0; ls -A /var/many | wc -l") == "root\\n500\\n"
host.sudo("chmod -R go-rwx /var/many")
assert host.get_dir("/var/many", "back", use_sudo=True).size == 1_500_000
for n in range(500):
    assert open(f"back/file{n}", "rb").read() == open(f"many/file{n}", "rb").read()
print("ok")
"""


def test_root_of_this_machine_puts_and_gets_many_files(world: World) -> None:
    # Over pipes, which hold less than what is under way.
    path = f"PYTHONPATH={Path(__file__).parent.parent}"
    try:
        argv = ["env", path, sys.executable, "-W", "error", "-c", _LOCAL]
        assert world.run(argv, user="nopass") == "ok\n"
    finally:
        world.run(["rm", "-rf", "/var/many", "/home/nopass/many", "/home/nopass/back"])


def test_many_files_take_few_packets(
    ssh_host: HostClass, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = ssh_host()
    target = host.run("mktemp -d").strip()
    source = fill(tmp_path / "source", 300)
    sent = []

    def send(channel: paramiko.Channel, data: bytes) -> int:
        sent.append(len(data))
        return original(channel, data)

    original = paramiko.Channel.send
    monkeypatch.setattr(paramiko.Channel, "send", send)
    host.put_dir(str(source), f"{target}/there")
    assert len(sent) < 60, "of 31 KB each, for 300 KB; one by one, there are 2,400"
    sent.clear()
    host.get_dir(f"{target}/there", str(tmp_path / "back"))
    assert len(sent) < 30, "one by one, there are 900"
    assert tree(tmp_path / "back") == tree(source)


def test_times_that_the_protocol_cannot_express_come_as_near_as_they_can(
    ssh_host: HostClass, tmp_path: Path
) -> None:
    host = ssh_host()
    source = fill(tmp_path / "source", 3)
    (source / "large").write_bytes(b"x" * 600_000)
    for name, mtime in [("file000", -5), ("file001", 1 << 33), ("large", -5)]:
        os.utime(source / name, (mtime, mtime))
    with host.cd(host.run("mktemp -d").strip()):
        host.put_dir(str(source), "there")
        assert host.run("stat -c %Y there/file000 there/file001 there/large") == (
            f"0\n{0xFFFF_FFFF}\n0\n"
        )


# What does not work together, works one by one, or fails as it does then.


def test_what_grows_or_shrinks_meanwhile_is_copied_the_next_time(
    host: Host, tmp_path: Path
) -> None:
    source = fill(tmp_path / "source", 20)

    def change(done: int, total: int) -> None:
        for name, content in [("file003", b"short"), ("file004", b"long" * 1000)]:
            (source / name).write_bytes(content)
            os.utime(source / name, (5, 5))

    host.put_dir(str(source), "there", progress=change)
    assert host.put_dir(str(source), "there").copied == ("file003", "file004")
    assert host.run("cat there/file003 there/file004") == "short" + "long" * 1000


def test_what_goes_meanwhile_is_named(host: Host, tmp_path: Path) -> None:
    source = fill(tmp_path / "source", 20)

    def change(done: int, total: int) -> None:
        (source / "file003").unlink(missing_ok=True)

    with pytest.raises(RemoteFileError, match=r"this machine: cannot read .*/file003: No such"):
        host.put_dir(str(source), "there", progress=change)
    assert left_over(host) == ""


def test_what_is_left_over_goes_and_what_others_write_stays(host: Host, tmp_path: Path) -> None:
    source = fill(tmp_path / "source", 20)
    host.run(
        "mkdir there; cd there; mkdir -m 700 .deployer-tmp; cd .deployer-tmp; touch 0af1-1-1-fresh;"
        "touch -d '25 hours ago' 0af1-1-1-old"
    )
    host.put_dir(str(source), "there")
    assert host.run("ls -A there/.deployer-tmp") == "0af1-1-1-fresh\n"
    assert len(host.listdir("there")) == 21


def test_a_place_that_somebody_else_prepared_is_not_written_to(
    ssh_host: HostClass, new_ssh_host: NewHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, other = ssh_host(), new_ssh_host("nopass")()
    source = fill(tmp_path / "source", 20)
    directory = host.run("mktemp -d").strip()
    host.run(f"chmod 1777 {directory}")
    with host.cd(directory), other.cd(directory):
        other.run("mkdir -m 777 .deployer-tmp; touch .deployer-tmp/theirs")
        places = set()

        def create_all(files: SFTPFileSystem, new: Sequence[NewFile]) -> list[Stat | None]:
            places.update(os.path.dirname(file.path) for file in new)
            return original(files, new)

        original = SFTPFileSystem.create_all
        monkeypatch.setattr(SFTPFileSystem, "create_all", create_all)
        host.put_dir(str(source), ".")
        (place,) = places
        assert os.path.dirname(place) == directory and place != f"{directory}/.deployer-tmp"
        assert place.endswith(".deployer-tmp")
        assert host.run("ls -A; ls .deployer-tmp").split() == [
            *(".deployer-tmp", *(f"file{n:03}" for n in range(20)), "theirs")
        ]


@pytest.mark.parametrize("denied", ["setstat", "posix-rename", "lstat", "write", "read"])
def test_a_server_that_denies_something_gives_the_same_error(
    new_ssh_host: NewHost,
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    denied: str,
) -> None:
    source = fill(tmp_path / "source", 20)
    said = []
    with world.serve(f"Subsystem sftp {_SERVER} -P {denied}") as server:
        host = new_ssh_host(server=server)()
        directory = host.run("mktemp -d").strip()
        with host.cd(directory):
            for _ in range(2):
                host.run("mkdir -p there; touch there/file000")
                with pytest.raises(RemoteFileError) as caught:
                    host.put_dir(str(source), "there")
                    host.get_dir("there", str(tmp_path / "back"))
                said.append(str(caught.value))
                assert left_over(host) == ""
                monkeypatch.setattr(SFTPFileSystem, "create_all", lambda _, new: [None] * len(new))
                monkeypatch.setattr(SFTPFileSystem, "read_all", lambda _, all: [None] * len(all))
        host.close_connection()
    assert said[0] == said[1]


def test_a_server_that_opens_few_files_at_once_is_enough(
    new_ssh_host: NewHost, world: World, many: Path, tmp_path: Path
) -> None:
    script = f"#!/bin/sh\nulimit -n 40\nexec {_SERVER}\n"
    world.run(["sh", "-c", "cat >/usr/local/bin/few; chmod 755 /usr/local/bin/few"], input=script)
    with world.serve("Subsystem sftp /usr/local/bin/few") as server:
        host = new_ssh_host(server=server)()
        with host.cd(host.run("mktemp -d").strip()):
            host.put_dir(str(many), "there")
            host.get_dir("there", str(tmp_path / "back"))
        host.close_connection()
    assert tree(tmp_path / "back") == tree(many)


def test_the_umask_of_the_server_does_not_matter(
    new_ssh_host: NewHost, world: World, many: Path, tmp_path: Path
) -> None:
    with world.serve(f"Subsystem sftp {_SERVER} -u 077") as server:
        host = new_ssh_host(server=server)()
        with host.cd(host.run("mktemp -d").strip()):
            host.put_dir(str(many), "there")
            host.get_dir("there", str(tmp_path / "back"))
        host.close_connection()
    assert tree(tmp_path / "back") == tree(many)


def test_an_interrupt_leaves_whole_files_and_nothing_else(host: Host, tmp_path: Path) -> None:
    source = fill(tmp_path / "source", 300)

    def interrupt(done: int, total: int) -> None:
        if done:
            host.pty.interrupted.set()

    with pytest.raises(KeyboardInterrupt):
        host.put_dir(str(source), "there", progress=interrupt)
    host.pty.interrupted.clear()
    assert left_over(host) == ""
    assert 0 < len(host.listdir("there")) < 300
    host.get_dir("there", str(tmp_path / "back"))
    assert set(tree(source).items()) >= set(tree(tmp_path / "back").items())
    with pytest.raises(KeyboardInterrupt):
        host.pty.interrupted.set()
        host.put_dir(str(source), "other")
    host.pty.interrupted.clear()
    host.put_dir(str(source), "there")
    with pytest.raises(KeyboardInterrupt):
        host.get_dir("there", str(tmp_path / "part"), progress=interrupt)
    host.pty.interrupted.clear()
    assert 0 < len(os.listdir(tmp_path / "part")) < 300
    assert set(tree(source).items()) >= set(tree(tmp_path / "part").items())


@given(
    files=st.dictionaries(
        st.binary(min_size=1, max_size=255)
        .map(lambda name: name.replace(b"/", b"-").replace(b"\0", b"\n"))
        .filter(lambda name: name not in (b".", b"..")),
        st.binary(max_size=40).flatmap(
            lambda text: st.sampled_from([1, 700, 5000]).map(lambda times: text * times)
        ),
        max_size=12,
    )
)
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_files_come_back(host: Host, files: dict[bytes, bytes]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory, "source")
        source.mkdir()
        for name, content in files.items():
            Path(os.fsdecode(bytes(source) + b"/" + name)).write_bytes(content)
        host.put_dir(str(source), "there", delete=True)
        host.get_dir("there", f"{directory}/back")
        assert tree(f"{directory}/back") == tree(source)


# The connection.


@pytest.mark.faults
@pytest.mark.parametrize(("direction", "step"), [("up", 30_000), ("down", 2_000)])
def test_a_connection_that_is_cut_leaves_whole_files(
    new_ssh_host: NewHost, sshd: Server, tmp_path: Path, direction: str, step: int
) -> None:
    source = fill(tmp_path / "source", 180, 2000)
    straight = new_ssh_host()()
    after = 0
    arrived = set()
    with straight.cd(straight.run("mktemp -d").strip()):
        while True:
            straight.run("rm -rf there; mkdir there")
            with fault_proxy(sshd.port) as proxy:
                host = new_ssh_host(server=replace(sshd, port=proxy.port))()
                with host.cd(straight.getcwd()):
                    host.exists("there")
                    proxy.set(**{f"drop_after_{direction}": getattr(proxy, direction) + after})
                    try:
                        host.put_dir(str(source), "there")
                        break
                    except ConnectionLost as error:
                        assert str(error).startswith("Remote: cannot ")
                    finally:
                        host.close_connection()
            back = tmp_path / f"back{after}"
            straight.get_dir("there", str(back))
            arrived.add(len(os.listdir(back)))
            assert set(tree(source).items()) >= set(tree(back).items())
            straight.put_dir(str(source), "there")
            if len(os.listdir(back)) < 180:
                assert left_over(straight) == ""
            assert len(straight.listdir("there")) in (180, 181)
            after += step
    assert {0, 131} <= arrived


@pytest.mark.faults
def test_a_connection_that_is_cut_leaves_whole_files_here(
    new_ssh_host: NewHost, sshd: Server, tmp_path: Path
) -> None:
    source = fill(tmp_path / "source", 180, 2000)
    straight = new_ssh_host()()
    directory = straight.run("mktemp -d").strip()
    straight.put_dir(str(source), directory)
    after = 0
    arrived = set()
    while True:
        back = tmp_path / f"back{after}"
        with fault_proxy(sshd.port) as proxy:
            host = new_ssh_host(server=replace(sshd, port=proxy.port))()
            host.exists(directory)
            proxy.set(drop_after_down=proxy.down + after)
            try:
                host.get_dir(directory, str(back))
                break
            except ConnectionLost as error:
                assert str(error).startswith("Remote: cannot ")
            finally:
                host.close_connection()
        here = set(tree(back).items())
        arrived.add(len(here))
        assert set(tree(source).items()) >= here
        after += 30_000
    assert {0, 131} <= arrived


# Servers that answer with what they like.


class Line:
    """What an SFTP client takes for a channel; ``answer`` gives the replies to each request.

    Replies arrive in ``pieces`` bytes at a time.
    """

    Answer = Callable[[int, int, bytes], bytes]

    def __init__(self, answer: Answer, pieces: int = 1 << 20) -> None:
        self._answer = answer
        self._pieces = pieces
        self._asked = b""
        self._replies = b""
        self.closed = False

    def send(self, data: bytes) -> int:
        self._asked += data
        while len(self._asked) >= 4 and len(self._asked) >= 4 + (size := _number(self._asked)):
            packet, self._asked = self._asked[4 : 4 + size], self._asked[4 + size :]
            if packet[0] == numbers.CMD_INIT:
                self._replies += struct.pack(">IBI", 5, numbers.CMD_VERSION, 3)
            else:
                self._replies += self._answer(packet[0], _number(packet[1:]), packet[5:])
        return len(data)

    def recv(self, size: int) -> bytes:
        size = min(size, self._pieces)
        data, self._replies = self._replies[:size], self._replies[size:]
        return data

    def get_name(self) -> str:
        return "line"

    def close(self) -> None:
        self.closed = True


def _number(data: bytes) -> int:
    return int(struct.unpack_from(">I", data)[0])


def reply(kind: int, number: int, body: bytes) -> bytes:
    return struct.pack(">IBI", len(body) + 5, kind, number) + body


def status(number: int, code: int = numbers.SFTP_OK) -> bytes:
    return reply(numbers.CMD_STATUS, number, struct.pack(">III", code, 0, 0))


def text(kind: int, number: int, content: bytes) -> bytes:
    return reply(kind, number, struct.pack(">I", len(content)) + content)


def honest(kind: int, number: int, body: bytes) -> bytes:
    """Answer as a server on which every file is called ``ten bytes!``, and all goes well."""
    if kind == numbers.CMD_OPEN:
        return text(numbers.CMD_HANDLE, number, b"handle")
    if kind == numbers.CMD_READ:
        return text(numbers.CMD_DATA, number, b"ten bytes!")
    if kind == numbers.CMD_LSTAT:
        attributes = paramiko.SFTPAttributes()
        attributes.st_size, attributes.st_mode = 10, 0o100644
        message = paramiko.Message()
        attributes._pack(message)  # type: ignore[attr-defined]
        return reply(numbers.CMD_ATTRS, number, message.asbytes())
    return status(number)


@pytest.fixture
def files_over() -> Iterator[Callable[[Line], SFTPFileSystem]]:
    """Make files for what answers."""

    def files_over(line: Line) -> SFTPFileSystem:
        client = paramiko.SFTPClient(cast(paramiko.Channel, line))
        return SFTPFileSystem(client, lambda: ConnectionLost("lost"))

    yield files_over


NEW = [NewFile(f"/new{n}", b"ten bytes!", 0o644, 0.0, None) for n in range(3)]


@pytest.mark.parametrize("pieces", [1, 7, 1 << 20])
def test_replies_may_arrive_in_any_pieces(
    files_over: Callable[[Line], SFTPFileSystem], pieces: int
) -> None:
    files = files_over(Line(honest, pieces))
    assert files.read_all([("/a", 10), ("/b", 10)]) == [b"ten bytes!"] * 2
    assert [made and made.st_size for made in files.create_all(NEW)] == [10, 10, 10]
    assert files.replace_all([("/a", "/b"), ("/c", "/d")]) == [True, True]
    assert files.read_all([]) == files.create_all([]) == files.replace_all([]) == []


def test_replies_may_arrive_in_any_order(files_over: Callable[[Line], SFTPFileSystem]) -> None:
    held: list[bytes] = []

    def backwards(kind: int, number: int, body: bytes) -> bytes:
        if kind != numbers.CMD_EXTENDED:
            return honest(kind, number, body)
        held.insert(0, status(number, numbers.SFTP_FAILURE if b"/bad" in body else 0))
        return b"".join(held) if len(held) == 3 else b""

    files = files_over(Line(backwards))
    assert files.replace_all([("/a", "/b"), ("/bad", "/d"), ("/e", "/f")]) == [True, False, True]


@pytest.mark.parametrize("size", [0, 9, 11, 100_000])
def test_a_file_that_has_another_size_is_not_taken(
    files_over: Callable[[Line], SFTPFileSystem], size: int
) -> None:
    files = files_over(Line(honest))
    assert files.read_all([("/a", size), ("/b", 10)]) == [None, b"ten bytes!"]


@pytest.mark.parametrize("kind", [numbers.CMD_OPEN, numbers.CMD_READ])
def test_one_that_cannot_be_read_does_not_disturb_the_others(
    files_over: Callable[[Line], SFTPFileSystem], kind: int
) -> None:
    asked: list[int] = []

    def failing(asked_kind: int, number: int, body: bytes) -> bytes:
        if asked_kind == kind:
            asked.append(number)
            if len(asked) == 2:
                return status(number, numbers.SFTP_PERMISSION_DENIED)
        return honest(asked_kind, number, body)

    files = files_over(Line(failing))
    assert files.read_all([("/a", 10), ("/b", 10), ("/c", 10)]) == [
        *(b"ten bytes!", None, b"ten bytes!")
    ]


@pytest.mark.parametrize(
    "kind",
    [
        *(numbers.CMD_OPEN, numbers.CMD_WRITE, numbers.CMD_CLOSE),
        *(numbers.CMD_SETSTAT, numbers.CMD_LSTAT),
    ],
)
def test_one_that_cannot_be_written_does_not_disturb_the_others(
    files_over: Callable[[Line], SFTPFileSystem], kind: int
) -> None:
    asked: list[int] = []

    def failing(asked_kind: int, number: int, body: bytes) -> bytes:
        if asked_kind == kind:
            asked.append(number)
            if len(asked) == 2:
                return status(number, numbers.SFTP_FAILURE)
        return honest(asked_kind, number, body)

    made = files_over(Line(failing)).create_all(NEW)
    assert [each is None for each in made] == [False, True, False]


@pytest.mark.parametrize(
    "answer",
    [
        lambda kind, number, body: b"",
        lambda kind, number, body: honest(kind, number, body)[:-1],
        lambda kind, number, body: b"\0\0\0\0",
        lambda kind, number, body: b"\xff" * 100,
        lambda kind, number, body: struct.pack(">IBI", 300_000, numbers.CMD_DATA, number),
        lambda kind, number, body: text(numbers.CMD_NAME, number, b"x"),
        lambda kind, number, body: honest(kind, number + 1000, body),
        lambda kind, number, body: honest(kind, 0, body),
    ],
)
def test_a_server_that_answers_with_garbage_is_given_up(
    files_over: Callable[[Line], SFTPFileSystem], answer: Line.Answer
) -> None:
    for ask in (
        lambda files: files.read_all([("/a", 10)]),
        lambda files: files.create_all(NEW),
        lambda files: files.replace_all([("/a", "/b")]),
    ):
        line = Line(answer)
        with pytest.raises(ConnectionLost):
            ask(files_over(line))
        assert line.closed


def test_replies_to_what_was_given_up_are_left_to_whom_they_belong(
    ssh_host: HostClass, tmp_path: Path
) -> None:
    host = ssh_host()
    source = fill(tmp_path / "source", 5)
    directory = host.run("mktemp -d").strip()
    host.put_dir(str(source), f"{directory}/there")
    host.run(f"head -c 3000000 /dev/zero >{directory}/long")
    with host._open_files() as files:
        long = files.open(f"{directory}/long", "rb")
        size = 0
        # With requests under way all the time.
        while data := long.read(100_000):
            size += len(data)
            found = files.read_all([(f"{directory}/there/file000", 1000)])
            assert found == [(source / "file000").read_bytes()]
        assert size == 3_000_000


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/b", "", "nul\0"])
def test_a_name_that_leads_elsewhere_is_refused(
    ssh_host: HostClass, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from deployer.host.ssh import tuning

    host = ssh_host()
    attributes = paramiko.SFTPAttributes()
    attributes.st_mode, attributes.st_size = 0o100644, 4
    monkeypatch.setattr(tuning, "list_directory", lambda *_: [(name.encode(), attributes)])
    with pytest.raises(RemoteFileError, match="the host says that there is a file"):
        host.get_dir("/tmp", str(tmp_path / "back"))
    assert not (tmp_path / "evil").exists() and not (tmp_path / "back").exists()
