"""A configuration file on a host."""

from __future__ import annotations

import difflib
import errno
import posixpath
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, NamedTuple

from ...exceptions import DeployerException, NodeUsageError, RemoteFileError
from ...node import Node, alias, changes_nothing, required_property, suppress_action_result
from ...programs import edited
from ...secret import Secret, redact, shows_unrevealed
from ...utils.colours import paint, shows_colours
from .changes import Changes, ask, report
from .template import JinjaTemplate, Template

__all__ = ["Config", "JinjaTemplate", "Template"]


class Config(Node):
    """A file on the host, and the content that it should have.

    A subclass sets ``remote_path`` and ``content``, as values, properties or queries::

        class nginx(Config):
            remote_path = "/etc/nginx/nginx.conf"
            use_sudo = True
            content = Template.from_file("nginx.conf", domain=Q.parent.domain)

    Where the path is a symlink, it is about the file that this leads to. With ``use_sudo``, that
    of a user is followed only to a file of that user.
    """

    #: Where the file is on the host; its directory has to exist.
    remote_path: Any = required_property("Where the file is on the host")
    #: What it should hold: text, bytes, or a :class:`~deployer.secret.Secret`. Text is written as
    #: UTF-8, and bytes that are none are surrogates in it, as in ``os.fsdecode``.
    content: Any = required_property("What the file should hold, as text or bytes")
    #: Read and write it as root.
    use_sudo: Any = False
    #: The permissions that it should have, as in ``0o640``; a new file has them before anything is
    #: in it. None leaves a file those it has, and a new one those of any new file of the user.
    mode: Any = None
    #: Whom it should belong to, as ``chown`` takes it: ``"user"``, ``"user:group"`` or
    #: ``":group"``. None leaves a file to its owner.
    owner: Any = None
    #: Let whoever may read it run it, too.
    make_executable: Any = False
    #: Keep a copy of what ``setup`` replaces; see ``backup``.
    always_backup_existing_config: Any = False

    @alias("show_new_config")
    @changes_nothing
    def show(self) -> str:
        """Return the content that the file should have, with secrets as ``***``."""
        return redact(_decode(_get_content(self)))

    @changes_nothing
    def exists(self) -> bool:
        """Return whether there is such a file on the host."""
        return self.host.exists(self.remote_path, use_sudo=bool(self.use_sudo))

    @changes_nothing
    def current_content(self) -> str:
        """Return what the file on the host holds, as it is; nothing when there is none."""
        return _decode(_read(self) or b"")

    @changes_nothing
    def diff(self) -> str:
        """Return what ``setup`` would change, as a unified diff; nothing when it is up to date.

        Secrets in it are ``***``, and so are old lines in whose place there will be one, from where
        it begins. It has colours where the terminal shows them.
        """
        plan = _plan(self)
        lines = [line for fix in plan.fixes for line in fix.difference]
        if plan.old is None:
            lines.append("new file")
        lines += _compare(
            plan, f"{self.remote_path} on {self.host.slug}", f"{self.remote_path}, new"
        )
        enabled = shows_colours(self.console.pty.stdout)
        shown = redact("".join(f"{line}\n" for line in lines)).split("\n")
        return "\n".join(_paint(line, enabled) for line in shown)

    @changes_nothing
    def changed(self) -> bool:
        """Return whether ``setup`` would change anything."""
        return not _plan(self).is_done

    @suppress_action_result
    def setup(self) -> Changes:
        """Make the file what it should be, and return what that has changed.

        It is replaced whole or not at all, and keeps its mode and owner unless they are set here.
        """
        plan = _plan(self)
        changes = Changes()
        if not plan.is_done:
            _check_symlink(self)
        if plan.old is not None and plan.old != plan.new and self.always_backup_existing_config:
            changes += report(self, f"kept {self.remote_path} as {_back_up(self)}")
        # Before there is something in it that others may not see.
        for fix in plan.fixes:
            self.host.run(fix.command, use_sudo=bool(self.use_sudo))
            changes += report(self, fix.text)
        if plan.old != plan.new:
            _write(self, plan.new, is_new=plan.old is None)
            changes += report(self, f"wrote {self.remote_path}")
        return changes

    @suppress_action_result
    def backup(self) -> str | None:
        """Copy the file to one beside it, and return its path; None when there is nothing to copy.

        The copy has the mode and owner of the file. It is named after the file and the time, so
        that the names sort by it: ``motd.20250131T235900.000000Z~``. The ``~`` keeps programs that
        read whole directories, such as cron and sudo, from reading it.
        """
        if not self.exists():
            return None
        path = _back_up(self)
        report(self, f"kept {self.remote_path} as {path}")
        return path

    @alias("edit_in_vim")
    @suppress_action_result
    def edit(self) -> Changes:
        """Open the file of the host in the editor of this terminal; write it if it was changed.

        The next ``setup`` makes it what it should be again.
        """
        old = _read(self)
        name = posixpath.basename(self.host.expand_path(self.remote_path))
        with edited(self.console.pty, name, old or b"") as new:
            if new == (old or b""):
                return Changes()
            what = f"{self.remote_path} on {self.host.slug}"
            if _read(self) != old and not self.console.confirm(
                f"{what} was changed meanwhile by somebody else. Replace it?", default=False
            ):
                raise DeployerException(
                    f"{what} was changed meanwhile by somebody else, and is not replaced"
                )
            _check_symlink(self)
            _write(self, new, is_new=old is None)
        return report(self, f"wrote {self.remote_path}")


