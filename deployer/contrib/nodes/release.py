"""Releases side by side on a host, and a symlink to the current one."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ...exceptions import ActionException, DeployerException
from ...node import Node, changes_nothing, required_property, suppress_action_result
from ...node.action import noting_skipped
from ...query import Q
from .advice import show_command
from .changes import Changes, report
from .lock import Lock
from .release_state import NAME, ReleaseState, get_links, get_root, look

__all__ = ["Release", "ReleaseInfo"]


class ReleaseInfo(NamedTuple):
    """A release that is on the host."""

    #: As it was given to ``deploy``, or the time.
    name: str
    #: When it was last made current, in ISO 8601; empty when that is not known.
    since: str
    #: Whether ``current`` leads to it.
    is_current: bool
    #: Whether ``activated`` went well, and nobody has rolled back from it since.
    is_good: bool

    def __str__(self) -> str:
        marks = [mark for mark in ("current", "good") if getattr(self, f"is_{mark}")]
        return " ".join([self.name, self.since, *marks])


class Release(Node):
    """Releases of a program on the host, one of which is the current one.

    A directory holds ``releases/NAME``, whole and never changed again; ``current``, a symlink to
    one of them, which is replaced in a single step; and ``shared``, with what outlives a release::

        class site(Release):
            path = "/srv/site"
            source = "build/site"
            shared = ["media/", "local_settings.py"]

            def activated(self, directory):
                self.host.sudo("systemctl reload site")

    Where the files come from somewhere else than a local directory, a subclass has a ``build`` of
    its own::

            def build(self, directory):
                self.host.run(f"git clone --depth 1 {url} {shlex.quote(directory)}")

    Whatever is killed at whatever moment, ``current`` leads to a whole release, and the next
    ``deploy`` works and removes what was left. What changes releases holds ``lock``, so
    that only one such action runs at a time.
    """

    #: The directory that all of it is in.
    path: Any = required_property("The directory on the host that the releases are in")
    #: The local directory that is released, unless there is another ``build``.
    source: Any = required_property("The local directory that is released")
    #: How many releases stay on the host: the newest ones, and always the current and the last
    #: good one.
    keep: Any = 5
    #: What all releases share: paths in a release, those of directories with a ``/`` at the end.
    #: What is missing in ``shared`` is copied from the release, or made empty.
    shared: Any = ()
    #: Do everything as root.
    use_sudo: Any = False

    class lock(Lock):
        """Held while releases are made, switched or removed."""

        path: Any = Q("%s/deploy.lock") % Q.parent.path
        use_sudo: Any = Q.parent.use_sudo

    # What a subclass may have an own one of.

    @suppress_action_result
    def build(self, directory: str) -> None:
        """Fill the new directory of a release; here, with what is in ``source``.

        It is where the release stays, so that what is made in it may hold its path.
        """
        self.host.put_dir(self.source, directory, use_sudo=self.use_sudo)

    @suppress_action_result
    def check(self, directory: str) -> None:
        """Raise when a release must not become the current one; here, never."""

    @suppress_action_result
    def activated(self, directory: str) -> None:
        """Do what a switch takes after it, such as a restart; a release is good after that."""

    # What changes something.

    @suppress_action_result
    def setup(self) -> Changes:
        """Make the directories that are missing; return what was made."""
        places = [f"{get_root(self)}/{name}" for name in look(self).absent]
        if places:
            self.host.run(f"mkdir -p -- {shlex.join(places)}", use_sudo=self.use_sudo)
        return report(self, *(f"made {place}" for place in places))

    @suppress_action_result
    def deploy(self, name: str | None = None) -> Changes:
        """Build a new release, make it the current one, and remove old ones.

        When ``build`` or ``check`` fails, the current release stays. When ``activated`` does, the
        new one is current, and whether to go on from there or back is for a person to say.

        :param name: of letters, digits and ``. _ + -``; the time (UTC) by default.
        :raises LockHeld: while something else is done with the releases.
        """
        links = get_links(self)
        _check(self, name)
        changes = self.setup()
        with _hold(self, f"deploy of {name}" if name else "deploy"):
            state = look(self)
            if name in state.releases:
                raise _problem(
                    self,
                    f"there is a release {name} already, and releases do not change: give the new "
                    "one another name, or make that one current with "
                    f"{show_command(self, 'activate', name)}",
                )
            name = name or _new_name(state.releases)
            directory = f"{get_root(self)}/releases/{name}"
            _run(self, _BEGIN, name, *state.left_over)
            changes += _report_removed(self, state.left_over)
            self.build(directory)
            if links:
                _run(self, _LINK, name, *(word for link in links.items() for word in link))
            self.check(directory)
            made = [
                f"made {get_root(self)}/shared/{item.removesuffix('/')}" for item in state.missing
            ]
            changes += report(self, *made, f"built {directory}")
            changes += _switch(self, state, name, ("trying", name), script=_END)
            changes += _clean(self)
        return changes

    @suppress_action_result
    def rollback(self, release: str | None = None) -> Changes:
        """Make an earlier release the current one.

        The releases that were made current after it are no good ones any more. A rollback that was
        interrupted, or could not activate its release, is completed by another one.

        :param release: a good one; the last one before the current one by default.
        """
        with _hold(self, "rollback"):
            state = look(self)
            target = release or state.previous
            if target is None:
                raise _problem(self, "there is no earlier good release to go back to")
            if target not in state.good:
                raise _problem(self, _explain_refusal(self, state, target))
            if state.is_done(target):
                return Changes()
            bad = list(state.good[state.good.index(target) + 1 :])
            if state.current and state.current not in state.good:
                bad.append(state.current)
            return _switch(self, state, target, *(("bad", other) for other in bad))

    @suppress_action_result
    def activate(self, release: str) -> Changes:
        """Make any release that is on the host the current one, also one that is not good."""
        with _hold(self, f"activation of {release}"):
            state = look(self)
            if release not in state.releases:
                raise _problem(self, f"there is no release {release}{_offer(state.releases)}")
            if state.is_done(release):
                return Changes()
            return _switch(self, state, release, ("trying", release))

    @suppress_action_result
    def cleanup(self) -> Changes:
        """Remove what unfinished deploys have left, and the oldest releases beyond ``keep``."""
        _check(self)
        with _hold(self, "cleanup"):
            return _clean(self)

    # What is there.

    @changes_nothing
    def releases(self) -> list[ReleaseInfo]:
        """Return the releases that are on the host, from the oldest to the newest."""
        state = look(self)
        return [
            ReleaseInfo(name, state.since.get(name, ""), name == state.current, name in state.good)
            for name in state.releases
        ]

    def complete_release(self) -> list[tuple[str, str]]:
        """Return the releases that are on the host, the newest first; of an array, on its first."""
        found: list[ReleaseInfo] = next(iter(self)).releases()
        return [(info.name, str(info).removeprefix(f"{info.name} ")) for info in reversed(found)]

    @changes_nothing
    def current(self) -> str | None:
        """Return the name of the current release; None when there is none."""
        return look(self).current


_IN = """\
set -e
cd -- "$1"
name=$2
shift 2
"""
# What cannot be removed is in nobody's way here; the cleanup at the end says why it cannot.
_BEGIN = f"""{_IN}\
for left; do
    rm -rf -- "releases/$left" && rm -f -- "releases/.$left.partial" || true
