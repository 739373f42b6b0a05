"""Network interfaces, as ``ifconfig`` and ``ip address`` print them."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["IfConfig", "NetworkInterface", "parse_ifconfig_output"]


@dataclass(frozen=True)
class NetworkInterface:
    """An interface and its addresses, IPv4 and IPv6, in the order they were printed."""

    name: str
    addresses: tuple[str, ...] = ()

    @property
    def ip(self) -> str | None:
        """The first IPv4 address, or None."""
        return next((address for address in self.addresses if "." in address), None)


@dataclass(frozen=True)
class IfConfig:
    """The interfaces of a host."""

    interfaces: tuple[NetworkInterface, ...]

    def get_interface(self, name: str) -> NetworkInterface:
        """Return an interface by its name; raise LookupError that lists those there are."""
        for interface in self.interfaces:
            if interface.name == name:
                return interface
        names = ", ".join(interface.name for interface in self.interfaces)
        raise LookupError(f"there is no network interface {name!r}, only: {names or 'none'}")


# "2: eth0@if3: <UP>" (ip), "eth0:1: flags=4163<UP>" (ifconfig), "eth0      Link encap:" (before
# net-tools 2). An alias keeps its colon and number.
_HEADER = re.compile(r"(?:\d+:\s+)?(?P<name>[^\s:@]+(?::\d+)?)(?:@\S+?)?(?::\s|\s+Link encap:)")

# "inet 10.0.0.1/8", "inet addr:10.0.0.1", "inet6 addr: fe80::1/64", "inet6 fe80::1%lo0".
_ADDRESS = re.compile(r"\s+inet6?\s+(?:addr:\s*)?(?P<address>[0-9a-fA-F.:]+)")


def parse_ifconfig_output(output: str) -> IfConfig:
    """Return the interfaces in what ``ifconfig`` or ``ip address`` printed, old or new."""
    addresses: dict[str, list[str]] = {}
    current: list[str] = []
    for line in output.splitlines():
        if header := _HEADER.match(line):
            current = addresses.setdefault(header["name"], [])
        elif found := _ADDRESS.match(line):
            current.append(found["address"])
    return IfConfig(tuple(NetworkInterface(name, tuple(of)) for name, of in addresses.items()))
