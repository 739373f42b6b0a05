"""Env: the self of every action."""

from __future__ import annotations

import copy
import functools
import pathlib
import pickle
import traceback
from typing import Any

import pytest

from deployer.console import Console
from deployer.exceptions import (
    ActionException,
    ExecCommandFailed,
    NodeUsageError,
    QueryException,
)
from deployer.loggers import LoggerInterface, TraceLogger
from deployer.node import Action, Env, EnvAction, Node, ParallelNode
from deployer.node.base import Env as EnvOfBase
from deployer.node.env import as_env
from deployer.pseudo_terminal import DummyPty, Pty
from deployer.query import Q
from our_hosts import LocalHost1, LocalHost2, LocalHost3


class Child(Node):
    x = Q.parent.x

    def where(self) -> str:
        return self.host.run("pwd").strip()

    def fail(self) -> None:
        raise ValueError("too bad")


class Root(Node):
    class Hosts:
        host = LocalHost1

    class child(Child):
        pass

    x = 3
    broken = Q.child.missing + 1

    @property
    def doubled(self) -> int:
        return self.x * 2

    @property
    def misspelt(self) -> Any:
        return self.chidl

    def act(self, a: int, b: int = 2) -> tuple[int, ...]:
        return self.x, a, b

    def fail_below(self) -> None:
        self.child.fail()

    def inherited(self) -> str:
        return "of Root"


class Derived(Root):
    def inherited(self) -> str:
        return f"of Derived, {super().inherited()}, {Root.inherited(self)}"


@pytest.fixture
def env() -> Env:
    return Env(Root())


class AnsweringPty(DummyPty):
    """Claims to have somebody at it, who gives these answers."""

    is_interactive = True


# What it is


def test_it_is_an_instance_of_its_nodes_class(env: Any) -> None:
    assert isinstance(env, Root)
    assert isinstance(env, Node)
    assert isinstance(env, Env)
    assert isinstance(env.child, Child)
    assert not isinstance(env, Child)
    assert type(env).__name__ == "Env"
    assert EnvOfBase is Env


def test_reprs_show_the_path(env: Any) -> None:
    assert repr(env) == "Env(Root)"
    assert repr(env.child) == "Env(Root.child)"
    assert repr(env.act) == "<Env.Action Root.act>"
    assert repr(env.child.where) == "<Env.Action Root.child.where>"
    assert isinstance(env.act, EnvAction)
    assert isinstance(env.act.action, Action)


def test_it_gives_the_attributes_of_the_node(env: Any) -> None:
    assert env.x == 3
    assert env.doubled == 6
    assert env.child.x == 3
    assert env.act(1) == (3, 1, 2)
    assert env.act(1, b=5) == (3, 1, 5)


def test_a_child_is_the_same_env_each_time_and_knows_its_parent(env: Any) -> None:
    assert env.child is env.child
    assert env.child.parent is env
    assert env.parent is None


def test_it_takes_a_node_of_any_depth() -> None:
    child = Env(Root().child)

    assert repr(child) == "Env(Root.child)"
    assert child.parent.child is child
    assert child.host.slug == "one"


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        (Root, r"not <class .*Root'>: call the class, Env\(Root\(\)\)$"),
        (Env(Root()), r"not Env\(Root\), which is an Env already$"),
        (3, "not 3$"),
    ],
    ids=["class", "env", "number"],
)
def test_it_takes_nodes_only(wrong: Any, remedy: str) -> None:
    with pytest.raises(TypeError, match=r"Env\(\) takes a node, " + remedy):
        Env(wrong)


@pytest.mark.parametrize("name", ["_node", "_host", "_hosts", "_logger", "_pty", "_env_", "_set"])
def test_private_names_are_the_users(name: str) -> None:
    node_class: Any = type(Node)("Private", (Node,), {name: "mine", "get": lambda self: self})
    env = Env(node_class())

    assert getattr(env.get(), name) == "mine"


def test_any_node_can_be_put_in_the_environment_of_another(env: Any) -> None:
    node = Root().child

    assert repr(as_env(node, env)) == "Env(Root.child)"
    assert as_env(node, env) is as_env(node, env)
    assert as_env(node, env).console.pty is env.console.pty
    assert as_env(env.child, env) is env.child


def test_it_cannot_be_changed(env: Any) -> None:
    with pytest.raises(AttributeError, match=r"Env\(Root\)\.x cannot be set"):
        env.x = 4
    with pytest.raises(AttributeError, match="cannot be deleted"):
        del env.x
    assert env.x == 3


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, pickle.dumps])
def test_it_cannot_be_copied(env: Any, make: Any) -> None:
    with pytest.raises(TypeError, match=r"Env\(Root\) .* cannot be copied"):
        make(env)


def test_dir_lists_what_the_node_and_the_env_have(env: Any) -> None:
    listed = {name for name in dir(env) if not name.startswith("__")}

    assert {"act", "child", "doubled", "x", "host", "hosts", "console"} <= listed
    assert not any(name.startswith("_") for name in listed)


