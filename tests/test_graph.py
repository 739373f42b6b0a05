"""The tree as a diagram: for Mermaid and for Graphviz."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from deployer.groups import Group, set_group
from deployer.host import LocalHost
from deployer.inspection.description import describe_node
from deployer.inspection.graph import FORMATS, draw_dot, draw_mermaid
from deployer.node import Node
from looking_tree import SCRIPT, Site
from shell_tree import Tree
from terminals import run_script

pytestmark = pytest.mark.machine

EVIL = 'a"b\\c<d>#e&f`g`\n[h](i){j}|k|;"]\x1b[31m--> l %%m'


class EvilHost(LocalHost):
    slug = EVIL


class EvilGroup(Group):
    name = EVIL
    color = "light_red"


@set_group(EvilGroup)
class Evil(Node):
    class Hosts:
        host = EvilHost

    class end(Node):
        """Its name means something to Mermaid."""

    class graph(Node):
        """And this to both."""


Evil.empty = type(Node)("empty", (Node,), {"Hosts": type("Hosts", (), {"host": ()})})


def draw(root: type[Node], name: str) -> str:
    return FORMATS[name](describe_node(root(), None))


def test_mermaid() -> None:
    assert draw(Tree, "mermaid") == (
        """\
flowchart LR
    n0["Tree"]
    n0h0(["first"])
    n0 -->|"host"| n0h0
    n0_0["git"]
    n0 --> n0_0
    n0_1["web<br/>production<br/>one cell for each host"]
    n0_1h0(["first,second"])
    n0_1 -->|"host"| n0_1h0
    n0_1_0["logs"]
    n0_1 --> n0_1_0
    n0 --> n0_1
    n0_2["service"]
    n0 --> n0_2
    classDef red fill:#f8d7da,stroke:#b02a37,color:#000000
    class n0_1,n0_1_0 red"""
    )


def test_dot() -> None:
    assert draw(Tree, "dot") == (
        """\
digraph "Tree" {
    rankdir=LR;
    node [shape=box, style="filled", fillcolor="white", fontname="sans-serif"];
    edge [fontname="sans-serif", fontsize=10];
    n0 [label="Tree"];
    n0h0 [label="first", style="rounded,filled"];
    n0 -> n0h0 [label="host"];
    n0_0 [label="git"];
    n0 -> n0_0;
    n0_1 [label="web\\nproduction\\none cell for each host", fillcolor="#f8d7da", color="#b02a37"];
    n0_1h0 [label="first,second", style="rounded,filled"];
    n0_1 -> n0_1h0 [label="host"];
    n0_1_0 [label="logs", fillcolor="#f8d7da", color="#b02a37"];
    n0_1 -> n0_1_0;
    n0 -> n0_1;
    n0_2 [label="service"];
    n0 -> n0_2;
}"""
    )


def test_mapped_roles_stand_on_the_lines() -> None:
    mermaid = draw(Site, "mermaid").splitlines()
    assert """    n0 -->|"host='web'"| n0_0""" in mermaid
    assert """    n0 -->|"host='db', all=ALL_HOSTS"| n0_1""" in mermaid
    assert """    n0 -> n0_0 [label="host='web'"];""" in draw(Site, "dot").splitlines()


def test_a_node_that_cannot_be_made_is_drawn_with_its_problem() -> None:
    assert re.search(r'n0_2\["broken<br/>! Site.broken is a .JustOne', draw(Site, "mermaid"))
    assert "class n0_2 broken" in draw(Site, "mermaid")


def read_mermaid(text: str) -> Iterator[tuple[str, ...]]:
    """Yield the statements of a flowchart; fail where one is not as Mermaid's grammar has it."""
    quoted = r'"((?:[^"#`\\<>]|<br/>|#(?:\d+|\w+);)*)"'
    grammar = {
        "node": rf"(\w+)\[{quoted}\]",
        "host": rf"(\w+)\(\[{quoted}\]\)",
        "line": rf"(\w+) -->(?:\|{quoted}\|)? (\w+)",
        "style": r"classDef (\w+) fill:#\w{6},stroke:#\w{6},color:#\w{6}",
        "class": r"class (\w+(?:,\w+)*) (\w+)",
    }
    first, *lines = text.split("\n")
    assert first == "flowchart LR"
    for line in lines:
        matches = [(kind, re.fullmatch(f"    {rule}", line)) for kind, rule in grammar.items()]
        (found,) = [(kind, *match.groups("")) for kind, match in matches if match]
        yield found


