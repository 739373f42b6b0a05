"""What tests of deployments are made of: fake hosts, trees on them, assertions, fixtures."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.contrib.nodes import Config, Lock
from deployer.exceptions import (
    ActionException,
    ConnectionLost,
    ExecCommandFailed,
    LockHeld,
    NodeUsageError,
    NoInput,
    ParallelActionException,
    ParallelExecCommandFailed,
    RemoteFileError,
)
from deployer.host import LocalHost, SSHHost
from deployer.host.files import FileSystem, LocalFileSystem, NewFile
from deployer.loggers import LoggerInterface, TraceLogger
from deployer.node import Node, ParallelNode, map_roles
from deployer.parallel import RunOptions
from deployer.pseudo_terminal import DummyPty
from deployer.secret import Secret
from deployer.testing import (
    Answer,
    FakeHost,
    FakeTree,
    MemoryFiles,
    assert_never_runs,
    assert_runs,
    assert_runs_only,
    no_connections,
)
from deployer.utils.folding import parse

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _no_connections() -> Iterator[None]:
    with no_connections():
        yield


@pytest.fixture
def host() -> type[FakeHost]:
    return type("web1", (FakeHost,), {})


# Commands.


def test_a_command_is_recorded_with_its_circumstances(host: type[FakeHost]) -> None:
    web1 = host()
    with web1.cd("~/my site"), web1.prefix(". bin/activate"), web1.env("A", "it's 1"):
        web1.run("make", user="www", initial_input="yes", timeout=3.0)
    (run,) = host.runs
    assert (run.host, run.command, run.use_sudo, run.user) == (host, "make", True, "www")
    assert (run.directory, run.prefixes) == ("/home/user/my site", (". bin/activate",))
    assert (run.environment, run.initial_input, run.timeout) == ({"A": "it's 1"}, "yes", 3.0)
    assert (run.sandbox, run.interactive, str(run)) == (False, False, "sudo -u www make")


def test_quotes_that_only_a_shell_understands_are_recorded_as_they_are(
    host: type[FakeHost],
) -> None:
    web1 = host()
    with web1.prefix("export A='"), web1.env("B", "$C", escape=False), web1.prefix("cat <<E"):
        web1.run("/bin/sh -c 'it's'")
    (run,) = host.runs
    assert (run.prefixes, run.environment) == (("export A='", "cat <<E"), {"B": "$C"})


@pytest.mark.parametrize("command", ["a\0b", "x" * 200_000])
def test_what_no_shell_takes_is_refused(host: type[FakeHost], command: str) -> None:
    with pytest.raises(ValueError, match=r"NUL|bytes long"):
        host().run(command)
    assert host.runs == []


def test_what_a_command_prints_is_returned_shown_and_logged(host: type[FakeHost]) -> None:
    host.answers["make"] = Answer("built\n", "careful\n")
    pty, trace, logger = DummyPty(), TraceLogger(), LoggerInterface()
    logger.attach(trace)
    web1 = host(pty, logger)
    result = web1.run("make")
    assert (result, result.stderr, result.ok) == ("built\n", "careful\n", True)
    assert (result.host, result.command, result.was_shown) == ("web1", "make", True)
    assert web1.run("make", silent=True) == "built\n"
    assert pty.get_output() == "built\ncareful\n"
    # In a terminal, there is one stream.
    assert web1.run("make", interactive=True) == "built\ncareful\n"
    assert [run.exit_status for run in trace.runs] == [0, 0, 0]


def test_a_command_that_fails_raises_as_ever(host: type[FakeHost]) -> None:
    host.answers["false"] = Answer(stderr="no\n", exit_status=3)
    host.answers["sleep *"] = Answer(exit_signal="TERM")
    with pytest.raises(ExecCommandFailed, match=r"web1.*false.*3"):
        host().run("false")
    assert host().run("false", ignore_exit_status=True).stderr == "no\n"
    with pytest.raises(ExecCommandFailed, match="TERM"):
        host().run("sleep 9")


@pytest.mark.parametrize(
    ("pattern", "is_meant"),
    [
        ("git fetch *", True),
        ("git *", True),
        ("*fetch*", True),
        ("git", False),
        ("GIT *", False),
        (re.compile("fetch"), True),
        (re.compile("^fetch"), False),
        ("git fetch [a-z]* [[]origin]", True),
        ("git fetch all [origin]", True),
    ],
)
def test_a_pattern_is_a_glob_over_all_of_it_the_same_text_or_an_expression(
    host: type[FakeHost], pattern: Any, is_meant: bool
) -> None:
    host.answers[pattern] = "meant"
    assert (host().run("git fetch all [origin]") == "meant") is is_meant


def test_the_answer_that_was_set_last_counts() -> None:
    class web1(FakeHost):
        answers = {"*": "any", "git *": "git", "git fetch": "fetch"}

    assert [web1().run(each) for each in ("ls", "git log", "git fetch")] == ["any", "git", "fetch"]
    web1.answers["git *"] = "later"
    assert web1().run("git fetch") == "later"
    del web1.answers["git *"]
    assert web1().run("git log") == "any"


def test_answers_may_come_one_after_another_be_made_or_be_raised(host: type[FakeHost]) -> None:
    host.answers["status"] = [Answer(exit_status=3), "up\n", ConnectionLost("gone")]
    host.answers["echo *"] = lambda run: run.command.removeprefix("echo ") + "\n"
    host.answers["touch *"] = lambda run: run.host.files.update({"/touched": ""})
    assert host().run("status", ignore_exit_status=True).exit_status == 3
    assert host().run("status") == "up\n"
    for _ in range(2):
        with pytest.raises(ConnectionLost, match="gone"):
            host().run("status")
    assert host().run("echo hi") == "hi\n"
    assert host().run("touch it") == ""
    assert list(host.files) == ["/touched"]


def test_what_is_no_answer_is_refused_where_it_is_set(host: type[FakeHost]) -> None:
    script: Any
    for script in (3, None, ["a", 3], b"bytes"):
        with pytest.raises(TypeError, match=r"'ls': .* is no answer"):
            host.answers["ls"] = script
    with pytest.raises(ValueError, match="has no answers"):
        host.answers["ls"] = []
    with pytest.raises(ValueError, match="ConnectionLost"):
        Answer(exit_status=None)
    with pytest.raises(TypeError, match="no pattern"):
        host.answers[3] = "three"  # type: ignore[index]


def test_a_strict_host_names_the_command_and_the_remedy() -> None:
    class web1(FakeHost):
        strict = True
        answers = {"ls": "a\n"}

    assert web1().run("ls") == "a\n"
    with pytest.raises(AssertionError, match=r"web1: .*'rm -r x'.*web1\.answers\['rm -r x'\] ="):
        web1().run("rm -r x")


def test_what_a_strict_host_says_of_a_long_command_has_no_secret_and_is_a_pattern() -> None:
    class web1(FakeHost):
        strict = True

    command = f"login {Secret('correct horse').reveal()}\nand more\n"
    with pytest.raises(AssertionError) as caught:
        web1().run(command)
    pattern = re.search(r"answers\['(.*)'\]", str(caught.value))
    assert pattern is not None and pattern[1] == "login ****"
    web1.answers[pattern[1]] = "done"
    assert web1().run(command) == "done"


def test_a_sandbox_asks_for_no_answers_and_writes_no_files(host: type[FakeHost]) -> None:
    host.answers["make"] = Answer(exit_status=1)
    sandbox = host(is_sandbox=True)
    assert sandbox.run("make") == ""
    with sandbox.open("/etc/motd", "w", use_sudo=True) as file:
        file.write("Hello\n")
    assert [run.sandbox for run in host.runs] == [True]
    assert host.files == {}


def test_each_class_begins_anew_with_what_it_was_written_with() -> None:
    class base(FakeHost):
        answers = {"hostname": "base\n"}
        files = {"/etc/motd": "Hello\n"}

    base().run("hostname")
    base.files["/etc/motd"] = "changed"
    base.answers["hostname"] = "changed"

    class web1(base):
        pass

    class web2(base):
        files = {}

    assert (web1.slug, web1.runs) == ("web1", [])
    assert web1().run("hostname") == "base\n"
    assert (web1.files, web2.files) == ({"/etc/motd": "Hello\n"}, {})
    assert len(base.runs) == 1


def test_no_secret_is_in_what_is_shown_of_runs(host: type[FakeHost]) -> None:
    secret = Secret("tr0ub4dor")
    host().run(f"login {secret.reveal()}", initial_input="another one")
    (run,) = host.runs
    with pytest.raises(AssertionError) as caught:
        assert_runs(host, f"logout {secret.reveal()}")
    shown = f"{run!r} {run} {caught.value}"
    assert "login ***" in shown
    assert secret.reveal() not in shown
    assert "another one" not in shown


# What a host knows of itself.


def test_what_a_host_has_can_be_scripted() -> None:
    class db(FakeHost):
        username = "postgres"
        answers = {"command -v git": Answer(exit_status=1)}
        interfaces = {"eth0": "10.0.0.7"}

    assert (db().has_command("git"), db().has_command("tar")) == (False, True)
    assert (db().getcwd(), db().get_home_directory("root")) == ("/home/postgres", "/root")
    assert db().expand_path("~other/x") == "/home/other/x"
    assert db().get_ip_address() == "10.0.0.7"
    assert db().ifconfig().get_interface("eth0").ip == "10.0.0.7"
    with pytest.raises(LookupError, match="only: eth0"):
        db().get_ip_address("eth1")


def test_ports_are_not_forwarded_and_the_error_says_so(host: type[FakeHost]) -> None:
    for forward in (host().forward_local, host().forward_remote):
        with pytest.raises(NodeUsageError, match=r"web1 is a fake host and cannot forward"):
            forward(0, 5432).__enter__()


# Files.


def do_things(files: FileSystem, root: str) -> Iterator[Callable[[], Any]]:
    """Yield what can be done with files, whose outcomes are compared."""

    def create(path: str, content: bytes) -> None:
        with files.open(f"{root}/{path}", "xb") as file:
            file.write(content)

    def read(path: str) -> bytes:
        with files.open(f"{root}/{path}", "rb") as file:
            return file.read()

    def look(path: str) -> Any:
        found = files.lstat(f"{root}/{path}")
        return found.filename, found.is_dir, found.is_file, found.is_link, found.permissions

    yield lambda: files.mkdir(f"{root}/d", 0o750)
    yield lambda: files.mkdir(f"{root}/d", 0o750)
    yield lambda: create("d/f", b"one")
    yield lambda: create("d/f", b"two")
    yield lambda: read("d/f")
    yield lambda: read("d")
    yield lambda: read("missing")
    yield lambda: read("d/f/x")
    yield lambda: read("d/missing/../f")
    yield lambda: read("d/../d/./f")
    yield lambda: files.symlink("d", f"{root}/link")
    yield lambda: files.symlink("d", f"{root}/link")
    yield lambda: files.symlink("loop", f"{root}/loop")
    yield lambda: files.symlink(f"{root}/d/f", f"{root}/absolute")
    yield lambda: read("link/f")
    yield lambda: read("absolute")
    yield lambda: read("link/../link/f")
    yield lambda: read("loop")
    yield lambda: look("link")
    yield lambda: look("link/f")
    yield lambda: files.readlink(f"{root}/link")
    yield lambda: files.readlink(f"{root}/d")
    yield lambda: files.real_path(f"{root}/link/f").removeprefix(root)
    yield lambda: sorted(found.filename for found in files.listdir(f"{root}/link"))
    yield lambda: files.listdir(f"{root}/d/f")
    yield lambda: files.listdir(f"{root}/missing")
    yield lambda: files.chmod(f"{root}/link", 0o700)
    yield lambda: look("d")
    yield lambda: files.utime(f"{root}/d/f", 1000.0)
    yield lambda: files.stat(f"{root}/d/f").st_mtime
    yield lambda: files.rmdir(f"{root}/d")
    yield lambda: files.remove(f"{root}/d")
    yield lambda: files.rmdir(f"{root}/d/f")
    yield lambda: files.replace(f"{root}/missing", f"{root}/d/f")
    yield lambda: files.mkdir(f"{root}/e", 0o755)
    yield lambda: files.replace(f"{root}/e", f"{root}/d/f")
    yield lambda: files.replace(f"{root}/d/f", f"{root}/e")
    yield lambda: files.replace(f"{root}/e", f"{root}/d")
    yield lambda: files.replace(f"{root}/d", f"{root}/d/inner")
    yield lambda: files.replace(f"{root}/d", f"{root}/d")
    yield lambda: files.replace(f"{root}/d", f"{root}/e")
    yield lambda: read("link/f")
    yield lambda: files.replace(f"{root}/e/f", f"{root}/link")
    yield lambda: look("link")
    yield lambda: files.read_all([(f"{root}/link", 3), (f"{root}/link", 2), (f"{root}/no", 1)])
    new = [NewFile(f"{root}/e/{name}", b"x", 0o640, 5.0, None) for name in ("a", "a", "b")]
    yield lambda: [made and (made.permissions, made.st_mtime) for made in files.create_all(new)]
    yield lambda: files.replace_all([(f"{root}/e/a", f"{root}/e/b"), (f"{root}/no", f"{root}/x")])
    yield lambda: read("e/b")
    yield lambda: files.remove(f"{root}/e/b")
    yield lambda: files.rmdir(f"{root}/e")
    yield lambda: files.rmdir(f"{root}/e")


def test_files_in_memory_behave_as_those_of_this_machine(tmp_path: Path) -> None:
    def outcomes(files: FileSystem, root: str) -> list[Any]:
        found = []
        for thing in do_things(files, root):
            try:
                found.append(thing())
            except OSError as error:
                found.append(error.errno)
        return found

    mask = os.umask(0o022)
    try:
        here = outcomes(LocalFileSystem(), str(tmp_path))
    finally:
        os.umask(mask)
    memory = MemoryFiles()
    memory.mkdir("/root", 0o755)
    assert outcomes(memory, "/root") == here


@pytest.mark.parametrize("use_sudo", [False, True])
def test_open_does_what_it_does_on_every_host(host: type[FakeHost], use_sudo: bool) -> None:
    web1 = host()
    with web1.open("/etc/new/app.conf", "w", use_sudo=use_sudo) as file:
        file.write("a = 1\n")
    assert host.file_system.stat("/etc/new/app.conf").st_uid == (0 if use_sudo else 1000)
    host.file_system.chmod("/etc/new/app.conf", 0o600)
    host.file_system.chown("/etc/new/app.conf", 7, 8)
    host.file_system.symlink("new/app.conf", "/etc/link")
    with web1.open("/etc/link", "a", use_sudo=use_sudo) as file:
        file.write("b = 2\n")
    found = web1.stat("/etc/new/app.conf")
    assert (found.permissions, found.st_uid, found.st_gid) == (0o600, 7, 8)
    assert host.files == {"/etc/new/app.conf": "a = 1\nb = 2\n"}
    assert web1.listdir("/etc") == ["link", "new"]
    with pytest.raises(RuntimeError), web1.open("/etc/link", "w", use_sudo=use_sudo) as file:
        file.write("lost")
        raise RuntimeError
    with pytest.raises(RemoteFileError, match=r"web1: cannot write .*File exists"):
        web1.open("/etc/link", "x", use_sudo=use_sudo)
    with pytest.raises(RemoteFileError, match=r"web1: cannot read /no: No such file"):
        web1.open("/no", "r", use_sudo=use_sudo)
    with web1.open("/etc/link", "r+", use_sudo=use_sudo) as file:
        assert file.read() == "a = 1\nb = 2\n"
    assert web1.exists("/etc/link", use_sudo=use_sudo)
    assert not web1.exists("/etc/no", use_sudo=use_sudo)
    assert host.runs == []


@pytest.mark.parametrize("use_sudo", [False, True])
def test_files_and_directories_go_there_and_back(
    host: type[FakeHost], tmp_path: Path, use_sudo: bool
) -> None:
    site = tmp_path / "site"
    (site / "css").mkdir(parents=True)
    (site / "css" / "a.css").write_text("a {}\n")
    (site / "index.html").write_text("Hello\n")
    (site / "start").symlink_to("index.html")
    web1 = host()
    web1.put_file(str(site / "index.html"), "~/page", use_sudo=use_sudo)
    assert len(web1.put_dir(str(site), "/srv/www", use_sudo=use_sudo).copied) == 5
    assert not web1.put_dir(str(site), "/srv/www", use_sudo=use_sudo).changed
    assert host.files == {
        "/home/user/page": "Hello\n",
        "/srv/www/css/a.css": "a {}\n",
        "/srv/www/index.html": "Hello\n",
    }
    assert host.file_system.readlink("/srv/www/start") == "index.html"
    web1.get_file("/srv/www/start", str(tmp_path / "got"), use_sudo=use_sudo)
    web1.get_dir("/srv/www", str(tmp_path / "back"), use_sudo=use_sudo)
    assert (tmp_path / "got").read_text() == "Hello\n"
    assert (tmp_path / "back" / "css" / "a.css").read_text() == "a {}\n"
    assert host.runs == []


def test_texts_are_a_mapping_in_which_bytes_of_any_kind_survive(host: type[FakeHost]) -> None:
    files = host.files
    files["~/a"] = "A"
    host.file_system.write("/b", b"\xff")
    host.file_system.symlink("/b", "/link")
    assert list(files) == ["/b", "/home/user/a"]
    assert files["/link"].encode(errors="surrogateescape") == b"\xff"
    files["/link"] = "B"
    assert dict(files) == {"/b": "B", "/home/user/a": "A"}
    del files["~/a"]
    assert ("~/a" in files, "/home" in files, len(files)) == (False, False, 1)
    with pytest.raises(KeyError, match="/no"):
        del files["/no"]
    with pytest.raises(TypeError, match="text"):
        files["/c"] = b"bytes"  # type: ignore[assignment]
    with pytest.raises(IsADirectoryError):
        files["/home"] = "a file"


def test_logs_say_for_which_files_sudo_was_used(host: type[FakeHost], tmp_path: Path) -> None:
    trace, logger = TraceLogger(), LoggerInterface()
    logger.attach(trace)
    host(logger=logger).open("/a", "w", use_sudo=True).close()
    host(logger=logger).open("/a", "r").close()
    (tmp_path / "site").mkdir()
    host(logger=logger).put_dir(str(tmp_path / "site"), "/www", use_sudo=True)
    assert [str(each).partition(":")[0] for each in trace.walk()] == [
        "web1 | sudo open /a (w)",
        "web1 | open /a (r)",
        "web1 | sudo put_dir /www",
        "web1 | copied 1 to /www",
    ]


# Ready-made nodes.


def test_a_config_is_what_it_should_be_after_the_first_time() -> None:
    class Site(Node):
        class Hosts:
            role = FakeHost

        class motd(Config):
            remote_path = "/etc/the motd"
            content = "Hello\n"
            use_sudo = True
            mode = 0o640
            owner = "www:adm"
            always_backup_existing_config = True

    tree = FakeTree(Site, files={"/etc/the motd": "Goodbye\n"}, strict=True)
    host, config = tree["FakeHost"], tree.env.motd
    assert "-Goodbye\n+Hello\n" in config.diff()
    assert len(config.setup()) == len(tree.messages) == 4
    before = host.file_system.stat("/etc/the motd")
    assert (before.permissions, before.st_uid, before.st_gid) == (0o640, 1001, 1002)
    assert (config.changed(), config.setup(), config.diff()) == (False, (), "")
    assert host.file_system.stat("/etc/the motd") == before
    assert sorted(host.files.values()) == ["Goodbye\n", "Hello\n"]
    assert_runs(host, "chown -- www:adm '/etc/the motd'", "chmod 640 '/etc/the motd'")
    # By which the ready-made nodes find the output of their questions.
    assert {run.prefixes for run in host.runs} == {()}
    del host.files["/etc/the motd"]
    host.file_system.symlink("/srv/motd", "/etc/the motd")
    assert "wrote /etc/the motd" in config.setup()
    assert host.files["/srv/motd"] == "Hello\n"
    assert host.file_system.stat("/etc/the motd").permissions == 0o640


def test_what_is_asked_of_files_is_answered_unless_a_test_answers(host: type[FakeHost]) -> None:
    host.files["~/a"] = "abc"
    host.file_system.utime("/home/user/a", 1000.0)
    assert host().run("stat -L -c '%n %a %U:%G %s %Y %x' a") == "a 644 user:user 3 1000 %x\n"
    assert host().run("stat -L -c %a b", ignore_exit_status=True).exit_status == 1
    host().run("chown -- :0 a; true")
    host().run("chown -- :7 b")
    host().run("chown -- :7 a")
    assert host().run("stat -L -c %u:%G a") == "1000:UNKNOWN\n"
    host.answers["stat *"] = "600\n"
    assert host().run("stat -L -c %a a") == "600\n"


class Locked(Node):
    class Hosts:
        host = FakeHost

    class lock(Lock):
        path = "/srv/deploy.lock"

    def deploy(self) -> None:
        with self.lock.hold("a deployment"):
            self.host.run("deploy")


def test_a_lock_is_held_while_it_is_and_released() -> None:
    tree = FakeTree(Locked, strict=True)
    host = tree["FakeHost"]

    def check(run: object) -> None:
        (holder,) = host.files.values()
        assert "reason: a deployment\n" in holder
        with pytest.raises(ActionException, match="a deployment") as caught:
            tree.env.lock.acquire()
        assert isinstance(caught.value.inner_exception, LockHeld)

    host.answers["deploy"] = check
    tree.env.deploy()
    assert_runs_only(tree, "deploy")
    assert (host.files, tree.env.lock.show()) == ({}, "free")
    tree.env.lock.acquire()
    tree.env.lock.break_(confirmed=True)
    tree.env.lock.release()
    assert host.files == {}


def test_a_lock_that_somebody_holds_keeps_a_deployment_from_beginning() -> None:
    tree = FakeTree(Locked)
    tree["FakeHost"].files["/srv/deploy.lock/1"] = "holder: alice@desk\nreason: a fix\n"
    with pytest.raises(ActionException, match="alice@desk"):
        tree.env.deploy()
    assert tree.runs == []
    assert list(tree["FakeHost"].files) == ["/srv/deploy.lock/1"]


# Trees.


class web1(SSHHost):
    address = "web1.example.com"
    region = "eu"
    password = Secret("wherever it is from")

    def run(self, command: str, *args: Any, **kwargs: Any) -> Any:
        return super().run(f"nice {command}", *args, **kwargs)


class web2(SSHHost):
    slug = "web-2"
    username = "deploy"


class here(LocalHost):
    pass


class Site(Node):
    class Hosts:
        web = (web1, web2)
        db = here

    class web(ParallelNode.Array):
        class Hosts:
            host = (web1, web2)
            db = here

        def restart(self) -> str:
            self.hosts.filter("db").run(f"note {self.host.slug}")
            return str(self.host.run("restart"))

        def name(self) -> str:
            slug: str = self.host.slug
            return slug

    @map_roles("db")
    class db(Node):
        def dump(self) -> str:
            with self.host.open("~/dump", "w") as file:
                file.write("all\n")
            return self.host.get_home_directory()

    def all(self) -> list[Any]:
        return self.hosts.run("uptime")

    def ask(self) -> tuple[str, bool, str]:
        console = self.console
        return (
            console.input("Version"),
            console.confirm("Sure?"),
            console.input("Password", is_password=True),
        )


def test_a_fake_host_stands_in_for_every_host_of_a_tree() -> None:
    tree = FakeTree(Site, answers={"*uptime": "up\n"}, files={"/etc/motd": "Hello\n"})
    assert tree.env.all() == ["up\n"] * 3
    assert [host.slug for host in tree.hosts] == ["web1", "web-2", "here"]
    assert tree["web-2"] is tree[web2] is tree[tree[web2]]
    assert tree.env.db.dump() == "/home/user"
    assert tree["here"].files == {"/etc/motd": "Hello\n", "/home/user/dump": "all\n"}
    assert tree["web-2"]().getcwd() == "/home/deploy"
    assert_runs_only(tree["web-2"], "uptime")
    assert tree.output.count("up\n") == 3
    assert "Site.db.dump" in str(tree.trace)
    # The tree itself is as it was, and another one begins anew.
    assert FakeTree(Site).runs == []


def test_what_stands_in_has_all_that_the_class_of_the_host_has() -> None:
    tree = FakeTree(Site)
    host = tree.env.hosts.filter("web")[0]
    assert issubclass(host.host_class, web1)
    assert (host.address, host.host_class.region) == ("web1.example.com", "eu")
    host.run("make")
    assert_runs_only(tree["web1"], "nice make")


def test_cells_are_found_and_run_at_once_with_their_hosts() -> None:
    tree = FakeTree(Site(), answers={"*restart": lambda run: run.host.slug})
    array = tree.env.web
    assert list(array.restart()) == ["web1", "web-2"]
    assert sorted(run.command for run in tree["here"].runs) == ["note web-2", "note web1"]
    keys = ["web-2", web2, 1, tree["web-2"], tree.env.hosts.filter("web")[1], array[1].host]
    assert [array[key].name() for key in keys] == ["web-2"] * len(keys)
    assert [cell.host.slug for cell in array] == ["web1", "web-2"]
    with pytest.raises(KeyError, match="no cell 'web3'"):
        array["web3"]


def test_a_cell_that_fails_keeps_no_other_one_from_ending() -> None:
    tree = FakeTree(Site)
    tree["web1"].answers["*restart"] = ConnectionLost("web1: gone")
    with pytest.raises(ParallelActionException, match="gone") as caught:
        tree.env.web.restart()
    assert list(caught.value.results.values()) == [""]
    tree["here"].answers["uptime"] = Answer(exit_status=1)
    with pytest.raises(ActionException) as failed:
        tree.env.all()
    assert isinstance(failed.value.inner_exception, ParallelExecCommandFailed)


def test_contexts_hosts_to_run_on_and_sandboxes_hold() -> None:
    tree = FakeTree(Site, is_sandbox=True, options=RunOptions(hosts=parse("web*")))
    with tree.env.hosts.cd("/srv"):
        tree.env.all()
    assert [(run.directory, run.sandbox) for run in tree.runs] == [("/srv", True)] * 2
    with tree.env.web.hosts.cd("/srv"):
        tree.env.web.restart()
    assert [run.directory for run in tree["web-2"].runs] == ["/srv", "/srv"]


def test_no_option_makes_a_run_connect_or_leave_this_process() -> None:
    tree = FakeTree(Site)
    tree.env.web.restart.with_options(retries=3, executor=object(), fan_out=1)()
    assert_runs(tree["web-2"], "restart")
    own = tree.env.initialize_node(Site)
    own.web.restart()
    assert len(tree["web-2"].runs) == 2


def test_questions_are_answered_with_the_lines_that_were_typed() -> None:
    tree = FakeTree(Site, typed=["v2", "yes", "open sesame"])
    assert tree.env.ask() == ("v2", True, "open sesame")
    assert "Version" in tree.output
    assert "sesame" not in tree.output
    for typed in ([], ["v2"]):
        with pytest.raises(ActionException) as caught:
            FakeTree(Site, typed=typed).env.ask()
        assert isinstance(caught.value.inner_exception, NoInput)


def test_lines_that_are_typed_are_no_text() -> None:
    with pytest.raises(TypeError, match=r"\['yes'\]"):
        FakeTree(Site, typed="yes")


class Loads(Node):
    class Hosts:
        host = LocalHost

    def load(self) -> float:
        return float(self.host.run("cat /proc/loadavg").split()[0])

    def load_as_json(self) -> None:
        self.host.run("cat /proc/loadavg")
        self.dump()

    def dump(self) -> None:
        raise ValueError("no JSON")

    def ask(self) -> str:
        return self.console.input("Which one")


def get_notes(act: Callable[[], object]) -> list[str]:
    with pytest.raises(ActionException) as caught:
        act()
    return getattr(caught.value.inner_exception, "__notes__", [])


def test_a_failure_after_a_command_that_was_given_no_answer_says_so() -> None:
    tree = FakeTree(Loads)
    (note,) = get_notes(tree.env.load)
    assert "'cat /proc/loadavg' does on " in note
    # Another action has begun since.
    assert get_notes(tree.env.load_as_json) == []
    (note,) = get_notes(tree.env.ask)
    assert "typed=[" in note
    tree["LocalHost"].answers["cat *"] = "\n"
    assert get_notes(tree.env.load) == []


def test_a_host_that_is_not_there_or_not_the_only_one_is_an_error() -> None:
    class other(Node):
        class Hosts:
            one = type("a", (SSHHost,), {"slug": "same"})
            two = type("b", (SSHHost,), {"slug": "same"})

    with pytest.raises(KeyError, match=r"no host 'web2', but web1, web-2, here; .*'web-2'"):
        FakeTree(Site)["web2"]
    with pytest.raises(KeyError, match="2 hosts"):
        FakeTree(other)["same"]
    assert FakeTree(other)[other.Hosts.two].slug == "same"


def test_a_strict_tree_fails_where_nothing_is_said_of_a_command() -> None:
    with pytest.raises(ActionException, match="nothing says what 'uptime' prints") as caught:
        FakeTree(Site, strict=True, answers={"nice *": ""}, options=RunOptions(fan_out=1)).env.all()
    assert isinstance(caught.value.inner_exception, ParallelExecCommandFailed)


def test_hosts_outside_of_a_tree_refuse_to_connect() -> None:
    class stray(SSHHost):
        address = "192.0.2.1"

    for use in (lambda: stray().run("true"), lambda: stray().exists("/"), stray().connect):
        with pytest.raises(NodeUsageError, match=r"stray: .*take it from self\.hosts"):
            use()


def test_nothing_that_a_host_can_do_is_left_to_the_class_that_it_stands_in_for() -> None:
    """Whatever SSHHost does in its own way takes a connection, and is done in another way here."""
    ours = {
        name for cls in (SSHHost, LocalHost) for name, value in vars(cls).items() if is_code(value)
    }
    replaced = {name for name, value in vars(FakeHost).items() if is_code(value)}
    assert ours - replaced == {"_connection"}


def is_code(value: object) -> bool:
    return callable(value) or isinstance(value, classmethod | property)


# Assertions.


@pytest.fixture
def ran(host: type[FakeHost]) -> type[FakeHost]:
    with host().cd("/srv"):
        host().sudo("apt-get update")
    host().run("git clone x y")
    host().run("systemctl reload site", sandbox=True)
    return host


def test_what_ran_is_returned_to_be_looked_at(ran: type[FakeHost]) -> None:
    update, reload = assert_runs(ran, "apt-get *", re.compile("reload"))
    assert (update.use_sudo, reload.sandbox) == (True, True)
    assert len(assert_runs_only(ran, "apt-get *", "git *", "systemctl *")) == 3
    assert_never_runs(ran, "rm *", "apt-get")


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        (
            lambda host: assert_runs(host, "git *", "systemctl restart site"),
            """\
            web1 did not run 'systemctl restart site' after 'git *'; the nearest is \
