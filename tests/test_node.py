"""Node classes: what their bodies become, and what nodes look like."""

from __future__ import annotations

import functools
import inspect
import pickle
import pydoc
import subprocess
import sys
import threading
from typing import Any

import pytest

from deployer.exceptions import DeployerException, NodeDefinitionError, NodeUsageError
from deployer.groups import production
from deployer.inspection import Inspector
from deployer.node import (
    Env,
    Node,
    ParallelNode,
    alias,
    map_roles,
    required_property,
)
from deployer.query import Q
from our_hosts import LocalHost1, LocalHost2


class Leaf(Node):
    """A leaf."""

    def act(self) -> str:
        """Act."""
        return "acted"


class Tree(Node):
    class first(Leaf):
        pass

    class second(Node):
        class inner(Leaf):
            pass

    third = Leaf


# Names and identity


def test_a_nested_class_reads_back_as_itself_on_the_class() -> None:
    assert Tree.third is Leaf
    assert Tree.first.__name__ == "first"
    assert Tree.third.__name__ == "Leaf"
    assert issubclass(Tree.first, Leaf)


def test_a_nested_class_reads_back_as_an_instance_on_an_instance() -> None:
    tree = Tree()

    assert isinstance(tree.first, Tree.first)
    assert isinstance(tree.third, Leaf)
    assert tree.first.parent is tree
    assert tree.parent is None


def test_a_child_is_the_same_object_each_time() -> None:
    tree = Tree()

    assert tree.second.inner is tree.second.inner
    assert Tree().first is not Tree().first


def test_reprs_show_the_path() -> None:
    tree = Tree()

    assert repr(tree) == "<Node Tree>"
    assert repr(tree.second.inner) == "<Node Tree.second.inner>"
    assert repr(tree.third) == "<Node Tree.third>"
    assert repr(tree.third.act) == "<Action Tree.third.act>"
    assert repr(Leaf.act) == "<Unbound Action act>"


def test_one_class_may_be_nested_under_two_names() -> None:
    class Twice(Node):
        one = Leaf
        two = Leaf

    assert repr(Twice().one) == "<Node Twice.one>"
    assert repr(Twice().two) == "<Node Twice.two>"


def test_children_keep_the_order_of_definition() -> None:
    class Base(Node):
        class z(Node):
            pass

        class a(Node):
            x = 1

    class Derived(Base):
        class m(Node):
            pass

        a__x = 2

        class z(Node):
            pass

    assert [Inspector(n).get_name() for n in Inspector(Derived()).get_childnodes()] == [
        "z",
        "a",
        "m",
    ]


