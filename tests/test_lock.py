"""Locks on hosts: one holder, who is named, whatever breaks at whatever moment."""

from __future__ import annotations

import getpass
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from deadly import Deadly
from deployer.contrib.nodes import Lock
from deployer.exceptions import (
    ActionException,
    ConnectionLost,
    DeployerException,
    LockHeld,
    NoInput,
)
from deployer.host import Host, LocalHost, SSHHost
from deployer.node import Env, Node
from deployer.pseudo_terminal import DummyPty, Pty
from fault_proxy import fault_proxy
from ready_made import Answering
from terminals import ROOT
from world import Server, World

pytestmark = pytest.mark.faults

NewHost = Callable[..., type[SSHHost]]

ME = f"{getpass.getuser()}@{socket.gethostname()}"


def lock_at(
    path: object, host: type[Host] = LocalHost, pty: Pty | None = None, **attributes: Any
) -> Any:
    """Return a lock in an Env."""

    class Site(Node):
        class Hosts:
            role = host

        class lock(Lock):
            pass

    Site.lock.path = str(path)
    for name, value in attributes.items():
        setattr(Site.lock, name, value)
    return Env(Site(), pty or DummyPty()).lock


@pytest.fixture
def path(host_class: type[Host], tmp_path: Path) -> Iterator[str]:
    """Give a path for a lock on the host, and remove what is left there."""
    path = f"/tmp/lock-{os.getpid()}-{tmp_path.name}"
    yield path
    host_class().run(f"rm -rf {path}*")


@contextmanager
def raising(kind: type[BaseException], match: str = ".") -> Iterator[list[Any]]:
    """Expect that an action fails with this kind of exception; give that."""
    found: list[Any] = []
    with pytest.raises(ActionException, match=match) as caught:
        yield found
    found.append(caught.value.inner_exception)
    assert type(found[0]) is kind


# In a process of its own, since a lock belongs to a process. It answers every line with a line.
_OTHER = """
import json, os, signal, sys
from deployer.contrib.nodes import Lock, lock
from deployer.exceptions import ActionException
from deployer.host import LocalHost, SSHHost
from deployer.node import Env, Node

given = json.loads(sys.argv[1])
lock_path, die_after = given.pop("lock_path"), given.pop("die_after", None)
kind = SSHHost if given else LocalHost
host_class = type(given.pop("slug", "There"), (kind,), given)

class Site(Node):
    class Hosts:
        role = host_class
    class lock(Lock):
        path = lock_path

if die_after is not None:
    run, steps = lock._Place.run, []
    def run_and_die(self, *arguments):
        result = run(self, *arguments)
        steps.append(arguments)
        if len(steps) == die_after:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    lock._Place.run = run_and_die

print("ready", flush=True)
for number, line in enumerate(sys.stdin):
    Site.lock.path = lock_path.format(number)
    try:
        getattr(Env(Site()).lock, line.strip())()
    except ActionException as error:
        print(f"{type(error.inner_exception).__name__}: {error}".replace("\\n", " "), flush=True)
    else:
        print("done", flush=True)
"""


