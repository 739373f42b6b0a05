"""A tree as a diagram: as text for Mermaid, or for Graphviz's ``dot``.

Nodes are boxes in the colour of their group. On the line to a node stands which roles of its parent
its own hosts are from; the hosts themselves are leaves of the node that names them, one for each
role.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ..utils.folding import fold
from .description import NodeDescription

__all__ = ["FORMATS", "draw_dot", "draw_mermaid"]


class _Box(NamedTuple):
    key: str
    lines: tuple[str, ...]
    is_host: bool = False
    colour: str | None = None
    is_broken: bool = False


class _Line(NamedTuple):
    start: str
    end: str
    label: str = ""


def draw_mermaid(root: NodeDescription) -> str:
    """Return a Mermaid flowchart of a node and what is below it, looked at to any depth."""
    lines = ["flowchart LR"]
    classes: dict[str, list[str]] = {}
    for item in _walk(root):
        match item:
            case _Box():
                text = "<br/>".join(map(_escape_for_mermaid, item.lines))
                # Rounded for hosts.
                before, after = ('(["', '"])') if item.is_host else ('["', '"]')
                lines.append(f"    {item.key}{before}{text}{after}")
                if style := _get_style(item):
                    classes.setdefault(style, []).append(item.key)
            case _Line():
                label = f'|"{_escape_for_mermaid(item.label)}"|' if item.label else ""
                lines.append(f"    {item.start} -->{label} {item.end}")
    for style, keys in classes.items():
        fill, stroke = _COLOURS[style]
        lines.append(f"    classDef {style} fill:{fill},stroke:{stroke},color:#000000")
        lines.append(f"    class {','.join(keys)} {style}")
    return "\n".join(lines)


def draw_dot(root: NodeDescription) -> str:
    """Return a digraph for ``dot`` of a node and what is below it, looked at to any depth."""
    lines = [
        f"digraph {_quote_for_dot(root.path)} {{",
        "    rankdir=LR;",
        '    node [shape=box, style="filled", fillcolor="white", fontname="sans-serif"];',
        '    edge [fontname="sans-serif", fontsize=10];',
    ]
    for item in _walk(root):
        match item:
            case _Box():
                attributes = [f"label={_quote_for_dot(chr(10).join(item.lines))}"]
                if item.is_host:
                    attributes.append('style="rounded,filled"')
                if style := _get_style(item):
                    fill, stroke = _COLOURS[style]
                    attributes += [f'fillcolor="{fill}"', f'color="{stroke}"']
                lines.append(f"    {item.key} [{', '.join(attributes)}];")
            case _Line():
                label = f" [label={_quote_for_dot(item.label)}]" if item.label else ""
                lines.append(f"    {item.start} -> {item.end}{label};")
    return "\n".join([*lines, "}"])


#: What draws each of the formats.
FORMATS: dict[str, Callable[[NodeDescription], str]] = {
    "mermaid": draw_mermaid,
    "dot": draw_dot,
}


def _walk(node: NodeDescription, key: str = "n0", outer_group: str = "") -> Iterator[_Box | _Line]:
    """Give the boxes and lines of a node and what is below it."""
    yield _Box(key, _label(node, outer_group), colour=node.color, is_broken=bool(node.problem))
    # Hosts that come from the node around it stand there.
    if node.has_own_hosts:
        for number, (role, names) in enumerate(node.roles.items()):
            host = f"{key}h{number}"
            yield _Box(host, (_name_hosts(names),), is_host=True)
            yield _Line(key, host, role)
    for number, child in enumerate(node.members.nodes if node.members is not None else ()):
        below = f"{key}_{number}"
        yield from _walk(child, below, node.group)
        yield _Line(key, below, child.mapping)


def _label(node: NodeDescription, outer_group: str) -> tuple[str, ...]:
    facts = []
    if node.group != outer_group:
        facts.append(node.group)
    if node.is_array:
        facts.append("one cell for each host")
    if node.problem:
        facts.append(f"! {node.problem}")
    return node.name, *facts


def _name_hosts(names: Sequence[str]) -> str:
    # A single one as it is: in short, a blank in it would have a backslash.
    return names[0] if len(names) == 1 else fold(names) or "no hosts"


def _get_style(box: _Box) -> str:
    """Return the name of the colour of a box, or nothing."""
    if box.is_broken:
        return "broken"
    # Those of termcolor; its lighter ones are alike here.
    colour = (box.colour or "").removeprefix("light_").removeprefix("dark_")
    return colour if colour in _COLOURS else ""


def _escape_for_mermaid(text: str) -> str:
    # Its entities: the # first, as they begin with one. Backticks would begin Markdown.
    for character, entity in _ENTITIES:
        text = text.replace(character, entity)
    return " ".join(text.split())


def _quote_for_dot(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


_ENTITIES = (
    ("#", "#35;"),
    ("&", "#amp;"),
    ('"', "#quot;"),
    ("<", "#lt;"),
    (">", "#gt;"),
    ("`", "#96;"),
    ("\\", "#92;"),
)
#: The fill and the line, by colour.
_COLOURS = {
    "red": ("#f8d7da", "#b02a37"),
    "yellow": ("#fff3cd", "#b58900"),
    "green": ("#d1e7dd", "#146c43"),
    "cyan": ("#cff4fc", "#087990"),
    "magenta": ("#efd3f5", "#842991"),
    "blue": ("#cfe2ff", "#0a58ca"),
    "grey": ("#e2e3e5", "#41464b"),
    "broken": ("#ffffff", "#ff0000"),
}
