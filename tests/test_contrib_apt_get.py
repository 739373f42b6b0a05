"""Packages on a server, from a signed source that is made here, with the real apt-get."""

from __future__ import annotations

import base64
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deployer.contrib.nodes.apt_get import AptGet
from deployer.exceptions import ActionException, ExecCommandFailed
from deployer.host import LocalHost, SSHHost
from ready_made import Messages, node_on
from waiting import until
from world import World

pytestmark = pytest.mark.machine

REPOSITORY = "/var/tmp/repository-of-the-test"
LIST = "made-by-test.list"
KEYRING = "made-by-test"
NAME = "deployer-hello"
CONFIG = "/etc/deployer-hello.conf"
STAMP = "/var/lib/apt/periodic/update-success-stamp"

# A package with a configuration file that is another one in each version.
_BUILD = """\
set -eu
umask 022
name=$1 version=$2 to=$3 depends=$4
build=$(mktemp -d)
mkdir -p "$build/DEBIAN" "$build/etc"
echo "as in $version" >"$build/etc/$name.conf"
echo "/etc/$name.conf" >"$build/DEBIAN/conffiles"
cat >"$build/DEBIAN/control" <<END
Package: $name
Version: $version
Architecture: all
Maintainer: Nobody <nobody@example.com>
Provides: virtual-$name
Recommends: deployer-recommended
Depends: $depends
Description: made by a test
END
chmod 755 "$build"
dpkg-deb --root-owner-group -Znone --build "$build" "$to/${name}_$version.deb" >&2
rm -r "$build"
"""
# What dpkg-scanpackages and apt-ftparchive would write.
_INDEX = """\
set -eu
cd "$1"
for file in *.deb; do
    dpkg-deb --field "$file"
    printf 'Filename: ./%s\\nSize: %s\\n' "$file" "$(stat -c %s "$file")"
    printf 'SHA256: %s\\n\\n' "$(sha256sum "$file" | cut -d ' ' -f 1)"
done >Packages
{
    printf 'Date: %s\\nSHA256:\\n' "$(LC_ALL=C date -u '+%a, %d %b %Y %H:%M:%S UTC')"
    printf ' %s %s Packages\\n' "$(sha256sum Packages | cut -d ' ' -f 1)" "$(stat -c %s Packages)"
} >Release
export GNUPGHOME="$2"
mkdir -m 700 "$GNUPGHOME"
for name in right wrong; do
    gpg --batch --quiet --passphrase '' --quick-gen-key "$name@example.com" ed25519 sign never
done
gpg --batch --quiet -u right@example.com --clearsign -o InRelease Release
gpg --armor --export right@example.com >right.asc
gpg --export right@example.com >right.gpg
gpg --armor --export wrong@example.com >wrong.asc
gpgconf --kill all
"""


@dataclass(frozen=True)
class Repository:
    """A source of packages; the keys that its users may have."""

    right: str
    wrong: str
    binary: bytes

    def attributes(self, key: str | bytes | None = None) -> dict[str, Any]:
        """Return what a node needs for packages from there, with one of the keys."""
        key = self.right if key is None else key
        name = f"{KEYRING}.{'gpg' if isinstance(key, bytes) else 'asc'}"
        line = f"deb [signed-by=/etc/apt/keyrings/{name}] file:{REPOSITORY} ./"
        return {"keyrings": {name: key}, "sources": {LIST: line}}


def build(world: World, name: str, version: str, depends: str = "base-files") -> None:
    world.run(["sh", "-c", _BUILD, "sh", name, version, REPOSITORY, depends])


@pytest.fixture(scope="module")
def made(world: World, need_program: Callable[[str], str]) -> Iterator[Repository]:
    """Give a source of packages; while there is one, apt-get of the world knows no other."""
    for program in ("apt-get", "gpg"):
        need_program(program)
    world.run(["mkdir", "-p", REPOSITORY])
    for version in ("1.0", "2.0"):
        build(world, NAME, version)
    build(world, "deployer-optional", "1:1.0-1")
    build(world, "deployer-recommended", "1.0")
    world.run(["sh", "-c", _INDEX, "sh", REPOSITORY, "/run/gnupg-of-the-test"])
    hidden = ["/etc/apt/sources.list.d", "/var/lib/apt/lists"]
    for path in hidden:
        world.run(["mount", "-t", "tmpfs", "tmpfs", path])
    world.run(["touch", "/etc/apt/sources.list"])
    world.run(["mount", "--bind", "/dev/null", "/etc/apt/sources.list"])
    # dpkg waits for the disk again and again otherwise.
    world.run(["sh", "-c", "echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/of-the-test"])
    binary = base64.b64decode(world.run(["base64", f"{REPOSITORY}/right.gpg"]))
    texts = [world.run(["cat", f"{REPOSITORY}/{name}.asc"]) for name in ("right", "wrong")]
    yield Repository(texts[0], texts[1], binary)
    world.run(["umount", *hidden, "/etc/apt/sources.list"])
    world.run(["rm", "-rf", REPOSITORY, "/etc/dpkg/dpkg.cfg.d/of-the-test", STAMP])


