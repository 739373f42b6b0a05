"""Packages of Debian and Ubuntu on a host, and where they come from."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from ...exceptions import DeployerException, ExecCommandFailed
from ...host import RunResult
from ...node import Node, changes_nothing, suppress_action_result
from .changes import Changes, ask, report
from .config import Config

__all__ = ["AptGet"]


class AptGet(Node):
    """Packages that the host should have, from the sources of its system, or from these::

        class packages(AptGet):
            packages = ["nginx", "postgresql-15=15.*"]
            optional_packages = ["python3-uwsgidecorators"]
            keyrings = {"example.asc": "keys/example.asc"}
            sources = {
                "example.list": "deb [signed-by=/etc/apt/keyrings/example.asc] "
                "https://packages.example.com/debian stable main"
            }

    A package is named as for apt-get: ``name``, ``name:architecture``, ``name=version``. Nothing is
    asked: changed configuration files are kept, and who else is installing packages is waited for.
    """

    #: What ``setup`` installs.
    packages: Any = ()
    #: What it installs if the sources have it.
    optional_packages: Any = ()
    #: Paths of packages on this machine, which it installs on the host in the version they have.
    deb_files: Any = ()
    #: Keys that sign sources, by the name of the file that they are put into in
    #: ``/etc/apt/keyrings``: a text (``NAME.asc``), bytes, or the path of a file on this machine.
    keyrings: Any = None
    #: Sources, by the name of the file in ``/etc/apt/sources.list.d``: lines for a ``NAME.list``,
    #: or paragraphs for a ``NAME.sources``.
    sources: Any = None
    #: Whether packages that the installed ones recommend are installed with them.
    with_recommended: Any = True
    #: How many minutes old the lists of packages may be when something is to be installed.
    max_age: Any = 24 * 60

    @suppress_action_result
    def setup(self) -> Changes:
        """Put the keys and sources in place, and install what is not there.

        The lists of packages are fetched when a key or a source has changed, and when they are old
        and something is to be installed.
        """
        files = list(_files(self))
        wanted, optional = _parse(self.packages), _parse(self.optional_packages)
        changes = _write(self, files)
        missing = _find_missing(self, [*wanted, *optional])
        if changes or (missing and _are_lists_old(self)):
            _update(self)
        for package in [package for package in missing if package not in wanted]:
            if not _simulate(self, "install", package.spelling).ok:
                report(self, f"left out {package.spelling}, which is not available")
                missing.remove(package)
        return changes + _install(self, missing) + _install_files(self)

    @suppress_action_result
    def install(self, *names: str) -> Changes:
        """Install packages, those of them that are not there."""
        missing = _find_missing(self, _parse(names))
        if missing and _are_lists_old(self):
            _update(self)
        return _install(self, missing)

    @suppress_action_result
    def remove(self, *names: str) -> Changes:
        """Remove packages, those of them that are there, and what depends on them.

        Their configuration files stay.
        """
        packages = _parse(names)
        missing = _find_missing(self, packages)
        present = [
            package.spelling.partition("=")[0] for package in packages if package not in missing
        ]
        if not present:
            return Changes()
        found = _simulate(self, "remove", "--", *present)
        if not found.ok:
            raise ExecCommandFailed(found)
        removed = re.findall(r"^Remv (\S+)", found.stdout, re.MULTILINE)
        self.host.sudo(_apt_get(self, "remove", "--", *present))
        return report(self, *(f"removed {name}" for name in removed))

    @suppress_action_result
    def update(self) -> Changes:
        """Fetch the lists of packages; raise ExecCommandFailed unless all of them could be had."""
        return _update(self)

    @suppress_action_result
    def upgrade(self) -> Changes:
        """Install the newest versions of all packages, without removing any."""
        if _are_lists_old(self):
            _update(self)
        found = _simulate(self, "upgrade", "--with-new-pkgs")
        if not found.ok:
            raise ExecCommandFailed(found)
        upgrades = re.findall(r"^Inst (\S+) (?:\[\S+\] )?\((\S+)", found.stdout, re.MULTILINE)
        if not upgrades:
            return Changes()
        self.host.sudo(_apt_get(self, "upgrade", "--with-new-pkgs"))
        return report(self, *(f"upgraded {name} to {version}" for name, version in upgrades))

    @changes_nothing
    def is_installed(self, name: str) -> bool:
        """Return whether a package is installed, and in the version that is named, if any."""
        return not _find_missing(self, _parse([name]))


class _Package(NamedTuple):
    """A package, as somebody has named it; a version may have ``*`` in it."""

    name: str
    architecture: str | None
    version: str | None
    spelling: str

    def is_same(self, name: str, architecture: str, version: str) -> bool:
        """Return whether an installed package is this one."""
        return (
            self.name == name
            # What is for all architectures is asked for by any.
            and (self.architecture in (None, architecture) or architecture == "all")
            and (self.version is None or fnmatchcase(version, self.version))
        )


# Neither an option, nor `NAME-`, by which apt-get would remove it.
_NAME = re.compile(
    r"([A-Za-z0-9](?:[A-Za-z0-9.+_-]*[A-Za-z0-9.+_])?)(?::([a-z0-9-]+))?(?:=([A-Za-z0-9.+~:*-]+))?"
)


def _parse(names: Iterable[str]) -> list[_Package]:
    """Return the packages that have these names, each once."""
    if isinstance(names, str):
        raise ValueError(f"packages are a list of names, not {names!r}")
    packages = {}
    for name in names:
        found = _NAME.fullmatch(name)
        if found is None:
            raise ValueError(
                f"{name!r} names no package: write NAME, NAME:ARCHITECTURE or NAME=VERSION"
            )
        packages[name] = _Package(found[1], found[2], found[3], name)
    return list(packages.values())


_FORMAT = r"${Package}\t${Architecture}\t${Version}\t${db:Status-Status}\n"


def _find_missing(node: Any, packages: list[_Package]) -> list[_Package]:
    """Return the packages that are not installed."""
    if not packages:
        return []
    names = [package.name for package in packages]
    words = ["env", "LC_ALL=C", "dpkg-query", "--show", f"--showformat={_FORMAT}", "--", *names]
    found = ask(node, shlex.join(words))
    # 1: it does not know one of them.
    if found.exit_status not in (0, 1):
        raise ExecCommandFailed(found)
    rows = [line.split("\t") for line in found.stdout.splitlines()]
    installed = [row[:3] for row in rows if row[3] == "installed"]
    return [package for package in packages if not any(package.is_same(*row) for row in installed)]


# Seconds to wait for others who are installing packages, or fetching the lists.
_PATIENCE = 600
_LISTS = "/var/lib/apt/lists"
_STAMP = "/var/lib/apt/periodic/update-success-stamp"
_DEBS = "/var/cache/deployer"

# The lists are as old as the last time that all of them could be had; and out of date when apt has
# been configured since.
_ARE_RECENT = f"""\
[ -n "$(find {_STAMP} -mmin -"$1" 2>/dev/null)" ] &&
[ -z "$(find /etc/apt -newer {_STAMP} 2>/dev/null)" ] &&
ls {_LISTS} | grep -q _
"""

# To wait for the lock of the lists is not among the things that apt-get can do.
_UPDATE = f"""\
export LC_ALL=C
exec 3>&1
for second in $(seq {_PATIENCE}); do
    problem=$(apt-get --quiet -o APT::Update::Error-Mode=any update 2>&1 >&3 3>&-) &&
        exec touch {_STAMP}
    case $problem in
    *"Could not get lock"*) sleep 1 ;;
    *) break ;;
    esac
