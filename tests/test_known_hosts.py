"""known_hosts files, as OpenSSH writes and reads them."""

from __future__ import annotations

import base64
import fcntl
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from deployer.host.ssh import known_hosts
from deployer.host.ssh.known_hosts import (
    OtherKey,
    Verdict,
    add,
    find,
    fingerprint,
    judge,
    parse,
)


def key_of(kind: str, number: bytes) -> bytes:
    """Return the public half of a key: strings behind their lengths."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in (kind.encode(), number))


KEY = key_of("ed25519", b"the key of the host")
OTHER = key_of("ed25519", b"another key")
RSA = key_of("rsa", b"a key of another kind")


def encoded(key: bytes) -> str:
    return base64.b64encode(key).decode()


@pytest.fixture
def known(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        file = tmp_path / "known_hosts"
        file.write_text(text)
        return str(file)

    return write


@pytest.mark.parametrize(
    ("lines", "hostname", "port", "verdict"),
    [
        ("web ed25519 {key}", "web", 22, Verdict.KNOWN),
        ("web ed25519 {key}", "db", 22, Verdict.UNKNOWN),
        ("web ed25519 {other}", "web", 22, Verdict.CHANGED),
        ("web rsa {rsa}", "web", 22, Verdict.CHANGED),
        ("web rsa {rsa}\nweb ed25519 {key}", "web", 22, Verdict.KNOWN),
        ("web,10.0.0.1 ed25519 {key} comment", "10.0.0.1", 22, Verdict.KNOWN),
        ("[web]:2222 ed25519 {key}", "web", 2222, Verdict.KNOWN),
        ("[web]:2222 ed25519 {key}", "web", 22, Verdict.UNKNOWN),
        ("web ed25519 {key}", "web", 2222, Verdict.KNOWN),
        # On another port, another server may listen.
        ("web ed25519 {other}", "web", 2222, Verdict.UNKNOWN),
        ("web ed25519 {key}\n[web]:2222 ed25519 {other}", "web", 2222, Verdict.CHANGED),
        ("@revoked web ed25519 {key}", "web", 2222, Verdict.REVOKED),
        ("[::1]:2222 ed25519 {key}", "::1", 2222, Verdict.KNOWN),
        ("*.example.com,!db.example.com ed25519 {key}", "www.example.com", 22, Verdict.KNOWN),
        ("*.example.com,!db.example.com ed25519 {key}", "db.example.com", 22, Verdict.UNKNOWN),
        ("WEB ed25519 {key}", "web", 22, Verdict.KNOWN),
        ("@revoked * ed25519 {key}", "web", 22, Verdict.REVOKED),
        ("@revoked * ed25519 {key}\nweb ed25519 {key}", "web", 22, Verdict.REVOKED),
        ("@cert-authority * ed25519 {key}", "web", 22, Verdict.UNKNOWN),
        ("# web ed25519 {key}\n\ngarbage\nweb\nweb ed25519 !!!\n", "web", 22, Verdict.UNKNOWN),
        ("w[e]b ed25519 {key}", "web", 22, Verdict.UNKNOWN),
        ("w?b,*.com ed25519 {other}", "WEB", 22, Verdict.CHANGED),
        # A line that is damaged says nothing.
        ("web rsa {other}", "web", 22, Verdict.UNKNOWN),
        ("web ed25519 {other}AAAA", "web", 22, Verdict.UNKNOWN),
        ("web ed25519 AAAAB2VkMjU1MTk=", "web", 22, Verdict.UNKNOWN),
        ("\x0cdb ed25519 {other}\x85\u2028web ed25519 {key}", "web", 22, Verdict.UNKNOWN),
        ("\ufffd\0\nweb ed25519 {key}\r\n", "web", 22, Verdict.KNOWN),
        ("x" * 100_000 + " ed25519 {other}\nweb ed25519 {key}", "web", 22, Verdict.KNOWN),
        ("|1|garbage ed25519 {other}\n|1||| ed25519 {other}", "web", 22, Verdict.UNKNOWN),
    ],
)
def test_what_the_file_says(
    known: Callable[[str], str], lines: str, hostname: str, port: int, verdict: Verdict
) -> None:
    filename = known(lines.format(key=encoded(KEY), other=encoded(OTHER), rsa=encoded(RSA)))
    assert judge(find([filename], hostname, port), "ed25519", KEY)[0] is verdict


def test_the_line_that_disagrees_is_named(known: Callable[[str], str]) -> None:
    filename = known(f"# first\nweb ed25519 {encoded(OTHER)}\n")
    _, entry = judge(find([filename], "web", 22), "ed25519", KEY)
    assert entry is not None
    assert (entry.filename, entry.line, entry.key) == (filename, 2, OTHER)


def test_a_kind_that_the_host_was_not_asked_for_says_nothing(known: Callable[[str], str]) -> None:
    filename = known(f"web rsa {encoded(RSA)}\n")
    found = find([filename], "web", 22)
    assert judge(found, "ed25519", KEY, ["ed25519"])[0] is Verdict.UNKNOWN
    assert judge(found, "ed25519", KEY, ["ed25519", "rsa"])[0] is Verdict.CHANGED


def test_a_known_rsa_key_is_asked_for_by_the_names_of_its_signatures(
    known: Callable[[str], str],
) -> None:
    rsa = key_of("ssh-rsa", b"3")
    found = find([known(f"web ssh-rsa {encoded(rsa)}\n")], "web", 22)
    assert judge(found, "ed25519", KEY, ["rsa-sha2-512"])[0] is Verdict.CHANGED


def test_names_that_ssh_keygen_hashed_are_found(known: Callable[[str], str]) -> None:
    filename = known("")
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{filename}_key"], check=True
    )
    kind, key, *_ = Path(f"{filename}_key.pub").read_text().split()
    Path(filename).write_text(f"[web]:2222 {kind} {key}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", filename], check=True, capture_output=True)
    assert "web" not in Path(filename).read_text()
    found = find([filename], "web", 2222)
    assert judge(found, kind, base64.b64decode(key))[0] is Verdict.KNOWN
    assert find([filename], "db", 2222) == []


@pytest.mark.parametrize("hashed", [False, True])
def test_ssh_keygen_finds_what_was_added(tmp_path: Path, hashed: bool) -> None:
    filename = tmp_path / "new" / "known_hosts"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "k"], check=True
    )
    kind, key, *_ = (tmp_path / "k.pub").read_text().split()
    # As OpenSSH does, which looks for hosts in lower case.
    add(str(filename), "WEB", 2222, kind, base64.b64decode(key), hashed)
    found = subprocess.run(
        ["ssh-keygen", "-F", "[web]:2222", "-f", filename],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert key in found
    assert ("web" not in filename.read_text()) == hashed
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", tmp_path / "k.pub"], check=True, capture_output=True, text=True
    ).stdout
    assert fingerprint(base64.b64decode(key)) == shown.split()[1]


def test_a_key_is_added_once_and_behind_an_unfinished_line(known: Callable[[str], str]) -> None:
    filename = known("db ed25519 AAAA")
    assert add(filename, "web", 22, "ed25519", KEY, hashed=False)
    assert not add(filename, "web", 22, "ed25519", KEY, hashed=False)
    assert Path(filename).read_text() == f"db ed25519 AAAA\nweb ed25519 {encoded(KEY)}\n"


@pytest.mark.parametrize("hashed", [False, True])
def test_of_two_keys_that_are_new_at_once_one_is_refused(
    known: Callable[[str], str], hashed: bool
) -> None:
    filename = known("")
    # Both were found unknown before either was added.
    assert add(filename, "web", 2222, "ed25519", KEY, hashed)
    with pytest.raises(OtherKey) as caught:
        add(filename, "web", 2222, "ed25519", OTHER, hashed)
    assert caught.value.entry.key == KEY
    assert add(filename, "web", 2222, "rsa", RSA, hashed)
    assert add(filename, "web", 22, "ed25519", OTHER, hashed)


def test_many_first_contacts_at_once_leave_every_line_whole(known: Callable[[str], str]) -> None:
    filename = known("")
    threads = [
        threading.Thread(target=add, args=(filename, f"web{n}", 22, "ed25519", KEY, n % 2 == 0))
        for n in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = parse(Path(filename).read_text(), filename)
    assert len(entries) == len(Path(filename).read_text().splitlines()) == 50
    assert all(known_hosts.find([filename], f"web{n}", 22) for n in range(50))


def test_two_processes_leave_every_line_whole(known: Callable[[str], str]) -> None:
    filename = known("db ed25519 unfinished")
    program = (
        "import sys; from deployer.host.ssh.known_hosts import add\n"
        "key = bytes.fromhex(sys.argv[3])\n"
        "for n in range(100):\n"
        "    add(sys.argv[1], f'{sys.argv[2]}{n}', 22, 'ed25519', key, False)\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program, filename, name, KEY.hex()])
        for name in ("a", "b")
    ]
    assert [process.wait() for process in processes] == [0, 0]
    first, *lines = Path(filename).read_text().splitlines()
    assert first == "db ed25519 unfinished"
    assert sorted(lines) == sorted(
        f"{name}{n} ed25519 {encoded(KEY)}" for name in ("a", "b") for n in range(100)
    )


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    filename = tmp_path / "known_hosts"
    filename.write_text("db ed25519 AAAA\n")
    program = (
        "import resource, signal, sys; from deployer.host.ssh.known_hosts import add\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (30, 30))\n"
        "try: add(sys.argv[1], 'web', 22, 'ed25519', bytes.fromhex(sys.argv[2]), False)\n"
        "except OSError: sys.exit(3)\n"
    )
    completed = subprocess.run([sys.executable, "-c", program, filename, KEY.hex()])
    assert completed.returncode == 3
    assert filename.read_text() == "db ed25519 AAAA\n"


def test_a_file_that_another_process_keeps_locked_is_given_up(
    known: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_hosts, "_LOCKED", 0.05)
    filename = known("")
    with open(filename) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError, match="locked"):
            add(filename, "web", 22, "ed25519", KEY, hashed=False)


def test_a_directory_that_is_made_is_private(tmp_path: Path) -> None:
    filename = tmp_path / "home" / ".ssh" / "known_hosts"
    add(str(filename), "web", 22, "ed25519", KEY, hashed=False)
    assert filename.parent.stat().st_mode & 0o777 == 0o700
    assert filename.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_missing_knows_nobody(tmp_path: Path) -> None:
    assert find([str(tmp_path / "missing")], "web", 22) == []
