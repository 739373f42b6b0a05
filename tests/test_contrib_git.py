"""Checkouts of Git repositories."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deployer.contrib.nodes.git import Git, GitOverview
from deployer.exceptions import (
    ExecCommandFailed,
    NodeDefinitionError,
)
from deployer.host import Host, LocalHost, SSHHost
from deployer.inspection import Inspector
from deployer.node import Env, Node, ParallelNode, map_roles
from deployer.shell.hooks import list_hook_values
from ready_made import Messages, check_out_twice, node_on, raising, snapshot
from world import World

pytestmark = pytest.mark.machine

IDENTITY = "-c user.name=Anna -c user.email=anna@example.com -c protocol.file.allow=always"
NO_HASH = "0123456789" * 4


class Repository:
    """A repository on this machine, with a file of one line and its commits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def git(self, words: str) -> str:
        return subprocess.run(
            [*shlex.split(f"git {IDENTITY}"), *shlex.split(words)],
            cwd=self.path,
            check=True,
            capture_output=True,
            encoding="utf-8",
        ).stdout.strip()

    def commit(self, text: str, file: str = "file") -> str:
        """Commit a file, and return the hash."""
        (self.path / file).write_text(f"{text}\n")
        self.git("add --all")
        self.git("commit --quiet --message='Change a file'")
        return self.git("rev-parse HEAD")


@pytest.fixture
def origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """Make a repository to clone, on this machine, where nobody has configured anything."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    origin = Repository(tmp_path / "origin")
    origin.git("init --quiet --initial-branch=main")
    origin.commit("first")
    return origin


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the checkout is to be."""
    return tmp_path / "srv/it's -the- $code"


@pytest.fixture
def code(origin: Repository, path: Path) -> Any:
    """Make a node for a checkout that is not there yet."""
    return code_at(path, origin.path)


def code_at(path: object, repository: object, host: type[Host] = LocalHost, **options: Any) -> Any:
    return node_on(host, Git, repository=str(repository), repository_location=str(path), **options)


def test_the_default_branch_follows_the_repository(
    origin: Repository, code: Any, path: Path
) -> None:
    changes = code.checkout()
    old = code.head_sha()
    assert changes == (f"cloned {origin.path} to {path}", f"checked out main {old[:12]}")
    new = origin.commit("second")
    assert check_out_twice(code) == (f"checked out main {new[:12]} (was main {old[:12]})",)
    assert (path / "file").read_text() == "second\n"
    assert code.state() == (new, "main", 0, 0, 0)


def test_branches_tags_and_commits_can_be_checked_out(origin: Repository, code: Any) -> None:
    first = origin.git("rev-parse HEAD")
    origin.git("tag -m One v1")
    branch = "feature/it's-$HOME"
    origin.git(f"checkout --quiet -b {shlex.quote(branch)}")
    other = origin.commit("other")
    origin.git("tag light")
    was_first, was_other = f"(was {first[:12]})", f"(was {other[:12]})"
    assert check_out_twice(code, "v1")[1:] == (f"checked out v1 {first[:12]}",)
    assert check_out_twice(code, "light") == (f"checked out light {other[:12]} {was_first}",)
    assert check_out_twice(code, first) == (f"checked out {first[:12]} {was_other}",)
    assert check_out_twice(code, other[:7]) == (f"checked out {other[:12]} {was_first}",)
    assert check_out_twice(code, branch) == (f"checked out {branch} {other[:12]} {was_other}",)
    assert code.state().branch == branch
    change = f"checked out main {first[:12]} (was {branch} {other[:12]})"
    assert check_out_twice(code, "main") == (change,)


def test_a_branch_wins_over_a_tag_of_its_name(origin: Repository, code: Any) -> None:
    origin.git("tag both")
    origin.git("checkout --quiet -b both")
    new = origin.commit("of the branch")
    check_out_twice(code, "both")
    assert code.state()[:2] == (new, "both")


def test_tags_that_move_and_a_default_branch_that_is_renamed_are_followed(
    origin: Repository, code: Any
) -> None:
    origin.git("tag live")
    code.checkout("live")
    new = origin.commit("second")
    origin.git("tag --force live")
    assert check_out_twice(code, "live")[0].startswith(f"checked out live {new[:12]} (was ")
    origin.git("branch --move main trunk")
    assert check_out_twice(code)[0].startswith(f"checked out trunk {new[:12]} (was ")
    with raising("there is no branch, tag or commit 'main' in"):
        code.checkout("main")


