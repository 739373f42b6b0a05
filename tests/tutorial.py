"""The code in the tutorial's text, block by block."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["TUTORIAL", "Block", "execute", "read_blocks"]

# It is kept beside the project, and not copied into it.
TUTORIAL = Path(__file__).resolve().parents[2] / "shared" / "seed" / "django-deployment.rst"

# The names that the text leaves unimported.
SETUP = (
    "from deployer.client import start; from deployer.node import Node, required_property; "
    "from deployer.utils import esc1"
)


@dataclass(frozen=True)
class Block:
    """A code block: its language, the line of its first line, and what is printed."""

    language: str
    line: int
    source: str


def read_blocks(text: str) -> list[Block]:
    """Return the literal blocks of a reStructuredText document, in order."""
    blocks = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if not (directive := re.fullmatch(r"(?:\.\. code-block)?::(?: (\w+))?", line)):
            continue
        block = []
        for inner in lines[number + 1 :]:
            if inner and not inner.startswith(" "):
                break
            block.append(inner)
        source = textwrap.dedent("\n".join(block)).strip("\n") + "\n"
        first = number + 2 + next(i for i, inner in enumerate(block) if inner)
        blocks.append(Block(directive[1] or "python", first, source))
    return blocks


def execute(blocks: list[Block]) -> dict[str, Any]:
    """Execute blocks one after the other, as if typed into one module; return what it defines."""
    namespace: dict[str, Any] = {"__name__": "tutorial"}
    exec(SETUP, namespace)
    for block in blocks:
        # The empty lines before it make tracebacks name the line of the text.
        code = compile("\n" * (block.line - 1) + block.source, TUTORIAL, "exec")
        exec(code, namespace)
    return namespace
