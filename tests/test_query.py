"""Queries, evaluated for plain objects: they know nothing of nodes."""

from __future__ import annotations

import operator
from types import SimpleNamespace
from typing import Any

import pytest

from deployer.query import Q, Query


class Site:
    domain = "example.com"
    parent = None


class Area(Site):
    pass


class Example:
    a = 7
    b = 2
    text = "hello"
    empty = ""
    ports = {"web": 80}
    key = "web"
    name = "n"
    parent = SimpleNamespace(a="of the parent", parent=Area())

    def method(self, *args: Any, **kwargs: Any) -> Any:
        return args, kwargs


def evaluate(query: Any) -> Any:
    return query._execute_query(Example()).result


@pytest.mark.parametrize(
    ("query", "source", "expected"),
    [
        (Q.a, "Q.a", 7),
        (Q.parent.a, "Q.parent.a", "of the parent"),
        (Q.ports["web"], "Q.ports['web']", 80),
        (Q.ports[Q.key], "Q.ports[Q.key]", 80),
        (Q.text[1:3], "Q.text[1:3]", "el"),
        (Q.text[:: Q.b], "Q.text[::Q.b]", "hlo"),
        (Q.text.upper(), "Q.text.upper()", "HELLO"),
        (Q.method(Q.a, 1, k=Q.b), "Q.method(Q.a, 1, k=Q.b)", ((7, 1), {"k": 2})),
        (Q.method([Q.a], (Q.b,)), "Q.method([Q.a], (Q.b,))", (([7], (2,)), {})),
        (Q.method({"x": Q.a}), "Q.method({'x': Q.a})", (({"x": 7},), {})),
        (Q.parent("Site").domain, "Q.parent('Site').domain", "example.com"),
        (Q.parent(Area).domain, "Q.parent(Area).domain", "example.com"),
        (Q("%s!") % Q.text, "Q('%s!') % Q.text", "hello!"),
        (Q("%s-%s") % (Q.a, Q.b), "Q('%s-%s') % (Q.a, Q.b)", "7-2"),
        (Q("%(x)s") % {"x": Q.a}, "Q('%(x)s') % {'x': Q.a}", "7"),
        (Q([Q.a, {"b": Q.b}]), "Q([Q.a, {'b': Q.b}])", [7, {"b": 2}]),
        (Q.a + 1, "Q.a + 1", 8),
        (1 + Q.a, "1 + Q.a", 8),
        (Q.a - Q.b, "Q.a - Q.b", 5),
        (10 - Q.a, "10 - Q.a", 3),
        (Q.a * 2, "Q.a * 2", 14),
        (2 * Q.a, "2 * Q.a", 14),
        (Q.a / 2, "Q.a / 2", 3.5),
        (14 / Q.a, "14 / Q.a", 2),
        (Q.a // 2, "Q.a // 2", 3),
        (15 // Q.a, "15 // Q.a", 2),
        (Q.a % 4, "Q.a % 4", 3),
        (Q.a**2, "Q.a ** 2", 49),
        (2**Q.a, "2 ** Q.a", 128),
        (Q.a << 1, "Q.a << 1", 14),
        (Q.a >> 1, "Q.a >> 1", 3),
        (1 << Q.a, "1 << Q.a", 128),
        (Q.a ^ 1, "Q.a ^ 1", 6),
        (-Q.a, "-Q.a", -7),
        (+Q.a, "+Q.a", 7),
        (abs(-Q.a), "abs(-Q.a)", 7),
        (Q.a == 7, "Q.a == 7", True),
        (Q.a != 7, "Q.a != 7", False),
        (Q.a < 7, "Q.a < 7", False),
        (Q.a <= 7, "Q.a <= 7", True),
        (Q.a > 7, "Q.a > 7", False),
        (Q.a >= 7, "Q.a >= 7", True),
        (Q.a & Q.b, "Q.a & Q.b", 2),
        (Q.empty & Q.b, "Q.empty & Q.b", ""),
        (Q.empty | Q.b, "Q.empty | Q.b", 2),
        (Q.a | Q.b, "Q.a | Q.b", 7),
        ("" | Q.b, "'' | Q.b", 2),
        (~Q.a, "~Q.a", False),
        (~Q.empty, "~Q.empty", True),
        ((Q.a + 1) * 2, "(Q.a + 1) * 2", 16),
        (Q.a + 1 * 2, "Q.a + 2", 9),
        (Q.a - (Q.b - 1), "Q.a - (Q.b - 1)", 6),
        ((-Q.a) ** 2, "(-Q.a) ** 2", 49),
        (-(Q.a**2), "-Q.a ** 2", -49),
        ((Q.a**Q.b) ** 2, "(Q.a ** Q.b) ** 2", 2401),
        ((Q.a == 7) & ~(Q.b == 7), "(Q.a == 7) & ~(Q.b == 7)", True),
        ((Q.a + 1).bit_length(), "(Q.a + 1).bit_length()", 4),
        (Q.parent.a.upper()[0], "Q.parent.a.upper()[0]", "O"),
    ],
    ids=lambda value: repr(value) if isinstance(value, Query) else "",
)
def test_a_query_reads_like_its_source_and_evaluates(
    query: Query, source: str, expected: object
) -> None:
    assert repr(query) == source
    assert evaluate(query) == expected


def test_the_right_side_of_a_logical_operator_waits_for_the_left() -> None:
    assert evaluate(Q.empty & Q.missing) == ""
    assert evaluate(Q.a | Q.missing) == 7


def test_q_itself_is_the_instance() -> None:
    example = Example()

    assert Q._execute_query(example).result is example


def test_each_evaluation_is_made_anew() -> None:
    instance = SimpleNamespace(x=1)
    query = Q.x + 1
    first = query._execute_query(instance).result
    instance.x = 2

    assert (first, query._execute_query(instance).result) == (2, 3)


def test_what_is_none_in_a_chain_is_named() -> None:
    with pytest.raises(AttributeError, match=r"^Q\.parent\.parent\.parent is None, .* 'domain'$"):
        evaluate(Q.parent.parent.parent.domain)
    assert evaluate(Q.parent.parent.parent) is None


def test_a_missing_ancestor_is_named() -> None:
    with pytest.raises(LookupError, match="no parent of a class 'Nowhere'"):
        evaluate(Q.parent("Nowhere"))


def test_every_subquery_is_kept_with_its_result_in_order_of_evaluation() -> None:
    result = (Q("%s:%s") % (Q.text, Q.ports["web"]))._execute_query(Example())
    parts = [(repr(query), value) for query, value in result.walk_through_subqueries()]

    assert parts[0] == ("Q('%s:%s')", "%s:%s")
    assert ("Q.ports", {"web": 80}) in parts
    assert parts[-1] == ("Q('%s:%s') % (Q.text, Q.ports['web'])", "hello:80")


@pytest.mark.parametrize(
    "use",
    [
        bool,
        str,
        lambda query: f"{query}",
        lambda query: "%s/bin" % query,  # noqa: UP031 - this mistake is what is tested
        lambda query: query and 1,
        lambda query: 1 in query,
        iter,
        len,
    ],
)
def test_what_would_need_the_value_too_early_is_refused(use: Any) -> None:
    with pytest.raises(TypeError):
        use(Q.a)


def test_the_refusal_says_what_to_write() -> None:
    with pytest.raises(TypeError, match=r"Q\.a has no value yet: .*Q\('… %s'\) % Q\.a"):
        f"{Q.a}"
    with pytest.raises(TypeError, match="& for and"):
        operator.truth(Q.a)


def test_misused_calls_are_refused_where_they_are_written() -> None:
    with pytest.raises(TypeError, match="one value"):
        Q()
    with pytest.raises(TypeError, match="name of a node class"):
        Q.parent(3)


def test_a_query_knows_where_it_was_written() -> None:
    query = Q.a + Q.b
    here = test_a_query_knows_where_it_was_written.__code__

    assert query._query_filename == here.co_filename
    assert query._query_line == here.co_firstlineno + 1


def test_libraries_that_look_for_special_methods_find_none() -> None:
    with pytest.raises(AttributeError):
        Q.a.__wrapped__  # noqa: B018 - reading it is what is tested
    assert not hasattr(Q.a, "__fspath__")
