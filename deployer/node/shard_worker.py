"""What a worker does with a shard: it imports the tree, runs the action, and reports."""

from __future__ import annotations

import contextlib
import itertools
import operator
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

from ..exceptions import DeployerException, JobStopped, NodeUsageError, NotBegun
from ..failures import describe_failure, get_place, leaf_errors
from ..loggers import LoggerInterface
from ..parallel import Job, run
from ..parallel.views.capture import CapturePty
from ..parallel.views.cells import Cell, Status
from ..pseudo_terminal import Pty
from ..secret import redact
from ..utils.string_utils import abbreviate
from .claims import claim, stopped_from_afar
from .env import Env
from .isolation import get_cell_name
from .pool_worker import ignore_interrupts, stopped_by_pool
from .shard import Codec, Report, Shard, ShardCell, find_node

__all__ = ["run_shard"]


def run_shard(shard: Shard) -> list[Report] | None:
    """Run an action in the cells of a shard, and return what became of each.

    Nobody is asked anything. Ctrl-C, where it gets here, ends what runs; so do the reports say.

    :return: None when the shard was begun before, by another worker: nothing is done then.
    """
    pty = CapturePty()
    try:
        work = _Work(shard, pty)
    except (Exception, SystemExit) as error:
        return _refuse(shard, error)
    # Not before: a worker that has not come this far may well be replaced by another one.
    if not claim(shard.id):
        return None
    reason = "Ctrl-C"
    try:
        with (
            stopped_from_afar(shard.id, pty.interrupted),
            stopped_by_pool(pty.interrupted),
            _interruptible(),
        ):
            pty.check_interrupted()
            run(pty, work.jobs, shard.options, work.title)
    except KeyboardInterrupt:
        pass
    except SystemExit as error:
        reason = f"the action asked to end the program (status {error.code})"
    except Exception as error:
        if not pty.cells:
            return _refuse(shard, error)
        reason = _describe(error)
    # Of what was not begun, there is nothing that it could be shown by.
    cells = pty.cells or [Cell(number, cell.name) for number, cell in enumerate(shard.cells)]
    return [_report(cell, work.codec, reason) for cell in cells]


class _Work:
    """A shard as jobs of this process.

    :raises Exception: whatever comes of importing the tree, and of looking for its parts.
    """

    def __init__(self, shard: Shard, pty: Pty) -> None:
        module = shard.root.load_module()
        logger = LoggerInterface()
        for make_logger in shard.loggers:
            logger.attach(make_logger())
        root = Env(shard.root.find_in(module)(), pty, logger, shard.is_sandbox, shard.options)
        script = None if shard.root.script is None else module.__name__
        self.codec = Codec(root, script)
        args, kwargs = self.codec.load(shard.arguments)
        array = root._node_env_of(find_node(root._node_bare, shard.way))
        definitions = [
            vars(base)[shard.action]
            for base in type(array._node_bare).__mro__
            if shard.action in vars(base)
        ]
        action = definitions[shard.definition].bind(array)
        self.title: str = action.full_name
        self.jobs: list[Job[Any]] = [
            action._make_job(_find_cell(root, cell), args, kwargs, shard.options)
            for cell in shard.cells
        ]


def _find_cell(root: Env, wanted: ShardCell) -> Env:
    try:
        node = find_node(root._node_bare, wanted.way)
        name = get_cell_name(node)
    except (AttributeError, LookupError):
        name = "missing"
    if name != wanted.name:
        raise NodeUsageError(
            f"{wanted.name} is {name} in the worker: the tree has to have the same hosts, in the "
            "same order, wherever its module is imported"
        )
    cell = root._node_env_of(node)
    if wanted.contexts:
        cell.hosts.set_contexts(wanted.contexts)
    return cell


def _refuse(shard: Shard, error: Exception | SystemExit) -> list[Report]:
    """Report that nothing was begun, and why."""
    origin, reason = _locate(error), _describe(error)
    summaries = [f"{cell.name}: nothing was run on it: {reason}" for cell in shard.cells]
    return [Report(True, None, summary, 0.0, origin) for summary in summaries]


def _report(cell: Cell, codec: Codec, reason: str) -> Report:
    """Report what became of a cell.

    :param reason: why there are some that nothing has become of.
    """
    result, error = None, None
    if cell.outcome is not None:
        result, error = cell.outcome.result, cell.outcome.error
    elif cell.status is Status.STOPPED:
        error = JobStopped(f"{cell.name}: stopped in its worker ({reason})")
    else:
        error = NotBegun(f"{cell.name}: not begun in its worker ({reason})")
    pieces = tuple(
        (kind.value, "".join(text for _, text in group))
        for kind, group in itertools.groupby(cell.pieces, operator.itemgetter(0))
    )
    content, summary, origin = None, "", ""
    if error is not None and cell.outcome is not None:
        summary, origin = _describe(error), _locate(next(leaf_errors(error)))
        for leaf in leaf_errors(error):
            # The traceback itself stays behind when it is pickled.
            leaf.add_note(_locate(leaf))
    # Whatever may be raised, by the methods of a class that is not ours.
    try:
        content = codec.dump(result if error is None else error, hides_secrets=error is not None)
    except Exception as problem:
        if error is None:
            summary = f"{_show(result)} ({_describe(problem)})"
    return Report(error is not None, content, summary, cell.seconds, origin, pieces)


def _locate(error: BaseException) -> str:
    """Say where an error comes from, and of a fault how; what went wrong is said by others."""
    where = f"In a worker on {socket.gethostname()}"
    if not isinstance(error, DeployerException):
        return f"{where}:\n{describe_failure(error)}"
    place = get_place(error.__traceback__)
    return f"{where}, at {place}" if place else where


def _describe(error: BaseException) -> str:
    leaf = next(leaf_errors(error))
    return f"{type(leaf).__name__}: {redact(str(leaf))}"


def _show(value: object) -> str:
    try:
        return abbreviate(redact(repr(value)))
    except Exception:
        return f"a {type(value).__name__}"


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end what runs here, where this process ignores it."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        ignore_interrupts()
