"""Texts into what an action's annotations ask for, and the texts that could be meant."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

__all__ = ["Converter", "find_converter", "find_parameter_converter"]

_BOOLEANS = {"yes": True, "true": True, "on": True, "1": True}
_BOOLEANS |= {"no": False, "false": False, "off": False, "0": False}
_SEQUENCES: dict[Any, Callable[[list[Any]], Any]] = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
}


class Converter(NamedTuple):
    """What makes a value of a text."""

    #: Takes the text; raises ValueError when it stands for no value.
    convert: Callable[[str], Any]
    #: What the text has to be, for messages: ``a whole number``. Empty when any text will do.
    expected: str = ""
    #: The texts that there are, when they can be counted.
    choices: tuple[str, ...] = ()
    #: Whether it is a path on this machine.
    is_path: bool = False
    #: Whether it is a list, of which only the last item is to be completed.
    is_list: bool = False


_TEXT = Converter(str)


def find_parameter_converter(action: Callable[..., Any], annotation: Any) -> Converter:
    """Return what converts a text to what the annotation of an action's parameter asks for.

    An annotation that is text, as where a module postpones them, is looked up where the action is
    defined. One that names something that only type checkers know asks for nothing.
    """
    if isinstance(annotation, str):
        try:
            # The user's own code, which Python evaluates in the same way elsewhere.
            annotation = eval(annotation, _get_namespace(action))
        except Exception:
            return _TEXT
    return find_converter(annotation)


def _get_namespace(function: Any) -> dict[str, Any]:
    """Return the globals of what an action, or a decorator, has wrapped."""
    while True:
        inner = getattr(function, "__wrapped__", None) or getattr(function, "__func__", None)
        if inner is None:
            return getattr(function, "__globals__", {})
        function = inner


def find_converter(annotation: Any) -> Converter:
    """Return what converts a text to what an annotation asks for.

    There are ``int``, ``float``, ``bool``, paths, enumerations, ``Literal``, unions with these
    (``Optional``), and lists, tuples and sets of them, whose items are separated by commas. Where
    there is something else, or nothing, the text is the value.
    """
    if annotation is bool:
        return Converter(_parse_bool, "yes or no", ("yes", "no"))
    if annotation is int:
        return Converter(int, "a whole number")
    if annotation is float:
        return Converter(float, "a number")
    if annotation in _SEQUENCES:
        return _make_list(annotation, _TEXT)
    if isinstance(annotation, type) and not get_origin(annotation):
        return _find_for_class(annotation)
    return _find_for_form(annotation)


def _find_for_class(cls: type) -> Converter:
    if issubclass(cls, Enum):
        return _make_choice({member.name: member for member in cls}, by_value=True)
    # Whoever annotates with it has it loaded; it takes its time.
    pathlib = sys.modules.get("pathlib")
    if pathlib is not None and issubclass(cls, pathlib.PurePath):
        return Converter(lambda text: _parse_path(cls, text), "a path", is_path=True)
    return _TEXT


def _find_for_form(annotation: Any) -> Converter:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return find_converter(arguments[0])
    if origin is Literal:
        return _make_choice({_show(value): value for value in arguments})
    if origin in (Union, types.UnionType):
        return _make_union(arguments)
    if origin in _SEQUENCES or origin in (Sequence, Iterable):
        kind = origin if origin in _SEQUENCES else list
        items = [argument for argument in arguments if argument is not Ellipsis]
        # A tuple with items of several kinds is left to the action.
        return _make_list(kind, find_converter(items[0]) if len(set(items)) == 1 else _TEXT)
    supertype = getattr(annotation, "__supertype__", None)  # Of a NewType.
    return _TEXT if supertype is None else find_converter(supertype)


def _make_choice(values: dict[str, Any], by_value: bool = False) -> Converter:
    """Return what finds a value by its name, whatever its case; for enumerations also by value."""
    folded = {name.lower(): value for name, value in values.items()}
    if by_value:
        folded = {_show(member.value).lower(): member for member in values.values()} | folded

    def convert(text: str) -> Any:
        if text in values:
            return values[text]
        try:
            return folded[text.lower()]
        except KeyError:
            raise ValueError(text) from None

    return Converter(convert, _join(list(values)), tuple(values))


def _make_union(members: Sequence[Any]) -> Converter:
    """Return what makes of a text the first of several things that it can be."""
    converters = [find_converter(member) for member in members if member is not type(None)]
    is_optional = type(None) in members

    def convert(text: str) -> Any:
        for converter in converters:
            try:
                return converter.convert(text)
            except ValueError:
                continue
        if is_optional and text.lower() == "none":
            return None
        raise ValueError(text)

    expected = [converter.expected for converter in converters]
    takes_text = "" in expected
    return Converter(
        convert,
        "" if takes_text else _join([*expected, *(["none"] if is_optional else [])]),
        tuple(choice for converter in converters for choice in converter.choices),
        any(converter.is_path for converter in converters),
        any(converter.is_list for converter in converters),
    )


def _make_list(kind: Any, item: Converter) -> Converter:
    def convert(text: str) -> Any:
        return _SEQUENCES[kind]([item.convert(part) for part in text.split(",")] if text else [])

    expected = f"{item.expected}, or several with commas between them" if item.expected else ""
    return Converter(convert, expected, item.choices, item.is_path, is_list=True)


def _parse_bool(text: str) -> bool:
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        raise ValueError(text) from None


def _parse_path(cls: Any, text: str) -> Any:
    path = cls(text)
    try:
        return path.expanduser() if hasattr(path, "expanduser") else path
    except RuntimeError as error:  # No such user.
        raise ValueError(text) from error


def _show(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _join(words: Sequence[str]) -> str:
    *others, last = dict.fromkeys(words)
    return f"{', '.join(others)} or {last}" if others else last
