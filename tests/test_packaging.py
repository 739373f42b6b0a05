"""The project installs, and its commands do what the README says."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import deployer
from run import missing_packages

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.rst").read_text(encoding="utf-8")

# Its literal blocks: the two commands of "Try it", and the one that builds the documentation.
EXAMPLE_COMMAND, TEST_COMMAND, DOCS_COMMAND = re.findall(r"::\n\n    (.+)\n", README)


def test_ci_runs_exactly_the_test_command_of_the_readme() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    commands = [line for line in ci.splitlines() if line and not line.startswith("#")]
    assert commands == [
        "set -e",
        'cd "$(dirname "$0")/.."',
        "export CI=true",
        f"exec {TEST_COMMAND}",
    ]


def test_the_test_command_installs_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = missing_packages()
    assert {"fish", "tmux", "zsh"} <= set(missing)
    (tmp_path / "fish").touch(mode=0o755)
    assert set(missing) - set(missing_packages()) == {"fish"}


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)]
)
def test_a_missing_program_skips_a_test_and_fails_it_in_ci(
    ci: str,
    outcome: type[BaseException],
    need_program: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="fish is not installed \\(Debian's package fish\\)"):
        need_program("fish")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Copy the project, without what tools have left in it."""
    ignored = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build", "dist", "_build")
    return shutil.copytree(ROOT, tmp_path / "clone", ignore=ignored)


def clean_environment(home: Path) -> dict[str, str]:
    """Return an environment that finds no packages of this one."""
    hidden = {"PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    python = home / "bin"
    python.mkdir()
    (python / "python3").symlink_to(Path(sys.base_prefix, "bin", "python3"))
    return environment | {"HOME": str(home), "PATH": f"{python}:{os.environ['PATH']}"}


def run(command: str, directory: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-e", "-c", command],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_readme_runs_the_example(clone: Path, tmp_path: Path) -> None:
    printed = run(EXAMPLE_COMMAND, clone, clean_environment(tmp_path))
    assert "Hello, world!" in printed.splitlines()
    assert (
        tmp_path / ".cache/deployer-hello-world/live/index.txt"
    ).read_text() == "Hello, world!\n"


def test_the_test_command_builds_the_documentation_as_the_readme_does() -> None:
    install, build = DOCS_COMMAND.split(" && ")
    assert install == ".venv/bin/pip install '.[docs]'"
    assert build == ".venv/bin/sphinx-build docs docs/_build"
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    assert "docs" in tox["tox"]["env_list"].split(", ")
    assert tox["testenv:docs"]["extras"] == "docs"
    assert re.fullmatch(r"sphinx-build (\S+ )*-b html docs \S+", tox["testenv:docs"]["commands"])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_pip_installs_deployer_under_its_name(clone: Path, tmp_path: Path) -> None:
    environment = clean_environment(tmp_path)
    run("python3 -m venv env && env/bin/pip wheel -q -w wheels ./clone", tmp_path, environment)
    (wheel,) = (tmp_path / "wheels").glob("deployer-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "deployer/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "examples/", "benchmarks/"))]

    # As the tutorial has it, from an index that has the wheels of just now.
    offline = environment | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path / "wheels")}
    run(". env/bin/activate && pip install deployer", tmp_path, offline)
    version = run(
        "env/bin/python -c 'import deployer as d; print(d.__version__)'", tmp_path, offline
    )
    assert version == f"{deployer.__version__}\n"