def test_descriptors_of_any_kind_have_the_env_as_self() -> None:
    class Described(Node):
        @functools.lru_cache  # noqa: B019 - what is tested
        def cached(self) -> Any:
            return self

        def get(self, value: int) -> Any:
            return self, value

        get_three = functools.partialmethod(get, 3)

        @classmethod
        def name(cls) -> str:
            return cls.__name__

    env = Env(Described())

    assert env.cached() is env
    assert env.get_three() == (env, 3)
    assert env.name() == "Described"
    assert vars(env)["parent"] is None


def test_a_missing_attribute_is_named_with_the_nearest(env: Any) -> None:
    with pytest.raises(
        AttributeError, match=r"Env\(Root\) has no attribute 'chld'.*did you mean 'child'\?"
    ):
        env.chld  # noqa: B018
    assert not hasattr(env, "nothing_like_it")


def test_an_attribute_error_in_a_property_names_what_is_missing_and_the_property(env: Any) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'chidl'") as caught:
        env.misspelt  # noqa: B018
    assert caught.value.__notes__ == ["raised by the property 'misspelt' of Env(Root)"]


def test_a_failing_query_says_where_it_was_written(env: Any) -> None:
    with pytest.raises(QueryException) as caught:
        env.broken  # noqa: B018
    error = caught.value

    assert (error.node, error.attr_name) == (env, "broken")
    assert repr(error.query) == "Q.child.missing + 1"
    source = pathlib.Path(str(error.filename)).read_text().splitlines()
    assert source[int(error.line or 0) - 1].strip() == "broken = Q.child.missing + 1"
    assert isinstance(error.__cause__, AttributeError)
    assert str(error).startswith("Env(Root).broken = Q.child.missing + 1 (")


# Actions


def test_super_and_the_base_class_lead_to_the_base_action() -> None:
    assert Env(Derived()).inherited() == "of Derived, of Root, of Root"


def test_a_default_action_is_called_through_the_env() -> None:
    class Callable(Node):
        def __call__(self, *names: str) -> str:
            return f"called with {names} in {self!r}"

    assert Env(Callable())("a", "b") == "called with ('a', 'b') in Env(Callable)"
    with pytest.raises(NodeUsageError, match="wrap the tree"):
        Callable()()


def test_calling_a_node_without_default_action_is_explained(env: Any) -> None:
    with pytest.raises(TypeError, match="Root has no default action"):
        env()


def test_an_exception_arrives_once_as_action_exception(env: Any) -> None:
    with pytest.raises(ActionException) as caught:
        env.fail_below()
    error = caught.value

    assert type(error) is ActionException
    assert isinstance(error.inner_exception, ValueError)
    assert error.__cause__ is error.inner_exception
    assert str(error) == "too bad"
    assert repr(error) == "ActionException('too bad')"


def test_the_traceback_of_an_action_begins_in_the_action(env: Any) -> None:
    with pytest.raises(ActionException) as caught:
        env.fail_below()
    error = caught.value

    (frame,) = traceback.extract_tb(error.traceback)
    assert (frame.name, frame.line) == ("fail", 'raise ValueError("too bad")')
    assert error.inner_exception.__traceback__ is error.traceback


def test_wrong_arguments_are_reported_like_any_exception(env: Any) -> None:
    with pytest.raises(ActionException, match="missing 1 required positional argument: 'a'"):
        env.act()


def test_parameters_may_have_any_name() -> None:
    class Named(Node):
        def act(self, name: str, **others: str) -> Any:
            return name, others

    logger = LoggerInterface()

    assert Env(Named(), logger=logger).act(name="x", args="y", env="z") == (
        "x",
        {"args": "y", "env": "z"},
    )


@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt])
def test_exits_pass_through_unchanged(exception: type[BaseException]) -> None:
    class Leaving(Node):
        def leave(self) -> None:
            raise exception

    with pytest.raises(exception):
        Env(Leaving()).leave()


def test_loggers_see_each_action_as_a_group() -> None:
    seen: list[str] = []

    class Recording(TraceLogger):
        def enter_group(self, entry: Any) -> None:
            seen.append(f"{entry.name}{entry.args}")
            super().enter_group(entry)

    logger = LoggerInterface()
    logger.attach(Recording())
    Env(Root(), logger=logger).act(1)

    assert seen == ["Root.act(1,)"]


def test_another_tree_runs_in_the_same_environment() -> None:
    class Other(Node):
        def tell(self) -> str:
            self.console.pty.write("told")
            return repr(self)

    class Starting(Node):
        def start(self) -> Any:
            return self.initialize_node(Other).tell()

    pty = DummyPty()

    assert Env(Starting(), pty=pty).start() == "Env(Other)"
    assert pty.get_output() == "told"


def test_initialize_node_takes_classes_only(env: Any) -> None:
    with pytest.raises(TypeError, match="takes a node class"):
        env.initialize_node(Root())


def test_default_from_node_uses_the_terminal_of_the_process() -> None:
    env = Env.default_from_node(Root())

    assert type(env.console.pty) is Pty
    assert env.act(1) == (3, 1, 2)


def test_the_console_is_that_of_the_pty() -> None:
    pty = DummyPty("yes\n")
    env = Env(Root(), pty=pty)

    assert isinstance(env.console, Console)
    assert env.console.pty is pty


