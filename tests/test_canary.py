"""A password that is used in every way, with every failure, and found nowhere.

The password is unique. It is looked for in what is shown, logged and raised, in every value that
callers get, in the command lines and environments of all processes, and in all files of the world.
"""

from __future__ import annotations

import copy
import io
import logging
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from canary import Canary
from deployer.contrib.loggers import OnHostLogger
from deployer.exceptions import ActionException, DeployerException
from deployer.host import SSHHost
from deployer.host_container import HostsContainer
from deployer.loggers import DefaultLogger, IndentedDefaultLogger, LoggerInterface, TraceLogger
from deployer.node import Env, Node, ParallelNode
from deployer.pseudo_terminal import DummyPty
from deployer.secret import Secret
from fault_proxy import FaultProxy, fault_proxy
from terminals import open_terminal
from world import PASSWORD, Server, World

pytestmark = pytest.mark.faults

NewHost = Callable[..., type[SSHHost]]


@pytest.fixture
def canary(world: World) -> Iterator[Canary]:
    """Give two users the password, for as long as the test takes."""
    canary = Canary()
    canary.set_password(world, "deploy", "nosudo")
    yield canary
    world.run(["chpasswd"], input=f"deploy:{PASSWORD}\nnosudo:{PASSWORD}\n")


def given_as(kind: str, canary: Canary) -> Any:
    """Return the password in one of the ways in which a host can have it."""
    if kind == "text":
        return canary.password
    if kind == "a Secret":
        return Secret(canary.password)
    if kind == "a function that gives a Secret":
        return staticmethod(lambda: Secret(canary.password))
    return staticmethod(lambda: canary.password)


KINDS = ("text", "a Secret", "a function", "a function that gives a Secret")


class Uses:
    """What is done with hosts that have the password; all that callers get of it is looked into.

    :param hosts: those that a history is kept on.
    """

    def __init__(self, canary: Canary, hosts: list[type[SSHHost]]) -> None:
        self._canary = canary
        self._shown = io.StringIO()
        self._trace = TraceLogger()
        self.logger = LoggerInterface()
        for logger in (
            DefaultLogger(self._shown),
            IndentedDefaultLogger(self._shown),
            self._trace,
            OnHostLogger("~/history-of-the-canary", hosts),
        ):
            self.logger.attach(logger)
        self.pty = DummyPty()
        self.failures: list[str] = []

    def on(self, host: type[SSHHost]) -> SSHHost:
        return host(self.pty, self.logger)

    def attempt(self, what: str, function: Callable[[], object]) -> None:
        """Do something; look in what it returns or raises."""
        try:
            value = function()
        except Exception as error:
            assert isinstance(error, DeployerException), f"{what}: {error!r}"
            self.failures.append(what)
            self._canary.look_in_error(what, error)
        else:
            self._canary.look_in_value(what, value)

    def look_back(self) -> None:
        """Look in what was logged and shown until now."""
        for entry in [*self._trace.entries, *self._trace.runs]:
            self._canary.look_in_value("an entry", entry)
            if isinstance(error := getattr(entry, "error", None), BaseException):
                self._canary.look_in_error("an entry", error)
        self._canary.look_in("the loggers' lines", self._shown.getvalue())
        self._canary.look_in("the terminal", self.pty.get_output())


def test_a_password_is_found_nowhere(
    canary: Canary, new_ssh_host: NewHost, world: World, sshd: Server
) -> None:
    with (
        ExitStack() as stack,
        ThreadPoolExecutor(len(KINDS)) as threads,
        canary.watching_logs(),
        canary.watching_processes(),
    ):
        runs = []
        for kind in KINDS:
            proxy = stack.enter_context(fault_proxy(sshd.port))
            hosts = _Hosts(kind, canary, new_ssh_host, world, sshd, proxy)
            runs.append((hosts, Uses(canary, [hosts.plain, hosts.keyed])))
        list(threads.map(lambda run: _use(*run), runs))
    for hosts, uses in runs:
        uses.look_back()
        for host in hosts.all:
            canary.look_in_value("a host", host())
            canary.look_in_value("a host's class", repr(host))
            canary.look_in_value("a container", HostsContainer({"host": (host,)}))
    canary.look_in_files(world)
    assert canary.found == []
    # It was used, and things went wrong.
    for _, uses in runs:
        # How many bytes logging in takes is the server's matter.
        assert [name for name in uses.failures if not name.startswith("cut after")] == [
            *("sudo fails", "sudo fails", "sudo takes too long", "a command takes too long"),
            *("a bad command", "no such file", "login refused", "sudo refused"),
            *("sudo refused at a terminal", "root reads nothing", "root may not read"),
            *("not in sudoers", "no such port", "cut in the middle"),
            *("several hosts", "an action", "cells"),
        ]
        assert "cut after 10" in uses.failures
    assert "sudo" in world.run(["cat", "/home/deploy/history-of-the-canary"])
    world.run(["rm", "/home/deploy/history-of-the-canary"])
    world.run(["sh", "-c", "rm /tmp/of-the-canary*"])


