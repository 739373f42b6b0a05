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
# What dask has its workers do: Ctrl-C reaches them as well, and would end them before what they
# run. Commands that they start neither ignore nor block it.
_PASS_INTERRUPTS_BY = """\
import signal
signal.signal(signal.SIGINT, lambda *_: None)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
"""


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

    from .process_pool import ProcessPool

    executor = ProcessPool(count or os.cpu_count() or 1)
    others = multiprocessing.active_children()
    try:
        yield executor
    finally:
        executor.interrupt_tasks()
        # In a thread, as it waits for the workers; a second one would not, and Python's own end
        # would then trip over what is closed meanwhile.
        closing = threading.Thread(target=executor.shutdown, kwargs={"cancel_futures": True})
        closing.start()
        # Something may run in them that waits for no command, so that it was not stopped.
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
            preload = importlib.import_module("dask").config.get("distributed.worker.preload")
            with _blocked_interrupts():
                cluster = distributed.LocalCluster(
                    # A shard has threads of its own.
                    threads_per_worker=1,
                    # With certificates of its own: whoever may connect to it, may run anything.
                    security=True,
                    # There is a web server in any case.
                    dashboard_address="127.0.0.1:0",
                    scheduler_kwargs={"dashboard": False},
                    preload=[*preload, _PASS_INTERRUPTS_BY],
                )
                address = stack.enter_context(cluster)
        try:
            if isinstance(address, str):
                # A client that finds a fault in it would not be closed for a minute.
                distributed.comm.get_address_host_port(address)
            client = stack.enter_context(distributed.Client(address, set_as_default=False))
        except (OSError, ValueError) as error:
            raise NodeUsageError(
                f"there is no dask scheduler at {address} ($DASK_SCHEDULER_ADDRESS): {error}"
            ) from error
        yield client.get_executor(pure=False)


@contextlib.contextmanager
def _blocked_interrupts() -> Iterator[None]:
    """Let Ctrl-C wait until the end of the block.

    In threads and processes that are started meanwhile, and by those, it waits for good.
    """
    from multiprocessing import resource_tracker

    # In some versions of Python, the thread that starts it no longer blocks Ctrl-C after that.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