# Failed commands


class Flaky(Node):
    class Hosts:
        host = LocalHost1

    class inner(Node):
        def act(self) -> str:
            self.parent.attempts.append(1)
            if len(self.parent.attempts) < self.parent.succeeds_at:
                self.host.run("exit 3", interactive=False)
            return "done"

    attempts: list[int] = []
    succeeds_at = 3

    def act(self) -> str:
        return f"outer {self.inner.act()}"


def make_flaky(answers: str) -> tuple[Any, DummyPty]:
    node_class = type(Node)("Flaky", (Flaky,), {"attempts": []})
    pty = AnsweringPty(answers)
    return Env(node_class(), pty=pty), pty


def test_a_failed_command_is_retried_when_the_user_wants_it() -> None:
    env, _ = make_flaky("Retry\nRetry\n")

    assert env.act() == "outer done"
    assert len(env.attempts) == 3


def test_a_failed_command_is_skipped_when_the_user_wants_it() -> None:
    env, _ = make_flaky("Skip\n")

    assert env.act() == "outer None"
    assert len(env.attempts) == 1


def test_an_abort_is_asked_for_once_however_deep_the_actions() -> None:
    env, pty = make_flaky("Abort\nRetry\n")

    with pytest.raises(ActionException) as caught:
        env.act()
    assert isinstance(caught.value.inner_exception, ExecCommandFailed)
    assert caught.value.inner_exception.exit_status == 3
    assert pty.get_output().count("What now?") == 1
    assert "Flaky.inner.act failed" in pty.get_output()


def test_nobody_is_asked_without_a_terminal() -> None:
    pty = DummyPty("Retry\n")
    env: Any = Env(type(Node)("Flaky", (Flaky,), {"attempts": []})(), pty=pty)

    with pytest.raises(ActionException) as caught:
        env.act()
    assert caught.value.inner_exception.exit_status == 3
    assert pty.get_output() == ""


# Hosts


def test_the_host_is_the_one_of_the_role_host() -> None:
    class Site(Node):
        class Hosts:
            host = LocalHost2
            other = LocalHost1, LocalHost3

    env = Env(Site())

    assert env.host.slug == "two"
    assert env.host is env.host
    assert env.hosts is env.hosts


def test_the_host_is_the_only_one_where_there_is_no_role_host() -> None:
    class Site(Node):
        class Hosts:
            web = LocalHost2
            database = {LocalHost2}

    assert Env(Site()).host.slug == "two"


def test_what_is_wrong_with_the_hosts_is_all_that_a_traceback_shows() -> None:
    class Hostless(Node):
        pass

    with pytest.raises(NodeUsageError) as caught:
        Env(Hostless()).host  # noqa: B018
    assert caught.value.__context__ is None


def test_no_hosts_at_all_is_explained() -> None:
    class Site(Node):
        def act(self) -> None:
            self.host.run("true")

    with pytest.raises(ActionException, match=r"there are no hosts: nest a class Hosts in Site"):
        Env(Site()).act()


def test_two_hosts_are_listed() -> None:
    class Site(Node):
        class Hosts:
            host = {LocalHost2, LocalHost1}

    with pytest.raises(
        NodeUsageError, match=r"Site has 2 hosts \(one, two\).*self\.hosts.*ParallelNode"
    ):
        Env(Site()).host  # noqa: B018


def test_an_empty_role_host_is_explained() -> None:
    class Site(Node):
        class Hosts:
            host = ()
            web = LocalHost1

    with pytest.raises(NodeUsageError, match=r"role 'host' of Site is empty.*one.*host, web"):
        Env(Site()).host  # noqa: B018


def test_the_host_of_an_array_is_explained() -> None:
    class Site(ParallelNode):
        class Hosts:
            host = LocalHost1, LocalHost2

    with pytest.raises(NodeUsageError, match=r"an array of nodes.*\(one, two\)"):
        Env(Site()).host  # noqa: B018


def test_hosts_are_grouped_by_role_in_order() -> None:
    class Site(Node):
        class Hosts:
            listed = LocalHost3, LocalHost1, LocalHost2
            unordered = {LocalHost3, LocalHost1, LocalHost2}

    roles = Env(Site()).hosts.get_hosts_as_dict()

    assert [host.slug for host in roles["listed"]] == ["three", "one", "two"]
    assert [host.slug for host in roles["unordered"]] == ["one", "three", "two"]


def test_contexts_of_a_childs_host_hold_for_its_calls(env: Any) -> None:
    with env.child.host.cd("/"):
        assert env.child.where() == "/"
    assert env.child.where() != "/"


def test_contexts_are_not_shared_with_other_nodes(env: Any) -> None:
    with env.host.cd("/"):
        assert env.child.where() != "/"
    with env.hosts.cd("/"):
        assert env.host.run("pwd").strip() == "/"


def test_in_a_sandbox_hosts_are_in_it_too() -> None:
    env = Env(Root(), is_sandbox=True)

    assert env.hosts.is_sandbox
    assert env.child.hosts.is_sandbox