@pytest.mark.parametrize("root", [Tree, Site, Evil])
def test_mermaid_is_valid_whatever_the_names_are(root: type[Node]) -> None:
    statements = list(read_mermaid(draw(root, "mermaid")))
    boxes = {each[1] for each in statements if each[0] in ("node", "host")}
    lines = [each for each in statements if each[0] == "line"]
    # A tree: each box but the root is at the end of one line.
    assert sorted(end for *_, end in lines) == sorted(boxes - {"n0"})
    assert {start for _, start, *_ in lines} <= boxes
    styles = {each[1] for each in statements if each[0] == "style"}
    classes = [each for each in statements if each[0] == "class"]
    assert {each[2] for each in classes} == styles
    assert {key for each in classes for key in each[1].split(",")} <= boxes
    # None of these is a word that Mermaid knows.
    assert all(re.fullmatch(r"n[\dh_]+", key) for key in boxes)


def test_what_means_something_to_mermaid_is_escaped() -> None:
    group = next(each for each in read_mermaid(draw(Evil, "mermaid")) if each[1] == "n0")[2]
    assert group == (
        "Evil<br/>a#quot;b#92;c#lt;d#gt;#35;e#amp;f#96;g#96; [h](i){j}|k|;#quot;]--#gt; l %%m"
    )


def run_dot(text: str, *arguments: str) -> str:
    if shutil.which("dot") is None and "CI" not in os.environ:
        pytest.skip("Graphviz is not installed")
    ran = subprocess.run(
        ["dot", *arguments], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.stderr == ""
    assert ran.returncode == 0
    return ran.stdout


@pytest.mark.parametrize("root", [Tree, Site, Evil])
def test_dot_draws_it_whatever_the_names_are(root: type[Node]) -> None:
    text = draw(root, "dot")
    # In this format there is one line for each box and each line between them.
    plain = run_dot(text, "-Tplain").splitlines()
    nodes = [line for line in plain if line.startswith("node ")]
    edges = [line for line in plain if line.startswith("edge ")]
    assert len(nodes) == len(edges) + 1


def test_what_means_something_to_dot_is_escaped() -> None:
    shown = run_dot(draw(Evil, "dot"), "-Tsvg")
    assert "a&quot;b\\c&lt;d&gt;#e&amp;f`g`</text>" in shown
    assert "[h](i){j}|k|;&quot;]" in shown
    assert "\x1b" not in shown


def test_a_single_host_goes_by_its_name_as_it_is() -> None:
    class Spaced(LocalHost):
        slug = "a host"

    class Root(Node):
        class Hosts:
            host = Spaced

    assert '"a host"' in draw(Root, "dot")
    assert '(["a host"])' in draw(Root, "mermaid")


@pytest.mark.parametrize("words", [[], ["--format", "mermaid"], ["--format", "dot"]])
def test_the_command_line_writes_a_diagram(words: list[str]) -> None:
    ran = run_script(SCRIPT, "graph", *words, "web")
    drawing = draw_dot if words[-1:] == ["dot"] else draw_mermaid
    assert ran.stdout == drawing(describe_node(Site().web, None)) + "\n"
    assert ran.returncode == 0


def test_a_format_that_there_is_not_is_refused() -> None:
    ran = run_script(SCRIPT, "graph", "--format", "png")
    assert ran.returncode == 2
    assert ran.stdout == ""
