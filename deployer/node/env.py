"""``Env``: a node together with a terminal and loggers, so that its actions can run."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeGuard

from ..exceptions import NodeUsageError
from ..host_container import HostContainer, HostsContainer
from ..utils.spelling import find_nearest
from .action import Action, EnvAction
from .base import Node
from .descriptors import ActionDescriptor, ChildNodeDescriptor, find_attribute
from .isolation import explain_lack_of_hosts, get_full_name, get_roles
from .metaclass import NodeBase

# Imported when there is an Env: to define nodes, and to say what there is, takes none.
if TYPE_CHECKING:
    from ..console import Console
    from ..host import Host
    from ..loggers import LoggerInterface
    from ..parallel import RunOptions
    from ..pseudo_terminal import Pty

__all__ = ["Env", "as_env"]


class Env:
    """A node in the environment that its actions run in; the ``self`` of every action.

    It has the attributes of the node: nested nodes come as Envs too (the same one each time, so
    that ``with self.child.host.cd(…)`` holds for what ``self.child`` runs), actions can be called,
    properties and queries are evaluated. It cannot be changed, and belongs to one thread.

    Like on a node, what begins with ``_node_`` is internal.

    :param node: the root of a tree, or any node of it.
    :param pty: where actions read and write; nowhere, when not given.
    :param logger: sees what is run; nobody does, when not given.
    :param is_sandbox: True to only check and show what would be run.
    :param options: how what runs in parallel is carried out.
    :param replace_host: gives the class that stands in for a host of the tree, with the same slug,
        and the same class each time; see :class:`deployer.testing.FakeTree`.
    """

    __slots__ = (
        "__weakref__",
        "_node_bare",
        "_node_envs",
        "_node_given_options",
        "_node_host",
        "_node_hosts",
        "_node_is_sandbox",
        "_node_logger",
        "_node_pty",
        "_node_replace_host",
    )

    _node_bare: Node
    _node_pty: Pty
    _node_logger: LoggerInterface
    _node_is_sandbox: bool
    _node_given_options: RunOptions | None
    _node_envs: dict[Node, Env]
    _node_host: HostContainer | None
    _node_hosts: HostsContainer | None
    _node_replace_host: Callable[[type[Host]], type[Host]] | None

    def __init__(
        self,
        node: Node,
        pty: Pty | None = None,
        logger: LoggerInterface | None = None,
        is_sandbox: bool = False,
        options: RunOptions | None = None,
        replace_host: Callable[[type[Host]], type[Host]] | None = None,
    ) -> None:
        if not isinstance(type(node), NodeBase):
            raise NodeUsageError(f"Env() takes a node, not {node!r}{_show_remedy(node)}")
        from ..loggers import DummyLoggerInterface
        from ..pseudo_terminal import DummyPty

        self._node_set("_node_bare", node)
        self._node_set("_node_pty", pty if pty is not None else DummyPty(keeps_output=False))
        self._node_set("_node_logger", logger if logger is not None else DummyLoggerInterface())
        self._node_set("_node_is_sandbox", is_sandbox)
        self._node_set("_node_given_options", options)
        self._node_set("_node_envs", {node: self})
        self._node_set("_node_host", None)
        self._node_set("_node_hosts", None)
        self._node_set("_node_replace_host", replace_host)

    @classmethod
    def default_from_node(cls, node: Node) -> Env:
        """Return an Env in the terminal of this process, whose default logger shows what runs."""
        from ..loggers import DefaultLogger, LoggerInterface
        from ..pseudo_terminal import Pty

        pty = Pty()
        logger = LoggerInterface()
        logger.attach(DefaultLogger())
        return cls(node, pty, logger)

    @property
    def host(self) -> HostContainer:
        """The one host of the node: that of the role ``host``, or else the only one it has."""
        host = self._node_host
        if host is None:
            host = _find_host(self)
            self._node_set("_node_host", host)
        return host

    @property
    def hosts(self) -> HostsContainer:
        """All hosts of the node, by role."""
        hosts = self._node_hosts
        if hosts is None:
            hosts = HostsContainer(
                self._node_select_hosts(),
                self._node_pty,
                self._node_logger,
                self._node_is_sandbox,
                self._node_options,
            )
            self._node_set("_node_hosts", hosts)
        return hosts

    @property
    def console(self) -> Console:
        """Asks and shows things on the terminal that the action runs in."""
        from ..console import Console

        return Console(self._node_pty)

    @property
    def parent(self) -> Env | None:
        """The node that this one is nested in, None at the root."""
        parent = self._node_bare.parent
        return None if parent is None else self._node_env_of(parent)

    def initialize_node(self, node_class: type[Node]) -> Env:
        """Return the root of another tree, in the same environment."""
        if not _is_node_class(node_class):
            raise NodeUsageError(f"initialize_node() takes a node class, not {node_class!r}")
        return self._node_copy(node_class(), self._node_given_options)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the default action of the node, its ``__call__``."""
        action = find_attribute(type(self._node_bare), "__call__")
        if not isinstance(action, ActionDescriptor):
            raise NodeUsageError(
                f"{self!r} cannot be called: {type(self._node_bare).__name__} has no default "
                "action; define __call__ in it, or call one of its actions"
            )
        return action.bind(self)(*args, **kwargs)

    def __getitem__(self, key: object) -> Env:
        """Return a cell: by index, slug, Host class or host, or a tuple for nested arrays."""
        return self._node_env_of(self._node_bare[self._node_find_key(key)])

    def __iter__(self) -> Iterator[Env]:
        """Give the cells in order; a node that is no array gives itself."""
        return map(self._node_env_of, self._node_bare)

    def __getattr__(self, name: str) -> Any:
        # Of an Env that could not be made, not even the node is there to ask.
        if name in Env.__slots__:
            raise AttributeError(name)
        node_class = type(self._node_bare)
        attribute = find_attribute(node_class, name)
        if _can_bind_env(attribute) and not name.startswith("_node_"):
            return attribute.__get__(self, node_class)
        node = self._node_bare
        if attribute is None and name not in vars(node) and not hasattr(node_class, name):
            _report_missing(self, name)
        return getattr(node, name)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(
            f"{self!r}.{name} cannot be set: nodes keep no state; define {name} in the class "
            f"{type(self._node_bare).__name__}, or pass it on as a parameter"
        )

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{self!r}.{name} cannot be deleted")

    def __dir__(self) -> list[str]:
        return sorted(name for name in dir(self._node_bare) if not name.startswith("_node_"))

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} holds a terminal and connections, and cannot be copied")

    def __repr__(self) -> str:
        return f"Env({get_full_name(self._node_bare)})"

    # An Env says that it is of its node's class: for isinstance(), and for super() in actions.
    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._node_bare)

    @property
    def _node_options(self) -> RunOptions:
        """How what runs in parallel is carried out; made when it is first needed."""
        options = self._node_given_options
        if options is None:
            from ..parallel import RunOptions

            options = RunOptions()
            self._node_set("_node_given_options", options)
        return options

    def _node_set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _node_env_of(self, node: Node) -> Env:
        """Return the Env of another node of the tree, the same one each time."""
        env = self._node_envs.get(node)
        if env is None:
            env = self._node_copy(node, self._node_given_options)
            object.__setattr__(env, "_node_envs", self._node_envs)
            self._node_envs[node] = env
        return env

    def _node_copy(
        self,
        node: Node,
        options: RunOptions | None,
        pty: Pty | None = None,
        logger: LoggerInterface | None = None,
    ) -> Env:
        return Env(
            node,
            pty if pty is not None else self._node_pty,
            logger if logger is not None else self._node_logger,
            self._node_is_sandbox,
            options,
            self._node_replace_host,
        )

    def _node_with_options(self, options: RunOptions) -> Env:
        """Return the same node with other options, on hosts in the same contexts."""
        return self._node_with_contexts_for(self._node_copy(self._node_bare, options))

    def _node_in_sandbox(self, is_sandbox: bool = True) -> Env:
        """Return the same node where commands are only checked, on hosts in the same contexts."""
        env = self._node_copy(self._node_bare, self._node_given_options)
        env._node_set("_node_is_sandbox", is_sandbox)
        return self._node_with_contexts_for(env)

    def _node_with_contexts_for(self, env: Env) -> Env:
        for node, known in self._node_envs.items():
            if known._node_hosts is not None:
                env._node_env_of(node).hosts.take_contexts(known._node_hosts)
        return env

    def _node_select_hosts(self) -> Mapping[str, tuple[type[Host], ...]]:
        roles = get_roles(self._node_bare)
        wanted = self._node_options.hosts
        if wanted is None and self._node_replace_host is None:
            return roles
        return {
            role: self._node_replace_hosts(
                host for host in hosts if wanted is None or wanted.matches(host.slug)
            )
            for role, hosts in roles.items()
        }

    def _node_replace_hosts(self, hosts: Iterable[type[Host]]) -> tuple[type[Host], ...]:
        """Return what stands in for hosts of the tree, or these themselves."""
        replace = self._node_replace_host
        return tuple(hosts) if replace is None else tuple(map(replace, hosts))

    def _node_find_key(self, key: object) -> object:
        """Return the key of a cell of the bare tree."""
        if self._node_replace_host is None:
            return key
        if isinstance(key, tuple):
            return tuple(map(self._node_find_key, key))
        # The tree knows nothing of what stands in for its hosts, but the names are the same.
        return getattr(key, "slug", key)

    def _node_bind_child(self, attribute: ChildNodeDescriptor) -> Env:
        return self._node_env_of(self._node_bare._node_bind_child(attribute))

    def _node_bind_action(
        self, name: str, function: Callable[..., Any], alias_of: str | None = None
    ) -> EnvAction:
        return EnvAction(self, Action(self._node_bare, name, function, alias_of))


