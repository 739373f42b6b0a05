"""The inspector, walking and filters."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from deployer.exceptions import NodeUsageError, NoSuchCell, QueryException
from deployer.groups import Production, production
from deployer.inspection import Inspector, NodeIterator, PathType, filters
from deployer.inspection.texts import describe_usage
from deployer.node import (
    Env,
    Node,
    ParallelNode,
    alias,
    map_roles,
    required_property,
    suppress_action_result,
)
from deployer.query import Q
from deployer.utils.signatures import read_parameters
from our_hosts import LocalHost1, LocalHost2, LocalHost3


class Git(Node):
    def pull(self, what: str = "it") -> str:
        return f"pulled {what} in {self!r}"

    class _cache(Node):
        def clear(self) -> None:
            """Clear it."""

        class below(Node):
            pass


class Root(Node):
    class Hosts:
        host = LocalHost1, LocalHost2
        db = LocalHost3

    @production
    @map_roles("host")
    class web(ParallelNode.Array):
        class git(Git):
            pass

        def pull(self) -> str:
            return self.host.slug

    @map_roles("db")
    class db(ParallelNode.JustOne):
        class git(Git):
            pass

    class _private(Node):
        pass

    number = 3
    double = Q.number * 2
    broken = Q.missing

    @property
    def shown(self) -> str:
        """How it is shown."""
        raise AssertionError("looking at a property must not evaluate it")

    needed = required_property("What is needed")

    def act(self) -> str:
        return "acted"

    def _helper(self) -> None:
        pass

    @alias("quiet.alias")
    @suppress_action_result
    def quiet(self) -> str:
        return "secret"

    def __call__(self) -> str:
        return "called"


@pytest.fixture
def env() -> Any:
    return Env(Root())


@pytest.fixture(params=["node", "env"])
def root(request: pytest.FixtureRequest, env: Any) -> Any:
    """The tests that use this hold for bare nodes and for Envs."""
    return env if request.param == "env" else env._node_bare


def names(nodes: Any) -> list[str]:
    return [Inspector(node).get_full_name() for node in nodes]


# What is in a node


def test_children_come_in_order_of_definition(root: Any) -> None:
    inspector = Inspector(root)

    assert inspector.get_childnodes() == [root.web, root.db, root._private]
    assert inspector.get_childnodes(include_private=False) == [root.web, root.db]
    assert inspector.get_childnode("db") is root.db
    assert inspector.has_childnode("web")
    assert not inspector.has_childnode("act")


def test_children_of_an_env_are_envs(env: Any) -> None:
    assert type(Inspector(env).get_childnode("web")) is Env
    assert type(Inspector(env._node_bare).get_childnode("web")) is Root.web


def test_actions_are_listed_with_all_their_names(root: Any) -> None:
    inspector = Inspector(root)

    assert [action.name for action in inspector.get_actions()] == [
        "act",
        "_helper",
        "quiet",
        "quiet.alias",
    ]
    assert [action.name for action in inspector.get_actions(include_private=False)] == [
        "act",
        "quiet",
        "quiet.alias",
    ]
    assert [action.alias_of for action in inspector.get_actions()] == [None, None, None, "quiet"]
    assert inspector.has_action("quiet.alias")
    assert not inspector.has_action("web")


def test_actions_of_an_env_run(env: Any) -> None:
    assert Inspector(env).get_action("act")() == "acted"
    assert Inspector(env).get_action("quiet.alias")() == "secret"
    assert repr(Inspector(env._node_bare).get_action("act")) == "<Action Root.act>"


def test_suppressed_results_are_known(root: Any) -> None:
    inspector = Inspector(root)

    assert inspector.suppress_result_for_action("quiet")
    assert inspector.suppress_result_for_action("quiet.alias")
    assert not inspector.suppress_result_for_action("act")
    assert inspector.get_action("quiet").suppress_result


def test_properties_are_seen_without_evaluating_them(root: Any) -> None:
    inspector = Inspector(root)

    assert [(each.name, each.doc) for each in inspector.get_properties()] == [
        ("shown", "How it is shown."),
        ("needed", "What is needed"),
    ]
    assert inspector.has_property("shown")
    assert not inspector.has_property("double")
    assert repr(inspector.get_property("shown")) == "<Property shown>"


def test_queries_are_seen_and_traced(root: Any) -> None:
    inspector = Inspector(root)

    assert [each.name for each in inspector.get_queries()] == ["double", "broken"]
    assert repr(inspector.get_query("double")) == "Q.number * 2"
    assert inspector.has_query("double")
    trace = [
        (repr(query), result)
        for query, result in inspector.trace_query("double").walk_through_subqueries()
    ]
    assert trace == [("Q", root), ("Q.number", 3), ("Q.number * 2", 6)]
    with pytest.raises(QueryException, match=r"broken = Q\.missing"):
        inspector.trace_query("broken")


def test_a_default_action_makes_a_node_callable(root: Any) -> None:
    assert Inspector(root).is_callable()
    assert not Inspector(root.web).is_callable()


@pytest.mark.parametrize(
    ("method", "name", "message"),
    [
        ("get_childnode", "wbe", "has no nested node 'wbe': did you mean 'web'"),
        ("get_action", "zzz", "has no action 'zzz': it has act, _helper, quiet"),
        ("get_property", "show", "has no property 'show': did you mean 'shown'"),
        ("get_query", "duoble", "has no query 'duoble': did you mean 'double'"),
        ("trace_query", "act", "has no query 'act'"),
    ],
)
def test_what_is_missing_is_named_with_the_nearest(
    root: Any, method: str, name: str, message: str
) -> None:
    with pytest.raises(AttributeError, match=message):
        getattr(Inspector(root), method)(name)


def test_what_a_subclass_replaces_is_of_its_new_kind_only() -> None:
    class Derived(Root):
        act = None
        web = None

    inspector = Inspector(Derived())

    assert not inspector.has_action("act")
    assert names(inspector.get_childnodes()) == ["Derived.db", "Derived._private"]


def test_looking_for_names_makes_no_nodes() -> None:
    class WithBrokenChild(Node):
        class Hosts:
            host = LocalHost1, LocalHost2

        class child(ParallelNode.JustOne):
            pass

        def act(self) -> None:
            pass

    inspector = Inspector(WithBrokenChild())

    assert inspector.has_childnode("child")
    assert inspector.has_action("act")
    with pytest.raises(NodeUsageError):
        inspector.get_childnode("child")


@pytest.mark.parametrize("wrong", [Root, None, 3])
def test_only_nodes_can_be_inspected(wrong: Any) -> None:
    with pytest.raises(TypeError, match="takes a node or an Env"):
        Inspector(wrong)


# Where a node is


def test_a_path_holds_names_nodes_or_both(root: Any) -> None:
    git = root.web[0].git
    inspector = Inspector(git)

    assert inspector.get_path() == ("Root", "web[0]", "git")
    assert inspector.get_path(PathType.NODE_ONLY) == (root, root.web[0], git)
    assert inspector.get_path(PathType.NODE_AND_NAME) == (
        (root, "Root"),
        (root.web[0], "web[0]"),
        (git, "git"),
    )


def test_names_parents_and_roots(root: Any) -> None:
    inspector = Inspector(root.web[0].git)

    assert inspector.get_name() == "git"
    assert inspector.get_full_name() == "Root.web[0].git"
    assert inspector.get_parent() is root.web[0]
    assert inspector.get_root() is root
    assert Inspector(root).get_parent() is None
    assert repr(Inspector(root)) == f"Inspector({root!r})"


def test_groups_come_from_the_nearest_ancestor(root: Any) -> None:
    assert Inspector(root.web[0].git).get_group() is Production


# Cells


def test_cells_are_given_with_their_identifiers(root: Any) -> None:
    inspector = Inspector(root.web.git)

    assert not inspector.is_isolated()
    assert [tuple(each) for each in inspector.iter_isolations()] == [
        ((0,), root.web[0].git),
        ((1,), root.web[1].git),
    ]
    assert [each.name for each in inspector.iter_isolations()] == ["one", "two"]
    assert inspector.get_isolation("two") is root.web[1].git
    assert Inspector(root.web[0]).is_isolated()
    with pytest.raises(NoSuchCell):
        inspector.get_isolation("three")


# Walking


ALL = [
    "Root",
    "Root.web",
    "Root.web.git",
    "Root.web.git._cache",
    "Root.web.git._cache.below",
    "Root.db",
    "Root.db.git",
    "Root.db.git._cache",
    "Root.db.git._cache.below",
    "Root._private",
]


def test_a_walk_goes_depth_first(root: Any) -> None:
    nodes = Inspector(root).walk()

    assert isinstance(nodes, NodeIterator)
    assert names(nodes) == ALL
    assert names(nodes) == ALL  # a second time
    assert len(nodes) == len(ALL)
    assert all(type(node) is type(root) for node in nodes) == (type(root) is Env)


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (filters.PublicOnly, ["Root", "Root.web", "Root.web.git", "Root.db", "Root.db.git"]),
        (filters.PrivateOnly, [name for name in ALL if "._" in name]),
        (filters.IsInstance(Git), ["Root.web.git", "Root.db.git"]),
        (
            filters.IsInstance((Root, ParallelNode)),
            ["Root", "Root.web", "Root.db"],
        ),
        (filters.HasAction("pull"), ["Root.web", "Root.web.git", "Root.db.git"]),
        (filters.InGroup(Production), ALL[1:5]),
        (filters.HasAction("pull") & filters.InGroup(Production), ["Root.web", "Root.web.git"]),
        (filters.HasAction("act") | filters.IsInstance(Git), ["Root", ALL[2], "Root.db.git"]),
        (filters.HasAction("pull") & ~filters.IsInstance(Git), ["Root.web"]),
        (~filters.PrivateOnly & ~filters.HasAction("pull"), ["Root", "Root.db"]),
    ],
    ids=repr,
)
def test_filters_choose_nodes(root: Any, filter: filters.Filter, expected: list[str]) -> None:
    assert names(Inspector(root).walk(filter)) == expected
    assert names(Inspector(root).walk().filter(filter)) == expected


def test_filters_have_no_truth() -> None:
    with pytest.raises(TypeError, match="combined with &"):
        bool(filters.PublicOnly)


def test_cells_are_preferred_where_there_are_any(root: Any) -> None:
    git = Inspector(root).walk(filters.IsInstance(Git))

    assert names(git.prefer_isolation("two")) == ["Root.web[1].git", "Root.db.git"]
    assert names(git.prefer_isolation(LocalHost1)) == ["Root.web[0].git", "Root.db.git"]
    assert names(git.prefer_isolation("nowhere")) == ["Root.web.git", "Root.db.git"]


def test_an_action_is_called_on_all_nodes_of_a_walk(env: Any) -> None:
    nodes = Inspector(env).walk(filters.IsInstance(Git)).prefer_isolation(0)

    assert nodes.call_action("pull", what="all") == [
        "pulled all in Env(Root.web[0].git)",
        "pulled all in Env(Root.db.git)",
    ]


def test_a_default_is_shown_as_it_is_typed() -> None:
    class Colour(Enum):
        red = "r"

    def paint(colour: Colour = Colour.red, path: Path = Path("/tmp"), word: str = "a", n: int = 3):
        pass

    usage = describe_usage("paint", read_parameters(paint))
    assert usage == "paint [colour=red] [path=/tmp] [word=a] [n=3]"
