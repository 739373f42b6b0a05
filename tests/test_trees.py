"""Whole directories, there and back: here, and over a real SFTP server; also as root."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.contrib.loggers import JsonLinesLogger
from deployer.exceptions import RemoteFileError
from deployer.host import Host
from deployer.host_container import HostContainer, HostsContainer
from deployer.loggers import DefaultLogger, LoggerInterface, TraceLogger
from world import World

pytestmark = pytest.mark.machine

HostClass = type[Host]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory with one of everything that is copied."""
    site = tmp_path / "site"
    (site / "css" / "deep").mkdir(parents=True)
    (site / "empty").mkdir(mode=0o750)
    (site / "index.html").write_text("<html>")
    (site / "css" / "deep" / "style.css").write_bytes(bytes(range(256)) * 300)
    (site / "run.sh").write_text("#!/bin/sh\n")
    (site / "run.sh").chmod(0o755)
    (site / "secret").write_text("x")
    (site / "secret").chmod(0o600)
    (site / "current").symlink_to("css/deep")
    (site / "broken").symlink_to("/no/where")
    return site


def tree(root: str | Path) -> dict[str, object]:
    """Return all that is in a local directory: content, permissions, and times in seconds."""
    found: dict[str, object] = {}
    for directory, subdirectories, files in os.walk(root):
        for name in subdirectories + files:
            path = os.path.join(directory, name)
            info = os.lstat(path)
            mode = stat.S_IMODE(info.st_mode)
            relative = os.path.relpath(path, root)
            if stat.S_ISLNK(info.st_mode):
                found[relative] = os.readlink(path)
            elif stat.S_ISDIR(info.st_mode):
                found[relative] = mode
            else:
                content = Path(path).read_bytes()
                found[relative] = (mode, int(info.st_mtime), content)
    return found


def test_a_directory_goes_there_and_comes_back(host: Host, site: Path, tmp_path: Path) -> None:
    done = host.put_dir(str(site), "www")
    assert set(done.copied) == {".", *tree(site)}
    assert done.size == 6 + 256 * 300 + 10 + 1
    host.get_dir("www", str(tmp_path / "back"))
    assert tree(tmp_path / "back") == tree(site)
    assert host.run("readlink www/current www/broken; stat -c %a www/empty www/secret") == (
        "css/deep\n/no/where\n750\n600\n"
    )


def test_a_second_time_there_is_nothing_to_do(host: Host, site: Path, tmp_path: Path) -> None:
    host.put_dir(str(site), "www")
    before = host.run("find www -exec stat -c '%n %i %Z' {} + | sort")
    again = host.put_dir(str(site), "www")
    assert (again.copied, again.removed, again.unchanged, again.size) == ((), (), 6, 0)
    assert not again.changed
    assert host.run("find www -exec stat -c '%n %i %Z' {} + | sort") == before
    host.get_dir("www", str(tmp_path / "back"))
    assert not host.get_dir("www", str(tmp_path / "back")).changed


def test_only_what_changed_is_copied(host: Host, site: Path) -> None:
    host.put_dir(str(site), "www")
    (site / "index.html").write_text("<html>longer")
    os.utime(site / "css" / "deep" / "style.css", (0, 0))
    (site / "secret").chmod(0o640)
    (site / "current").unlink()
    (site / "current").symlink_to("css")
    (site / "empty").chmod(0o700)
    (site / "new").mkdir()
    done = host.put_dir(str(site), "www")
    assert set(done.copied) == {
        *("index.html", "css/deep/style.css", "secret", "current", "empty", "new")
    }
    assert done.size == 12 + 256 * 300
    assert host.run("cat www/index.html; readlink www/current; stat -c %a www/secret") == (
        "<html>longercss\n640\n"
    )
    assert host.stat("www/css/deep/style.css").st_mtime == 0


def test_what_is_not_in_the_original_is_left_or_removed_as_wished(host: Host, site: Path) -> None:
    host.run("mkdir -p www/old/inner outside; touch www/old/inner/f outside/kept")
    host.run("ln -s ../outside www/link; touch www/extra")
    assert host.put_dir(str(site), "www").removed == ()
    assert host.exists("www/old/inner/f")
    assert host.put_dir(str(site), "www", delete=True).removed == ("extra", "link", "old")
    assert set(host.listdir("www")) == {path.name for path in site.iterdir()}
    assert host.exists("outside/kept")


