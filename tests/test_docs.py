"""The documentation is true: all that its pages show is executed, page by page.

``documents`` says what each kind of block does. Each host that a page names, such as
web1.example.com, is a machine of its own: a world with an OpenSSH server, to which the ssh config
of the test leads.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from documents import read_blocks
from terminals import ROOT
from world import WorldRefused, new_world

PAGES = sorted(
    path.relative_to(ROOT)
    for path in [*ROOT.glob("docs/**/*.rst"), ROOT / "README.rst"]
    if "_build" not in path.parts and read_blocks(path.read_text(encoding="utf-8"))
)
# Executed in a copy of the project, which it installs.
IN_THE_PROJECT = {Path("docs/hello_world.rst")}

SUDOERS = "deploy ALL=(ALL:ALL) NOPASSWD: ALL\n"


def machines_of(text: str) -> set[str]:
    """Return the names of the hosts in a page; "*" stands for those that a loop makes."""
    code = "\n".join(block.source for block in read_blocks(text))
    names = set(re.findall(r"(?<![\w/@.-])([a-z][\w-]*)\.example\.com", code))
    return names | ({"*"} if re.search(r"[^\w\s/@\"'-]\.example\.com", code) else set())


@pytest.fixture
def home() -> Iterator[Path]:
    # Always as long, so that lines of a terminal with a path in them end where they did.
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="page-") as directory:
        (home := Path(directory)).joinpath(".ssh").mkdir()
        yield home


@pytest.fixture
def make_machines(
    home: Path, need_program: Callable[[str], str]
) -> Iterator[Callable[[set[str]], None]]:
    """Return a function that makes machines, and the ssh config that leads to them."""
    for program in ("nsenter", "sshd", "sudo", "git", "crontab", "curl", "supervisord"):
        need_program(program)

    with ExitStack() as stack:

        def make_machines(names: set[str]) -> None:
            # "*" is the last: the first entry that fits counts.
            for name in sorted(names, reverse=True):
                try:
                    world = stack.enter_context(new_world({"deploy": "/bin/bash"}))
                except WorldRefused as error:
                    pytest.skip(str(error))
                server = stack.enter_context(world.serve())
                world.run(["sh", "-c", "cat >/etc/sudoers.d/zzz-docs"], input=SUDOERS)
                address = f"{name}.example.com"
                with (home / ".ssh" / "config").open("a") as config:
                    config.write(
                        f"Host {address}\n"
                        f"    HostName {server.address}\n"
                        f"    Port {server.port}\n"
                        f"    User deploy\n"
                        f"    HostKeyAlias {address.replace('*', 'any')}\n"
                        f"    IdentityFile {home}/.ssh/{name.replace('*', 'any')}\n"
                    )
                with (home / ".ssh" / "known_hosts").open("a") as known_hosts:
                    known_hosts.write(f"{address.replace('*', 'any')} {server.host_key}\n")
                shutil.copy(world.key_filename, home / ".ssh" / name.replace("*", "any"))

        # OpenSSH's programs look for their files in the home that the system knows.
        for program in ("ssh", "scp", "sftp"):
            wrapper = home / ".local" / "bin" / program
            wrapper.parent.mkdir(parents=True, exist_ok=True)
            files = "-F ~/.ssh/config -o UserKnownHostsFile=$HOME/.ssh/known_hosts"
            wrapper.write_text(f'#!/bin/sh\nexec {shutil.which(program)} {files} "$@"\n')
            wrapper.chmod(0o755)
        yield make_machines


def environment(home: Path) -> dict[str, str]:
    """Return what programs of a page find in their environment."""
    return {
        "HOME": str(home),
        "PATH": f"{home}/.local/bin:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "USER": "me",
        # Where the examples are.
        "PROJECT": str(ROOT),
        # Two versions of a file in one second, of the same size, would be one for Python.
        "PYTHONDONTWRITEBYTECODE": "1",
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        **{name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_"))},
    }


def marks(page: Path) -> list[pytest.MarkDecorator]:
    return [pytest.mark.slow] if page in IN_THE_PROJECT else []


@pytest.mark.machine
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "page", [pytest.param(page, id=str(page), marks=marks(page)) for page in PAGES]
)
def test_a_page_is_true(page: Path, home: Path, make_machines: Callable[[set[str]], None]) -> None:
    make_machines(machines_of((ROOT / page).read_text(encoding="utf-8")))
    (home / ".gitconfig").write_text(
        "[user]\n    name = Me\n    email = me@example.com\n[init]\n    defaultBranch = main\n"
    )
    folder = home / "site"
    if page in IN_THE_PROJECT:
        hidden = shutil.ignore_patterns(".*", "build", "_build", "*.egg-info", "__pycache__")
        shutil.copytree(ROOT, folder, ignore=hidden)
    else:
        folder.mkdir()
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "documents.py", ROOT / page],
        cwd=folder,
        env=environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=390,
    )
    if done.returncode:
        pytest.fail(done.stdout, pytrace=False)
