"""Actions that an executor runs in shards: the same results, wherever they were run."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

import shard_tree
import waiting
from deployer import exceptions
from deployer.exceptions import (
    ActionException,
    CommandTimeout,
    ConnectionLost,
    DeployerException,
    ExecCommandFailed,
    JobStopped,
    LockHeld,
    NodeUsageError,
    NoInput,
    ParallelActionException,
    ParallelExecCommandFailed,
    QueryException,
    RemoteFileError,
    WorkerLost,
)
from deployer.failures import describe_failure
from deployer.host.result import RunResult
from deployer.loggers import DefaultLogger, LoggerInterface
from deployer.node import Env, ParallelNode, shards
from deployer.node.root_class import RootClass
from deployer.parallel import Interrupted, RunOptions
from deployer.pseudo_terminal import DummyPty, Presentation
from deployer.run.executors import open_executor
from deployer.run.process_pool import ProcessPool
from deployer.run.terminal import OneAtATimePty
from our_hosts import LocalHost1, LocalHost2
from shard_tree import Site, Version, begun
from terminals import ROOT, TIMEOUT, person, run_in_terminal, run_script

pytestmark = pytest.mark.machine

# Python 3.12 warns of forking a process that has threads, as that of the tests has.
FORKING = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


class RecordingExecutor(ThreadPoolExecutor):
    """Remembers the shards that it was given, in order."""

    def __init__(self, workers: int = 2) -> None:
        super().__init__(workers)
        self.shards: list[list[str]] = []

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.shards.append([cell.name for cell in args[0].cells])
        return super().submit(function, *args, **kwargs)


class FreshProcess(Executor):
    """Runs each shard in a Python of its own, which has another script and other modules."""

    program = "import pickle, sys; f, a = pickle.load(sys.stdin.buffer); r = f(*a); "
    program += "pickle.dump(r, sys.stdout.buffer)"

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        ended = subprocess.run(
            [sys.executable, "-c", self.program],
            input=pickle.dumps((function, args)),
            capture_output=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
        )
        future.set_result(pickle.loads(ended.stdout))
        return future


@pytest.fixture
def threads() -> Iterator[RecordingExecutor]:
    with RecordingExecutor() as executor:
        yield executor


@pytest.fixture(scope="module")
def spawned() -> Iterator[Executor]:
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as executor:
        yield executor


@pytest.fixture
def pty() -> DummyPty:
    return DummyPty()


def site(executor: Executor, pty: DummyPty | None = None, **options: Any) -> Any:
    """The tree, of which each shard has two hosts."""
    return Env(Site(), pty, options=RunOptions(executor=executor, shard_size=2, **options))


def failures_of(caught: pytest.ExceptionInfo[ParallelActionException]) -> dict[str, BaseException]:
    return caught.value.named_failures


# Where it is run


@pytest.mark.parametrize(
    "kind", ["threads", "spawned", pytest.param("forked", marks=FORKING), "fresh"]
)
def test_results_come_in_the_order_of_the_cells(kind: str, request: pytest.FixtureRequest) -> None:
    match kind:
        case "forked":
            executor: Executor = ProcessPoolExecutor(2, multiprocessing.get_context("fork"))
        case "fresh":
            executor = FreshProcess()
        case _:
            executor = request.getfixturevalue(kind)
    farm = site(executor).farm

    assert list(farm.greet("Hi", end="!")) == ["Hi one!", "Hi two!", "Hi three!", "Hi four!"]
    assert [cell.host.slug for cell in farm.tell().succeeded] == ["one", "two", "three", "four"]
    if kind == "forked":
        executor.shutdown()


def test_processes_are_others(spawned: Executor) -> None:
    found = set(Env(Site()).farm.get_process.with_options(executor=spawned, shard_size=1)())
    assert os.getpid() not in found


def test_a_shard_has_as_many_hosts_as_asked_for(threads: RecordingExecutor) -> None:
    Env(Site()).farm.tell.with_options(executor=threads, shard_size=3)()
    assert threads.shards == [["one", "two", "three"], ["four"]]


def test_without_a_size_each_worker_has_its_share() -> None:
    for workers, sizes in [(2, [2, 2]), (3, [2, 2]), (4, [1, 1, 1, 1]), (1, [4])]:
        with RecordingExecutor(workers) as executor:
            Env(Site(), options=RunOptions(executor=executor)).farm.tell()
        assert [len(shard) for shard in executor.shards] == sizes


def test_of_the_hosts_only_those_that_are_wanted_are_sent(threads: RecordingExecutor) -> None:
    assert list(site(threads, hosts="one,four").farm.tell()) == ["one", "four"]
    assert threads.shards == [["one", "four"]]


def test_an_action_may_use_the_executor_that_it_was_called_with(
    threads: RecordingExecutor,
) -> None:
    assert site(threads).greet_all()[0] == "Hello one"
    assert threads.shards == [["one", "two"], ["three", "four"]]


def test_where_there_are_no_cells_nothing_is_sent(threads: RecordingExecutor) -> None:
    assert list(site(threads, hosts="elsewhere").farm.tell()) == []
    assert threads.shards == []


# What is run


def test_an_action_has_its_other_names(spawned: Executor) -> None:
    found = getattr(site(spawned).farm, "as well")("Hey")
    assert list(found) == ["Hey one", "Hey two", "Hey three", "Hey four"]


def test_an_action_of_a_base_class_is_meant_where_that_is_called(spawned: Executor) -> None:
    assert site(spawned).farm.tell_of_base()[0] == "the base's one"


def test_the_cells_of_arrays_in_arrays_are_found(spawned: Executor) -> None:
    env = site(spawned)
    assert list(env.farm.per_db.tell())[:3] == ["one-four", "one-five", "two-four"]
    assert list(env.farm[2].per_db.tell()) == ["three-four", "three-five"]
    assert list(env.farm.app.tell())[3] == "Env(Site.farm[3].app) on four"
    assert list(env.farm.per_host.tell())[1] == "Env(Site.farm[1].per_host) on two"


def test_the_results_of_an_array_in_a_cell_are_by_cell(spawned: Executor) -> None:
    env = site(spawned)
    found = env.farm.tell_of_dbs()
    inner = found[env.farm[1]]
    assert dict(inner.items()) == {
        env.farm[1].per_db[0]: "two-four",
        env.farm[1].per_db[1]: "two-five",
    }


def test_another_tree_of_the_same_process_may_be_used(spawned: Executor) -> None:
    farm = site(spawned).initialize_node(shard_tree.Other)
    assert list(farm.tell()) == ["two"]


def test_contexts_hold_in_the_worker(spawned: Executor, tmp_path: Path) -> None:
    farm = site(spawned).farm
    with farm.hosts.cd("/"), farm[1].host.cd(str(tmp_path)), farm.hosts.env("COLOUR", "$HOME"):
        found = list(farm.get_directory())
    # What was entered on the host of a cell is in place of what was on those of the array.
    assert found == ["/\n$HOME", str(tmp_path), "/\n$HOME", "/\n$HOME"]
    assert set(farm.get_directory()) & set(found) == set()


def test_nothing_is_done_in_a_sandbox(spawned: Executor, tmp_path: Path) -> None:
    env = Env(Site(), is_sandbox=True, options=RunOptions(executor=spawned))
    env.farm.write(str(tmp_path / "file"))
    assert not list(tmp_path.iterdir())


# What is shown


def test_what_the_hosts_write_arrives_by_its_kind(spawned: Executor, pty: DummyPty) -> None:
    pty.presentation = Presentation(output="json")
    site(spawned, pty).farm.speak()
    shown = json.loads(pty.get_output())
    assert [host["stdout"] for host in shown["hosts"]] == [
        f"printed by {slug}\nout\n" for slug in ("one", "two", "three", "four")
    ]
    assert {host["stderr"] for host in shown["hosts"]} == {"err\n"}


def test_commands_are_logged_as_here(spawned: Executor) -> None:
    for logs in (True, False):
        pty, logger = DummyPty(), LoggerInterface()
        if logs:
            logger.attach(DefaultLogger())
        Env(Site(), pty, logger, options=RunOptions(executor=spawned)).farm.speak()
        assert ("three | $ echo out; echo err >&2\n" in pty.get_output()) is logs
        assert "three ! err\n" in pty.get_output()


def test_a_single_host_has_the_terminal_itself(spawned: Executor, pty: DummyPty) -> None:
    assert list(site(spawned, pty, hosts="two").farm.greet()) == ["Hello two"]
    site(spawned, pty, hosts="two").farm.speak()
    assert pty.get_output() == "printed by two\nout\nerr\n"


def test_a_run_says_how_long_each_took_in_its_worker(spawned: Executor, pty: DummyPty) -> None:
    pty.presentation = Presentation(output="json")
    site(spawned, pty, hosts="one,two").farm.take_time_on("two")
    one, two = json.loads(pty.get_output())["hosts"]
    assert one["duration"] < 0.2 <= two["duration"]


def test_one_at_a_time_they_are_shown_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    # The first shard waits for the second one.
    with ThreadPoolExecutor(2) as executor:
        env = Env(Site(), OneAtATimePty(interactive=False))
        options = RunOptions(executor=executor, shard_size=3)
        env._node_with_options(options).farm.wait_for_each_other()
    assert capsys.readouterr().out.split() == ["one", "two", "three", "four"]


# Arguments and results


def test_arguments_and_results_may_be_of_classes_of_the_user(spawned: Executor) -> None:
    assert set(site(spawned).farm.next_version(Version(1))) == {Version(2)}


def test_nodes_are_the_same_on_both_sides(spawned: Executor) -> None:
    env = site(spawned)
    for name, node in env.farm.tell_of(env.farm[1]):
        assert name == "Env(Site.farm[1])"
        assert node is env.farm[1]
    assert env.farm.tell_of(env._node_bare.farm)[env.farm[0]][1] is env._node_bare.farm


def test_an_argument_that_cannot_be_sent_is_named(threads: RecordingExecutor) -> None:
    with pytest.raises(NodeUsageError, match=r"greet\(\): the argument greeting, of the type lock"):
        site(threads).farm.greet(threading.Lock())
    with pytest.raises(NodeUsageError, match=r"the argument end, of the type lock, .*TypeError"):
        site(threads).farm.greet("Hello", end=threading.Lock())
    assert threads.shards == []


def test_wrong_arguments_fail_as_they_do_here(spawned: Executor) -> None:
    with pytest.raises(ParallelActionException, match="unexpected keyword argument 'nothing'"):
        site(spawned).farm.tell(nothing=1)


def test_a_result_that_cannot_be_sent_is_an_error_of_its_host_only(spawned: Executor) -> None:
    with pytest.raises(ParallelActionException) as caught:
        site(spawned).farm.return_lock_on("two")
    assert list(caught.value.results.values()) == ["fine"] * 3
    assert "two: it was run, but what it returned cannot be sent" in str(failures_of(caught)["two"])
    assert "_thread.lock" in str(failures_of(caught)["two"])


def test_a_secret_does_not_leave_its_worker(spawned: Executor) -> None:
    with pytest.raises(ParallelActionException, match=r"Secret\(\*\*\*\)"):
        site(spawned).farm.return_secret()
    with pytest.raises(ParallelActionException) as caught:
        site(spawned).farm.fail_with_secret()
    errors = failures_of(caught).values()
    # Nobody here knows it, so that nothing here could hide it.
    assert ["pa55word" in str(error) for error in errors] == [False] * 4
    assert {error.command for error in errors if isinstance(error, ExecCommandFailed)} == {
        "echo ***; exit 1"
    }
    assert not [error for error in errors if b"pa55word" in pickle.dumps(error)]


# Trees that cannot be found elsewhere


def test_a_root_that_is_defined_in_a_function_is_refused(threads: RecordingExecutor) -> None:
    class Hidden(ParallelNode):
        class Hosts:
            host = LocalHost1, LocalHost2

        def tell(self) -> str:
            return "told"

    with pytest.raises(NodeUsageError, match=r"Hidden.*defined in a function; define it in a mod"):
        Env(Hidden()).tell.with_options(executor=threads)()
    assert threads.shards == []


def test_a_root_whose_name_means_another_class_is_refused(
    threads: RecordingExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = site(threads)
    monkeypatch.setattr(shard_tree, "Site", shard_tree.Other)
    with pytest.raises(NodeUsageError, match=r"shard_tree\.Site is another class by now"):
        env.farm.tell()
    monkeypatch.delattr(shard_tree, "Site")
    with pytest.raises(NodeUsageError, match="there is no Site in the module shard_tree"):
        env.farm.tell()
    assert threads.shards == []


def test_a_root_that_was_typed_in_is_refused() -> None:
    program = """
        from concurrent.futures import ThreadPoolExecutor
        from deployer.node import Env, ParallelNode
        from our_hosts import LocalHost1, LocalHost2

        class Typed(ParallelNode):
            class Hosts:
                host = LocalHost1, LocalHost2

            def tell(self):
                return "told"

        Env(Typed()).tell.with_options(executor=ThreadPoolExecutor(1))()
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
    )
    assert "defined in an interactive session; define it in a file" in ended.stderr