class _Hosts:
    """Hosts that have the password in one of the ways, and what is wrong with some of them."""

    def __init__(
        self,
        kind: str,
        canary: Canary,
        new_ssh_host: NewHost,
        world: World,
        sshd: Server,
        proxy: FaultProxy,
    ) -> None:
        def new_host(name: str, **attributes: Any) -> type[SSHHost]:
            settings = {"password": given_as(kind, canary), "key_filename": None, "timeout": 5}
            host = new_ssh_host(name=name, **(settings | attributes))
            self.all.append(host)
            return host

        self.all: list[type[SSHHost]] = []
        self.proxy = proxy
        self.name = kind.replace(" ", "-")
        wrong = {"password": f"not {canary.password}"}
        key = {"key_filename": world.key_filename}
        behind = Server(proxy.address, proxy.port, sshd.host_key, sshd.log)
        self.plain = new_host("Plain")
        self.keyed = new_host("Keyed", **key)
        self.refused = new_host("Refused", **wrong)
        self.unsure = new_host("Unsure", **wrong, **key)
        self.nosudo = new_host("NoSudo", user="nosudo")
        self.cut = new_host("Cut", server=behind)
        self.away = new_host("Away", port=1)


def _use(hosts: _Hosts, uses: Uses) -> None:
    on, attempt = uses.on, uses.attempt
    path = f"/tmp/of-the-canary-{hosts.name}"

    def write(host: SSHHost) -> None:
        with host.open(path, "w", use_sudo=True) as file:
            file.write("content")

    def read(host: SSHHost, name: str) -> object:
        with host.open(name, use_sudo=True) as file:
            return file.read()

    def cut_in_the_middle() -> object:
        host = on(hosts.cut)
        host.run("true")
        dropping = threading.Timer(0.2, hosts.proxy.drop_all)
        dropping.start()
        try:
            return host.sudo("echo begun; sleep 30", timeout=20)
        finally:
            dropping.join()

    def cut_while_logging_in(after: int) -> object:
        hosts.cut.close_connection()
        hosts.proxy.set(drop_after_down=after)
        return on(hosts.cut).sudo("true")

    for host in (hosts.plain, hosts.keyed):
        attempt("run", lambda host=host: on(host).run("env; cat /proc/$$/cmdline"))
        attempt("sudo", lambda host=host: on(host).sudo("env; cat /proc/*/cmdline; true"))
        attempt("sudo at a terminal", lambda host=host: on(host).sudo("id", interactive=True))
        attempt("sudo fails", lambda host=host: on(host).sudo("echo no >&2; exit 3"))
        attempt("sudo writes", lambda host=host: write(on(host)))
        attempt("sudo reads", lambda host=host: read(on(host), path))
    plain, unsure = hosts.plain, hosts.unsure
    attempt("sudo echoes", lambda: on(plain).sudo("cat", initial_input="input\n"))
    attempt("sudo takes too long", lambda: on(plain).sudo("sleep 30", timeout=0.5))
    attempt("a command takes too long", lambda: on(plain).run("sleep 30", timeout=0.5))
    attempt("a bad command", lambda: on(plain).sudo("if then"))
    attempt("no such file", lambda: on(plain).stat("/no"))
    attempt("login refused", lambda: on(hosts.refused).run("true"))
    attempt("sudo refused", lambda: on(unsure).sudo("true"))
    attempt("sudo refused at a terminal", lambda: on(unsure).sudo("true", interactive=True))
    attempt("root reads nothing", lambda: read(on(plain), "/no"))
    attempt("root may not read", lambda: read(on(unsure), path))
    attempt("not in sudoers", lambda: on(hosts.nosudo).sudo("true"))
    attempt("no such port", lambda: on(hosts.away).run("true"))
    attempt("cut in the middle", cut_in_the_middle)
    for after in (10, 1500, 2500, 3500):
        attempt(f"cut after {after}", lambda after=after: cut_while_logging_in(after))
    several = HostsContainer(
        {"host": (plain, hosts.refused, unsure, hosts.away)}, uses.pty, uses.logger
    )
    attempt("several hosts", lambda: several.sudo("true"))
    attempt("an action", Env(_tree(plain), uses.pty, uses.logger).sites.work)
    attempt("cells", Env(_farm(plain, hosts.refused, unsure), uses.pty, uses.logger).work)


