"""What texts become, by the annotations of an action."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType, Optional, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.shell.values import find_converter, find_parameter_converter

if TYPE_CHECKING:
    from nowhere import Nothing


class Level(Enum):
    low = 1
    HIGH = "top"


Port = NewType("Port", int)
# As older code writes them.
OptionalNumber = Optional[int]  # noqa: UP045
NumberOrText = Union[int, float, str]  # noqa: UP007


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (int, "-3", -3),
        (float, "2.5", 2.5),
        (bool, "yes", True),
        (bool, "Off", False),
        (bool, "1", True),
        (str, "3", "3"),
        (Any, "3", "3"),
        (None, "3", "3"),
        (object, "3", "3"),
        (dict, "{}", "{}"),
        (Path, "a/b", Path("a/b")),
        (Path, "~", Path.home()),
        (PurePosixPath, "~/x", PurePosixPath("~/x")),
        (Level, "low", Level.low),
        (Level, "high", Level.HIGH),
        (Level, "top", Level.HIGH),
        (Level, "1", Level.low),
        (Literal["fast", "slow"], "fast", "fast"),
        (Literal["fast", "slow"], "SLOW", "slow"),
        (Literal[1, 2], "2", 2),
        (Literal["a", "A"], "A", "A"),
        (OptionalNumber, "3", 3),
        (int | None, "none", None),
        (str | None, "none", "none"),
        (NumberOrText, "1.5", 1.5),
        (NumberOrText, "x", "x"),
        (list[int], "1,2,3", [1, 2, 3]),
        (list[int], "", []),
        (list, "a,b", ["a", "b"]),
        (list[str], "a b,c", ["a b", "c"]),
        (tuple[int, ...], "1,2", (1, 2)),
        (tuple[int, str], "1,b", ("1", "b")),
        (set[int], "1,1", {1}),
        (frozenset[Level], "low,top", frozenset(Level)),
        (Sequence[int], "1,2", [1, 2]),
        (Iterable[float], "1", [1.0]),
        (list[int] | None, "1,2", [1, 2]),
        (Annotated[int, "a count"], "3", 3),
        (Port, "80", 80),
    ],
)
def test_a_text_becomes_what_the_annotation_asks_for(annotation, text, value):
    converted = find_converter(annotation).convert(text)
    assert (converted, type(converted)) == (value, type(value))


@pytest.mark.parametrize(
    ("annotation", "text", "expected"),
    [
        (int, "x", "a whole number"),
        (int, "1.5", "a whole number"),
        (float, "", "a number"),
        (bool, "maybe", "yes or no"),
        (Path, "~nobody-at-all/x", "a path"),
        (Level, "middle", "low or HIGH"),
        (Literal["a", "b", "c"], "d", "a, b or c"),
        (Literal[1, 2], "3", "1 or 2"),
        (int | None, "x", "a whole number or none"),
        (int | bool, "x", "a whole number or yes or no"),
        (list[int], "1,x", "a whole number, or several with commas between them"),
        (list[int], "1,", "a whole number, or several with commas between them"),
    ],
)
def test_a_text_that_stands_for_nothing_is_refused_with_what_it_has_to_be(
    annotation, text, expected
):
    converter = find_converter(annotation)
    assert converter.expected == expected
    with pytest.raises(ValueError):
        converter.convert(text)


@pytest.mark.parametrize(
    ("annotation", "choices", "is_path", "is_list"),
    [
        (bool, ("yes", "no"), False, False),
        (Level, ("low", "HIGH"), False, False),
        (Literal["x", 2], ("x", "2"), False, False),
        (Level | None, ("low", "HIGH"), False, False),
        (list[Level], ("low", "HIGH"), False, True),
        (Path, (), True, False),
        (list[Path], (), True, True),
        (str, (), False, False),
    ],
)
def test_what_can_be_counted_is_known_for_completion(annotation, choices, is_path, is_list):
    converter = find_converter(annotation)
    assert converter[2:] == (choices, is_path, is_list)


@given(st.text())
def test_text_is_left_as_it_is(text):
    assert find_converter(str).convert(text) == find_converter(Any).convert(text) == text


@given(st.lists(st.integers(), min_size=1))
def test_a_list_is_what_was_joined_by_commas(numbers):
    assert find_converter(list[int]).convert(",".join(map(str, numbers))) == numbers


@given(st.text())
def test_what_is_converted_never_raises_anything_else(text):
    for annotation in (int, float, bool, Level, Literal["a"], int | None, list[float]):
        with contextlib.suppress(ValueError):
            find_converter(annotation).convert(text)


def test_an_annotation_that_is_postponed_is_looked_up_where_the_action_is_defined():
    def act(level: Level, path: pathlib.Path, nothing: Nothing) -> None: ...

    def convert(name: str, text: str) -> Any:
        return find_parameter_converter(act, act.__annotations__[name]).convert(text)

    assert act.__annotations__["level"] == "Level"
    assert convert("level", "low") is Level.low
    assert convert("path", "x") == Path("x")
    assert convert("nothing", "x") == "x"
