"""How a parallel run is carried out: how many at once, in which batches, and until when."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .choices import DEFAULT_FAN_OUT

# Most runs have neither.
if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ..utils.folding import NamePattern

__all__ = ["RunOptions", "split_into_batches"]


@dataclass(frozen=True)
class RunOptions:
    """How parallel runs are carried out.

    :raises ValueError: for what makes no sense.
    """

    #: At most so many run at once; with an executor, in each shard.
    fan_out: int = DEFAULT_FAN_OUT
    #: Begin no more once one has failed. What runs by then is finished.
    fail_fast: bool = False
    #: Begin no more once more than so many have failed: a number, or a share like ``'10%'``. A
    #: batch is finished nevertheless.
    max_failures: int | str | None = None
    #: Sizes of batches, of which each begins when the one before it has ended: numbers, or shares
    #: of all hosts like ``'25%'``. The last holds for all that is left; ``()`` makes no batches,
    #: and None those that ``@serial`` gives the action.
    batches: tuple[int | str, ...] | None = None
    #: How often a connection that cannot be made is tried again. A command is never run again.
    retries: int = 0
    #: The hosts to run on, also as a text like ``'web[01-18],!web03'``; None for all. It holds for
    #: the hosts of plain nodes and the cells of arrays; within a cell, all hosts are there.
    hosts: NamePattern | None = None
    #: Where shards of hosts are sent to be run; None for this process.
    executor: Executor | None = None
    #: How many hosts make a shard; None for an equal share for each worker of the executor, if it
    #: is known how many those are, and for 64 at most.
    shard_size: int | None = None

    def __post_init__(self) -> None:
        if self.hosts is not None:
            from ..utils.folding import NamePattern, parse

            if isinstance(self.hosts, str):
                object.__setattr__(self, "hosts", parse(self.hosts))
            elif not isinstance(self.hosts, NamePattern):
                raise ValueError(
                    f"hosts is {self.hosts!r}; it has to be a text like 'web[01-18],db1'"
                )
        for name, least in (("fan_out", 1), ("shard_size", 1), ("retries", 0)):
            value = getattr(self, name)
            if value is None and name == "shard_size":
                continue
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{name} is {value!r}; it has to be a number from {least}")
        if self.batches is not None and not isinstance(self.batches, tuple | list):
            raise ValueError(f"batches is {self.batches!r}; it has to be a tuple like (1, '25%')")
        for size in self.batches or ():
            if _parse_number(size, "a batch") == 0:
                raise ValueError(f"{size!r} is no size for a batch: at least one host is in it")
        if self.max_failures is not None:
            _parse_number(self.max_failures, "max_failures")

    def replace(self, **changes: Any) -> RunOptions:
        """Return these options, some of them changed.

        :raises TypeError: for a name that is none of an option.
        """
        known = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                raise TypeError(f"there is no option {name!r}; there are {', '.join(known)}")
        return dataclasses.replace(self, **changes)

    def within_a_job(self) -> RunOptions:
        """Return what holds for the parallel runs that a job has in turn."""
        return dataclasses.replace(
            self, hosts=None, batches=None, max_failures=None, fail_fast=False, executor=None
        )

    def get_failure_limit(self, count: int) -> int:
        """Return how many of so many jobs may fail until no more are begun."""
        if self.fail_fast:
            return 0
        if self.max_failures is None:
            return count
        return _share(_parse_number(self.max_failures, "max_failures"), count)


def split_into_batches(count: int, sizes: Sequence[int | str] | None) -> Iterator[range]:
    """Give the numbers of jobs that make each batch; see ``RunOptions.batches``."""
    begin = 0
    for number in range(count):
        if begin == count:
            return
        wanted = _parse_number(sizes[min(number, len(sizes) - 1)], "a batch") if sizes else count
        end = min(count, begin + max(1, _share(wanted, count)))
        yield range(begin, end)
        begin = end


def _share(number: int | float, count: int) -> int:
    return number if isinstance(number, int) else int(number * count)


def _parse_number(value: int | str, what: str) -> int | float:
    """Return a number of hosts, or a share of them as a float."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and value.endswith("%"):
        try:
            share = float(value[:-1])
        except ValueError:
            share = -1.0
        if 0 <= share <= 100:
            return share / 100
    raise ValueError(f"{what} is {value!r}; it has to be a number, or a share like '25%'")
