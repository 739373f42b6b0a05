"""The package's imports go the way that the layer table in docs/architecture.rst says."""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

pytestmark = pytest.mark.machine

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "deployer"


def read_table(text: str) -> dict[str, int]:
    """Return the layer of each line of the table, by the module's name within the package."""
    lines = iter(text.splitlines())
    for line in lines:
        if line == "   :name: layers":
            break
    block = []
    for line in lines:
        if line and not line.startswith("   "):
            break
        block.append(line.strip())
    rows = [line for line in block if line[:1].isdigit()]
    return {module: int(layer) for layer, module, _ in csv.reader(rows, skipinitialspace=True)}


def all_modules() -> dict[str, Path]:
    """Return the files of the package by the names of their modules, without the package's own."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            found[name] = path
    return found


def imports_of(name: str, path: Path, modules: dict[str, Path]) -> Iterator[str]:
    """Yield the modules of the package that a module imports when it runs, wherever it does."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in run_time_nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names_of = [alias.name.split(".") for alias in node.names]
            targets = [names[1:] for names in names_of if names[0] == "deployer"]
        elif isinstance(node, ast.ImportFrom):
            names = node.module.split(".") if node.module else []
            if node.level:
                base = package[: len(package) - node.level + 1] + names
            elif names[0] == "deployer":
                base = names[1:]
            else:
                continue
            targets = [[*base, alias.name] for alias in node.names]
        else:
            continue
        for target in targets:
            # "from .base import Node" names a module and something in it; "from . import base"
            # names a module.
            for candidate in (".".join(target), ".".join(target[:-1])):
                if candidate in modules:
                    yield candidate
                    break


def run_time_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes of a syntax tree but those under ``if TYPE_CHECKING``."""
    yield tree
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for alternative in child.orelse:
                yield from run_time_nodes(alternative)
        else:
            yield from run_time_nodes(child)


TABLE = read_table((ROOT / "docs" / "architecture.rst").read_text(encoding="utf-8"))
MODULES = all_modules()


def layer_of(module: str) -> int | None:
    """Return the layer of a module: its own line's, or that of the nearest package around it."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        if (layer := TABLE.get(".".join(parts[:length]))) is not None:
            return layer
    return None


def test_every_line_of_the_table_is_a_module() -> None:
    assert TABLE
    assert set(TABLE) - set(MODULES) == set()


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_from_its_own_layer_and_lower_ones(module: str) -> None:
    layer = layer_of(module)
    assert layer is not None, f"docs/architecture.rst has no layer for deployer.{module}"
    for target in imports_of(module, MODULES[module], MODULES):
        assert (layer_of(target) or 0) <= layer, f"deployer.{module} imports deployer.{target}"


def test_no_imports_go_in_a_circle() -> None:
    graph = {
        module: {target for target in imports_of(module, path, MODULES) if target != module}
        for module, path in MODULES.items()
    }
    # Raises CycleError, which names the modules of the circle.
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize(
    ("source", "imported"),
    [
        ("from ..exceptions import NoInput", ["exceptions"]),
        ("from . import base", ["loggers.base"]),
        ("from .base import Logger", ["loggers.base"]),
        ("import deployer.exceptions", ["exceptions"]),
        ("from deployer.loggers.base import Logger", ["loggers.base"]),
        ("def f():\n    from ..query import Q", ["query"]),
        ("if TYPE_CHECKING:\n    from ..query import Q", []),
        ("import os, json.decoder\nfrom pathlib import Path", []),
    ],
)
def test_imports_are_recognised(source: str, imported: list[str], tmp_path: Path) -> None:
    module = tmp_path / "trace.py"
    module.write_text(source)
    modules = dict.fromkeys(["exceptions", "query", "loggers", "loggers.base"], module)
    assert list(imports_of("loggers.trace", module, modules)) == imported
