"""Hosts by role: all of them at once, or exactly one; on this machine and over real SSH."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployer.exceptions import (
    ConnectionFailedException,
    ExecCommandFailed,
    NodeUsageError,
    ParallelExecCommandFailed,
)
from deployer.host import Host, LocalHost, SSHHost
from deployer.host_container import HostContainer, HostsContainer, parse_hosts
from deployer.loggers import LoggerInterface, TraceLogger
from deployer.pseudo_terminal import DummyPty
from our_hosts import LocalHost1, LocalHost2, LocalHost3


class Server(LocalHost):
    password = "correct horse"
    port = 2222
    app_port = 8001

    def url(self) -> str:
        return f"http://{self.slug}:{self.app_port}"


class Server2(Server):
    app_port = 8002


# Roles and definitions.


class Hosts:
    web = (LocalHost2, LocalHost1)
    db = LocalHost3
    everybody = {LocalHost1, LocalHost2, LocalHost3}
    nobody = ()
    _private = "no role"


def test_a_class_defines_roles_in_its_order() -> None:
    container = HostsContainer.from_definition(Hosts)
    assert container.roles == ["web", "db", "everybody", "nobody"]
    assert container.get_hosts_as_dict() == {
        "web": (LocalHost2, LocalHost1),
        "db": (LocalHost3,),
        # By slug: one, three, two.
        "everybody": (LocalHost1, LocalHost3, LocalHost2),
        "nobody": (),
    }
    assert container.get_hosts() == [LocalHost2, LocalHost1, LocalHost3]


def test_a_class_inherits_the_roles_of_its_bases() -> None:
    class More(Hosts):
        db = LocalHost1
        cache = LocalHost3

    found = parse_hosts(More)
    assert list(found) == ["web", "db", "everybody", "nobody", "cache"]
    assert (found["db"], found["cache"]) == ((LocalHost1,), (LocalHost3,))


def test_a_container_can_be_a_role_and_a_definition() -> None:
    container = HostsContainer.from_definition(Hosts)
    assert parse_hosts(container) == container.get_hosts_as_dict()
    assert parse_hosts({"all": container}) == {"all": (LocalHost2, LocalHost1, LocalHost3)}
    assert parse_hosts({"one": container[0]}) == {"one": (LocalHost2,)}


def test_nothing_defines_no_hosts() -> None:
    container = HostsContainer.from_definition(None)
    assert (container.roles, len(container), bool(container)) == ([], 0, False)
    assert container.run("true") == []


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("web", "cannot be used as hosts"),
        (LocalHost1, "cannot be used as hosts"),
        ({"web": "host"}, "role 'web': 'host' is no Host class"),
        ({"web": [LocalHost1, None]}, "role 'web': None is no Host class"),
        ({"web": LocalHost1()}, "pass the class itself, not an instance"),
    ],
)
def test_anything_else_is_an_error(definition: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        parse_hosts(definition)


def test_two_hosts_of_a_role_with_one_slug_are_an_error() -> None:
    other = type("Other", (LocalHost,), {"slug": "one"})
    with pytest.raises(ValueError, match="'web': LocalHost1 and Other both have the slug 'one'"):
        parse_hosts({"web": (LocalHost1, other)})
    assert parse_hosts({"web": (LocalHost1, LocalHost1)}) == {"web": (LocalHost1,)}


def test_hosts_that_share_a_slug_in_different_roles_are_told_apart() -> None:
    other = type("Other", (LocalHost,), {"slug": "one"})
    container = HostsContainer({"web": (LocalHost1,), "db": (other,)})
    with pytest.raises(ParallelExecCommandFailed) as caught:
        container.run("exit 3")
    assert list(caught.value.failures) == ["one (LocalHost1)", "one (Other)"]


# What a container is.


def test_it_is_a_collection_of_its_hosts() -> None:
    container = HostsContainer.from_definition(Hosts)
    assert len(container) == 3 and container
    assert [one.host_class for one in container] == container.get_hosts()
    assert container[0].slug == "two" and container[-1].slug == "three"
    assert LocalHost1 in container and LocalHost not in container
    with pytest.raises(IndexError):
        container[3]
    part = container.filter("web", "db")
    assert repr(part) == "<HostsContainer web=(two, one), db=(three)>"


def test_a_part_has_some_of_the_roles() -> None:
    container = HostsContainer.from_definition(Hosts)
    part = container.filter("db", "web", "unknown")
    assert part.roles == ["db", "web"]
    assert part.get_hosts() == [LocalHost3, LocalHost2, LocalHost1]
    assert not container.filter("unknown")


def test_a_part_shares_the_contexts_of_the_whole() -> None:
    container = HostsContainer.from_definition(Hosts)
    with container.filter("web").cd("/usr"), container[1].env("NAME", "x"):
        assert container.run("echo $PWD $NAME", silent=True)[:2] == ["/usr\n", "/usr x\n"]
        assert container.filter("everybody")[0].getcwd() == "/usr"
        assert container.filter("db")[0].getcwd() != "/usr"
    assert "/usr" not in container.getcwd()


def test_a_host_in_two_roles_runs_once() -> None:
    container = HostsContainer({"a": (LocalHost1, LocalHost2), "b": (LocalHost2,)})
    assert container.run("echo x") == ["x\n", "x\n"]


def test_contexts_of_all_hosts_end_also_after_an_exception() -> None:
    container = HostsContainer.from_definition(Hosts)
    with pytest.raises(ZeroDivisionError), container.cd("/usr"), container.prefix("A=1"):
        assert container.run("echo $PWD $A") == ["/usr 1\n"] * 3
        raise ZeroDivisionError
    assert "/usr" not in container.getcwd()


# One host.


def test_one_host_gives_plain_results(tmp_path: Path) -> None:
    one = HostContainer({"host": (LocalHost1,)})
    assert one.run("echo out") == "out\n"
    assert one.run("echo out").host == "one"
    assert (one.slug, one.host_class, one.address) == ("one", LocalHost1, "localhost")
    with one.cd(str(tmp_path)):
        with one.open("file", "w") as file:
            file.write("text")
        assert one.exists("file") and one.listdir() == ["file"]
        assert one.stat("file").st_size == 4
        one.get_file("file", str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_text() == "text"


@pytest.mark.parametrize("hosts", [(), (LocalHost1, LocalHost2)])
def test_one_host_is_neither_none_nor_two(hosts: tuple[type[Host], ...]) -> None:
    with pytest.raises(NodeUsageError, match=r"exactly one host, but there are: (none|one, two)"):
        HostContainer({"host": hosts})


def test_a_kind_of_host_does_things_in_its_own_way() -> None:
    class Odd(LocalHost):
        def has_command(self, name: str) -> bool:
            return name == "odd"

    hosts = HostsContainer({"role": (Odd, LocalHost)})
    assert hosts.has_command("odd") == [True, False]
    assert hosts[0].has_command("odd")
    assert hosts.get_home_directory() == [hosts[1].get_home_directory()] * 2
    assert hosts[1].get_home_directory() == LocalHost().get_home_directory()


def test_one_of_several_is_in_its_roles_and_context() -> None:
    container = HostsContainer.from_definition(Hosts)
    with container.cd("/usr"):
        one = container[0]
        assert (one.roles, one.getcwd()) == (["web", "everybody"], "/usr")
        with one.cd("share"):
            assert container.getcwd() == ["/usr/share", "/usr", "/usr"]


@pytest.mark.parametrize("container", [HostContainer, HostsContainer])
@pytest.mark.parametrize("name", ["run", "sudo", "cd", "put_file", "exists"])
def test_methods_keep_the_signature_and_the_words_of_a_host(container: type, name: str) -> None:
    method = getattr(container, name)
    assert inspect.signature(method) == inspect.signature(getattr(Host, name))
    assert method.__doc__ == getattr(Host, name).__doc__


# Several hosts at once.


def test_results_come_in_order_and_lines_say_whose_they_are() -> None:
    pty = DummyPty()
    hosts = HostsContainer({"host": (LocalHost2, LocalHost1, LocalHost3)}, pty)
    results = hosts.run("echo $((6*7))")
    assert results == ["42\n"] * 3
    assert [result.host for result in results] == ["two", "one", "three"]
    assert sorted(pty.get_output().splitlines()) == ["one   | 42", "three | 42", "two   | 42"]


def test_hosts_run_at_the_same_time(tmp_path: Path) -> None:
    hosts = HostsContainer({"host": (LocalHost1, LocalHost2)})
    with hosts.cd(str(tmp_path)):
        # Each waits for the other.
        hosts.run("mkdir $$; until [ $(ls | wc -l) = 2 ]; do sleep 0.01; done", timeout=20)


def test_all_finish_and_one_error_holds_results_and_failures() -> None:
    hosts = HostsContainer({"host": (LocalHost1, LocalHost2, LocalHost3)})
    failing = pytest.raises(ParallelExecCommandFailed)
    with failing as caught, hosts[1].env("STATUS", "3"), hosts[2].env("STATUS", "4"):
        hosts.run("echo done; exit $STATUS")
    error = caught.value
    assert isinstance(error, ExecCommandFailed)
    assert error.results == {"one": "done\n"}
    assert list(error.failures) == ["two", "three"]
    assert (error.host, error.exit_status) == ("two", 3)
    assert error.command == "echo done; exit $STATUS"
    assert error.__cause__ is error.failures["two"]
    assert str(error).splitlines() == [
        "failed on 2 of 3 hosts:",
        "  two: 'echo done; exit $STATUS' failed with exit status 3",
        "      done",
        "  three: 'echo done; exit $STATUS' failed with exit status 4",
        "      done",
    ]


def test_statuses_can_be_ignored_on_all() -> None:
    hosts = HostsContainer({"host": (LocalHost1, LocalHost2)})
    found = hosts.run("exit 3", ignore_exit_status=True)
    assert [result.exit_status for result in found] == [3, 3]


def test_a_file_goes_to_all(tmp_path: Path) -> None:
    (tmp_path / "source").write_text("text")
    hosts = HostsContainer({"host": (LocalHost1, LocalHost2)})
    for one in hosts:
        (tmp_path / one.slug).mkdir()
    with hosts[0].cd(str(tmp_path / "one")), hosts[1].cd(str(tmp_path / "two")):
        hosts.put_file(str(tmp_path / "source"), "target")
        assert hosts.exists("target") == [True, True]
    assert (tmp_path / "two" / "target").read_text() == "text"


def test_a_sandbox_runs_nothing_anywhere(tmp_path: Path) -> None:
    hosts = HostsContainer({"host": (LocalHost1, LocalHost2)}, is_sandbox=True)
    hosts.run(f"touch {tmp_path}/made")
    assert list(tmp_path.iterdir()) == []


def test_loggers_see_all_hosts() -> None:
    seen = TraceLogger()
    logger = LoggerInterface()
    logger.attach(seen)
    HostsContainer({"host": (LocalHost1, LocalHost2)}, logger=logger).run("true")
    assert sorted(entry.host for entry in seen.runs) == ["one", "two"]


def test_a_host_that_cannot_be_reached_loses_nobodys_result(
    new_ssh_host: Callable[..., type[SSHHost]],
) -> None:
    hosts = HostsContainer(
        {"host": (new_ssh_host(name="Away", port=1), new_ssh_host(name="There"), LocalHost1)}
    )
    with pytest.raises(ParallelExecCommandFailed) as caught:
        hosts.run("echo out")
    error = caught.value
    assert error.results == {"There": "out\n", "one": "out\n"}
    assert isinstance(error.failures["Away"], ConnectionFailedException)
    assert (error.host, error.exit_status) == ("Away", None)
    assert "failed on 1 of 3 hosts:\n  Away: cannot connect to 127.0.0.1 port 1" in str(error)


def test_roles_are_named_one_by_one_when_they_are_filtered() -> None:
    hosts = HostsContainer({"web": (LocalHost,)})
    with pytest.raises(TypeError, match=r"names of roles, as in filter\('web'\), not \['web'\]"):
        hosts.filter(["web"])  # type: ignore[arg-type]


# What is different on each host.


def test_what_the_class_of_a_host_defines_is_there_on_the_host() -> None:
    hosts: Any = HostsContainer({"host": (Server, Server2)})
    assert [host.app_port for host in hosts] == [8001, 8002]
    assert hosts[1].url() == "http://Server2:8002"


def test_each_of_several_hosts_has_a_value_of_its_own() -> None:
    hosts: Any = HostsContainer({"host": (Server, Server2)})
    with pytest.raises(
        AttributeError, match=r"its own, `\[host.app_port for host in self.hosts\]`"
    ):
        _ = hosts.app_port


@pytest.mark.parametrize("name", ["password", "port", "username", "rsa_key_password", "connect"])
@pytest.mark.parametrize("kind", [Server, SSHHost])
def test_how_a_host_is_reached_is_a_matter_of_its_class(kind: type[Host], name: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(HostContainer({"host": (kind,)}), name)
    assert f"has no attribute {name!r}" in str(caught.value)
    assert "correct horse" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("runn", "'runn'; did you mean 'run'?"),
        ("app_prot", "'app_prot'; did you mean 'app_port'?"),
        ("xyzzy", "'xyzzy'"),
    ],
)
def test_what_is_misspelt_is_told_what_was_meant(name: str, end: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(HostContainer({"host": (Server,)}), name)
    assert str(caught.value) == f"HostContainer of Server has no attribute {end}"


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("open", ": it is for a single host, `for host in self.hosts: host.open`"),
        ("slug", ": it is for a single host, `for host in self.hosts: host.slug`"),
        ("rum", "; did you mean 'run'?"),
    ],
)
def test_several_hosts_say_what_to_do_instead(name: str, advice: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(HostsContainer({"host": (LocalHost1, LocalHost2)}), name)
    message = f"HostsContainer of one,two has no attribute {name!r}{advice}"
    assert str(caught.value) == message


def test_python_may_ask_a_container_for_special_names() -> None:
    host = HostContainer.__new__(HostContainer)
    assert not hasattr(host, "__deepcopy__")
    assert not hasattr(host, "_host")
