"""What is shown of files: names, sizes, times and permissions. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from stat import filemode
from typing import TYPE_CHECKING

from ..utils.columns import display_width
from .globbing import quote_name

if TYPE_CHECKING:
    from ..host import Stat

__all__ = ["describe_size", "describe_stat", "list_long", "mark", "shown"]

_UNITS = ("KB", "MB", "GB", "TB")


def shown(text: str) -> str:
    """Return a name, or a message with names in it, for a terminal.

    What would do something else there than be seen is a question mark, which also matches it.
    """
    return "".join(c if c.isprintable() or c == "\xa0" else "?" for c in text)


def mark(name: str, found: Stat) -> str:
    """Return a name as lists show it, with a sign of what it is."""
    return shown(name) + ("/" if found.is_dir else "@" if found.is_link else "")


def describe_size(size: float) -> str:
    """Return a number of bytes, for people."""
    if size < 1024:
        return f"{size:.0f} B"
    for unit in _UNITS:
        size /= 1024
        # What would be shown as 1024 is one of the next unit.
        if size < 1023.5 or unit == _UNITS[-1]:
            break
    return f"{size:.1f} {unit}" if size < 9.95 else f"{size:.0f} {unit}"


def describe_stat(path: str, found: Stat, leads_to: str | None) -> list[str]:
    """Return lines that say what is known of a file.

    :param leads_to: where a symlink leads; None for anything else.
    """
    rows = {"path": shown(quote_name(path))}
    if leads_to is not None:
        rows["leads to"] = shown(quote_name(leads_to))
    rows |= {
        "mode": f"{filemode(found.st_mode)} ({found.permissions:o})",
        "owner": f"{found.st_uid}:{found.st_gid}",
        "size": f"{found.st_size:,} bytes",
        "modified": _describe_time(found, "seconds"),
    }
    return [f"{name:<9} {value}" for name, value in rows.items()]


def list_long(entries: Sequence[tuple[str, Stat, str | None]]) -> list[str]:
    """Return a line for each of some files, of which the name and the end of a symlink is known."""
    rows = [
        (
            filemode(found.st_mode),
            f"{found.st_uid}:{found.st_gid}",
            f"{found.st_size:,}",
            _describe_time(found, "minutes"),
            shown(name)
            + "/" * found.is_dir
            + ("" if leads_to is None else f" -> {shown(leads_to)}"),
        )
        for name, found, leads_to in entries
    ]
    owner = max((display_width(row[1]) for row in rows), default=0)
    size = max((display_width(row[2]) for row in rows), default=0)
    return [
        f"{mode}  {whose:<{owner}}  {length:>{size}}  {time}  {name}"
        for mode, whose, length, time, name in rows
    ]


def _describe_time(found: Stat, precision: str) -> str:
    return datetime.fromtimestamp(found.st_mtime).isoformat(" ", precision)
