"""The config files of ssh, read as OpenSSH's client reads them (``ssh_config(5)``, ``ssh -G``)."""

from __future__ import annotations

import glob
import grp
import hashlib
import os
import pwd
import socket
import stat
import subprocess
from dataclasses import dataclass, field
from functools import lru_cache

from .files_read import FilesRead
from .ssh_keywords import KEYWORDS, NEWER_CRITERIA, ConfigError, Line, parse_line
from .ssh_patterns import expand, in_list, matches

__all__ = ["SYSTEM_CONFIG", "USER_CONFIG", "Options", "local_user", "lookup", "tokens"]

USER_CONFIG = "~/.ssh/config"
SYSTEM_CONFIG = "/etc/ssh/ssh_config"
_USER_DIRECTORY = "~/.ssh"
_SYSTEM_DIRECTORY = "/etc/ssh"
_MAX_DEPTH = 16
_EXEC_TIMEOUT = 30.0
# Of these, every line counts; of all others, the first one that applies.
_ADDING = {"identityfile", "certificatefile", "localforward", "remoteforward", "dynamicforward"}


@dataclass
class Options:
    """What the files say of one host."""

    #: The name that was asked for.
    address: str
    #: What to connect to: ``HostName``, or the address; in lower case.
    hostname: str
    #: The lines that apply, by their keyword in lower case.
    lines: dict[str, list[Line]] = field(default_factory=dict)
    #: What stands in the files, would apply, and makes no sense to us; a line each.
    unknown: list[str] = field(default_factory=list)

    def get(self, keyword: str, default: str = "") -> str:
        """Return the first value of an option."""
        lines = self.lines.get(keyword)
        return lines[0].values[0] if lines and lines[0].values else default

    def all(self, keyword: str) -> tuple[str, ...]:
        """Return every value of an option."""
        return tuple(value for line in self.lines.get(keyword, ()) for value in line.values)

    def take(self, line: Line) -> None:
        """Take a line that applies, unless an earlier one forbids it."""
        keyword = line.keyword
        if not line.values:
            # Only a comment behind the keyword of a list.
            return
        if keyword == "sendenv":
            self._send(line)
        elif keyword in _ADDING:
            known = self.lines.setdefault(keyword, [])
            if all(line.values != other.values for other in known):
                known.append(line)
        elif keyword not in self.lines and not self._has_rival(keyword):
            self.lines[keyword] = [line]

    def _has_rival(self, keyword: str) -> bool:
        # Of the two the first wins, but `ProxyJump none` leaves room for a command.
        if keyword == "proxycommand":
            return self.get("proxyjump", "none") != "none"
        return keyword == "proxyjump" and "proxycommand" in self.lines

    def _send(self, line: Line) -> None:
        for name in line.values:
            if name.startswith("-"):
                self.lines["sendenv"] = [
                    other
                    for other in self.lines.get("sendenv", ())
                    if not matches(name[1:], other.values[0])
                ]
            else:
                one = Line(line.keyword, (name,), line.filename, line.number, line.rest)
                self.lines.setdefault("sendenv", []).append(one)


@dataclass(frozen=True)
class _Block:
    """The lines from one ``Host`` or ``Match`` to the next."""

    head: Line | None
    lines: list[Line]


@dataclass(frozen=True)
class _File:
    """A file that was read, in blocks."""

    blocks: list[_Block]
    #: What is wrong with it; found in every block, also in those that do not apply.
    error: str | None


def lookup(
    user_file: str | None,
    system_file: str | None,
    address: str,
    user: str | None = None,
    port: int | None = None,
) -> Options:
    """Return what the files say of a host; the user's file comes first, and so wins.

    :param user: a user name that is known already, as from ``ssh -l``; like ``port`` it wins.
    :raises ConfigError: where ssh would refuse the files. An option that we do not know is none:
        releases of OpenSSH add some.
    """
    options = Options(address, address)
    if user is not None:
        options.take(Line("user", (user,)))
    if port is not None:
        options.take(Line("port", (str(port),)))
    reader = _Reader(options, address)
    reader.read(user_file, system_file)
    options.hostname = _hostname(options)
    # A second time, where a block asks for that, or a canonical name might match others.
    if reader.wants_final_pass or options.get("canonicalizehostname", "no") != "no":
        options.lines["hostname"] = [Line("hostname", (options.hostname.replace("%", "%%"),))]
        _Reader(options, options.hostname, is_final=True).read(user_file, system_file)
    return options