class _Fix(NamedTuple):
    """What has to be done to a file that is there, besides its content."""

    command: str
    text: str
    difference: tuple[str, str]


class _Plan(NamedTuple):
    """What has to be done to a file."""

    #: None where there is none.
    old: bytes | None
    new: bytes
    fixes: list[_Fix]

    @property
    def is_done(self) -> bool:
        return self.old == self.new and not self.fixes


def _plan(config: Any) -> _Plan:
    new, old = _get_content(config), _read(config)
    return _Plan(old, new, [] if old is None else _find_fixes(config))


def _find_fixes(config: Any) -> list[_Fix]:
    """Return what makes the owner and the mode of a file what they should be."""
    if config.owner is None and config.mode is None and not config.make_executable:
        return []
    path = shlex.quote(config.host.expand_path(config.remote_path))
    found = ask(config, f"stat -L -c %a:%u:%g:%U:%G {path}", use_sudo=bool(config.use_sudo))
    if not found.ok:
        raise RemoteFileError(
            f"{config.host.slug}: cannot see the mode of {config.remote_path}: "
            f"{found.stderr.strip()}"
        )
    # The name of a group may have blanks in it.
    mode, uid, gid, user, group = found.strip().split(":")
    fixes = []
    owner = "" if config.owner is None else str(config.owner)
    wanted_user, _, wanted_group = owner.partition(":")
    if wanted_user not in ("", user, uid) or wanted_group not in ("", group, gid):
        # First, since it takes the set-user-id bit away.
        fixes.append(
            _Fix(
                _chown(config, path),
                f"gave {config.remote_path} to {owner}",
                (f"old owner {user}:{group}", f"new owner {owner}"),
            )
        )
    wanted_mode = _get_mode(config, int(mode, 8))
    if wanted_mode is not None and (wanted_mode != int(mode, 8) or (fixes and wanted_mode > 0o777)):
        fixes.append(
            _Fix(
                f"chmod {wanted_mode:o} {path}",
                f"set the mode of {config.remote_path} to {wanted_mode:o}",
                (f"old mode {mode}", f"new mode {wanted_mode:o}"),
            )
        )
    return fixes


def _get_mode(config: Any, current: int | None) -> int | None:
    """Return the permissions that a file should have; None for those of any new file."""
    mode = current if config.mode is None else config.mode
    # What its owner may not read is 644 written for 0o644.
    if config.mode is not None and not (
        isinstance(mode, int) and 0 <= mode <= 0o7777 and mode & 0o400
    ):
        raise ValueError(
            f"{config!r}.mode is {mode!r}, which is no mode of a file that its owner may read; "
            "write it as in 0o640"
        )
    if not config.make_executable:
        return mode
    # As install(1) does.
    return 0o755 if mode is None else mode | (mode & 0o444) >> 2


# Prints whose a symlink is, and whose the file that it leads to.
_SYMLINK = """\
[ ! -L "$1" ] || { stat -c %U:%u "$1"; stat -L -c %U:%u "$1" 2>/dev/null; }
"""


def _check_symlink(config: Any) -> None:
    """Raise where a user's symlink would lead root to a file that is not the user's own."""
    if not config.use_sudo:
        return
    path = config.host.expand_path(config.remote_path)
    found = ask(config, shlex.join(["/bin/sh", "-c", _SYMLINK, "sh", path]), use_sudo=True)
    link, *target = found.splitlines() or [""]
    user = link.partition(":")[0]
    if user not in ("", "root", config.host.host_class.get_username()) and link not in target:
        raise DeployerException(
            f"{config.host.slug}: {config.remote_path} is a symlink that belongs to {user}, and "
            f"leads to what is not {user}'s; root does not follow it: remove it, or give it to root"
        )


def _chown(config: Any, path: str) -> str:
    return f"chown -- {shlex.quote(str(config.owner))} {path}"