class Other:
    """A process that does what it is told with a lock."""

    def __init__(self, path: str, host: type[SSHHost] | None = None, **options: Any) -> None:
        given = dict(options, lock_path=path)
        if host is not None:
            names = ("address", "port", "username", "password", "key_filename", "config_filename")
            given |= {name: getattr(host, name) for name in names} | {"slug": host.slug}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _OTHER, json.dumps(given)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        self.pid = self._process.pid
        self.begin_answer()

    def tell(self, action: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{action}\n")
        self._process.stdin.flush()

    def begin_answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def do(self, action: str) -> str:
        """Return how it went; nothing when the process has died over it."""
        self.tell(action)
        return self.begin_answer()

    def end(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)


@pytest.fixture
def new_other() -> Iterator[Callable[..., Other]]:
    made: list[Other] = []

    def new_other(*arguments: Any, **options: Any) -> Other:
        made.append(Other(*arguments, **options))
        return made[-1]

    yield new_other
    for other in made:
        other.end()


# Holding, and who is told what.


def test_a_lock_is_free_then_held_then_free(host_class: type[Host], path: str) -> None:
    lock = lock_at(path, host_class)
    assert (lock.status(), lock.show()) == (None, "free")
    lock.acquire("maintenance")
    holder = lock.status()
    assert (holder.name, holder.pid, holder.reason) == (ME, os.getpid(), "maintenance")
    assert lock.show() == (
        f"held by {ME} (process {os.getpid()}) since {holder.since}: maintenance"
    )
    lock.release()
    assert lock.status() is None
    assert host_class().run(f"ls -d {path}*", ignore_exit_status=True) == ""


def test_nobody_gets_a_lock_that_is_held_and_all_learn_who_has_it(
    host_class: type[Host], path: str
) -> None:
    lock = lock_at(path, host_class)
    lock.acquire("deploy of v3")
    with raising(LockHeld, match="Wait for it, or") as found:
        lock_at(path, host_class).acquire()
    (error,) = found
    assert (error.host, error.path) == (host_class.slug, path)
    assert (error.holder, error.reason) == (ME, "deploy of v3")
    assert error.since == lock.status().since
    assert f"held by {ME} (process {os.getpid()})" in str(error)
    lock.release()
    assert host_class().run(f"ls -d {path}*", ignore_exit_status=True) == ""


def test_a_lock_is_held_during_a_block_and_not_after_it(tmp_path: Path) -> None:
    lock = lock_at(tmp_path / "lock")
    with lock.hold("deploy of v3"):
        assert lock.status().reason == "deploy of v3"
        with pytest.raises(LockHeld, match="deploy of v3"), lock.hold():
            raise AssertionError("nobody gets here")
    assert lock.status() is None
    with pytest.raises(ZeroDivisionError), lock.hold():
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_who_waits_gets_it_when_it_is_released(tmp_path: Path) -> None:
    first, second = lock_at(tmp_path / "lock"), lock_at(tmp_path / "lock")
    with first.hold("first"):
        waiting = threading.Thread(target=second.acquire, args=("second", 60.0))
        waiting.start()
        # It has got ready, and has not got it.
        while len(list(tmp_path.iterdir())) < 2:
            assert waiting.is_alive()
        assert first.status().reason == "first"
    waiting.join(60)
    assert first.status().reason == "second"
    second.release()


def test_waiting_ends_at_the_deadline(tmp_path: Path) -> None:
    lock = lock_at(tmp_path / "lock")
    with lock.hold("long work"), raising(LockHeld, match="long work"):
        lock.acquire(timeout=0.6)


def test_an_interrupt_ends_the_wait_and_leaves_nothing(tmp_path: Path) -> None:
    pty = DummyPty()
    raised: list[BaseException] = []

    def wait() -> None:
        try:
            lock_at(tmp_path / "lock", pty=pty).acquire(timeout=60.0)
        except KeyboardInterrupt as error:
            raised.append(error)

    with lock_at(tmp_path / "lock").hold():
        waiting = threading.Thread(target=wait)
        waiting.start()
        while len(list(tmp_path.iterdir())) < 2:
            assert waiting.is_alive()
        pty.interrupted.set()
        waiting.join(30)
        assert len(raised) == 1
        assert [found.name for found in tmp_path.iterdir()] == ["lock"]


def test_another_process_is_refused_a_release_and_told_who_holds_it(
    tmp_path: Path, new_other: Callable[..., Other]
) -> None:
    lock = lock_at(tmp_path / "lock")
    other = new_other(str(tmp_path / "lock"))
    assert other.do("release") == "done"
    lock.acquire("mine")
    assert other.do("acquire").startswith(f"LockHeld: There: the lock {tmp_path}/lock is held by")
    answer = other.do("release")
    assert answer.startswith("LockHeld: ") and f"(process {os.getpid()})" in answer
    assert lock.status().reason == "mine"
    lock.release()
    assert other.do("acquire") == "done"
    with raising(LockHeld, match=rf"process {other.pid}"):
        lock.release()
    assert other.do("release") == "done"


def test_breaking_takes_a_confirmation_and_frees_the_lock(tmp_path: Path) -> None:
    lock = lock_at(tmp_path / "lock")
    lock.break_()
    lock.acquire("forgotten")
    with raising(NoInput, match="forgotten, and nobody can be asked .*`lock.break_ confirmed=yes`"):
        lock.break_()
    lock_at(tmp_path / "lock", pty=Answering("no")).break_()
    assert lock.status().reason == "forgotten"
    asked = Answering("yes")
    lock_at(tmp_path / "lock", pty=asked).break_()
    assert f"is held by {ME}" in asked.get_output() and "forgotten" in asked.get_output()
    assert lock.status() is None
    lock.acquire()
    lock.break_(confirmed=True)
    assert lock.status() is None


def test_who_was_robbed_of_a_lock_is_told_and_frees_nobody_elses(tmp_path: Path) -> None:
    pty = DummyPty()
    mine, other = lock_at(tmp_path / "lock", pty=pty), lock_at(tmp_path / "lock")
    with mine.hold("mine"):
        other.break_(confirmed=True)
        other.acquire("other")
    assert "somebody has broken it meanwhile" in pty.get_output()
    assert mine.status().reason == "other"
    other.release()


def test_a_sandbox_locks_nothing(tmp_path: Path) -> None:
    class Site(Node):
        class Hosts:
            role = LocalHost

        class lock(Lock):
            path = str(tmp_path / "lock")

    lock = Env(Site(), DummyPty(), is_sandbox=True).lock
    with lock.hold():
        lock.acquire()
        lock.release()
        assert lock.show() == "free"
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with raising(DeployerException, match=r"the lock .*/no/lock cannot be used: .*No such file"):
        lock_at(tmp_path / "no" / "lock").acquire()
    (tmp_path / "file").write_text("something else")
    with raising(DeployerException, match=r"the lock .*/file cannot be used: .*mv: "):
        lock_at(tmp_path / "file").acquire()
    assert (tmp_path / "file").read_text() == "something else"
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["with space", "it's", "$HOME", "-n", "é*"])
def test_paths_and_reasons_are_literal(tmp_path: Path, name: str) -> None:
    lock = lock_at(tmp_path / name)
    with lock.hold(f"because of {name}"):
        assert lock.status().reason == f"because of {name}"
        assert [found.name for found in tmp_path.iterdir()] == [name]
    assert list(tmp_path.iterdir()) == []


