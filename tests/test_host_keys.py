"""Host keys against real servers: which are trusted, which are refused, and what is kept."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployer.exceptions import HostKeyError
from deployer.host import SSHHost
from deployer.pseudo_terminal import DummyPty, Pty
from world import Server, World

NewHost = Callable[..., type[SSHHost]]
KINDS = ("ed25519", "ecdsa", "rsa")


@pytest.fixture(scope="module")
def keys(world: World) -> dict[str, str]:
    """Make keys for servers, and give the public ones by their file in the world."""
    public = {}
    world.run(["mkdir", "-p", "/run/keys"])
    for kind in KINDS:
        name = f"/run/keys/{kind}"
        world.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", name])
        public[name] = world.run(["cut", "-d", " ", "-f", "1,2", f"{name}.pub"]).strip()
    return public


@pytest.fixture(scope="module")
def several(world: World, keys: dict[str, str]) -> Iterator[Server]:
    """Run a server with keys of several kinds, which tells of each try to log in."""
    with world.serve(*(f"HostKey {name}" for name in keys), "LogLevel DEBUG1") as server:
        yield server


@pytest.fixture
def known(tmp_path: Path) -> Path:
    return tmp_path / "known"


@pytest.fixture
def config(tmp_path: Path, known: Path) -> Callable[..., str]:
    """Return a function that writes an ssh config with more options, and gives its name."""

    def write(*lines: str) -> str:
        file = tmp_path / "config"
        options = [*lines, f"UserKnownHostsFile {known}", "GlobalKnownHostsFile none"]
        file.write_text("\n".join(options) + "\n")
        return str(file)

    return write


@pytest.fixture
def other_key(tmp_path: Path) -> str:
    """Make a key that no server has."""
    file = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-qt", "ed25519", "-N", "", "-f", file], check=True)
    return " ".join(file.with_suffix(".pub").read_text().split()[:2])


def label(server: Server) -> str:
    return f"[{server.address}]:{server.port}"


def connect(host: type[SSHHost]) -> str:
    """Connect, and return what the person at the terminal was told."""
    pty = DummyPty()
    assert host(pty).run("echo ready", silent=True) == "ready\n"
    host.close_connection()
    return pty.get_output()


def tries_to_log_in(world: World, server: Server) -> int:
    return world.run(["cat", server.log]).count("userauth-request")


# Keys that are refused.


@pytest.mark.parametrize("strict", ["no", "off", "accept-new", "ask", "yes"])
def test_a_changed_key_is_always_refused_before_any_credential(
    new_ssh_host: NewHost,
    config: Callable[..., str],
    world: World,
    several: Server,
    known: Path,
    other_key: str,
    strict: str,
) -> None:
    known.write_text(f"# first\n{label(several)} {other_key}\n")
    before = tries_to_log_in(world, several)
    host = new_ssh_host(server=several, config_filename=config(f"StrictHostKeyChecking {strict}"))
    with pytest.raises(HostKeyError, match="has changed") as caught:
        host().run("true")
    message = str(caught.value)
    assert f"{known} line 2 says ssh-ed25519 SHA256:" in message
    assert len(set(re.findall(r"SHA256:\S{43}", message))) == 2
    assert f"ssh-keygen -f {known} -R '{label(several)}'" in message
    assert tries_to_log_in(world, several) == before
    assert known.read_text() == f"# first\n{label(several)} {other_key}\n"


def test_the_advice_about_a_changed_key_works(
    new_ssh_host: NewHost,
    config: Callable[..., str],
    several: Server,
    known: Path,
    other_key: str,
) -> None:
    known.write_text(f"{label(several)} {other_key}\n")
    host = new_ssh_host(server=several, config_filename=config())
    with pytest.raises(HostKeyError) as caught:
        host().run("true")
    advice = re.findall("`(ssh-keygen .*)`", str(caught.value))
    subprocess.run(["sh", "-c", advice[0]], check=True, capture_output=True)
    assert "added the new key" in connect(host)


@pytest.mark.parametrize("pattern", ["*", "[127.0.0.?]:*", "127.0.0.1"])
def test_a_revoked_key_is_refused_even_where_it_is_known(
    new_ssh_host: NewHost,
    config: Callable[..., str],
    world: World,
    several: Server,
    keys: dict[str, str],
    known: Path,
    pattern: str,
) -> None:
    lines = [f"{label(several)} {key}\n@revoked {pattern} {key}\n" for key in keys.values()]
    known.write_text("".join(lines))
    before = tries_to_log_in(world, several)
    host = new_ssh_host(server=several, config_filename=config())
    with pytest.raises(HostKeyError, match=rf"is revoked by {known} line \d; nothing was sent"):
        host().run("true")
    assert tries_to_log_in(world, several) == before


def test_keys_in_the_list_of_revoked_ones_are_refused(
    new_ssh_host: NewHost,
    config: Callable[..., str],
    several: Server,
    keys: dict[str, str],
    other_key: str,
    tmp_path: Path,
) -> None:
    revoked = tmp_path / "revoked"
    host = new_ssh_host(server=several, config_filename=config(f"RevokedHostKeys {revoked}"))
    # As for ssh, without the list nobody can be trusted.
    with pytest.raises(HostKeyError, match=f"{revoked} .* cannot be read: No such file"):
        host().run("true")
    revoked.write_text(f"# no longer ours\n{other_key} a comment\n")
    assert "added the new key" in connect(host)
    revoked.write_text("\n".join(keys.values()))
    with pytest.raises(HostKeyError, match=rf"is revoked by {revoked} line \d"):
        host().run("true")


def test_a_list_of_revoked_keys_that_cannot_be_read_is_reported(
    new_ssh_host: NewHost,
    config: Callable[..., str],
    several: Server,
    tmp_path: Path,
) -> None:
    revoked = tmp_path / "revoked"
    (tmp_path / "nothing").touch()
    subprocess.run(
        ["ssh-keygen", "-q", "-k", "-f", revoked, tmp_path / "nothing"],
        check=True,
        capture_output=True,
    )
    host = new_ssh_host(server=several, config_filename=config(f"RevokedHostKeys {revoked}"))
    assert f"does not do: {tmp_path}/config line 1: RevokedHostKeys {revoked}" in connect(host)


# Keys that are unknown.


@pytest.mark.parametrize("strict", ["no", "off", "accept-new", "ask"])
def test_an_unknown_key_is_kept_unless_strictness_is_asked_for(
    new_ssh_host: NewHost,
    config: Callable[..., str],
    several: Server,
    keys: dict[str, str],
    known: Path,
    strict: str,
) -> None:
    filename = config(f"StrictHostKeyChecking {strict}")
    told = connect(new_ssh_host(server=several, config_filename=filename))
    (kept,) = known.read_text().splitlines()
    assert kept in {f"{label(several)} {key}" for key in keys.values()}
    assert f"added the new key of {label(several)} to {known}" in told
    assert connect(new_ssh_host(server=several, config_filename=filename)) == ""


def test_the_fingerprint_goes_where_errors_go(
    new_ssh_host: NewHost, config: Callable[..., str], sshd: Server, tmp_path: Path
) -> None:
    out, err = io.StringIO(), io.StringIO()
    host = new_ssh_host(config_filename=config())
    host(Pty(io.StringIO(), out, err)).run("echo ready")
    (tmp_path / "key.pub").write_text(sshd.host_key)
    shown = subprocess.run(
        ["ssh-keygen", "-lf", tmp_path / "key.pub"], check=True, capture_output=True, text=True
    ).stdout
    assert shown.split()[1] in err.getvalue()
    assert "SHA256" not in out.getvalue()


def test_a_certificate_authority_does_not_make_a_key_known(
    new_ssh_host: NewHost,
    config: Callable[..., str],
    several: Server,
    known: Path,
    other_key: str,
) -> None:
    known.write_text(f"@cert-authority * {other_key}\n")
    why = f"{known} line 1 does not help: deployer cannot check certificates of hosts"
    host = new_ssh_host(server=several, config_filename=config(), reject_unknown_hosts=True)
    with pytest.raises(HostKeyError, match="is unknown") as caught:
        host().run("true")
    assert why in str(caught.value)
    told = connect(new_ssh_host(server=several, config_filename=config()))
    assert "added the new key" in told
    assert why in told


@pytest.mark.parametrize("line", [1, 8])
def test_lines_that_make_no_sense_are_passed_over(
    new_ssh_host: NewHost,
    config: Callable[..., str],
    several: Server,
    keys: dict[str, str],
    known: Path,
    line: int,
) -> None:
    name = label(several).encode()
    key = next(iter(keys.values())).encode()
    lines = [
        bytes(range(128, 256)) + b"\0\0 \xff \xfe",
        name,
        name + b" ssh-ed25519",
        name + b" ssh-ed25519 AAAA!!!!",
        name + b" " + key[:50],
        b"x" * 100_000 + b" " + key,
        b"@cert-authority *.example.com " + key,
        b"@unknown-marker * " + key + b"\r",
        b"|1|bad|hash= " + key,
        b"",
        b"\r",
    ]
    lines.insert(line - 1, name + b" " + key + b" a comment\r")
    known.write_bytes(b"\n".join(lines))
    host = new_ssh_host(server=several, config_filename=config(), reject_unknown_hosts=True)
    assert connect(host) == ""
    assert known.read_bytes() == b"\n".join(lines)


def test_names_can_be_hidden(
    new_ssh_host: NewHost, config: Callable[..., str], several: Server, known: Path
) -> None:
    filename = config("HashKnownHosts yes")
    connect(new_ssh_host(server=several, config_filename=filename))
    assert known.read_text().startswith("|1|")
    assert several.address not in known.read_text()
    strict = new_ssh_host(server=several, config_filename=filename, reject_unknown_hosts=True)
    assert connect(strict) == ""


@pytest.mark.parametrize("bits", KINDS)
def test_a_host_with_several_keys_is_asked_for_the_known_one(
    new_ssh_host: NewHost,
    config: Callable[..., str],
    several: Server,
    keys: dict[str, str],
    known: Path,
    bits: str,
) -> None:
    line = f"{label(several)} {keys[f'/run/keys/{bits}']}\n"
    known.write_text(line)
    host = new_ssh_host(server=several, config_filename=config(), reject_unknown_hosts=True)
    assert connect(host) == ""
    assert known.read_text() == line


def test_a_host_that_has_none_of_its_known_keys_any_more_has_changed(
    new_ssh_host: NewHost,
    config: Callable[..., str],
    world: World,
    keys: dict[str, str],
    known: Path,
) -> None:
    with world.serve("HostKey /run/keys/ed25519") as server:
        known.write_text(f"{label(server)} {keys['/run/keys/rsa']}\n")
        host = new_ssh_host(server=server, config_filename=config())
        with pytest.raises(HostKeyError, match=r"it is ssh-ed25519 .* says ssh-rsa"):
            host().run("true")


def test_a_key_is_known_by_the_name_that_is_used(
    new_ssh_host: NewHost,
    config: Callable[..., str],
    several: Server,
    keys: dict[str, str],
    known: Path,
) -> None:
    # Of the address, another key may be known: ssh does not look there either.
    known.write_text(f"{label(several)} {keys['/run/keys/rsa']}\n")
    host = new_ssh_host(server=several, address="LOCALHOST", config_filename=config())
    assert f"added the new key of [localhost]:{several.port}" in connect(host)
    assert len(known.read_text().splitlines()) == 2


# Where it is kept.


def test_first_contacts_at_once_leave_every_line_whole(
    new_ssh_host: NewHost, config: Callable[..., str], sshd: Server, known: Path
) -> None:
    known.write_text("unfinished ssh-ed25519 AAAA")
    names = [f"alias{number}" for number in range(50)]
    aliases = [f"Host {name}\n  HostName {sshd.address}\n  HostKeyAlias {name}" for name in names]
    filename = config(*aliases, "Host *")
    told: list[str] = []

    def contact(name: str) -> None:
        told.append(connect(new_ssh_host(name=name, address=name, config_filename=filename)))

    threads = [threading.Thread(target=contact, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, *lines = known.read_text().splitlines()
    assert first == "unfinished ssh-ed25519 AAAA"
    assert sorted(lines) == sorted(f"{name} {sshd.host_key}" for name in names)
    assert sum(text.count("added the new key") for text in told) == 50


@pytest.mark.parametrize("place", ["file/known", "directory", "/dev/null", "/proc/known"])
def test_a_key_that_cannot_be_kept_is_told(
    new_ssh_host: NewHost,
    config: Callable[..., str],
    several: Server,
    tmp_path: Path,
    place: str,
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    filename = tmp_path / place
    host = new_ssh_host(server=several, config_filename=config(f"UserKnownHostsFile {filename}"))
    for _ in range(2):
        assert re.search(
            rf"accepted the new key of .*, \S+ SHA256:\S{{43}}; not kept in {filename}",
            connect(host),
        )


def test_a_file_that_may_not_be_written_is_left_alone(world: World, sshd: Server) -> None:
    # Root may write anywhere. The program is read as root, since the user may not be let to it.
    program = (
        "import os, pwd, sys; sys.path.insert(0, sys.argv[1])\n"
        "import deployer.host.ssh.connection; from deployer.host import SSHHost\n"
        "from deployer.pseudo_terminal import Pty\n"
        "class Web(SSHHost):\n"
        "    address = '127.0.0.1'; port = int(sys.argv[2]); password = sys.stdin.read()\n"
        "    username = 'nosudo'; config_filename = None\n"
        "user = pwd.getpwnam('nosudo')\n"
        "os.environ['HOME'] = user.pw_dir; os.setgid(user.pw_gid); os.setuid(user.pw_uid)\n"
        "sys.stderr = sys.stdout; Web(Pty()).run('true')\n"
    )
    make = "echo '# mine' >.ssh/known_hosts; chmod 400 .ssh/known_hosts"
    world.run(["sh", "-c", make], user="nosudo")
    root = str(Path(__file__).parent.parent)
    told = world.run([sys.executable, "-c", program, root, str(sshd.port)], input=world.password)
    assert re.search(r"accepted .* not kept in /home/nosudo/.ssh/known_hosts: Permission den", told)
    assert world.run(["cat", ".ssh/known_hosts"], user="nosudo") == "# mine\n"
    world.run(["rm", "-f", ".ssh/known_hosts"], user="nosudo")


def test_nothing_is_kept_where_no_file_is_named(
    new_ssh_host: NewHost, config: Callable[..., str], several: Server, known: Path
) -> None:
    host = new_ssh_host(server=several, config_filename=config("UserKnownHostsFile none"))
    assert connect(host) == ""
    assert not known.exists()


def test_the_directory_of_a_new_user_is_made_and_private(
    new_ssh_host: NewHost, several: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    told = connect(new_ssh_host(server=several, config_filename=None))
    assert f"to {tmp_path}/.ssh/known_hosts: " in told
    assert (tmp_path / ".ssh").stat().st_mode & 0o777 == 0o700