def test_no_host_is_taken_for_another_one_where_the_tree_comes_out_differently(
    spawned: Executor, tmp_path: Path
) -> None:
    with pytest.raises(ParallelActionException) as caught:
        Env(shard_tree.Changing()).note.with_options(executor=spawned)(str(tmp_path))
    assert "nothing was run on it: NodeUsageError: one is two in the worker" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_module_that_a_worker_cannot_import_says_so(tmp_path: Path) -> None:
    (tmp_path / "gone_tree.py").write_text(
        "from shard_tree import Other\nclass Gone(Other): pass\n"
    )
    sys.path.insert(0, str(tmp_path))
    import gone_tree

    sys.path.remove(str(tmp_path))
    options = RunOptions(executor=FreshProcess())
    with pytest.raises(ParallelActionException, match="No module named 'gone_tree'"):
        Env(gone_tree.Gone(), options=options).tell()


# Failures


def test_a_command_that_failed_is_told_as_here(spawned: Executor) -> None:
    with pytest.raises(ParallelActionException) as caught:
        site(spawned).farm.fail_on("two", "four")
    failures = failures_of(caught)
    assert list(failures) == ["two", "four"]
    error = failures["two"]
    assert isinstance(error, ExecCommandFailed)
    assert (error.host, error.exit_status, error.result.stderr) == ("two", 3, "why\n")
    assert describe_failure(error).count("Command failed") == 1
    assert "shard_tree.py" in describe_failure(error)
    assert [cell.host.slug for cell in caught.value.results] == ["one", "three"]


