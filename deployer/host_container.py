"""Hosts by role: all of them at once, or exactly one."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from .exceptions import ExecCommandFailed, NodeUsageError, ParallelExecCommandFailed
from .host.base import Host
from .host.result import RunResult
from .secret import redact
from .utils.spelling import find_nearest

if TYPE_CHECKING:
    from .host.command import HostContext
    from .loggers import LoggerInterface
    from .parallel import RunOptions
    from .pseudo_terminal import Pty

__all__ = ["HostContainer", "HostsContainer", "parse_hosts"]

P = ParamSpec("P")
T = TypeVar("T")


def parse_hosts(definition: object) -> dict[str, tuple[type[Host], ...]]:
    """Return the hosts by role that a definition gives.

    :param definition: a class (``class Hosts: web = {Host1, Host2}``) whose public attributes are
        roles, a mapping from roles to hosts, a container, or None for no hosts. The hosts of a
        role are a Host class, a tuple, list or set of them, or a container. Tuples and lists keep
        their order; a set is put in the order of the slugs.
    :raises TypeError: for anything else.
    :raises ValueError: when two different hosts of a role have the same slug.
    """
    if definition is None:
        return {}
    if isinstance(definition, _Container):
        return definition.get_hosts_as_dict()
    if isinstance(definition, Mapping):
        roles: dict[str, object] = dict(definition)
    elif isinstance(definition, type) and not issubclass(definition, Host):
        roles = {}
        for cls in reversed(definition.__mro__[:-1]):
            roles |= {name: value for name, value in vars(cls).items() if name[:1] != "_"}
    else:
        raise TypeError(
            f"{definition!r} cannot be used as hosts: write a class whose attributes are roles, as "
            "in `class Hosts: host = MyHost`"
        )
    return {role: _parse_role(role, value) for role, value in roles.items()}


def _parse_role(role: str, value: object) -> tuple[type[Host], ...]:
    if isinstance(value, _Container):
        return tuple(value.get_hosts())
    hosts = tuple(value) if isinstance(value, tuple | list | set | frozenset) else (value,)
    for host in hosts:
        if not (isinstance(host, type) and issubclass(host, Host)):
            hint = "pass the class itself, not an instance" if isinstance(host, Host) else ""
            raise TypeError(
                f"role {role!r}: {host!r} is no Host class; "
                f"{hint or 'give a subclass of SSHHost or LocalHost, or several in a tuple'}"
            )
    if isinstance(value, set | frozenset):
        hosts = tuple(sorted(hosts, key=lambda host: (host.slug, host.__qualname__)))
    hosts = tuple(dict.fromkeys(hosts))
    slugs: dict[str, type[Host]] = {}
    for host in hosts:
        other = slugs.setdefault(host.slug, host)
        if other is not host:
            raise ValueError(
                f"role {role!r}: {other.__qualname__} and {host.__qualname__} both have the slug "
                f"{host.slug!r}; give one of them another `slug`"
            )
    return hosts


def _on_each(
    method: Callable[Concatenate[Host, P], T],
) -> Callable[Concatenate[HostsContainer, P], list[T]]:
    """Make the method of a container that does the same as one of Host, on all hosts at once."""

    # By its name, here and below: a kind of host may do it in a way of its own.
    name = method.__name__

    def on_each(self: HostsContainer, /, *args: P.args, **kwargs: P.kwargs) -> list[T]:
        title = " ".join([name, *map(str, args[:1])])
        return self._run_on_each(redact(title), lambda host: getattr(host, name)(*args, **kwargs))

    functools.update_wrapper(on_each, method)
    return on_each


def _in_each(
    method: Callable[Concatenate[Host, P], AbstractContextManager[None]],
) -> Callable[Concatenate[_Container, P], AbstractContextManager[None]]:
    """Make the method of a container that enters a context of all its hosts."""

    @contextmanager
    def in_each(self: _Container, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[None]:
        with ExitStack() as stack:
            for host in self._hosts.values():
                stack.enter_context(getattr(host, method.__name__)(*args, **kwargs))
            yield

    functools.update_wrapper(in_each, method)
    return in_each


def _on_one(
    method: Callable[Concatenate[Host, P], T],
) -> Callable[Concatenate[HostContainer, P], T]:
    """Make the method of a container of one host that does the same on it."""

    def on_one(self: HostContainer, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = getattr(self._host, method.__name__)(*args, **kwargs)
        return result

    functools.update_wrapper(on_one, method)
    return on_one


class _Container:
    """Hosts by role, each in a context of its own."""

    def __init__(
        self,
        hosts: Mapping[str, Sequence[type[Host]]],
        pty: Pty | None = None,
        logger: LoggerInterface | None = None,
        is_sandbox: bool = False,
        options: RunOptions | None = None,
    ) -> None:
        # Imported here, as in what hosts run: every script that defines a tree imports this module.
        from .loggers import DummyLoggerInterface
        from .parallel import RunOptions
        from .pseudo_terminal import DummyPty

        self.pty = pty if pty is not None else DummyPty(keeps_output=False)
        self.logger = logger if logger is not None else DummyLoggerInterface()
        self.is_sandbox = is_sandbox
        self.options = options if options is not None else RunOptions()
        self._roles = {role: tuple(classes) for role, classes in hosts.items()}
        # One instance, and so one context, for each host, in whatever roles it is.
        self._hosts = {
            cls: cls(self.pty, self.logger, is_sandbox)
            for classes in self._roles.values()
            for cls in classes
        }

    @classmethod
    def from_definition(
        cls,
        definition: object,
        pty: Pty | None = None,
        logger: LoggerInterface | None = None,
        is_sandbox: bool = False,
    ) -> Self:
        """Return a container for a ``Hosts`` class; see :func:`parse_hosts`."""
        return cls(parse_hosts(definition), pty, logger, is_sandbox)

    def take_contexts(self, other: _Container) -> None:
        """Bring the hosts that are in another container, too, into the contexts they have there."""
        for cls, host in self._hosts.items():
            if cls in other._hosts:
                host.take_context(other._hosts[cls])

    def get_contexts(self) -> tuple[HostContext, ...]:
        """Return the contexts that the hosts are in, in order."""
        return tuple(host.context for host in self._hosts.values())

    def set_contexts(self, contexts: Iterable[HostContext]) -> None:
        """Bring the hosts into contexts, given in order."""
        for host, context in zip(self._hosts.values(), contexts, strict=True):
            host._context = context

    @property
    def roles(self) -> list[str]:
        """The names of the roles, in the order in which they were defined."""
        return list(self._roles)

    def get_hosts(self) -> list[type[Host]]:
        """Return all host classes, each once, in order."""
        return list(self._hosts)

    def get_hosts_as_dict(self) -> dict[str, tuple[type[Host], ...]]:
        """Return the host classes of each role."""
        return dict(self._roles)

    def filter(self, *roles: str) -> HostsContainer:
        """Return the hosts of some of the roles; they stay in the contexts that they are in."""
        for role in roles:
            if not isinstance(role, str):
                raise TypeError(f"filter() takes names of roles, as in filter('web'), not {role!r}")
        part = HostsContainer({}, self.pty, self.logger, self.is_sandbox, self.options)
        part._roles = {role: self._roles[role] for role in roles if role in self._roles}
        part._hosts = {host: self._hosts[host] for hosts in part._roles.values() for host in hosts}
        return part

    def __getitem__(self, index: int) -> HostContainer:
        return self._one(self.get_hosts()[index])

    def __iter__(self) -> Iterator[HostContainer]:
        return iter([self._one(host) for host in self._hosts])

    def _one(self, host: type[Host]) -> HostContainer:
        return HostContainer._of(self._hosts[host], self)

    def __len__(self) -> int:
        return len(self._hosts)

    def __bool__(self) -> bool:
        return bool(self._hosts)

    def __contains__(self, host: object) -> bool:
        return host in self._hosts

    def __repr__(self) -> str:
        roles = ", ".join(
            f"{role}=({', '.join(host.slug for host in hosts)})"
            for role, hosts in self._roles.items()
        )
        return f"<{type(self).__name__} {roles or 'empty'}>"

    # Type checkers do not see it: they are to find what is misspelt.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            return _get_own_attribute(self, name)

    cd = _in_each(Host.cd)
    prefix = _in_each(Host.prefix)
    env = _in_each(Host.env)


class HostsContainer(_Container):
    """Hosts by role. What it is asked to do, all of them do at once; the results are lists.

    :param hosts: the host classes of each role.
    :param pty: the terminal that they share.
    :param logger: who is told what runs.
    :param is_sandbox: check commands instead of running them.
    :param options: how what they do at once is carried out.
    """

    def with_options(self, **changes: Any) -> HostsContainer:
        """Return the same hosts, with other options for what they do at once.

        As in ``hosts.with_options(fan_out=10).run("uptime")``; see
        :class:`~deployer.parallel.RunOptions` for all of them.
        """
        options = self.options.replace(**changes)
        if options.executor is not None:
            raise NodeUsageError(
                "an executor runs actions of nodes: what is sent to it is where these are defined; "
                "call it as env.action.with_options(executor=…)(…)"
            )
        wanted = [
            host
            for host in self._hosts
            if options.hosts is None or options.hosts.matches(host.slug)
        ]
        same = HostsContainer({}, self.pty, self.logger, self.is_sandbox, options)
        same._roles = {
            role: tuple(host for host in hosts if host in wanted)
            for role, hosts in self._roles.items()
        }
        same._hosts = {host: self._hosts[host] for host in wanted}
        return same

    def _run_on_each(self, title: str, function: Callable[[Host], T]) -> list[T]:
        """Run a function on all hosts at once; return the results in order."""
        from .parallel import Job, run

        hosts = list(self._hosts.values())
        if len(hosts) == 1:
            return [function(hosts[0])]

        def job(name: str, host: Host) -> Job[T]:
            # Here, and not in the host's thread: loggers see in what action it was called.
            logger = self.logger.fork(name)
            return Job(name, lambda pty: function(host.copy(pty, logger)), (type(host),))

        jobs = [job(*named) for named in zip(self._names(), hosts, strict=True)]
        outcomes = run(self.pty, jobs, self.options, title)
        failures = {
            outcome.name: outcome.error
            for outcome in outcomes
            if outcome.error is not None and outcome.was_begun
        }
        if not failures:
            return [outcome.result for outcome in outcomes]  # type: ignore[misc]
        results = {outcome.name: outcome.result for outcome in outcomes if outcome.error is None}
        first = next(iter(failures.values()))
        raise ParallelExecCommandFailed(
            results,
            failures,
            _first_result(failures),
            [outcome.name for outcome in outcomes if not outcome.was_begun],
            any(outcome.error_was_shown for outcome in outcomes),
        ) from first

    def _names(self) -> list[str]:
        """Return a name for each host: its slug, and the class where roles share a slug."""
        slugs = Counter(host.slug for host in self._hosts)
        names: dict[str, None] = {}
        for host in self._hosts:
            name = host.slug if slugs[host.slug] == 1 else f"{host.slug} ({host.__qualname__})"
            unique = name
            # Classes made in a loop may even share that.
            for number in itertools.count(2):
                if unique not in names:
                    break
                unique = f"{name} #{number}"
            names[unique] = None
        return list(names)

    run = _on_each(Host.run)
    sudo = _on_each(Host.sudo)
    run_unseen = _on_each(Host.run_unseen)
    put_file = _on_each(Host.put_file)
    put_dir = _on_each(Host.put_dir)
    stat = _on_each(Host.stat)
    listdir = _on_each(Host.listdir)
    listdir_stat = _on_each(Host.listdir_stat)
    exists = _on_each(Host.exists)
    getcwd = _on_each(Host.getcwd)
    expand_path = _on_each(Host.expand_path)
    get_home_directory = _on_each(Host.get_home_directory)
    has_command = _on_each(Host.has_command)
    ifconfig = _on_each(Host.ifconfig)
    get_ip_address = _on_each(Host.get_ip_address)


class HostContainer(_Container):
    """Exactly one host: its methods give plain results. This is what ``self.host`` is.

    It also has what the classes of the host define beyond what every host has, such as a port that
    is different on each host.
    """

    _host: Host

    def __init__(
        self,
        hosts: Mapping[str, Sequence[type[Host]]],
        pty: Pty | None = None,
        logger: LoggerInterface | None = None,
        is_sandbox: bool = False,
        options: RunOptions | None = None,
    ) -> None:
        super().__init__(hosts, pty, logger, is_sandbox, options)
        if len(self._hosts) != 1:
            slugs = ", ".join(host.slug for host in self._hosts) or "none"
            raise NodeUsageError(f"a HostContainer holds exactly one host, but there are: {slugs}")
        (self._host,) = self._hosts.values()

    @classmethod
    def _of(cls, host: Host, parent: _Container) -> HostContainer:
        """Return the container of a host of another one, in the same context."""
        roles = {
            role: (type(host),) for role, hosts in parent._roles.items() if type(host) in hosts
        }
        one = cls(roles, parent.pty, parent.logger, parent.is_sandbox, parent.options)
        one._hosts = {type(host): host}
        one._host = host
        return one

    @property
    def host_class(self) -> type[Host]:
        """The class of the host."""
        return type(self._host)

    @property
    def slug(self) -> str:
        """The name of the host."""
        return self._host.slug

    @property
    def address(self) -> str | None:
        """Where the host is."""
        return self._host.address

    open = _on_one(Host.open)
    get_file = _on_one(Host.get_file)
    get_dir = _on_one(Host.get_dir)
    forward_local = _on_one(Host.forward_local)
    forward_remote = _on_one(Host.forward_remote)
    start_interactive_shell = _on_one(Host.start_interactive_shell)
    run = _on_one(Host.run)
    sudo = _on_one(Host.sudo)
    run_unseen = _on_one(Host.run_unseen)
    put_file = _on_one(Host.put_file)
    put_dir = _on_one(Host.put_dir)
    stat = _on_one(Host.stat)
    listdir = _on_one(Host.listdir)
    listdir_stat = _on_one(Host.listdir_stat)
    exists = _on_one(Host.exists)
    getcwd = _on_one(Host.getcwd)
    expand_path = _on_one(Host.expand_path)
    get_home_directory = _on_one(Host.get_home_directory)
    has_command = _on_one(Host.has_command)
    ifconfig = _on_one(Host.ifconfig)
    get_ip_address = _on_one(Host.get_ip_address)


def _get_own_attribute(container: _Container, name: str) -> Any:
    """Return what only the classes of a host have; raise AttributeError for anything else."""
    # Python and its libraries ask for special names, also before there is anything else.
    if name.startswith("_"):
        raise AttributeError(f"{type(container).__name__} has no attribute {name!r}")
    # Imported here: most hosts have no such values.
    from .host.own_names import get_own_names
    from .utils.folding import fold

    hosts = container.get_hosts()
    own = set().union(*map(get_own_names, hosts))
    if name in own and isinstance(container, HostContainer):
        return getattr(container._host, name)
    if name in own:
        advice = f": each host has its own, `[host.{name} for host in self.hosts]`"
    elif hasattr(HostContainer, name):
        advice = f": it is for a single host, `for host in self.hosts: host.{name}`"
    elif any(name in vars(cls) for host in hosts for cls in host.__mro__):
        advice = ": look at its class, host_class; what that leaves unset is in the ssh config"
    else:
        public = (each for each in dir(container) if not each.startswith("_"))
        nearest = find_nearest(name, own.union(public))
        advice = f"; did you mean {nearest!r}?" if nearest is not None else ""
    whose = fold([host.slug for host in hosts]) or "no hosts"
    raise AttributeError(f"{type(container).__name__} of {whose} has no attribute {name!r}{advice}")


def _first_result(failures: Mapping[str, BaseException]) -> RunResult:
    """Return the result of the first command that failed, or what is known of the first failure."""
    for error in failures.values():
        if isinstance(error, ExecCommandFailed):
            return error.result
    host, error = next(iter(failures.items()))
    return RunResult(host=host, exit_status=None, stderr=str(error))
