"""Which hosts another host is reached through."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...exceptions import ConnectionFailedException
from .config import Gateway, HostSettings, Settings, resolve

if TYPE_CHECKING:
    from .host import SSHHost

__all__ = ["check_for_circle", "gateways"]


def gateways(host: HostSettings, settings: Settings) -> list[Gateway] | list[type[SSHHost]]:
    """Return the hosts to go through, in the order in which they are dialled.

    The first may have gateways of its own; the others are reached through the one before.
    """
    explicit: type[SSHHost] | None = getattr(host, "gateway", None)
    if explicit is not None:
        return [explicit]
    found = []
    for jump in settings.proxy_jump:
        gateway = Gateway.of(host, jump)
        # The same for all who go through it, so that they share its connection.
        found.append(replace(gateway, slug=str(gateway.address)))
    if (
        found
        and isinstance(host, Gateway)
        and _place(found[0]) == (settings.hostname, settings.port)
    ):
        # `ProxyJump gate` under `Host *` means gate as well.
        return []
    return found


def check_for_circle(host: HostSettings, settings: Settings) -> None:
    """Raise ConnectionFailedException for a host that is reached through itself.

    Before anything is locked: two threads that enter a circle at different places would wait for
    each other.
    """
    path = [host]
    places: list[object] = [host]
    before = gateways(host, settings)
    while before:
        following = before[0]
        place = _place(following) if isinstance(following, Gateway) else following
        if place in places:
            names = ", ".join(f"{hop.slug!r}" for hop in (*path, following))
            raise ConnectionFailedException(
                f"{host.slug}: its gateways lead in a circle: {names}; check `gateway` in their "
                "classes, and ProxyJump in the ssh config"
            )
        path.append(following)
        places.append(place)
        before = gateways(following, resolve(following))


def _place(host: HostSettings) -> tuple[str, int]:
    settings = resolve(host)
    return settings.hostname, settings.port
