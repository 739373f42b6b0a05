"""A working copy of a Mercurial repository on a host."""

from __future__ import annotations

import re
import shlex

from ...host import RunResult
from ...node import changes_nothing, suppress_action_result
from .changes import Changes, ask, report
from .version_control import Program, WorkingCopy, command, question

__all__ = ["Hg"]

_WHOLE_HASH = re.compile("[0-9a-f]{40}")
# How many digits of a hash are shown.
_SHORT = 12
# What is checked out before there is anything.
_NOTHING = "0" * 40
# How many names are offered for completion.
_MOST_NAMES = 200


class Hg(WorkingCopy):
    """A working copy of a Mercurial repository on the host.

    A subclass says what is where; ``commands`` adds more of Mercurial's commands as actions::

        class code(Hg):
            repository = "https://example.com/site"
            repository_location = "/srv/site"
            commands = {"outgoing": "outgoing --graph"}

    The other actions that are commands take more arguments for them, as in
    ``log("--limit", "5")``, and return what these print.
    """

    @suppress_action_result
    def checkout(self, changeset: str | None = None) -> Changes:
        """Bring the files to a changeset, which the repository is asked for; return the changes.

        There is a clone afterwards. Where files differ from what is checked out, it is an error,
        and nothing is lost.

        :param changeset: a branch, a bookmark, a tag or a hash; ``default_changeset`` when not
            given, or else the branch ``default``.
        """
        name = changeset if changeset is not None else self.default_changeset or "default"
        if not name or name.startswith("-") or not name.isprintable():
            raise ValueError(f"{self!r}: {name!r} cannot be a branch, a tag or a changeset")
        return self._program.check_out(name)

    def complete_changeset(self) -> list[str]:
        """Return the branches, bookmarks and tags that were there when it was last pulled."""
        # Those of an array are about the same.
        one: Hg = next(iter(self))
        return one._program.list_names()

    @changes_nothing
    def head_sha(self) -> str:
        """Return the hash of the changeset that is checked out."""
        return self._program.answer("log", "--rev", ".", "--template", "{node}")

    @changes_nothing
    def version(self) -> str:
        """Return which Mercurial is on the host."""
        return self._program.answer("version", "--template", "{ver}", directory="/")

    branch = command("branch", "branch", "Show the branch.")
    branches = question("branches", "branches", "List the branches.")
    diff = question("diff", "diff", "Show how the files differ from the changeset.")
    heads = question("heads", "heads", "List the changesets that others do not follow.")
    identify = question("identify", "identify", "Show what is checked out, in a line.")
    log = question("log", "log --limit 20", "Show the last 20 changesets.")
    pull = command("pull", "pull", "Get what is new in the repository; keep the files.")
    status = question("status", "status", "Show which files differ from the changeset.")
    tags = question("tags", "tags", "List the tags.")

    @property
    def _program(self) -> _HgProgram:
        return _HgProgram(self)


class _HgProgram(Program):
    """Mercurial, in the working copy of a node."""

    name = "hg"
    store = ".hg"

    def get_environment(self) -> dict[str, str]:
        # No pager, no aliases; but colours.
        return {"HGPLAIN": "1", "HGPLAINEXCEPT": "color", "HGENCODING": "UTF-8"}

    def get_clone_commands(self, url: str, directory: str) -> list[list[str]]:
        return [["hg", "clone", "--noupdate", "--", url, directory]]

    def run(self, *words: str) -> RunResult:
        # Or it would work in a repository around the directory, when there is none in it.
        return super().run("--repository", ".", *words)

    def ask(self, *words: str, directory: str | None = None) -> RunResult:
        here = () if directory else ("--repository", ".")
        return super().ask(*here, *words, directory=directory)

    def list_names(self) -> list[str]:
        """Return branches, bookmarks and tags, the newest first."""
        template = "{branch}\\n{join(bookmarks, '\\n')}\\n{join(tags, '\\n')}\\n"
        found = self.ask(
            *("log", "--rev", "sort(head() or bookmark() or tag(), -rev)"),
            *("--limit", str(_MOST_NAMES), "--template", template),
        )
        return list(dict.fromkeys(filter(None, found.splitlines())))

    def check_out(self, name: str) -> Changes:
        """Bring the files to a changeset."""
        changes = Changes()
        current = self.ask("log", "--rev", ".", "--template", "{node}")
        head = current.strip()
        if not current.ok:
            if self.is_there():
                raise self.failure(current)
            changes = self.clone()
            head = _NOTHING
        elif not _WHOLE_HASH.fullmatch(name) or self._find(name) != name:
            # From where it is said to be, wherever it was cloned from.
            self.run("pull", "--", self.url)
        commit = self._find_in_repository(name) if self.host.is_sandbox else self._find(name)
        if not commit:
            raise self.problem(f"there is no branch, tag or changeset {name!r} in {self.url}")
        if commit == head:
            return changes
        # A first update that was killed has left files; there were none before.
        mode = "--clean" if head == _NOTHING and self._was_killed() else "--check"
        self.run("update", mode, "--rev", commit)
        what = "" if commit.startswith(name) else f"{name} "
        was = "" if head == _NOTHING else f" (was {head[:_SHORT]})"
        return changes + report(self.node, f"checked out {what}{commit[:_SHORT]}{was}")

    def _find(self, name: str) -> str:
        """Return the hash of a changeset that is there; nothing when there is none."""
        # As a text in quotes, it is a name and nothing that is evaluated.
        quoted = name.replace("\\", r"\\").replace("'", r"\'")
        return self.ask("log", "--rev", f"'{quoted}'", "--template", "{node}").strip()

    def _find_in_repository(self, name: str) -> str:
        """Do the same without a pull, or a working copy."""
        template = ("--template", "{node}")
        found = self.ask("identify", *template, "--rev", name, "--", self.url, directory="/")
        if not found.ok and "unknown revision" not in found.stderr:
            raise self.failure(found)
        return found.strip()

    def _was_killed(self) -> bool:
        path = shlex.quote(f"{self.path}/.hg/updatestate")
        return ask(self.node, f"test -e {path}", **self.options).ok
