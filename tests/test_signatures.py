"""What a callable takes, read without ``inspect``, against what ``inspect`` says of it."""

from __future__ import annotations

import functools
import inspect
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.node import Env, Node, alias
from deployer.utils.signatures import (
    KEYWORD_ONLY,
    POSITIONAL_ONLY,
    POSITIONAL_OR_KEYWORD,
    VAR_KEYWORD,
    VAR_POSITIONAL,
    Parameter,
    read_parameters,
)


def ask_inspect(function: Callable[..., Any]) -> list[Parameter]:
    """Return the same as ``read_parameters``, as ``inspect`` knows it."""

    def get(value: Any) -> Any:
        return None if value is inspect.Parameter.empty else value

    return [
        Parameter(
            each.name,
            int(each.kind),
            each.default is not each.empty,
            get(each.default),
            get(each.annotation),
        )
        for each in inspect.signature(function).parameters.values()
    ]


@st.composite
def functions(draw: st.DrawFn) -> Callable[..., Any]:
    """Generate functions of every kind of parameters, with and without local variables."""
    names = iter(f"p{number}" for number in range(100))
    positional = draw(st.integers(0, 4))
    positional_only = draw(st.integers(0, positional))
    first_default = draw(st.integers(0, positional))

    def write(has_default: bool) -> str:
        name = next(names)
        annotation = draw(st.sampled_from(["", ": int", ": 'list[int]'"]))
        return f"{name}{annotation}" + (f"={draw(st.integers(0, 9))}" if has_default else "")

    parts = [write(place >= first_default) for place in range(positional)]
    if positional_only:
        parts.insert(positional_only, "/")
    keywords = draw(st.lists(st.booleans(), max_size=3))
    variadic = draw(st.booleans())
    if variadic:
        parts.append(f"*{next(names)}: float")
    elif keywords:
        parts.append("*")
    parts += [write(has_default) for has_default in keywords]
    if draw(st.booleans()):
        parts.append(f"**{next(names)}")
    body = draw(st.sampled_from(["pass", "x = 1; y = lambda: x"]))
    namespace: dict[str, Any] = {}
    exec(f"def function({', '.join(parts)}) -> str: {body}", namespace)
    function: Callable[..., Any] = namespace["function"]
    return function


@given(functions())
def test_it_is_what_inspect_says_of_any_function(function: Callable[..., Any]) -> None:
    assert list(read_parameters(function)) == ask_inspect(function)


@given(functions())
def test_it_is_what_inspect_says_of_a_decorated_function(function: Callable[..., Any]) -> None:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    assert list(read_parameters(wrapper)) == ask_inspect(wrapper) == ask_inspect(function)


@given(functions(), functions())
def test_it_is_what_inspect_says_of_a_bound_method(
    function: Callable[..., Any], outer: Callable[..., Any]
) -> None:
    class Owner:
        pass

    method = functools.partial(function).func.__get__(Owner())
    wrapper = functools.wraps(method)(outer)
    for callable in (method, wrapper):
        try:
            expected = ask_inspect(callable)
        except ValueError:  # It has no place for its self.
            continue
        assert list(read_parameters(callable)) == expected


def with_own_signature(first: int) -> None:
    pass


with_own_signature.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [inspect.Parameter("other", inspect.Parameter.KEYWORD_ONLY, default=3)]
)


class Callable_:
    def __call__(self, word: str, *rest: str) -> None:
        pass


class WithPartial:
    def method(self, first: int, second: int) -> None:
        pass

    partial = functools.partialmethod(method, 1)


@pytest.mark.parametrize(
    "callable",
    [
        len,
        print,
        functools.partial(with_own_signature, other=1),
        functools.partial(lambda a, b, c=3: None, 1, c=2),
        with_own_signature,
        functools.wraps(with_own_signature)(lambda *args: None),
        Callable_(),
        Callable_,
        WithPartial().partial,
        WithPartial.partial,
        WithPartial().method,
        lambda: None,
    ],
)
def test_inspect_is_asked_about_all_that_is_no_plain_function(callable: Any) -> None:
    assert list(read_parameters(callable)) == ask_inspect(callable)


def test_a_callable_that_does_not_say_what_it_takes_takes_anything() -> None:
    assert [each.kind for each in read_parameters(dict)] == [VAR_POSITIONAL, VAR_KEYWORD]


def test_a_circle_of_decorators_ends() -> None:
    def function(word: str) -> None:
        pass

    function.__wrapped__ = function  # type: ignore[attr-defined]
    assert read_parameters(function)


def test_what_is_no_callable_is_refused() -> None:
    with pytest.raises(TypeError):
        read_parameters("text")  # type: ignore[arg-type]


# Actions


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    return wrapper


class Root(Node):
    @alias("get")
    def checkout(self, commit: str, /, force: bool = False, *paths: str, depth: int, **more: str):
        pass

    @logged
    def decorated(self, word: str):
        pass

    def anything(*args: Any):
        pass

    class child(Node):
        def __call__(self, name="all"):
            pass


@pytest.mark.parametrize("root", [Env(Root()), Root()], ids=["env", "node"])
def test_the_parameters_of_actions_are_those_without_self(root: Any) -> None:
    assert read_parameters(root.checkout) == (
        Parameter("commit", POSITIONAL_ONLY, annotation="str"),
        Parameter("force", POSITIONAL_OR_KEYWORD, True, False, "bool"),
        Parameter("paths", VAR_POSITIONAL, annotation="str"),
        Parameter("depth", KEYWORD_ONLY, annotation="int"),
        Parameter("more", VAR_KEYWORD, annotation="str"),
    )
    assert read_parameters(root.get) == read_parameters(root.checkout)
    assert [each.name for each in read_parameters(root.decorated)] == ["word"]
    assert [each.name for each in read_parameters(root.anything)] == ["args"]


def test_an_unbound_action_takes_its_self() -> None:
    assert [each.name for each in read_parameters(Root.decorated)] == ["self", "word"]


@pytest.mark.parametrize("action", [Env(Root()).checkout, Env(Root()).decorated, Root.checkout])
def test_actions_have_the_parameters_that_inspect_says(action: Any) -> None:
    assert list(read_parameters(action)) == ask_inspect(action)


@pytest.mark.parametrize(
    ("parameter", "flags"),
    [
        (Parameter("a", POSITIONAL_ONLY), "positional required"),
        (Parameter("a"), "positional keyword required"),
        (Parameter("a", has_default=True), "positional keyword"),
        (Parameter("a", VAR_POSITIONAL), "variadic"),
        (Parameter("a", KEYWORD_ONLY), "keyword required"),
        (Parameter("a", VAR_KEYWORD), "variadic"),
    ],
)
def test_a_parameter_says_how_it_is_given(parameter: Parameter, flags: str) -> None:
    names = ("positional", "keyword", "variadic", "required")
    assert " ".join(name for name in names if getattr(parameter, f"is_{name}")) == flags


@pytest.mark.skipif(sys.version_info < (3, 14), reason="annotations are evaluated at once")
def test_annotations_that_cannot_be_evaluated_are_texts() -> None:
    namespace: dict[str, Any] = {}
    # Compiled without the future import of this module.
    code = compile("def act(self, name: Missing, depth: int): pass", "x", "exec", dont_inherit=True)
    exec(code, namespace)
    assert [each.annotation for each in read_parameters(namespace["act"])] == [
        None,
        "Missing",
        "int",
    ]


def test_reading_does_not_load_inspect() -> None:
    program = """
import sys
from deployer.utils.signatures import read_parameters
def function(a, *b, c: int = 3, **d): pass
assert len(read_parameters(function)) == 4
assert "inspect" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
