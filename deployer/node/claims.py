"""Whether a shard was begun: so that it is begun once, and so that one can be sure that it is not.

What runs on dask may be run again: when a worker dies, its tasks are given to others. So the
scheduler keeps, for each shard, who asked to begin it, in the order in which they came; the first
one does, and no other.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from distributed import Client, Worker

__all__ = ["claim", "withdraw"]

# Seconds in which the scheduler has to answer.
_TIMEOUT = 30


def claim(shard: str) -> bool:
    """Return whether the worker that this runs in may begin a shard; False when one has before.

    :raises OSError: when the scheduler does not say so in time.
    """
    if "distributed" not in sys.modules:
        return True
    from distributed import get_worker

    try:
        worker = get_worker()
    except ValueError:
        # This runs in something else, of a program that uses dask, too.
        return True
    return _is_first(worker, shard)


def withdraw(executor: Executor, future: Future[Any], shard: str) -> bool:
    """Keep a shard from being begun; return whether that is certain, and not too late."""
    if "distributed" not in sys.modules:
        return future.cancel()
    from distributed.cfexecutor import ClientExecutor

    if not isinstance(executor, ClientExecutor):
        return future.cancel()
    # Its futures say that they are cancelled also when a worker has begun; and it has no public
    # name for its client.
    client = getattr(executor, "_client", None)
    try:
        if client is None or not _is_first(client, shard):
            return False
    except OSError:
        return False
    future.cancel()
    return True


def _is_first(asking: Client | Worker, shard: str) -> bool:
    """Ask the scheduler, from a client or a worker, to be the one that a shard is left to."""
    from distributed.utils import sync

    def ask(function: Callable[..., Any], **arguments: object) -> Any:
        return sync(cast(Any, asking.loop), function, callback_timeout=_TIMEOUT, **arguments)

    scheduler: Any = asking.scheduler
    token = uuid.uuid4().hex
    place = ["deployer", shard]
    # The scheduler does one thing at a time, and keeps a dict in the order of its making.
    ask(scheduler.set_metadata, keys=[*place, token], value=True)
    tokens = ask(scheduler.get_metadata, keys=place)
    return bool(next(iter(tokens)) == token)