def test_a_commit_that_is_there_takes_no_repository(origin: Repository, code: Any) -> None:
    code.checkout()
    head = code.head_sha()
    origin.path.rename(f"{origin.path} is gone")
    code = code_at(code.repository_location, origin.path)
    assert check_out_twice(code, head) == (f"checked out {head[:12]} (was main {head[:12]})",)
    with raising("does not appear to be a git repository", ExecCommandFailed):
        code.checkout("main")


def test_the_default_changeset_can_be_another(origin: Repository, path: Path) -> None:
    origin.git("branch stable")
    code = code_at(path, origin.path, default_changeset="stable")
    check_out_twice(code)
    assert code.state().branch == "stable"


@pytest.mark.parametrize(
    "name", ["", "-f", "--upload-pack=x", "a b", "main~1", "a..b", "@{-1}", ":/fix", "a\nb", "x^"]
)
def test_what_cannot_be_a_name_is_refused(code: Any, path: Path, name: str) -> None:
    with raising(r"^Env\(Site.nested\): .* cannot be a branch, a tag or a commit", ValueError):
        code.checkout(name)
    assert not path.exists()


def test_a_name_that_is_not_there_is_an_error_and_changes_nothing(code: Any, path: Path) -> None:
    code.checkout()
    before = snapshot(path)
    for name in ("nothing", "$(id)`id`;'", NO_HASH, "abcdef0", "origin/main"):
        with raising("there is no branch, tag or commit"):
            code.checkout(name)
    assert snapshot(path) == before


def test_a_repository_without_commits_says_so(tmp_path: Path, code: Any, path: Path) -> None:
    empty = Repository(tmp_path / "empty")
    empty.git("init --quiet")
    with raising("there is no branch yet in"):
        code_at(path, empty.path).checkout()


def test_submodules_follow(origin: Repository, code: Any, path: Path, tmp_path: Path) -> None:
    library = Repository(tmp_path / "library")
    library.git("init --quiet --initial-branch=main")
    library.commit("one")
    origin.git(f"submodule --quiet add {library.path} library")
    origin.commit("with a library")
    # Git takes submodules from paths for who asks for it only.
    with code.host.env("GIT_ALLOW_PROTOCOL", "file"):
        assert check_out_twice(code)[2:] == ("updated the submodules",)
        library.commit("two")
        origin.git("-C library pull --quiet")
        origin.commit("with the next one")
        assert check_out_twice(code)[1:] == ("updated the submodules",)
        assert (path / "library/file").read_text() == "two\n"
        code.host.run(f"git -C {shlex.quote(str(path))}/library checkout --quiet HEAD~1")
        assert check_out_twice(code) == ("updated the submodules",)


# What is changed on the host.


def test_local_changes_are_kept(origin: Repository, code: Any, path: Path) -> None:
    origin.commit("kept", "settings")
    code.checkout()
    (path / "settings").write_text("mine\n")
    (path / "untracked").write_text("mine\n")
    origin.commit("second")
    assert len(check_out_twice(code)) == 1
    assert (path / "file").read_text() == "second\n"
    assert [(path / name).read_text() for name in ("settings", "untracked")] == ["mine\n"] * 2
    assert code.stash_list() == ""
    assert str(code.state()) == "1 changed"


def test_local_changes_that_conflict_stay_in_the_stash(
    origin: Repository, code: Any, path: Path
) -> None:
    code.checkout()
    (path / "file").write_text("mine\n")
    new = origin.commit("second")
    with raising("LocalHost: .*they are safe in its stash, as [0-9a-f]{12}: .*`git stash pop`"):
        code.checkout()
    assert code.state() == (new, "main", 0, 0, 0)
    assert (path / "file").read_text() == "second\n"
    assert not code.checkout()
    assert "before the checkout of HEAD" in code.stash_list()
    assert "+mine" in code.stash("show", "-p")


def test_local_changes_are_back_after_a_checkout_that_failed(
    origin: Repository, code: Any, path: Path
) -> None:
    code.checkout()
    (path / "file").write_text("mine\n")
    (path / "new").write_text("mine\n")
    origin.commit("another's", "new")
    with raising("would be overwritten by checkout", ExecCommandFailed):
        code.checkout()
    assert [(path / name).read_text() for name in ("file", "new")] == ["mine\n"] * 2
    assert code.stash_list() == ""