def test_threads_that_reach_a_child_at_once_get_the_same_one() -> None:
    for _ in range(50):
        tree = Tree()
        barrier = threading.Barrier(8)
        found: list[Any] = []

        def reach(tree: Any = tree, barrier: Any = barrier, found: Any = found) -> None:
            barrier.wait()
            found.append(tree.second.inner)

        threads = [threading.Thread(target=reach) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(found) == 8
        assert len(set(map(id, found))) == 1


# What a body may hold


def test_plain_attributes_stay_what_they_are() -> None:
    class Plain(Node):
        ...  # noqa: PIE790 - as in the tutorial
        number = 3
        items: tuple[str, ...] = ("a",)
        annotated: int
        host_class = LocalHost1

        class Options:
            verbose = True

        @staticmethod
        def double(x: int) -> int:
            return 2 * x

        @classmethod
        def name_of_class(cls) -> str:
            return cls.__name__

    env = Env(Plain())

    assert (env.number, env.items, env.host_class) == (3, ("a",), LocalHost1)
    assert env.Options is Plain.Options
    assert env.double(4) == 8
    assert env.name_of_class() == "Plain"
    assert Plain.__annotations__["annotated"] == "int"


def test_set_name_and_init_subclass_work_as_in_any_class() -> None:
    seen: list[Any] = []

    class Named:
        def __set_name__(self, owner: type, name: str) -> None:
            seen.append((owner.__name__, name))

    class Base(Node):
        def __init_subclass__(cls, level: int = 0, **kwargs: Any) -> None:
            super().__init_subclass__(**kwargs)
            cls.level = level

    class Derived(Base, level=3):
        thing = Named()

    assert seen == [("Derived", "thing")]
    assert Derived.level == 3


def test_a_property_is_evaluated_each_time() -> None:
    class Counting(Node):
        counted: list[int] = []

        @property
        def count(self) -> int:
            self.counted.append(1)
            return len(self.counted)

    env = Env(Counting())

    assert (env.count, env.count) == (1, 2)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ([Q("x %s") % Q.port], r"list, .*write Q\(\[…\]\)"),
        ((1, [Q.port]), r"tuple, .*write Q\(\(…\)\)"),
        ({Q.port}, r"set, .*write Q\(\{…\}\)"),
        (frozenset({Q.port}), r"frozenset, .*write Q\(frozenset\(…\)\)"),
        ({"a": {"b": (Q.port,)}}, r"dict, .*write Q\(\{…\}\)"),
        ({Q.port: 1}, r"dict"),
    ],
)
def test_a_query_within_a_plain_value_is_refused(value: Any, what: str) -> None:
    message = rf"^Site\.entries has a query within a {what}"
    with pytest.raises(NodeDefinitionError, match=message):
        type(Node)("Site", (Node,), {"entries": value})

    class Site(Node):
        class web(Node):
            pass

    with pytest.raises(NodeDefinitionError, match=message):
        Site.entries = value
    with pytest.raises(NodeDefinitionError, match=r"^Site\.web: web\.entries has a query within"):
        Site.web__entries = value
    with pytest.raises(NodeDefinitionError, match=r"^Other\.web: web\.entries has a query within"):
        type(Node)("Other", (Site,), {"web__entries": value})


def test_values_without_queries_and_other_objects_stay_as_they_are() -> None:
    class Pair(tuple[Any, ...]):
        pass

    class Site(Node):
        port = 80
        entries = Q([Q.port, {"a": Q.port}])
        plain = ([1, {"a": (2,)}], {3})
        pair = Pair((Q.port,))

    site = Env(Site())
    assert site.entries == [80, {"a": 80}]
    assert site.plain == ([1, {"a": (2,)}], {3})
    assert type(site.pair) is Pair


def test_a_cached_property_is_refused() -> None:
    with pytest.raises(NodeDefinitionError, match=r"Bad\.value is a cached_property"):

        class Bad(Node):
            @functools.cached_property
            def value(self) -> int:
                return 1


@pytest.mark.parametrize("child", [Leaf(), Env(Leaf())], ids=["node", "env"])
def test_an_instance_of_a_node_cannot_be_nested(child: Any) -> None:
    with pytest.raises(NodeDefinitionError, match=r"Bad\.child .*nest the class Leaf"):
        type(Node)("Bad", (Node,), {"child": child})


def test_an_action_without_self_is_refused() -> None:
    with pytest.raises(NodeDefinitionError, match=r"Bad\.act\(\) .*write act\(self\)"):

        class Bad(Node):
            def act() -> None:  # type: ignore[misc]
                pass


def test_the_self_of_an_action_may_be_among_its_arguments() -> None:
    class Collecting(Node):
        def act(*everything: Any) -> Any:
            return everything

    env = Env(Collecting())

    assert env.act(1) == (env, 1)


def test_a_lambda_is_an_action_and_a_mangled_helper_too() -> None:
    class Short(Node):
        act = lambda self: self.__helper()  # noqa: E731 - a short action

        def __helper(self) -> str:
            return repr(self)

    assert Env(Short()).act() == "Env(Short)"


def test_an_action_of_another_class_can_be_taken_over() -> None:
    class Other(Node):
        do = Leaf.act

    assert Env(Other()).do() == "acted"
    assert repr(Env(Other()).do) == "<Env.Action Other.do>"


