"""Ready-made nodes in a tree of their own, for tests."""

from __future__ import annotations

from typing import Any

from deployer.host import Host
from deployer.loggers import Logger, LoggerInterface
from deployer.node import Env, Node
from deployer.pseudo_terminal import DummyPty, Pty

__all__ = ["Messages", "node_on"]


class Messages(Logger):
    """Keeps what nodes say that they have changed."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def log_message(self, text: str) -> None:
        self.texts.append(text)


def node_on(
    host: type[Host],
    node_class: type[Node],
    *,
    pty: Pty | None = None,
    logger: Logger | None = None,
    is_sandbox: bool = False,
    **attributes: Any,
) -> Any:
    """Return the Env of a node of this class with these attributes, nested in one with a host."""

    class Site(Node):
        class Hosts:
            role = host

        class nested(node_class):  # type: ignore[valid-type, misc]
            pass

    for name, value in attributes.items():
        setattr(Site.nested, name, value)
    interface = LoggerInterface()
    if logger is not None:
        interface.attach(logger)
    return Env(Site(), pty or DummyPty(), interface, is_sandbox).nested
