"""The scripts with which shells complete the words of a program."""

from __future__ import annotations

import os
import sys

from ...cli.completion import did_you_mean
from ...streams import write_text
from ..command_line import CommandLine
from ..command_table import SHELLS
from ..wrong_use import WrongUse

__all__ = ["show_script"]


def show_script(command: CommandLine) -> int:
    """Write what makes a shell complete the program's words; return the exit status.

    It is the file for that shell beside this module, and a line that makes the program known to it.

    :raises WrongUse: for another shell, and for a program that is no file.
    """
    shell = _get_shell(command.arguments.words)
    file = os.path.abspath(sys.argv[0])
    if not os.path.isfile(file):
        raise WrongUse(
            f"completion: a shell completes the words of a file, and {sys.argv[0]!r} is none"
        )
    # The name of the file is known to the shell anyway.
    name = "" if command.program == os.path.basename(file) else command.program
    path = os.path.join(os.path.dirname(__file__), f"completion.{shell}")
    with open(path, encoding="utf-8") as script:
        write_text(sys.stdout, script.read())
    words = [_quote(word, shell) for word in (name, sys.executable, file)]
    write_text(sys.stdout, f"\n_deployer_add {' '.join(words)}\n")
    return 0


def _get_shell(words: list[str]) -> str:
    if len(words) == 1 and words[0] in SHELLS:
        return words[0]
    known = f"{', '.join(SHELLS[:-1])} or {SHELLS[-1]}"
    if len(words) != 1:
        raise WrongUse(f"completion: name one shell: {known}")
    hint = did_you_mean(words[0], SHELLS)
    raise WrongUse(f"completion: there is none for {words[0]!r}, but for {known}.{hint}")


def _quote(word: str, shell: str) -> str:
    """Return a word in single quotes, in which fish alone knows a backslash."""
    if shell == "fish":
        word = word.replace("\\", "\\\\").replace("'", "\\'")
    else:
        word = word.replace("'", "'\\''")
    return f"'{word}'"
