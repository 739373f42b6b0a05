"""Executors by name: what runs shards of hosts elsewhere than in this process."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Any

from ..exceptions import NodeUsageError

__all__ = ["open_executor"]

_NAMES = "processes, dask, or package.module:factory"


@contextlib.contextmanager
def open_executor(name: str | None, processes: int | None) -> Iterator[Executor | None]:
    """Give an executor for the length of the ``with`` block; None when there is nothing asked for.

    :param name: ``processes``; ``dask``, for the scheduler at ``$DASK_SCHEDULER_ADDRESS``, or a
        cluster on this machine where that is not set; or ``package.module:factory``, which is
        called without arguments, and returns an executor or a context manager that gives one.
    :param processes: how many processes there are; without it, as many as cores.
    :raises ValueError: for what is none of these.
    :raises NodeUsageError: when what is named cannot be had.
    """
    if processes is not None and name not in (None, "processes"):
        raise ValueError(f"processes are for the executor 'processes', and not for {name!r}")
    if processes is not None and processes < 1:
        raise ValueError(f"{processes} processes cannot run anything; give at least 1")
    if name == "processes" or processes is not None:
        with _open_processes(processes) as executor:
            yield executor
    elif name == "dask":
        with _open_dask() as executor:
            yield executor
    elif name is not None:
        with _open_named(name) as executor:
            yield executor
    else:
        yield None


@contextlib.contextmanager
def _open_processes(count: int | None) -> Iterator[Executor]:
    # Imported here, as it takes its time.
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    from ..node.shard_worker import ignore_interrupts

    executor = ProcessPoolExecutor(
        count or os.cpu_count(),
        # Not forked: a copy of this process would have its locks, but not the threads that hold
        # them, and would write to the same connections.
        multiprocessing.get_context("spawn"),
        initializer=ignore_interrupts,
    )
    others = multiprocessing.active_children()
    try:
        yield executor
    finally:
        # In a thread, as it waits for the workers; a second one would not, and Python's own end
        # would then trip over what is closed meanwhile.
        closing = threading.Thread(target=executor.shutdown, kwargs={"cancel_futures": True})
        closing.start()
        # Something runs in them when only this process was interrupted: it ends its commands.
        for worker in multiprocessing.active_children():
            if worker not in others and worker.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.pid, signal.SIGINT)
        closing.join()


@contextlib.contextmanager
def _open_dask() -> Iterator[Executor]:
    try:
        # It has types, but not for these.
        distributed: Any = importlib.import_module("distributed")
    except ImportError as error:
        raise NodeUsageError(
            "the executor dask needs a package that is not installed: pip install 'deployer[dask]'"
        ) from error

    with contextlib.ExitStack() as stack:
        address: Any = os.environ.get("DASK_SCHEDULER_ADDRESS")
        if not address:
            cluster = distributed.LocalCluster(
                # A shard has threads of its own.
                threads_per_worker=1,
                # With certificates of its own: whoever may connect to it, may run anything.
                security=True,
                # There is a web server in any case.
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
            )
            address = stack.enter_context(cluster)
        try:
            client = stack.enter_context(distributed.Client(address, set_as_default=False))
        except (OSError, ValueError) as error:
            raise NodeUsageError(
                f"there is no dask scheduler at {address} ($DASK_SCHEDULER_ADDRESS): {error}"
            ) from error
        yield client.get_executor(pure=False)


@contextlib.contextmanager
def _open_named(name: str) -> Iterator[Executor]:
    module, colon, factory = name.partition(":")
    if not (module and colon and factory):
        raise ValueError(f"there is no executor {name!r}; there are {_NAMES}")
    try:
        found = getattr(importlib.import_module(module), factory)
    except (ImportError, AttributeError) as error:
        raise NodeUsageError(f"the executor {name} cannot be imported: {error}") from error
    made = found()
    with contextlib.ExitStack() as stack:
        if isinstance(made, contextlib.AbstractContextManager):
            made = stack.enter_context(made)
        if not isinstance(made, Executor):
            raise NodeUsageError(
                f"{name}() has to return an Executor of concurrent.futures, or a context manager "
                f"that gives one, and returned {made!r}"
            )
        yield made
