"""The code blocks of a document in reStructuredText, and their execution."""

from __future__ import annotations

import doctest
import importlib
import json
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from difflib import unified_diff
from pathlib import Path
from typing import Any

from terminals import run_command_in_terminal

__all__ = ["Block", "BlockFailed", "commands_of", "execute_page", "read_blocks"]

_DIRECTIVE = re.compile(
    r"( *)\.\. (code-block::|invisible-code-block:)(?: +(\S+))?|"  # ours, and the comments of ours
    r"( *)(?:[^ .].*)?::"  # a literal block, after a line of its own or at the end of a text
)
_OPTION = re.compile(r" *:([\w-]+): *(.*)")

#: Seconds that a command of a page may take: some install packages.
TIMEOUT = 100.0


@dataclass(frozen=True)
class Block:
    """A block: its language ("" where it names none), its text and the line where that begins.

    ``caption`` is the name of the file that holds it. ``is_hidden``: no reader sees it.
    """

    language: str
    line: int
    source: str
    caption: str = ""
    is_hidden: bool = False


class BlockFailed(Exception):
    """A block does not do what its page says."""


def read_blocks(text: str) -> list[Block]:
    """Return the blocks of code in a document, in order."""
    blocks = []
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        match = _DIRECTIVE.fullmatch(lines[number])
        number += 1
        if not match:
            continue
        indent = len(match[4] if match[2] is None else match[1])
        caption = ""
        while match[2] and number < len(lines) and (option := _OPTION.fullmatch(lines[number])):
            caption = option[2] if option[1] == "caption" else caption
            number += 1
        first = number
        while number < len(lines) and _is_inside(lines[number], indent):
            number += 1
        while first < number and not lines[first].strip():
            first += 1
        source = textwrap.dedent("\n".join(lines[first:number])).strip("\n") + "\n"
        is_hidden = (match[2] or "").startswith("invisible")
        blocks.append(Block(match[3] or "", first + 1, source, caption, is_hidden))
    return blocks


def _is_inside(line: str, indent: int) -> bool:
    return not line.strip() or len(line) - len(line.lstrip()) > indent


def commands_of(source: str) -> Iterator[tuple[str, list[str]]]:
    """Give each command of a console block, and the lines that stand below it."""
    parts: list[tuple[list[str], list[str]]] = []
    for line in source.splitlines():
        if parts and not parts[-1][1] and parts[-1][0][-1].endswith("\\"):
            parts[-1][0].append(line)
        elif line.startswith("$ "):
            parts.append(([line[2:]], []))
        elif parts:
            parts[-1][1].append(line)
        else:
            raise BlockFailed(f"a console block begins with '$ ', not with {line!r}")
    for command, output in parts:
        yield "\n".join(command), output


