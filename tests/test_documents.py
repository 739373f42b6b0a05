"""A page that is not true fails, and says where."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from documents import commands_of, read_blocks
from terminals import ROOT

pytestmark = pytest.mark.machine


def execute(page: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / "page.rst"
    path.write_text(textwrap.dedent(page), encoding="utf-8")
    python = str(Path(sys.executable).parent)
    return subprocess.run(
        [sys.executable, ROOT / "tests" / "documents.py", path],
        cwd=folder,
        env=os.environ | {"PATH": f"{python}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
    )


TRUE = """\
    A page

    .. code-block:: python
       :caption: parts/greeting.py

       WORD = "Hello"

    .. invisible-code-block: python

       name = "reader"

    - in a list:

      .. code-block:: pycon

         >>> WORD, name
         ('Hello', 'reader')
         >>> print("one two three")
         one … three

    .. code-block:: console

       $ cat parts/greeting.py
       WORD = "Hello"
       $ printf '%s\\n' a b c \\
             "took 2.1s, with  blanks"
       a
       …
       took 9.8s, with blanks

    .. code-block:: console

       $ test -t 1
       $ python -c 'print("not compared")'

    .. code-block:: json

       {"a": 1}

    .. code-block:: text

       never executed
    """


def test_a_page_that_is_true_passes(tmp_path: Path) -> None:
    done = execute(TRUE, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("language", "source", "message"),
    [
        ("python", "1 / 0", "ZeroDivisionError"),
        ("python", "if", "SyntaxError"),
        ("python", "import sys; sys.exit(0)", "SystemExit"),
        ("pycon", ">>> 1 + 1\n3", "Expected:"),
        ("pycon", ">>> 1 / 0", "ZeroDivisionError"),
        ("console", "$ false", "exit status 1"),
        ("console", "$ echo a\nb", "-b\n+a"),
        ("console", "$ echo a; echo b\na", "+b"),
        ("console", "$ echo a\na\nb", "-b"),
        ("console", "$ echo 1.5s\n1.5m", "+1.5s"),
        ("console", "echo a", "begins with"),
        ("json", "{a: 1}", "JSONDecodeError"),
        ("ruby", "puts 1", "no test executes"),
        ("bash", "true", "no test executes"),
    ],
)
def test_a_block_that_is_not_true_fails_with_its_line(
    language: str, source: str, message: str, tmp_path: Path
) -> None:
    block = textwrap.indent(source, "   ")
    done = execute(f"A page\n\n.. code-block:: {language}\n\n{block}\n", tmp_path)
    assert done.returncode == 1
    assert "page.rst:5" in done.stderr
    assert message in done.stderr


def test_a_literal_block_is_no_way_around_it(tmp_path: Path) -> None:
    done = execute("Like this::\n\n   anything\n", tmp_path)
    assert "page.rst:3: no test executes a block of no language" in done.stderr


def test_what_nobody_sees_has_to_succeed_too(tmp_path: Path) -> None:
    done = execute(".. invisible-code-block: bash\n\n   false\n   true\n", tmp_path)
    assert "page.rst:3" in done.stderr


def test_a_block_ends_where_its_indentation_does() -> None:
    text = "::\n\n  a::\n\n    b\n\nc\n\n.. code-block:: python\n   :caption: d.py\n\n   e\nf\n"
    first, second = read_blocks(text)
    assert (first.language, first.line, first.source) == ("", 3, "a::\n\n  b\n")
    assert (second.language, second.caption, second.line) == ("python", "d.py", 12)
    assert second.source == "e\n"


def test_a_command_goes_on_behind_a_backslash() -> None:
    source = "$ a \\\n  b\nc\n\n$ d\n"
    assert list(commands_of(source)) == [("a \\\n  b", ["c", ""]), ("d", [])]