done
: >"releases/.$name.partial"
mkdir -- "releases/$name"
"""
# A part of what is copied must never be taken for all of it. What a symlink leads to is not the
# release's to remove, and the link to what is shared would lead nowhere from there.
_LINK = f"""{_IN}\
while [ $# -gt 0 ]; do
    item=${{1%/}}
    place=releases/$name/$item
    shared=shared/$item
    mkdir -p -- "${{place%/*}}" "${{shared%/*}}"
    parent=${{place%/*}}
    if [ "$(cd -- "$parent" && pwd -P)" != "$(cd releases && pwd -P)${{parent#releases}}" ]; then
        printf '%s cannot be shared: there is a symlink on the way to it\\n' "$item" >&2
        exit 1
    fi
    # One that leads nowhere may lead to what is not mounted now.
    if [ ! -e "$shared" ] && [ ! -L "$shared" ]; then
        rm -rf -- "$shared.partial"
        if [ -e "$place" ]; then
            cp -a -- "$place" "$shared.partial"
        elif [ "$1" != "$item" ]; then
            mkdir -- "$shared.partial"
        else
            : >"$shared.partial"
        fi
        mv -fT -- "$shared.partial" "$shared"
    fi
    rm -rf -- "$place"
    ln -s -- "$2" "$place"
    shift 2
done
"""
_RECORD = f"""{_IN}\
[ $# = 0 ] || printf '%s\\n' "$@" >>releases.log
"""
_SWITCH = """\
[ -d "releases/$name" ]
[ ! -e "releases/.$name.partial" ]
ln -sfn -- "releases/$name" .current.new
mv -fT -- .current.new current
"""
_AGAIN = f"{_RECORD}{_SWITCH}"
# Where somebody has broken the lock and removed it meanwhile, this is where it ends.
_END = f"""{_RECORD}\
rm -- "releases/.$name.partial"
{_SWITCH}"""
_REMOVE = """\
set -e
cd -- "$1"
shift
for name; do
    : >"releases/.$name.partial"
    rm -rf -- "releases/$name"
    rm -- "releases/.$name.partial"
done
"""


def _hold(node: Any, reason: str) -> AbstractContextManager[None]:
    lock: AbstractContextManager[None] = node.lock.hold(reason)
    return lock


def _run(node: Any, script: str, *arguments: str) -> None:
    command = shlex.join(["/bin/sh", "-c", script, "sh", get_root(node), *arguments])
    node.host.run(command, use_sudo=node.use_sudo, interactive=False)


def _switch(
    node: Any, state: ReleaseState, name: str, *events: tuple[str, str], script: str = _AGAIN
) -> Changes:
    """Record what is about to happen, make a release the current one, and activate it."""
    if state.current is not None and state.current not in state.since:
        # From before there was a record; what worked so far can be gone back to.
        events = (("good", state.current), *events)
    _run(node, script, name, *(_event(*event) for event in events))
    changes = report(node, f"switched {get_root(node)}/current to {name}")
    try:
        with noting_skipped() as skipped:
            node.activated(f"{get_root(node)}/releases/{name}")
    except ActionException as error:
        bad = {other for word, other in events if word == "bad"} | {name}
        good = [*state.good, *(other for word, other in events if word == "good")]
        back = [
            f", {show_command(node, 'rollback', other)} goes back"
            for other in good
            if other not in bad
        ][-1:]
        raise _problem(
            node,
            f"{name} is the current release now, but could not be activated: "
            f"{show_command(node, 'activate', name)} tries that again{''.join(back)}. {error}",
        ) from error.inner_exception
    if skipped:
        node.console.warning(
            f"{node.host.slug}: {get_root(node)}: {name} is the current release, but no good one, "
            f"since a failure was skipped: {show_command(node, 'activate', name)} tries it again"
        )
        return changes
    _run(node, _RECORD, name, _event("good", name))
    return changes


def _clean(node: Any) -> Changes:
    state = look(node)
    kept = {*state.releases[-node.keep :], state.current, state.last_good}
    names = [*state.left_over, *(name for name in state.releases if name not in kept)]
    if names:
        _run(node, _REMOVE, *names)
    return _report_removed(node, names)


def _report_removed(node: Any, names: Sequence[str]) -> Changes:
    return report(node, *(f"removed {get_root(node)}/releases/{name}" for name in names))


def _event(word: str, name: str) -> str:
    return f"{datetime.now(UTC).isoformat(timespec='seconds')} {word} {name}"


def _new_name(taken: Sequence[str]) -> str:
    """Return the time, with a number where that is taken."""
    now = f"{datetime.now(UTC):%Y%m%d%H%M%S}"
    names = (now if number == 1 else f"{now}-{number}" for number in itertools.count(1))
    return next(name for name in names if name not in taken)


def _check(node: Any, name: str | None = None) -> None:
    if name is not None and not NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} cannot be the name of a release: it takes letters, digits and . _ + -, and "
            "begins with a letter or a digit"
        )
    if not isinstance(node.keep, int) or node.keep < 1:
        raise ValueError(f"{node!r}.keep: at least 1 release is kept, not {node.keep!r}")


def _explain_refusal(node: Any, state: ReleaseState, name: str) -> str:
    """Return why there is no rollback to a release."""
    if name not in state.releases:
        return f"there is no release {name}{_offer(state.releases)}"
    return (
        f"{name} is no good release: it was not activated well, or somebody has gone back from it. "
        f"The good ones: {', '.join(state.good) or 'none'}. "
        f"{show_command(node, 'activate', name)} takes any"
    )


def _offer(names: Sequence[str]) -> str:
    return f"; there are {', '.join(names)}" if names else "; there are none"


def _problem(node: Any, text: str) -> DeployerException:
    return DeployerException(f"{node.host.slug}: {get_root(node)}: {text}")
