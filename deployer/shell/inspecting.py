"""Text that says all about one node, action, property or query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..inspection.details import (
    ActionDetails,
    NodeDetails,
    PropertyDetails,
    QueryDetails,
    inspect_action,
    inspect_node,
    inspect_property,
    inspect_query,
)
from ..utils.string_utils import abbreviate
from .listing import fold_names, list_members, show_roles
from .members import Member
from .style import Style, in_table

if TYPE_CHECKING:
    from ..inspection.source import Place

__all__ = ["Details", "inspect_member", "is_failure", "show_details"]

Details = NodeDetails | ActionDetails | PropertyDetails | QueryDetails

# What is longer is shown with a mark where it was cut; as JSON, all of it.
_LONGEST_VALUE = 200


def inspect_member(member: Member) -> Details:
    """Return all about something in a tree; a query is evaluated."""
    match member.kind:
        case "action":
            return inspect_action(member.node, member.name)
        case "property":
            return inspect_property(member.node, member.name)
        case "query":
            return inspect_query(member.node, member.name)
    return inspect_node(member.node)


def is_failure(details: Details) -> bool:
    """Return whether it is a query that fails."""
    return isinstance(details, QueryDetails) and details.error is not None


def show_details(details: Details, style: Style) -> list[str]:
    """Return the lines that say it."""
    match details:
        case NodeDetails():
            return _show_node(details, style)
        case ActionDetails():
            return _show_action(details, style)
        case PropertyDetails():
            return _show_property(details, style)
        case QueryDetails():
            return _show_query(details, style)


def _show_node(details: NodeDetails, style: Style) -> list[str]:
    node = details.about
    members = node.members
    cells = (members and members.cells) or ()
    lines = [style.paint(f"Node {node.path}", node.color, bold=True)]
    lines += _show_facts(
        ("problem", node.problem),
        ("group", node.group),
        ("class", f"{details.class_name} ({node.node_kind})"),
        ("bases", ", ".join(details.bases)),
        ("file", _show_place(details.place)),
        ("hosts", show_roles(node)),
        ("roles", f"map_roles({node.mapping})" if node.mapping else ""),
        ("cells", f"{fold_names(cells)} ({len(cells)})" if cells else ""),
        style=style,
    )
    lines += _show_doc(details.doc)
    if members is not None and (sections := list_members(members, style)):
        lines += ["", *sections]
    if details.attributes:
        rows = [(each.name, _shorten(each.value)) for each in details.attributes]
        lines += ["", style.paint("Attributes", bold=True)]
        lines += in_table(rows, style)
    return lines


def _show_action(details: ActionDetails, style: Style) -> list[str]:
    runs = {
        "once": "once",
        "in-one-cell": "in one of the cells",
        "in-each-cell": "in each cell",
    }[details.runs]
    if details.batches:
        runs += f", in batches of {', then '.join(map(str, details.batches))}"
    if details.cells:
        runs += f": {fold_names(details.cells)} ({len(details.cells)})"
    return [
        style.paint(f"Action {details.path}", bold=True),
        *_show_facts(
            ("usage", details.about.usage),
            ("also", ", ".join(details.aliases)),
            ("class", details.defined_in),
            ("file", _show_place(details.place)),
            ("runs", runs),
            ("changes", "nothing, says its author" if details.changes_nothing else ""),
            style=style,
        ),
        *_show_doc(details.doc),
    ]


def _show_property(details: PropertyDetails, style: Style) -> list[str]:
    return [
        style.paint(f"Property {details.path}", bold=True),
        *_show_facts(
            ("value", "none yet: it has to be given one" if details.is_required else ""),
            ("class", details.defined_in),
            ("file", _show_place(details.place)),
            style=style,
        ),
        *_show_doc(details.doc),
    ]


def _show_query(details: QueryDetails, style: Style) -> list[str]:
    error = details.error
    steps = [
        (_shorten(step.source), _shorten(step.result if step.result is not None else "failed"))
        for step in details.steps
    ]
    lines = [
        style.paint(f"Query {details.path}", bold=True),
        *_show_facts(
            ("source", details.source),
            ("class", details.defined_in),
            ("file", _show_place(details.place)),
            ("result", "" if details.result is None else _shorten(details.result)),
            style=style,
        ),
    ]
    if steps:
        lines += ["", style.paint("Steps", bold=True), *in_table(steps, style)]
    if error is not None:
        lines += ["", style.paint(f"It fails: {_shorten(error)}", "red")]
    return lines


def _show_facts(*facts: tuple[str, str], style: Style) -> list[str]:
    """Return a line for each fact that there is."""
    return in_table([fact for fact in facts if fact[1]], style._replace(is_cut=False))


def _show_doc(doc: str) -> Sequence[str]:
    return ["", *doc.splitlines()] if doc else []


def _show_place(place: Place | None) -> str:
    return "" if place is None else str(place)


def _shorten(text: str) -> str:
    return abbreviate(text, _LONGEST_VALUE)
