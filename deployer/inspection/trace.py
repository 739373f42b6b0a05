"""How a query is evaluated, part by part, also when it fails on the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..query import Q, Query, QueryResult
from ..secret import Secret
from .texts import is_secret_name, show_error, show_value

__all__ = ["Step", "trace"]


class Step(NamedTuple):
    """A part of a query."""

    #: How it is written.
    source: str
    #: The ``repr`` of what it evaluates to; None where it fails.
    result: str | None
    #: Why it fails.
    error: str | None = None


def trace(node: Any, query: Query) -> tuple[tuple[Step, ...], str | None, str | None]:
    """Evaluate a query for a node; return its parts with their results, its own result, its error.

    Parts that are written alike are given once. Those of a query that fails are evaluated again one
    by one, to find the one at fault.
    """
    try:
        found = query._execute_query(node)
    except Exception as error:
        steps = list(_iter_until_failure(node, query, error))
        return _leave_out_obvious(steps), None, steps[-1].error
    steps = _show(found)
    return _leave_out_obvious(steps), steps[-1].result, None


def _iter_until_failure(node: Any, query: Query, error: Exception) -> Iterator[Step]:
    """Give the parts of a query that fails, up to the one that raises the error."""
    for part in _iter_parts(list(vars(query._query_operation).values())):
        try:
            found = part._execute_query(node)
        except Exception as inner_error:
            yield from _iter_until_failure(node, part, inner_error)
            return
        yield from _show(found)
    yield Step(show_value(query), None, show_error(error))


def _show(found: QueryResult) -> list[Step]:
    results = list(found.walk_through_subqueries())
    for part, result in results:
        operation = part._query_operation
        name = getattr(operation, "name", getattr(operation, "key", None))
        if isinstance(result, str) and isinstance(name, str) and is_secret_name(name):
            # Also what it is a part of, such as a URL, is shown without it from now on.
            Secret(result)
    return [Step(show_value(part), show_value(result)) for part, result in results]


def _iter_parts(value: Any) -> Iterator[Query]:
    """Give the queries in the operands of a query, in the order in which they are evaluated."""
    # Compared by identity only: a query that is compared becomes another one.
    if isinstance(value, Query):
        yield value
    elif isinstance(value, dict):
        yield from _iter_parts([each for item in value.items() for each in item])
    elif isinstance(value, slice):
        yield from _iter_parts([value.start, value.stop, value.step])
    elif type(value) in (list, tuple, set, frozenset):
        for each in value:
            yield from _iter_parts(each)


def _leave_out_obvious(steps: list[Step]) -> tuple[Step, ...]:
    """Return the steps, each once, without the node itself and constants."""
    shown = dict.fromkeys(
        step for step in steps if step.source != repr(Q) and step.source != f"{Q!r}({step.result})"
    )
    return tuple(shown)