def test_a_target_that_is_a_symlink_is_followed_and_one_inside_is_not(
    host: Host, site: Path
) -> None:
    host.run("mkdir real elsewhere; ln -s real www; echo kept >elsewhere/file")
    host.run("ln -s ../elsewhere/file real/index.html")
    host.put_dir(str(site), "www")
    assert host.run("readlink www; cat elsewhere/file real/index.html") == "real\nkept\n<html>"
    host.run("rm -r real/css; ln -s ../elsewhere real/css")
    with pytest.raises(RemoteFileError, match=r"cannot write .*/www/css: it is a symlink there"):
        host.put_dir(str(site), "www")
    assert host.listdir("elsewhere") == ["file"]


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        ("mkdir -p www/index.html", r"cannot write .*/www/index.html: Is a directory"),
        ("mkdir www; touch www/css", r"cannot write .*/www/css: Not a directory"),
        ("touch www", r"cannot write .*/www: Not a directory"),
        ("mkdir -p www/current", r"cannot write .*/www/current: Is a directory"),
        ("ln -s no/where www", r"cannot make .*/www: "),
    ],
)
def test_a_conflict_is_named_before_anything_is_done(
    host: Host, site: Path, prepare: str, reason: str
) -> None:
    host.run(prepare)
    before = host.run("find . | sort")
    with pytest.raises(RemoteFileError, match=reason):
        host.put_dir(str(site), "www")
    assert host.run("find . | sort") == before


def test_what_is_no_file_is_refused_before_anything_is_done(
    host: Host, site: Path, tmp_path: Path
) -> None:
    os.mkfifo(site / "css" / "pipe")
    with pytest.raises(RemoteFileError, match=r"this machine: cannot copy .*/css/pipe: it is no"):
        host.put_dir(str(site), "www")
    assert not host.exists("www")
    host.run("mkdir dir; mkfifo dir/pipe")
    with pytest.raises(RemoteFileError, match=rf"{host.slug}: cannot copy .*/dir/pipe: it is no"):
        host.get_dir("dir", str(tmp_path / "back"))
    assert not (tmp_path / "back").exists()


def test_a_missing_directory_is_named(host: Host, site: Path, tmp_path: Path) -> None:
    with pytest.raises(RemoteFileError, match="this machine: cannot read /missing: No such file"):
        host.put_dir("/missing", "www")
    with pytest.raises(RemoteFileError, match=rf"{host.slug}: cannot make .*/no/parent: No such"):
        host.put_dir(str(site), "no/parent")
    with pytest.raises(RemoteFileError, match=rf"{host.slug}: cannot read .*/missing: No such"):
        host.get_dir("missing", str(tmp_path / "back"))


def test_after_a_failure_another_run_does_the_rest(
    ssh_host: HostClass, site: Path, tmp_path: Path
) -> None:
    host = ssh_host()
    directory = host.run("mktemp -d").strip()
    with host.cd(directory):
        host.run("mkdir -p www/css/deep; chmod 755 www/css; chmod 755 www/css/deep")
        host.sudo("chown root www/css/deep")
        with pytest.raises(RemoteFileError, match=r"cannot write .*/www/css/deep/style.css: Perm"):
            host.put_dir(str(site), "www")
        assert host.run("find . -name '*.deployer-tmp'") == ""
        assert host.run("cat www/index.html") == "<html>"
        host.sudo("chown deploy www/css/deep")
        assert "css/deep/style.css" in host.put_dir(str(site), "www").copied
        assert not host.put_dir(str(site), "www").changed
        host.get_dir("www", str(tmp_path / "back"))
    assert tree(tmp_path / "back") == tree(site)


def test_a_directory_that_may_not_be_written_is_filled(
    ssh_host: HostClass, site: Path, tmp_path: Path
) -> None:
    host = ssh_host()
    directory = host.run("mktemp -d").strip()
    (site / "css").chmod(0o555)
    with host.cd(directory):
        host.put_dir(str(site), "www")
        (site / "css" / "more").write_text("more")
        host.put_dir(str(site), "www")
        assert host.run("stat -c %a www/css; cat www/css/more") == "555\nmore"


