"""The lines of a config of ssh: how one is split into words, and what each option takes."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

__all__ = ["KEYWORDS", "ConfigError", "Line", "parse_line", "seconds", "split_jump"]

_SPACE = " \t\r\n"
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class ConfigError(ValueError):
    """A config that ssh would refuse; the message says the file, the line and the reason."""


@dataclass(frozen=True)
class Line:
    """A line of a config that was understood."""

    #: In lower case, and under today's name; as it was written when it is not known.
    keyword: str
    #: Without quotes; flags are ``yes`` or ``no``, numbers decimal.
    values: tuple[str, ...]
    filename: str = ""
    number: int = 0
    #: Everything behind the keyword, as it was written.
    rest: str = ""

    @property
    def where(self) -> str:
        return f"{self.filename} line {self.number}"


def parse_line(text: str, filename: str, number: int) -> Line | None:
    """Return a line of a file; None for one that is empty or a comment.

    :raises ConfigError: where ssh would refuse it, whatever host is meant.
    """
    keyword, rest = _next_word(text.strip(_SPACE + "\f"))
    if not keyword or keyword.startswith("#"):
        return None
    name = keyword.lower()
    name = _ALIASES.get(name, name)
    rest = (rest or "").lstrip(_SPACE)
    try:
        if not rest:
            raise ValueError(f'no argument after keyword "{keyword}"')
        if name not in KEYWORDS:
            if not re.fullmatch("[a-z][a-z0-9]*", name):
                raise ValueError(f"Bad configuration option: {keyword}")
            # A later release of OpenSSH may know it.
            return Line(keyword, (), filename, number, rest)
        values = KEYWORDS[name](_arguments(rest), rest)
    except ValueError as error:
        raise ConfigError(f"{filename} line {number}: {error}") from None
    return Line(name, values, filename, number, rest)


def _next_word(text: str) -> tuple[str | None, str | None]:
    """Return the first word and what follows; a single ``=`` separates like a space.

    Both are None behind a quote that is not closed.
    """
    match = re.search(r'[ \t\r\n"=]', text)
    if match is None:
        return text, None
    begin = match.start()
    if match[0] == '"':
        end = text.find('"', begin + 1)
        if end < 0:
            return None, None
        return text[:begin] + text[begin + 1 : end], text[end + 1 :].lstrip(_SPACE)
    rest = text[begin + 1 :].lstrip(_SPACE)
    if match[0] != "=" and rest.startswith("="):
        rest = rest[1:].lstrip(_SPACE)
    return text[:begin], rest


def _arguments(text: str) -> list[str]:
    """Return the words of a text, as OpenSSH's ``argv_split`` does, without a comment."""
    words = []
    at = 0
    while at < len(text):
        if text[at] in " \t":
            at += 1
            continue
        if text[at] == "#":
            break
        word, quote = "", ""
        while at < len(text) and (quote or text[at] not in " \t"):
            char, following = text[at], text[at + 1 : at + 2]
            if char == "\\" and following and following in ("\"'\\" if quote else "\"'\\ "):
                word += following
                at += 1
            elif not quote and char in "\"'":
                quote = char
            elif char == quote:
                quote = ""
            else:
                word += char
            at += 1
        if quote:
            raise ValueError("invalid quotes")
        words.append(word)
    return words


def seconds(time: str) -> int:
    """Return the seconds of a time (``90``, ``1m30s``); -1 for ``none``."""
    if time == "none":
        return -1
    if not re.fullmatch(r"(?:\d+[smhdw])*\d*", time, re.IGNORECASE | re.ASCII) or not time:
        raise ValueError(f"invalid time value {time!r}; write it as 90 or 1m30s")
    found = re.findall(r"(\d+)([smhdw]?)", time.lower())
    return sum(int(number) * _UNITS[unit] for number, unit in found)


def split_jump(word: str) -> tuple[str | None, str, int | None]:
    """Return the user, the host and the port that a word of ``ProxyJump`` names.

    It is ``[user@]host[:port]`` or a URI of the kind ``ssh://``; an address of IPv6 stands in
    brackets.
    """
    is_uri = word.lower().startswith("ssh://")
    place = word[6:].removesuffix("/") if is_uri else word
    user, at, place = place.rpartition("@")
    match = re.fullmatch(r"\[([^]]+)\](?:[:/](.*))?|([^][:/]+)(?:[:/](.*))?", place, re.DOTALL)
    if match is None or (at and not user):
        raise ValueError(f'Invalid ProxyJump "{word}"')
    name, port = match[1] or match[3], match[2] or match[4]
    if is_uri:
        user, name = unquote(user.partition(";")[0]), unquote(name)
    try:
        return user or None, name, int(_port([port], "")[0]) if port else None
    except ValueError:
        raise ValueError(f'Invalid ProxyJump "{word}"') from None


# What options take: functions of the words and of the text they are from, which give the values.

_Check = Callable[[list[str], str], tuple[str, ...]]


