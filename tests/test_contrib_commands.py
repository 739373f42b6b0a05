"""Shell commands that are made of Python values: literal, and safe to run twice."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from deployer.contrib.commands import append_line, bashrc_append, download, extract, symlink, wget
from deployer.host import SSHHost
from world import World

pytestmark = pytest.mark.machine

HOSTILE = 'it\'s a "$HOME" `id` \\ -x'


def sh(command: str, directory: Path) -> str:
    return subprocess.run(
        ["sh", "-c", command], cwd=directory, check=True, capture_output=True, encoding="utf-8"
    ).stdout


def fail(command: str, directory: Path) -> str:
    """Return what a command says that fails."""
    done = subprocess.run(
        ["sh", "-c", command], cwd=directory, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode
    return done.stderr


def state(path: Path) -> tuple[int, int]:
    """Return what changes when a file is replaced or written."""
    found = path.lstat()
    return found.st_ino, found.st_mtime_ns


def test_a_line_is_appended_once(tmp_path: Path) -> None:
    command = append_line("a file", HOSTILE)
    sh(f"{command}; {command}", tmp_path)
    assert (tmp_path / "a file").read_text() == f"{HOSTILE}\n"


def test_a_line_does_not_run_into_an_unended_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("first\nsecond")
    sh(append_line("file", "third"), tmp_path)
    assert (tmp_path / "file").read_text() == "first\nsecond\nthird\n"


def test_a_part_of_a_line_is_not_the_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("PATH=/bin:/usr/bin\n")
    sh(append_line("file", "PATH=/bin"), tmp_path)
    assert (tmp_path / "file").read_text() == "PATH=/bin:/usr/bin\nPATH=/bin\n"


def test_more_than_a_line_is_refused() -> None:
    with pytest.raises(ValueError, match="one line"):
        append_line("file", "a\nb")


def test_bashrc_is_the_one_of_the_user(tmp_path: Path) -> None:
    sh(f"HOME='{tmp_path}'; {bashrc_append('alias ll=ls')}", tmp_path)
    assert (tmp_path / ".bashrc").read_text() == "alias ll=ls\n"


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (wget("http://a/?b=c&d='e'"), ["wget", "--no-verbose", "--", "http://a/?b=c&d='e'"]),
        (
            wget("-x", "/a b/$c"),
            ["wget", "--no-verbose", "--output-document=/a b/$c", "--", "-x"],
        ),
    ],
)
def test_wget_gets_its_arguments_literally(
    command: str, arguments: list[str], tmp_path: Path
) -> None:
    printed = sh(f'wget() {{ printf "%s\\n" wget "$@"; }}; {command}', tmp_path)
    assert printed.splitlines() == arguments


# download


CONTENT = b"what is to be downloaded\n"
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def source(tmp_path: Path) -> str:
    """Return the URL of a file, with characters that curl takes for a pattern."""
    path = tmp_path / "source{a,b}[1-2]"
    path.write_bytes(CONTENT)
    return f"file://{path}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "folder"
    path.mkdir()
    return path


@pytest.mark.parametrize("name", [HOSTILE, "-x", "new\nline", "~"])
def test_a_file_is_downloaded_once(source: str, folder: Path, name: str) -> None:
    target = folder / name
    command = download(source, f"./{name}", CHECKSUM.upper())
    sh(f"umask 027; {command}", folder)
    assert target.read_bytes() == CONTENT
    assert target.stat().st_mode & 0o777 == 0o640
    before = state(target)
    sh(command, folder)
    assert state(target) == before
    target.write_text("damaged")
    sh(command, folder)
    assert target.read_bytes() == CONTENT
    assert os.listdir(folder) == [name]


@pytest.mark.parametrize(
    ("checksum", "prefix", "message"),
    [
        ("0" * 64, "", "the checksum of what was downloaded is another"),
        (CHECKSUM, "not", "source"),
    ],
)
def test_a_wrong_download_leaves_the_old_file(
    source: str, folder: Path, checksum: str, prefix: str, message: str
) -> None:
    (folder / "file").write_text("old")
    assert message in fail(download(source + prefix, "file", checksum), folder)
    assert (folder / "file").read_text() == "old"
    (folder / "file").unlink()
    (folder / "file").mkdir()
    fail(download(source, "file", CHECKSUM), folder)
    assert [os.listdir(folder), os.listdir(folder / "file")] == [["file"], []]


def test_without_curl_wget_downloads(source: str, folder: Path) -> None:
    # With nothing but these, and a wget that says what it was given.
    for program in ("sha256sum", "mktemp", "chmod", "mv", "rm"):
        (folder / program).symlink_to(f"/usr/bin/{program}")
    copy = f'read -r line <{shlex.quote(source.removeprefix("file://"))}; echo "$line" >"$3"'
    wget = f'wget() {{ printf "%s\\n" "$1" "$2" "$4" "$5"; {copy}; }}'
    path = f"PATH={shlex.quote(str(folder))}"
    printed = sh(f"{wget}; {path}; {download(source, 'file', CHECKSUM)}", folder)
    assert printed.splitlines() == ["-nv", "-O", "--", source]
    assert (folder / "file").read_bytes() == CONTENT


def test_a_checksum_is_one() -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits, unlike 'abc'"):
        download("http://a/", "file", "abc")


# extract


@pytest.mark.parametrize(
    ("ending", "pack"),
    [
        (".tar", "tar -cf {} -C {} ."),
        (".tgz", "tar -czf {} -C {} ."),
        (".tar.bz2", "tar -cjf {} -C {} ."),
        (".tar.xz", "tar -cJf {} -C {} ."),
        (".tar.zst", "tar --zstd -cf {} -C {} ."),
        (".ZIP", 'archive=$PWD/{}; cd {}; zip -qr - . >"$archive"'),
    ],
)
def test_an_archive_is_unpacked_into_a_directory(tmp_path: Path, ending: str, pack: str) -> None:
    inside = tmp_path / "inside" / "a b"
    inside.mkdir(parents=True)
    (inside / "-file").write_text("content")
    archive = f"[x]*{HOSTILE}:1{ending}"
    sh(pack.format(f"./{shlex.quote(archive)}", "inside"), tmp_path)
    command = extract(archive, "-made/of: it's")
    for _ in range(2):
        sh(command, tmp_path)
        assert (tmp_path / "-made/of: it's/a b/-file").read_text() == "content"


def test_what_is_unpacked_as_root_belongs_to_root(world: World, admin_host: type[SSHHost]) -> None:
    folder = world.run(["mktemp", "-d"], user="nosudo").strip()
    world.run(
        ["sh", "-c", 'cd "$1" && echo x >file && tar -czf a.tgz file', "sh", folder], user="nosudo"
    )
    for _ in range(2):
        admin_host().sudo(extract(f"{folder}/a.tgz", "/etc/unpacked-by-the-test"))
    assert world.run(["stat", "-c", "%U", "/etc/unpacked-by-the-test/file"]) == "root\n"
    world.run(["rm", "-r", "/etc/unpacked-by-the-test", folder])


def test_what_is_no_archive_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'a\.rar' does not end like an archive: in \.tar, "):
        extract("a.rar", "/srv")


# symlink


@pytest.mark.parametrize("target", ["releases/2", "-x", HOSTILE, "!", "/"])
def test_a_symlink_is_made_and_led_elsewhere(tmp_path: Path, target: str) -> None:
    link = tmp_path / HOSTILE
    (tmp_path / "releases" / "1").mkdir(parents=True)
    sh(symlink("releases/1", HOSTILE), tmp_path)
    assert os.readlink(link) == "releases/1"
    command = symlink(target, HOSTILE)
    sh(command, tmp_path)
    assert os.readlink(link) == target
    before = state(link)
    sh(command, tmp_path)
    assert state(link) == before
    assert sorted(os.listdir(tmp_path)) == sorted([HOSTILE, "releases"])
    assert os.listdir(tmp_path / "releases" / "1") == []


def test_a_symlink_may_lead_home(tmp_path: Path) -> None:
    sh(f"HOME='{tmp_path}'; {symlink('~/a b', '~/link')}", tmp_path)
    assert os.readlink(tmp_path / "link") == f"{tmp_path}/a b"


def test_what_is_no_symlink_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    (tmp_path / "directory").mkdir()
    assert fail(symlink("x", "file"), tmp_path) == "file is there, and is no symlink\n"
    assert fail(symlink("x", "directory"), tmp_path) == "directory is there, and is no symlink\n"
    assert (tmp_path / "file").read_text() == "content"
    assert os.listdir(tmp_path / "directory") == []
