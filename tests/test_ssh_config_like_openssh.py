"""What deployer reads in an ssh config is what ``ssh -G`` says: both read the same files."""

from __future__ import annotations

import fnmatch
import itertools
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.exceptions import ConnectionFailedException
from deployer.host import SSHHost
from deployer.host.ssh.config import Gateway, Settings, resolve
from deployer.host.ssh.ssh_patterns import choose

pytestmark = pytest.mark.faults


@dataclass(frozen=True)
class Case:
    """A config, with ``{dir}`` for the directory where it and its other files are."""

    config: str
    address: str = "web"
    files: dict[str, str] = field(default_factory=dict)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, need_program: Callable[[str], str]) -> None:
    need_program("ssh")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    monkeypatch.setenv("FIRST", "1")
    monkeypatch.setenv("FIRST_TOO", "2")
    monkeypatch.setenv("SECOND", "3 4")


_numbers = itertools.count()


def write(case: Case, directory: Path) -> str:
    # Never the same name twice: what is read is kept as long as a file does not change.
    place = directory / str(next(_numbers))
    place.mkdir()
    for name, text in {**case.files, "config": case.config}.items():
        file = place / name
        file.write_text(text.replace("{dir}", str(place)))
        file.chmod(0o600)
    return str(place / "config")


def ask_ssh(filename: str, address: str) -> tuple[dict[str, list[str]], str]:
    """Return what ``ssh -G`` prints, and what it complains about when it fails."""
    ssh = str(shutil.which("ssh"))
    completed = subprocess.run(
        [ssh, "-G", "-F", filename, address],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    said: dict[str, list[str]] = {}
    for line in completed.stdout.splitlines():
        keyword, _, value = line.partition(" ")
        said.setdefault(keyword.lower(), []).append(value)
    return said, "" if completed.returncode == 0 else completed.stderr


def ask_us(filename: str, address: str) -> Settings:
    return resolve(type("Web", (SSHHost,), {"address": address, "config_filename": filename}))


def jumps(words: list[str]) -> list[tuple[str | None, str | None, int | None]]:
    host = type("Web", (SSHHost,), {})
    gateways = [Gateway.of(host, word) for word in words]
    return [(hop.username, hop.address, hop.port) for hop in gateways]


def compare(ours: Settings, said: dict[str, list[str]], default: dict[str, list[str]]) -> None:
    def first(keyword: str) -> str:
        return {"true": "yes", "false": "no"}.get(said[keyword][0], said[keyword][0])

    def is_set(keyword: str) -> bool:
        return said.get(keyword) != default.get(keyword)

    def yes_no(value: bool) -> str:
        return "yes" if value else "no"

    def home(names: list[str]) -> list[str]:
        return [os.path.expanduser(name) for name in names if name != "none"]

    def patterns_match(name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in said.get("sendenv", []))

    found: dict[str, Any] = {
        "hostname": ours.hostname,
        "port": str(ours.port),
        "user": ours.username,
        "identitiesonly": yes_no(ours.identities_only),
        "forwardagent": yes_no(ours.forward_agent),
        "serveralivecountmax": str(ours.keepalive_count),
        "compression": yes_no(ours.compression),
        "requesttty": ours.request_tty,
        "connectionattempts": str(ours.connection_attempts),
        "addressfamily": ours.address_family,
        "batchmode": yes_no(ours.batch_mode),
        "hashknownhosts": yes_no(ours.hash_known_hosts),
        "tcpkeepalive": yes_no(ours.tcp_keepalive),
        "userknownhostsfile": " ".join(ours.user_known_hosts) or "none",
        "globalknownhostsfile": " ".join(ours.global_known_hosts) or "none",
    }
    assert found == {keyword: first(keyword) for keyword in found}
    assert ours.reject_unknown_hosts == (first("stricthostkeychecking") == "yes")
    assert ours.bind_address == said.get("bindaddress", [None])[0]
    alias = said.get("hostkeyalias", [None])[0]
    assert ours.host_key_name == (alias or first("hostname"))
    assert ours.host_key_port == (22 if alias else ours.port)
    if is_set("identityfile"):
        assert list(ours.key_filenames) == home(said["identityfile"])
    assert list(ours.certificate_filenames) == home(said.get("certificatefile", []))
    # The last hop is shown with brackets around an address of numbers.
    assert jumps(list(ours.proxy_jump)) == jumps(
        [word for line in said.get("proxyjump", []) for word in line.split(",")]
    )
    command = said.get("proxycommand", [None])[0]
    if command is not None:
        for token, value in {"%h": "hostname", "%p": "port", "%r": "user"}.items():
            command = command.replace(token, first(value))
    assert ours.proxy_command == command
    timeout = first("connecttimeout")
    assert ours.timeout == (10 if timeout in ("none", "0") else float(timeout))
    # With BatchMode, Debian's ssh asks after 300 seconds.
    if is_set("serveraliveinterval") and not (
        ours.batch_mode and first("serveraliveinterval") == "300"
    ):
        assert ours.keepalive_interval == float(first("serveraliveinterval"))
    sent = {name: value for name, value in os.environ.items() if patterns_match(name)}
    sent.update(line.split("=", 1) for line in said.get("setenv", []))
    assert dict(ours.environment) == sent
    switches = {
        "publickey": "pubkeyauthentication",
        "keyboard-interactive": "kbdinteractiveauthentication",
        "password": "passwordauthentication",
    }
    preferred = said.get("preferredauthentications", [",".join(switches)])[0].split(",")
    assert list(ours.authentications) == [
        name for name in preferred if name in switches and first(switches[name]) != "no"
    ]
    for keyword, wanted in {
        "ciphers": ours.ciphers,
        "macs": ours.macs,
        "kexalgorithms": ours.key_exchanges,
        "hostkeyalgorithms": ours.host_key_algorithms,
    }.items():
        usual = default[keyword][0].split(",")
        assert (choose(wanted, usual) if wanted else usual) == said[keyword][0].split(",")
    agent = said.get("identityagent", ["SSH_AUTH_SOCK"])[0]
    named = {"none": None, "SSH_AUTH_SOCK": "/run/agent", "$FIRST": "1"}
    assert ours.agent_socket == named.get(agent, agent)


@pytest.fixture(scope="module")
def default() -> dict[str, list[str]]:
    return ask_ssh("none", "web")[0]


CASES = [
    # The first value wins; patterns and their negation.
    Case(""),
    Case("Host web\n Port 1\nHost *\n Port 2\n User last\n"),
    Case("Host db\n Port 1\nHost w?b\n Port 2\nHost *\n Port 3"),
    Case("Host * !web\n Port 1\nHost !db *\n Port 2"),
    Case("Host !web\n Port 1\nHost !db\n Port 2\n"),
    Case("User before\nHost web\n User after\n"),
    Case("Host WEB\n Port 1\nHost web\n Port 2"),
    Case("Host web\n Port 1\n", "WEB"),
    Case("HOST web\n pOrT 3\n"),
    Case("Host *.example.com *.?xample.org\n Port 3\n", "www.example.org"),
    Case("Host web # db\n Port 7 # the port\n# Port 8\n User name #x"),
    Case("Host a,web\n Port 3\nHost ***w*\n Port 4\n"),
    # Ways to write a line.
    Case("Host=web\n Port=3\n User = bob\nHostKeyAlias\t=\tA"),
    Case('"Host" "web"\n "Port" "3"\n User "a b"\r\n  \f\n\t# x\n'),
    Case('Host web\n User \'a "b\'\n HostKeyAlias a\\ b\n IdentityFile "~/a\\\\b c"\n'),
    Case("Host \"we\"b\n User a\"b c\"d'e f'\n IdentityFile 'a\\'b'\n"),
    Case('IdentityFile "a#b"\nIdentityFile c#d\nIdentityFile \\"e\n'),
    Case('UserKnownHostsFile "/a b" /c\nGlobalKnownHostsFile ~/x /y\n'),
    Case("UserKnownHostsFile # none\nGlobalKnownHostsFile #\nSendEnv #\nUserKnownHostsFile /a"),
    Case("UserKnownHostsFile none\nGlobalKnownHostsFile none"),
    Case("UserKnownHostsFile ~/a\nUserKnownHostsFile ~/b\n"),
    # Names.
    Case("HostName %h.example.com\n"),
    Case("HostName %%h-%h\nUser x"),
    Case("HostName WWW.Example.COM\nHostKeyAlias ALIAS\nPort 44"),
    Case("HostName 127.1\nPort 2200"),
    Case("", "0:0::1"),
    Case("", "1234"),
    Case("", "fe80::1%lo"),
    Case("Host 10.*\n User ten\n", "10.1.2.3"),
    # Match.
    Case("Match all\n Port 2\n"),
    Case("Match host web\n Port 2\nMatch host db\n User no"),
    Case("Host web\n HostName db\nMatch host db\n Port 3\nMatch originalhost web\n User u"),
    Case("Match host WEB,db\n Port 2\n"),
    Case("Match host !web,*\n Port 2\nMatch host *,!db\n Port 3"),
    Case("Match !host web\n Port 2\nMatch !host db\n Port 3"),
    Case("User bob\nMatch user bob\n Port 2\nMatch user eve\n Port 3"),
    Case("Match user bob\n Port 2\nHost *\n User bob\nMatch user b*,!bill\n Port 3"),
    Case("Match localuser *\n Port 2\nMatch localuser nobody-at-all\n User no"),
    Case('Match exec "test %h = web -a %n = web -a %p = 22"\n Port 2\n'),
    Case("Match exec false\n Port 2\nMatch !exec false\n Port 3"),
    Case("Match host web exec true user *\n Port 2\nMatch host db exec true\n User no"),
    Case("Match host=web\n Port 2\n"),
    Case('Match host "web" # comment\n Port 2\n'),
    Case("Match final\n Port 2\nHost *\n User u\n"),
    Case("Match final host www.*\n Port 2\nHost web\n HostName www.x\n Match !final\n User u"),
    Case("Host www.x\n Port 9\nHost web\n HostName WWW.X\n IdentityFile a\nMatch final all\n"),
    Case("Match canonical\n Port 2\nMatch !canonical\n Port 3\n"),
    Case("Match canonical final\n Port 2\nMatch final !host web\n Port 3\n"),
    Case("Match !all\n Port 2\nMatch host web all\n Port 3"),
    Case("Host web\n SendEnv FIRST\nMatch final\n SendEnv SECOND\n"),
    # Include.
    Case("Include {dir}/a\nHost web\n User last\n", files={"a": "Host web\n Port 3\n User a\n"}),
    Case("Host db\n Include {dir}/a\nHost *\n User u", files={"a": "Port 3\nHost web\n User a\n"}),
    Case("Host web\n Include {dir}/a\n Port 4\n", files={"a": "Host db\n User a\nHost *\n"}),
    Case(
        "Include {dir}/*.conf\n User late\n",
        files={"b.conf": "User b\nPort 3", "a.conf": "User a\n", ".c.conf": "Port 9"},
    ),
    Case(
        'Include "{dir}/b c" {dir}/missing {dir}/a\n',
        files={"a": "User a\n", "b c": "Host web\n User b\n"},
    ),
    Case(
        "Match host web\n Include {dir}/a\n",
        files={"a": "Include {dir}/b\nPort 5", "b": "Host *\n User b"},
    ),
    # Several values.
    Case("IdentityFile ~/a\nIdentityFile /b\nIdentityFile ~/a\nHost web\n IdentityFile none\n"),
    Case("CertificateFile ~/a-cert.pub\nCertificateFile b\nIdentitiesOnly yes\n"),
    Case("SendEnv FIRST* SECOND\nSendEnv -*_TOO\n"),
    Case("SendEnv FIRST*\nSendEnv -FIRST*\nSendEnv SECOND\nSetEnv A=1 B='2 3' SECOND=other\n"),
    Case('SetEnv "A=b c" D= E=f=g\n'),
    # Tokens and variables, which ssh shows expanded here.
    Case("UserKnownHostsFile ~/%h-%p-%r-%n-%k-%%/%C /%l-%L-%u-%i%d\nPort 3\nUser bob"),
    Case(
        "HostName www\nHostKeyAlias Al\nUserKnownHostsFile /%h-%n-%k-%C /${FIRST}/${SECOND}$FIRST"
    ),
    # Proxies.
    Case("ProxyJump a,bob@b:2200,[::1]:22\n"),
    Case("ProxyJump ssh://u%40x@h:33/,k # comment\n"),
    Case("ProxyJump none\nProxyCommand nc %h %p\n"),
    Case("ProxyJump none\nProxyJump a\n"),
    Case("ProxyJump NONE\nProxyCommand none\n"),
    Case("ProxyCommand nc -X '5' \"%h\" %p # %r\nProxyJump a\nHostName www\nUser bob"),
    Case("ProxyCommand none\nProxyJump a\n"),
    Case("ProxyJump a\nProxyCommand nc\n"),
    Case("ProxyCommand=nc %h\n"),
    Case("Host db\n ProxyJump a\nHost web\n ProxyJump 10.0.0.1:7\n"),
    # Times, numbers and choices.
    Case("ConnectTimeout 90\nServerAliveInterval 1m30\nServerAliveCountMax 7\n"),
    Case("ConnectTimeout none\nServerAliveInterval 2H1s\nConnectionAttempts 3\n"),
    Case("ConnectTimeout 0\n"),
    Case("Port 0022\n"),
    Case("Port ssh\n"),
    Case("AddressFamily INET6\nBindAddress 127.0.0.1\nBatchMode true\nTCPKeepAlive No\n"),
    Case("AddressFamily any\nCompression yes\nHashKnownHosts True\nKeepAlive no\n"),
    Case("StrictHostKeyChecking YES"),
    Case("StrictHostKeyChecking accept-new"),
    Case("StrictHostKeyChecking off"),
    Case("StrictHostKeyChecking ask"),
    *(Case(f"RequestTTY {value}") for value in ("yes", "no", "force", "auto", "true", "False")),
    Case("ForwardAgent yes\nIdentityAgent none\n"),
    Case("ForwardAgent no\nIdentityAgent ~/%n.sock\n"),
    Case("IdentityAgent $FIRST\n"),
    Case("IdentityAgent SSH_AUTH_SOCK\n"),
    Case("PreferredAuthentications password,publickey,gssapi-with-mic\nBatchMode yes\n"),
    Case("PasswordAuthentication no\nChallengeResponseAuthentication no\n"),
    Case("PubkeyAuthentication no\nPreferredAuthentications keyboard-interactive\n"),
    Case("PubkeyAuthentication host-bound\n"),
    # Algorithms.
    Case("Ciphers aes256-ctr,aes128-ctr\nMACs hmac-sha2-512,hmac-sha2-256\n"),
    Case("Ciphers -chacha*,*-gcm@openssh.com\nMACs -umac*\nKexAlgorithms -diffie*\n"),
    Case("Ciphers ^aes256-ctr\nMACs ^hmac-sha2-512\nHostKeyAlgorithms ^rsa-sha2-512,ssh-ed25519\n"),
    Case("Ciphers +aes128-ctr\nKexAlgorithms curve25519-sha256\nHostKeyAlgorithms ssh-ed25519\n"),
    # What is not known.
    Case("IgnoreUnknown Foo*,use?eychain\nFoobar 'x\" y'\nUseKeychain yes\nPort 3\n"),
    Case("RSAAuthentication yes\nProtocol 2\nUseRoaming no\nControlMaster auto\nPort 3"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case.config)[:60])
def test_a_config_means_what_ssh_says_of_it(
    case: Case, tmp_path: Path, default: dict[str, list[str]]
) -> None:
    filename = write(case, tmp_path)
    said, error = ask_ssh(filename, case.address)
    assert not error
    compare(ask_us(filename, case.address), said, default)


MISTAKES = [
    Case("\ufeffHost db\n Port 3\n"),
    Case("Host-db\n Port 3\n"),
    Case("Port abc"),
    Case("\nHost db\n Port 70000\n"),
    Case("Port 0"),
    Case("Port"),
    Case("User a b\n"),
    Case("User 'a\n"),
    Case("ConnectTimeout soon"),
    Case("ServerAliveInterval -1"),
    Case("ServerAliveCountMax x"),
    Case("Compression true"),
    Case("StrictHostKeyChecking maybe"),
    Case("AddressFamily yes"),
    Case("ProxyJump ::1"),
    Case("ProxyJump a,@b"),
    Case("ProxyJump a:x"),
    Case("Match\n"),
    Case("Match nonsense x"),
    Case("Match host\n"),
    Case("Match all host x\n"),
    Case("SetEnv A"),
    Case("SendEnv A=1"),
    Case('UserKnownHostsFile a none\nHost ""\n'),
    Case("Host db\n Include {dir}/a\n", files={"a": "\n\nPort no\n"}),
]


@pytest.mark.parametrize("case", MISTAKES, ids=lambda case: repr(case.config))
def test_what_ssh_refuses_is_refused_and_the_same_line_named(case: Case, tmp_path: Path) -> None:
    filename = write(case, tmp_path)
    _, error = ask_ssh(filename, case.address)
    where = re.search(r"^(\S+?):? line (\d+)", error, re.MULTILINE)
    assert where, error
    with pytest.raises(ConnectionFailedException) as caught:
        ask_us(filename, case.address)
    assert str(caught.value).startswith("Web: cannot use the ssh config for web: ")
    assert f"{where[1]} line {where[2]}: " in str(caught.value)


@pytest.mark.parametrize(
    "config", ["HostName %x", "UserKnownHostsFile /%Z", "UserKnownHostsFile /${NOT_SET_ANYWHERE}"]
)
def test_what_cannot_be_expanded_is_refused(config: str, tmp_path: Path) -> None:
    filename = write(Case(config), tmp_path)
    assert ask_ssh(filename, "web")[1]
    with pytest.raises(ConnectionFailedException, match=f"{re.escape(filename)} line 1: "):
        ask_us(filename, "web")


def test_a_file_that_others_can_change_is_not_included(tmp_path: Path) -> None:
    filename = write(Case("Include {dir}/a", files={"a": "Port 3"}), tmp_path)
    (Path(filename).parent / "a").chmod(0o606)
    assert "Bad owner or permissions" in ask_ssh(filename, "web")[1]
    with pytest.raises(ConnectionFailedException, match="bad owner or permissions"):
        ask_us(filename, "web")


def test_files_that_include_one_another_are_refused(tmp_path: Path) -> None:
    filename = write(Case("Include {dir}/config"), tmp_path)
    assert "includes" in ask_ssh(filename, "web")[1]
    with pytest.raises(ConnectionFailedException, match="include one another"):
        ask_us(filename, "web")


# Configs as people might write them.

NAMES = ["web", "db", "www.example.com"]
PATTERNS = [*NAMES, "*", "w*", "?b", "*.example.com", "!web", "!*.com", "d[b]", "WEB"]
WORDS = ["plain", "'with space'", "\"a 'b' c\"", 'x"y z"', "a\\ b", "'#c'", "d#e", "\\\\f"]


def joined(values: st.SearchStrategy[str], separator: str = " ") -> st.SearchStrategy[str]:
    return st.lists(values, min_size=1, max_size=3).map(separator.join)


patterns = st.sampled_from(PATTERNS)
heads = st.one_of(
    joined(patterns).map("Host {}".format),
    joined(
        st.one_of(
            st.sampled_from(["final", "!final", "canonical"]),
            st.builds(
                "{}{} {}".format,
                st.sampled_from(["", "!"]),
                st.sampled_from(["host", "originalhost", "user", "localuser"]),
                joined(st.sampled_from([*PATTERNS, "plain", "root"]), ","),
            ),
        )
    ).map("Match {}".format),
    st.just("Match all"),
)
options = st.one_of(
    st.sampled_from(["Port 1", "Port=2", "port = 3 # c", "HostName www.%h", "HostName db"]),
    st.sampled_from(
        ["IdentitiesOnly yes", "IdentitiesOnly no", "BatchMode yes", "ConnectTimeout 3"]
    ),
    st.sampled_from(["ProxyJump a", "ProxyJump none", "ProxyCommand nc %h", "ProxyCommand none"]),
    st.sampled_from(["SendEnv FIRST*", "SendEnv -FIRST", "SendEnv SEC?ND", "SetEnv A='b c'"]),
    st.builds("User {}".format, st.sampled_from(WORDS)),
    st.builds("IdentityFile {}".format, st.sampled_from(WORDS)),
    st.builds("UserKnownHostsFile {}".format, joined(st.sampled_from(WORDS))),
    st.builds("HostKeyAlias {}".format, st.sampled_from(WORDS)),
)


def blocks(lines: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    block = st.builds(
        lambda head, body: "\n  ".join([head, *body]), heads, st.lists(lines, max_size=4)
    )
    return st.lists(block, max_size=5).map("\n".join)


included = blocks(options)
cases = st.builds(
    lambda config, address, first, second: Case(config, address, {"a": first, "b.c": second}),
    blocks(st.one_of(options, st.sampled_from(["Include {dir}/a", "Include {dir}/?.c {dir}/a"]))),
    st.sampled_from(NAMES),
    # A request for a final pass would be heard in a file that does not apply.
    included.filter(lambda text: "final" not in text),
    included.filter(lambda text: "final" not in text),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(case=cases)
def test_any_config_means_what_ssh_says_of_it(
    case: Case, tmp_path: Path, default: dict[str, list[str]]
) -> None:
    filename = write(case, tmp_path)
    said, error = ask_ssh(filename, case.address)
    if error:
        with pytest.raises(ConnectionFailedException):
            ask_us(filename, case.address)
    else:
        compare(ask_us(filename, case.address), said, default)
