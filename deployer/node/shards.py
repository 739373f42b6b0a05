"""An action that is run in shards, by an executor: from this process's side."""

from __future__ import annotations

import contextlib
import importlib
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial
from typing import TYPE_CHECKING, Any

from .. import printing
from ..exceptions import DeployerException, JobStopped, NodeUsageError, NotBegun, WorkerLost
from ..loggers.default import describe_error
from ..parallel import Interrupted, Outcome, RunOptions
from ..parallel.views import show
from ..parallel.views.cells import Kind
from ..pseudo_terminal import Pty
from ..streams import write_text
from .claims import stop, withdraw
from .isolation import get_cell_name
from .shard import Report
from .sharding import Part, make_codec, make_shards

if TYPE_CHECKING:
    from .action import EnvAction
    from .env import Env

__all__ = ["run_in_shards"]

# How often it is looked whether this has to stop, in seconds.
_LOOK = 0.25
# How long workers that Ctrl-C has reached, too, get to report what they had done: more than they
# give their jobs.
_TIME_TO_STOP = 8.0

Functions = Sequence[Callable[[], Outcome[Any]]]


def run_in_shards(
    action: EnvAction,
    cells: Sequence[Env],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: RunOptions,
) -> list[Outcome[Any]]:
    """Run an action in cells of its array, by the executor of the options; return the outcomes.

    They are shown as those of a local run, as soon as the shard of a cell is done. No shard is
    sent twice, whatever happens.

    :raises NodeUsageError: when the tree cannot be imported elsewhere, or an argument cannot be
        sent. Nothing was run then.
    :raises Interrupted: after Ctrl-C. Shards that were not begun are withdrawn; what runs in a
        worker that is not told of it goes on.
    """
    if not cells:
        return []
    run = _Run(action, cells, make_shards(action, cells, args, kwargs, options), options)
    return action.env._node_pty.run_in_auxiliary_ptys(
        [(name, partial(run.deliver, number)) for number, name in enumerate(run.names)],
        run.run_in_order,
        lambda pty, jobs, _: show(pty, jobs, run.run, action.full_name),
    )


