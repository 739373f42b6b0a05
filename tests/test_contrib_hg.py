"""Working copies of Mercurial repositories."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployer.contrib.nodes.hg import Hg
from deployer.exceptions import ExecCommandFailed
from deployer.host import Host, LocalHost, SSHHost
from ready_made import Messages, check_out_twice, node_on, raising, snapshot
from world import World

pytestmark = pytest.mark.machine


class Repository:
    """A repository on this machine, with a file of one line and its changesets."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def hg(self, words: str) -> str:
        return subprocess.run(
            ["hg", "--config", "ui.username=Anna", *shlex.split(words)],
            cwd=self.path,
            check=True,
            capture_output=True,
            encoding="utf-8",
        ).stdout.strip()

    def commit(self, text: str) -> str:
        """Commit the file, and return the hash."""
        (self.path / "file").write_text(f"{text}\n")
        self.hg("commit --quiet --addremove --message 'Change the file'")
        return self.hg("log --rev . --template {node}")


@pytest.fixture
def origin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, need_program: Callable[[str], str]
) -> Repository:
    """Make a repository to clone, on this machine, where nobody has configured anything."""
    need_program("hg")
    monkeypatch.setenv("HGRCPATH", "")
    origin = Repository(tmp_path / "origin")
    origin.path.mkdir()
    origin.hg("init")
    origin.commit("first")
    return origin


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the working copy is to be."""
    return tmp_path / "srv/it's -the- $code"


@pytest.fixture
def code(origin: Repository, path: Path) -> Any:
    """Make a node for a working copy that is not there yet."""
    return code_at(path, origin.path)


def code_at(path: object, repository: object, host: type[Host] = LocalHost, **options: Any) -> Any:
    return node_on(host, Hg, repository=str(repository), repository_location=str(path), **options)


def test_the_default_branch_follows_the_repository(
    origin: Repository, code: Any, path: Path
) -> None:
    changes = code.checkout()
    old = code.head_sha()
    assert changes == (f"cloned {origin.path} to {path}", f"checked out default {old[:12]}")
    new = origin.commit("second")
    assert check_out_twice(code) == (f"checked out default {new[:12]} (was {old[:12]})",)
    assert (path / "file").read_text() == "second\n"


def test_branches_tags_and_changesets_can_be_checked_out(origin: Repository, code: Any) -> None:
    first = origin.hg("log --rev . --template {node}")
    tag = 'it\'s "v1" \\ or null'
    origin.hg(f"tag {shlex.quote(tag)}")
    origin.hg("branch --quiet stable")
    other = origin.commit("other")
    assert code.checkout("stable")[1:] == (f"checked out stable {other[:12]}",)
    change = f"checked out {tag} {first[:12]} (was {other[:12]})"
    assert check_out_twice(code, tag) == (change,)
    assert code.checkout(other[:9]) == (f"checked out {other[:12]} (was {first[:12]})",)
    assert code.complete_changeset() == ["stable", "tip", "default", tag]
    origin.path.rename(f"{origin.path} is gone")
    assert not code.checkout(other)
    with raising("repository .* not found", ExecCommandFailed):
        code.checkout("stable")


def test_what_is_not_there_is_an_error_and_changes_nothing(code: Any, path: Path) -> None:
    for name in ("", "-1", "a\nb"):
        with raising("cannot be a branch, a tag or a changeset", ValueError):
            code.checkout(name)
    assert not path.exists()
    code.checkout()
    before = snapshot(path)
    for name in ("$(id)`id`;'", "all()"):
        with raising("LocalHost: .* there is no branch, tag or changeset"):
            code.checkout(name)
    assert snapshot(path) == before


def test_local_changes_are_an_error_and_kept(origin: Repository, code: Any, path: Path) -> None:
    code.checkout()
    (path / "file").write_text("mine\n")
    assert not code.checkout()
    origin.commit("second")
    with raising("uncommitted changes", ExecCommandFailed):
        code.checkout()
    assert (path / "file").read_text() == "mine\n"


def test_what_was_killed_is_done_again_and_something_else_left_alone(
    origin: Repository, code: Any, path: Path
) -> None:
    path.mkdir(parents=True)
    (path / ".hg.new").mkdir()
    code.checkout()
    assert sorted(os.listdir(path)) == [".hg", "file"]
    # As an update leaves it.
    Repository(path).hg("update --quiet null")
    (path / "file").write_text("half\n")
    with raising("untracked files in working directory differ", ExecCommandFailed):
        code.checkout()
    (path / ".hg/updatestate").touch()
    assert len(check_out_twice(code)) == 1
    assert (path / "file").read_text() == "first\n"

    inside = path / "inside"
    inside.mkdir()
    with raising("repository . not found", ExecCommandFailed):
        code_at(inside, origin.path).status()
    (inside / "mine").touch()
    with raising("there is something else, which is no working copy of hg"):
        code_at(inside, origin.path).checkout()


def test_a_sandbox_says_what_would_be_changed(origin: Repository, code: Any, path: Path) -> None:
    sandbox = code_at(path, origin.path, is_sandbox=True)
    old = origin.hg("log --rev . --template {node}")[:12]
    change = f"checked out default {old}"
    assert sandbox.checkout() == (f"cloned {origin.path} to {path}", change)
    assert not path.parent.exists()
    code.checkout()
    assert not sandbox.checkout()
    new = origin.commit("second")[:12]
    before = snapshot(path)
    assert sandbox.checkout() == (f"checked out default {new} (was {old})",)
    with raising("there is no branch, tag or changeset 'nothing'"):
        sandbox.checkout("nothing")
    assert snapshot(path) == before


def test_the_commands_of_mercurial_are_actions(code: Any, path: Path) -> None:
    code.checkout()
    (path / "file").write_text("mine\n")
    assert code.branch() == "default\n"
    assert code.identify("--id") == f"{code.head_sha()[:12]}+\n"
    assert code.log("--template", "{desc}  {rev}") == "Change the file  0"
    assert "+mine" in code.diff("file")
    assert code.status() == "M file\n"
    assert "no changes found" in code.pull()
    assert code.version()[0].isdigit()


def test_a_second_checkout_on_a_server_changes_nothing(
    world: World, admin_host: type[SSHHost], need_program: Callable[[str], str]
) -> None:
    need_program("hg")
    # root works as another user, and the other way round.
    owner = "nopass" if admin_host.get_username() == "root" else "root"
    options = {"user": owner} if owner == "nopass" else {"use_sudo": True}
    top = f"/tmp/hg of {admin_host.get_username()} & {owner}"
    world.run(["install", "-d", "-o", owner, top])
    repository = f"{top}/it's `here`"
    words = shlex.quote(repository)
    admin_host().run(
        f"mkdir {words} && cd {words} && hg init && echo 1 >file && hg commit -q -A -m One -u Anna",
        **options,
    )
    path = f"{top}/srv/the code"
    messages = Messages()
    code = code_at(path, repository, admin_host, logger=messages, **options)
    changes = code.checkout()
    assert changes[0] == f"cloned {repository} to {path}"
    assert messages.texts == [f"Remote | {change}" for change in changes]
    look = ["find", path, "-type", "f", "-printf", "%p %i %T@ %u\n"]
    before = world.run(look)
    assert not code.checkout()
    assert world.run(look) == before
    assert {line.rpartition(" ")[2] for line in before.splitlines()} == {owner}
    world.run(["rm", "-rf", top])
