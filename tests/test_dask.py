"""Shards on dask: a real cluster, whose workers are killed."""

from __future__ import annotations

import importlib
import os
import signal
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pytest

import waiting
from conftest import in_ci
from deployer.exceptions import NodeUsageError, ParallelActionException, WorkerLost
from deployer.loggers import DefaultLogger, LoggerInterface
from deployer.node import Env, claims, shards
from deployer.parallel import Interrupted, RunOptions
from deployer.pseudo_terminal import DummyPty
from deployer.run.executors import open_executor
from shard_tree import Site, begun
from terminals import ROOT, person, run_in_terminal, run_script

pytestmark = pytest.mark.faults


def load(name: str) -> Any:
    """Import a module of the optional dependency; without it, skip the test, and fail it in CI."""
    try:
        return importlib.import_module(name)
    except ImportError:
        reason = f"{name} is not installed (pip install 'deployer[dask]')"
        if in_ci():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    distributed = load("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def executor(client: Any) -> Iterator[Executor]:
    client.wait_for_workers(2)
    with client.get_executor(pure=False) as executor:
        yield executor


def site(executor: Executor, pty: DummyPty | None = None, **options: Any) -> Any:
    """The tree, of which each shard has two hosts; what runs is logged."""
    logger = LoggerInterface()
    logger.attach(DefaultLogger())
    return Env(Site(), pty, logger, options=RunOptions(executor=executor, shard_size=2, **options))


def get_pid(directory: Path, slug: str) -> int:
    """Wait until a host is begun, and return the process that did."""
    path = directory / slug
    waiting.until(lambda: path.exists() and path.read_text().endswith("\n"))
    return int(path.read_text())


def test_results_and_output_come_back(executor: Executor) -> None:
    pty = DummyPty()
    farm = site(executor, pty).farm
    assert list(farm.greet()) == ["Hello one", "Hello two", "Hello three", "Hello four"]
    assert os.getpid() not in set(farm.get_process())
    farm.speak()
    assert "three | $ echo out; echo err >&2\n" in pty.get_output()
    assert "three ! err\n" in pty.get_output()


def test_failures_come_back_as_they_are(executor: Executor) -> None:
    with pytest.raises(ParallelActionException, match="two: 'echo why >&2; exit 3' failed"):
        site(executor).farm.fail_on("two")


@pytest.mark.parametrize("pure", [False, True])
def test_the_same_action_twice_is_run_twice(client: Any, pure: bool, tmp_path: Path) -> None:
    executor = client.get_executor(pure=pure)
    for _ in range(2):
        site(executor).farm.note(str(tmp_path))
    assert begun(tmp_path) == {"one": 2, "two": 2, "three": 2, "four": 2}


def test_the_shard_of_a_killed_worker_is_not_run_again(executor: Executor, tmp_path: Path) -> None:
    def kill() -> None:
        pids = {slug: get_pid(tmp_path, slug) for slug in ("one", "two", "three", "four")}
        os.kill(pids["two"], signal.SIGKILL)

    # Nothing ever lets it go on.
    with person(kill), pytest.raises(ParallelActionException) as caught:
        site(executor).farm.wait_on("two", str(tmp_path))
    failures = caught.value.named_failures
    assert {slug: type(error) for slug, error in failures.items()} == {
        "one": WorkerLost,
        "two": WorkerLost,
    }
    assert "two: the worker that ran Site.farm.wait_on() on it is gone" in str(failures["two"])
    assert list(caught.value.results.values()) == ["three", "four"]
    assert begun(tmp_path) == {"one": 1, "two": 1, "three": 1, "four": 1}


def test_a_worker_that_kills_itself_each_time_does_so_once(
    executor: Executor, tmp_path: Path
) -> None:
    with pytest.raises(ParallelActionException) as caught:
        site(executor).farm.kill_worker_on("four", str(tmp_path))
    assert {type(error) for error in caught.value.failures.values()} == {WorkerLost}
    assert list(caught.value.named_failures) == ["three", "four"]
    assert begun(tmp_path)["four"] == 1


def test_of_those_who_want_to_begin_a_shard_at_once_one_may(client: Any) -> None:
    futures = [client.submit(claims.claim, "wanted", pure=False) for _ in range(20)]
    assert sorted(client.gather(futures)) == [False] * 19 + [True]


def test_after_too_many_failures_what_was_not_begun_never_is(
    client: Any, executor: Executor, tmp_path: Path
) -> None:
    def count_claims() -> int:
        return len(client.get_metadata(["deployer"], {}))

    before = count_claims()

    def act() -> None:
        # Both workers are at work, and the other shards wait for them.
        for slug in ("one", "two"):
            get_pid(tmp_path, slug)
        (tmp_path / "fail").touch()
        # Those are withdrawn, but for one that the worker of the first may have come to by then.
        waiting.until(lambda: count_claims() == before + 4)
        (tmp_path / "go").touch()

    with person(act), pytest.raises(ParallelActionException) as caught:
        action = Env(Site()).farm.fail_on_one_or_wait
        action.with_options(executor=executor, shard_size=1, fail_fast=True)(str(tmp_path))
    assert list(caught.value.named_failures) == ["one"]
    left_out = [cell.host.slug for cell in caught.value.not_begun]
    assert left_out
    assert sorted([*begun(tmp_path), *left_out]) == sorted(["one", "two", "three", "four"])


def test_ctrl_c_withdraws_what_was_not_begun(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "_TIME_TO_STOP", 0.1)
    pty = DummyPty()

    def interrupt() -> None:
        for slug in ("one", "two"):
            get_pid(tmp_path, slug)
        pty.interrupted.set()

    env = Env(Site(), pty, options=RunOptions(executor=executor, shard_size=1))
    with person(interrupt), pytest.raises(Interrupted) as caught:
        env.farm.wait_for_go(str(tmp_path))
    assert caught.value.stopped == ["one", "two"]
    assert caught.value.not_begun == ["three", "four"]
    # What runs there goes on; what was withdrawn is not begun when there is room.
    (tmp_path / "go").touch()
    assert list(site(executor).farm.tell()) == ["one", "two", "three", "four"]
    assert begun(tmp_path) == {"one": 1, "two": 1}


def test_ctrl_c_ends_what_runs_in_workers_elsewhere(executor: Executor, tmp_path: Path) -> None:
    pty = DummyPty()

    def interrupt() -> None:
        get_pid(tmp_path, "pid")
        pty.interrupted.set()

    env = Env(Site(), pty, options=RunOptions(executor=executor, shard_size=1))
    action = env.farm.wait_from_the_second.with_options(hosts="one,two")
    with person(interrupt), pytest.raises(Interrupted) as caught:
        action(str(tmp_path))
    assert caught.value.results == {"one": "one"}
    assert caught.value.stopped == ["two"]
    pid = get_pid(tmp_path, "pid")
    waiting.until(lambda: not Path(f"/proc/{pid}").exists(), "the command goes on")
    # The worker goes on working.
    pty.interrupted.clear()
    assert list(env.farm.tell()) == ["one", "two", "three", "four"]


def test_ctrl_c_while_the_scheduler_does_not_answer_waits_for_it_once(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "_TIMEOUT", 0.2)
    pty = DummyPty()
    is_over, answers_again = threading.Event(), threading.Event()

    def block() -> None:
        is_over.wait(5)
        answers_again.set()

    def interrupt() -> None:
        for slug in ("one", "two"):
            get_pid(tmp_path, slug)
        # It runs in this loop.
        client.loop.add_callback(block)
        pty.interrupted.set()

    # This one does not.
    with load("distributed").Client(client.scheduler.address, set_as_default=False) as other:
        executor = other.get_executor(pure=False)
        env = Env(Site(), pty, options=RunOptions(executor=executor, shard_size=1))
        with person(interrupt), pytest.raises(Interrupted) as caught:
            try:
                env.farm.wait_for_go(str(tmp_path))
            finally:
                was_in_time = not answers_again.is_set()
                is_over.set()
                (tmp_path / "go").touch()
        assert was_in_time
        assert caught.value.stopped == ["one", "two", "three", "four"]


def test_a_shard_of_a_run_that_is_to_stop_begins_nothing(client: Any, executor: Executor) -> None:
    claims.stop(executor, "run/0")

    def look(shard: str) -> bool:
        stopped = threading.Event()
        with claims.stopped_from_afar(shard, stopped):
            return stopped.is_set()

    shards = ["run/8", "another run/8"]
    futures = [client.submit(look, shard, pure=False) for shard in shards]
    assert client.gather(futures) == [True, False]


def test_what_runs_in_a_worker_that_is_closed_is_stopped(client: Any, tmp_path: Path) -> None:
    distributed = load("distributed")

    def wait_to_be_stopped() -> None:
        stopped = threading.Event()
        # Dask gives it to another worker afterwards.
        if not (tmp_path / "address").exists():
            with claims.stopped_from_afar("nobody/0", stopped):
                (tmp_path / "new").write_text(distributed.get_worker().address)
                (tmp_path / "new").rename(tmp_path / "address")
                if stopped.wait(20):
                    (tmp_path / "stopped").touch()

    future = client.submit(wait_to_be_stopped, pure=False)
    address = tmp_path / "address"
    waiting.until(address.exists)
    client.restart_workers([address.read_text()])
    waiting.until((tmp_path / "stopped").exists)
    future.result()


INTERRUPTED = """
    import sys

    from deployer.node import Env
    from deployer.parallel import Interrupted, RunOptions
    from deployer.run.executors import open_executor
    from shard_tree import Site

    if __name__ == "__main__":
        with open_executor("dask", None) as executor:
            env = Env(Site(), options=RunOptions(executor=executor, shard_size=1))
            action = env.farm.wait_from_the_second.with_options(hosts="two")
            try:
                action(sys.argv[1])
            except Interrupted as interrupted:
                print(interrupted.stopped)
"""


def test_ctrl_c_in_the_terminal_of_a_cluster_of_this_machine_ends_what_runs(
    tmp_path: Path,
) -> None:
    load("distributed")
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(INTERRUPTED))
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "DASK_SCHEDULER_ADDRESS": ""}
    with run_in_terminal(script, str(tmp_path), **environment) as screen:
        pid = get_pid(tmp_path, "pid")
        # As Ctrl-C does, it reaches all processes there.
        screen.type("\x03")
        assert screen.wait_for_end() == 0
        assert screen.lines == ["^C['two']"]
    waiting.until(lambda: not Path(f"/proc/{pid}").exists(), "the command goes on")