def test_a_lock_of_root(new_ssh_host: NewHost, world: World) -> None:
    lock = lock_at("/etc/lock-of-the-test", new_ssh_host(), use_sudo=True)
    lock.acquire("as root")
    assert world.run(["stat", "-c", "%U %a", "/etc/lock-of-the-test"]) == "root 755\n"
    with raising(DeployerException, match="cannot be used: .*Permission denied"):
        lock_at("/etc/lock-of-the-test", new_ssh_host()).break_(confirmed=True)
    assert lock.status().reason == "as root"
    lock.release()
    assert lock.status() is None


def test_what_a_start_up_file_prints_is_no_holder(new_ssh_host: NewHost, world: World) -> None:
    world.run(["sh", "-c", "cp .bashrc kept; sed -i '1i echo NOISE' .bashrc"], user="nosudo")
    try:
        lock = lock_at("/home/nosudo/lock", new_ssh_host("nosudo"))
        assert lock.status() is None
        lock.acquire("noise")
        assert lock.status().reason == "noise"
        lock.release()
    finally:
        world.run(["mv", "kept", ".bashrc"], user="nosudo")


# At once, killed, and cut off.


def test_of_two_at_once_exactly_one_gets_it(
    new_ssh_host: NewHost, world: World, new_other: Callable[..., Other]
) -> None:
    world.run(["mkdir", "-m", "777", "/tmp/contested"])
    host = new_ssh_host()
    others = [new_other("/tmp/contested/{}", host) for _ in range(2)]
    winners: set[int] = set()
    for _ in range(50):
        for other in others:
            other.tell("acquire")
        first, second = (other.begin_answer() for other in others)
        assert (first == "done") + (second == "done") == 1
        winner, refusal = (others[0], second) if first == "done" else (others[1], first)
        assert f"(process {winner.pid})" in refusal
        winners.add(winner.pid)
    assert len(world.run(["ls", "/tmp/contested"]).split()) == 50


@pytest.mark.parametrize(("steps", "is_held"), [(1, False), (2, True), (3, False)])
def test_a_holder_that_is_killed_leaves_the_lock_free_or_its_own(
    tmp_path: Path, new_other: Callable[..., Other], steps: int, is_held: bool
) -> None:
    other = new_other(str(tmp_path / "lock"), die_after=steps)
    assert (other.do("acquire") and other.do("release")) == ""
    other.end()
    lock = lock_at(tmp_path / "lock")
    if is_held:
        with raising(LockHeld, match=rf"process {other.pid}\).*; that process has ended"):
            lock.acquire()
        lock.break_(confirmed=True)
    lock.acquire("after that")
    assert lock.status().reason == "after that"
    lock.release()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("is_taken", [False, True], ids=["free", "held"])
