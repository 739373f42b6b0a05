"""The diagrams of the documentation are those of today's example."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from terminals import ROOT

DIAGRAMS = ROOT / "docs" / "diagrams"
sys.path.insert(0, str(DIAGRAMS))

import make  # noqa: E402

AGAIN = "run `python docs/diagrams/make.py`"


def texts(svg: bytes) -> list[bytes]:
    """Return what stands in a drawing: where it stands is for each version of dot to say."""
    return sorted(re.findall(rb"<text[^>]*>(.*?)</text>", svg))


@pytest.mark.parametrize("name", make.NAMES)
def test_a_diagram_shows_the_tree_as_it_is(name: str) -> None:
    kept = (DIAGRAMS / f"{name}.dot").read_text(encoding="utf-8")
    assert kept == make.write_dot(name), AGAIN


@pytest.mark.machine
@pytest.mark.parametrize("name", make.NAMES)
def test_a_drawing_is_made_of_its_diagram(name: str, need_program: Callable[[str], str]) -> None:
    need_program("dot")
    kept = Path(DIAGRAMS / f"{name}.svg").read_bytes()
    assert texts(kept) == texts(make.draw_svg(name)), AGAIN
