"""Cutting the cells of an array into shards."""

from __future__ import annotations

import inspect
import math
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..exceptions import NodeUsageError
from ..host import HostContext
from ..loggers.default import describe_error
from ..parallel import DEFAULT_FAN_OUT, RunOptions
from ..parallel.options import split_into_batches
from .isolation import get_cell_name
from .root_class import RootClass
from .shard import Codec, Shard, ShardCell, get_root, get_way

if TYPE_CHECKING:
    from .action import EnvAction
    from .env import Env

__all__ = ["Part", "make_codec", "make_shards"]


@dataclass(frozen=True)
class Part:
    """A shard, and the numbers of its cells."""

    shard: Shard
    numbers: range


def make_shards(
    action: EnvAction,
    cells: Sequence[Env],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: RunOptions,
) -> list[list[Part]]:
    """Return the shards of each batch.

    :raises NodeUsageError: when the tree cannot be imported elsewhere, or an argument cannot be
        sent.
    """
    root = RootClass.locate(type(get_root(action.node)))
    way = get_way(action.node)
    definition = _find_definition(action)
    arguments = _dump_arguments(action, args, kwargs)
    inner = options.within_a_job()
    loggers = action.env._node_logger.make_remote()

    run = uuid.uuid4().hex

    def make(numbers: range) -> Part:
        shard = Shard(
            f"{run}/{numbers.start}",
            root,
            way,
            action.name,
            definition,
            arguments,
            tuple(_describe_cell(action, cells[number], inner) for number in numbers),
            action.env._node_is_sandbox,
            inner,
            loggers,
        )
        return Part(shard, numbers)

    return [
        [make(numbers) for numbers in _split(batch, options)]
        for batch in split_into_batches(len(cells), options.batches)
    ]


def make_codec(action: EnvAction) -> Codec:
    """Return what pickles and reads the values of a run in this process."""
    root = get_root(action.node)
    script = "__main__" if type(root).__module__ == "__main__" else None
    return Codec(action.env._node_env_of(root), script)


def _split(numbers: range, options: RunOptions) -> Iterator[range]:
    size = options.shard_size
    if size is None:
        # Its name in all executors of Python; others do not say how many they have.
        workers = getattr(options.executor, "_max_workers", 1)
        size = min(DEFAULT_FAN_OUT, math.ceil(len(numbers) / workers))
    for begin in range(0, len(numbers), size):
        yield numbers[begin : begin + size]


def _find_definition(action: EnvAction) -> int:
    """Return how often the action is overridden; what was called may be that of a base class."""
    definitions = [
        vars(base)[action.name] for base in type(action.node).__mro__ if action.name in vars(base)
    ]
    for number, definition in enumerate(definitions):
        if getattr(definition, "value", None) is action.action.function:
            return number
    raise NodeUsageError(
        f"{action.full_name}() cannot be run by an executor: "
        f"{type(action.node).__qualname__} has no action of this name with this function"
    )


def _dump_arguments(action: EnvAction, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bytes:
    codec = make_codec(action)
    try:
        return codec.dump((tuple(args), dict(kwargs)))
    except Exception as error:
        # The first of them is self.
        names = list(inspect.signature(action.action.function).parameters)[1:]
        named = [
            (names[number] if number < len(names) else f"number {number + 1}", value)
            for number, value in enumerate(args)
        ]
        for name, value in [*named, *kwargs.items()]:
            try:
                codec.dump(value)
            except Exception as problem:
                raise NodeUsageError(
                    f"{action.full_name}(): the argument {name}, of the type "
                    f"{type(value).__name__}, cannot be sent to another process "
                    f"({describe_error(problem)}); pass something plain, such as a text"
                ) from problem
        raise NodeUsageError(f"{action.full_name}(): {describe_error(error)}") from error


def _describe_cell(action: EnvAction, cell: Env, inner: RunOptions) -> ShardCell:
    name, way = get_cell_name(cell._node_bare), get_way(cell._node_bare)
    entered = [env._node_hosts for env in (action.env, cell) if env._node_hosts is not None]
    if not entered:
        return ShardCell(name, way)
    # As for a local run: what was entered on the hosts of the array, or of the cell.
    own = type(cell)(cell._node_bare, options=inner)
    for hosts in entered:
        own.hosts.take_contexts(hosts)
    contexts = own.hosts.get_contexts()
    return ShardCell(name, way, contexts if set(contexts) - {HostContext()} else ())