def test_mixins_bring_actions_properties_and_children() -> None:
    class Mixin:
        class child(Leaf):
            pass

        def act(self) -> str:
            return "mixin"

        @property
        def where(self) -> str:
            return repr(self)

    class Before(Mixin, Leaf):
        def call(self) -> Any:
            return self.act()

    class After(Leaf, Mixin):
        pass

    assert repr(Before().act) == "<Action Before.act>"
    assert Env(Before()).call() == "mixin"
    assert Env(Before()).where == "Env(Before)"
    assert repr(Before().child) == "<Node Before.child>"
    assert Env(After()).act() == "acted"


def test_super_leads_from_a_mixin_to_the_node() -> None:
    class Mixin:
        def act(self) -> Any:
            return ["mixin", super().act()]  # type: ignore[misc]

    class Both(Mixin, Leaf):
        def act(self) -> Any:
            return ["both", *super().act()]

    assert Env(Both()).act() == ["both", "mixin", "acted"]


# What a body may not hold


@pytest.mark.parametrize(
    "name", ["__init__", "host", "hosts", "parent", "console", "initialize_node"]
)
def test_reserved_names_are_refused(name: str) -> None:
    with pytest.raises(TypeError, match=rf"Bad\.{name} cannot be defined"):
        type(Node)("Bad", (Node,), {name: lambda self: None})
    with pytest.raises(TypeError, match=rf"Leaf\.{name} cannot be defined"):
        setattr(Leaf, name, 1)


def test_reserved_names_of_mixins_are_refused() -> None:
    class Mixin:
        def __init__(self) -> None:
            pass

    with pytest.raises(TypeError, match=r"Bad\.__init__ cannot be defined"):

        class Bad(Mixin, Node):
            pass


def test_a_host_in_place_of_hosts_is_explained() -> None:
    with pytest.raises(TypeError, match=r"Bad\.host .*\n    class Hosts:\n        host = "):

        class Bad(Node):
            host = LocalHost1


def test_hosts_in_lower_case_are_explained() -> None:
    with pytest.raises(TypeError, match=r"Bad\.hosts .*did you mean Hosts\?"):

        class Bad(Node):
            class hosts:
                host = LocalHost1


def test_what_a_node_hides_of_a_mixin_is_no_trouble() -> None:
    class Mixin:
        def __init__(self) -> None:
            raise AssertionError

        host = "hidden"

    class Fine(Leaf, Mixin):
        pass

    assert Env(Fine()).act() == "acted"


def test_two_node_classes_as_bases_are_refused() -> None:
    with pytest.raises(TypeError, match=r"Bad inherits from 2 node classes \(Leaf, Tree\)"):

        class Bad(Leaf, Tree):
            pass


@pytest.mark.parametrize("hosts", [LocalHost1(), "host", {"host": LocalHost1}, [LocalHost1], Leaf])
def test_hosts_of_another_kind_are_refused(hosts: Any) -> None:
    with pytest.raises(TypeError, match=r"Bad\.Hosts is .*has to be a class"):
        type(Node)("Bad", (Node,), {"Hosts": hosts})


def test_a_role_with_something_else_than_hosts_is_refused_and_named() -> None:
    with pytest.raises(TypeError, match=r"Bad\.Hosts: role 'web'"):

        class Bad(Node):
            class Hosts:
                web = "example.com"


def test_definition_errors_are_both_deployers_and_type_errors() -> None:
    assert issubclass(NodeDefinitionError, DeployerException)
    assert issubclass(NodeDefinitionError, TypeError)
    assert issubclass(NodeUsageError, TypeError)


# Later assignment


def test_what_is_assigned_later_is_wrapped_too() -> None:
    class Late(Node):
        x = 1

    Late.child = Leaf
    Late.act = lambda self: self.x
    Late.shown = property(lambda self: f"<{self.x}>")
    Late.twice = Q.x * 2
    env = Env(Late())

    assert Late.child is Leaf
    assert repr(env.child) == "Env(Late.child)"
    assert env.act() == 1
    assert env.shown == "<1>"
    assert env.twice == 2