@pytest.fixture
def repository(world: World, made: Repository) -> Iterator[Repository]:
    """Give the source, and remove what was installed from there at the end."""
    yield made
    names = [NAME, "deployer-optional", "deployer-recommended"]
    world.run(["dpkg", "--purge", *names])
    remove = f"rm -f /etc/apt/sources.list.d/* /etc/apt/keyrings/{KEYRING}.* {STAMP}"
    world.run(["sh", "-c", f"{remove}; rm -rf /var/lib/apt/lists/*"])


def installed(world: World) -> dict[str, str]:
    """Return the versions of what is installed from there."""
    format = "--showformat=${Package} ${Version} ${db:Status-Status}\\n"
    lines = world.run(["dpkg-query", "--show", format, "deployer-*"], check=False).splitlines()
    rows = [line.split() for line in lines]
    return {row[0]: row[1] for row in rows if row[-1] == "installed"}


def state(world: World) -> str:
    """Return what changes when a package, a source or the lists do."""
    files = [f"/etc/apt/sources.list.d/{LIST}", "/etc/apt/keyrings", "/var/log/dpkg.log", STAMP]
    return world.run(["stat", "-c", "%n %i %y %z", *files])


def test_packages_of_a_signed_source_are_installed_once(
    world: World, admin_host: type[SSHHost], repository: Repository
) -> None:
    messages = Messages()
    node = node_on(
        admin_host,
        AptGet,
        logger=messages,
        packages=[NAME, "base-files"],
        optional_packages=["deployer-optional:all=1:1.0*", "deployer-not-there", "bash"],
        **repository.attributes(),
    )
    assert node.setup() == (
        f"wrote /etc/apt/keyrings/{KEYRING}.asc",
        f"wrote /etc/apt/sources.list.d/{LIST}",
        f"installed {NAME}",
        "installed deployer-optional:all=1:1.0*",
    )
    left_out = "left out deployer-not-there, which is not available"
    assert f"Remote | {left_out}" in messages.texts
    assert installed(world) == {
        NAME: "2.0",
        "deployer-optional": "1:1.0-1",
        "deployer-recommended": "1.0",
    }
    assert world.run(["stat", "-c", "%a", f"/etc/apt/keyrings/{KEYRING}.asc"]) == "644\n"
    assert node.is_installed(f"{NAME}=2.*")
    assert not node.is_installed(f"{NAME}=1.0")

    before = state(world)
    assert not node.setup()
    assert not node.install(NAME)
    assert state(world) == before

    # As apt-get takes what is for all of them.
    assert node.is_installed(f"{NAME}:{world.run(['dpkg', '--print-architecture']).strip()}")

    assert node.remove(NAME, "deployer-not-there") == (f"removed {NAME}",)
    assert not node.remove(NAME)
    assert not node.is_installed(NAME)


def test_a_version_is_kept_to_and_an_upgrade_keeps_changed_configuration(
    world: World, ssh_host: type[SSHHost], repository: Repository
) -> None:
    attributes = repository.attributes(repository.binary)
    wanted = [f"{NAME}=1.0"]
    node = node_on(ssh_host, AptGet, packages=wanted, with_recommended=False, **attributes)
    assert node.setup()[-1] == f"installed {NAME}=1.0"
    assert installed(world) == {NAME: "1.0"}
    assert not node.setup()

    world.run(["sh", "-c", f"echo ours >{CONFIG}"])
    # Nothing else of the machine: there is no other source.
    assert node.upgrade() == (f"upgraded {NAME} to 2.0",)
    assert installed(world) == {NAME: "2.0"}
    assert world.run(["cat", CONFIG]) == "ours\n"
    assert not node.upgrade()
    assert node.setup() == (f"installed {NAME}=1.0",)
    assert installed(world) == {NAME: "1.0"}


def test_what_depends_on_a_package_is_told_when_it_is_removed_with_it(
    world: World, ssh_host: type[SSHHost], repository: Repository
) -> None:
    build(world, "deployer-optional", "2.0", NAME)
    files = [f"{REPOSITORY}/{NAME}_2.0.deb", f"{REPOSITORY}/deployer-optional_2.0.deb"]
    world.run(["dpkg", "--install", *files])
    world.run(["rm", files[1]])
    removed = node_on(ssh_host, AptGet).remove(NAME)
    assert sorted(removed) == [f"removed {NAME}", "removed deployer-optional"]
    assert installed(world) == {}


