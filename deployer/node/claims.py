"""Whether a shard was begun, and whether it is to stop: agreed on with workers that are elsewhere.

What runs on dask may be run again: when a worker dies, its tasks are given to others. So the
scheduler keeps, for each shard, who asked to begin it, in the order in which they came; the first
one does, and no other. It also keeps which ones are to stop, which their workers look at.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from distributed import Client, Worker

__all__ = ["claim", "stop", "stopped_from_afar", "withdraw"]

# Seconds in which the scheduler has to answer.
_TIMEOUT = 30
# Seconds between two looks of a worker whether what it runs is to stop.
_LOOK = 1.0
# Where the scheduler keeps, of each shard, who wanted to begin it, and whether it is to stop.
_CLAIMS = "deployer"
_STOPPED = "deployer-stopped"


def claim(shard: str) -> bool:
    """Return whether the worker that this runs in may begin a shard; False when one has before.

    :raises OSError: when the scheduler does not say so in time.
    """
    worker = _get_worker()
    return worker is None or _is_first(worker, shard)


def withdraw(executor: Executor, future: Future[Any], shard: str) -> bool:
    """Keep a shard from being begun; return whether that is certain, and not too late."""
    if not _is_dask(executor):
        return future.cancel()
    client = _get_client(executor)
    try:
        # Its futures say that they are cancelled also when a worker has begun.
        if client is None or not _is_first(client, shard):
            return False
    except OSError:
        return False
    future.cancel()
    return True


def stop(executor: Executor, shard: str) -> None:
    """Have the worker that runs a shard end it, as Ctrl-C would there; in vain where none looks."""
    if _is_dask(executor) and (client := _get_client(executor)) is not None:
        scheduler: Any = client.scheduler
        with contextlib.suppress(OSError):
            _ask(client, scheduler.set_metadata, keys=[_STOPPED, shard], value=True)


@contextlib.contextmanager
def stopped_from_afar(shard: str, stopped: threading.Event) -> Iterator[None]:
    """Set an event when whoever has sent the shard that runs in the block wants it to stop."""
    if (worker := _get_worker()) is None:
        yield
        return
    import asyncio

    async def look() -> None:
        scheduler: Any = worker.scheduler
        while not await scheduler.get_metadata(keys=[_STOPPED, shard], default=False):
            await asyncio.sleep(_LOOK)
        stopped.set()

    loop: Any = worker.loop
    looking = asyncio.run_coroutine_threadsafe(look(), loop.asyncio_loop)
    try:
        yield
    finally:
        looking.cancel()


def _get_worker() -> Worker | None:
    """Return the worker of dask that this thread runs a task of, if it does."""
    if "distributed" not in sys.modules:
        return None
    from distributed import get_worker

    try:
        return get_worker()
    except ValueError:
        # This runs in something else, of a program that uses dask, too.
        return None


def _is_dask(executor: Executor) -> bool:
    if "distributed" not in sys.modules:
        return False
    from distributed.cfexecutor import ClientExecutor

    return isinstance(executor, ClientExecutor)


def _get_client(executor: Executor) -> Client | None:
    # It has no public name.
    return getattr(executor, "_client", None)


def _is_first(asking: Client | Worker, shard: str) -> bool:
    """Ask the scheduler, from a client or a worker, to be the one that a shard is left to."""
    scheduler: Any = asking.scheduler
    token = uuid.uuid4().hex
    place = [_CLAIMS, shard]
    # The scheduler does one thing at a time, and keeps a dict in the order of its making.
    _ask(asking, scheduler.set_metadata, keys=[*place, token], value=True)
    tokens = _ask(asking, scheduler.get_metadata, keys=place)
    return bool(next(iter(tokens)) == token)


def _ask(asking: Client | Worker, function: Callable[..., Any], **arguments: object) -> Any:
    from distributed.utils import sync

    return sync(cast(Any, asking.loop), function, callback_timeout=_TIMEOUT, **arguments)