def test_a_fault_in_an_action_can_be_found(spawned: Executor) -> None:
    with pytest.raises(ParallelActionException) as caught:
        site(spawned).farm.misbehave_on("three")
    error = failures_of(caught)["three"]
    assert type(error) is ValueError
    (note,) = error.__notes__
    assert "shard_tree.py" in note
    assert 'raise ValueError("a fault in the action")' in note


@pytest.mark.parametrize(
    ("action", "text"),
    [("fail_oddly", "OddError: this and that"), ("fail_with_lock", "ValueError: holds a lock")],
)
def test_of_an_error_that_cannot_be_sent_the_text_is(
    spawned: Executor, action: str, text: str
) -> None:
    with pytest.raises(ParallelActionException) as caught:
        getattr(site(spawned).farm, action)()
    for slug, error in failures_of(caught).items():
        assert type(error) is DeployerException
        assert str(error) == f"{slug}: {text}"
        assert "shard_tree.py" in error.__notes__[0]


def test_failures_of_an_array_in_a_cell_are_by_cell(spawned: Executor) -> None:
    env = site(spawned)
    with pytest.raises(ParallelActionException) as caught:
        env.farm.fail_in_dbs()
    inner = failures_of(caught)["one"]
    assert isinstance(inner, ParallelActionException)
    assert list(inner.failures) == [env.farm[0].per_db[1]]
    assert list(inner.results.values()) == ["one-four"]


