"""Double underscores: overriding the attributes of nested nodes."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.exceptions import NodeDefinitionError
from deployer.inspection import Inspector
from deployer.node import Env, Node, map_roles, required_property
from deployer.query import Q
from our_hosts import LocalHost1, LocalHost2


class Base(Node):
    class Hosts:
        host = LocalHost1
        other = LocalHost2

    class a(Node):
        """The outer one."""

        x = "original"
        location = required_property()

        def where(self) -> str:
            return f"original in {self!r}"

        class b(Node):
            packages = ()
            c = "deep"

            def where(self) -> str:
                return f"original in {self!r}"


class Other(Node):
    def where(self) -> str:
        return "other"


def test_a_value_is_overridden_and_the_base_stays() -> None:
    class Derived(Base):
        a__x = "changed"
        a__location = "/here"

    assert Env(Derived()).a.x == "changed"
    assert Env(Derived()).a.location == "/here"
    assert Env(Base()).a.x == "original"
    assert issubclass(Derived.a, Base.a)
    assert Derived.a is not Base.a


def test_it_reaches_through_several_nodes() -> None:
    class Derived(Base):
        a__b__c = "changed"
        a__x = "too"

    env = Env(Derived())

    assert (env.a.b.c, env.a.x) == ("changed", "too")
    assert Env(Base()).a.b.c == "deep"


def test_the_self_of_a_function_is_the_innermost_node() -> None:
    class Derived(Base):
        def a__b__where(self) -> str:
            return f"changed in {self!r}"

    assert Env(Derived()).a.b.where() == "changed in Env(Derived.a.b)"
    assert Env(Derived()).a.where() == "original in Env(Derived.a)"


def test_super_in_a_function_leads_to_what_it_overrides() -> None:
    marker = "changed"

    class Derived(Base):
        def a__where(self, *, times: int = 2) -> str:
            return f"{marker} {times} times, {super().where()}"

        def a__b__where(self, word: str = "deeply") -> str:
            """Where it is."""
            return f"{marker} {word}, {super().where()}"

    env = Env(Derived())

    assert env.a.where() == "changed 2 times, original in Env(Derived.a)"
    assert env.a.b.where() == "changed deeply, original in Env(Derived.a.b)"
    assert env.a.b.where.__doc__ == "Where it is."


def test_properties_queries_and_nodes_can_be_put_in() -> None:
    class Derived(Base):
        a__x = Q.b.c
        a__location = property(lambda self: f"/{self.x}")
        a__b = Other

    class Deeper(Base):
        a__x = Q.b.c

    env = Env(Derived())

    assert env.a.b.where() == "other"
    assert Env(Deeper()).a.x == "deep"
    assert repr(env.a.b) == "Env(Derived.a.b)"


def test_hosts_are_overridden() -> None:
    class Hosts:
        host = LocalHost2

    class Derived(Base):
        a__b__Hosts = Hosts

    class Mapped(Base):
        a__b__Hosts = map_roles("other")

    assert Env(Derived()).a.b.host.slug == "two"
    assert Env(Derived()).a.host.slug == "one"
    assert Env(Mapped()).a.b.host.slug == "two"


def test_new_actions_nodes_and_values_can_be_added() -> None:
    class Derived(Base):
        a__value = 3
        a__more = Other

        def a__fetch(self) -> Any:
            return self.value, self.more.where()

    assert Env(Derived()).a.fetch() == (3, "other")


def test_overrides_of_overrides_stack() -> None:
    class First(Base):
        a__x = "first"
        a__b__c = "first"

    class Second(First):
        a__x = "second"

    assert (Env(Second()).a.x, Env(Second()).a.b.c) == ("second", "first")


def test_names_and_docstrings_of_overridden_classes_stay() -> None:
    class Derived(Base):
        a__x = 1

    assert Derived.a.__name__ == "a"
    assert Derived.a.__qualname__ == "Base.a"
    assert Derived.a.__doc__ == "The outer one."
    assert "a__x" not in vars(Derived)


def test_overriding_keeps_the_order_of_children() -> None:
    class Ordered(Node):
        first = Other
        second = Base.a

    class Derived(Ordered):
        second__x = 1
        first__y = 2

    names = [Inspector(child).get_name() for child in Inspector(Derived()).get_childnodes()]
    assert names == ["first", "second"]


def test_names_with_leading_or_trailing_underscores_are_no_overrides() -> None:
    class Mangled(Node):
        __private = "mangled"
        __dunder__ = "dunder"
        trailing__ = "trailing"

        def get(self) -> Any:
            return self.__private

    class _Underscored(Node):
        __private = "also mangled"

        def get(self) -> Any:
            return self.__private

    assert Env(Mangled()).get() == "mangled"
    assert Env(_Underscored()).get() == "also mangled"
    assert Mangled.trailing__ == "trailing"


def test_mangled_names_of_base_classes_and_mixins_are_no_overrides() -> None:
    class Mixin:
        __private = "of the mixin"

        def get(self) -> Any:
            return self.__private

    class Mangled(Mixin, Node):
        pass

    class Derived(Mangled):
        _Mixin__private = "derived"

    assert Env(Mangled()).get() == "of the mixin"
    assert Env(Derived()).get() == "derived"


def test_an_override_in_a_mixin_is_refused() -> None:
    class Mixin:
        a__x = 2
        other__x = 3

    class Unrelated(Mixin, Node):
        pass

    with pytest.raises(NodeDefinitionError, match=r"Derived: a__x is inherited from .* no node"):

        class Derived(Mixin, Base):
            pass

    assert Unrelated.other__x == 3


def test_a_private_child_is_overridden_too() -> None:
    class WithPrivate(Node):
        class _inner(Node):
            x = 1

    class Derived(WithPrivate):
        _inner__x = 2

    assert Env(Derived())._inner.x == 2


def test_a_misspelt_child_is_refused_and_the_nearest_offered() -> None:
    class Site(Node):
        class virtual_env(Node):
            location = required_property()

        class git(Node):
            pass

    with pytest.raises(
        NodeDefinitionError,
        match=r"Derived\.virtualenv__location .*'virtualenv'.*"
        r"did you mean virtual_env__location\?",
    ):

        class Derived(Site):
            virtualenv__location = "/x"

    with pytest.raises(NodeDefinitionError, match="its nested nodes are virtual_env, git"):
        type(Node)("Derived", (Site,), {"zzz__location": 1})
    with pytest.raises(NodeDefinitionError, match="does not have: it has none"):
        type(Node)("Derived", (Node,), {"zzz__location": 1})


def test_a_misspelt_child_further_down_is_refused_too() -> None:
    with pytest.raises(NodeDefinitionError, match=r"^Derived\.a: a\.bb__c .*did you mean b__c\?"):

        class Derived(Base):
            a__bb__c = 1


def test_a_misspelt_attribute_is_refused_and_the_nearest_offered() -> None:
    with pytest.raises(NodeDefinitionError, match=r"did you mean a__location\?.*write a class a"):

        class Derived(Base):
            a__locatoin = "/x"


def test_two_swapped_letters_of_a_short_name_are_refused_too() -> None:
    class Site(Node):
        class front(Node):
            path = "/"

    with pytest.raises(NodeDefinitionError, match=r"did you mean front__path\?"):

        class Derived(Site):
            front__paht = "/x"


def test_a_later_misspelt_attribute_is_refused_too() -> None:
    class Derived(Base):
        pass

    with pytest.raises(NodeDefinitionError, match=r"did you mean a__location\?"):
        Derived.a__locatoin = "/x"


def test_numbered_names_are_not_taken_for_misspelt_ones() -> None:
    class Numbered(Node):
        class inner(Node):
            value_1 = 1

    class Derived(Numbered):
        inner__value_2 = 2

    assert (Env(Derived()).inner.value_1, Env(Derived()).inner.value_2) == (1, 2)


def test_a_plain_attribute_is_no_nested_node() -> None:
    with pytest.raises(NodeDefinitionError, match="'number', which Plain does not have"):

        class Plain(Node):
            number = 1

        class Derived(Plain):
            number__x = 1


def test_a_child_of_the_same_body_is_not_overridden() -> None:
    with pytest.raises(
        NodeDefinitionError, match=r"Derived\.a__x: 'a' is defined in the body of Derived itself"
    ):

        class Derived(Base):
            a__x = 1

            class a(Base.a):
                pass


def test_a_misspelt_child_of_the_same_body_is_named() -> None:
    with pytest.raises(
        NodeDefinitionError, match=r"Site\.chlid__x: 'child' is defined in the body of Site itself"
    ):

        class Site(Node):
            chlid__x = 1

            class child(Node):
                x = 0


def test_errors_of_overrides_are_type_errors() -> None:
    with pytest.raises(TypeError):
        type(Node)("Derived", (Node,), {"zzz__location": 1})