done
printf '%s\\n' "$problem" >&2
exit 1
"""


def _are_lists_old(node: Any) -> bool:
    minutes = str(int(node.max_age))
    return not ask(node, shlex.join(["/bin/sh", "-c", _ARE_RECENT, "sh", minutes])).ok


def _update(node: Any) -> Changes:
    node.host.sudo(shlex.join(["/bin/sh", "-c", _UPDATE]))
    return report(node, "fetched the lists of packages")


def _apt_get(node: Any, action: str, *words: str) -> str:
    """Return the command that does something with packages."""
    variables = "DEBIAN_FRONTEND=noninteractive", "APT_LISTCHANGES_FRONTEND=none"
    settings = [
        f"DPkg::Lock::Timeout={_PATIENCE}",
        "Dpkg::Options::=--force-confdef",
        "Dpkg::Options::=--force-confold",
        # No names that are regular expressions.
        "APT::Cmd::Pattern-Only=true",
        f"APT::Install-Recommends={'true' if node.with_recommended else 'false'}",
    ]
    options = [word for setting in settings for word in ("-o", setting)]
    return shlex.join(["env", *variables, "apt-get", "--quiet", "--yes", *options, action, *words])


def _simulate(node: Any, action: str, *words: str) -> RunResult:
    return ask(node, f"LC_ALL=C {_apt_get(node, action, '--simulate', *words)}")


def _install(node: Any, packages: list[_Package]) -> Changes:
    """Install packages that are not there."""
    if not packages:
        return Changes()
    # An older version is only asked for where it is named.
    options = ["--allow-downgrades"] if any(package.version for package in packages) else []
    names = [package.spelling for package in packages]
    node.host.sudo(_apt_get(node, "install", *options, "--", *names))
    if not node.host.is_sandbox and (missing := _find_missing(node, packages)):
        raise DeployerException(
            f"{node.host.slug}: apt-get took {', '.join(package.spelling for package in missing)} "
            "for something else; a virtual package cannot be asked for, but one that provides it"
        )
    return report(node, *(f"installed {name}" for name in names))


def _install_files(node: Any) -> Changes:
    """Install the packages of this machine that are not there in their version."""
    missing: dict[str, str] = {}
    given_files = [node.deb_files] if isinstance(node.deb_files, str) else node.deb_files
    for given in given_files:
        path = os.path.expanduser(given)
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        # Named by what is in it: one that is there need not be copied again.
        copy = f"{_DEBS}/{digest}.deb"
        if not node.host.exists(copy):
            node.host.sudo(f"install -d -m 755 {_DEBS}")
            node.host.put_file(path, copy, use_sudo=True)
        command = ["dpkg-deb", "--show", "--showformat=${Package}=${Version}", copy]
        # It is as private as the one here.
        found = ask(node, shlex.join(command), use_sudo=True)
        # In a sandbox, it was not copied.
        if not found.ok and not node.host.is_sandbox:
            raise ExecCommandFailed(found)
        if not found.ok or _find_missing(node, _parse([found.stdout])):
            missing[os.path.basename(path)] = copy
    if not missing:
        return Changes()
    node.host.sudo(_apt_get(node, "install", "--allow-downgrades", "--", *missing.values()))
    return report(node, *(f"installed {name}" for name in missing))


def _files(node: Any) -> Iterator[tuple[str, bytes]]:
    """Yield the path and the content of each key and source."""
    for name, given in (node.keyrings or {}).items():
        if isinstance(given, str) and not given.lstrip().startswith("-----BEGIN"):
            given = Path(given).expanduser().read_bytes()
        key = given.encode() if isinstance(given, str) else given
        start = b"-----BEGIN PGP PUBLIC KEY BLOCK-----" if name.endswith(".asc") else b"-----BEGIN"
        # apt-get takes no notice of what does not fit.
        if not re.fullmatch(r"[\w.-]+\.(asc|gpg)", name, re.ASCII) or (
            key.lstrip().startswith(start) is not name.endswith(".asc")
        ):
            raise ValueError(
                f"{node!r}: {name!r} cannot be the name of this keyring; take NAME.asc for the "
                "text of a public key, NAME.gpg for a binary one"
            )
        yield f"/etc/apt/keyrings/{name}", key
    for name, text in (node.sources or {}).items():
        if not re.fullmatch(r"[\w.-]+\.(list|sources)", name, re.ASCII):
            raise ValueError(
                f"{node!r}: {name!r} is no name for a file of sources; take NAME.list for lines, "
                "NAME.sources for paragraphs"
            )
        yield f"/etc/apt/sources.list.d/{name}", f"{text.strip()}\n".encode()


def _write(node: Any, files: list[tuple[str, bytes]]) -> Changes:
    """Write files of apt's configuration, those that differ."""
    changes = Changes()
    if node.keyrings and not node.host.exists("/etc/apt/keyrings"):
        node.host.sudo("install -d -m 755 /etc/apt/keyrings")
    for path, content in files:
        # They are as many as the caller likes, and so cannot be nested.
        attributes = {
            "Hosts": type("Hosts", (), {"host": node.host.host_class}),
            "remote_path": path,
            "content": content,
            "use_sudo": True,
            "mode": 0o644,
        }
        file = type("file", (Config,), attributes)
        changes += node.initialize_node(file).setup()
    return changes