def test_nobody_is_asked_in_a_worker(spawned: Executor) -> None:
    with pytest.raises(ParallelActionException) as caught:
        site(spawned).farm.ask()
    assert {type(error) for error in failures_of(caught).values()} == {NoInput}


def test_batches_are_sent_one_after_another(threads: RecordingExecutor, tmp_path: Path) -> None:
    with pytest.raises(ParallelActionException) as caught:
        site(threads).farm.note_in_batches(str(tmp_path), failing="one")
    assert threads.shards == [["one", "two"]]
    assert begun(tmp_path) == {"one": 1, "two": 1}
    assert [cell.host.slug for cell in caught.value.not_begun] == ["three", "four"]


def test_after_too_many_failures_what_was_not_begun_is_left_out(tmp_path: Path) -> None:
    with RecordingExecutor(workers=1) as executor:
        farm = Env(Site()).farm
        action = farm.fail_and_note.with_options(executor=executor, shard_size=1, fail_fast=True)
        with pytest.raises(ParallelActionException) as caught:
            action(str(tmp_path))
    assert executor.shards == [["one"]]
    assert begun(tmp_path) == {"one": 1}
    assert [cell.host.slug for cell in caught.value.not_begun] == ["two", "three", "four"]


def test_an_action_that_ends_the_program_ends_its_shard(spawned: Executor) -> None:
    with pytest.raises(ParallelActionException) as caught:
        site(spawned).farm.end_program_on("three")
    failures = failures_of(caught)
    assert "three" in failures
    assert {type(error) for error in failures.values()} == {JobStopped}
    assert "the action asked to end the program (status 3)" in str(failures["three"])
    assert {"one", "two"} <= set(caught.value.results.values())


