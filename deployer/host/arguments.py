"""What the methods of a host are given: refused at once, where it cannot be what is meant."""

from __future__ import annotations

import os

from ..exceptions import NodeUsageError
from ..secret import Secret, shows_unrevealed

__all__ = ["check_input", "check_local_path", "check_text"]


def check_text(host: str, what: str, value: object) -> None:
    """Raise NodeUsageError for what is no text, or has a Secret in it that was not revealed.

    :param host: the name of the host, for the message.
    :param what: what the value is for.
    """
    if isinstance(value, Secret):
        raise NodeUsageError(f"{host}: {what} is a Secret; for its text, write .reveal()")
    if not isinstance(value, str):
        raise NodeUsageError(f"{host}: {what} has to be a str, not {_kind(value)}{_instead(value)}")
    if shows_unrevealed(value):
        raise NodeUsageError(
            f"{host}: {what} has 'Secret(***)' in it; for the text of a Secret, write .reveal()"
        )


def check_input(host: str, value: object) -> None:
    """Raise NodeUsageError for what no command can read; see :func:`check_text`."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if value is not None:
        check_text(host, "initial_input", value)


def check_local_path(host: str, path: object, instead: str) -> None:
    """Raise NodeUsageError for what is not the path of a file of this machine.

    :param instead: what to use for a text that is in no file.
    """
    if not isinstance(path, str | os.PathLike):
        raise NodeUsageError(
            f"{host}: the local path has to be a str, not {_kind(path)}; {instead}"
        )


def _kind(value: object) -> str:
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _instead(value: object) -> str:
    if isinstance(value, list | tuple):
        return ": write shlex.join([…])"
    if isinstance(value, int | float | os.PathLike):
        return ": write str(…)"
    return ""
