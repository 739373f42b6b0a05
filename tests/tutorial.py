"""The code in the tutorial's text, block by block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from documents import Block

__all__ = ["SETUP", "TUTORIAL", "execute"]

# It is kept beside the project, and not copied into it.
TUTORIAL = Path(__file__).resolve().parents[2] / "shared" / "seed" / "django-deployment.rst"

# The names that the text leaves unimported.
SETUP = (
    "from deployer.client import start; from deployer.node import Node, required_property; "
    "from deployer.utils import esc1"
)


def execute(blocks: list[Block]) -> dict[str, Any]:
    """Execute blocks one after the other, as if typed into one module; return what it defines."""
    namespace: dict[str, Any] = {"__name__": "tutorial"}
    exec(SETUP, namespace)
    for block in blocks:
        # The empty lines before it make tracebacks name the line of the text.
        code = compile("\n" * (block.line - 1) + block.source, TUTORIAL, "exec")
        exec(code, namespace)
    return namespace