@dataclass
class _Page:
    """A page that is executed in the current directory."""

    path: Path
    namespace: dict[str, Any] = field(default_factory=lambda: {"__name__": "page"})

    def execute(self, block: Block) -> None:
        is_script = block.language == "python" and block.source.startswith("#!")
        if is_script or (block.caption and block.language != "console"):
            self._write(block, block.caption or "deploy.py")
        else:
            executors: dict[str, Callable[[Block], None]] = {
                "python": self._python,
                "pycon": self._pycon,
                "console": self._console,
                "bash": self._bash,
                "json": lambda block: json.loads(block.source),
                "text": lambda block: None,
            }
            if block.language not in executors or (
                block.language == "bash" and not block.is_hidden
            ):
                raise BlockFailed(f"no test executes a block of {block.language or 'no language'}")
            executors[block.language](block)

    def _python(self, block: Block) -> None:
        # The empty lines before it make tracebacks, and the shell, name the line of the page.
        source = "\n" * (block.line - 1) + block.source
        exec(compile(source, self.path, "exec"), self.namespace)

    def _write(self, block: Block, name: str) -> None:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.source, encoding="utf-8")
        if block.source.startswith("#!"):
            path.chmod(0o755)
        # pytest is run on tests, and imports them.
        if path.suffix == ".py" and not path.name.startswith(("test_", "conftest")):
            module = ".".join(path.with_suffix("").parts)
            sys.modules.pop(module, None)
            importlib.invalidate_caches()
            names = vars(importlib.import_module(module))
            self.namespace.update({k: v for k, v in names.items() if not k.startswith("__")})

    def _pycon(self, block: Block) -> None:
        parser = doctest.DocTestParser()
        test = parser.get_doctest(
            block.source, self.namespace, self.path.name, str(self.path), block.line - 1
        )
        report: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        if runner.run(test, out=report.append, clear_globs=False).failed:
            raise BlockFailed("".join(report))
        self.namespace = test.globs

    def _bash(self, block: Block) -> None:
        status, lines = _in_terminal("set -e\n" + block.source)
        if status:
            raise BlockFailed("\n".join([*lines, f"exit status {status}"]))

    def _console(self, block: Block) -> None:
        commands = list(commands_of(block.source))
        shows_output = any(output for _, output in commands)
        for command, expected in commands:
            status, lines = _in_terminal(command)
            if not shows_output and status:
                raise BlockFailed("\n".join([f"$ {command}", *lines, f"exit status {status}"]))
            while expected and not expected[-1]:
                expected.pop()
            if shows_output and not _is_as_shown(expected, lines):
                difference = unified_diff(
                    expected, lines, "the page", "what was shown", lineterm=""
                )
                raise BlockFailed("\n".join([f"$ {command}", *difference, f"exit status {status}"]))


def execute_page(path: Path) -> None:
    """Execute all blocks of a page, in the current directory and in this process.

    Raise BlockFailed, with the line, when one does not do what the page says.
    """
    # "…", as doctest has it where it compares: in ASCII.
    doctest.ELLIPSIS_MARKER = r"\u2026"
    sys.path.insert(0, os.getcwd())
    page = _Page(path)
    for block in read_blocks(path.read_text(encoding="utf-8")):
        # The commands of the README, which test_packaging runs.
        if path.name == "README.rst" and not block.language:
            continue
        try:
            page.execute(block)
        except BlockFailed as error:
            raise BlockFailed(f"{path.name}:{block.line}: {error}") from None
        except (Exception, SystemExit) as error:
            raise BlockFailed(f"{path.name}:{block.line}: {error!r}") from error


def _in_terminal(command: str) -> tuple[int, list[str]]:
    """Run a command to its end in bash, and return its status and what the terminal shows then."""
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    argv = ["bash", "-c", command]
    with run_command_in_terminal(argv, None, environment, rows=300, columns=100) as screen:
        try:
            status = screen.wait_for_end(TIMEOUT)
        except Exception as error:
            shown = "\n".join(screen.lines)
            raise BlockFailed(f"$ {command}\n{shown}\ndid not end") from error
        lines = screen.lines
        return status, [] if lines == [""] else lines


def _is_as_shown(expected: list[str], lines: list[str]) -> bool:
    pattern = ""
    for line in map(_without_durations, expected):
        text = ".*".join(map(re.escape, line.split("…")))
        pattern += r"(?:.*\n)*" if line == "…" else text + r"\n"
    shown = "".join(f"{_without_durations(line)}\n" for line in lines)
    return bool(re.fullmatch(pattern, shown))


def _without_durations(line: str) -> str:
    # They are as wide as they are, so blanks between columns do not count either.
    return re.sub(r" +", " ", re.sub(r"\b\d+\.\d+s\b|\b\d+m \d+s\b", "0s", line)).rstrip()


if __name__ == "__main__":
    try:
        execute_page(Path(sys.argv[1]))
    except BlockFailed as error:
        if error.__cause__ is not None:
            raise
        sys.exit(str(error))
