"""A user of a host, and the keys that log in as that user."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any, NamedTuple

from ...exceptions import ExecCommandFailed
from ...node import Node, changes_nothing, required_property, suppress_action_result
from .changes import Changes, ask, report

__all__ = ["User"]


class User(Node):
    """A user of the host.

    A subclass sets what matters; the rest is as ``useradd`` has it by default, or as it is::

        class site(User):
            username = "site"
            shell = "/bin/bash"
            groups = ["www-data"]
            authorized_keys = [
                "ssh-ed25519 AAAAC3Nz… anna@laptop",
                'from="192.0.2.0/24" ssh-ed25519 AAAAC3Nz… backup',
            ]

    Nobody can log in as the user by a password, unless somebody sets one.
    """

    #: The name of the user.
    username: Any = required_property("The name of the user")
    #: The home directory; when it changes, what is in it is moved.
    home: Any = None
    #: The login shell.
    shell: Any = None
    #: Groups that the user is in, besides the user's own. The user is never taken out of others.
    groups: Any = ()
    #: Whether a new user is one of the system: with a low number, and a home only where ``home``
    #: is set.
    system: Any = False
    #: Lines for ``~/.ssh/authorized_keys``, or a text of them such as an ``id_ed25519.pub``. A key
    #: that is there with other options, or another comment, gets these.
    authorized_keys: Any = ()
    #: Whether other keys are taken out of that file; comments go with them.
    exclusive_keys: Any = False

    @suppress_action_result
    def setup(self) -> Changes:
        """Make the user, or change what differs, and let the keys log in."""
        keys = dict(_wanted_keys(self))
        account = _look_up(self)
        changes = _set_account(self, account)
        if keys or self.exclusive_keys:
            # In a sandbox, a new user is not there.
            is_there = account is not None or not self.host.is_sandbox
            changes += _set_keys(self, keys, _read_keys(self) if is_there else _KeyFile())
        return changes

    @changes_nothing
    def exists(self) -> bool:
        """Return whether there is such a user on the host."""
        return _look_up(self) is not None

    @suppress_action_result
    def remove(self, with_home: bool = False, confirmed: bool = False) -> Changes:
        """Remove the user, after a question; nothing happens when there is none.

        :param with_home: remove the home directory, too.
        :param confirmed: True when no question is needed.
        """
        if not self.exists():
            return Changes()
        what = f"the user {self.username}" + (" and the home directory" if with_home else "")
        if not (confirmed or self.console.confirm(f"Remove {what} from {self.host.slug}?")):
            return Changes()
        options = ["--remove"] if with_home else []
        self.host.sudo(shlex.join(["userdel", *options, "--", self.username]))
        return report(self, f"removed {what}")


def _check_name(name: Any, what: str) -> str:
    # Neither a number, nor an option, nor what separates the fields of /etc/passwd.
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*\$?", str(name)):
        raise ValueError(f"{name!r} is no name of a {what}")
    return str(name)


class _Account(NamedTuple):
    """A user that is there."""

    home: str
    shell: str
    groups: list[str]


def _look_up(user: Any) -> _Account | None:
    """Return what is known of a user; None when there is no such user."""
    name = _check_name(user.username, "user")
    found = ask(user, f"getent passwd {name} && id -nG {name}")
    # 2: there is none.
    if found.exit_status not in (0, 2):
        raise ExecCommandFailed(found)
    if not found.ok:
        return None
    entry, groups = found.stdout.splitlines()
    home, shell = entry.split(":")[5:]
    return _Account(home, shell, groups.split())


def _set_account(user: Any, account: _Account | None) -> Changes:
    """Make a user, or change what differs."""
    name = str(user.username)
    given = [user.groups] if isinstance(user.groups, str) else user.groups
    groups = [_check_name(group, "group") for group in given]
    # As usermod writes it down.
    home = None if user.home is None else user.home.rstrip("/") or "/"
    words = []
    if account is None:
        # No password fits. With useradd's own, sshd may refuse keys as well (UsePAM no).
        words += ["--password", "*"]
        words += ["--system"] if user.system else []
        # What useradd does by default is another thing on each system.
        words += ["--no-create-home" if user.system and home is None else "--create-home"]
    else:
        groups = [group for group in groups if group not in account.groups]
    if home is not None and (account is None or account.home.rstrip("/") != home.rstrip("/")):
        words += ["--home", home, *([] if account is None else ["--move-home"])]
    if user.shell is not None and (account is None or account.shell != user.shell):
        words += ["--shell", user.shell]
    if groups:
        words += [*([] if account is None else ["--append"]), "--groups", ",".join(groups)]
    if account is None:
        user.host.sudo(shlex.join(["useradd", *words, "--", name]))
        return report(user, f"made the user {name}")
    if not words:
        return Changes()
    user.host.sudo(shlex.join(["usermod", *words, "--", name]))
    return report(user, f"changed the user {name}: {shlex.join(words)}")


# A line as in sshd(8), AUTHORIZED_KEYS FILE FORMAT: in options, blanks are in double quotes.
_KEY = re.compile(
    r"""(?:(?:[^\s"]|"(?:\\"|\\(?!")|[^"\\])*")+[ \t]+)?
        [a-z0-9@.-]+[ \t]+
        (?P<key>AAAA[0-9A-Za-z+/]+=*)
        (?:[ \t].*)?""",
    re.VERBOSE,
)


def _find_key(line: str) -> str | None:
    """Return the key itself in a line; None for a comment, and anything else."""
    found = None if line.startswith("#") else _KEY.fullmatch(line.strip())
    return found["key"] if found else None


def _wanted_keys(user: Any) -> Iterator[tuple[str, str]]:
    """Yield the keys of a node, each with its line."""
    given = user.authorized_keys
    lines = given.splitlines() if isinstance(given, str) else given
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        key = _find_key(line)
        if key is None:
            # It is not shown: it might be a private key.
            raise ValueError(
                f"{user!r}.authorized_keys: line {number} is none of an authorized_keys file; that "
                "is options, if any, then the type, the key and a comment"
            )
        yield key, line


class _KeyFile(NamedTuple):
    """What is in the authorized_keys of a user, and the modes of ``~/.ssh`` and the file."""

    modes: tuple[str, ...] = ()
    text: str = ""


# Both run as the user, who so owns all of it, and may have put a symlink there that root must not
# follow. What is written is moved to its place, so that sshd never sees half of it.
_READ = """\
set -e
cd ~/.ssh 2>/dev/null || { echo; exit 0; }
[ -e authorized_keys ] || { stat -c %a .; exit 0; }
echo $(stat -L -c %a . authorized_keys)
cat authorized_keys
"""
_WRITE = """\
set -e
umask 077
mkdir -p ~/.ssh
cd ~/.ssh
chmod 700 .
file=$(readlink -f authorized_keys)
new=$(mktemp "$file.XXXXXX")
trap 'rm -f -- "$new"' EXIT
cat >"$new"
mv -f -- "$new" "$file"
"""


def _as_user(user: Any, script: str) -> str:
    # By su: where root logs in, there may be no sudo.
    return shlex.join(["su", "-s", "/bin/sh", str(user.username), "-c", script])


def _read_keys(user: Any) -> _KeyFile:
    found = ask(user, _as_user(user, _READ), use_sudo=True)
    if not found.ok:
        raise ExecCommandFailed(found)
    modes, _, text = found.stdout.partition("\n")
    return _KeyFile(tuple(modes.split()), text)


def _set_keys(user: Any, wanted: dict[str, str], file: _KeyFile) -> Changes:
    """Have keys in a file: each once, and as the node has it."""
    left = dict(wanted)
    lines = []
    for line in re.findall(r".*\n|.+", file.text):
        line = line.rstrip("\n")
        key = _find_key(line)
        if key in wanted:
            # Where it is, for the first time that it is there.
            lines += [left.pop(key)] if key in left else []
        elif not user.exclusive_keys:
            lines.append(line)
    text = "".join(f"{line}\n" for line in [*lines, *left.values()])
    # The directory may have the set-group-id bit from the home directory, which chmod leaves.
    if text == file.text and tuple(mode[-3:] for mode in file.modes) == ("700", "600"):
        return Changes()
    # Not in a terminal, where the input would not end.
    user.host.sudo(_as_user(user, _WRITE), interactive=False, initial_input=text)
    return report(user, f"wrote the authorized_keys of {user.username}")
