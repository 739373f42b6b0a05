"""``put`` and ``get`` of the secure-copy shell, here and over real SSH."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.host import Host, SSHHost
from deployer.scp_shell import completion
from deployer.scp_shell.globbing import quote_name
from fault_proxy import FaultProxy, fault_proxy
from scp_session import Session, open_session
from world import Server

pytestmark = pytest.mark.machine

HostClass = type[Host]
NewHost = Callable[..., type[SSHHost]]
MB = 1024 * 1024


@pytest.fixture
def session(host_class: HostClass, tmp_path: Path) -> Iterator[Session]:
    with open_session(host_class, tmp_path / "here") as session:
        yield session


@pytest.fixture
def site(session: Session) -> Path:
    """A local directory with some files, one of which cannot be copied."""
    site = session.here / "my site"
    (site / "css" / "deep").mkdir(parents=True)
    for number in range(9):
        (site / f"page {number}.html").write_text(f"page {number}")
        (site / "css" / f"{number}.css").write_text(f"style {number}")
    (site / "css" / "deep" / "last").write_text("last")
    (site / "current").symlink_to("page 1.html")
    return site


def tree(directory: Path) -> dict[str, str]:
    """Return what is in the files of a local directory."""
    return {
        str(path.relative_to(directory)): path.read_text()
        for path in directory.rglob("*")
        if path.is_file()
    }


# Single files.


def test_a_file_is_put_into_the_remote_directory(session: Session) -> None:
    (session.here / "file").write_text("from here")
    output = session.run("put file")
    assert session.read("file") == "from here"
    assert output.startswith(f"{session.here}/file -> ")
    assert output.endswith(f"{session.there}/file  9 B\n")
    assert session.status == 0


def test_a_file_is_put_under_another_name_and_into_another_directory(session: Session) -> None:
    (session.here / "file").write_text("from here")
    session.run("mkdir 'my folder'", "put file my\\ folder/renamed", "put file 'my folder'")
    assert session.host.listdir("my folder") == ["file", "renamed"]
    session.run("put file my*")
    assert session.status == 0


def test_a_file_is_got_into_the_local_directory(session: Session) -> None:
    session.write("file")
    (session.here / "folder").mkdir()
    session.run("get file", "get file folder", "get file folder/renamed")
    assert tree(session.here) == dict.fromkeys(
        ["file", "folder/file", "folder/renamed"], "from there"
    )


def test_a_directory_is_not_replaced_by_a_file(session: Session) -> None:
    (session.here / "name").write_text("from here")
    session.run("mkdir name")
    assert session.run("put name").endswith("/name: Is a directory\n")
    assert session.status == 1
    assert session.host.listdir("name") == []


def test_a_target_that_has_to_be_a_directory_is_no_file(session: Session) -> None:
    for name in ("a", "b", "c"):
        (session.here / name).touch()
    for line in ("put a b c", "put a new/", "put * new"):
        output = session.run(line)
        assert "the last word is the target, and has to be a directory there" in output
        assert output.count("\n") == 1 and session.status == 1
    assert session.host.listdir() == []


def test_options_may_come_anywhere_and_names_may_look_like_them(session: Session) -> None:
    (session.here / "folder").mkdir()
    (session.here / "-r").write_text("from here")
    session.run("put folder -r", "put -- -r", "put \\-r folder/", "put ./-r folder/-x")
    assert session.status == 0
    assert session.host.listdir() == ["-r", "folder"]
    assert session.host.listdir("folder") == ["-r", "-x"]


# Several files.


def test_patterns_stand_for_files_on_either_side(session: Session) -> None:
    for name in ("a.txt", "b.txt", "*.txt", "c.log"):
        session.write(name, name)
    (session.here / "got").mkdir()
    session.run("get \\*.txt c.* got", "lcd got")
    assert tree(session.here / "got") == {"*.txt": "*.txt", "c.log": "c.log"}
    session.run("get [a-b].txt", "mkdir back", "put *.txt c.log back")
    assert session.host.listdir("back") == ["*.txt", "a.txt", "b.txt", "c.log"]
    session.run("get back/?.txt ..")
    assert (session.here / "a.txt").exists() and (session.here / "b.txt").exists()


def test_of_several_files_all_others_are_copied(session: Session) -> None:
    for name in ("a", "c"):
        (session.here / name).write_text(name)
    (session.here / "folder").mkdir()
    os.mkfifo(session.here / "fifo")
    lines = session.run("put a missing folder no*such fifo c .").splitlines()
    assert session.host.listdir() == ["a", "c"]
    assert session.status == 1
    assert "nothing matches no*such in " in lines[0]
    assert lines[1].startswith(f"{session.here}/a -> ")
    assert lines[2].endswith("/missing: No such file or directory")
    assert lines[3].endswith("/folder: it is a directory; -r copies those")
    assert lines[4].endswith("/fifo: it is not a regular file")
    assert lines[5].startswith(f"{session.here}/c -> ")
    assert lines[6:] == ["2 of 5 are copied"]


def test_files_with_one_name_do_not_replace_each_other(session: Session) -> None:
    session.run("mkdir one two")
    session.write("one/name", "1")
    session.write("two/name", "2")
    assert "two/name: another one has the same name" in session.run("get one/name two/name .")
    assert (session.here / "name").read_text() == "1"


# Directories.


def test_a_directory_is_put_and_got_whole(session: Session, site: Path) -> None:
    output = session.run("put -r my\\ site")
    assert session.status == 0
    assert "/my site  23 changed, 1" in output
    session.run("get -r 'my site' back")
    assert tree(session.here / "back") == tree(site)
    assert os.readlink(session.here / "back" / "current") == "page 1.html"


def test_a_directory_goes_into_one_that_is_there(session: Session, site: Path) -> None:
    session.run("mkdir www", "put -r 'my site' www")
    assert session.host.listdir("www") == ["my site"]


def test_only_what_changed_is_copied_again_and_nothing_is_removed(
    session: Session, site: Path
) -> None:
    session.run("put -r 'my site'")
    session.write("my site/more")
    (site / "page 1.html").write_text("another page 1")
    assert "  1 changed, 14 B" in session.run("put -r 'my site'")
    assert "  nothing has changed" in session.run("put -r 'my site'")
    assert session.read("my site/page 1.html") == "another page 1"
    assert session.read("my site/more") == "from there"


def test_the_rest_of_a_directory_is_copied_when_something_fails(
    session: Session, site: Path
) -> None:
    os.mkfifo(site / "css" / "fifo")
    os.mkfifo(site / "last fifo")
    session.run("mkdir -p 'my site/page 3.html'")
    lines = session.run("put -r my*").splitlines()
    assert session.status == 1
    assert sorted(line.partition(": cannot ")[2] for line in lines[:3]) == [
        f"copy {site}/css/fifo: it is no file, directory or symlink",
        f"copy {site}/last fifo: it is no file, directory or symlink",
        f"write {session.there}/my site/page 3.html: Is a directory",
    ]
    assert lines[3:] == [f"this machine: {site} is not copied whole: 3 failed in it"]
    (session.here / "back").mkdir()
    session.run("get -r 'my site' back")
    wanted = tree(site)
    del wanted["page 3.html"]
    assert tree(session.here / "back" / "my site") == wanted


def test_a_directory_that_cannot_be_made_is_one_failure(session: Session, site: Path) -> None:
    session.write("my site")
    lines = session.run("put -r 'my site' 'my site'").splitlines()
    assert len(lines) == 2
    assert "my site: Not a directory" in lines[0]
    assert session.read("my site") == "from there"


def test_what_may_not_be_read_on_the_host_fails_alone(ssh_host: HostClass, tmp_path: Path) -> None:
    with open_session(ssh_host, tmp_path / "here") as session:
        session.run("mkdir -p d/closed")
        for name in ("a", "b", "c", "closed/x"):
            session.write(f"d/{name}")
        session.run("chmod 0 d/b d/closed")
        lines = session.run("get -r d").splitlines()
        assert len(lines) == 3
        assert f"cannot read {session.there}/d/b: Permission denied" in "".join(lines)
        assert f"cannot list {session.there}/d/closed: Permission denied" in "".join(lines)
        assert sorted(tree(session.here)) == ["d/a", "d/c"]


# Names.

odd_names = st.text(
    st.one_of(st.sampled_from("*?[]!^-~\\'\" #$é\n\t"), st.characters(exclude_categories=["Cs"])),
    min_size=1,
    max_size=30,
).filter(lambda name: not set(name) & {"/", "\0"} and name not in (".", ".."))


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40
)
@given(names=st.sets(odd_names, min_size=1, max_size=3), content=st.binary(max_size=100))
def test_whatever_files_are_called_they_come_back(
    session: Session, names: set[str], content: bytes
) -> None:
    (session.here / "back").mkdir(exist_ok=True)
    for name in names:
        (session.here / name).write_bytes(content)
        output = session.run(f"put {quote_name(name)}", f"get {quote_name(name)} back")
        assert (session.status, output.count("\n")) == (0, 2), output
    assert {path.name for path in (session.here / "back").iterdir()} == names
    assert set(session.host.listdir()) == names
    for name in names:
        assert (session.here / "back" / name).read_bytes() == content
        session.run(f"rm {quote_name(name)}")
        (session.here / "back" / name).unlink()
        (session.here / name).unlink()
    assert session.host.listdir() == []


# What nobody wants to remove; never tried but in the world of the tests.


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("rm -r /", "all files: kept"),
        ("rm -rf /", "all files: kept"),
        ("rm -r ''", "an empty name is no file"),
        ("rm -rf ''", "an empty name is no file"),
        ("rm -r ~", "the home directory: kept"),
        ("rm -r ~/../deploy/", "the home directory: kept"),
        ("rm -r ~/..", "call it by its name"),
        ("rm -r /ho*", "the home directory: kept"),
        ("rm -r sub/to-home/..", "call it by its name"),
        ("rm -r to-parent/deploy", "the home directory: kept"),
        ("rm -r .", "call it by its name"),
        ("rm -r ../", "call it by its name"),
        ("rm -r $PWD", "where you are: kept"),
        ("rm -r $PWD/../*", "where you are: kept"),
        ("rm -r sub/../../*", "where you are: kept"),
    ],
)
def test_some_directories_are_never_removed(
    ssh_host: HostClass, tmp_path: Path, line: str, reason: str
) -> None:
    with open_session(ssh_host, tmp_path / "here") as session:
        home = session.host.get_home_directory()
        session.write(f"{home}/kept")
        session.host.run(f"mkdir sub; ln -s {home} sub/to-home; ln -s {home}/.. to-parent")
        output = session.run(line.replace("$PWD", session.there))
        assert output.endswith(f"{reason}\n") and output.count("\n") == 1
        assert session.status == 1
        assert session.read(f"{home}/kept") == "from there"
        assert session.host.listdir() == ["sub", "to-parent"]


# The line.


@pytest.fixture
def proxy(sshd: Server) -> Iterator[FaultProxy]:
    with fault_proxy(sshd.port) as proxy:
        yield proxy


@pytest.fixture
def far(
    new_ssh_host: NewHost, sshd: Server, proxy: FaultProxy, tmp_path: Path
) -> Iterator[Session]:
    """A session through the proxy."""
    host_class = new_ssh_host(server=replace(sshd, port=proxy.port))
    with open_session(host_class, tmp_path / "here") as session:
        yield session


def test_a_lost_connection_is_one_line_and_the_next_command_connects_again(
    far: Session, proxy: FaultProxy
) -> None:
    (far.here / "large").write_bytes(os.urandom(4 * MB))
    (far.here / "small").write_text("small")
    proxy.set(drop_after_up=proxy.up + MB)
    lines = far.run("put large small .").splitlines()
    proxy.set(drop_after_up=None)
    assert far.status == 1
    assert lines[0] == "0 of 2 are copied"
    assert lines[1].startswith("Remote: cannot write ")
    assert lines[1].endswith("; the next command connects again")
    assert len(lines) == 2
    assert far.run("ls") == ""
    far.run("put large small .")
    assert far.status == 0
    # What the first attempt has left went with the second one.
    assert far.host.listdir() == ["large", "small"]
    assert far.host.stat("large").st_size == 4 * MB


def test_a_lost_connection_ends_a_directory_at_once(far: Session, proxy: FaultProxy) -> None:
    (far.here / "d").mkdir()
    for number in range(8):
        (far.here / "d" / f"{number}").write_bytes(os.urandom(MB))
    proxy.set(drop_after_up=proxy.up + 3 * MB)
    lines = far.run("put -r d").splitlines()
    proxy.set(drop_after_up=None)
    assert len(lines) == 1 and lines[0].endswith("; the next command connects again")
    far.run("put -r d")
    assert far.status == 0
    assert far.host.listdir("d") == [f"{number}" for number in range(8)]


def test_completing_does_not_wait_for_a_line_that_is_stuck(
    far: Session, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completion, "_SECONDS_TO_WAIT", 0.2)
    far.write("file")
    assert far.complete("get f") == ["file "]
    far.run("pwd")
    proxy.set(freeze_after_down=proxy.down)
    assert far.complete("get f") == []
    # What was stuck is not asked for again, and no thread is added.
    assert far.complete("get f") == []
    proxy.drop_all()
    proxy.set(freeze_after_down=None)
    assert far.run("ls") == "file\n"


def test_completing_on_a_lost_connection_connects_again_or_gives_nothing(
    far: Session, proxy: FaultProxy
) -> None:
    far.write("file")
    proxy.drop_all()
    assert far.complete("get f") in ([], ["file "])
    assert far.run("ls") == "file\n"
    assert far.complete("get f") == ["file "]


# What the shell works on.


def test_single_operations_on_files_are_there_for_everybody(host: Host) -> None:
    directory = host.getcwd()
    with host.open_files() as files:
        files.mkdir(f"{directory}/new", 0o700)
        with pytest.raises(FileNotFoundError):
            files.remove(f"{directory}/missing")
    assert host.stat("new").permissions == 0o700
