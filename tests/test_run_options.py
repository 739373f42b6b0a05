"""How parallel runs are carried out: batches, limits, retries, and on which hosts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.exceptions import (
    AuthenticationFailed,
    ConnectionFailedException,
    NodeUsageError,
    NoInput,
    NotBegun,
    ParallelActionException,
    ParallelExecCommandFailed,
)
from deployer.host import LocalHost, SSHHost
from deployer.host_container import HostsContainer
from deployer.node import Env, Node, ParallelNode, isolate_one_only, serial
from deployer.parallel import Interrupted, Job, RunOptions, run
from deployer.parallel.options import split_into_batches
from deployer.pseudo_terminal import DummyPty, Pty
from shell_tree import SCRIPT
from terminals import run_script
from world import World, free_port

pytestmark = pytest.mark.machine


def make_hosts(count: int) -> tuple[type[LocalHost], ...]:
    return tuple(type(f"web{n}", (LocalHost,), {}) for n in range(1, count + 1))


class Recorder:
    """Counts what runs at once, and in which order it was begun."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.begun: list[str] = []
        self.ended: list[str] = []
        #: How many had ended when each was begun.
        self.ended_before: dict[str, int] = {}

    def run(self, name: str) -> None:
        with self._lock:
            self.begun.append(name)
            self.ended_before[name] = len(self.ended)
        with self._lock:
            self.ended.append(name)


# Batches.


@pytest.mark.parametrize(
    ("count", "sizes", "lengths"),
    [
        (5, (), [5]),
        (5, (2,), [2, 2, 1]),
        (8, ("25%",), [2, 2, 2, 2]),
        (10, (1, 3), [1, 3, 3, 3]),
        (10, (1, "50%"), [1, 5, 4]),
        (3, ("10%",), [1, 1, 1]),
        (3, ("100%",), [3]),
        (3, (7,), [3]),
        (0, (2,), []),
        (0, (), []),
    ],
)
def test_batches(count: int, sizes: tuple[int | str, ...], lengths: list[int]) -> None:
    batches = list(split_into_batches(count, sizes))
    assert [len(batch) for batch in batches] == lengths
    assert [n for batch in batches for n in batch] == list(range(count))


@given(
    st.integers(0, 200),
    st.lists(st.integers(1, 50) | st.integers(1, 100).map(lambda n: f"{n}%"), max_size=4),
)
def test_every_job_is_in_exactly_one_batch(count: int, sizes: list[int | str]) -> None:
    assert [n for batch in split_into_batches(count, sizes) for n in batch] == list(range(count))


@pytest.mark.parametrize("size", [0, -1, "0%", "101%", "x%", "5", 1.5, True])
def test_a_size_that_makes_no_sense_is_refused_where_it_is_written(size: object) -> None:
    with pytest.raises(ValueError, match=r"batch"):
        serial(size)  # type: ignore[arg-type]


def test_serial_without_a_size_says_how_it_is_written() -> None:
    with pytest.raises(TypeError, match=r"@serial\(2\)"):
        serial()