def _tree(host_class: type[SSHHost]) -> Node:
    class Root(Node):
        class Hosts:
            host = host_class

        class sites(Node):
            def work(self) -> None:
                try:
                    self.inner()
                except ActionException as error:
                    raise LookupError(self.host) from error

            def inner(self) -> None:
                with self.host.cd("/"):
                    self.host.sudo("exit 9")

    return Root()


def _farm(*hosts: type[SSHHost]) -> Node:
    class Farm(ParallelNode):
        class Hosts:
            host = hosts

        def work(self) -> str:
            result: str = self.host.sudo("echo out")
            return result

    return Farm()


def test_a_password_that_is_typed_is_found_nowhere(
    canary: Canary, new_ssh_host: NewHost, world: World
) -> None:
    host = new_ssh_host(password=None, key_filename=None)
    results: list[object] = []
    with ExitStack() as stack:
        terminal = stack.enter_context(open_terminal())
        stack.enter_context(canary.watching_logs())
        stack.enter_context(canary.watching_processes())

        def work() -> None:
            try:
                results.append(host(terminal.pty).sudo("id -un", interactive=False))
                results.append(host(terminal.pty).sudo("exit 3", interactive=False))
            except Exception as error:
                results.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        terminal.read_until("assword")
        terminal.type(canary.password + "\n")
        thread.join(30)
        assert not thread.is_alive()
        assert results[0] == "root\n"
        canary.look_in("the screen", terminal.read_until("root"))
    assert isinstance(results[1], DeployerException)
    canary.look_in_error("typed", results[1])
    canary.look_in_value("typed", results[0])
    canary.look_in_files(world)
    assert canary.found == []


def test_a_secret_stays_one_when_it_is_passed_on(canary: Canary) -> None:
    secret = Secret(canary.password)
    for value in (secret, copy.copy(secret), copy.deepcopy(secret), [secret], {"a": (secret,)}):
        canary.look_in_value("a Secret", value)
    canary.look_in("formatted", f"{secret} {secret!r} {secret!s:>20} %s" % secret)
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(secret)
    assert canary.found == []


# The search itself.


def test_the_search_finds_a_planted_password(canary: Canary, world: World) -> None:
    def places(look: Callable[[], object]) -> list[str]:
        canary.found.clear()
        look()
        return canary.found

    def fail(password: str) -> None:
        raise DeployerException("something else")

    def look_in_error() -> None:
        try:
            fail(canary.password)
        except DeployerException as error:
            canary.look_in_error("planted", error)

    def look_in_attribute() -> None:
        error = DeployerException("something else")
        error.inner = {"a": [Exception(), (canary.password,)]}  # type: ignore[attr-defined]
        canary.look_in_value("planted", error)

    def look_in_cause() -> None:
        try:
            raise DeployerException("something else") from ValueError(canary.password)
        except DeployerException as error:
            canary.look_in_error("planted", error)

    def look_in_logs() -> None:
        with canary.watching_logs():
            logging.getLogger("paramiko.transport").debug("it is %s", canary.password)

    def look_in_process() -> None:
        program = "import sys; sys.stdin.read()"
        argv = [sys.executable, "-c", program, canary.password]
        # It ends when its input does, after somebody has looked.
        with subprocess.Popen(argv, stdin=subprocess.PIPE), canary.watching_processes():
            pass

    assert places(look_in_error) != []
    assert places(look_in_attribute) != []
    assert places(look_in_cause) != []
    assert places(look_in_logs) != []
    assert places(look_in_process) != []
    planted = ["sh", "-c", 'printf %s "$(cat)" >/home/deploy/planted']
    world.run(planted, input=canary.password)
    assert places(lambda: canary.look_in_files(world)) != []
    world.run(["rm", "/home/deploy/planted"])
    assert places(lambda: canary.look_in_files(world)) == []
