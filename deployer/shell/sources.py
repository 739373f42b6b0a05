"""The source of what is in a tree, as text: with colours, where they can be shown."""

from __future__ import annotations

from ..inspection import Inspector
from ..inspection.source import Place, read_source
from ..inspection.texts import clean, show_value
from ..node.descriptors import RequiredProperty, find_attribute
from .members import Member
from .navigation import NotFound
from .style import Style

__all__ = ["show_source"]


def show_source(member: Member, style: Style) -> list[str]:
    """Return the lines that define something, after one that says where; raise NotFound if none do.

    They are in colours when Pygments is installed.
    """
    place, text = _read(member)
    return [style.paint(f"# {place}", "green"), *_highlight(clean(text), style).splitlines()]


def _read(member: Member) -> tuple[Place, str]:
    inspector = Inspector(member.node)
    cls = inspector.get_class()
    path = ".".join(filter(None, [inspector.get_full_name(), member.name]))
    found = None
    match member.kind:
        case "node":
            found = read_source(cls)
        case "action":
            action = inspector.get_action(member.name)
            found = read_source(getattr(action, "action", action).function)
        case "property":
            value = find_attribute(cls, member.name).value
            if isinstance(value, RequiredProperty):
                raise NotFound(f"{path} is a required property: it has no code, until it is given")
            found = read_source(value.fget)
        case "query":
            query = inspector.get_query(member.name)
            line = query._query_line
            found = (
                Place(query._query_filename, line, line),
                f"{member.name} = {show_value(query)}",
            )
    if found is None:
        raise NotFound(f"{path} has no source code: a program has made it, or the file is gone")
    return found


def _highlight(text: str, style: Style) -> str:
    if not style.has_colours:
        return text
    # Imported here: it need not be installed, and takes its time.
    try:
        from pygments import highlight  # type: ignore[import-untyped]
        from pygments.formatters import TerminalFormatter  # type: ignore[import-untyped]
        from pygments.lexers import PythonLexer  # type: ignore[import-untyped]
    except ImportError:
        return text
    highlighted: str = highlight(text, PythonLexer(), TerminalFormatter())
    return highlighted
