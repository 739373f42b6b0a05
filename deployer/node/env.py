"""``Env``: a node together with a terminal and loggers, so that its actions can run."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeGuard

from ..console import Console
from ..exceptions import NodeUsageError
from ..host_container import HostContainer, HostsContainer
from ..loggers import DefaultLogger, DummyLoggerInterface, LoggerInterface
from ..pseudo_terminal import DummyPty, Pty
from .action import Action, EnvAction
from .base import Node
from .descriptors import ActionDescriptor, ChildNodeDescriptor, NodeAttribute, find_attribute
from .isolation import get_full_name, get_roles
from .metaclass import NodeBase

__all__ = ["Env"]


class Env:
    """A node in the environment that its actions run in; the ``self`` of every action.

    It has the attributes of the node: nested nodes come as Envs too (the same one each time, so
    that ``with self.child.host.cd(…)`` holds for what ``self.child`` runs), actions can be called,
    properties and queries are evaluated. It cannot be changed, and belongs to one thread.

    :param node: the root of a tree, or any node of it.
    :param pty: where actions read and write; nowhere, when not given.
    :param logger: sees what is run; nobody does, when not given.
    :param is_sandbox: True to only check and show what would be run.
    """

    __slots__ = (
        "__weakref__",
        "_envs",
        "_host",
        "_hosts",
        "_is_sandbox",
        "_logger",
        "_node",
        "_pty",
    )

    _node: Node
    _pty: Pty
    _logger: LoggerInterface
    _is_sandbox: bool
    _envs: dict[Node, Env]
    _host: HostContainer
    _hosts: HostsContainer

    def __init__(
        self,
        node: Node,
        pty: Pty | None = None,
        logger: LoggerInterface | None = None,
        is_sandbox: bool = False,
    ) -> None:
        if not isinstance(type(node), NodeBase):
            advice = f": call the class, Env({node.__name__}())" if _is_node_class(node) else ""
            raise NodeUsageError(f"Env() takes a node, not {node!r}{advice}")
        self._set("_node", node)
        self._set("_pty", pty if pty is not None else DummyPty())
        self._set("_logger", logger if logger is not None else DummyLoggerInterface())
        self._set("_is_sandbox", is_sandbox)
        self._set("_envs", {node: self})

    @classmethod
    def default_from_node(cls, node: Node) -> Env:
        """Return an Env in the terminal of this process, whose default logger shows what runs."""
        pty = Pty()
        logger = LoggerInterface()
        logger.attach(DefaultLogger())
        return cls(node, pty, logger)

    @property
    def host(self) -> HostContainer:
        """The one host of the node: that of the role ``host``, or else the only one it has."""
        try:
            return self._host
        except AttributeError:
            self._set("_host", self._find_host())
            return self._host

    @property
    def hosts(self) -> HostsContainer:
        """All hosts of the node, by role."""
        try:
            return self._hosts
        except AttributeError:
            roles = get_roles(self._node)
            hosts = HostsContainer(
                roles, pty=self._pty, logger=self._logger, is_sandbox=self._is_sandbox
            )
            self._set("_hosts", hosts)
            return hosts

    @property
    def console(self) -> Console:
        """Asks and shows things on the terminal that the action runs in."""
        return Console(self._pty)

    @property
    def parent(self) -> Env | None:
        """The node that this one is nested in, None at the root."""
        parent = self._node.parent
        return None if parent is None else self._env_of(parent)

    def initialize_node(self, node_class: type[Node]) -> Env:
        """Return the root of another tree, in the same environment."""
        if not _is_node_class(node_class):
            raise NodeUsageError(f"initialize_node() takes a node class, not {node_class!r}")
        return Env(node_class(), self._pty, self._logger, self._is_sandbox)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the default action of the node, its ``__call__``."""
        action = find_attribute(type(self._node), "__call__")
        if not isinstance(action, ActionDescriptor):
            raise NodeUsageError(
                f"{self!r} cannot be called: {type(self._node).__name__} has no default action; "
                "define __call__ in it, or call one of its actions"
            )
        return action.bind(self)(*args, **kwargs)

    def __getitem__(self, key: object) -> Env:
        """Return a cell: by index, slug, Host class or host, or a tuple for nested arrays."""
        return self._env_of(self._node[key])

    def __iter__(self) -> Iterator[Env]:
        """Give the cells in order; a node that is no array gives itself."""
        return map(self._env_of, self._node)

    def __getattr__(self, name: str) -> Any:
        if name in Env.__slots__:
            raise AttributeError(name)
        node_class = type(self._node)
        attribute = find_attribute(node_class, name)
        if isinstance(attribute, NodeAttribute):
            return attribute.__get__(self, node_class)
        if attribute is None and name not in vars(self._node) and not hasattr(node_class, name):
            self._report_missing(name)
        return getattr(self._node, name)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(
            f"{self!r}.{name} cannot be set: nodes keep no state; define {name} in the class "
            f"{type(self._node).__name__}, or pass it on as a parameter"
        )

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{self!r}.{name} cannot be deleted")

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *dir(self._node)})

    def __repr__(self) -> str:
        return f"Env({get_full_name(self._node)})"

    # An Env says that it is of its node's class: for isinstance(), and for super() in actions.
    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._node)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _env_of(self, node: Node) -> Env:
        """Return the Env of another node of the tree, the same one each time."""
        env = self._envs.get(node)
        if env is None:
            env = Env(node, self._pty, self._logger, self._is_sandbox)
            object.__setattr__(env, "_envs", self._envs)
            self._envs[node] = env
        return env

    def _node_bind_child(self, attribute: ChildNodeDescriptor) -> Env:
        return self._env_of(self._node._node_bind_child(attribute))

    def _node_bind_action(
        self, name: str, function: Callable[..., Any], alias_of: str | None = None
    ) -> EnvAction:
        return EnvAction(self, Action(self._node, name, function, alias_of))

    def _find_host(self) -> HostContainer:
        roles = self.hosts.get_hosts_as_dict()
        candidates = self.hosts.filter("host") if "host" in roles else self.hosts
        if self._node._node_is_isolated and len(candidates) == 1:
            return candidates[0]
        self._report_no_single_host(candidates)

    def _report_no_single_host(self, candidates: HostsContainer) -> NoReturn:
        slugs = ", ".join(host.slug for host in candidates.get_hosts())
        name = type(self._node).__name__
        if not self._node._node_is_isolated:
            raise NodeUsageError(
                f"{self!r}.host: this is an array of nodes, of which each cell has its own host "
                f"({slugs or 'there are none'}): call an action on the array to run it in each "
                "cell, take one with [...], or iterate over it"
            )
        if candidates.get_hosts():
            raise NodeUsageError(
                f"{self!r}.host: {name} has {len(candidates)} hosts ({slugs}), so that none of "
                "them is *the* host: use self.hosts to run on all, give the role 'host' a single "
                "one, or make it a ParallelNode to have one cell for each"
            )
        others = [host.slug for host in self.hosts.get_hosts()]
        if others:
            raise NodeUsageError(
                f"{self!r}.host: the role 'host' of {name} is empty; it has the hosts "
                f"{', '.join(others)} in other roles ({', '.join(self.hosts.roles)}): use "
                "self.hosts.filter(…), or map one of these roles to 'host'"
            )
        raise NodeUsageError(
            f"{self!r}.host: there are no hosts: nest a class Hosts in {name}, or in a node "
            "around it, like\n    class Hosts:\n        host = my_host"
        )

    def _report_missing(self, name: str) -> NoReturn:
        known = [key for key in dir(self) if not key.startswith("_")]
        # Python and its libraries ask for special names only to see whether they are there.
        nearest = [] if name.startswith("__") else difflib.get_close_matches(name, known, 1)
        advice = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise AttributeError(
            f"{self!r} has no attribute {name!r}: {type(self._node).__name__} does not define "
            f"it{advice}"
        )


def _is_node_class(value: object) -> TypeGuard[NodeBase]:
    return isinstance(value, NodeBase)
