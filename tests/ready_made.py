"""Ready-made nodes in a tree of their own, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from deployer.exceptions import ActionException, DeployerException
from deployer.host import Host
from deployer.loggers import Logger, LoggerInterface
from deployer.node import Env, Node
from deployer.pseudo_terminal import DummyPty, Pty

__all__ = ["Answering", "Messages", "check_out_twice", "node_on", "raising", "snapshot"]


class Answering(DummyPty):
    """A person who gives one answer."""

    def __init__(self, answer: str) -> None:
        super().__init__(f"{answer}\n")

    @property
    def is_interactive(self) -> bool:
        return True


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


@contextmanager
def raising(match: str, kind: type[BaseException] = DeployerException) -> Iterator[None]:
    """Expect that an action fails with this kind of exception."""
    with pytest.raises(ActionException, match=match) as caught:
        yield
    assert isinstance(caught.value.inner_exception, kind)


def snapshot(path: Path) -> dict[str, tuple[int, int]]:
    """Return which files there are, and when they were changed; but for git's note of a fetch."""
    files = [file for file in path.rglob("*") if file.is_file() and file.name != "FETCH_HEAD"]
    stats = {str(file): file.stat() for file in files}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


def check_out_twice(code: Any, *arguments: str) -> tuple[str, ...]:
    """Check out, and once more, which must change nothing; return what the first time did."""
    changes = tuple(code.checkout(*arguments))
    path = Path(code.repository_location)
    before = snapshot(path)
    assert not code.checkout(*arguments)
    assert snapshot(path) == before
    return changes