def test_an_executor_that_takes_nothing_is_no_success_and_says_so_once() -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(ParallelActionException) as caught:
        site(executor).farm.tell()
    assert list(failures_of(caught)) == ["one"]
    assert "nothing was run on it: the executor takes nothing" in str(failures_of(caught)["one"])
    assert [cell.host.slug for cell in caught.value.not_begun] == ["two", "three", "four"]


def test_of_a_lost_worker_nobody_knows_what_it_has_done(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        with pytest.raises(ParallelActionException) as caught:
            site(executor).farm.kill_worker_on("two", str(tmp_path), after="one")
        failures = failures_of(caught)
        assert {slug: type(error) for slug, error in failures.items()} == {
            "one": WorkerLost,
            "two": WorkerLost,
        }
        assert str(failures["one"]).startswith(
            "one: the worker that ran Site.farm.kill_worker_on() on it is gone (BrokenProcessPool"
        )
        assert "look before you run it again" in str(failures["one"])
        # These were not sent by then, and the pool takes nothing more.
        assert [cell.host.slug for cell in caught.value.not_begun] == ["three", "four"]
        assert begun(tmp_path) == {"one": 1, "two": 1}
        with pytest.raises(BrokenProcessPool):
            executor.submit(print)


def test_after_a_lost_worker_the_pool_of_the_command_line_goes_on(tmp_path: Path) -> None:
    with open_executor(None, 1) as executor:
        assert executor is not None
        with pytest.raises(ParallelActionException) as caught:
            site(executor).farm.kill_worker_on("two", str(tmp_path), after="one")
        assert {type(error) for error in failures_of(caught).values()} == {WorkerLost}
        assert list(caught.value.results.values()) == ["three", "four"]
        assert begun(tmp_path) == {"one": 1, "two": 1, "three": 1, "four": 1}
        assert list(site(executor).farm.tell()) == ["one", "two", "three", "four"]


def test_work_that_somebody_cancels_may_have_been_done(tmp_path: Path) -> None:
    class Cancelling(RecordingExecutor):
        def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    with Cancelling() as executor, pytest.raises(ParallelActionException) as caught:
        site(executor).farm.tell()
    assert {type(error) for error in failures_of(caught).values()} == {WorkerLost}


# Scripts

SCRIPT = """
    import sys
    from concurrent.futures import ProcessPoolExecutor
    from dataclasses import dataclass
    from multiprocessing import get_context

    from deployer.node import Env, ParallelNode
    from our_hosts import LocalHost1, LocalHost2
    from test_shards import FreshProcess

    @dataclass
    class Found:
        slug: str

    class Web(ParallelNode):
        class Hosts:
            host = LocalHost1, LocalHost2

        def tell(self, found):
            assert isinstance(found, Found)
            return Found(found.slug + self.host.slug)

    if __name__ == "__main__":
        kind = sys.argv[1]
        executor = FreshProcess() if kind == "fresh" else ProcessPoolExecutor(1, get_context(kind))
        results = Env(Web()).tell.with_options(executor=executor, shard_size=1)(Found("here "))
        print([isinstance(result, Found) and result.slug for result in results])
        executor.shutdown()
"""


@pytest.mark.parametrize("kind", ["spawn", "fork", "fresh"])
def test_a_tree_may_be_in_the_script_itself(kind: str, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(textwrap.dedent(SCRIPT))
    ended = run_script(script, kind, PYTHONPATH=f"{ROOT}:{ROOT / 'tests'}")
    assert ended.stdout == "['here one', 'here two']\n", ended.stderr


def test_a_script_may_be_a_module_of_a_package(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "beside.py").touch()
    (package / "script.py").write_text("from . import beside\n" + textwrap.dedent(SCRIPT))
    ended = subprocess.run(
        [sys.executable, "-m", "package.script", "fresh"],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert ended.stdout == "['here one', 'here two']\n", ended.stderr


def test_scripts_in_one_worker_keep_their_classes(tmp_path: Path) -> None:
    modules = []
    for name in ("first", "second", "first"):
        script = tmp_path / name
        script.write_text("class Found: pass\nclass Root: pass\n")
        modules.append(RootClass("__main__", "Root", str(script)).load_module())
    first, second, again = modules
    assert again is first
    assert second is not first
    for module in (first, second):
        assert type(pickle.loads(pickle.dumps(module.Found()))) is module.Found


def test_a_script_of_a_package_finds_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package_of_script"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "beside.py").write_text("value = 1\n")
    script = package / "__main__.py"
    script.write_text("from package_of_script import beside\n")
    monkeypatch.setattr(sys, "path", [*sys.path])
    root = RootClass("__main__", "Root", str(script), "package_of_script")
    assert root.load_module().beside.value == 1


# Ctrl-C

NOISY = """
    import os, signal

    if __name__ == "__mp_main__":
        # While a worker is begun.
        os.kill(os.getpid(), signal.SIGINT)

    from deployer.node import Env
    from deployer.run.executors import open_executor
    from shard_tree import Site

    if __name__ == "__main__":
        with open_executor(None, 1) as executor:
            print(list(Env(Site()).farm.tell.with_options(executor=executor)()))
"""


def test_a_worker_that_is_begun_is_not_ended_by_ctrl_c(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(NOISY))
    ended = run_script(script, PYTHONPATH=f"{ROOT}:{ROOT / 'tests'}")
    assert ended.stderr == ""
    assert ended.stdout == "['one', 'two', 'three', 'four']\n"


def test_after_ctrl_c_nothing_is_sent(threads: RecordingExecutor) -> None:
    pty = DummyPty()
    pty.interrupted.set()
    with pytest.raises(Interrupted) as caught:
        site(threads, pty).farm.tell()
    assert caught.value.not_begun == ["one", "two", "three", "four"]
    assert threads.shards == []


def test_ctrl_c_between_two_shards_keeps_the_second_one_here() -> None:
    class Interrupting(RecordingExecutor):
        def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            pty.interrupted.set()
            return super().submit(function, *args, **kwargs)

    pty = DummyPty()
    with Interrupting() as executor, pytest.raises(Interrupted):
        site(executor, pty).farm.tell()
    assert executor.shards == [["one", "two"]]


def test_what_ctrl_c_comes_into_the_sending_of_is_not_begun(tmp_path: Path) -> None:
    class Interrupting(ProcessPool):
        def _submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
            signal.raise_signal(signal.SIGINT)
            return super()._submit(*args, **kwargs)

    with Interrupting(1) as executor, pytest.raises(Interrupted) as caught:
        site(executor).farm.note(str(tmp_path))
    assert caught.value.not_begun == ["one", "two", "three", "four"]
    assert begun(tmp_path) == {}


INTERRUPTED = """
    from deployer.node import Env
    from deployer.parallel import Interrupted
    from deployer.run.executors import open_executor
    from shard_tree import Site
    import sys

    if __name__ == "__main__":
        with open_executor(None, 1) as executor:
            farm = Env(Site()).farm
            try:
                farm.wait_from_the_second.with_options(executor=executor, shard_size=1)(sys.argv[1])
            except Interrupted as error:
                print(f"[{error}]")
        print("ended", flush=True)
"""


@pytest.mark.parametrize("reaches_workers", [True, False])
def test_ctrl_c_ends_what_runs_in_workers_and_begins_no_more(
    reaches_workers: bool, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(INTERRUPTED))
    notes = tmp_path / "notes"
    notes.mkdir()
    path = f"{ROOT}:{ROOT / 'tests'}"
    with run_in_terminal(script, str(notes), columns=100, PYTHONPATH=path) as screen:
        waiting.until((notes / "pid").exists)
        waiting.until(lambda: (notes / "pid").read_text().endswith("\n"))
        if reaches_workers:
            screen.type("\x03")
        else:
            screen.process.send_signal(signal.SIGINT)
        screen.wait_for("ended")
        said = "".join(screen.lines)
        assert "Traceback" not in said
        assert screen.wait_for_end() == 0
    assert "[done: one; stopped: two; not begun: three, four]" in said
    assert begun(notes) == {"one": 1, "two": 1}
    pid = int((notes / "pid").read_text())
    waiting.until(lambda: not Path(f"/proc/{pid}").exists(), "the command goes on")


def test_an_interrupted_job_stops_waiting_for_its_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "_TIME_TO_STOP", 0.1)
    pty = DummyPty()

    def interrupt() -> None:
        waiting.until((tmp_path / "two").exists)
        pty.interrupted.set()

    with ThreadPoolExecutor(2) as executor:
        with person(interrupt), pytest.raises(Interrupted) as caught:
            site(executor, pty, hosts="one,two,three").farm.wait_on("two", str(tmp_path))
        (tmp_path / "go").touch()
    assert [outcome.name for outcome in caught.value.outcomes] == ["three"]
    assert caught.value.stopped == ["one", "two"]


def test_a_pool_is_told_of_what_interrupts_only_its_owner(tmp_path: Path) -> None:
    pty = DummyPty()
    pid_file = tmp_path / "pid"

    def interrupt() -> None:
        waiting.until(pid_file.exists)
        waiting.until(lambda: pid_file.read_text().endswith("\n"))
        pty.interrupted.set()

    with open_executor(None, 1) as executor:
        assert executor is not None
        farm = site(executor, pty, hosts="one,two").farm
        with person(interrupt), pytest.raises(Interrupted) as caught:
            farm.wait_from_the_second(str(tmp_path))
        # Now, and not only when the pool is closed.
        assert not Path(f"/proc/{pid_file.read_text().strip()}").exists()
        assert [outcome.name for outcome in caught.value.outcomes] == ["one"]
        assert caught.value.stopped == ["two"]
        pty.interrupted.clear()
        assert list(farm.tell()) == ["one", "two"]


IDLE = """
    import os, signal
    from deployer.run.executors import open_executor

    if __name__ == "__main__":
        with open_executor(None, 1) as executor:
            print(executor.submit(os.getpid).result(), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_idle_workers_end_with_the_process_that_they_work_for(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(IDLE))
    # Returns once nobody has its output open any more.
    ended = run_script(script)
    assert ended.returncode == -signal.SIGKILL
    assert int(ended.stdout) > 0


def test_workers_end_what_they_do_with_the_process_that_they_work_for(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(INTERRUPTED))
    notes = tmp_path / "notes"
    notes.mkdir()
    # Without a terminal, which would hang up on all of them.
    with subprocess.Popen(
        [sys.executable, script, notes],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        stderr=subprocess.DEVNULL,
    ) as process:
        waiting.until((notes / "pid").exists)
        waiting.until(lambda: (notes / "pid").read_text().endswith("\n"))
        process.kill()
    for file in ("pid", "two"):
        pid = (notes / file).read_text().strip()
        waiting.until(lambda pid=pid: not Path("/proc", pid).exists(), f"{file} goes on")


def test_where_ctrl_c_reaches_a_worker_only_its_hosts_have_failed(tmp_path: Path) -> None:
    def interrupt() -> None:
        waiting.until((tmp_path / "pid").exists)
        os.kill(int((tmp_path / "two").read_text()), signal.SIGINT)

    with open_executor(None, 1) as executor:
        assert executor is not None
        farm = site(executor, hosts="one,two").farm
        text = r"two: stopped in its worker \(Ctrl-C\)"
        with person(interrupt), pytest.raises(ParallelActionException, match=text):
            farm.wait_from_the_second(str(tmp_path))
        # It goes on working.
        assert list(farm.tell()) == ["one", "two"]


# Exceptions

RESULT = RunResult("out", stderr="err", exit_status=4, command="make", host="web", duration=1.5)
MADE: dict[str, DeployerException] = {
    "ActionException": ActionException(ValueError("inner")),
    "CommandTimeout": CommandTimeout(RESULT, 2.5),
    "ConnectionLost": ConnectionLost("web: lost", RESULT),
    "ExecCommandFailed": ExecCommandFailed(RESULT),
    "LockHeld": LockHeld("held", host="web", path="/l", holder="me@here", since="now", reason="r"),
    "ParallelActionException": ParallelActionException(
        {"a": 1}, {"b": ValueError("inner")}, {"b": "web"}, ["c"], {"a": 1}, was_shown=True
    ),
    "ParallelExecCommandFailed": ParallelExecCommandFailed(
        {"a": RESULT}, {"b": ExecCommandFailed(RESULT)}, RESULT, ["c"], was_shown=True
    ),
    "QueryException": QueryException("node", "attr", "query", ValueError("inner"), "file.py", 3),
    "RemoteFileError": RemoteFileError("web: no such file", 2),
}


@pytest.mark.parametrize("name", exceptions.__all__)
def test_exceptions_arrive_as_they_were_sent(name: str) -> None:
    error = MADE.get(name) or getattr(exceptions, name)(f"what {name} says")
    error.add_note("a note")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert repr(again.__cause__) == repr(error.__cause__)
    # Exceptions are equal to nothing but themselves.
    assert {name: repr(value) for name, value in vars(again).items()} == {
        name: repr(value) for name, value in vars(error).items()
    }
    assert repr(again.args) == repr(error.args)
    assert getattr(again, "errno", None) == getattr(error, "errno", None)


def test_of_a_traceback_the_text_arrives() -> None:
    try:
        raise ValueError("inner")
    except ValueError as error:
        sent = ActionException(error, error.__traceback__)
    again = pickle.loads(pickle.dumps(sent))
    assert 'raise ValueError("inner")' in again.traceback
    assert again.__cause__ is again.inner_exception


# Executors by name


def test_no_executor_is_opened_unless_asked_for() -> None:
    with open_executor(None, None) as executor:
        assert executor is None


@pytest.mark.parametrize("name", [None, "processes"])
def test_processes_are_an_executor(name: str | None) -> None:
    with open_executor(name, 1) as executor:
        assert executor is not None
        assert os.getpid() not in set(site(executor).farm.get_process())
        assert list(site(executor).farm.tell()) == ["one", "two", "three", "four"]


def test_an_executor_is_made_by_a_function_of_the_user() -> None:
    for name in ("make_executor", "open_threads"):
        with open_executor(f"shard_tree:{name}", None) as executor:
            assert isinstance(executor, ThreadPoolExecutor)
        with pytest.raises(RuntimeError, match="shutdown"):
            executor.submit(print)


@pytest.mark.parametrize(
    ("name", "processes", "error", "text"),
    [
        ("dask", 2, ValueError, "processes are for the executor 'processes'"),
        (None, 0, ValueError, "give at least 1"),
        ("clouds", None, ValueError, r"no executor 'clouds'; there are processes, dask, or pack"),
        ("shard_tree:nothing", None, NodeUsageError, "has no attribute 'nothing'"),
        ("no_module:factory", None, NodeUsageError, "No module named 'no_module'"),
        ("shard_tree:begin", None, NodeUsageError, "has to return an Executor"),
    ],
)
def test_what_is_no_executor_says_why(
    name: str | None, processes: int | None, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text), open_executor(name, processes):
        raise AssertionError("it was opened")


def test_dask_is_not_needed_until_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(NodeUsageError, match=r"pip install 'deployer\[dask\]'"),
        open_executor("dask", None),
    ):
        raise AssertionError("it was opened")


def test_importing_loads_neither_multiprocessing_nor_dask() -> None:
    program = "import sys, deployer.client, deployer.node, deployer.run.executors; "
    program += "sys.exit(bool({'multiprocessing', 'distributed'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
