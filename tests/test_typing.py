"""What type checkers make of nodes: they find the errors that are marked in typing/, no others."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.machine

TESTS = Path(__file__).parent
FILES = {name: TESTS / "typing" / f"{name}.py" for name in ("attributes", "children")}


def marked_errors(path: Path) -> dict[int, str]:
    """Return what stands behind ``# error`` in a file, by line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    found = ((number, re.search(r"# error:? ?(.*)", line)) for number, line in enumerate(lines, 1))
    return {number: match[1] for number, match in found if match}


def test_mypy_finds_misspelt_attributes_and_knows_the_types_of_hosts(tmp_path: Path) -> None:
    try:
        from mypy import api
    except ImportError:
        if os.environ.get("CI"):
            pytest.fail("mypy is not installed", pytrace=False)
        pytest.skip("mypy is not installed")
    path = FILES["attributes"]
    expected = marked_errors(path)

    output, trouble, _ = api.run(
        ["--strict", "--config-file=", f"--cache-dir={tmp_path}", str(path)]
    )
    found = {
        int(line): text for line, text in re.findall(r"attributes\.py:(\d+): error: (.*)", output)
    }

    assert trouble == ""
    assert len(expected) == 4
    assert found.keys() == expected.keys(), output
    assert [text for line, text in found.items() if not text.startswith(expected[line])] == []


@pytest.mark.parametrize("name", FILES)
def test_pyright_reads_nested_nodes_as_instances(name: str, tmp_path: Path) -> None:
    pytest.importorskip("basedpyright", reason="not installed; tox's environment `types` has it")
    settings = {
        "include": [str(FILES[name])],
        "extraPaths": [str(TESTS.parent)],
        "typeCheckingMode": "standard",
    }
    config = tmp_path / "pyrightconfig.json"
    config.write_text(json.dumps(settings))

    result = subprocess.run(
        [sys.executable, "-m", "basedpyright", "--outputjson", "--project", str(config)],
        capture_output=True,
        text=True,
    )
    report = json.loads(result.stdout)
    errors = [each for each in report["generalDiagnostics"] if each["severity"] == "error"]

    assert report["summary"]["filesAnalyzed"] == 1
    assert sorted({error["range"]["start"]["line"] + 1 for error in errors}) == sorted(
        marked_errors(FILES[name])
    ), report
