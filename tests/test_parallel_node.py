"""Parallel nodes: cells, isolation, and actions that run in all cells at once."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from deployer.exceptions import (
    ActionException,
    ExecCommandFailed,
    NodeDefinitionError,
    NodeUsageError,
    NoInput,
    NoSuchCell,
    ParallelActionException,
)
from deployer.inspection import Inspector
from deployer.loggers import Logger, LoggerInterface, TraceLogger
from deployer.node import (
    ALL_HOSTS,
    Env,
    IsolationIdentifierType,
    Node,
    ParallelActionResult,
    ParallelNode,
    SimpleNode,
    alias,
    dont_isolate_yet,
    isolate_one_only,
    iter_isolations,
    map_roles,
)
from deployer.pseudo_terminal import DummyPty
from our_hosts import LocalHost1, LocalHost2, LocalHost3, LocalHost4, LocalHost5


class Web(ParallelNode):
    class Hosts:
        host = LocalHost1, LocalHost2
        db = LocalHost3

    def tell(self, prefix: str = "") -> str:
        return prefix + self.host.slug

    def fail_on_two(self) -> str:
        if self.host.slug == "two":
            raise ValueError("two is broken")
        return "fine"

    def run_badly(self) -> None:
        self.host.run("exit 4")

    @dont_isolate_yet
    def once(self) -> Any:
        return self, [cell.tell() for cell in self]

    @alias("any")
    @isolate_one_only
    def choose(self) -> str:
        return self.host.slug

    class inner(Node):
        def tell(self) -> str:
            return f"{self!r} on {self.host.slug}"

    class same(ParallelNode):
        def tell(self) -> str:
            return f"{self!r} on {self.host.slug}"


class Site(Node):
    class Hosts:
        web = LocalHost1, LocalHost2
        db = LocalHost3, LocalHost4

    @map_roles("web", db="db")
    class web(Web.Array):
        @map_roles("db")
        class per_db(ParallelNode.Array):
            def tell(self) -> str:
                return f"{self.parent.host.slug}-{self.host.slug}"

            class below(Node):
                def tell(self) -> str:
                    return f"{self.parent.parent.host.slug}-{self.host.slug}"

    class all(Web.Array):
        pass

    @map_roles("db")
    class one_db(Web.JustOne):
        pass


@pytest.fixture
def web() -> Any:
    return Env(Web())


@pytest.fixture
def site() -> Any:
    class SiteWithOneDb(Site):
        class Hosts:
            web = LocalHost1, LocalHost2
            db = LocalHost3, LocalHost4

        one_db__Hosts = map_roles("missing")

    return Env(SiteWithOneDb())


# Cells


def test_simple_node_is_the_old_name() -> None:
    assert SimpleNode is ParallelNode


def test_there_is_a_cell_for_each_host_of_the_role_host(web: Any) -> None:
    assert [cell.host.slug for cell in web] == ["one", "two"]
    assert [repr(cell) for cell in web] == ["Env(Web[0])", "Env(Web[1])"]
    assert [repr(node) for node in Web()] == ["<Node Web[0]>", "<Node Web[1]>"]


def test_other_roles_are_the_same_in_every_cell(web: Any) -> None:
    for cell in web:
        assert [host.slug for host in cell.hosts.get_hosts()] == [cell.host.slug, "three"]
        assert cell.hosts.filter("db")[0].slug == "three"


def test_a_cell_is_found_by_index_host_slug_and_container(web: Any) -> None:
    cell = web[1]

    assert web[LocalHost2] is cell
    assert web["two"] is cell
    assert web[cell.host] is cell
    assert web[(1,)] is cell
    assert isinstance(cell, Web)
    assert cell.parent is None


@pytest.mark.parametrize("key", [2, -1, "three", LocalHost3, (0, 1), (), None, True])
def test_a_missing_cell_is_a_key_error_that_lists_the_cells(web: Any, key: Any) -> None:
    with pytest.raises(
        KeyError, match=r"Web has no cell .*; it has 0 \(one\), 1 \(two\)"
    ) as caught:
        web[key]
    assert isinstance(caught.value, NoSuchCell)
    assert not str(caught.value).startswith("'")


def test_a_plain_node_has_no_cells_but_itself() -> None:
    node: Any = Env(Node())

    assert list(node) == [node]
    with pytest.raises(KeyError, match="Node is a single node"):
        node[0]


def test_cells_of_a_set_are_in_order_of_slugs() -> None:
    class Unordered(ParallelNode):
        class Hosts:
            host = {LocalHost5, LocalHost4, LocalHost3, LocalHost2, LocalHost1}

    slugs = [cell.host.slug for cell in Env(Unordered())]
    assert slugs == ["five", "four", "one", "three", "two"]


# Running


def test_an_action_of_the_array_runs_in_each_cell(web: Any) -> None:
    result = web.tell("on ")

    assert isinstance(result, ParallelActionResult)
    assert list(result) == ["on one", "on two"]
    assert list(result.keys()) == [web[0], web[1]]
    assert result[web["two"]] == "on two"
    assert dict(result.items()) == {web[0]: "on one", web[1]: "on two"}
    assert repr(result) == "ParallelActionResult({one: 'on one', two: 'on two'})"


def test_an_action_of_a_cell_runs_there_alone(web: Any) -> None:
    assert web[0].tell() == "one"


def test_cells_run_at_the_same_time() -> None:
    barrier = threading.Barrier(2, timeout=20)

    class Meeting(Web):
        def meet(self) -> None:
            barrier.wait()

    assert list(Env(Meeting()).meet()) == [None, None]


def test_one_cell_runs_in_this_thread_and_terminal() -> None:
    class Single(ParallelNode):
        class Hosts:
            host = LocalHost1

        def where(self) -> Any:
            return threading.current_thread(), self.console.pty

    pty = DummyPty()
    (result,) = Env(Single(), pty=pty).where()

    assert result == (threading.current_thread(), pty)


def test_what_is_nested_in_an_array_runs_in_each_cell(web: Any) -> None:
    assert list(web.inner.tell()) == ["Env(Web[0].inner) on one", "Env(Web[1].inner) on two"]
    assert web[1].inner.tell() == "Env(Web[1].inner) on two"
    assert web.inner[1].tell() == "Env(Web[1].inner) on two"
    assert web.inner["two"] is web["two"].inner


def test_a_parallel_node_in_a_parallel_node_shares_its_cells(web: Any) -> None:
    assert list(web.same.tell()) == ["Env(Web[0].same) on one", "Env(Web[1].same) on two"]
    assert web[0].same.tell() == "Env(Web[0].same) on one"


def test_every_failure_and_every_result_is_kept(web: Any) -> None:
    with pytest.raises(ParallelActionException) as caught:
        web.fail_on_two()
    error = caught.value

    assert isinstance(error, ActionException)
    assert error.results == {web[0]: "fine"}
    assert list(error.failures) == [web[1]]
    assert isinstance(error.failures[web[1]], ValueError)
    assert error.inner_exception is error.__cause__ is error.failures[web[1]]
    assert str(error) == "failed on 1 of 2 hosts:\n  two: two is broken"


def test_failed_commands_name_their_hosts(web: Any) -> None:
    with pytest.raises(ParallelActionException) as caught:
        web.run_badly()
    failures = list(caught.value.failures.values())

    assert [type(failure) for failure in failures] == [ExecCommandFailed] * 2
    assert [failure.host for failure in failures] == ["one", "two"]


def test_a_failed_array_arrives_once_in_an_outer_action() -> None:
    class Outer(Node):
        class Hosts:
            host = LocalHost1, LocalHost2

        class web(Web.Array):
            pass

        def act(self) -> Any:
            return self.web.fail_on_two()

    with pytest.raises(ParallelActionException, match="two: two is broken"):
        Env(Outer()).act()


def test_each_cell_writes_behind_its_name_and_logs_in_a_fork(web: Any) -> None:
    forks: list[str] = []

    class Recording(Logger):
        def fork(self, entry: Any) -> Logger:
            forks.append(entry.name)
            return Logger()

    class Talking(Web):
        def talk(self) -> None:
            self.console.pty.write(f"I am {self.host.slug}\n")

    pty, logger = DummyPty(), LoggerInterface()
    logger.attach(Recording())
    Env(Talking(), pty=pty, logger=logger).talk()

    assert sorted(pty.get_output().splitlines()) == ["one | I am one", "two | I am two"]
    assert forks == ["one", "two"]


def test_what_cells_and_hosts_do_is_traced_within_the_action_that_called_them() -> None:
    class Outer(Node):
        class Hosts:
            host = LocalHost1, LocalHost2

        class web(ParallelNode.Array):
            def act(self) -> None:
                self.host.run("true")

        def act(self) -> None:
            self.web.act()
            self.hosts.run("false || true")

    trace, logger = TraceLogger(), LoggerInterface()
    logger.attach(trace)
    Env(Outer(), logger=logger).act()

    lines = [line.partition(": ")[0] for line in str(trace).splitlines()]
    assert lines == [
        "Outer.act",
        "  one",
        "    Outer.web[0].act",
        "      one | $ true",
        "  two",
        "    Outer.web[1].act",
        "      two | $ true",
        "  one",
        "    one | $ false || true",
        "  two",
        "    two | $ false || true",
    ]


def test_each_cell_has_an_env_and_hosts_of_its_own(web: Any) -> None:
    class Own(Web):
        def get(self) -> Any:
            return self, self.host

    env: Any = Env(Own())
    results = env.get()

    for cell, (own, host) in results.items():
        assert own is not cell
        assert host is not cell.host
        assert repr(own) == repr(cell)


# Decorators


def test_dont_isolate_yet_runs_once_on_the_array(web: Any) -> None:
    assert web.once() == (web, ["one", "two"])


def test_dont_isolate_yet_in_a_cell_iterates_over_that_cell(web: Any) -> None:
    assert web[1].once() == (web[1], ["two"])


def test_isolate_one_only_needs_somebody_to_choose(web: Any) -> None:
    with pytest.raises(NoInput):
        web.choose()


def test_isolate_one_only_runs_where_the_user_chooses() -> None:
    class AnsweringPty(DummyPty):
        is_interactive = True

    assert Env(Web(), pty=AnsweringPty("2\n")).choose() == "two"
    assert Env(Web(), pty=AnsweringPty("1\n")).any() == "one"


def test_isolate_one_only_without_hosts_is_explained() -> None:
    class Empty(ParallelNode):
        @isolate_one_only
        def choose(self) -> None:
            raise AssertionError

    with pytest.raises(NodeUsageError, match=r"Empty\.choose\(\) runs on one host .*has none"):
        Env(Empty()).choose()


def test_isolate_one_only_asks_nothing_in_a_cell(web: Any) -> None:
    assert web[1].choose() == "two"


# Nesting


def test_a_plain_parallel_node_in_a_plain_node_is_refused() -> None:
    with pytest.raises(NodeDefinitionError, match=r"Bad\.web: .*\.Array.*\.JustOne"):

        class Bad(Node):
            web = Web


def test_a_second_array_or_just_one_is_refused() -> None:
    for first in (Web.Array, Web.JustOne):
        with pytest.raises(NodeDefinitionError, match=r"Web\.Array: Web is a ParallelNode\."):
            first.Array  # noqa: B018
        with pytest.raises(NodeDefinitionError, match=r"Web\.JustOne: Web is a ParallelNode\."):
            first.JustOne  # noqa: B018


def test_an_array_keeps_the_hosts_and_the_name_of_its_class(site: Any) -> None:
    assert list(site.all.tell()) == ["one", "two"]
    assert Web.Array.__name__ == "Web"
    assert isinstance(site.web, Web)


def test_an_array_without_hosts_and_mapping_is_spread_over_all_hosts_of_its_parent() -> None:
    class Bare(ParallelNode):
        def tell(self) -> str:
            return self.host.slug

    class Outer(Node):
        class Hosts:
            web = LocalHost2, LocalHost1
            db = LocalHost3

        class all(Bare.Array):
            pass

    env: Any = Env(Outer())

    assert list(env.all.tell()) == ["two", "one", "three"]
    assert env.all[0].hosts.roles == ["host"]


def test_cells_of_nested_arrays_are_found_by_tuples(site: Any) -> None:
    assert list(site.web.per_db.tell()) == ["one-three", "one-four", "two-three", "two-four"]
    cell = site.web.per_db[1, 0]

    assert repr(cell).endswith(".web[1].per_db[0])")
    assert site.web.per_db["two", "three"] is cell
    assert site.web.per_db[LocalHost2, LocalHost3] is cell
    assert site.web[1].per_db[0] is cell
    assert site.web["two"].per_db["three"] is cell
    assert cell.tell() == "two-three"
    assert cell.parent is site.web[1]


def test_half_a_key_of_nested_arrays_is_refused(site: Any) -> None:
    with pytest.raises(KeyError, match=r"it has \(0, 0\) \(one/three\), \(0, 1\) \(one/four\)"):
        site.web.per_db[0]


def test_what_is_below_nested_arrays_has_their_cells(site: Any) -> None:
    assert list(site.web.per_db.below.tell()) == list(site.web.per_db.tell())
    assert site.web.per_db.below[0, 1].tell() == "one-four"


def test_failures_of_nested_arrays_are_named_by_all_slugs() -> None:
    class Failing(Site):
        def web__per_db__tell(self) -> str:
            raise ValueError("no")

    with pytest.raises(ParallelActionException, match=r"4 of 4 hosts:\n  one/three: no"):
        Env(Failing()).web.per_db.tell()


def test_just_one_has_one_host() -> None:
    class One(Site):
        class Hosts:
            web = LocalHost1, LocalHost2
            db = LocalHost3

    env: Any = Env(One())

    assert env.one_db.tell() == "three"
    assert env.one_db.host.slug == "three"
    assert repr(env.one_db) == "Env(One.one_db)"


def test_just_one_with_several_hosts_is_refused_when_it_is_reached() -> None:
    with pytest.raises(NodeUsageError, match=r"Site\.one_db is a \.JustOne.*has 2 \(three, four\)"):
        Env(Site()).one_db  # noqa: B018


def test_a_parallel_node_with_several_hosts_in_a_cell_is_refused() -> None:
    class Bad(ParallelNode):
        class Hosts:
            host = LocalHost1, LocalHost2

        @map_roles(ALL_HOSTS)
        class fine(ParallelNode):
            pass

        class bad(ParallelNode):
            class Hosts:
                host = LocalHost3, LocalHost4

    assert Env(Bad())[0].fine.host.slug == "one"
    with pytest.raises(NodeUsageError, match=r"Bad\[0\]\.bad is nested .*\(three, four\).*\.Array"):
        Env(Bad())[0].bad  # noqa: B018


def test_arrays_may_have_different_numbers_of_cells_in_each_cell() -> None:
    class Outer(ParallelNode):
        class Hosts:
            host = LocalHost1, LocalHost2
            db = LocalHost1, LocalHost3

        class inner(ParallelNode.Array):
            def tell(self) -> str:
                return self.host.slug

    # In the first cell both roles hold the same host.
    assert list(Env(Outer()).inner.tell()) == ["one", "three", "two", "one", "three"]


# No cells


def test_an_array_without_the_role_host_is_explained() -> None:
    class NoRole(ParallelNode):
        class Hosts:
            web = LocalHost1

        def act(self) -> None:
            pass

    with pytest.raises(
        NodeUsageError, match=r"NoRole\.act\(\) .*role 'host'.*only the roles 'web'"
    ):
        Env(NoRole()).act()


def test_an_array_without_hosts_runs_nothing_and_says_so() -> None:
    messages: list[str] = []

    class Recording(Logger):
        def log_message(self, text: str) -> None:
            messages.append(text)

    class Empty(ParallelNode):
        class Hosts:
            host = ()

        def act(self) -> None:
            raise AssertionError

    logger = LoggerInterface()
    logger.attach(Recording())

    assert Env(Empty(), logger=logger).act() == {}
    (message,) = messages
    assert message.startswith("Empty.act: nothing was run, because Empty has no hosts: nest a ")


# Isolations


@pytest.mark.parametrize(
    ("identifier_type", "expected"),
    [
        (IsolationIdentifierType.INT_TUPLES, [(0, 0), (0, 1), (1, 0), (1, 1)]),
        (
            IsolationIdentifierType.HOST_TUPLES,
            [
                (LocalHost1, LocalHost3),
                (LocalHost1, LocalHost4),
                (LocalHost2, LocalHost3),
                (LocalHost2, LocalHost4),
            ],
        ),
        (
            IsolationIdentifierType.HOSTS_SLUG,
            [("one", "three"), ("one", "four"), ("two", "three"), ("two", "four")],
        ),
    ],
)
def test_isolations_are_identified_as_wanted(
    site: Any, identifier_type: IsolationIdentifierType, expected: list[Any]
) -> None:
    isolations = list(Inspector(site.web.per_db).iter_isolations(identifier_type))

    assert [isolation.identifier for isolation in isolations] == expected
    assert [isolation.node for isolation in isolations] == list(site.web.per_db)
    for identifier, node in isolations:
        assert Inspector(site.web.per_db).get_isolation(identifier) is node


def test_isolations_have_the_slugs_as_name() -> None:
    assert [each.name for each in iter_isolations(Web())] == ["one", "two"]


def test_an_isolated_node_is_its_own_only_isolation() -> None:
    cell = Web()[0]

    assert [tuple(each) for each in iter_isolations(cell)] == [((), cell)]


def test_the_empty_key_of_a_single_node_is_the_node_itself(web: Any) -> None:
    assert web[0][()] is web[0]
    assert Inspector(web[0]).get_isolation(()) is web[0]


def test_of_many_cells_the_first_are_listed() -> None:
    class Many(ParallelNode):
        class Hosts:
            host = tuple(type(f"host{n}", (LocalHost1,), {}) for n in range(30))

    with pytest.raises(KeyError, match=r"19 \(host19\), …$"):
        Env(Many())["host99"]


def test_a_missing_host_is_named_by_its_class(web: Any) -> None:
    other: Any = Env(Web())[0].hosts.filter("db")[0]

    with pytest.raises(KeyError, match="no cell LocalHost3;"):
        web[other]


def test_failures_of_an_array_within_a_cell_keep_their_own_failures(site: Any) -> None:
    class Failing(Site):
        def web__per_db__tell(self) -> str:
            raise ValueError("no")

        def web__outer(self) -> Any:
            return self.per_db.tell()

    with pytest.raises(ParallelActionException) as caught:
        Env(Failing()).web.outer()
    inner = list(caught.value.failures.values())

    assert [type(error) for error in inner] == [ParallelActionException] * 2
    assert [len(error.failures) for error in inner] == [2, 2]


class Directories(ParallelNode):
    class Hosts:
        host = LocalHost1, LocalHost2

    def where(self) -> str:
        return self.host.run("pwd", silent=True).strip()


def test_a_context_of_the_arrays_hosts_holds_in_its_cells() -> None:
    env: Any = Env(Directories())
    with env.hosts.cd("/usr"):
        assert list(env.where()) == ["/usr", "/usr"]
        with env[1].host.cd("/"):
            assert list(env.where()) == ["/usr", "/"]
    assert "/usr" not in list(env.where())