def test_local_commits_are_never_thrown_away(origin: Repository, code: Any, path: Path) -> None:
    code.checkout()
    mine = Repository(path).commit("mine", "mine")
    for text in ("second", "third"):
        with raising("the branch main has 1 commits that .* does not have"):
            code.checkout()
        new = origin.commit(text)
    assert code.head_sha() == mine
    assert str(code.state()) == "1 ahead, 1 behind"
    assert check_out_twice(code, new)
    with raising("the branch main has 1 commits"):
        code.checkout("main")


# Where it is.


@contextmanager
def in_place_of(code: Any, command: str, script: str, directory: Path) -> Iterator[None]:
    """Have a script run in place of a command of git."""
    program = directory / "git"
    program.write_text(
        f'#!/bin/sh\n[ "$1" != {command} ] || {{ {script}; }}\nPATH=${{PATH#*:}} exec git "$@"\n'
    )
    program.chmod(0o755)
    with code.host.env("PATH", f"{directory}:$PATH", escape=False):
        yield


def test_an_empty_directory_is_used_whatever_a_killed_clone_has_left_there(
    code: Any, path: Path, tmp_path: Path
) -> None:
    path.mkdir(parents=True)
    inode = path.stat().st_ino
    half = "mkdir -p .git.new/.git; echo half >.git.new/.git/HEAD; kill -9 $$"
    with in_place_of(code, "clone", half, tmp_path), raising("failed", ExecCommandFailed):
        code.checkout()
    assert os.listdir(path) == [".git.new"]
    assert len(check_out_twice(code)) == 2
    assert sorted(os.listdir(path)) == [".git", "file"]
    assert path.stat().st_ino == inode


def test_a_first_checkout_that_was_killed_is_done_again(
    code: Any, path: Path, tmp_path: Path
) -> None:
    half = "echo half >file; kill -9 $$"
    with in_place_of(code, "checkout", half, tmp_path), raising("KILL", ExecCommandFailed):
        code.checkout()
    assert (path / "file").read_text() == "half\n"
    assert len(check_out_twice(code)) == 1
    assert (path / "file").read_text() == "first\n"
    assert str(code.state()) == "clean"


def test_something_else_in_its_place_is_left_alone(code: Any, path: Path) -> None:
    message = "LocalHost: .*: there is something else, which is no working copy of git"
    path.parent.mkdir()
    path.symlink_to("nowhere")
    with raising(message):
        code.checkout()
    path.unlink()
    path.write_text("mine")
    with raising(message):
        code.checkout()
    path.unlink()
    path.mkdir()
    (path / "mine").write_text("mine")
    with raising(message):
        code.checkout()
    assert os.listdir(path) == ["mine"]


def test_a_repository_around_it_is_left_alone(origin: Repository) -> None:
    inside = origin.path / "code"
    inside.mkdir()
    (origin.path / "file").write_text("mine\n")
    code = code_at(inside, origin.path)
    with raising("not a git repository", ExecCommandFailed):
        code.reset("--hard")
    with raising("there is no checkout; `checkout` makes it"):
        code.state()
    check_out_twice(code)
    assert (origin.path / "file").read_text() == "mine\n"


def test_a_repository_that_has_moved_is_followed(
    origin: Repository, code: Any, path: Path, tmp_path: Path
) -> None:
    code.checkout()
    old = code.head_sha()
    checkout = Repository(path)
    checkout.git("remote set-url origin https://anna:hidden@example.com/it")
    origin.path = origin.path.rename(tmp_path / "moved")
    new = origin.commit("second")
    code = code_at(path, origin.path)
    assert check_out_twice(code) == (
        f"set origin to {origin.path} (was https://anna:***@example.com/it)",
        f"checked out main {new[:12]} (was main {old[:12]})",
    )
    checkout.git("remote remove origin")
    assert check_out_twice(code) == (f"set origin to {origin.path}",)


def test_a_path_may_begin_with_a_tilde(origin: Repository, tmp_path: Path) -> None:
    code = code_at("~/a/b", "~/origin")
    assert code.checkout()[0] == f"cloned {tmp_path}/origin to {tmp_path}/a/b"
    assert not code.checkout()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://anna:hidden@example.com/it", r"a password in the URL https://anna:\*\*\*@"),
        ("https://anna:hid@den@example.com/it", r"the URL https://anna:\*\*\*@example.com/it,"),
        ("a\nb", "cannot be the URL"),
        ("", "cannot be the URL"),
    ],
)
def test_what_cannot_be_a_url_is_refused(path: Path, url: str, message: str) -> None:
    with raising(message, ValueError):
        code_at(path, url).checkout()
    assert not path.exists()


