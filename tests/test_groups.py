"""Groups of nodes, and the copies of classes that put nodes in them."""

from __future__ import annotations

import pytest

from deployer import groups
from deployer.groups import Group, Production, Staging, production, set_group, staging
from deployer.inspection import Inspector
from deployer.node import Env, Node, ParallelNode
from deployer.utils.classes import derive


class Plain(Node):
    class child(Node):
        pass


@production
class Site(Node):
    class child(Node):
        pass

    @staging
    class tryout(Node):
        class child(Node):
            pass


def test_a_node_is_in_its_own_group_or_in_that_of_its_nearest_ancestor() -> None:
    site = Site()

    assert Inspector(site).get_group() is Production
    assert Inspector(site.child).get_group() is Production
    assert Inspector(site.tryout.child).get_group() is Staging
    assert Inspector(Env(site).tryout).get_group() is Staging


def test_a_node_without_group_is_in_the_base_group() -> None:
    assert Inspector(Plain().child).get_group() is Group
    assert (Group.name, Group.color) == ("", None)


def test_the_decorator_works_on_a_copy() -> None:
    copy = production(Plain)

    assert copy is not Plain
    assert issubclass(copy, Plain)
    assert copy.__name__ == "Plain"
    assert Inspector(Plain()).get_group() is Group


def test_cells_and_subclasses_keep_the_group() -> None:
    @production
    class Web(ParallelNode):
        pass

    class Derived(Site):
        tryout__x = 1

    class Outer(Node):
        class web(Web.Array):
            pass

    assert Inspector(Outer().web).get_group() is Production
    assert Inspector(Derived().tryout).get_group() is Staging


@pytest.mark.parametrize("name", ["Production", "Staging", "Beta", "Local", "Other", "Utility"])
def test_the_predefined_groups_have_a_name_a_color_and_a_decorator(name: str) -> None:
    group = getattr(groups, name)
    decorated = getattr(groups, name.lower())(Plain)

    assert issubclass(group, Group)
    assert group.name == name.lower()
    assert group.color
    assert Inspector(decorated()).get_group() is group


def test_a_new_group_is_named_like_its_class_unless_it_says_otherwise() -> None:
    class Testing(Group):
        color = "blue"

    class Named(Group):
        name = "my group"

    assert (Testing.name, Named.name) == ("testing", "my group")
    assert Inspector(set_group(Testing)(Plain)()).get_group() is Testing


@pytest.mark.parametrize("wrong", ["production", Plain, Production()])
def test_set_group_takes_groups_only(wrong: object) -> None:
    with pytest.raises(TypeError, match="subclass of Group"):
        set_group(wrong)  # type: ignore[arg-type]


def test_a_derived_class_looks_like_its_original() -> None:
    class Original:
        """Documented."""

        x = 1

    copy = derive(Original, x=2, y=3)

    assert (copy.x, copy.y, Original.x) == (2, 3, 1)
    assert copy.__bases__ == (Original,)
    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        assert getattr(copy, name) == getattr(Original, name)