def test_the_group_of_a_directory_goes_on_to_what_is_new(ssh_host: HostClass, site: Path) -> None:
    host = ssh_host()
    directory = host.run("mktemp -d").strip()
    with host.cd(directory):
        host.run("mkdir www && chgrp sudo www && chmod 2775 www")
        host.put_dir(str(site), "www")
        with host.open("www/direct", "w") as file:
            file.write("x")
        groups = host.run("stat -c '%G' www/index.html www/css www/css/deep/style.css www/direct")
        assert groups.split() == ["sudo"] * 4
        assert host.run("stat -c %a www").strip() == "2755"


def test_a_sandbox_says_what_it_would_do(host: Host, site: Path, tmp_path: Path) -> None:
    sandbox = type(host)(is_sandbox=True)
    with sandbox.cd(host.getcwd()):
        assert "index.html" in sandbox.put_dir(str(site), "www").copied
        assert not host.exists("www")
        host.run("mkdir dir; touch dir/file")
        assert sandbox.get_dir("dir", str(tmp_path / "back")).copied == (".", "file")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("is_sandbox", [False, True])
def test_a_log_says_what_was_copied_and_nothing_when_nothing_was(
    host: Host, site: Path, tmp_path: Path, is_sandbox: bool
) -> None:
    host.put_dir(str(site), "www")
    logged, lines, trace = io.StringIO(), io.StringIO(), TraceLogger()
    logger = LoggerInterface()
    for each in (DefaultLogger(logged), JsonLinesLogger(lines), trace):
        logger.attach(each)
    watched = type(host)(logger=logger, is_sandbox=is_sandbox)
    end = "  (sandbox)" if is_sandbox else ""
    with watched.cd(host.getcwd()):
        watched.put_dir(str(site), "www")
        (site / "more").touch()
        (site / "run.sh").unlink()
        watched.put_dir(str(site), "www", delete=True)
        watched.get_dir("www/empty", str(tmp_path / "back"))
    expected = [
        f"{host.slug} | put_dir www{end}",
        f"{host.slug} | put_dir www{end}",
        f"{host.slug} | copied 1 to www, removed 1{end}",
        f"{host.slug} | get_dir www/empty{end}",
    ]
    assert logged.getvalue().splitlines() == expected
    assert [line.partition(": done")[0] for line in str(trace).splitlines()] == expected
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [each["directory"] for each in told if each.get("kind") == "file"] == [True] * 6
    assert [each["text"] for each in told if each["event"] == "message"] == [expected[2]]


def test_progress_counts_what_is_copied(host: Host, site: Path) -> None:
    seen: list[tuple[int, int]] = []
    done = host.put_dir(str(site), "www", progress=lambda *now: seen.append(now))
    assert seen[0] == (0, done.size) and seen[-1] == (done.size, done.size)
    assert seen == sorted(seen)


def test_what_changes_while_it_is_copied_is_copied_the_next_time(host: Host, site: Path) -> None:
    file = site / "css" / "deep" / "style.css"

    def change(done: int, total: int) -> None:
        if done == 0:
            file.write_bytes(b"other" * 1000)
            os.utime(file, (5, 5))

    host.put_dir(str(site), "www", progress=change)
    assert host.put_dir(str(site), "www").copied == ("css/deep/style.css",)
    assert host.run("cat www/css/deep/style.css") == "other" * 1000


def test_containers_copy_directories(host_class: HostClass, site: Path, tmp_path: Path) -> None:
    target = host_class().run("mktemp -d").strip()
    many = HostsContainer({"role": [host_class]})
    (done,) = many.put_dir(str(site), f"{target}/www")
    assert "index.html" in done.copied
    one = HostContainer({"role": [host_class]})
    assert not one.put_dir(str(site), f"{target}/www").changed
    one.get_dir(f"{target}/www", str(tmp_path / "back"))
    assert tree(tmp_path / "back") == tree(site)


# As root, on a host where that takes sudo.


@pytest.fixture
def sudoer(ssh_host: HostClass) -> Iterator[Host]:
    host = ssh_host()
    host.sudo("mkdir -m 700 /var/private-trees")
    with host.cd("/var/private-trees"):
        yield host
    host.sudo("rm -rf /var/private-trees")


