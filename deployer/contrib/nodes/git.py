"""A checkout of a Git repository on a host, and an overview of all that there are in a tree."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from ...exceptions import (
    ActionException,
    DeployerException,
    ExecCommandFailed,
    ParallelActionException,
    SudoFailed,
)
from ...host import RunResult
from ...inspection import Inspector
from ...inspection.filters import IsInstance
from ...node import Node, changes_nothing, suppress_action_result
from ...utils.columns import display_width, shorten
from .changes import Changes, report
from .version_control import Program, WorkingCopy, command, hide_password, question

__all__ = ["Git", "GitOverview", "GitState"]

# As git-check-ref-format(1) says it, and so a hash as well.
_NAME = re.compile(r"(?!-)(?!.*(\.\.|@\{))[^\x00-\x20\x7f~^:?*\[\\]+")
_HASH = re.compile("[0-9a-f]{4,64}")
_WHOLE_HASH = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_REMOTE = "refs/remotes/origin/"
# What a clone has checked out until there are files for the first time.
_UNFINISHED = "deployer-unfinished"
_TAGS = "refs/tags/"
_STASH = "refs/stash"
# How many digits of a hash are shown.
_SHORT = 12
# How many branches and tags are offered for completion.
_MOST_NAMES = 200
_WIDEST_FAILURE = 60
# A text as Python writes it.
_QUOTED = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""


class GitState(NamedTuple):
    """How a checkout is, compared with the repository as it was when it was last fetched."""

    #: The hash of the commit that is checked out; empty before there is any.
    head: str
    #: The branch that is checked out; empty for a tag, or a commit.
    branch: str
    #: How many files differ from that commit, apart from those that Git does not track.
    changed: int
    #: How many commits the branch has that the repository does not have.
    ahead: int
    #: How many commits of the repository the branch does not have.
    behind: int

    def __str__(self) -> str:
        counts = {"changed": self.changed, "ahead": self.ahead, "behind": self.behind}
        return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "clean"


class Git(WorkingCopy):
    """A checkout of a Git repository on the host.

    A subclass says what is where; ``commands`` adds more of Git's own commands as actions::

        class code(Git):
            repository = "git@example.com:site.git"
            repository_location = "/srv/site"
            commands = {"authors": "shortlog --summary --email"}

    The other actions that are commands take more arguments for them, as in
    ``log("-n", "5", "--stat")``, and return what these print.
    """

    @suppress_action_result
    def checkout(self, commit: str | None = None) -> Changes:
        """Check out a branch as it is in the repository, a tag, or a commit; return the changes.

        There is a clone afterwards. Local changes are put aside meanwhile; where they conflict with
        the commit, they stay in the stash, and that is an error. So are local commits of the
        branch: nothing is lost. Submodules follow.

        :param commit: a name, or a hash; ``default_changeset`` when not given, or else the default
            branch of the repository.
        """
        name = commit if commit is not None else self.default_changeset or "HEAD"
        if not _NAME.fullmatch(name):
            raise ValueError(f"{self!r}: {name!r} cannot be a branch, a tag or a commit")
        return self._program.check_out(name)

    def complete_commit(self) -> list[tuple[str, str]]:
        """Return the branches and tags that were there when it was last fetched."""
        # Those of an array are about the same.
        one: Git = next(iter(self))
        return one._program.list_names()

    @changes_nothing
    def state(self) -> GitState:
        """Return what is checked out, and how it compares with the repository."""
        state = self._program.get_state()
        if state is None:
            raise self._program.problem("there is no checkout; `checkout` makes it")
        return state

    @changes_nothing
    def head_sha(self) -> str:
        """Return the hash of the commit that is checked out."""
        return self._program.answer("rev-parse", "--verify", "HEAD")

    @changes_nothing
    def version(self) -> str:
        """Return which Git is on the host."""
        return self._program.answer("--version", directory="/")

    branch = command("branch", "branch", "List the local branches.")
    describe = question(
        "describe", "describe --tags --always", "Show the last tag, and what came after it."
    )
    diff = question("diff", "diff", "Show how the files differ from the commit.")
    log = question("log", "log --max-count=20", "Show the last 20 commits.")
    pull = command("pull", "pull --ff-only", "Bring the branch up to date; never merge.")
    reset = command("reset", "reset", "Forget what was added for a commit, and keep the files.")
    show = question("show", "show", "Show the commit, and what it changed.")
    show_oneline = question("show_oneline", "show --oneline -s", "Show the commit in a line.")
    stash = command("stash", "stash", "Put local changes aside.")
    stash_list = question("stash_list", "stash list", "List what was put aside.")
    stash_pop = command("stash_pop", "stash pop", "Bring back what was put aside last.")
    status = question("status", "status", "Show which files differ from the commit.")

    @property
    def _program(self) -> _GitProgram:
        return _GitProgram(self)


class GitOverview(Node):
    """An overview of all checkouts of the tree that it is nested in."""

    @changes_nothing
    def show(self) -> str:
        """Return a table of what is checked out where, and how that compares with the repository.

        That is as it was when it was last fetched. What cannot be reached is in the table, too.
        """
        lines = [("NODE", "HOST", "BRANCH", "COMMIT", "STATE")]
        for git in Inspector(Inspector(self).get_root()).walk(IsInstance(Git), skip_broken=True):
            lines += _describe_node(git)
        widths = [max(map(display_width, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(
                cell + " " * (width - display_width(cell))
                for cell, width in zip(line, widths, strict=True)
            ).rstrip()
            for line in lines
        )


class _GitProgram(Program):
    """Git, in the checkout of a node."""

    name = "git"
    store = ".git"

    def get_environment(self) -> dict[str, str]:
        return {
            # Or it would work in a repository around the directory, when there is none in it.
            "GIT_CEILING_DIRECTORIES": posixpath.dirname(self.path),
            "GIT_PAGER": "cat",
        }

    def get_clone_commands(self, url: str, directory: str) -> list[list[str]]:
        return [
            ["git", "clone", "--no-checkout", "--", url, directory],
            ["git", "-C", directory, "symbolic-ref", "HEAD", f"refs/heads/{_UNFINISHED}"],
        ]

    def ask(self, *words: str, directory: str | None = None) -> RunResult:
        # Without the option, to look at the status writes to the disk.
        result = super().ask("--no-optional-locks", *words, directory=directory)
        is_refused = re.search("dubious ownership|unsafe repository", result.stderr)
        if is_refused and directory is None:
            raise self.problem(
                "git refuses to work there, since it belongs to another user, who could make it "
                "run anything; set `user` to the one whom it belongs to"
            )
        return result

    def get_state(self) -> GitState | None:
        """Return how the checkout is; None when there is none."""
        status = self.ask(
            *("status", "--porcelain=v2", "--branch"),
            *("--untracked-files=no", "--ignore-submodules=all"),
        )
        if not status.ok:
            if self.is_there():
                raise self.failure(status)
            return None
        lines = status.splitlines()
        headers = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# "))
        head, branch = headers["branch.oid"], headers["branch.head"]
        ahead, behind = headers.get("branch.ab", "+0 -0").split()
        return GitState(
            "" if head == "(initial)" else head,
            "" if branch == "(detached)" else branch,
            len(lines) - len(headers),
            int(ahead),
            -int(behind),
        )

    def list_names(self) -> list[tuple[str, str]]:
        """Return branches and tags, the newest first, each with the subject of its commit."""
        found = self.ask(
            *("for-each-ref", "--sort=-creatordate", f"--count={_MOST_NAMES}"),
            *("--format=%(refname)%09%(subject)", _REMOTE, _TAGS),
        )
        refs = [line.split("\t", 1) for line in found.splitlines()]
        return [
            (ref.removeprefix(_REMOTE).removeprefix(_TAGS), subject)
            for ref, subject in refs
            if ref != f"{_REMOTE}HEAD"
        ]

    def check_out(self, name: str) -> Changes:
        """Check out a branch, a tag or a commit; ``HEAD`` is the default branch."""
        state = self.get_state()
        if state is None:
            changes = self.clone()
            state = GitState("", _UNFINISHED, 0, 0, 0)
        else:
            changes = self._set_url()
            self._fetch(name)
            if name == "HEAD" and (changes or not self._parse(_REMOTE + name)):
                # Its default branch is another one by now.
                self.run("remote", "set-head", "origin", "--auto")
        # In a sandbox, nothing was fetched.
        find = self._find_in_repository if self.host.is_sandbox else self._find
        branch, commit = find(name)
        if (state.branch, state.head) != (branch, commit):
            self._check_for_local_commits(branch, commit)
            with self._without_local_changes(state, name):
                self._switch(state, branch, commit)
                changes += report(self.node, _describe_checkout(state, branch, commit, name))
        return changes + self._update_submodules()

    def _set_url(self) -> Changes:
        """Have the repository where it is said to be."""
        url = self.url
        current = self.ask("config", "--get", "remote.origin.url")
        if current.strip() == url:
            return Changes()
        if not current.ok:
            self.run("remote", "add", "--", "origin", url)
            return report(self.node, f"set origin to {url}")
        self.run("remote", "set-url", "--", "origin", url)
        return report(self.node, f"set origin to {url} (was {hide_password(current.strip())})")

    def _fetch(self, name: str) -> None:
        """Fetch what is needed to find a name."""
        if not (_WHOLE_HASH.fullmatch(name) and self._parse(name)):
            # Tags that have moved, too.
            self.run("fetch", "--prune", "--tags", "--force", "origin")

    def _parse(self, ref: str) -> str:
        """Return the hash of the commit that there is; nothing when there is none."""
        return self.ask("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}").strip()

    def _find(self, name: str) -> tuple[str, str]:
        """Return the branch and the commit that a name is; a tag or a commit is on no branch."""
        if name == "HEAD":
            name = self.ask("symbolic-ref", f"{_REMOTE}HEAD").strip().removeprefix(_REMOTE)
        candidates = [(name, _REMOTE + name), ("", _TAGS + name)]
        if _WHOLE_HASH.fullmatch(name):
            candidates = [("", name)]
        elif _HASH.fullmatch(name):
            candidates += [("", name)]
        for branch, ref in candidates:
            commit = self._parse(ref)
            if commit:
                return branch, commit
        raise self._not_found(name)

    def _find_in_repository(self, name: str) -> tuple[str, str]:
        """Do the same without a fetch, or a checkout."""
        listed = self.answer(
            *("ls-remote", "--symref", "--", self.url, "HEAD"),
            *(f"refs/heads/{name}", _TAGS + name, f"{_TAGS}{name}^{{}}"),
            directory="/",
        )
        found = [line.split("\t") for line in listed.splitlines()]
        commits = {ref: value for value, ref in found if not value.startswith("ref: ")}
        default = next((value for value, _ in found if value.startswith("ref: ")), "")
        candidates = [
            (name, f"refs/heads/{name}"),
            ("", f"{_TAGS}{name}^{{}}"),
            ("", _TAGS + name),
        ]
        if name == "HEAD":
            candidates = [(default.removeprefix("ref: refs/heads/"), "HEAD")]
        for branch, ref in candidates:
            if ref in commits:
                return branch, commits[ref]
        if _HASH.fullmatch(name):
            return "", self._parse(name) or name
        raise self._not_found(name)

    def _not_found(self, name: str) -> DeployerException:
        what = f"no branch, tag or commit {name!r}" if name not in ("", "HEAD") else "no branch yet"
        return self.problem(f"there is {what} in {self.url}")

    def _check_for_local_commits(self, branch: str, commit: str) -> None:
        if not branch:
            # Those of no branch are never lost: what is returned says what was checked out.
            return
        count = self.ask("rev-list", "--count", f"{commit}..refs/heads/{branch}")
        # In a sandbox, the commit may not have been fetched.
        if count.ok and int(count):
            raise self.problem(
                f"the branch {branch} has {int(count)} commits that {self.url} does not have, or "
                f"not any more; push them, or bring the branch to origin/{branch} without them"
            )

    @contextmanager
    def _without_local_changes(self, state: GitState, name: str) -> Iterator[None]:
        """Put local changes aside in a ``with`` block."""
        if not state.changed or state.branch == _UNFINISHED:
            yield
            return
        before = self._parse(_STASH)
        self.run("stash", "push", "--message", f"before the checkout of {name}")
        stash = self._parse(_STASH)
        try:
            yield
        finally:
            # Changes of some kinds are not put aside, nor are any in a sandbox.
            if stash != before:
                self._bring_back(stash)

    def _bring_back(self, stash: str) -> None:
        try:
            self.run("stash", "pop")
        except BaseException as error:
            if isinstance(error, ExecCommandFailed):
                # Files with the marks of a conflict in them might be served to somebody.
                self.run_line("git reset --hard", ignore_exit_status=True)
            problem = self.problem(
                "the local changes could not be brought back; they are safe in its stash, as "
                f"{stash[:_SHORT]}: bring them back with `git stash pop`"
            )
            if isinstance(error, Exception):
                raise problem from error
            # Somebody does not want to wait for that.
            self.node.console.warning(str(problem))
            raise

    def _switch(self, state: GitState, branch: str, commit: str) -> None:
        # A first checkout that was killed may have left files; there were none before.
        force = ["--force"] if state.branch == _UNFINISHED else []
        if branch:
            self.run("checkout", *force, "--track", "-B", branch, _REMOTE + branch)
        else:
            self.run("checkout", *force, "--detach", commit)

    def _update_submodules(self) -> Changes:
        """Bring the submodules to the commits that belong to the one that is checked out."""
        before = self.ask("submodule", "status", "--recursive")
        if not any(line[0] in "-+U" for line in before.splitlines()):
            return Changes()
        self.run("submodule", "sync", "--recursive")
        self.run("submodule", "update", "--init", "--recursive")
        if self.ask("submodule", "status", "--recursive") == before and not self.host.is_sandbox:
            return Changes()
        return report(self.node, "updated the submodules")


def _describe_checkout(state: GitState, branch: str, commit: str, name: str) -> str:
    what = branch or ("" if commit.startswith(name) else name)
    now = f"{what} {commit[:_SHORT]}".strip()
    was = f"{state.branch} {state.head[:_SHORT]}".strip()
    return f"checked out {now} (was {was})" if state.head else f"checked out {now}"


def _describe_node(node: Any) -> Iterator[tuple[str, str, str, str, str]]:
    """Give the lines of the overview for a checkout, one for each of its hosts."""
    name = Inspector(node).get_full_name()
    states: dict[Any, GitState] = {}
    failures: dict[Any, BaseException] = {}
    try:
        found = node.state()
        states = found if isinstance(found, dict) else {node: found}
    except ParallelActionException as error:
        states, failures = error.results, error.failures
    except ActionException as error:
        failures = {node: error.inner_exception}
    heads = {state.head for state in states.values()}
    for cell in node:
        roles = Inspector(cell).get_roles()
        hosts = roles.get("host") or [host for hosts in roles.values() for host in hosts]
        host = ", ".join(host.slug for host in hosts)
        state = states.get(cell)
        if state is None:
            yield name, host, "", "", _describe_failure(failures.get(cell), host)
        else:
            differs = ", differs among hosts" if len(heads) > 1 else ""
            yield name, host, state.branch, state.head[:_SHORT], f"{state}{differs}"


def _describe_failure(error: BaseException | None, host: str) -> str:
    """Return the reason for a failure, without what stands beside it in the table."""
    text = str(error or "not looked at").partition("\n")[0].removeprefix(f"{host}: ")
    if isinstance(error, SudoFailed):
        # Whatever it is that was not run, why comes behind it.
        text = re.sub(rf"^sudo did not run {_QUOTED}: (sudo: )?", "sudo: ", text).partition("; ")[0]
    return shorten(text, _WIDEST_FAILURE)