def test_a_shell_that_is_killed_at_any_program_leaves_the_lock_as_its_caller_was_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, is_taken: bool
) -> None:
    deadly = Deadly(tmp_path / "deadly", monkeypatch)
    seen = set()
    for number in itertools.count(1):
        lock, rival = (lock_at(tmp_path / str(number)) for _ in range(2))
        told: list[str] = []

        def take_and_give_back() -> None:
            lock.acquire("mine")  # noqa: B023
            told.append("acquired")  # noqa: B023
            lock.release()  # noqa: B023
            told.append("released")  # noqa: B023

        if is_taken:
            with rival.hold("rival"):
                was_killed = deadly.kill_at(number, when, take_and_give_back)
                assert told == []
                assert rival.status().reason == "rival"
        else:
            was_killed = deadly.kill_at(number, when, take_and_give_back)
        if not was_killed:
            break
        holder = lock.status()
        seen.add((len(told), holder is not None))
        if holder is not None:
            # Its release failed: it was said that it may be held, and it still is the caller's.
            assert (told, holder.reason) == (["acquired"], "mine")
            lock.release()
        with rival.hold("rival"):
            assert rival.status().reason == "rival"
        assert lock.status() is None
    assert told == ([] if is_taken else ["acquired", "released"])
    if is_taken:
        assert seen == {(0, False)}
    else:
        assert seen == {(0, False), (1, False)} | ({(1, True)} if when == "before" else set())


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_of_two_at_once_one_of_which_is_killed_exactly_one_has_it(
    tmp_path: Path, new_other: Callable[..., Other], steps: int
) -> None:
    survivor = new_other(str(tmp_path / "{}"))
    for number in range(4):
        path = tmp_path / str(number)
        victim = new_other(str(path), die_after=steps)
        survivor.tell("acquire")
        victim.tell("acquire")
        answer = survivor.begin_answer()
        if steps == 3 and victim.begin_answer() == "done":
            victim.tell("release")
        victim.end()
        holder = lock_at(path).status()
        if answer == "done":
            assert holder.pid == survivor.pid
        else:
            assert answer.startswith("LockHeld") and f"(process {victim.pid})" in answer
            assert (None if holder is None else holder.pid) == (victim.pid if steps == 2 else None)


@pytest.mark.parametrize("can_return", [True, False])
@pytest.mark.parametrize("direction", ["down", "up"])
def test_wherever_the_line_is_cut_the_lock_is_what_the_caller_was_told(
    new_ssh_host: NewHost, world: World, sshd: Server, direction: str, can_return: bool
) -> None:
    path = f"/tmp/cut-{direction}-{can_return}"
    direct = lock_at(path, new_ssh_host())
    with fault_proxy(sshd.port) as proxy:
        server = Server(proxy.address, proxy.port, sshd.host_key, sshd.log)
        host = new_ssh_host(server=server, name="Cut", timeout=5)
        lock = lock_at(path, host)

        def passed() -> int:
            count: int = getattr(proxy, direction)
            return count

        def connect() -> int:
            host.close_connection()
            proxy.set(drop_after_down=None, drop_after_up=None)
            before = passed()
            lock.status()
            return passed() - before

        def attempt(action: Callable[[], None], after: int) -> Exception | None:
            # Only the connection that is open, or every later one as well.
            proxy.faulty_connections = proxy.connections if can_return else None
            proxy.set(**{f"drop_after_{direction}": after})
            try:
                action()
            except ActionException as error:
                return error.inner_exception  # type: ignore[return-value]
            return None

        begin = connect()
        before = passed()
        lock.acquire()
        acquiring = passed() - before
        lock.release()
        releasing = passed() - before - acquiring
        told = {"done": 0, "failed": 0, "unknown": 0}
        for part in range(1, 8):
            connect()
            error = attempt(lock.acquire, begin + acquiring * part // 8)
            if error is None:
                told["done"] += 1
                assert direct.status().name == ME
            elif "is unknown" in str(error):
                told["unknown"] += 1
                assert isinstance(error, ConnectionLost)
            else:
                told["failed"] += 1
                assert isinstance(error, ConnectionLost) and "was not taken" in str(error)
                assert direct.status() is None
            direct.break_(confirmed=True)
            connect()
            lock.acquire()
            # Not to the last byte: acquiring took a little more or less this time.
            error = attempt(lock.release, begin + acquiring + releasing * part // 8)
            if error is None:
                assert direct.status() is None
            else:
                assert "may be held still" in str(error)
            direct.break_(confirmed=True)
        # Where it can come back, it always finds out.
        assert told["unknown"] == 0 or not can_return
        assert told["done"] or told["unknown"]
        host.close_connection()
    assert world.run(["sh", "-c", f"ls -d {path}"], check=False) == ""
