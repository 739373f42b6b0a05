"""Questions about a whole tree: its hosts, and the status of its nodes."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.contrib.nodes.inspection import AnalyseHost, Inspection
from deployer.exceptions import ActionException, DeployerException
from deployer.host import LocalHost, SSHHost
from deployer.node import Env, Node, ParallelNode, map_roles
from deployer.pseudo_terminal import DummyPty
from deployer.secret import Secret
from shell_session import Session
from terminals import open_terminal

pytestmark = pytest.mark.machine


class web1(LocalHost):
    address = "10.0.0.1"


class web2(LocalHost):
    pass


class db(LocalHost):
    pass


class Site(Node):
    """A tree in which the same hosts are in several roles."""

    class Hosts:
        web = (web1, web2)
        database = (db,)
        queue = (web1,)

    class inspection(Inspection):
        pass

    class analyse_host(AnalyseHost):
        pass

    @map_roles("web")
    class web(ParallelNode.Array):
        def status(self) -> str:
            return f"{self.host.slug} is up\n"

        class cache(Node):
            pass

    @map_roles("database", clients="web")
    class database(Node):
        def status(self) -> None:
            pass

    class queue(Node):
        class Hosts:
            host = web1

        class lonely(Node):
            class Hosts:
                host = db


WEB1 = """\
web1 (10.0.0.1)
  Site: web, queue
  Site.web: host
  Site.database: clients
  Site.queue: host"""
WEB2 = """\
web2 (localhost)
  Site: web
  Site.web: host
  Site.database: clients"""
DB = """\
db (localhost)
  Site: database
  Site.database: host
  Site.queue.lonely: host"""


def test_all_hosts_are_listed_with_what_uses_them() -> None:
    assert Env(Site()).inspection.list_hosts() == f"{WEB1}\n\n{WEB2}\n\n{DB}"


def test_a_host_is_analysed_by_its_name() -> None:
    site = Env(Site())
    assert site.analyse_host("db") == DB
    assert site.inspection.analyse_host("web1") == WEB1
    assert Session(Site).run("analyse_host web2") == f"{WEB2}\n"
    with pytest.raises(ActionException, match=r"no host of Site goes by 'wbe1': did you mean 'web"):
        site.analyse_host("wbe1")
    with pytest.raises(ActionException, match=r"by 'x': it has web1, web2, db"):
        site.analyse_host("x")


def test_hosts_of_the_same_name_are_all_analysed() -> None:
    class Twice(Site):
        class other(Node):
            class Hosts:
                host = type("Another", (LocalHost,), {"slug": "db", "address": "10.0.0.9"})

    assert Env(Twice()).analyse_host("db") == (
        f"{DB}\n\ndb (10.0.0.9)\n  Twice.other: host".replace("Site", "Twice")
    )


def test_without_a_name_the_host_is_chosen() -> None:
    with pytest.raises(ActionException, match="Select a host"):
        Env(Site()).analyse_host()
    with open_terminal() as terminal:
        terminal.type("3\n")
        assert Env(Site(), terminal.pty).analyse_host() == DB


def test_the_status_of_all_nodes_is_shown_by_node() -> None:
    pty = DummyPty()
    results = Env(Site(), pty).inspection.global_status()
    assert pty.get_output() == (
        "Site.web\n    web1: web1 is up\n    web2: web2 is up\nSite.database\n    done\n"
    )
    assert list(results) == ["Site.web", "Site.database"]
    assert list(results["Site.web"]) == ["web1 is up\n", "web2 is up\n"]


def test_failures_keep_no_other_status_from_being_shown() -> None:
    class Broken(Site):
        class bad(Node):
            def status(self) -> None:
                self.parent.queue.host.run("echo it is down >&2; exit 4")

        class wrong(ParallelNode.JustOne):
            pass

        class last(Node):
            word = Secret("hunter2 and more")

            def status(self) -> list[str]:
                return ["all", f"is well, {self.word.reveal()}"]

    pty = DummyPty()
    with pytest.raises(ActionException) as caught:
        Env(Broken(), pty).inspection.global_status()
    assert isinstance(caught.value.inner_exception, DeployerException)
    first, bad, unmade = str(caught.value).split("\n  ")[:3]
    assert first == "the status of 2 of 5 nodes is not known:"
    assert bad.startswith("Broken.bad: ") and "exit 4" in bad
    assert unmade.startswith("what cannot be made: Broken.wrong is a .JustOne")
    output = pty.get_output()
    assert "Broken.bad\n" in output and "it is down" in output
    assert output.endswith("Broken.last\n    ['all', 'is well, ***']\n")
    session = Session(Broken)
    session.run("inspection.global_status")
    assert session.status == 1


def test_an_inspection_does_not_inspect_itself() -> None:
    class Inspected(Inspection):
        def status(self) -> Any:
            return self.global_status()

    class Twice(Site):
        class again(Inspected):
            pass

    assert list(Env(Twice()).again.status()) == ["Twice.web", "Twice.database"]


def test_in_an_array_it_runs_once() -> None:
    class Web(ParallelNode):
        class Hosts:
            host = (web1, web2)

        class inspection(Inspection):
            pass

        def status(self) -> str:
            return "up"

    inspection = Env(Web()).inspection
    assert (
        inspection.list_hosts() == "web1 (10.0.0.1)\n  Web: host\n\nweb2 (localhost)\n  Web: host"
    )
    assert [list(each) for each in inspection.global_status().values()] == [["up", "up"]]


def test_a_status_comes_from_a_real_host(admin_host: type[SSHHost]) -> None:
    class Real(Node):
        class Hosts:
            host = admin_host

        class inspection(Inspection):
            pass

        class service(Node):
            def status(self) -> str:
                return self.host.sudo("id -un", silent=True)

    pty = DummyPty()
    inspection = Env(Real(), pty).inspection
    for _ in range(2):
        assert inspection.global_status() == {"Real.service": "root\n"}
    assert pty.get_output() == "Real.service\n    root\n" * 2
    assert inspection.list_hosts() == "Remote (127.0.0.1)\n  Real: host"