def as_env(node: Node | Env, env: Env) -> Env:
    """Return a node in the environment of ``env``, the same Env each time.

    What is an Env already is returned as it is. An Env says that it is of its node's class, so
    that a caller could tell them apart by ``type(node) is Env`` only.
    """
    return node if type(node) is Env else env._node_env_of(node)  # type: ignore[arg-type]


def _find_host(env: Env) -> HostContainer:
    roles = env.hosts.get_hosts_as_dict()
    candidates = env.hosts.filter("host") if "host" in roles else env.hosts
    if env._node_bare._node_is_isolated and len(candidates) == 1:
        return candidates[0]
    _report_no_single_host(env, candidates)


def _report_no_single_host(env: Env, candidates: HostsContainer) -> NoReturn:
    left_out = [host.slug for hosts in get_roles(env._node_bare).values() for host in hosts]
    if not env.hosts and left_out:
        raise NodeUsageError(
            f"{env!r}.host: {', '.join(dict.fromkeys(left_out))} is not among the hosts to run on; "
            "name it in --hosts as well"
        )
    slugs = ", ".join(host.slug for host in candidates.get_hosts())
    name = type(env._node_bare).__name__
    if not env._node_bare._node_is_isolated:
        raise NodeUsageError(
            f"{env!r}.host: this is an array of nodes, of which each cell has its own host "
            f"({slugs or 'there are none'}): call an action on the array to run it in each "
            "cell, take one with [...], or iterate over it"
        )
    if candidates.get_hosts():
        raise NodeUsageError(
            f"{env!r}.host: {name} has {len(candidates)} hosts ({slugs}), so that none of "
            "them is *the* host: use self.hosts to run on all, give the role 'host' a single "
            "one, or make it a ParallelNode to have one cell for each"
        )
    others = [host.slug for host in env.hosts.get_hosts()]
    if others:
        raise NodeUsageError(
            f"{env!r}.host: the role 'host' of {name} is empty; it has the hosts "
            f"{', '.join(others)} in other roles ({', '.join(env.hosts.roles)}): use "
            "self.hosts.filter(…), or map one of these roles to 'host'"
        )
    raise NodeUsageError(
        f"{env!r}.host: there are no hosts: {explain_lack_of_hosts(env._node_bare)}"
    )


def _report_missing(env: Env, name: str) -> NoReturn:
    known = [key for key in dir(env) if not key.startswith("_")]
    # Python and its libraries ask for special names only to see whether they are there.
    nearest = None if name.startswith("__") else find_nearest(name, known)
    advice = f"; did you mean {nearest!r}?" if nearest is not None else ""
    raise AttributeError(
        f"{env!r} has no attribute {name!r}: {type(env._node_bare).__name__} does not define "
        f"it{advice}"
    )


def _can_bind_env(attribute: object) -> bool:
    """Return whether it is a descriptor, of us or of the user, which may have an Env as self."""
    # Python's own, as for __dict__, serve nothing but the node.
    return hasattr(type(attribute), "__get__") and not isinstance(
        attribute, types.GetSetDescriptorType | types.MemberDescriptorType
    )


def _show_remedy(wrong: object) -> str:
    """Return what to do about something else than a node, to end the message with."""
    if _is_node_class(wrong):
        return f": call the class, Env({wrong.__name__}())"
    return ", which is an Env already" if type(wrong) is Env else ""


def _is_node_class(value: object) -> TypeGuard[NodeBase]:
    return isinstance(value, NodeBase)
