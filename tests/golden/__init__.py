"""Tables of what is to come out, as people read it: files beside this one.

Each case is a line that begins with ``> `` and the lines below it, up to an empty one. What is not
in a case explains it. With ``GOLDEN=write`` in the environment, tests write what comes out instead.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

__all__ = ["check", "read_cases"]

_FOLDER = Path(__file__).parent


def read_cases(name: str) -> list[str]:
    """Return what stands behind ``> `` in a file, in its order."""
    lines = (_FOLDER / name).read_text(encoding="utf-8").splitlines()
    return [line[2:] for line in lines if line.startswith("> ")]


def check(name: str, case: str, describe: Callable[[str], list[str]]) -> None:
    """Compare what a file has below a case with what comes out."""
    file = _FOLDER / name
    lines = file.read_text(encoding="utf-8").splitlines()
    begin = lines.index(f"> {case}") + 1
    end = begin
    while end < len(lines) and lines[end].startswith("    "):
        end += 1
    found = [f"    {line}" for line in describe(case)]
    if os.environ.get("GOLDEN") == "write":
        lines[begin:end] = found
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return
    assert found == lines[begin:end]