def _get_content(config: Any) -> bytes:
    content = config.content
    if isinstance(content, Secret):
        content = content.reveal()
    if isinstance(content, str):
        if shows_unrevealed(content):
            raise NodeUsageError(
                f"{config!r}.content has 'Secret(***)' in it; for the text of a Secret, "
                "write .reveal(), or put it in with a Template"
            )
        return content.encode(errors="surrogateescape")
    if isinstance(content, bytes):
        return content
    raise TypeError(
        f"{config!r}.content is a {type(content).__name__}; it has to be text, bytes or a Secret"
    )


def _decode(content: bytes) -> str:
    return content.decode(errors="surrogateescape")


def _read(config: Any) -> bytes | None:
    """Return what the file on the host holds, None when there is none; this is not logged."""
    host = config.host.host_class(config.host.pty)
    path = config.host.expand_path(config.remote_path)
    try:
        with _advising(config), host.open(path, "rb", use_sudo=bool(config.use_sudo)) as file:
            content: bytes = file.read()
            return content
    except RemoteFileError as error:
        if error.errno != errno.ENOENT:
            raise
        return None


def _write(config: Any, content: bytes, is_new: bool) -> None:
    host, use_sudo = config.host, bool(config.use_sudo)
    permissions = _get_mode(config, None)
    with _advising(config):
        opened = host.open(config.remote_path, "wb", use_sudo=use_sudo, permissions=permissions)
        with opened as file:
            file.write(content)
    if is_new and config.owner is not None:
        path = shlex.quote(host.expand_path(config.remote_path))
        host.run(_chown(config, path), use_sudo=use_sudo)
        if permissions is not None and permissions > 0o777:
            # To give it away has taken the set-user-id bit away.
            host.run(f"chmod {permissions:o} {path}", use_sudo=use_sudo)


@contextmanager
def _advising(config: Any) -> Iterator[None]:
    """Say what to do about a file that cannot be read or written."""
    try:
        yield
    except RemoteFileError as error:
        if error.errno == errno.ENOENT:
            advice = f"its directory is not there, and {config!r} does not make it"
        elif error.errno == errno.EACCES and not config.use_sudo:
            advice = f"with `use_sudo = True`, {config!r} reads and writes it as root"
        else:
            raise
        raise RemoteFileError(f"{error}; {advice}", error.errno) from error


def _back_up(config: Any) -> str:
    path: str = config.host.expand_path(config.remote_path)
    copy = f"{path}.{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}~"
    old, new = shlex.quote(path), shlex.quote(copy)
    config.host.run(f"test ! -e {new} && cp -p {old} {new}", use_sudo=bool(config.use_sudo))
    return copy


def _compare(plan: _Plan, old_name: str, new_name: str) -> list[str]:
    """Return the lines of a unified diff."""
    old, new = plan.old or b"", plan.new
    if old != new and b"\0" in old + new:
        return [f"{old_name} and {new_name} are not text, and differ"]
    # A last line without an end is only told where it makes a difference.
    tells = old.endswith(b"\n") is not new.endswith(b"\n")
    lines = (_split(old, tells), _split(new, tells))
    difference = list(difflib.unified_diff(*lines, old_name, new_name, lineterm=""))
    return difference[:2] + _hide_old(difference[2:], _decode(new))


def _hide_old(lines: list[str], wanted: str) -> list[str]:
    """Return the lines of a diff without what may be an old secret.

    Its text is known to nobody, but not where it stands: where the file gets a secret now.
    """
    shown = set(redact(wanted).split("\n"))
    with_secrets = {line for line in wanted.split("\n") if line not in shown}
    # What is one line of a secret need not be known by itself.
    unknown = {line for line in with_secrets if redact(line) == line}
    starts = {redact(line).partition("***")[0] for line in with_secrets - unknown} | {""}
    # However it is indented, or has blanks around its `=`.
    words = tuple(filter(None, ("".join(start.split()) for start in starts)))

    def hide(line: str, is_replaced: bool) -> str:
        text, *end = line[1:].split("\n")
        if line[0] != "-":
            text = "***" if text in unknown else text
        elif text not in shown and (is_replaced or "".join(text.split()).startswith(words)):
            text = max((start for start in starts if text.startswith(start)), key=len) + "***"
        return "\n".join([line[0] + text, *end])

    hidden: list[str] = []
    for _, group in groupby(lines if with_secrets else [], lambda line: line[0] in "+-"):
        block = list(group)
        added = {line[1:].split("\n")[0] for line in block if line[0] == "+"}
        hidden += [hide(line, not added.isdisjoint(with_secrets)) for line in block]
    return hidden or lines


def _split(content: bytes, tells_unended: bool) -> list[str]:
    *lines, last = _decode(content).split("\n")
    if last:
        lines.append(last + "\n\\ No newline at end of file" if tells_unended else last)
    return lines


def _paint(line: str, enabled: bool) -> str:
    colours = {"+": "green", "-": "red", "@": "cyan"}
    return paint(line, colours.get(line[:1]), enabled=enabled)
