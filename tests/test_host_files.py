"""Files on every host: written whole or not at all; here, and over a real SFTP server."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.exceptions import DeployerException, RemoteFileError
from deployer.host import Host

HostClass = type[Host]


def names(host: Host) -> list[str]:
    return host.listdir(".")


def content(host: Host, path: str, mode: str = "r", use_sudo: bool = False) -> str | bytes:
    with host.open(path, mode, use_sudo) as file:
        found: str | bytes = file.read()
        return found


def test_a_file_is_written_and_read(host: Host) -> None:
    with host.open("file", "w") as file:
        assert file.write("line 1\n") == 7
        file.writelines(["line 2\n", "é\n"])
    with host.open("file") as file:
        assert file.read(4) == "line"
        assert file.readline() == " 1\n"
        assert list(file) == ["line 2\n", "é\n"]
        assert file.read() == ""
    assert host.run("cat file") == "line 1\nline 2\né\n"


def test_without_a_mode_the_first_use_decides(host: Host) -> None:
    with host.open("file") as file:
        file.write("text")
    with host.open("file") as file:
        assert file.read() == "text"
        with pytest.raises(OSError, match=r"not writable|write"):
            file.write("more")
    with host.open("file") as file:
        file.write(b"bytes")
    assert content(host, "file", "rb") == b"bytes"


def test_a_file_that_was_opened_and_not_used_is_left_alone(host: Host) -> None:
    with host.open("file"):
        pass
    assert names(host) == []


def test_modes(host: Host) -> None:
    for mode, text in (("w", "1"), ("a", "2"), ("ab", b"3"), ("a", "4")):
        with host.open("file", mode) as file:
            file.write(text)
    assert content(host, "file", "rb") == b"1234"
    with host.open("new", "a") as file:
        file.write("appended")
    with host.open("other", "x") as file:
        file.write("exclusive")
    with pytest.raises(RemoteFileError, match="File exists"):
        host.open("other", "x")
    assert content(host, "other") == "exclusive"
    for mode in ("", "rw", "r++", "wbt", "q", "+", "rr"):
        with pytest.raises(ValueError, match="mode"):
            host.open("file", mode)


def test_a_file_is_changed_in_place_and_seen_whole_at_close(host: Host) -> None:
    host.run("printf 0123456789 >file; chmod 640 file")
    with host.open("file", "r+") as file:
        assert file.read(3) == "012"
        file.seek(5)
        file.write("FIVE")
        file.seek(0, os.SEEK_END)
        assert file.tell() == 10
        file.write("\nend")
        assert file.seek(0) == 0
        assert file.read() == "01234FIVE9\nend"
        assert host.run("cat file") == "0123456789"
    assert host.run("cat file; stat -c ' %a' file") == "01234FIVE9\nend 640\n"
    with host.open("file", "rb+") as file:
        assert file.truncate(4) == 4
    assert content(host, "file", "rb") == b"0123"
    with host.open("file", "a+") as file:
        assert file.tell() == 4
        file.seek(0)
        file.write("45")
        file.seek(0)
        assert file.read() == "012345"
    with host.open("file", "w+b") as file:
        assert file.read() == b""
        file.write(b"xyz")
        file.seek(1)
        assert file.read() == b"yz"
    with host.open("new", "x+") as file:
        file.write("new")
    with host.open("other", "a+") as file:
        assert file.read() == ""
        file.write("other")
    assert host.run("cat file new other") == "xyznewother"
    with pytest.raises(RemoteFileError, match="File exists"):
        host.open("new", "x+")
    with pytest.raises(RemoteFileError, match="cannot read missing: No such file"):
        host.open("missing", "r+")
    with pytest.raises(ZeroDivisionError), host.open("file", "r+") as file:
        file.write("never")
        raise ZeroDivisionError
    assert content(host, "file") == "xyz"
    assert names(host) == ["file", "new", "other"]


def test_a_file_that_is_read_can_be_searched(host: Host) -> None:
    data = bytes(range(256)) * 1000
    with host.open("file", "wb") as file:
        file.write(data)
        assert not file.seekable()
        with pytest.raises(io.UnsupportedOperation):
            file.seek(0)
    with host.open("file", "rb") as file:
        assert file.seekable()
        assert file.seek(-10, os.SEEK_END) == 255_990
        assert file.read() == data[-10:]
        assert file.seek(100_000) == 100_000
        assert (file.read(5), file.tell()) == (data[100_000:100_005], 100_005)
        assert file.seek(-5, os.SEEK_CUR) == 100_000
        buffer = bytearray(70_000)
        assert file.readinto(buffer) == 70_000
        assert buffer == data[100_000:170_000]
        with pytest.raises(OSError):
            file.seek(-1)
    with host.open("archive", "w+b") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("name", "text")
    with host.open("archive", "rb") as file, zipfile.ZipFile(file) as archive:
        assert archive.read("name") == b"text"


def test_encodings_and_line_ends(host: Host) -> None:
    with host.open("file", "w", encoding="latin-1") as file:
        file.write("é\r\nx\n")
    assert content(host, "file", "rb") == b"\xe9\r\nx\n"
    with host.open("file", encoding="latin-1") as file:
        assert list(file) == ["é\r\n", "x\n"]
    with host.open("file", encoding="latin-1", newline=None) as file:
        assert file.read() == "é\nx\n"
    with host.open("file", errors="replace") as file:
        assert file.read() == "\ufffd\r\nx\n"
    with pytest.raises(UnicodeDecodeError), host.open("file") as file:
        file.read()
    with host.open("file", "w", newline="\r\n") as file:
        file.write("a\nb\n")
    assert content(host, "file", "rb") == b"a\r\nb\r\n"
    for options in ({"encoding": "utf-8"}, {"newline": ""}, {"errors": "replace"}):
        with pytest.raises(ValueError, match="is for bytes"):
            host.open("file", "rb", **options)
    with pytest.raises(ValueError, match="newline"):
        host.open("file", newline="x")
    with pytest.raises(LookupError, match="no-such"):
        host.open("file", encoding="no-such")


def test_nothing_is_seen_before_close(host: Host) -> None:
    with host.open("file", "w") as file:
        file.write("old")
    file = host.open("file", "w")
    file.write("new" * 1_000_000)
    assert content(host, "file") == "old"
    file.close()
    assert len(content(host, "file")) == 3_000_000
    assert names(host) == ["file"]


def test_an_exception_leaves_the_old_file_and_no_litter(host: Host) -> None:
    with host.open("file", "w") as file:
        file.write("old")
    with pytest.raises(ZeroDivisionError), host.open("file", "w") as file:
        file.write("new" * 1_000_000)
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), host.open("never", "w") as file:
        file.write("new")
        raise ZeroDivisionError
    assert names(host) == ["file"]
    assert content(host, "file") == "old"


def test_a_file_keeps_its_mode_and_a_new_one_gets_the_usual(host: Host) -> None:
    host.run("echo old >file; chmod 640 file; (umask 022; echo >usual)")
    for name in ("file", "new"):
        with host.open(name, "w") as file:
            file.write("#!/bin/sh\n")
    assert host.stat("file").permissions == 0o640
    assert host.stat("new").permissions == host.stat("usual").permissions


def test_what_is_being_written_is_nobody_elses(host: Host) -> None:
    file = host.open("file", "w")
    file.write("x" * 1_000_000)
    (private,) = host.listdir_stat(".")
    assert private.is_dir and private.permissions == 0o700
    file.abort()
    assert names(host) == []


def test_the_target_of_a_link_is_written_and_the_link_stays(host: Host) -> None:
    host.run("mkdir sub; echo old >sub/target; ln -s sub/target link; ln -s link link2")
    host.run("ln -s sub/missing dangling")
    with host.open("link2", "w") as file:
        file.write("new")
    with host.open("dangling", "w") as file:
        file.write("made")
    assert host.run("cat sub/target; readlink link link2; cat sub/missing") == (
        "newsub/target\nlink\nmade"
    )


@pytest.mark.parametrize(
    ("prepare", "path", "mode", "reason"),
    [
        ("true", "missing", "r", "No such file"),
        ("true", "missing/file", "w", "No such file"),
        ("mkdir dir", "dir", "w", "Is a directory"),
        ("mkdir dir", "dir", "r", "Is a directory"),
        ("mkfifo fifo", "fifo", "w", "not a regular file"),
        ("ln -s loop loop", "loop", "w", "Too many levels of symbolic links"),
    ],
)
def test_what_cannot_be_opened_says_why(
    host: Host, prepare: str, path: str, mode: str, reason: str
) -> None:
    host.run(prepare)
    before = names(host)
    verb = "read" if mode == "r" else "write"
    with pytest.raises(RemoteFileError, match=f"{host.slug}: cannot {verb} {path}: .*{reason}"):
        host.open(path, mode)
    assert names(host) == before


def test_a_missing_file_is_an_os_error_with_its_number(host: Host) -> None:
    with pytest.raises(OSError) as caught:
        host.stat("missing")
    assert caught.value.errno == errno.ENOENT
    assert isinstance(caught.value, DeployerException)


def test_a_file_that_says_it_is_empty_is_read(host: Host) -> None:
    assert host.stat("/proc/version").st_size == 0
    assert str(content(host, "/proc/version")).startswith("Linux version")


def test_a_file_that_nobody_closes_is_a_warning_and_no_litter(host: Host) -> None:
    with host.open("file", "w") as file:
        file.write("old")
    unclosed = host.open("file", "w")
    unclosed.write("new" * 1_000_000)
    assert len(names(host)) == 2
    with pytest.warns(RuntimeWarning, match="'file'.* was not closed; what .* drop"):
        del unclosed, file
    # More than a server has sessions.
    for _ in range(12):
        with pytest.warns(ResourceWarning, match="was not closed"):
            host.open("file").read()
    assert (names(host), content(host, "file")) == (["file"], "old")


def test_a_long_file_grows(host: Host) -> None:
    for part in "ab":
        with host.open("file", "a") as file:
            file.write(part * 5_000_000)
    assert content(host, "file") == "a" * 5_000_000 + "b" * 5_000_000


def test_a_file_goes_where_a_relative_cd_leads(host: Host, tmp_path: Path) -> None:
    host.run("mkdir -p 'a dir/b'")
    (tmp_path / "source").write_text("text")
    with host.cd("a dir"), host.cd("b"):
        host.put_file(str(tmp_path / "source"), "target")
    assert host.run("cat 'a dir/b/target'") == "text"


def test_a_closed_file_is_closed(host: Host) -> None:
    file = host.open("file", "w")
    file.close()
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.write("more")
    assert content(host, "file") == ""


def test_files_are_found(host: Host) -> None:
    host.run("mkdir dir; echo 12345 >dir/file; ln -s file dir/link; ln -s nowhere dir/broken")
    assert host.exists("dir/file") and host.exists("dir") and host.exists("dir/link")
    assert not host.exists("dir/broken")
    assert not host.exists("missing") and not host.exists("dir/file/x")
    assert host.listdir("dir") == ["broken", "file", "link"]
    found = {entry.filename: entry for entry in host.listdir_stat("dir")}
    assert found["file"].is_file and found["file"].st_size == 6
    assert found["link"].is_link and not found["link"].is_file
    assert host.stat("dir").is_dir and host.stat("dir/link").is_file
    with pytest.raises(RemoteFileError, match=r"cannot list missing: No such file"):
        host.listdir("missing")


def test_paths_are_expanded(host: Host) -> None:
    here = host.getcwd()
    home = host.get_home_directory()
    assert host.expand_path("a/./b//c/.") == f"{here}/a/b/c"
    assert host.expand_path("~") == home
    assert host.expand_path("~/x y") == f"{home}/x y"
    assert host.expand_path("~", expand=False) == f"{here}/~"
    assert host.expand_path("/") == "/"
    assert host.expand_path("~root/x") == f"{host.get_home_directory('root')}/x"
    with pytest.raises(RemoteFileError, match="no user 'nobody-like-this'"):
        host.expand_path("~nobody-like-this/x")


def test_put_and_get(host: Host, tmp_path: Path) -> None:
    source = tmp_path / "script.sh"
    source.write_bytes(bytes(range(256)) * 5000)
    source.chmod(0o750)
    host.put_file(str(source), "uploaded")
    host.run("mkdir dir")
    host.put_file(str(source), "dir")
    assert host.stat("uploaded").permissions == 0o750
    assert host.stat("dir/script.sh").st_size == 256 * 5000
    host.get_file("uploaded", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    host.get_file("uploaded", str(tmp_path))
    assert (tmp_path / "uploaded").exists()


def test_the_tilde_of_a_local_path_is_the_home_directory_here(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.run("echo text >file")
    monkeypatch.setenv("HOME", str(tmp_path))
    host.get_file("file", "~/copy")
    host.put_file("~/copy", "again")
    assert host.run("cat again") == "text\n"


def test_a_failed_get_leaves_the_local_file(host: Host, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("old")
    with pytest.raises(RemoteFileError, match="cannot read missing: No such file"):
        host.get_file("missing", str(target))
    with pytest.raises(RemoteFileError, match=r"this machine: cannot write .*/no/dir"):
        host.run("touch file")
        host.get_file("file", str(tmp_path / "no" / "dir"))
    with pytest.raises(RemoteFileError, match="this machine: cannot read /missing"):
        host.put_file("/missing", "x")
    assert target.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir() if entry.name[0] == "."] == []


any_name = st.binary(min_size=1, max_size=150).filter(
    lambda name: name not in (b".", b"..") and not set(b"\0/") & set(name)
).map(os.fsdecode) | st.text(
    st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1
).filter(lambda name: name not in (".", "..") and len(os.fsencode(name)) < 150)


@given(name=any_name, text=st.text(st.characters(exclude_categories=["Cs"])))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_name_and_text_comes_back(host: Host, name: str, text: str) -> None:
    with host.cd(host.getcwd(), expand=False):
        name = f"./{name}"
        with host.open(name, "w") as file:
            file.write(text)
        with host.open(name, "r") as file:
            assert file.read() == text
        assert host.exists(name)
        host.run("find . -type f -delete")


# As root, on a host where that takes sudo.


@pytest.fixture
def sudoer(ssh_host: type[Host]) -> Iterator[Host]:
    host = ssh_host()
    host.sudo("mkdir -m 700 /var/private")
    with host.cd("/var/private"):
        yield host
    host.sudo("rm -rf /var/private; rm -rf /tmp/deployer-*")


def test_root_writes_and_reads_what_the_user_may_not(sudoer: Host) -> None:
    with pytest.raises(RemoteFileError, match="Permission denied"):
        sudoer.open("file", "w")
    for mode, text in (("w", "one\n"), ("a", "two é\n")):
        with sudoer.open("file", mode, use_sudo=True) as file:
            file.write(text)
    assert content(sudoer, "file", use_sudo=True) == "one\ntwo é\n"
    assert sudoer.exists("file", use_sudo=True)
    assert not sudoer.exists("missing", use_sudo=True)
    assert sudoer.sudo("stat -c '%U %G %a' file; ls -A") == "root root 644\nfile\n"
    assert sudoer.run("ls -d /tmp/deployer-*", ignore_exit_status=True) == ""


def test_root_keeps_mode_owner_and_links(sudoer: Host) -> None:
    sudoer.sudo("echo old >file; chown www-data:adm file; chmod 640 file; ln -s file link")
    with sudoer.open("link", "w", use_sudo=True) as file:
        file.write("new")
    assert sudoer.sudo("stat -c '%U %G %a' file; readlink link; cat file") == (
        "www-data adm 640\nfile\nnew"
    )


def test_a_failed_sudo_write_leaves_the_old_file_and_no_litter(sudoer: Host) -> None:
    sudoer.sudo("echo -n old >file; mkdir dir")
    with pytest.raises(ZeroDivisionError), sudoer.open("file", "w", use_sudo=True) as file:
        file.write("new")
        raise ZeroDivisionError
    refused = pytest.raises(RemoteFileError, match=r"cannot write dir: .*Is a directory")
    with refused, sudoer.open("dir", "w", use_sudo=True) as file:
        file.write("new")
    refused = pytest.raises(RemoteFileError, match=r"cannot write file: .*File exists")
    with refused, sudoer.open("file", "x", use_sudo=True) as file:
        file.write("new")
    with pytest.raises(RemoteFileError, match=r"cannot read missing: .*No such file"):
        sudoer.open("missing", "r", use_sudo=True)
    assert sudoer.sudo("cat file; ls -A . dir; ls -d /tmp/deployer-* || true") == (
        "old.:\ndir\nfile\n\ndir:\n"
    )


def test_a_file_of_somebody_else_is_not_taken_over(ssh_host: type[Host]) -> None:
    host = ssh_host()
    host.sudo("mkdir -m 777 /var/shared; echo old >/var/shared/file; chmod 666 /var/shared/file")
    try:
        refused = pytest.raises(RemoteFileError, match="use_sudo=True")
        with refused, host.open("/var/shared/file", "w") as file:
            file.write("new")
        assert host.run("cat /var/shared/file; ls -A /var/shared") == "old\nfile\n"
        with host.open("/var/shared/file", "w", use_sudo=True) as file:
            file.write("new")
        assert host.stat("/var/shared/file").st_uid == 0
    finally:
        host.sudo("rm -r /var/shared")


def test_root_changes_a_file_in_place(sudoer: Host) -> None:
    sudoer.sudo("printf 0123456789 >file; chown www-data file")
    with sudoer.open("file", "r+b", use_sudo=True) as file:
        file.seek(3)
        file.write(b"xx")
    with sudoer.open("file", "a+", use_sudo=True) as file:
        file.write("end")
    with sudoer.open("new", "a+", use_sudo=True) as file:
        file.write("new")
    assert sudoer.sudo("cat file new; stat -c ' %U' file") == "012xx56789endnew www-data\n"
    with pytest.raises(RemoteFileError, match="cannot read missing: No such file") as caught:
        sudoer.open("missing", "r+", use_sudo=True)
    assert caught.value.errno == errno.ENOENT


def test_root_reads_any_bytes_piece_by_piece(sudoer: Host) -> None:
    sudoer.sudo("head -c 3000000 /dev/urandom >file")
    with sudoer.open("file", "rb", use_sudo=True) as file:
        assert not file.seekable()
        begin = file.read(10)
        data = begin + file.read()
    assert sudoer.sudo("sha256sum file").split()[0] == hashlib.sha256(data).hexdigest()
    with sudoer.open("file", "rb", use_sudo=True) as file:
        assert file.read(10) == begin
    assert str(content(sudoer, "/proc/version", use_sudo=True)).startswith("Linux version")


def test_root_puts_a_file_into_a_directory_that_others_cannot_see(
    sudoer: Host, tmp_path: Path
) -> None:
    sudoer.sudo("mkdir dir")
    (tmp_path / "source").write_text("text")
    sudoer.put_file(str(tmp_path / "source"), "dir", use_sudo=True)
    assert sudoer.sudo("cat dir/source") == "text"


def test_put_and_get_as_root(sudoer: Host, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("text")
    source.chmod(0o600)
    sudoer.put_file(str(source), "file", use_sudo=True)
    assert sudoer.sudo("stat -c '%U %a' file") == "root 600\n"
    sudoer.get_file("file", str(tmp_path / "back"), use_sudo=True)
    assert (tmp_path / "back").read_text() == "text"
    assert stat.S_IMODE((tmp_path / "back").stat().st_mode) & 0o077 == 0o044 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
