"""Text that shows what is in a tree: as a list, as a tree, and what was found in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..inspection.description import (
    ActionDescription,
    AttributeDescription,
    Found,
    Members,
    NodeDescription,
)
from ..utils.columns import display_width, to_columns
from .style import Style, in_table

__all__ = ["draw_tree", "fold_names", "list_found", "list_members", "list_node", "show_roles"]

# More cells than these are not listed one by one to a person.
_MANY_CELLS = 40


def list_node(node: NodeDescription, style: Style, is_long: bool = False) -> list[str]:
    """Return the lines that list what is in a node.

    :param is_long: one line for each, with what it is for.
    """
    members = node.members
    assert members is not None, "a node is listed that was not looked into"
    lines = list_members(members, style) if is_long else _list_names(members, style)
    lines += _list_cells(members.cells or (), style)
    if not is_long:
        lines += [f"! {child.name}: {child.problem}" for child in members.nodes if child.problem]
    return lines or ["Nothing here yet: no child nodes, and no actions."]


def list_members(members: Members, style: Style) -> list[str]:
    """Return a line for each thing in a node, in sections with titles."""
    default = members.default_action
    actions = [(each.usage, each.summary or _show_alias(each.alias_of)) for each in members.actions]
    if default is not None:
        actions.insert(0, (default.usage.replace(default.name, ".", 1), default.summary))
    sections: tuple[tuple[str, Sequence[Sequence[str]]], ...] = (
        ("Child nodes", [_list_child(child, style) for child in members.nodes]),
        ("Actions", actions),
        ("Properties", members.properties),
        ("Queries", members.queries),
    )
    lines = []
    for title, rows in sections:
        if rows:
            lines += [style.paint(title, bold=True), *in_table(rows, style)]
    return lines


def draw_tree(node: NodeDescription, style: Style) -> list[str]:
    """Return the lines that show a node and all that is below it."""
    return list(_draw(node, None, style, "", ""))


def list_found(found: Iterable[Found], style: Style) -> list[str]:
    """Return a line for each thing that was found."""
    rows = [
        (each.path, each.summary if each.kind in ("node", "action") else _show_kind(each))
        for each in found
    ]
    return in_table(rows, style, indent=0)


def show_roles(node: NodeDescription) -> str:
    """Say which hosts a node has: ``web[1-3]``, or ``host: web[1-3]; db: db1``."""
    roles = node.roles
    if list(roles) == ["host"]:
        return _show_hosts(node, "host")
    return "; ".join(f"{role}: {_show_hosts(node, role)}" for role in roles)


def fold_names(names: Sequence[str]) -> str:
    """Return names of hosts in short."""
    if len(names) < 2:
        return "".join(names)
    # Imported here, as it takes its time.
    from ..utils.folding import fold

    return fold(names)


def _list_names(members: Members, style: Style) -> list[str]:
    # What runs when the node itself is called has no other name in it.
    default = [] if members.default_action is None else ["."]
    sections = (
        ("Child nodes", [_paint_name(child, style) for child in members.nodes]),
        ("Actions", default + _names(members.actions)),
        ("Properties", _names(members.properties)),
        ("Queries", _names(members.queries)),
    )
    lines = []
    for title, names in sections:
        if names:
            lines += [style.paint(title, bold=True), *_in_columns(names, style)]
    return lines


def _names(attributes: Iterable[ActionDescription | AttributeDescription]) -> list[str]:
    return [each.name for each in attributes]


def _in_columns(names: Sequence[str], style: Style) -> list[str]:
    return [f"  {line}" for line in to_columns(names, style.columns - 2)]


def _list_cells(cells: Sequence[str], style: Style) -> list[str]:
    if not cells:
        return []
    names = [f":{cell}" for cell in cells]
    if style.is_cut and len(cells) > _MANY_CELLS:
        names = [f":{fold_names(cells)} ({len(cells)})"]
    return [style.paint("Cells", bold=True), *_in_columns(names, style)]


def _list_child(child: NodeDescription, style: Style) -> tuple[str, str, str]:
    count = len(child.hosts)
    hosts = f"{count} host{'s' * (count != 1)}" if count else ""
    help = f"! {child.problem}" if child.problem else child.summary
    return _paint_name(child, style), hosts, help


def _paint_name(node: NodeDescription, style: Style) -> str:
    return style.paint(node.name, node.color)


def _show_alias(alias_of: str | None) -> str:
    return f"the same as {alias_of}" if alias_of else ""


def _show_kind(found: Found) -> str:
    return f"({found.kind}) {found.summary}".rstrip()


def _show_hosts(node: NodeDescription, role: str) -> str:
    names = fold_names(node.roles[role]) or "none"
    return f"each of {names}" if node.is_array and role == "host" and node.hosts else names


def _draw(
    node: NodeDescription, outer: NodeDescription | None, style: Style, first: str, others: str
) -> Iterator[str]:
    """Give the lines of a node.

    :param first: what stands before its name.
    :param others: what stands before all that is below it.
    """
    name = node.name + ("()" if node.is_callable else "")
    facts = _show_facts(node, outer)
    about = style.cut(f" {facts}", display_width(first + name)) if facts else ""
    yield first + style.paint(name, node.color) + about
    members = node.members
    if members is None:
        return
    branch, last_branch, line = ("├── ", "└── ", "│   ") if style.has_lines else _ASCII
    actions = [each.name for each in members.actions if each.alias_of is None]
    before = others + (line if members.nodes else "    ")
    yield from (before + text for text in _wrap(actions, style, display_width(before)))
    for child in members.nodes:
        is_last = child is members.nodes[-1]
        yield from _draw(
            child,
            node,
            style,
            others + (last_branch if is_last else branch),
            others + ("    " if is_last else line),
        )


def _show_facts(node: NodeDescription, outer: NodeDescription | None) -> str:
    """Say what is different from the node around it: the group and the hosts; and the problem."""
    facts = []
    if node.group and (outer is None or node.group != outer.group):
        facts.append(node.group)
    is_known = outer is not None and node.roles == outer.roles and not node.is_array
    if node.roles and not is_known:
        facts.append(show_roles(node))
    text = f"({'; '.join(facts)})" if facts else ""
    return f"{text} ! {node.problem}".strip() if node.problem else text


def _wrap(words: Sequence[str], style: Style, taken: int) -> list[str]:
    """Return words with commas between them, for a person in lines that are short enough."""
    lines: list[str] = []
    for word in words:
        if not lines:
            lines.append(word)
        elif style.is_cut and taken + display_width(f"{lines[-1]}, {word},") > style.columns:
            lines[-1] += ","
            lines.append(word)
        else:
            lines[-1] += f", {word}"
    return lines


_ASCII = ("|-- ", "`-- ", "|   ")
