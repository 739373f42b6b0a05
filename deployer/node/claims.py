"""Whether a shard was begun, and whether it is to stop: agreed on with workers that are elsewhere.

What runs on dask may be run again: when a worker dies, its tasks are given to others. So the
scheduler keeps, for each shard, who asked to begin it, in the order in which they came; the first
one does, and no other. It also keeps which runs are to stop, which their workers look at.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Client, Worker

__all__ = ["claim", "stop", "stopped_from_afar", "withdraw"]

# Seconds in which the scheduler has to answer whoever waits for the end of a run.
_TIMEOUT = 5
# Seconds between two looks of a worker whether what it runs is to stop.
_LOOK = 1.0
# Where the scheduler keeps who wanted to begin a shard, and whether a run is to stop.
_CLAIMS = "deployer"
_STOPPED = "deployer-stopped"


def claim(shard: str) -> bool:
    """Return whether the worker that this runs in may begin a shard; False when one has before.

    :raises OSError: when the scheduler is lost.
    """
    worker = _get_worker()
    # However long it takes: it alone knows whether another worker has begun, and a result would
    # have to wait for it as well.
    return worker is None or _is_first(worker, shard, None)


def withdraw(executor: Executor, future: Future[Any], shard: str) -> bool:
    """Keep a shard from being begun; return whether that is certain, and not too late.

    :raises OSError: when the scheduler does not say so in time.
    """
    if not _is_dask(executor):
        return future.cancel()
    client = _get_client(executor)
    # Its futures say that they are cancelled also when a worker has begun.
    if client is None or not _is_first(client, shard, _TIMEOUT):
        return False
    future.cancel()
    return True


def stop(executor: Executor, shard: str) -> None:
    """Have workers end the shards of the same run, as Ctrl-C would there; in vain where none looks.

    :raises OSError: when the scheduler does not answer in time.
    """
    if _is_dask(executor) and (client := _get_client(executor)) is not None:
        scheduler: Any = client.scheduler
        place = [_STOPPED, _get_run(shard)]
        # A single request for all of them: a second Ctrl-C may follow.
        _ask(client, _TIMEOUT, scheduler.set_metadata, keys=place, value=True)
    # Our own pool of processes.
    elif (interrupt_tasks := getattr(executor, "interrupt_tasks", None)) is not None:
        interrupt_tasks()


@contextlib.contextmanager
def stopped_from_afar(shard: str, stopped: threading.Event) -> Iterator[None]:
    """Set an event when whoever has sent the shard that runs in the block wants it to stop."""
    if (worker := _get_worker()) is None:
        yield
        return
    import asyncio

    from distributed.core import Status

    scheduler: Any = worker.scheduler
    place = [_STOPPED, _get_run(shard)]

    async def look() -> None:
        try:
            while worker.status not in (Status.closing, Status.closed, Status.failed):
                # It may answer the next time.
                with contextlib.suppress(OSError):
                    if await scheduler.get_metadata(keys=place, default=False):
                        break
                await asyncio.sleep(_LOOK)
        finally:
            # Also when the worker ends: what runs would go on without it.
            stopped.set()

    # At once, as this may have been begun only after that was said.
    with contextlib.suppress(OSError):
        if _ask(worker, None, scheduler.get_metadata, keys=place, default=False):
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


def _get_run(shard: str) -> str:
    return shard.partition("/")[0]


def _is_first(asking: Client | Worker, shard: str, timeout: float | None) -> bool:
    """Ask the scheduler, from a client or a worker, to be the one that a shard is left to."""
    scheduler: Any = asking.scheduler
    token = uuid.uuid4().hex
    place = [_CLAIMS, shard]
    # The scheduler does one thing at a time, and keeps a dict in the order of its making.
    _ask(asking, timeout, scheduler.set_metadata, keys=[*place, token], value=True)
    tokens = _ask(asking, timeout, scheduler.get_metadata, keys=place)
    return bool(next(iter(tokens)) == token)


def _ask(
    asking: Client | Worker,
    timeout: float | None,
    function: Callable[..., Coroutine[Any, Any, Any]],
    **arguments: object,
) -> Any:
    import asyncio

    loop: Any = asking.loop
    # A Ctrl-C that comes meanwhile does not cancel it.
    answer = asyncio.run_coroutine_threadsafe(function(**arguments), loop.asyncio_loop)
    return answer.result(timeout)