def test_a_later_assignment_is_seen_by_nodes_that_exist() -> None:
    class Late(Node):
        child = Leaf

    class Other(Node):
        pass

    late = Late()
    before = late.child
    Late.child = Other

    assert isinstance(before, Leaf)
    assert isinstance(late.child, Other)


def test_a_later_double_underscore_assignment_overrides() -> None:
    class Late(Node):
        class child(Node):
            x = 1

    original = Late.child
    Late.child__x = 2

    assert Late().child.x == 2
    assert original.x == 1


def test_hosts_assigned_later_count() -> None:
    class Late(Node):
        pass

    class Hosts:
        host = LocalHost1

    Late.Hosts = Hosts

    assert Env(Late()).host.slug == "one"


def test_hosts_assigned_later_count_below_too() -> None:
    class Late(Node):
        class Hosts:
            host = LocalHost1

        class child(Node):
            class inner(Node):
                pass

    class Hosts:
        host = LocalHost2

    late = Late()
    before = Env(late).child.inner.host.slug
    Late.Hosts = Hosts

    assert (before, Env(late).child.inner.host.slug) == ("one", "two")


def test_hosts_that_are_deleted_are_gone() -> None:
    class Late(Node):
        class Hosts:
            host = LocalHost1

    del Late.Hosts

    assert len(Env(Late()).hosts) == 0


def test_an_action_is_deleted_with_its_other_names() -> None:
    class Late(Node):
        @alias("short")
        def act(self) -> None:
            pass

        @alias("kept")
        def other(self) -> str:
            return "other"

    del Late.act

    assert not hasattr(Env(Late()), "act")
    assert not hasattr(Env(Late()), "short")
    assert Env(Late()).kept() == "other"


# Required properties


def test_a_required_property_names_itself_its_owner_and_its_description() -> None:
    class Needy(Node):
        location = required_property("Where to put it")

    with pytest.raises(
        NotImplementedError, match=r"Env\(Needy\) needs the property 'location' \(Where to put it\)"
    ):
        Env(Needy()).location  # noqa: B018 - reading it is what is tested
    with pytest.raises(NotImplementedError, match="<Node Needy> needs the property 'location'"):
        Needy().location  # noqa: B018


def test_a_required_property_that_is_not_called_is_refused() -> None:
    with pytest.raises(NodeDefinitionError, match=r"location = required_property\(\)"):

        class Needy(Node):
            location = required_property


def test_a_required_property_is_satisfied_by_a_subclass() -> None:
    class Needy(Node):
        location = required_property()

    class Satisfied(Needy):
        location = "/here"

    assert Env(Satisfied()).location == "/here"


def test_a_required_property_works_in_other_classes_as_well() -> None:
    class Other:
        address = required_property("an address")

    with pytest.raises(NotImplementedError, match="needs the property 'address'"):
        Other().address  # noqa: B018
    assert Other.address is vars(Other)["address"]


# Bare nodes


def test_an_action_of_a_bare_node_says_how_to_run_it() -> None:
    with pytest.raises(TypeError, match=r"Env\(Tree\(\)\)\.second\.inner\.act\("):
        Tree().second.inner.act()


@pytest.mark.parametrize("name", ["host", "hosts", "console"])
def test_a_bare_node_has_no_hosts_and_says_why(name: str) -> None:
    with pytest.raises(NodeUsageError, match=rf"Env\(Tree\(\)\)\.first\.{name}"):
        getattr(Tree().first, name)


def test_a_bare_node_cannot_run_another_tree() -> None:
    with pytest.raises(NodeUsageError, match=r"Env\(Tree\(\)\)\.initialize_node"):
        Tree().initialize_node(Leaf)


def test_properties_and_queries_of_a_bare_node_are_evaluated() -> None:
    class Bare(Node):
        x = 2
        q = Q.x + 1

        @property
        def p(self) -> int:
            return self.x * 2

    assert (Bare().q, Bare().p) == (3, 4)