class _Run:
    """The shards of a run: sent, waited for, and shown."""

    def __init__(
        self,
        action: EnvAction,
        cells: Sequence[Env],
        batches: Sequence[Sequence[Part]],
        options: RunOptions,
    ) -> None:
        assert options.executor is not None
        self.names = [get_cell_name(cell._node_bare) for cell in cells]
        self._title = action.full_name
        self._pty = action.env._node_pty
        self._codec = make_codec(action)
        self._executor = options.executor
        self._batches = batches
        self._limit = options.get_failure_limit(len(cells))
        # With more shards than workers, a pool of processes would give them some that can no
        # longer be withdrawn, and would report those as lost that it had only queued. That of
        # dask has no such number; there, whoever begins a shard says so first.
        self._most_at_once = getattr(self._executor, "_max_workers", sys.maxsize)
        self._waiting: deque[Part] = deque()
        self._pending: dict[Future[list[Report] | None], Part] = {}
        self._outcomes: dict[int, Outcome[Any]] = {}
        self._reports: dict[int, Report] = {}
        self._is_withdrawn = False
        #: Why the executor takes nothing, if it does not.
        self._refusal = ""
        self._is_interrupted = False

    def run(self, functions: Functions) -> list[Outcome[Any]]:
        """Send the shards; call the function of each cell as soon as that is done, to show it."""
        outcomes: dict[int, Outcome[Any]] = {}

        def show_new() -> None:
            for number in [number for number in self._outcomes if number not in outcomes]:
                # As it is, until it has been shown: that may be interrupted.
                outcomes[number] = self._outcomes[number]
                outcomes[number] = functions[number]()

        try:
            for batch in self._batches:
                self._waiting.extend(batch)
                while self._waiting or self._pending:
                    self._submit()
                    self._pty.check_interrupted()
                    self._receive()
                    show_new()
                    if self._failed > self._limit:
                        self._withdraw()
                if self._is_withdrawn:
                    break
        except BaseException as error:
            self._stop()
            show_new()
            if isinstance(error, KeyboardInterrupt):
                raise self._sum_up() from None
            raise
        finally:
            self._leave_out()
        return [outcomes.get(number) or self._outcomes[number] for number in range(len(functions))]

    def run_in_order(self, functions: Functions) -> list[Outcome[Any]]:
        """Send the shards, and call the functions when all are done, in their order."""
        try:
            self.run([partial(self._outcomes.__getitem__, n) for n in range(len(functions))])
        finally:
            outcomes = [function() for function in functions]
        return outcomes

    def deliver(self, number: int, pty: Pty) -> Outcome[Any]:
        """Write what a cell has written to a terminal, and return what became of it."""
        if number not in self._outcomes:
            # A single job is begun by whoever shows it.
            return self.run([partial(self.deliver, number, pty)])[0]
        streams = (pty.stdout, pty.stderr, printing.get_log_stream())
        by_kind = dict(zip(Kind, streams, strict=True))
        if (report := self._reports.pop(number, None)) is not None:
            for kind, text in report.pieces:
                write_text(by_kind[Kind(kind)], text)
        return self._outcomes[number]

    @property
    def _failed(self) -> int:
        return sum(outcome.error is not None for outcome in self._outcomes.values())

    def _submit(self) -> None:
        """Send as many shards as there are workers."""
        # By its name: it is made of Env, which is made of actions, which import this.
        run_shard = importlib.import_module(f"{__package__}.shard_worker").run_shard
        while self._waiting and len(self._pending) < self._most_at_once:
            self._pty.check_interrupted()
            part = self._waiting.popleft()
            try:
                self._pending[self._executor.submit(run_shard, part.shard)] = part
            except Exception as error:
                self._refusal = f"the executor takes nothing ({describe_error(error)})"
                self._withdraw()
                if not self._failed:
                    # Or it would look like a success.
                    number = part.numbers[0]
                    name = self.names[number]
                    problem = DeployerException(f"{name}: nothing was run on it: {self._refusal}")
                    self._outcomes[number] = Outcome(name, error=problem)

    def _receive(self, timeout: float = _LOOK) -> None:
        """Take what comes back within some time."""
        done = wait(self._pending, timeout, FIRST_COMPLETED).done
        for future in [future for future in self._pending if future in done]:
            part = self._pending[future]
            lost = ""
            if future.cancelled():
                lost = "its work was cancelled; its scheduler may be gone, too"
            elif (error := future.exception()) is not None:
                lost = describe_error(error)
            elif (reports := future.result()) is None:
                lost = "what it had begun was given to a second one, which did not"
            else:
                self._take(part, reports)
            if lost:
                self._conclude(
                    part,
                    # Ctrl-C may well have ended the worker as well.
                    JobStopped if self._is_interrupted else WorkerLost,
                    f"the worker that ran {self._title}() on it is gone ({lost}): whether it took "
                    "place there is unknown; look before you run it again",
                )
            # Last: a part that Ctrl-C comes into is taken once more.
            del self._pending[future]

    def _take(self, part: Part, reports: Sequence[Report]) -> None:
        for number, report in zip(part.numbers, reports, strict=True):
            name = self.names[number]
            result, error = self._read(name, report)
            if isinstance(error, NotBegun) and not self._is_interrupted:
                # Ctrl-C has reached the worker only, and nothing here left it out.
                error = JobStopped(str(error))
            self._reports[number] = report
            self._outcomes[number] = Outcome(name, result, error, report.duration)

    def _read(self, name: str, report: Report) -> tuple[Any, Exception | None]:
        """Return the result or the error of a report."""
        what = report.summary
        if report.content is not None:
            # Whatever may be raised, by the methods of a class that is not ours.
            try:
                value = self._codec.load(report.content)
            except Exception as problem:
                what = what or describe_error(problem)
            else:
                return (None, value) if report.failed else (value, None)
        if report.failed:
            error = DeployerException(f"{name}: {what.removeprefix(f'{name}: ')}")
            error.add_note(report.origin)
            return None, error
        return None, NodeUsageError(
            f"{name}: it was run, but what it returned cannot be sent to another process: {what}; "
            "return something plain, such as a text or a number"
        )

    def _conclude(self, part: Part, kind: type[DeployerException], why: str) -> None:
        for number in part.numbers:
            name = self.names[number]
            self._outcomes[number] = Outcome(name, error=kind(f"{name}: {why}"))

    def _withdraw(self) -> None:
        """Keep what was not begun from being begun; only the first call does something."""
        if self._is_withdrawn:
            return
        self._is_withdrawn = True
        self._waiting.clear()
        # What does not answer for one does not do so for the others.
        with contextlib.suppress(OSError):
            for future, part in list(self._pending.items()):
                if withdraw(self._executor, future, part.shard.id):
                    del self._pending[future]

    def _stop(self) -> None:
        self._is_interrupted = True
        try:
            # First, as it is quick: a second Ctrl-C may follow.
            for part in list(self._pending.values())[:1]:
                stop(self._executor, part.shard.id)
            self._withdraw()
            deadline = time.monotonic() + _TIME_TO_STOP
            while self._pending and time.monotonic() < deadline:
                self._receive()
        except (KeyboardInterrupt, OSError):
            # Once more, or there is no answer: they are not waited for.
            pass
        for part in self._pending.values():
            why = f"its worker did not stop, so that {self._title}() may go on there"
            self._conclude(part, JobStopped, why)
        self._pending.clear()

    def _leave_out(self) -> None:
        failed = f"{self._failed} had failed" if self._failed > 1 else "another one had failed"
        why = self._refusal or failed
        for number, name in enumerate(self.names):
            if number not in self._outcomes:
                error = NotBegun(f"{name}: not begun, since {why}")
                self._outcomes[number] = Outcome(name, error=error)

    def _sum_up(self) -> Interrupted:
        ended: list[Outcome[Any]] = []
        names: dict[type[Exception], list[str]] = {JobStopped: [], NotBegun: []}
        for number, name in enumerate(self.names):
            outcome = self._outcomes.get(number)
            kind = NotBegun if outcome is None else type(outcome.error)
            if kind in names:
                names[kind].append(name)
            elif outcome is not None:
                ended.append(outcome)
        return Interrupted(ended, names[JobStopped], names[NotBegun])
