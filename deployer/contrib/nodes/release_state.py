"""What is known of the releases on a host: from its directories, and the record of them."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...exceptions import ExecCommandFailed
from .changes import ask

__all__ = ["NAME", "ReleaseState", "get_links", "get_root", "look"]

# What has happened to releases is known from the file releases.log, which only ever grows:
#
#   TIME trying NAME   it is going to be current
#   TIME good NAME     it is current, and activated
#   TIME bad NAME      it is going to be rolled back from
#
# A directory beside which there is a file .NAME.partial is no whole release yet, or any more. It is
# built where it stays: a Python environment, for one, does not survive to be moved.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}", re.ASCII)
_EVENT = re.compile(r"(\S+) (trying|good|bad) (\S+)$")


@dataclass(frozen=True)
class ReleaseState:
    """What there is on the host."""

    #: Those of the directories ``releases`` and ``shared`` that are not there.
    absent: tuple[str, ...]
    #: The whole ones, from the oldest to the newest.
    releases: tuple[str, ...]
    #: Those that are not whole.
    left_over: tuple[str, ...]
    current: str | None
    #: The whole ones that were activated and not rolled back from, in that order.
    good: tuple[str, ...]
    #: When each was last made current, by name.
    since: dict[str, str]
    #: What happened last, as in ``("good", NAME)``.
    last: tuple[str, str]
    #: What is not in ``shared``.
    missing: tuple[str, ...]

    @property
    def last_good(self) -> str | None:
        """The last good one besides the current one."""
        return next((name for name in reversed(self.good) if name != self.current), None)

    @property
    def previous(self) -> str | None:
        """What a rollback goes to."""
        good = self.good
        # One that was not completed goes to the last of them, and may be there already.
        if self.last[0] != "bad" and self.current in good:
            good = good[: good.index(self.current)]
        return good[-1] if good else None

    def is_done(self, name: str) -> bool:
        """Whether a release is current, and was activated after all else that has happened."""
        return name == self.current and self.last == ("good", name)


_LOOK = """\
for place in releases shared; do
    [ -d "$1/$place" ] || printf 'absent %s\\n' "$place"
done
[ -d "$1" ] || exit 0
cd -- "$1" || exit
link=$(readlink current)
printf 'current %s\\n' "${link#"$1"/}"
# Others may have written it in another way.
link=$(readlink -f current)
printf 'current releases/%s\\n' "${link#"$(readlink -f releases)"/}"
shift
for place in releases/*/; do
    [ ! -d "$place" ] || printf 'whole %s\\n' "$place"
done
for place in releases/.*.partial; do
    [ ! -e "$place" ] || printf 'part %s\\n' "$place"
done
number=0
for item; do
    [ -e "shared/$item" ] || [ -L "shared/${item%/}" ] || printf 'missing %s\\n' "$number"
    number=$((number + 1))
done
[ ! -e releases.log ] || sed 's/^/event /' releases.log
"""


def get_root(node: Any) -> str:
    """Return the absolute path of the directory that the releases of a node are in."""
    root: str = node.host.expand_path(node.path)
    return root.rstrip("/")


def look(node: Any) -> ReleaseState:
    """Find out what there is on the host; nothing when there is no such directory."""
    items = list(get_links(node))
    command = shlex.join(["/bin/sh", "-c", _LOOK, "sh", get_root(node), *items])
    result = ask(node, command, use_sudo=node.use_sudo)
    if not result.ok:
        raise ExecCommandFailed(result)
    lines: dict[str, list[str]] = {}
    for line in result.splitlines():
        kind, _, rest = line.partition(" ")
        lines.setdefault(kind, []).append(rest)
    left_over = _names(lines.get("part", ()), "releases/.", ".partial")
    found = _names(lines.get("whole", ()), "releases/", "/")
    since, good, last = _replay(lines.get("event", ()))
    # Those that the record says nothing of were there before it.
    names = [*sorted(set(found) - set(since)), *(name for name in since if name in found)]
    names = [name for name in names if name not in left_over]
    if "current" not in lines:
        lines["missing"] = [str(number) for number in range(len(items))]
    links = [link.removeprefix("releases/") for link in lines.get("current", ())]
    return ReleaseState(
        absent=tuple(lines.get("absent", ())),
        releases=tuple(names),
        left_over=left_over,
        current=next((name for name in links if name in names), None),
        good=tuple(name for name in good if name in names),
        since=since,
        last=last,
        missing=tuple(items[int(number)] for number in lines.get("missing", ())),
    )


def _names(paths: Sequence[str], before: str, after: str) -> tuple[str, ...]:
    """Return the names of releases in paths; whatever else is there is not ours."""
    names = (
        path.removeprefix(before).removesuffix(after) for path in paths if path.endswith(after)
    )
    return tuple(name for name in names if NAME.fullmatch(name))


def _replay(events: Sequence[str]) -> tuple[dict[str, str], list[str], tuple[str, str]]:
    """Return since when releases are there, which are good, and what happened last."""
    since: dict[str, str] = {}
    good: list[str] = []
    last = ("", "")
    for event in filter(None, map(_EVENT.search, events)):
        time, word, name = event.groups()
        if name in good:
            good.remove(name)
        if word == "good":
            good.append(name)
        if word == "trying":
            since.pop(name, None)
        if word != "bad":
            since.setdefault(name, time)
        last = (word, name)
    return since, good, last


def get_links(node: Any) -> dict[str, str]:
    """Return the shared paths, and where the link at each of them leads."""
    links = {}
    if isinstance(node.shared, str) or not all(isinstance(item, str) for item in node.shared):
        raise ValueError(f"{node!r}.shared is a list of paths, not {node.shared!r}")
    for item in node.shared:
        path = item.removesuffix("/")
        if path != posixpath.normpath(path) or path.startswith(("/", "..")) or path == ".":
            raise ValueError(f"{node!r}.shared: {item!r} is no path in a release, as 'media/' is")
        others = [other for other in node.shared if other != item]
        if any(f"{path}/".startswith(f"{other.removesuffix('/')}/") for other in others):
            raise ValueError(f"{node!r}.shared: {item!r} is in another one of the shared paths")
        links[item] = f"{'../' * (path.count('/') + 2)}shared/{path}"
    return links