def test_a_source_with_another_signature_is_an_error_until_it_is_mended(
    world: World, ssh_host: type[SSHHost], repository: Repository
) -> None:
    wrong = node_on(ssh_host, AptGet, packages=[NAME], **repository.attributes(repository.wrong))
    for _ in range(2):
        with pytest.raises(ActionException, match="NO_PUBKEY") as caught:
            wrong.setup()
        assert isinstance(caught.value.inner_exception, ExecCommandFailed)
    assert node_on(ssh_host, AptGet, packages=[NAME], **repository.attributes()).setup() == (
        f"wrote /etc/apt/keyrings/{KEYRING}.asc",
        f"installed {NAME}",
    )
    with pytest.raises(ActionException, match="deployer-not-there"):
        wrong.install("deployer-not-there")
    # It would never be there, and be asked for again and again.
    with pytest.raises(ActionException, match="virtual package"):
        wrong.install(f"virtual-{NAME}")


def test_a_package_of_this_machine_is_installed_once(
    world: World, admin_host: type[SSHHost], repository: Repository, tmp_path: Path
) -> None:
    file = tmp_path / "it's a $package.deb"
    encoded = world.run(["base64", f"{REPOSITORY}/{NAME}_1.0.deb"])
    file.write_bytes(base64.b64decode(encoded))
    file.chmod(0o600)
    node = node_on(admin_host, AptGet, deb_files=[str(file)], with_recommended=False)
    assert node.setup() == (f"installed {file.name}",)
    assert installed(world) == {NAME: "1.0"}
    log = ["stat", "-c", "%i %z", "/var/log/dpkg.log"]
    before = world.run(log)
    assert not node.setup()
    assert world.run(log) == before
    file.write_text("no package")
    with pytest.raises(ActionException, match="dpkg-deb"):
        node.setup()


def test_it_waits_for_others_who_fetch_the_lists(
    world: World, ssh_host: type[SSHHost], repository: Repository
) -> None:
    hold = "import fcntl, sys; file = open(sys.argv[1], 'w'); fcntl.lockf(file, fcntl.LOCK_EX); "
    wait = "print(flush=True); sys.stdin.read()"
    command = ["python3", "-c", hold + wait, "/var/lib/apt/lists/lock"]
    holder = subprocess.Popen(
        world.command(command, None), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    node = node_on(ssh_host, AptGet)
    done: list[object] = []
    thread = threading.Thread(target=lambda: done.append(node.update()))
    with holder:
        assert holder.stdout
        holder.stdout.readline()
        thread.start()
        # That is what it does between two attempts.
        until(lambda: world.run(["pgrep", "-fx", "sleep 1"], check=False))
        assert not done
    thread.join()
    assert done == [("fetched the lists of packages",)]


def test_a_sandbox_tells_what_it_would_install(
    world: World, ssh_host: type[SSHHost], repository: Repository, tmp_path: Path
) -> None:
    file = tmp_path / "some.deb"
    file.write_text("not looked at here")
    messages = Messages()
    node = node_on(
        ssh_host,
        AptGet,
        is_sandbox=True,
        logger=messages,
        packages=[NAME],
        deb_files=[str(file)],
        **repository.attributes(),
    )
    assert node.setup() == (
        f"wrote /etc/apt/keyrings/{KEYRING}.asc",
        f"wrote /etc/apt/sources.list.d/{LIST}",
        f"installed {NAME}",
        "installed some.deb",
    )
    assert all(text.endswith("(sandbox)") for text in messages.texts)
    assert installed(world) == {}
    assert world.run(["ls", "/etc/apt/sources.list.d"]) == ""


@pytest.mark.parametrize(
    "attributes",
    [
        {"packages": ["-o=x"]},
        {"packages": ["two names"]},
        {"packages": [f"{NAME}-"]},
        {"packages": ["hel*"]},
        {"packages": [f"{NAME}/stable"]},
        {"packages": NAME},
        {"optional_packages": [""]},
        {"keyrings": {"../x.asc": "-----BEGIN PGP PUBLIC KEY BLOCK-----"}},
        {"keyrings": {"x.gpg": "-----BEGIN PGP PUBLIC KEY BLOCK-----"}},
        {"keyrings": {"x.asc": "-----BEGIN PGP PRIVATE KEY BLOCK-----"}},
        {"keyrings": {"x.gpg": "-----BEGIN PGP PRIVATE KEY BLOCK-----"}},
        {"keyrings": {"x.asc": b"\x98\x33"}},
        {"sources": {"x": "deb file:/x ./"}},
        {"sources": {"a/x.list": "deb file:/x ./"}},
    ],
)
def test_what_apt_would_take_for_something_else_is_refused(attributes: dict[str, Any]) -> None:
    node = node_on(LocalHost, AptGet, is_sandbox=True, **attributes)
    with pytest.raises(ActionException) as caught:
        node.setup()
    assert isinstance(caught.value.inner_exception, ValueError)
