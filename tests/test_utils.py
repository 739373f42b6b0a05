"""Quoting against real shells, indenting, and what ifconfig prints."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.utils import IfConfig, NetworkInterface, esc1, esc2, indent, parse_ifconfig_output
from deployer.utils.string_utils import abbreviate

# What a program can get as an argument: no NUL, and nothing that UTF-8 cannot say.
ARGUMENTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
SPECIAL = st.text(st.sampled_from("'\"\\$`!*?~#&;|<>(){}[]^ \t\n%a-"))
HOSTILE = 'it\'s "$HOME" `id` \\ \\\\ $(id) !! \n* ~'


def printed_by(shell: str, words: str) -> str:
    """Return the arguments that a shell makes of words, each in brackets."""
    # Decoded by hand, since a text mode would turn a carriage return into a newline.
    return subprocess.check_output([shell, "-c", f"printf '[%s]' {words}"]).decode()


@pytest.mark.parametrize("shell", ["bash", "dash", "zsh", "fish", "tcsh"])
def test_esc1_makes_text_literal_inside_single_quotes(
    shell: str, need_program: Callable[[str], str]
) -> None:
    # tcsh ends a quote at a newline, and expands "!" in quotes; fish reads "\\" in them.
    text = HOSTILE if shell in {"bash", "dash", "zsh"} else 'it\'s "$HOME" `id` $(id) \\ * ~'
    program = need_program(shell) if shell not in {"bash", "dash"} else shell
    assert printed_by(program, f"'{esc1(text)}'") == f"[{text}]"


@settings(max_examples=60, deadline=None)
@given(text=ARGUMENTS | SPECIAL)
def test_esc1_gives_any_text_back_in_bash_and_dash(text: str) -> None:
    assert printed_by("bash", f"'{esc1(text)}'") == f"[{text}]"
    assert printed_by("dash", f"'{esc1(text)}'") == f"[{text}]"


@settings(max_examples=60, deadline=None)
@given(text=ARGUMENTS | SPECIAL)
def test_esc2_gives_any_text_back_in_bash_and_dash(text: str) -> None:
    assert printed_by("bash", f'"{esc2(text)}"') == f"[{text}]"
    assert printed_by("dash", f'"{esc2(text)}"') == f"[{text}]"


@given(text=st.text(), prefix=st.text(st.characters(exclude_categories=["C", "Z"])))
def test_indent_puts_the_prefix_before_every_line(text: str, prefix: str) -> None:
    lines = indent(text, prefix).splitlines(keepends=True)
    assert all(line.startswith(prefix) for line in lines)
    assert "".join(line.removeprefix(prefix) for line in lines) == text


def test_indent_is_four_spaces_unless_told() -> None:
    assert indent("a\n\nb\n") == "    a\n    \n    b\n"


NET_TOOLS_2 = """\
eth0: flags=4163<UP,BROADCAST,RUNNING,MULTICAST>  mtu 1500
        inet 10.0.2.15  netmask 255.255.255.0  broadcast 10.0.2.255
        inet6 fe80::a00:27ff:fe12:3456  prefixlen 64  scopeid 0x20<link>
        ether 08:00:27:12:34:56  txqueuelen 1000  (Ethernet)
        RX packets 1000  bytes 100000 (97.6 KiB)

eth0:1: flags=4163<UP,BROADCAST,RUNNING,MULTICAST>  mtu 1500
        inet 10.0.2.16  netmask 255.255.255.0  broadcast 10.0.2.255

lo: flags=73<UP,LOOPBACK,RUNNING>  mtu 65536
        inet 127.0.0.1  netmask 255.0.0.0
        inet6 ::1  prefixlen 128  scopeid 0x10<host>
"""

NET_TOOLS_1 = """\
eth0      Link encap:Ethernet  HWaddr 08:00:27:12:34:56
          inet addr:10.0.2.15  Bcast:10.0.2.255  Mask:255.255.255.0
          inet6 addr: fe80::a00:27ff:fe12:3456/64 Scope:Link
          UP BROADCAST RUNNING MULTICAST  MTU:1500  Metric:1

eth0:1    Link encap:Ethernet  HWaddr 08:00:27:12:34:56
          inet addr:10.0.2.16  Bcast:10.0.2.255  Mask:255.255.255.0

lo        Link encap:Local Loopback
          inet addr:127.0.0.1  Mask:255.0.0.0
          inet6 addr: ::1/128 Scope:Host
"""

IPROUTE = """\
1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000
    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
    inet 127.0.0.1/8 scope host lo
       valid_lft forever preferred_lft forever
    inet6 ::1/128 scope host
       valid_lft forever preferred_lft forever
2: eth0@if7: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default
    link/ether 08:00:27:12:34:56 brd ff:ff:ff:ff:ff:ff link-netnsid 0
    inet 10.0.2.15/24 brd 10.0.2.255 scope global eth0
    inet6 fe80::a00:27ff:fe12:3456/64 scope link
3: docker0: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 qdisc noqueue state DOWN group default
    link/ether 02:42:0a:00:00:01 brd ff:ff:ff:ff:ff:ff
"""

ETH0 = NetworkInterface("eth0", ("10.0.2.15", "fe80::a00:27ff:fe12:3456"))
ALIAS = NetworkInterface("eth0:1", ("10.0.2.16",))
LOOPBACK = NetworkInterface("lo", ("127.0.0.1", "::1"))


@pytest.mark.parametrize(
    ("output", "interfaces"),
    [
        (NET_TOOLS_2, (ETH0, ALIAS, LOOPBACK)),
        (NET_TOOLS_1, (ETH0, ALIAS, LOOPBACK)),
        (IPROUTE, (LOOPBACK, ETH0, NetworkInterface("docker0"))),
        ("", ()),
    ],
)
def test_interfaces_are_read_from_every_format(
    output: str, interfaces: tuple[NetworkInterface, ...]
) -> None:
    assert parse_ifconfig_output(output) == IfConfig(interfaces)


def test_the_interfaces_of_this_machine_are_read(need_program: Callable[[str], str]) -> None:
    output = subprocess.check_output([need_program("ip"), "address"], encoding="utf-8")
    assert parse_ifconfig_output(output).get_interface("lo").ip == "127.0.0.1"


def test_ip_is_the_first_ipv4_address() -> None:
    assert NetworkInterface("a", ("::1", "10.0.0.1", "10.0.0.2")).ip == "10.0.0.1"
    assert NetworkInterface("a", ("::1",)).ip is None


def test_an_unknown_interface_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(LookupError, match="'eth7', only: lo, eth0, docker0"):
        parse_ifconfig_output(IPROUTE).get_interface("eth7")


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("make", "make"),
        ("make\n", "make"),
        ("make\ninstall", "make…"),
        ("x" * 20, "x" * 20),
        ("x" * 21, "x" * 19 + "…"),
    ],
)
def test_a_text_is_abbreviated_to_what_a_message_has_room_for(text: str, short: str) -> None:
    assert abbreviate(text, 20) == short