class _Reader:
    """One pass over the files."""

    def __init__(self, options: Options, host: str, is_final: bool = False) -> None:
        self._options = options
        #: What `Host` compares with: the address, or in the final pass what it stands for.
        self._host = host
        self._is_final = is_final
        self.wants_final_pass = False

    def read(self, user_file: str | None, system_file: str | None) -> None:
        for filename, directory in ((user_file, _USER_DIRECTORY), (system_file, _SYSTEM_DIRECTORY)):
            if filename is None:
                continue
            is_checked = filename == USER_CONFIG
            file = _load(os.path.expanduser(filename), is_checked)
            if file is not None:
                self._apply(file, directory, active=True, depth=0)

    def _apply(self, file: _File, directory: str, active: bool, depth: int) -> None:
        if file.error is not None:
            raise ConfigError(file.error)
        for block in file.blocks:
            applies = active and (block.head is None or self._matches(block.head))
            for line in block.lines:
                if line.keyword == "include":
                    self._include(line, directory, applies, depth + 1)
                elif applies:
                    self._take(line)

    def _take(self, line: Line) -> None:
        if line.keyword in KEYWORDS:
            self._options.take(line)
        elif not in_list(self._options.get("ignoreunknown"), line.keyword.lower(), fold=True):
            self._options.unknown.append(f"{line.where}: {line.keyword} is no option known here")

    def _include(self, line: Line, directory: str, applies: bool, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise ConfigError(f"{line.where}: too many files that include one another")
        for pattern in line.values:
            if pattern.startswith("~") and directory == _SYSTEM_DIRECTORY:
                raise ConfigError(f"{line.where}: bad include path {pattern}")
            if not pattern.startswith(("/", "~")):
                pattern = os.path.join(directory, pattern)
            for name in sorted(glob.glob(os.path.expanduser(pattern))):
                # Also where it does not apply: ssh finds its mistakes then, too.
                file = _load(name, is_checked=True)
                if file is not None:
                    self._apply(file, directory, applies, depth)

    def _matches(self, head: Line) -> bool:
        if head.keyword == "match":
            return self._meets(head)
        found = False
        for pattern in head.values:
            if pattern.startswith("!") and matches(pattern[1:], self._host):
                return False
            found = found or matches(pattern, self._host)
        return found

    def _meets(self, head: Line) -> bool:
        options = self._options
        result = True
        # An argument follows each but these.
        words = iter(head.values)
        for word in words:
            criterion = word.lower().removeprefix("!")
            negated = word.startswith("!")
            if criterion == "all":
                met = True
            elif criterion in ("final", "canonical"):
                self.wants_final_pass |= criterion == "final"
                met = self._is_final
            else:
                argument = next(words)
                if criterion in NEWER_CRITERIA:
                    if result:
                        options.unknown.append(
                            f"{head.where}: `Match {criterion}` cannot be decided; left out"
                        )
                    return False
                # The commands of those before it have been run.
                met = result and self._meets_one(head, criterion, argument)
                if not result:
                    continue
            result = result and met != negated
        return result

    def _meets_one(self, head: Line, criterion: str, argument: str) -> bool:
        options = self._options
        user = options.get("user") or local_user()
        if criterion == "user":
            return in_list(argument, user)
        if criterion == "localuser":
            return in_list(argument, local_user())
        if criterion == "originalhost":
            return in_list(argument, options.address.lower(), fold=True)
        hostname = _expand_hostname(options)
        if criterion == "host":
            return in_list(argument, hostname.lower(), fold=True)
        known = tokens(options, hostname, options.get("port", "22"), user)
        return _succeeds(expand(argument, known, head.where), head.where)


def _succeeds(command: str, where: str) -> bool:
    shell = os.environ.get("SHELL") or "/bin/sh"
    try:
        return not subprocess.run(
            [shell, "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_EXEC_TIMEOUT,
        ).returncode
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"{where}: {command!r} did not end within {_EXEC_TIMEOUT:g} seconds"
        ) from None
    except OSError as error:
        raise ConfigError(f"{where}: cannot run {shell}: {error.strerror}") from error


def _load(filename: str, is_checked: bool = False) -> _File | None:
    try:
        status = os.stat(filename)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{filename}: {error.strerror}") from error
    if is_checked and not _is_safe(status):
        raise ConfigError(
            f"{filename}: bad owner or permissions: others can write to it; use `chmod go-w`"
        )
    return _files.get(filename, status)


def _read(filename: str) -> _File:
    try:
        with open(filename, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read()
    except IsADirectoryError:
        text = ""
    except OSError as error:
        raise ConfigError(f"{filename}: {error.strerror}") from error
    return _parse(text, filename)


_files = FilesRead(_read)


def _is_safe(status: os.stat_result) -> bool:
    if status.st_uid not in (0, os.getuid()) or status.st_mode & stat.S_IWOTH:
        return False
    if not status.st_mode & stat.S_IWGRP:
        return True
    # A group of one's own is as good as no group; many systems give one to each user.
    try:
        group = grp.getgrgid(status.st_gid)
    except KeyError:
        return False
    return group.gr_name == local_user() and not set(group.gr_mem) - {local_user()}


def _parse(text: str, filename: str) -> _File:
    blocks = [_Block(None, [])]
    error = None
    for number, content in enumerate(text.split("\n"), 1):
        try:
            line = parse_line(content, filename, number)
        except ConfigError as problem:
            error = error or str(problem)
            continue
        if line is None:
            continue
        if line.keyword in ("host", "match"):
            blocks.append(_Block(line, []))
        else:
            blocks[-1].lines.append(line)
    return _File(blocks, error)


def local_user() -> str:
    """Return the name of the user who runs this process."""
    return _user_name(os.getuid())


# It is read from a file, or asked for elsewhere, each time.
@lru_cache
def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def tokens(options: Options, hostname: str, port: str, user: str) -> dict[str, str]:
    """Return what the tokens with ``%`` stand for (``ssh_config(5)``, TOKENS)."""
    here = socket.gethostname()
    jumps = options.all("proxyjump")
    last = jumps[-1] if jumps and jumps != ("none",) else ""
    jump = last.removeprefix("ssh://").rpartition("@")[2].partition(":")[0]
    whole = f"{here}{hostname}{port}{user}{jump}".encode(errors="surrogateescape")
    digest = hashlib.sha1(whole, usedforsecurity=False)
    return {
        "%": "%",
        "C": digest.hexdigest(),
        "L": here.partition(".")[0],
        "d": os.path.expanduser("~"),
        "h": hostname,
        "i": str(os.getuid()),
        "j": jump,
        "k": options.get("hostkeyalias", options.address),
        "l": here,
        "n": options.address,
        "p": port,
        "r": user,
        "u": local_user(),
    }


def _expand_hostname(options: Options) -> str:
    lines = options.lines.get("hostname")
    if not lines:
        return options.address
    return expand(lines[0].values[0], {"%": "%", "h": options.address}, lines[0].where)


def _hostname(options: Options) -> str:
    name = _expand_hostname(options)
    try:
        # One of IPv4 has no other way to be written.
        socket.inet_pton(socket.AF_INET, name)
    except (OSError, UnicodeError):
        pass
    else:
        return name
    try:
        # An address is written in one way alone, so that known_hosts has it once.
        found = socket.getaddrinfo(name, None, flags=socket.AI_NUMERICHOST)
        return socket.getnameinfo(found[0][4], socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0]
    except (OSError, UnicodeError):
        return name.lower()
