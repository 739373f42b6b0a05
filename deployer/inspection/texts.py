"""What is written in a tree, as text for a terminal: docstrings, values, errors."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from enum import Enum
from typing import Any

from ..exceptions import DeployerException
from ..node.base import Node
from ..secret import redact
from ..utils.signatures import KEYWORD_ONLY, VAR_KEYWORD, VAR_POSITIONAL, Parameter
from ..utils.string_utils import abbreviate
from .inspector import Inspector

__all__ = [
    "clean",
    "clean_doc",
    "describe_usage",
    "get_class_doc",
    "get_node_doc",
    "get_summary",
    "is_secret_name",
    "show_as_typed",
    "show_error",
    "show_value",
]


def clean_doc(doc: str | None) -> str:
    """Return a docstring without its indentation, and without what controls a terminal."""
    # Imported here: whoever wants but summaries does without.
    from textwrap import dedent

    first, _, rest = clean(doc or "").expandtabs().partition("\n")
    return "\n".join([first.strip(), dedent(rest)]).strip()


def get_node_doc(node: Any) -> str:
    """Return the docstring of a node's class, or of the nearest of the user's classes below it."""
    return clean_doc(get_class_doc(Inspector(node).get_class()))


def get_summary(doc: str | None) -> str:
    """Return the first line of a docstring that has text."""
    lines = (" ".join(line.split()) for line in clean(doc or "").splitlines())
    return next((line for line in lines if line), "")


def clean(text: str) -> str:
    """Return a text without what controls a terminal: escape sequences and such characters."""
    return text if text.isprintable() else _CONTROL.sub("", text)


def describe_usage(name: str, parameters: Sequence[Parameter]) -> str:
    """Say how an action is called: ``checkout COMMIT [force=False]``."""
    words = [name]
    for parameter in parameters:
        upper = parameter.name.upper()
        if parameter.kind == VAR_POSITIONAL:
            words.append(f"[{upper}…]")
        elif parameter.kind == VAR_KEYWORD:
            words.append("[NAME=VALUE…]")
        elif parameter.has_default:
            default = show_as_typed(parameter.default)
            words.append(f"[{parameter.name}={default}]")
        elif parameter.kind == KEYWORD_ONLY:
            words.append(f"{parameter.name}={upper}")
        else:
            words.append(upper)
    return " ".join(words)


def show_value(value: object, width: int | None = None) -> str:
    """Return the repr of a value, without secrets.

    :param width: cut to its first line, and to so many characters of that.
    """
    try:
        text = repr(value)
    except Exception as error:
        text = f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"
    text = redact(clean(text))
    return text if width is None else abbreviate(text, width)


def show_as_typed(value: object) -> str:
    """Return a default as it is typed for an action, where that is known; cut, and no secrets."""
    if isinstance(value, str):
        text = clean(value)
    elif isinstance(value, Enum):
        text = clean(value.name)
    elif isinstance(value, os.PathLike):
        text = clean(os.fspath(value))
    else:
        text = show_value(value)
    return abbreviate(redact(text), _LONGEST_DEFAULT)


def get_class_doc(cls: type[Node]) -> str:
    """Return the docstring of a node class, or of the nearest of the user's classes, as it is."""
    for each in cls.__mro__:
        # Also the classes that ours are derived to, such as ``ParallelNode.Array``.
        if each.__module__ == Node.__module__:
            break
        if each.__doc__:
            return each.__doc__
    return ""


def is_secret_name(name: str) -> bool:
    """Return whether what goes by a name is not to be shown, whether or not it is a ``Secret``."""
    return _SECRET_NAME.search(name) is not None


def show_error(error: Exception) -> str:
    """Return what went wrong in a line, without secrets; our own errors as the message alone."""
    text = " ".join(redact(clean(str(error))).split())
    return text if isinstance(error, DeployerException) else f"{type(error).__name__}: {text}"


_LONGEST_DEFAULT = 40
_SECRET_NAME = re.compile(
    r"passw|passphrase|secret|token|credential|private_?key|rsa_key|api_?key", re.IGNORECASE
)
# Sequences with their parameters, then what else is neither text, nor a tab or a line's end.
_CONTROL = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x9c|\x1b\\)?"
    r"|\x1b[ -/]*[0-~]?"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