def _one(words: list[str], rest: str) -> tuple[str, ...]:
    if not words or not words[0]:
        raise ValueError("missing argument")
    if len(words) > 1:
        raise ValueError("extra arguments at end of line")
    return (words[0],)


def _some(words: list[str], rest: str) -> tuple[str, ...]:
    if not all(words):
        raise ValueError("empty argument")
    return tuple(words)


def _files(words: list[str], rest: str) -> tuple[str, ...]:
    if len(words) > 1 and any(word.lower() == "none" for word in words):
        raise ValueError('the argument "none" must appear alone')
    return _some(words, rest)


def _anything(words: list[str], rest: str) -> tuple[str, ...]:
    return tuple(words)


def _command(words: list[str], rest: str) -> tuple[str, ...]:
    return (rest.lstrip(_SPACE + "="),)


def _choice(values: dict[str, str]) -> _Check:
    def check(words: list[str], rest: str) -> tuple[str, ...]:
        (word,) = _one(words, rest)
        if word.lower() not in values:
            raise ValueError(f'unsupported option "{word}"')
        return (values[word.lower()],)

    return check


def _same(*values: str) -> dict[str, str]:
    return {value: value for value in values}


def _integer(words: list[str], rest: str) -> tuple[str, ...]:
    (word,) = _one(words, rest)
    if not re.fullmatch(r"\d+", word, re.ASCII) or int(word) >= 2**31:
        raise ValueError(f"the integer value {word!r} is invalid")
    return (str(int(word)),)


def _attempts(words: list[str], rest: str) -> tuple[str, ...]:
    if _integer(words, rest) == ("0",):
        raise ValueError("invalid number of ConnectionAttempts")
    return _integer(words, rest)


def _port(words: list[str], rest: str) -> tuple[str, ...]:
    (word,) = _one(words, rest)
    try:
        number = int(word) if word.isascii() and word.isdigit() else socket.getservbyname(word)
    except (OSError, UnicodeError):
        number = 0
    if not 0 < number < 65536:
        raise ValueError(f"Bad port '{word}'")
    return (str(number),)


def _time(words: list[str], rest: str) -> tuple[str, ...]:
    (word,) = _one(words, rest)
    return (str(seconds(word)),)


def _jump(words: list[str], rest: str) -> tuple[str, ...]:
    text = rest.lstrip(_SPACE + "=").partition("#")[0].rstrip(_SPACE)
    if text.lower() == "none":
        return ("none",)
    jumps = tuple(text.split(","))
    for jump in jumps:
        split_jump(jump)
    return jumps


def _names(words: list[str], rest: str) -> tuple[str, ...]:
    if any(not word or "=" in word for word in words):
        raise ValueError("Invalid environment name")
    return tuple(words)


def _assignments(words: list[str], rest: str) -> tuple[str, ...]:
    if any("=" not in word for word in words):
        raise ValueError("Invalid SetEnv")
    return tuple(words)


_ALONE = ("all", "final", "canonical")
_CRITERIA = ("host", "originalhost", "user", "localuser", "exec")
# What releases after 9.2 can match, and deployer cannot decide.
NEWER_CRITERIA = ("tagged", "localnetwork", "sessiontype", "command", "version")


def _match(words: list[str], rest: str) -> tuple[str, ...]:
    """Return the criteria; all but those in `_ALONE` are followed by their argument."""
    found: list[str] = []
    left: str | None = rest
    count = 0
    while left:
        word, left = _next_word(left)
        if not word or word.startswith("#"):
            break
        criterion = word.removeprefix("!").lower()
        found.append(word)
        if criterion == "all":
            following = _next_word(left)[0] if left else ""
            if count > 1 or (following and not following.startswith("#")):
                raise ValueError(f"'{word}' cannot be combined with other Match attributes")
            return tuple(found)
        count += 1
        if criterion in _ALONE:
            continue
        if criterion not in _CRITERIA + NEWER_CRITERIA:
            raise ValueError(f"Unsupported Match attribute {word}")
        argument, left = _argument(left) if left else (None, None)
        if not argument or argument.startswith("#"):
            raise ValueError(f"Missing Match criteria for {word}")
        found.append(argument)
    if not found:
        raise ValueError("One or more attributes required for Match")
    return tuple(found)


def _argument(text: str) -> tuple[str | None, str | None]:
    # Since OpenSSH 10, single quotes do here as well.
    if (match := re.match(r"'([^']*)'[ \t]*", text)) is not None:
        return match[1], text[match.end() :]
    return _next_word(text)


_YES_NO = _same("yes", "no") | {"true": "yes", "false": "no"}
_flag = _choice(_YES_NO)

