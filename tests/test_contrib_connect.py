"""A shell on one of the hosts of a node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from deployer.contrib.nodes.connect import Connect
from deployer.exceptions import ActionException, NoInput
from deployer.host import LocalHost, SSHHost
from deployer.inspection import Inspector
from deployer.node import Env, Node, ParallelNode
from deployer.pseudo_terminal import DummyPty, Pty
from ready_made import node_on
from terminals import open_terminal, person

pytestmark = pytest.mark.machine


class web1(LocalHost):
    pass


class web2(LocalHost):
    pass


def site_with(*given: Any, pty: Pty | None = None, is_sandbox: bool = False) -> Any:
    """Return a tree with a Connect in a node, and in an array, of these hosts."""

    class Site(Node):
        class Hosts:
            web = given

        class connect(Connect):
            pass

        class web(ParallelNode.Array):
            class connect(Connect):
                pass

    return Env(Site(), pty or DummyPty(), None, is_sandbox)


@pytest.mark.parametrize("use_sudo", [False, True])
def test_a_person_gets_a_shell_on_the_host(admin_host: type[SSHHost], use_sudo: bool) -> None:
    with open_terminal() as terminal:
        connect = node_on(admin_host, Connect, pty=terminal.pty, use_sudo=use_sudo)

        def act() -> None:
            user = "root" if use_sudo else admin_host.username
            # What is typed ahead would be an answer to sudo.
            terminal.read_until("# " if user == "root" else "$ ")
            terminal.type("echo I am $(id -un)\n")
            terminal.read_until(f"I am {user}")
            terminal.type("exit 3\n")

        with person(act):
            # How the shell ends is no failure.
            assert connect() is None


@pytest.mark.parametrize("choose", [lambda site: site.connect, lambda site: site.web.connect])
def test_of_several_hosts_one_is_chosen(
    new_ssh_host: Callable[..., type[SSHHost]], choose: Callable[[Any], Any]
) -> None:
    hosts = [new_ssh_host("deploy", name="web1"), new_ssh_host("nopass", name="web2")]
    with open_terminal() as terminal:
        connect = choose(site_with(*hosts, pty=terminal.pty))

        def act() -> None:
            terminal.read_until("Select a host")
            terminal.type("web2\n")
            terminal.type("echo I am $(id -un)\n")
            terminal.read_until("I am nopass")
            terminal.type("exit\n")

        with person(act):
            connect.with_host()


def test_of_an_array_the_cell_is_chosen_before() -> None:
    with open_terminal() as terminal:
        site = site_with(web1, web2, pty=terminal.pty)
        with person(lambda: terminal.type("echo on $((1 + 1)); exit\n")):
            site.web[web2].connect()
        assert "Select" not in terminal.read_until("on 2")


def test_without_a_terminal_there_is_no_shell() -> None:
    for connect, problem in (
        (site_with(web1).connect, "a shell on web1 needs a terminal, and there is none"),
        (site_with(web1).web.connect, "a shell on web1 needs a terminal, and there is none"),
        (site_with(web1, web2).connect, "Select a host of Site.connect"),
        (site_with().connect, "there are no hosts"),
    ):
        with pytest.raises(ActionException, match=problem) as caught:
            connect()
        assert isinstance(caught.value.inner_exception, NoInput) is ("no hosts" not in problem)


def test_in_a_sandbox_no_shell_is_opened() -> None:
    with open_terminal() as terminal:
        site_with(LocalHost, pty=terminal.pty, is_sandbox=True).connect()


def test_it_is_run_by_its_name() -> None:
    inspector = Inspector(site_with(LocalHost).connect)
    assert inspector.is_callable()
    assert [action.name for action in inspector.get_actions()] == ["with_host"]
