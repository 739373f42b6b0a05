"""Role mapping: which hosts of the parent a nested node gets."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.exceptions import NodeUsageError
from deployer.node import ALL_HOSTS, DefaultRoleMapping, Env, Node, ParallelNode, map_roles
from our_hosts import LocalHost, LocalHost1, LocalHost2, LocalHost3, LocalHost4


class Child(Node):
    class Hosts:
        host = LocalHost4


class NoHosts(Node):
    pass


class Root(Node):
    class Hosts:
        web = LocalHost1, LocalHost2
        db = LocalHost3
        both = LocalHost3, LocalHost1

    own = Child
    inherited = NoHosts
    default = map_roles(host="web")(Child)

    class nested(Node):
        class again(Node):
            pass

    @map_roles("web")
    class positional(Node):
        pass

    @map_roles("db", "both", role="web")
    class several(Node):
        @map_roles("role")
        class below(Node):
            pass

    @map_roles(everything=ALL_HOSTS, other=("db", "web"))
    class all(Node):
        pass

    @map_roles("missing", web="web")
    class unknown(Node):
        pass

    explicit = type(Node)("explicit", (NoHosts,), {"Hosts": DefaultRoleMapping()})


def roles_of(env: Any) -> dict[str, list[str]]:
    return {
        role: [host.slug for host in hosts] for role, hosts in env.hosts.get_hosts_as_dict().items()
    }


ALL = {"web": ["one", "two"], "db": ["three"], "both": ["three", "one"]}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("own", {"host": ["four"]}),
        ("inherited", ALL),
        ("explicit", ALL),
        ("nested.again", ALL),
        ("default", {"host": ["one", "two"]}),
        ("positional", {"host": ["one", "two"]}),
        ("several", {"host": ["three", "one"], "role": ["one", "two"]}),
        ("several.below", {"host": ["one", "two"]}),
        ("all", {"everything": ["one", "two", "three"], "other": ["three", "one", "two"]}),
        ("unknown", {"host": [], "web": ["one", "two"]}),
    ],
)
def test_roles_follow_the_mapping(path: str, expected: dict[str, list[str]]) -> None:
    env: Any = Env(Root())
    for name in path.split("."):
        env = getattr(env, name)

    assert roles_of(env) == expected


def test_the_decorator_works_on_a_copy_and_overrides_its_hosts() -> None:
    assert Root.default is not Child
    assert issubclass(Root.default, Child)
    assert Root.default.__name__ == "Child"
    assert Env(Child()).host.slug == "four"


def test_a_root_with_a_mapping_has_empty_roles() -> None:
    assert roles_of(Env(map_roles("web", other=ALL_HOSTS)(NoHosts)())) == {"host": [], "other": []}


def test_a_set_of_roles_is_taken_in_order_of_names() -> None:
    class Site(Root):
        inherited__Hosts = map_roles(host={"web", "db"})

    assert roles_of(Env(Site()).inherited) == {"host": ["three", "one", "two"]}


@pytest.mark.parametrize("wrong", [3, LocalHost1, None, ("web", 3)])
def test_what_is_no_role_is_refused_and_named(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"neither the name of a role of the parent nor ALL_HOSTS"):
        map_roles(role=wrong)


def test_a_misspelt_role_is_shown_beside_those_of_the_parent() -> None:
    class Site(Node):
        class Hosts:
            web = LocalHost1

        @map_roles("wbe")
        class child(Node):
            pass

    with pytest.raises(
        NodeUsageError, match=r"map_roles\(host='wbe'\) found none in Site, whose roles are 'web'$"
    ):
        Env(Site()).child.host  # noqa: B018


def test_a_mapping_without_any_role_to_map_is_explained() -> None:
    class Site(Node):
        @map_roles("web")
        class child(Node):
            pass

    with pytest.raises(NodeUsageError, match=r"found none in Site, which has no roles$"):
        Env(Site()).child.host  # noqa: B018


def test_a_mapping_decorates_classes_only() -> None:
    with pytest.raises(TypeError, match="a node class is needed here"):

        @map_roles("web")
        def act(self: Any) -> None:
            pass


def test_an_empty_or_contradictory_mapping_is_refused() -> None:
    with pytest.raises(TypeError, match="at least one role"):
        map_roles()
    with pytest.raises(TypeError, match="both by position and by name"):
        map_roles("web", host="db")


def test_a_mapping_reads_as_it_is_written() -> None:
    assert repr(map_roles("web", other=("a", "b"), all=ALL_HOSTS)) == (
        "map_roles(host='web', other=('a', 'b'), all=ALL_HOSTS)"
    )
    assert repr(DefaultRoleMapping()) == "DefaultRoleMapping()"


def test_hosts_of_one_name_that_a_mapping_brings_together_are_refused() -> None:
    class twin(LocalHost):
        slug = "one"

    class Site(Node):
        class Hosts:
            a = LocalHost1
            b = twin

        class web(ParallelNode.Array):
            pass

    with pytest.raises(NodeUsageError, match=r"Site\.web: role 'host'.*the slug 'one'"):
        list(Env(Site()).web)
