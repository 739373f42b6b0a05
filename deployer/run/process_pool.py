"""A pool of processes that can be told to stop, and gets new ones when one was lost."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from ..node.pool_worker import begin_worker, run_task

__all__ = ["ProcessPool"]


class ProcessPool(Executor):
    """Runs what it is given in processes of its own, which are begun as they are needed."""

    def __init__(self, count: int) -> None:
        # By the name that the executors of Python have it under.
        self._max_workers = count
        # Not forked: a copy of this process would have its locks, but not the threads that hold
        # them, and would write to the same connections.
        self._context = multiprocessing.get_context("spawn")
        # Without a lock, which a process could take with it when it is killed.
        self._stops = self._context.RawValue("L", 0)
        self._pool = self._open()

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a process call a function."""
        with self._interrupts_held():
            try:
                return self._submit(function, *args, **kwargs)
            except BrokenProcessPool:
                # A process was lost, which has ended the others.
                self._pool = self._open()
                return self._submit(function, *args, **kwargs)

    def interrupt_tasks(self) -> None:
        """Tell what was given to it so far to stop, as Ctrl-C would; what comes later is run."""
        self._stops.value += 1

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take nothing more, and let the processes end."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)

    def _open(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._max_workers, self._context, begin_worker, initargs=(self._stops,)
        )

    def _submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        return self._pool.submit(run_task, self._stops.value, *args, **kwargs)

    @contextlib.contextmanager
    def _interrupts_held(self) -> Iterator[None]:
        """Let Ctrl-C wait for the end of the block.

        Processes that begin in it are begun with SIGINT held back, until they are ready for it.
        """
        came = threading.Event()
        is_main = threading.current_thread() is threading.main_thread()
        handler = signal.getsignal(signal.SIGINT) if is_main else None
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        if handler is not None:
            # Another thread may be given the signal, and this one would act on it.
            signal.signal(signal.SIGINT, lambda *_: came.set())
        try:
            yield
        finally:
            # What was held back comes with this.
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            if handler is not None:
                signal.signal(signal.SIGINT, handler)
            if came.is_set():
                # Nobody will ask for what was submitted here.
                self.interrupt_tasks()
                signal.raise_signal(signal.SIGINT)