'systemctl reload site'. It ran:
                sudo apt-get update  [/home/user]
              > git clone x y  [/home/user]
                systemctl reload site  (sandbox)  [/home/user]""",
        ),
        (
            lambda host: assert_runs(host, "git *", "apt-get *"),
            "web1 did not run 'apt-get *' after 'git *', but before that. It ran:",
        ),
        (lambda host: assert_runs(host, "rm *"), "web1 did not run 'rm *'. It ran:"),
        (
            lambda host: assert_runs_only(host, "apt-get *", "systemctl *"),
            "web1 ran 'git clone x y', where 'systemctl *' was to run. It ran:\n  > sudo apt-get",
        ),
        (
            lambda host: assert_runs_only(host, "*", "*"),
            "web1 also ran 'systemctl reload site'. It ran:",
        ),
        (
            lambda host: assert_runs_only(host, "*", "*", "*", "reboot"),
            "web1 did not run 'reboot'. It ran:",
        ),
        (lambda host: assert_runs_only(host), "web1 also ran 'apt-get update'. It ran:"),
        (
            lambda host: assert_never_runs(host, "rm *", re.compile("clone")),
            "web1 ran 'git clone x y', which 'clone' means. It ran:",
        ),
        (
            lambda host: assert_runs(type("idle", (FakeHost,), {}), "ls"),
            "idle did not run 'ls'; nothing ran",
        ),
    ],
)
def test_a_failure_shows_what_ran_and_what_was_meant(
    ran: type[FakeHost], claim: Callable[[type[FakeHost]], object], message: str
) -> None:
    with pytest.raises(AssertionError) as caught:
        claim(ran)
    assert str(caught.value).startswith(textwrap.dedent(message))


def test_of_a_tree_it_says_where_each_command_ran() -> None:
    tree = FakeTree(Site)
    tree["here"]().run("one\ntwo")
    tree["web-2"]().run("three")
    assert_runs_only(tree, "one*", "three")
    with pytest.raises(AssertionError, match=r"(?s)the tree ran 'three'.*\n  > web-2 \| three"):
        assert_never_runs(tree, "three")


def test_a_claim_without_a_command_is_a_mistake(ran: type[FakeHost]) -> None:
    for claim in (assert_runs, assert_never_runs):
        with pytest.raises(TypeError, match="without a pattern"):
            claim(ran)


def test_of_a_long_script_a_failure_shows_the_beginning(host: type[FakeHost]) -> None:
    host().run("\n".join(f"step {number}" for number in range(9)))
    with pytest.raises(AssertionError) as caught:
        assert_runs_only(host)
    assert str(caught.value).endswith("step 2\n        ... 6 more lines")
    assert "'step 0…'" in str(caught.value)


def test_what_is_no_fake_host_or_no_pattern_is_named(ran: type[FakeHost]) -> None:
    for claim in (assert_runs, assert_runs_only, assert_never_runs):
        with pytest.raises(TypeError, match=r"LocalHost.* is no fake host"):
            claim(LocalHost, "ls")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"\['ls'\] is no pattern"):
            claim(ran, ["ls"])  # type: ignore[arg-type]


# With pytest, and without.


def run_python(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def run_pytest(folder: Path, *words: str) -> str:
    # By its module, whether or not the installed package names it.
    plugin = ("-p", "no:deployer", "-p", "deployer.testing.plugin", "-p", "no:cacheprovider")
    return run_python(folder, "-m", "pytest", "-q", *plugin, *words)


def test_the_plugin_loads_nothing_that_no_test_asks_for(tmp_path: Path) -> None:
    (tmp_path / "test_nothing.py").write_text(
        textwrap.dedent("""\
        import sys

        def test_what_is_loaded():
            loaded = {name for name in sys.modules if name.partition(".")[0] == "deployer"}
            assert loaded == {"deployer", "deployer.testing", "deployer.testing.plugin"}

        def test_each_test_has_a_host_of_its_own(fake_host):
            fake_host().run("true")
            assert len(fake_host.runs) == 1

        test_and_the_next_one = test_each_test_has_a_host_of_its_own
        """)
    )
    assert "3 passed" in run_pytest(tmp_path)


def test_to_test_is_of_no_concern_to_the_rest_of_the_package() -> None:
    script = (
        "import deployer.client, deployer.contrib.nodes, deployer.node, sys; print(*sys.modules)"
    )
    loaded = subprocess.check_output([sys.executable, "-c", script], text=True).split()
    assert not [name for name in loaded if "deployer.testing" in name]
    script = "import sys; from deployer.testing import *; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", script], text=True).split()
    assert not {"pytest", "_pytest", "paramiko"} & set(loaded)
