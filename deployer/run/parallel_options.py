"""What the command line says of parallel runs: on which hosts, how many at once, how shown."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from ..exceptions import NodeUsageError
from ..node.isolation import get_roles
from ..parallel.choices import DEFAULT_FAN_OUT, OUTPUTS
from ..utils.spelling import find_nearest

# What an option stands for is imported when it is given.
if TYPE_CHECKING:
    from ..node import Env
    from ..parallel import RunOptions
    from ..pseudo_terminal import Presentation

__all__ = ["add_parallel_options", "check_hosts", "make_options", "make_presentation"]

_DEFAULTS = {
    "hosts": None,
    "parallel": DEFAULT_FAN_OUT,
    "fail_fast": False,
    "retries": 0,
    "output": None,
    "outdir": None,
    "executor": None,
    "processes": None,
}


def add_parallel_options(parser: argparse.ArgumentParser, with_defaults: bool = False) -> None:
    """Add the options; of the parsers that a line goes through, one has their defaults."""
    group = parser.add_argument_group("hosts at once")

    def add(name: str, metavar: str | None, help: str, kind: Callable[[str], object] = str) -> None:
        # A default here would win over what was given before the command.
        if metavar is None:
            group.add_argument(name, action="store_true", default=argparse.SUPPRESS, help=help)
        else:
            group.add_argument(
                name, metavar=metavar, type=kind, default=argparse.SUPPRESS, help=help
            )

    add("--hosts", "NAMES", "run on these only: web1,db*, web[01-18], !web3 for all but web3")
    add("--parallel", "N", f"at most N at once (default {DEFAULT_FAN_OUT})", _positive)
    add("--fail-fast", None, "begin no more hosts once one has failed")
    add("--retries", "N", "try N times again to connect; commands are never run again", _natural)
    add("--output", "MODE", "how it is shown: " + ", ".join(OUTPUTS), _output)
    add("--outdir", "DIR", "keep the whole output of each host in a file there")
    add("--processes", "N", "run in N processes, each with a part of the hosts", _positive)
    add("--executor", "NAME", "run elsewhere: dask, processes, or package.module:factory")
    if with_defaults:
        parser.set_defaults(**_DEFAULTS)


def make_options(arguments: argparse.Namespace) -> RunOptions | None:
    """Return the options that were given, None when none was.

    Raise NodeUsageError for hosts that cannot be meant.
    """
    if all(getattr(arguments, name) == default for name, default in _DEFAULTS.items()):
        return None
    from ..parallel import RunOptions
    from ..utils.folding import parse

    try:
        hosts = None if arguments.hosts is None else parse(arguments.hosts)
    except ValueError as error:
        raise NodeUsageError(f"--hosts: {error}") from error
    return RunOptions(
        fan_out=arguments.parallel,
        fail_fast=arguments.fail_fast,
        retries=arguments.retries,
        hosts=hosts,
    )


def make_presentation(
    arguments: argparse.Namespace, program: str, words: Sequence[str]
) -> Presentation:
    """Return how runs are to be shown.

    :param words: the words of the command line, for one that runs the same again.
    """

    from ..pseudo_terminal import Presentation

    options = words[: len(words) - len(arguments.words)]

    def make_rerun(hosts: str) -> str:
        import shlex

        return shlex.join([program, *_with_hosts(options, arguments.words, hosts)])

    can_rerun = arguments.command == "run" and arguments.words
    return Presentation(arguments.output, arguments.outdir, make_rerun if can_rerun else None)


def check_hosts(env: Env, options: RunOptions | None) -> None:
    """Raise NodeUsageError when some of the hosts to run on are none of the tree's."""
    if options is None or options.hosts is None:
        return
    from ..inspection import Inspector

    names = dict.fromkeys(_list_names(env))
    for wanted in options.hosts.unmatched(names):
        nearest = find_nearest(wanted.removeprefix("!"), list(names))
        advice = f"; did you mean {nearest!r}?" if nearest else ""
        raise NodeUsageError(
            f"--hosts: no host of {Inspector(env).get_full_name()} goes by {wanted!r}{advice}"
        )


def _list_names(env: Env) -> Iterator[str]:
    from ..inspection import Inspector

    for node in (env, *Inspector(env).walk()):
        for hosts in get_roles(node._node_bare).values():
            yield from (host.slug for host in hosts)
        for cell in Inspector(node).iter_isolations():
            if cell.identifier:
                yield cell.name


def _with_hosts(options: Sequence[str], action: Sequence[str], hosts: str) -> list[str]:
    """Return the words of a command line with other hosts to run on."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--hosts")
    _, kept = parser.parse_known_args(list(options))
    return [*kept, "--hosts", hosts, *action]


def _natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _output(text: str) -> str:
    if text not in OUTPUTS:
        modes = "".join(f"\n  {name:<7} {what[2]}" for name, what in OUTPUTS.items())
        raise argparse.ArgumentTypeError(
            f"there is no way to show it named {text!r}; there are{modes}"
        )
    return text


# As argparse names them in messages.
_natural.__name__ = "number from 0"
_positive.__name__ = "number from 1"