def test_an_unbound_action_needs_an_env() -> None:
    with pytest.raises(TypeError, match=r"Leaf\.act\(\) is an action"):
        Leaf.act()
    with pytest.raises(TypeError, match="cannot run on a bare node"):
        Leaf.act(Leaf())
    assert Leaf.act(Env(Leaf())) == "acted"


# Tools


def test_actions_show_their_signature_docstring_and_source() -> None:
    class Documented(Node):
        def act(self, name: str, *, level: int = 1) -> None:
            """Do it."""

    for action in (Documented().act, Env(Documented()).act):
        assert str(inspect.signature(action)) == "(name: 'str', *, level: 'int' = 1) -> 'None'"
        assert inspect.getdoc(action) == "Do it."
        assert action.__name__ == "act"
    assert list(inspect.signature(Documented.act).parameters) == ["self", "name", "level"]
    assert "Do it." in inspect.getsource(Documented.act)
    shown = pydoc.plain(pydoc.render_doc(Env(Documented()).act))
    assert "act(name: 'str', *, level: 'int' = 1) -> 'None'\n    Do it." in shown


@production
class Grouped(Node):
    """Marked in the source."""

    marker = "grouped"


@map_roles("web")
class Mapped(Node):
    marker = "mapped"


class Parallel(ParallelNode):
    marker = "parallel"


@pytest.mark.parametrize("cls", [Leaf, Tree.second, Grouped, Mapped, Parallel.Array])
def test_the_source_of_a_node_class_is_found(cls: type) -> None:
    assert f"class {cls.__name__}(" in inspect.getsource(cls)


def test_copies_of_a_class_keep_its_name_module_and_docstring() -> None:
    assert (Grouped.__name__, Grouped.__qualname__) == ("Grouped", "Grouped")
    assert Grouped.__module__ == __name__
    assert Grouped.__doc__ == "Marked in the source."


@pytest.mark.parametrize("cls", [Leaf, Tree, Tree.second.inner, Grouped, Mapped])
def test_node_classes_can_be_pickled(cls: type) -> None:
    assert pickle.loads(pickle.dumps(cls)) is cls


def test_aliases_are_more_names_of_an_action() -> None:
    class Aliased(Node):
        @alias("b.c.d")
        @alias("short")
        def act(self) -> str:
            return "original"

    class Overridden(Aliased):
        def act(self) -> str:
            return "overridden"

    env = Env(Aliased())

    assert getattr(env, "b.c.d")() == env.short() == env.act() == "original"
    assert repr(env.short) == "<Env.Action Aliased.short>"
    assert Env(Overridden()).short() == "overridden"


@pytest.mark.parametrize("name", ["", None, lambda self: None])
def test_an_alias_needs_a_name(name: Any) -> None:
    with pytest.raises(TypeError, match=r"alias\(\) takes a name"):
        alias(name)


def test_importing_nodes_loads_no_paramiko() -> None:
    script = "import sys, deployer.node, deployer.inspection; print('paramiko' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    assert (result.stdout, result.stderr) == ("False\n", "")


def test_the_old_import_paths_give_the_same_objects() -> None:
    import deployer.node
    import deployer.node.base
    import deployer.node.decorators
    import deployer.node.role_mapping

    for name in deployer.node.base.__all__:
        assert getattr(deployer.node.base, name) is getattr(deployer.node, name)
    assert deployer.node.decorators.alias is alias
    assert deployer.node.role_mapping.map_roles is map_roles
    with pytest.raises(AttributeError, match="Missing"):
        deployer.node.base.Missing  # noqa: B018


def test_hosts_that_are_not_needed_are_no_trouble() -> None:
    class Hostless(Node):
        def act(self) -> int:
            return len(self.hosts)

    class Hosted(Node):
        class Hosts:
            host = LocalHost1, LocalHost2

        child = Hostless

    assert Env(Hostless()).act() == 0
    assert Env(Hosted()).child.act() == 2