def test_root_puts_and_gets_directories(sudoer: Host, site: Path, tmp_path: Path) -> None:
    with pytest.raises(RemoteFileError, match="Permission denied"):
        sudoer.put_dir(str(site), "www")
    done = sudoer.put_dir(str(site), "www", use_sudo=True)
    assert set(done.copied) == {".", *tree(site)}
    assert sudoer.sudo("stat -c '%U %a' www/index.html www/secret www/empty") == (
        "root 644\nroot 600\nroot 750\n"
    )
    sudoer.get_dir("www", str(tmp_path / "back"), use_sudo=True)
    assert tree(tmp_path / "back") == tree(site)
    assert not sudoer.put_dir(str(site), "www", use_sudo=True).changed


def test_root_keeps_the_owner_of_what_is_there(sudoer: Host, site: Path) -> None:
    sudoer.sudo("mkdir www; echo old >www/index.html; chown www-data:adm www/index.html")
    sudoer.put_dir(str(site), "www", use_sudo=True)
    assert sudoer.sudo("stat -c '%U %G' www/index.html; cat www/index.html") == (
        "www-data adm\n<html>"
    )


_LOCAL = """\
import os
from deployer.host import LocalHost
host = LocalHost()
os.mkdir("site")
with open("site/file", "wb") as file:
    file.write(bytes(range(256)) * 2000)
assert host.put_dir("site", "/var/site", use_sudo=True).copied == (".", "file")
assert host.sudo("stat -c %U /var/site/file") == "root\\n"
host.sudo("chmod 600 /var/site/file")
assert host.get_dir("/var/site", "back", use_sudo=True).size == 512_000
with host.open("/var/site/file", "r+b", use_sudo=True) as file:
    assert file.read() == open("back/file", "rb").read() == open("site/file", "rb").read()
    file.write(b"end")
with host.open("/var/site/file", "rb", use_sudo=True) as file:
    assert file.read(2) == b"\\0\\1"
print("ok")
"""


def test_root_of_this_machine_is_reached_by_sudo_as_well(world: World) -> None:
    path = f"PYTHONPATH={Path(__file__).parent.parent}"
    argv = ["env", path, sys.executable, "-W", "error", "-c", _LOCAL]
    assert world.run(argv, user="nopass") == "ok\n"
    world.run(["rm", "-rf", "/var/site", "/home/nopass/site", "/home/nopass/back"])


def test_a_host_without_the_program_for_it_says_so(
    sudoer: Host, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deployer.host import copying

    missing = copying._SFTP_SERVER.replace("sftp-server", "sftp-missing")
    monkeypatch.setattr(copying, "_SFTP_SERVER", missing)
    with pytest.raises(RemoteFileError, match=r"Remote: cannot write www: .*sftp-missing there"):
        sudoer.put_dir(str(site), "www", use_sudo=True)


# Any names and any structure.

names = (
    st.binary(min_size=1, max_size=20)
    .map(lambda name: name.replace(b"/", b"-").replace(b"\0", b"\n"))
    .filter(lambda name: name not in (b".", b".."))
) | st.sampled_from([b"-rf", b"a\nb", b"'", b'"$(x)"', b"\xff\xfe", b"~", b"*", b" ", b"..."])
trees = st.recursive(
    st.binary(max_size=50) | st.none(),
    lambda inner: st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
).filter(lambda made: isinstance(made, dict))


def make(path: bytes, made: object) -> None:
    if isinstance(made, dict):
        os.mkdir(path)
        for name, inner in made.items():
            make(os.path.join(path, name), inner)
    elif made is None:
        os.symlink(b"lead\xffs to\n" + os.path.basename(path), path)
    else:
        assert isinstance(made, bytes)
        Path(os.fsdecode(path)).write_bytes(made)


@given(made=trees)
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_tree_comes_back(host: Host, made: object) -> None:
    with tempfile.TemporaryDirectory() as directory:
        make(os.fsencode(f"{directory}/made"), made)
        host.put_dir(f"{directory}/made", "tree", delete=True)
        host.get_dir("tree", f"{directory}/back")
        assert tree(f"{directory}/back") == tree(f"{directory}/made")
        assert not host.put_dir(f"{directory}/made", "tree").changed
        shutil.rmtree(f"{directory}/made")
    host.run("rm -rf tree")
