#!/usr/bin/env python3
"""Draw the diagrams of the documentation: ``python docs/diagrams/make.py``; it needs Graphviz.

Those of the example are what ``python examples/web_system.py graph --format dot production`` draws,
without what is nested deeper, and with shorter lines, so that they can be read on a phone.
``inheritance.dot`` is written by hand.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "examples"))

from web_system import Shop  # noqa: E402

from deployer.inspection.description import describe_node  # noqa: E402
from deployer.inspection.graph import draw_dot  # noqa: E402
from deployer.node import Env  # noqa: E402

NAMES = ("inheritance", "production", "staging")
# White, since the lines are black, and a page may be dark.
OPTIONS = (
    *("-Gbgcolor=white", "-Gpad=0.1"),
    *("-Nheight=0.3", "-Nwidth=0.2", "-Nmargin=0.08,0.04", "-Nfontsize=12"),
)
GAPS_OF_GRAPH = ("-Granksep=0.1", "-Gnodesep=0.15")


def write_dot(name):
    """Return the text of a diagram, as it should be in NAME.dot."""
    if name == "inheritance":
        return (HERE / "inheritance.dot").read_text(encoding="utf-8")
    text = draw_dot(describe_node(getattr(Env(Shop()), name), depth=1))
    for long, short in ("', ", "',\\n"), ("one cell for", "one cell\\nfor"):
        text = text.replace(long, short)
    return f"{text}\n"


def draw_svg(name):
    """Return the diagram that Graphviz makes of it."""
    gaps = () if name == "inheritance" else GAPS_OF_GRAPH
    command = ["dot", "-Tsvg", *OPTIONS, *gaps]
    text = write_dot(name).encode()
    return subprocess.run(command, input=text, check=True, capture_output=True).stdout


if __name__ == "__main__":
    for name in NAMES:
        (HERE / f"{name}.dot").write_text(write_dot(name), encoding="utf-8")
        (HERE / f"{name}.svg").write_bytes(draw_svg(name))