# By its name

SCRIPT = """
    from dataclasses import dataclass

    from deployer.node import Env, ParallelNode
    from deployer.run.executors import open_executor
    from our_hosts import LocalHost1, LocalHost2

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
        with open_executor("dask", None) as executor:
            results = Env(Web()).tell.with_options(executor=executor)(Found("here "))
            print([isinstance(result, Found) and result.slug for result in results])
"""


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_a_script_may_use_a_cluster_of_this_machine_or_another_one(
    where: str, client: Any, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    address = client.scheduler.address if where == "elsewhere" else ""
    path = f"{ROOT}:{ROOT / 'tests'}"
    ended = run_script(script, PYTHONPATH=path, DASK_SCHEDULER_ADDRESS=address)
    assert ended.stdout == "['here one', 'here two']\n", ended.stderr
    assert ended.stderr == ""


def test_a_scheduler_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:1")
    # Imported within the block, it would lose all of its settings at the end.
    load("distributed")
    with (
        load("dask").config.set({"distributed.comm.timeouts.connect": "0.1s"}),
        pytest.raises(NodeUsageError, match=r"no dask scheduler at tcp://127\.0\.0\.1:1 \(\$DASK"),
        open_executor("dask", None),
    ):
        raise AssertionError("it was opened")


def test_an_address_that_is_none_leaves_nothing_that_would_have_to_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load("distributed")
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "foo://:::1")
    before = threading.active_count()
    with pytest.raises(NodeUsageError, match="unknown address scheme"), open_executor("dask", None):
        raise AssertionError("it was opened")
    assert threading.active_count() == before
