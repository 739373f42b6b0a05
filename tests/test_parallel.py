"""Jobs at once: all finish, in bounds, and every outcome is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial

import pytest

from deployer.host import SSHHost
from deployer.parallel import Interrupted, Job, Outcome, RunOptions, pool, run
from deployer.pseudo_terminal import DummyPty, Presentation, Pty
from terminals import ROOT
from waiting import until
from world import World


def jobs(functions: dict[str, Callable[[Pty], object]]) -> list[Job[object]]:
    return [Job(name, function) for name, function in functions.items()]


def test_outcomes_come_in_the_order_of_the_jobs() -> None:
    ready = threading.Event()

    def slow(pty: Pty) -> str:
        ready.wait(10)
        return "slow"

    def quick(pty: Pty) -> str:
        ready.set()
        return "quick"

    outcomes = run(DummyPty(), jobs({"a": slow, "b": quick}))
    assert outcomes == [Outcome("a", "slow"), Outcome("b", "quick")]


def test_a_failure_is_kept_and_stops_nobody() -> None:
    error = ValueError("no")

    def fail(pty: Pty) -> None:
        raise error

    outcomes = run(DummyPty(), jobs({"a": fail, "b": lambda pty: 2, "c": fail}))
    assert outcomes == [Outcome("a", error=error), Outcome("b", 2), Outcome("c", error=error)]


def test_a_single_job_runs_right_here() -> None:
    pty = DummyPty()
    found = run(pty, jobs({"a": lambda own: (own is pty, threading.current_thread())}))
    assert found[0].result == (True, threading.current_thread())


def test_there_may_be_no_jobs() -> None:
    assert run(DummyPty(), []) == []


def test_no_more_run_at_once_than_asked_for() -> None:
    lock = threading.Lock()
    running = 0
    most = 0
    full = threading.Barrier(3)

    def work(pty: Pty) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        # Passes only when three are here at once: so three is reached, and the end as well.
        full.wait(10)
        with lock:
            running -= 1

    outcomes = run(DummyPty(), [Job(str(n), work) for n in range(12)], RunOptions(fan_out=3))
    assert [outcome.error for outcome in outcomes] == [None] * 12
    assert most == 3


def test_a_fan_out_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="fan_out"):
        RunOptions(fan_out=0)


def test_lines_are_whole_and_say_whose_they_are() -> None:
    pty = DummyPty()
    turn = threading.Barrier(2)

    def work(own: Pty) -> None:
        for part in ("half ", "a line\nand ", "the rest"):
            turn.wait(10)
            own.write(part)

    run(pty, jobs({"web": work, "database": work}))
    lines = pty.get_output().splitlines()
    assert sorted(lines) == [
        "database | and the rest",
        "database | half a line",
        "web      | and the rest",
        "web      | half a line",
    ]


def test_of_a_line_that_redraws_itself_the_last_state_is_shown() -> None:
    pty = DummyPty()
    run(pty, jobs({"a": lambda own: own.write("10%\r50%\r100%\r\n"), "b": lambda own: None}))
    assert pty.get_output() == "a | 100%\n"


def test_nobody_waits_for_a_keyboard_in_a_job() -> None:
    found = run(
        DummyPty("typed\n"),
        [Job(name, lambda own: (own.is_interactive, own.stdin.read())) for name in "ab"],
    )
    assert [outcome.result for outcome in found] == [(False, "")] * 2


def test_jobs_within_jobs_show_both_names() -> None:
    pty = DummyPty()

    def inner(own: Pty) -> None:
        run(own, jobs({"x": lambda pty: pty.write("hi\n"), "y": lambda pty: None}))

    run(pty, jobs({"a": inner, "b": lambda own: None}))
    assert pty.get_output() == "a | x | hi\n"


def test_ctrl_c_does_not_wait_for_a_job_that_does_not_notice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "_TIME_TO_STOP", 0.1)
    running = threading.Barrier(3)
    released = threading.Event()
    asked: list[Pty] = []

    def deaf(pty: Pty) -> None:
        asked.append(pty)
        running.wait(10)
        released.wait(10)

    def interrupt() -> None:
        running.wait(10)
        os.kill(os.getpid(), signal.SIGINT)

    person = threading.Thread(target=interrupt)
    person.start()
    queued: list[Pty] = []
    with pytest.raises(KeyboardInterrupt) as caught:
        run(
            DummyPty(),
            [Job("a", deaf), Job("b", deaf), Job("c", queued.append)],
            RunOptions(fan_out=2),
        )
    assert str(caught.value) == "stopped: a, b; not begun: c"
    person.join()
    assert [pty.interrupted.is_set() for pty in asked] == [True, True]
    released.set()
    assert queued == []


def test_another_thread_may_stop_a_run() -> None:
    pty = DummyPty()
    running = threading.Barrier(3)

    def work(own: Pty) -> None:
        running.wait(10)
        own.interrupted.wait(10)
        own.check_interrupted()

    def stop() -> None:
        running.wait(10)
        pty.interrupted.set()

    person = threading.Thread(target=stop)
    person.start()
    with pytest.raises(Interrupted) as caught:
        run(pty, [Job(name, work) for name in "abc"], RunOptions(fan_out=2))
    assert str(caught.value) == "stopped: a, b; not begun: c"
    person.join()
    # It holds until somebody takes it back.
    with pytest.raises(Interrupted, match="not begun: d, e"):
        run(pty, [Job(name, work) for name in "de"])


class _Clock:
    """A clock that stands still but for what is added, and tells when somebody looks."""

    def __init__(self) -> None:
        self.now = 0.0
        self._looked = threading.Event()

    def monotonic(self) -> float:
        self._looked.set()
        return self.now

    def wait_for_looks(self, count: int) -> None:
        for _ in range(count):
            self._looked.clear()
            assert self._looked.wait(10)


def test_after_ctrl_c_many_may_take_long_together(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = _Clock()
    monkeypatch.setattr(pool, "time", clock)
    monkeypatch.setattr(pool, "_LOOK", 0.01)
    threads: list[threading.Thread] = []
    running = threading.Barrier(4)

    def stop_slowly(pty: Pty) -> None:
        if running.wait(10) == 0:
            os.kill(os.getpid(), signal.SIGINT)
        pty.interrupted.wait(10)
        with running_alone:
            for thread in threads:
                thread.join(10)
            # The second is after somebody has looked how many are left.
            clock.wait_for_looks(2)
            clock.now += pool._TIME_TO_STOP * 0.9
            threads.append(threading.current_thread())

    running_alone = threading.Lock()
    with pytest.raises(Interrupted) as caught:
        run(DummyPty(), [Job(name, stop_slowly) for name in "abcd"])
    assert str(caught.value) == "done: a, b, c, d"
    assert clock.now > 3 * pool._TIME_TO_STOP


def test_what_a_second_ctrl_c_closes_was_stopped_and_has_not_failed(
    new_ssh_host: Callable[..., type[SSHHost]], world: World
) -> None:
    hosts = [new_ssh_host(name=name) for name in ("a", "b")]
    # A number that no other run of the tests on this machine has.
    command = f"sleep 20.{os.getpid()}"
    ptys: list[Pty] = []

    def work(host: type[SSHHost], pty: Pty) -> None:
        ptys.append(pty)
        # Nothing but the end of its connection ends it for us.
        host(pty).run(f"trap '' INT HUP TERM; {command}")

    def count_running() -> int:
        return len(world.run(["pgrep", "-xf", command], check=False).split())

    def interrupt_twice() -> None:
        until(lambda: count_running() == 2)
        os.kill(os.getpid(), signal.SIGINT)
        until(lambda: all(pty.interrupted.is_set() for pty in ptys))
        os.kill(os.getpid(), signal.SIGINT)

    person = threading.Thread(target=interrupt_twice)
    person.start()
    pty = DummyPty()
    pty.presentation = Presentation("gather")
    with pytest.raises(Interrupted) as caught:
        run(pty, [Job(host.slug, partial(work, host), (host,)) for host in hosts])
    person.join()
    assert str(caught.value) == "stopped: a, b"
    assert "a,b (2)  stopped" in pty.get_output()


def test_what_had_ended_before_ctrl_c_is_kept() -> None:
    error = ValueError("no")

    def fail(pty: Pty) -> None:
        raise error

    def stop(pty: Pty) -> None:
        raise KeyboardInterrupt

    functions = {"a": lambda pty: 1, "b": fail, "c": lambda pty: 3, "d": stop, "e": lambda pty: 5}
    with pytest.raises(Interrupted) as caught:
        run(DummyPty(), jobs(functions), RunOptions(fan_out=1))
    assert caught.value.outcomes == [Outcome("a", 1), Outcome("b", error=error), Outcome("c", 3)]
    assert caught.value.results == {"a": 1, "c": 3}
    assert str(caught.value) == "done: a, c; failed: b; stopped: d; not begun: e"


def test_of_many_names_a_few_are_shown() -> None:
    assert str(Interrupted([], [], list("abcdef"))) == "not begun: a, b, c and 3 more"


_SCRIPT = """
import sys
from deployer.host import LocalHost
from deployer.host_container import HostsContainer
from deployer.parallel import Job, run
from deployer.pseudo_terminal import Pty

hosts = tuple(type(f"Host{n}", (LocalHost,), {}) for n in range(3))
container = HostsContainer({"host": hosts}, pty=Pty())
try:
    container.run(f"echo begun; sleep {sys.argv[1]}; echo never")
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.exit(130)
"""


def test_ctrl_c_ends_what_runs_on_all_hosts() -> None:
    # A number that no other run of the tests on this machine has.
    seconds = f"5432.{os.getpid()}"
    process = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, seconds], cwd=ROOT, stdout=subprocess.PIPE, encoding="utf-8"
    )
    assert process.stdout is not None
    begun = [process.stdout.readline() for _ in range(3)]
    assert sorted(begun) == [f"Host{n} | begun\n" for n in range(3)]
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=30)
    assert (rest, process.returncode) == ("interrupted\n", 130)
    assert subprocess.run(["pgrep", "-f", f"[s]leep {seconds}"], check=False).returncode == 1