def test_a_batch_begins_when_the_one_before_has_ended() -> None:
    recorder = Recorder()

    class Farm(ParallelNode):
        class Hosts:
            host = make_hosts(7)

        @serial(2)
        def act(self) -> None:
            recorder.run(self.host.slug)

    Env(Farm(), DummyPty()).act()
    assert sorted(recorder.begun) == [f"web{n}" for n in range(1, 8)]
    assert all(recorder.ended_before[f"web{n}"] >= (n - 1) // 2 * 2 for n in range(1, 8))


def test_no_further_batch_begins_after_a_failure() -> None:
    class Farm(ParallelNode):
        class Hosts:
            host = make_hosts(8)

        @serial("25%")
        def act(self) -> str:
            if self.host.slug in ("web3", "web4"):
                raise ValueError("not this one")
            return str(self.host.slug)

    with pytest.raises(ParallelActionException) as caught:
        Env(Farm(), DummyPty()).act()
    error = caught.value
    assert list(error.results.values()) == ["web1", "web2"]
    assert [cell.host.slug for cell in error.failures] == ["web3", "web4"]
    assert [cell.host.slug for cell in error.not_begun] == ["web5", "web6", "web7", "web8"]
    assert str(error).startswith("failed on 2 of 8 hosts, and not begun on 4:")


@pytest.mark.parametrize(("allowed", "begun"), [(0, 2), (1, 4), (2, 6), ("25%", 6), ("100%", 8)])
def test_so_many_may_fail(allowed: int | str, begun: int) -> None:
    recorder = Recorder()

    class Farm(ParallelNode):
        class Hosts:
            host = make_hosts(8)

        @serial(2, max_failures=allowed)
        def act(self) -> None:
            recorder.run(self.host.slug)
            # One of each batch.
            if int(self.host.slug.removeprefix("web")) % 2:
                raise ValueError("no")

    with pytest.raises(ParallelActionException):
        Env(Farm(), DummyPty()).act()
    assert len(recorder.begun) == begun


def test_options_of_a_call_win_over_the_decorator() -> None:
    recorder = Recorder()

    class Farm(ParallelNode):
        class Hosts:
            host = make_hosts(4)

        @serial(1)
        def act(self) -> None:
            recorder.run(self.host.slug)
            raise ValueError("no")

    with pytest.raises(ParallelActionException):
        Env(Farm(), DummyPty()).act.with_options(batches=(3,), max_failures=10)()
    assert len(recorder.begun) == 4


# Limits.


def test_after_a_failure_nothing_more_is_begun_if_so_wanted() -> None:
    begun: list[str] = []

    def act(name: str) -> Callable[[Pty], None]:
        def act(pty: Pty) -> None:
            begun.append(name)
            if name == "b":
                raise ValueError("no")

        return act

    jobs = [Job(name, act(name)) for name in "abcd"]
    outcomes = run(DummyPty(), jobs, RunOptions(fan_out=1, fail_fast=True))
    assert begun == ["a", "b"]
    assert [type(outcome.error) for outcome in outcomes] == [
        type(None),
        ValueError,
        NotBegun,
        NotBegun,
    ]
    assert str(outcomes[2].error) == "c: not begun, since another one had failed"


def test_what_runs_when_another_one_fails_is_finished() -> None:
    failed = threading.Event()

    def fail(pty: Pty) -> None:
        failed.set()
        raise ValueError("no")

    def work(pty: Pty) -> str:
        failed.wait(10)
        return "done"

    jobs: list[Job[object]] = [Job("a", work), Job("b", fail)]
    outcomes = run(DummyPty(), jobs, RunOptions(fail_fast=True))
    assert outcomes[0].result == "done"


def test_hosts_are_run_on_as_many_at_once_as_they_say() -> None:
    recorder = Recorder()
    hosts = HostsContainer({"host": make_hosts(5)}, DummyPty())
    hosts.with_options(fan_out=1)._run_on_each("", lambda host: recorder.run(host.slug))
    assert recorder.begun == [f"web{n}" for n in range(1, 6)]
    with pytest.raises(ParallelExecCommandFailed) as caught:
        hosts.with_options(fan_out=1, fail_fast=True).run("false")
    assert caught.value.not_begun == ["web2", "web3", "web4", "web5"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fan_out": 0}, "fan_out is 0"),
        ({"fan_out": "x"}, "fan_out is 'x'"),
        ({"retries": -1}, "retries is -1"),
        ({"shard_size": 0}, "shard_size is 0"),
        ({"max_failures": "x"}, "max_failures is 'x'"),
        ({"hosts": "web[3-"}, "web"),
    ],
)
def test_an_option_that_makes_no_sense_says_so(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RunOptions().replace(**options)


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(TypeError, match=r"no option 'fanout'; there are fan_out,"):
        HostsContainer({}).with_options(fanout=3)


# Hosts.


class Root(Node):
    class Hosts:
        host = make_hosts(3)

    class farm(ParallelNode.Array):
        def act(self) -> str:
            return str(self.host.slug)

        def others(self) -> list[str]:
            return [host.slug for host in self.parent.hosts]

    def everywhere(self) -> list[str]:
        return [str(text).strip() for text in self.hosts.run("echo x")]

    def nested(self) -> list[str]:
        return list(self.farm.act())

    def alone(self) -> str:
        return str(self.host.slug)


def test_only_the_cells_of_some_hosts_are_run() -> None:
    env = Env(Root(), DummyPty())
    assert list(env.farm.act.with_options(hosts="web[2-3]")()) == ["web2", "web3"]
    assert list(env.farm.act.with_options(hosts="!web2")()) == ["web1", "web3"]
    assert list(env.farm.act()) == ["web1", "web2", "web3"]


def test_options_hold_for_what_an_action_calls() -> None:
    env = Env(Root(), DummyPty())
    assert env.nested.with_options(hosts="web2")() == ["web2"]
    assert env.everywhere.with_options(hosts="web[1,3]")() == ["x", "x"]


def test_within_a_cell_all_hosts_are_there() -> None:
    env = Env(Root(), DummyPty())
    (found,) = env.farm.others.with_options(hosts="web2")()
    assert found == ["web1", "web2", "web3"]


def test_the_only_host_is_not_used_when_it_is_left_out() -> None:
    class Alone(Root):
        class Hosts:
            host = make_hosts(1)

    env = Env(Alone(), DummyPty())
    assert env.alone.with_options(hosts="web1")() == "web1"
    with pytest.raises(Exception, match="web1 is not among the hosts to run on") as caught:
        env.alone.with_options(hosts="db*")()
    assert isinstance(caught.value.inner_exception, NodeUsageError)  # type: ignore[attr-defined]


def test_an_action_for_one_host_takes_the_one_that_is_to_be_run_on() -> None:
    class Farm(ParallelNode):
        class Hosts:
            host = make_hosts(3)

        @isolate_one_only
        def act(self) -> str:
            return str(self.host.slug)

    action = Env(Farm(), DummyPty()).act
    assert action.with_options(hosts="web2")() == "web2"
    with pytest.raises(NoInput):
        action.with_options(hosts="!web2")()


def test_contexts_hold_with_other_options() -> None:
    hosts = HostsContainer({"host": make_hosts(2)}, DummyPty())
    with hosts.env("X", "a b"):
        assert hosts.with_options(fan_out=1).run('echo "$X"') == ["a b\n", "a b\n"]

    class Alone(Node):
        class Hosts:
            host = make_hosts(1)

        def act(self) -> str:
            return str(self.host.run('echo "$X"')).strip()

    env = Env(Alone(), DummyPty())
    with env.host.env("X", "1"):
        assert env.act.with_options(fan_out=3)() == "1"

    class Cells(ParallelNode):
        class Hosts:
            host = make_hosts(2)

        act = Alone.act.function

    cells = Env(Cells(), DummyPty())
    with cells[1].host.env("X", "2"):
        assert list(cells.act.with_options(fan_out=3)()) == ["", "2"]


def test_hosts_of_a_container_can_be_chosen() -> None:
    hosts = HostsContainer({"web": make_hosts(3)}, DummyPty())
    chosen = hosts.with_options(hosts="web[1,3]")
    assert [host.slug for host in chosen] == ["web1", "web3"]
    assert len(hosts) == 3


# The command line.


@pytest.mark.parametrize(
    ("arguments", "status", "out", "err"),
    [
        (["run", "-y", "--hosts", "second", "web", "name"], 0, "second: second", ""),
        (["--hosts", "second", "-y", "run", "web", "name"], 0, "second: second", ""),
        (["--yes", "--hosts=!second", "run", "web", "name"], 0, "first: first", ""),
        (["run", "--hosts", "secnd", "web", "name"], 2, "", "goes by 'secnd'; did you mean 'sec"),
        (["run", "--hosts", "web[3-", "web", "name"], 2, "", "web[3-"),
        (["run", "--hosts", "", "web", "name"], 2, "", "--hosts"),
        (["run", "--parallel", "0", "web", "name"], 2, "", "number from 1"),
        (["run", "--output", "x", "web", "name"], 2, "", "gather"),
        (["run", "--parallel", "1", "--fail-fast", "-y", "web", "half"], 1, "", "second"),
        (["run", "web", "half", "--hosts", "x"], 2, "", "half"),
    ],
)
def test_the_command_line_says_how(arguments: list[str], status: int, out: str, err: str) -> None:
    result = run_script(SCRIPT, *arguments)
    assert (result.returncode, result.stdout.strip()) == (status, out)
    assert err in result.stderr
    assert "Traceback" not in result.stderr


def test_the_output_of_each_host_is_kept_where_the_command_line_says(tmp_path: Path) -> None:
    result = run_script(SCRIPT, "run", "-y", "--outdir", str(tmp_path / "logs"), "web", "half")
    assert result.returncode == 1
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == [
        "first.log",
        "second.log",
    ]


# Connections.


class Late:
    """A port that nobody listens on until so many have tried to connect."""

    def __init__(self, host: type[SSHHost], failures: int) -> None:
        self.tried = 0
        original = host.connect

        def connect(own: SSHHost) -> None:
            self.tried += 1
            if self.tried > failures:
                return original(own)
            raise ConnectionFailedException(f"{own.slug}: not yet")

        host.connect = connect  # type: ignore[method-assign]


def test_a_connection_is_tried_again_and_a_command_is_not(
    new_ssh_host: Callable[..., type[SSHHost]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("deployer.parallel.running._FIRST_PAUSE", 0.01)
    hosts = [new_ssh_host(name=name) for name in ("one", "two")]
    late = Late(hosts[0], failures=2)
    container = HostsContainer({"host": hosts}, DummyPty())
    with pytest.raises(ParallelExecCommandFailed) as caught:
        container.with_options(retries=2).run("echo begun; exit 3")
    assert late.tried == 3
    assert [error.result for error in caught.value.failures.values()] == ["begun\n"] * 2  # type: ignore[attr-defined]


def test_retries_end() -> None:
    class gone(SSHHost):
        address, port, config_filename = "127.0.0.1", free_port(), None

    class other(LocalHost):
        pass

    with pytest.raises(ParallelExecCommandFailed) as caught:
        HostsContainer({"host": (gone, other)}).with_options(retries=1).run("echo x")
    assert isinstance(caught.value.failures["gone"], ConnectionFailedException)
    assert caught.value.results == {"other": "x\n"}


def test_ctrl_c_ends_the_pause_before_a_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployer.parallel.running._FIRST_PAUSE", 1000.0)
    monkeypatch.setattr("deployer.parallel.running._LONGEST_PAUSE", 1000.0)
    failed = threading.Event()

    class gone(SSHHost):
        address, port, config_filename = "127.0.0.1", free_port(), None

        def connect(self) -> None:
            failed.set()
            super().connect()

    def stop(pty: Pty) -> None:
        failed.wait(10)
        raise KeyboardInterrupt

    jobs: list[Job[None]] = [Job("a", lambda pty: None, (gone,)), Job("b", stop)]
    with pytest.raises(Interrupted):
        run(DummyPty(), jobs, RunOptions(retries=3))


def test_wrong_credentials_are_not_tried_again(
    new_ssh_host: Callable[..., type[SSHHost]], world: World
) -> None:
    other = type("other", (LocalHost,), {})
    with world.serve() as server:
        host = new_ssh_host(server=server, key_filename=None, password="wr0ng")
        with pytest.raises(ParallelExecCommandFailed) as caught:
            HostsContainer({"host": (host, other)}).with_options(retries=3).run("true")
        log = world.run(["cat", server.log])
    assert isinstance(caught.value.failures["Remote"], AuthenticationFailed)
    # One was that of the test, to see whether the server listens.
    assert log.count("Connection from ") == 2