# In a sandbox.


def test_a_sandbox_says_what_would_be_changed(
    origin: Repository, code: Any, path: Path, tmp_path: Path
) -> None:
    messages = Messages()
    sandbox = code_at(path, origin.path, is_sandbox=True, logger=messages)
    for name in ("main", "HEAD"):
        assert sandbox.checkout(name)[1] == f"checked out main {origin.git('rev-parse HEAD')[:12]}"
    assert messages.texts[0] == f"LocalHost | cloned {origin.path} to {path}  (sandbox)"
    assert not path.parent.exists()

    code.checkout()
    old = code.head_sha()
    assert not sandbox.checkout()
    origin.git("tag -m One v1")
    new = origin.commit("second")
    before = snapshot(path)
    was = f"(was main {old[:12]})"
    assert sandbox.checkout() == (f"checked out main {new[:12]} {was}",)
    assert sandbox.checkout("v1") == (f"checked out v1 {old[:12]} {was}",)
    assert sandbox.checkout(old[:7]) == (f"checked out {old[:12]} {was}",)
    with raising("there is no branch, tag or commit 'nothing' in"):
        sandbox.checkout("nothing")
    with raising("does not appear to be a git repository"):
        code_at(path, tmp_path / "gone", is_sandbox=True).checkout()
    assert snapshot(path) == before


# Its other actions.


def test_the_commands_of_git_are_actions(code: Any, path: Path) -> None:
    code.checkout()
    (path / "file").write_text("mine\n")
    head = code.head_sha()
    assert code.describe() == f"{head[:7]}\n"
    assert code.show_oneline() == f"{head[:7]} Change a file\n"
    assert code.branch("--format=%(refname)") == "refs/heads/main\n"
    assert code.log("--format=%an  %s") == "Anna  Change a file\n"
    assert "+first" in code.show()
    assert "+mine" in code.diff("--", "file")
    assert code.diff("--", "$(echo file)") == ""
    assert "modified:   file" in code.status()
    assert code.reset("--hard").startswith("HEAD is now at ")
    assert code.pull() == "Already up to date.\n"
    assert code.version().startswith("git version ")


def test_a_subclass_has_more_commands_and_its_own_methods_win() -> None:
    class Code(Git):
        commands = {"authors": "shortlog --summary 'HEAD'", "log": "log -n 1", "tag": "tag"}

        def tag(self) -> str:
            """Mine."""
            return "mine"

    class Other(Code):
        commands = {"ls_files": "ls-files"}

        def authors(self) -> str:
            return "also mine"

    node = Inspector(Other())
    assert node.get_action("tag").__doc__ == "Mine."
    assert node.get_action("ls_files").__doc__ == "Run ``ls-files``, with more arguments."
    assert (
        node.get_action("authors").function is not Inspector(Code()).get_action("authors").function
    )
    assert not Inspector(Git()).has_action("ls_files")
    assert Inspector(Git()).get_action("log").__doc__ == "Show the last 20 commits."


@pytest.mark.parametrize("wrong", ["log", ["log"], {"a b": "log"}, {"log": ["log"]}, {"log": " "}])
def test_commands_of_another_kind_are_refused(wrong: Any) -> None:
    with pytest.raises(NodeDefinitionError, match=r"Code\.commands is .*mapping from the names"):
        type("Code", (Git,), {"commands": wrong})


def test_a_command_that_was_added_gets_its_arguments_literally(
    origin: Repository, path: Path
) -> None:
    class Code(Git):
        commands = {"echo": "-c alias.e='!printf \"<%s>\"' e"}

    code = node_on(LocalHost, Code, repository=str(origin.path), repository_location=str(path))
    code.checkout()
    assert code.echo("a b", "$HOME", "-x", "'") == "<a b><$HOME><-x><'>"


def test_branches_and_tags_complete_a_commit(origin: Repository, code: Any) -> None:
    origin.git("tag v1")
    code.checkout()
    assert sorted(code.complete_commit()) == [("main", "Change a file"), ("v1", "Change a file")]
    names = {action.name for action in Inspector(code).get_actions()}
    assert "complete_commit" in names


# The overview.


