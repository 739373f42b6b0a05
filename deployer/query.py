"""Query expressions: attributes of a node that are looked up elsewhere in its tree.

::

    class web(Node):
        directory = Q.parent.directory
        url = Q('http://%s:%s/') % (Q.parent('Site').domain, Q.parent.ports['web'])

``Q`` stands for the node itself. Everything done with it builds a bigger query, that is evaluated
each time when the attribute is read.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["Q", "Query", "QueryResult"]


class QueryResult:
    """What a query evaluated to, with the same of every query that it is made of."""

    __slots__ = ("query", "result", "subqueries")

    # No dataclass, and neither are the operations below: to make these takes longer than all else
    # here, each time when deployer is started.
    def __init__(self, query: Query, result: Any, subqueries: tuple[QueryResult, ...] = ()) -> None:
        self.query = query
        self.result = result
        self.subqueries = subqueries

    def __repr__(self) -> str:
        return f"QueryResult({self.query!r}, {self.result!r}, {self.subqueries!r})"

    def walk_through_subqueries(self) -> Iterator[tuple[Query, Any]]:
        """Give ``(query, result)`` of every part, in the order of evaluation, this one last."""
        for part in self.subqueries:
            yield from part.walk_through_subqueries()
        yield self.query, self.result


class Query:
    """An expression that is evaluated for a node; made by using ``Q``.

    Attributes and calls build new queries, so that what a query offers itself begins with
    ``_query_``.
    """

    __slots__ = ("_query_filename", "_query_line", "_query_operation")

    def __init__(self, operation: Operation) -> None:
        # Where the query was written: the nearest frame outside of this module.
        frame = sys._getframe(1)
        while frame.f_code.co_filename == __file__ and frame.f_back is not None:
            frame = frame.f_back
        self._query_operation = operation
        self._query_filename = frame.f_code.co_filename
        self._query_line = frame.f_lineno

    def _execute_query(self, instance: object) -> QueryResult:
        """Evaluate it for a node, and keep what every part of it evaluated to."""
        return _execute(self, instance)

    def __getattr__(self, name: str) -> Query:
        # Python and its libraries ask objects for such names to learn what they can do.
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(f"queries have no attribute {name!r}")
        return Query(_Attribute(self, name))

    def __getitem__(self, key: object) -> Query:
        return Query(_Item(self, key))

    def __call__(self, *args: object, **kwargs: object) -> Query:
        if isinstance(self._query_operation, _Itself):
            if len(args) != 1 or kwargs:
                raise TypeError("Q(value) makes a query of one value, like Q('%s') % Q.name")
            return Query(_Value(args[0]))
        if isinstance(self._query_operation, _Attribute) and self._query_operation.name == "parent":
            if len(args) != 1 or kwargs or not isinstance(args[0], str | type):
                raise TypeError("Q.parent(…) takes the name of a node class, or the class")
            return Query(_Ancestor(self._query_operation.of, args[0]))
        return Query(_Call(self, args, kwargs))

    def __abs__(self) -> Query:
        return Query(_Call(Query(_Function("abs", abs)), (self,), {}))

    # Comparing builds a query too, so that a query is told apart by its identity.
    __hash__ = object.__hash__

    # Without these, Python would call __getitem__ with 0, 1, 2… for ever.
    __iter__ = None
    __contains__ = None

    def __bool__(self) -> bool:
        raise TypeError(
            f"{self!r} has no value yet: write & for and, | for or, ~ for not; "
            "and compare with one operator at a time"
        )

    def __repr__(self) -> str:
        return self._query_operation.source()[0]

    def __str__(self) -> str:
        raise TypeError(
            f"{self!r} has no value yet: to put it in a text, write Q('… %s') % {self!r}; "
            "to look at it, use repr()"
        )

    def __format__(self, format_spec: str) -> str:
        return str(self)


# The strengths of binding, as in Python's own grammar; an operand that binds less strongly than
# the operator that it is used with is put in parentheses.
_COMPARISON, _OR, _XOR, _AND, _SHIFT, _SUM, _PRODUCT, _SIGN, _POWER, ATOM = range(10)

# What an operation evaluates to, and the results of its parts.
_Evaluated = tuple[Any, list[QueryResult]]


class Operation:
    """One step of a query: how it is evaluated and how it is written."""

    def evaluate(self, instance: object) -> _Evaluated:
        raise NotImplementedError

    def source(self) -> tuple[str, int]:
        """Return how it is written, and how strongly its outermost operator binds."""
        raise NotImplementedError


class _Itself(Operation):
    def evaluate(self, instance: object) -> _Evaluated:
        return instance, []

    def source(self) -> tuple[str, int]:
        return "Q", ATOM


class _Value(Operation):
    def __init__(self, value: object) -> None:
        self.value = value

    def evaluate(self, instance: object) -> _Evaluated:
        parts: list[QueryResult] = []
        return _resolve(self.value, instance, parts), parts

    def source(self) -> tuple[str, int]:
        return f"Q({self.value!r})", ATOM


class _Function(Operation):
    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name = name
        self.function = function

    def evaluate(self, instance: object) -> _Evaluated:
        return self.function, []

    def source(self) -> tuple[str, int]:
        return self.name, ATOM


class _Attribute(Operation):
    def __init__(self, of: Query, name: str) -> None:
        self.of = of
        self.name = name

    def evaluate(self, instance: object) -> _Evaluated:
        of = _execute(self.of, instance)
        if of.result is None and not hasattr(None, self.name):
            # Most often the parent of the root; Python's own message does not say what is None.
            raise AttributeError(f"{self.of!r} is None, which has no attribute {self.name!r}")
        return getattr(of.result, self.name), [of]

    def source(self) -> tuple[str, int]:
        return f"{_source(self.of, ATOM)}.{self.name}", ATOM


class _Ancestor(Operation):
    def __init__(self, of: Query, wanted: str | type) -> None:
        self.of = of
        self.wanted = wanted

    def evaluate(self, instance: object) -> _Evaluated:
        of = _execute(self.of, instance)
        ancestor = of.result.parent
        while ancestor is not None:
            # The class is asked of the object, since an environment answers with its node's.
            for cls in ancestor.__class__.__mro__:
                if cls is self.wanted or cls.__name__ == self.wanted:
                    return ancestor, [of]
            ancestor = ancestor.parent
        raise LookupError(f"{of.result!r} has no parent of a class {self._name()}")

    def source(self) -> tuple[str, int]:
        return f"{_source(self.of, ATOM)}.parent({self._name()})", ATOM

    def _name(self) -> str:
        return repr(self.wanted) if isinstance(self.wanted, str) else self.wanted.__name__


class _Item(Operation):
    def __init__(self, of: Query, key: object) -> None:
        self.of = of
        self.key = key

    def evaluate(self, instance: object) -> _Evaluated:
        of = _execute(self.of, instance)
        parts = [of]
        return of.result[_resolve(self.key, instance, parts)], parts

    def source(self) -> tuple[str, int]:
        key = self.key
        if isinstance(key, slice):
            parts = [key.start, key.stop] + ([key.step] if key.step is not None else [])
            shown = ":".join("" if part is None else repr(part) for part in parts)
        else:
            shown = repr(key)
        return f"{_source(self.of, ATOM)}[{shown}]", ATOM


class _Call(Operation):
    def __init__(
        self, function: Query, args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> None:
        self.function = function
        self.args = args
        self.kwargs = kwargs

    def evaluate(self, instance: object) -> _Evaluated:
        function = _execute(self.function, instance)
        parts = [function]
        args = [_resolve(arg, instance, parts) for arg in self.args]
        kwargs = {name: _resolve(arg, instance, parts) for name, arg in self.kwargs.items()}
        return function.result(*args, **kwargs), parts

    def source(self) -> tuple[str, int]:
        args = [repr(arg) for arg in self.args]
        args += [f"{name}={arg!r}" for name, arg in self.kwargs.items()]
        return f"{_source(self.function, ATOM)}({', '.join(args)})", ATOM


class _Unary(Operation):
    def __init__(self, symbol: str, function: Callable[[Any], Any], operand: Query) -> None:
        self.symbol = symbol
        self.function = function
        self.operand = operand

    def evaluate(self, instance: object) -> _Evaluated:
        operand = _execute(self.operand, instance)
        return self.function(operand.result), [operand]

    def source(self) -> tuple[str, int]:
        return f"{self.symbol}{_source(self.operand, _SIGN)}", _SIGN


class _Binary(Operation):
    def __init__(
        self,
        symbol: str,
        strength: int,
        function: Callable[[Any, Any], Any],
        left: object,
        right: object,
    ) -> None:
        self.symbol = symbol
        self.strength = strength
        self.function = function
        self.left = left
        self.right = right

    def evaluate(self, instance: object) -> _Evaluated:
        parts: list[QueryResult] = []
        left = _resolve(self.left, instance, parts)
        right = _resolve(self.right, instance, parts)
        return self.function(left, right), parts

    def source(self) -> tuple[str, int]:
        # Of equal operators, the left ones come first; ** is the other way around, and
        # comparisons would be chained.
        strength = self.strength
        left_needs = strength + 1 if strength in (_COMPARISON, _POWER) else strength
        right_needs = _SIGN if strength == _POWER else strength + 1
        left, right = _source(self.left, left_needs), _source(self.right, right_needs)
        return f"{left} {self.symbol} {right}", strength


class _Logical(Operation):
    """``&`` and ``|``: the right side is only evaluated when the left one does not decide."""

    def __init__(
        self, symbol: str, strength: int, decisive: bool, left: object, right: object
    ) -> None:
        self.symbol = symbol
        self.strength = strength
        self.decisive = decisive
        self.left = left
        self.right = right

    def evaluate(self, instance: object) -> _Evaluated:
        parts: list[QueryResult] = []
        left = _resolve(self.left, instance, parts)
        if bool(left) is self.decisive:
            return left, parts
        return _resolve(self.right, instance, parts), parts

    def source(self) -> tuple[str, int]:
        left = _source(self.left, self.strength)
        right = _source(self.right, self.strength + 1)
        return f"{left} {self.symbol} {right}", self.strength


def _execute(query: Query, instance: object) -> QueryResult:
    result, parts = query._query_operation.evaluate(instance)
    return QueryResult(query, result, tuple(parts))


def _resolve(value: Any, instance: object, parts: list[QueryResult]) -> Any:
    """Evaluate the queries in a value, also those in lists, tuples, sets and dicts."""
    if isinstance(value, Query):
        part = _execute(value, instance)
        parts.append(part)
        return part.result
    # Subclasses, such as named tuples, may be made differently: those stay as they are.
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(_resolve(item, instance, parts) for item in value)
    if isinstance(value, slice):
        return slice(*(_resolve(x, instance, parts) for x in (value.start, value.stop, value.step)))
    if type(value) is dict:
        return {
            _resolve(key, instance, parts): _resolve(item, instance, parts)
            for key, item in value.items()
        }
    return value


def _source(value: object, needed: int) -> str:
    """Return how an operand is written, in parentheses when it binds less than needed."""
    if not isinstance(value, Query):
        return repr(value)
    text, strength = value._query_operation.source()
    return text if strength >= needed else f"({text})"


def _define_operators() -> None:
    def binary(symbol: str, strength: int, function: Callable[[Any, Any], Any]) -> Any:
        return lambda self, other: Query(_Binary(symbol, strength, function, self, other))

    def reflected(symbol: str, strength: int, function: Callable[[Any, Any], Any]) -> Any:
        return lambda self, other: Query(_Binary(symbol, strength, function, other, self))

    for name, symbol, strength, function in [
        ("add", "+", _SUM, operator.add),
        ("sub", "-", _SUM, operator.sub),
        ("mul", "*", _PRODUCT, operator.mul),
        ("matmul", "@", _PRODUCT, operator.matmul),
        ("truediv", "/", _PRODUCT, operator.truediv),
        ("floordiv", "//", _PRODUCT, operator.floordiv),
        ("mod", "%", _PRODUCT, operator.mod),
        ("pow", "**", _POWER, operator.pow),
        ("lshift", "<<", _SHIFT, operator.lshift),
        ("rshift", ">>", _SHIFT, operator.rshift),
        ("xor", "^", _XOR, operator.xor),
    ]:
        setattr(Query, f"__{name}__", binary(symbol, strength, function))
        setattr(Query, f"__r{name}__", reflected(symbol, strength, function))

    for name, symbol, function in [
        ("eq", "==", operator.eq),
        ("ne", "!=", operator.ne),
        ("lt", "<", operator.lt),
        ("le", "<=", operator.le),
        ("gt", ">", operator.gt),
        ("ge", ">=", operator.ge),
    ]:
        setattr(Query, f"__{name}__", binary(symbol, _COMPARISON, function))

    def logical(symbol: str, strength: int, decisive: bool, swapped: bool) -> Any:
        def method(self: Query, other: object) -> Query:
            left, right = (other, self) if swapped else (self, other)
            return Query(_Logical(symbol, strength, decisive, left, right))

        return method

    for name, symbol, strength, decisive in [
        ("and", "&", _AND, False),
        ("or", "|", _OR, True),
    ]:
        setattr(Query, f"__{name}__", logical(symbol, strength, decisive, False))
        setattr(Query, f"__r{name}__", logical(symbol, strength, decisive, True))

    def unary(symbol: str, function: Callable[[Any], Any]) -> Any:
        return lambda self: Query(_Unary(symbol, function, self))

    unary_operators: list[tuple[str, str, Callable[[Any], Any]]] = [
        ("neg", "-", operator.neg),
        ("pos", "+", operator.pos),
        ("invert", "~", operator.not_),
    ]
    for name, symbol, operation in unary_operators:
        setattr(Query, f"__{name}__", unary(symbol, operation))


_define_operators()

#: The node itself; what the attribute of a query evaluates to is whatever this is used for.
#: Typed as anything, since the type of a query's value is known only where it is evaluated.
Q: Any = Query(_Itself())