#: Every option of OpenSSH 9, by its name in lower case, and what it takes.
KEYWORDS: dict[str, _Check] = {
    "host": _some,
    "match": _match,
    "include": _some,
    "ignoreunknown": _one,
    "addressfamily": _choice(_same("any", "inet", "inet6")),
    "batchmode": _flag,
    "bindaddress": _one,
    "bindinterface": _one,
    "canonicalizehostname": _choice(_YES_NO | _same("always")),
    "certificatefile": _one,
    "checkhostip": _flag,
    "ciphers": _one,
    "clearallforwardings": _flag,
    "compression": _choice(_same("yes", "no")),
    "connectionattempts": _attempts,
    "connecttimeout": _time,
    "dynamicforward": _some,
    "forwardagent": _one,
    "forwardx11": _flag,
    "globalknownhostsfile": _files,
    "gssapiauthentication": _flag,
    "hashknownhosts": _flag,
    "hostbasedauthentication": _flag,
    "hostkeyalgorithms": _one,
    "hostkeyalias": _one,
    "hostname": _one,
    "identitiesonly": _flag,
    "identityagent": _one,
    "identityfile": _one,
    "kbdinteractiveauthentication": _flag,
    "kexalgorithms": _one,
    "knownhostscommand": _command,
    "localcommand": _command,
    "localforward": _some,
    "macs": _one,
    "nohostauthenticationforlocalhost": _flag,
    "passwordauthentication": _flag,
    "permitlocalcommand": _flag,
    "pkcs11provider": _one,
    "port": _port,
    "preferredauthentications": _one,
    "proxycommand": _command,
    "proxyjump": _jump,
    "proxyusefdpass": _flag,
    "pubkeyacceptedalgorithms": _one,
    "pubkeyauthentication": _choice(_YES_NO | {"unbound": "yes", "host-bound": "yes"}),
    "refuseconnection": _command,
    "remotecommand": _command,
    "remoteforward": _some,
    "requesttty": _choice(_YES_NO | _same("force", "auto")),
    "requiredrsasize": _integer,
    "revokedhostkeys": _one,
    "securitykeyprovider": _one,
    "sendenv": _names,
    "serveralivecountmax": _integer,
    "serveraliveinterval": _time,
    "sessiontype": _choice(_same("none", "subsystem", "default")),
    "setenv": _assignments,
    "stricthostkeychecking": _choice(_YES_NO | _same("ask", "accept-new") | {"off": "no"}),
    "tcpkeepalive": _flag,
    "tunnel": _choice(_YES_NO | _same("ethernet", "point-to-point")),
    "user": _one,
    "userknownhostsfile": _files,
    "verifyhostkeydns": _choice(_YES_NO | _same("ask")),
}

# Other names: older ones, and two of Debian's.
_ALIASES = {
    "challengeresponseauthentication": "kbdinteractiveauthentication",
    "dsaauthentication": "pubkeyauthentication",
    "identityfile2": "identityfile",
    "keepalive": "tcpkeepalive",
    "protocolkeepalives": "serveraliveinterval",
    "pubkeyacceptedkeytypes": "pubkeyacceptedalgorithms",
    "setuptimeout": "serveraliveinterval",
    "skeyauthentication": "kbdinteractiveauthentication",
    "smartcarddevice": "pkcs11provider",
    "tisauthentication": "kbdinteractiveauthentication",
}

# Read and passed over in silence, since they change nothing about what runs on the host.
_WITHOUT_EFFECT = {
    "how ssh itself talks to a person": """
        enableescapecommandline escapechar fingerprinthash forkafterauthentication loglevel
        logverbose numberofpasswordprompts obscurekeystroketiming stdinnull syslogfacility
        visualhostkey warnweakcrypto""",
    "sharing connections between runs of ssh: a run of deployer shares its own": """
        controlmaster controlpath controlpersist""",
    "filling agents and known_hosts: deployer only adds the key of a new host": """
        addkeystoagent updatehostkeys usekeychain""",
    "details of what is not done at all, and is reported itself when it is asked for": """
        canonicaldomains canonicalizefallbacklocal canonicalizemaxdots canonicalizepermittedcnames
        casignaturealgorithms enablesshkeysign exitonforwardfailure forwardx11timeout
        forwardx11trusted gatewayports gssapiclientidentity gssapidelegatecredentials
        gssapikexalgorithms gssapikeyexchange gssapirenewalforcesrekey gssapiserveridentity
        gssapitrustdns hostbasedacceptedalgorithms hostbasedkeytypes permitremoteopen
        streamlocalbindmask streamlocalbindunlink tag tunneldevice xauthlocation""",
    "how the network is used, which deployer measures and chooses": """
        channeltimeout ipqos kbdinteractivedevices rekeylimit versionaddendum""",
    "what OpenSSH gave up": """
        afstokenpassing cipher compressionlevel fallbacktorsh globalknownhostsfile2
        kerberosauthentication kerberostgtpassing protocol rhostsauthentication
        rhostsrsaauthentication rsaauthentication useprivilegedport useroaming usersh
        userknownhostsfile2""",
}
KEYWORDS.update((name, _anything) for names in _WITHOUT_EFFECT.values() for name in names.split())
