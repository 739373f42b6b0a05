"""A tree of nodes whose hosts are all fake."""

from __future__ import annotations

import threading
import types
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, cast

from ..exceptions import NodeUsageError
from ..host import Host, SSHHost
from ..inspection import Inspector
from ..loggers import LoggerInterface, TraceLogger
from ..node import Env, Node
from ..parallel import RunOptions
from ..pseudo_terminal import DummyPty
from ..secret import Secret
from ..utils.spelling import find_nearest
from .answers import Script
from .fake_host import FakeHost
from .hints import HintLogger
from .recorded_run import Pattern, RecordedRun

__all__ = ["FakeTree", "no_connections"]


class FakeTree:
    """A tree in an Env in which a fake host stands in for each of its hosts.

    ::

        tree = FakeTree(Site, answers={"git rev-parse *": "abc123\\n"})
        tree.env.deploy("v1.2")
        assert_runs(tree["web1"], "git fetch *", "systemctl reload *")

    The tree may name any hosts, and is not changed. What stands in for one is a
    :class:`FakeHost` that also is a subclass of it, so that it has its slug and whatever else its
    class was given.

    :param root: a node class, or a root node.
    :param answers: what all hosts are to answer; see :attr:`FakeHost.answers`.
    :param files: what is on all hosts.
    :param strict: see :attr:`FakeHost.strict`.
    :param typed: lines that somebody types when questions are asked; without any, there is nobody
        to ask.
    :param is_sandbox: as for ``Env``, and ``options``.
    """

    def __init__(
        self,
        root: type[Node] | Node,
        *,
        answers: Mapping[Pattern, Script] | None = None,
        files: Mapping[str, str] | None = None,
        strict: bool = False,
        typed: Iterable[str] = (),
        is_sandbox: bool = False,
        options: RunOptions | None = None,
    ) -> None:
        if isinstance(typed, str):
            raise TypeError(f"typed takes a list of lines: [{typed!r}]")
        self._answers = dict(answers or {})
        self._files = dict(files or {})
        self._strict = strict
        self._fakes: dict[type[Host], type[FakeHost]] = {}
        self._lock = threading.Lock()
        self._pty = _TypedPty(list(typed))
        #: What was done: actions, commands and files, nested.
        self.trace = TraceLogger()
        logger = LoggerInterface()
        logger.attach(HintLogger())
        logger.attach(self.trace)
        node = root() if isinstance(root, type) else root
        #: The root, to run actions of it and of the nodes in it.
        self.env: Any = Env(node, self._pty, logger, is_sandbox, options, self._stand_in)
        for inner in Inspector(node).walk(skip_broken=True):
            for hosts in Inspector(inner).get_roles().values():
                for host in hosts:
                    self._stand_in(host)

    @property
    def hosts(self) -> list[type[FakeHost]]:
        """What stands in for the hosts, in the order in which the tree names them."""
        return list(self._fakes.values())

    def __getitem__(self, host: str | type[Host]) -> type[FakeHost]:
        """Return what stands in for a host, by its slug or its class.

        :raises KeyError: when there is none, or when two hosts have the slug.
        """
        fakes = self._fakes
        found = [fake for real, fake in fakes.items() if host in (real, fake) or host == real.slug]
        if len(found) == 1:
            return found[0]
        if found:
            raise KeyError(f"{len(found)} hosts have the slug {host!r}: use their classes as keys")
        slugs = [fake.slug for fake in self.hosts]
        name = host if isinstance(host, str) else host.__name__
        nearest = find_nearest(name, slugs)
        advice = f"; did you mean {nearest!r}?" if nearest else ""
        raise KeyError(f"the tree has no host {name!r}, but {', '.join(slugs) or 'none'}{advice}")

    @property
    def runs(self) -> list[RecordedRun]:
        """What was run on all of its hosts, in order."""
        found = [run for fake in self.hosts for run in fake.runs]
        return sorted(found, key=lambda run: run.number)

    @property
    def output(self) -> str:
        """What was written to the terminal."""
        return self._pty.get_output()

    @property
    def messages(self) -> list[str]:
        """What nodes have told the loggers, such as what they have changed."""
        return [entry.subject for entry in self.trace.walk() if isinstance(entry.subject, str)]

    def __repr__(self) -> str:
        return f"<FakeTree {Inspector(self.env).get_full_name()}: {len(self.runs)} runs>"

    def _stand_in(self, host: type[Host]) -> type[FakeHost]:
        with self._lock:
            fake = self._fakes.get(host)
            if fake is None:
                fake = self._fakes[host] = _make_stand_in(host)
                fake.strict = fake.strict or self._strict
                fake.answers.update(self._answers)
                fake.files.update(self._files)
            return fake


def _make_stand_in(host: type[Host]) -> type[FakeHost]:
    # One that is fake already begins anew.
    bases = (host,) if issubclass(host, FakeHost) else (FakeHost, host)
    identity = {"slug": host.slug, "__module__": host.__module__, "__doc__": host.__doc__}
    made = types.new_class(host.__name__, bases, exec_body=lambda body: body.update(identity))
    return cast(type[FakeHost], made)


class _TypedPty(DummyPty):
    """A terminal without one, where somebody has typed lines ahead."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("".join(f"{line}\n" for line in lines))
        self._has_lines = bool(lines)

    @property
    def can_ask(self) -> bool:
        return self._has_lines

    def ask_secret(self, question: str, shown: bool = False) -> Secret | None:
        if not self.can_ask:
            return None
        self.write(question)
        line = self.read_line()
        self.write("\n")
        return None if line is None else Secret(line)


@contextmanager
def no_connections() -> Iterator[None]:
    """Have hosts that are not fake refuse to connect over SSH, for the length of a block."""

    def refuse(self: SSHHost) -> NoReturn:
        raise NodeUsageError(
            f"{self.slug}: a test of fake hosts does not connect to a real one; this host is used "
            "without the tree: take it from self.hosts"
        )

    connection = SSHHost._connection
    SSHHost._connection = property(refuse)  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        SSHHost._connection = connection  # type: ignore[method-assign]
