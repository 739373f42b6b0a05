"""The decorators of actions, on what is written in a class and on what is inherited."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.exceptions import NodeDefinitionError
from deployer.inspection import Inspector
from deployer.inspection.details import ActionDetails, inspect_action
from deployer.node import (
    Env,
    Node,
    ParallelNode,
    alias,
    changes_nothing,
    dont_isolate_yet,
    isolate_one_only,
    serial,
    suppress_action_result,
)
from our_hosts import LocalHost1, LocalHost2

DECORATORS = [
    changes_nothing,
    dont_isolate_yet,
    isolate_one_only,
    serial(1),
    suppress_action_result,
    alias("other name"),
]


class Base(ParallelNode):
    def name(self) -> str:
        return "base"


class Web(Base):
    class Hosts:
        host = (LocalHost1, LocalHost2)

    @alias("is.up")
    def check(self, *, loud: bool = False) -> str:
        """Say whether it is up."""
        return "UP" if loud else "up"

    def name(self) -> str:
        return f"web of {super().name()}"


def look_at(cls: type[ParallelNode], name: str = "check") -> tuple[bool, ActionDetails]:
    """Return all that decorators may have said of an action."""
    details = inspect_action(cls(), name)
    suppresses = Inspector(cls()).suppress_result_for_action(name)
    return suppresses, details._replace(defined_in="")


@pytest.mark.parametrize("decorate", DECORATORS)
def test_an_inherited_action_can_be_decorated_and_its_class_stays_as_it_is(decorate: Any) -> None:
    before = look_at(Web)

    class Decorated(Web):
        check = decorate(Web.check)

    class Written(Web):
        @decorate
        def check(self, *, loud: bool = False) -> str: ...

    assert look_at(Web) == before
    assert look_at(Decorated) != before
    suppresses, details = look_at(Decorated)
    expected_suppresses, expected = look_at(Written)
    assert suppresses == expected_suppresses
    for name in ("runs", "batches", "changes_nothing"):
        assert getattr(details, name) == getattr(expected, name)
    assert set(details.aliases) == set(expected.aliases)
    assert (details.doc, details.place) == (before[1].doc, before[1].place)
    assert Env(Decorated())[0].check(loud=True) == "UP"


def test_decorators_add_up_on_an_inherited_action() -> None:
    class Decorated(Web):
        check = serial(1, "50%")(alias("well")(changes_nothing(Web.check)))

    _, details = look_at(Decorated)
    assert details.batches == (1, "50%")
    assert details.changes_nothing
    assert set(details.aliases) == {"is.up", "well"}
    assert list(Env(Decorated()).well()) == ["up", "up"]


def test_an_inherited_action_keeps_its_super() -> None:
    class Decorated(Web):
        name = serial(1)(Web.name)

    class Outer(Node):
        class web(Web.Array):
            pass

    class Overridden(Outer):
        web__name = serial(1)(Web.name)

    assert Env(Decorated())[0].name() == "web of base"
    assert Env(Overridden()).web[0].name() == "web of base"
    assert inspect_action(Overridden().web, "name").batches == (1,)


def test_a_function_of_a_mixin_can_be_decorated_and_the_mixin_stays_as_it_is() -> None:
    class Checks:
        def check(self) -> None: ...

    class Decorated(ParallelNode, Checks):
        check = serial(1)(Checks.check)

    class Plain(ParallelNode, Checks):
        pass

    assert inspect_action(Decorated(), "check").batches == (1,)
    assert inspect_action(Plain(), "check").batches == ()


@pytest.mark.parametrize("decorate", DECORATORS)
@pytest.mark.parametrize(
    "wrong", [property(lambda self: 1), staticmethod(len), Web().check, Env(Web()).check]
)
def test_what_is_no_action_of_a_class_cannot_be_decorated(decorate: Any, wrong: object) -> None:
    with pytest.raises(NodeDefinitionError, match=r"above a function of the class, or .*Base\."):
        decorate(wrong)