def test_the_overview_shows_all_checkouts_and_goes_on_after_failures(
    origin: Repository, tmp_path: Path
) -> None:
    class one(LocalHost):
        pass

    class second(LocalHost):
        pass

    class gone(SSHHost):
        address = "127.0.0.1"
        port = 1
        config_filename = "/dev/null"

    class Site(Node):
        class Hosts:
            host = one
            web = (one, second)

        class code(Git):
            repository = str(origin.path)
            repository_location = str(tmp_path / "code")

        @map_roles("web")
        class web(ParallelNode.Array):
            class code(Git):
                repository = str(origin.path)

                @property
                def repository_location(self) -> str:
                    return str(tmp_path / self.host.slug)

        class elsewhere(Git):
            class Hosts:
                host = gone

            repository_location = "/srv"

        class overview(GitOverview):
            pass

    site = Env(Site())
    old = site.web[0].code.checkout()[1].rpartition(" ")[2]
    new = origin.commit("second")[:12]
    site.code.checkout()
    site.web[1].code.checkout("HEAD")
    (tmp_path / "second/file").write_text("mine\n")
    lines = site.overview.show().splitlines()
    assert lines[:4] == [
        "NODE            HOST    BRANCH  COMMIT        STATE",
        f"Site.code       one     main    {new}  clean",
        f"Site.web.code   one     main    {old}  clean, differs among hosts",
        f"Site.web.code   second  main    {new}  1 changed, differs among hosts",
    ]
    assert list(list_hook_values(site.web.code, "commit", "") or []) == [("main", "Change a file")]
    # Beside the name of the host, it is not told again.
    assert re.match(r"Site\.elsewhere  gone {26}(?!gone)\w", lines[4])
    (tmp_path / "one").rename(tmp_path / "away")
    lines = site.overview.show().splitlines()
    assert lines[2].startswith("Site.web.code   one                           /")
    assert lines[3].endswith(f"second  main    {new}  1 changed")


# On servers.


def test_the_overview_says_why_sudo_failed(ssh_host: type[SSHHost]) -> None:
    class Site(Node):
        class Hosts:
            host = ssh_host

        class code(Git):
            repository_location = '/srv/it\'s "odd"'
            user = "nobody-at-all"

        class overview(GitOverview):
            pass

    shown = Env(Site()).overview.show().splitlines()[1]
    assert re.search(r"  sudo: .*nobody-at-all", shown)


@pytest.mark.parametrize("options", [{"use_sudo": True}, {"user": "nopass"}], ids=str)
def test_a_second_checkout_on_a_server_changes_nothing(
    world: World, admin_host: type[SSHHost], options: dict[str, Any]
) -> None:
    see_that_a_second_checkout_changes_nothing(world, admin_host, options)


def test_the_login_user_needs_no_sudo(
    world: World, new_ssh_host: Callable[..., type[SSHHost]]
) -> None:
    host = new_ssh_host("nosudo")
    see_that_a_second_checkout_changes_nothing(world, host, {"user": "nosudo"})


def see_that_a_second_checkout_changes_nothing(
    world: World, host: type[SSHHost], options: dict[str, Any]
) -> None:
    owner = options.get("user", "root")
    top = f"/tmp/git of {host.get_username()} & {owner}"
    world.run(["install", "-d", "-o", owner, top])
    repository = f"{top}/it's $HOME.git"
    words = shlex.quote(repository)
    as_owner = {} if owner == host.get_username() else options
    host().run(
        f"git init --quiet --initial-branch=main {words} && cd {words} && echo 1 >file && "
        f"git add file && git {IDENTITY} commit --quiet -m One",
        **as_owner,
    )
    path = f'{top}/srv/-it\'s "the" code'
    messages = Messages()
    code = code_at(path, repository, host, logger=messages, **options)

    changes = code.checkout()
    head = code.head_sha()
    assert changes == (f"cloned {repository} to {path}", f"checked out main {head[:12]}")
    assert messages.texts == [f"Remote | {change}" for change in changes]
    # All but what git writes when it has asked the repository.
    look = ["find", path, "-name", "FETCH_HEAD", "-o", "-type", "f", "-printf", "%p %i %T@ %u\n"]
    before = world.run(look)
    assert not code.checkout()
    assert world.run(look) == before
    assert {line.rpartition(" ")[2] for line in before.splitlines()} == {owner}
    world.run(["rm", "-rf", top])


def test_a_checkout_of_another_user_is_left_alone(world: World, ssh_host: type[SSHHost]) -> None:
    path = "/tmp/git-of-another"
    world.run(["git", "init", "--quiet", path])
    code = code_at(path, "/nowhere", ssh_host)
    with raising("Remote: .*belongs to another user.*; set `user` to the one"):
        code.checkout()
    with raising("belongs to another user"):
        code.head_sha()
    world.run(["rm", "-rf", path])
