"""What commands the shell has, with their help; they themselves are loaded when they are used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..exceptions import DeployerException
from .globbing import Word

if TYPE_CHECKING:
    from .places import Place
    from .shell import ScpShell

__all__ = ["COMMANDS", "OTHER_NAMES", "Arguments", "Command", "UsageError"]


class UsageError(DeployerException):
    """A command of the shell was used in a way that it cannot be."""


class Arguments(NamedTuple):
    """The words after a command: its options by their letters, and the others."""

    options: frozenset[str]
    words: tuple[Word, ...]


class Command(NamedTuple):
    """A command of the shell, and its help."""

    #: The module beside this one and the function in it, which takes the shell, the side that it
    #: is about and the arguments, and returns an exit status, or None when all went well.
    function: str
    usage: str
    summary: str
    #: How many words it takes; None for any number.
    least: int = 0
    most: int | None = 0
    #: What its words are, for completion: ``files``, ``directories``, ``commands``, or nothing.
    completes: str = ""
    #: What its options do, by their letters.
    options: Mapping[str, str] = {}
    #: The side that it is about; what ``put`` and ``get`` copy comes from there.
    is_local: bool = False
    #: Whether its words from the second on may be about the other side.
    has_target: bool = False
    #: More to say about it.
    details: str = ""

    def parse(self, words: Sequence[Word]) -> Arguments:
        """Return the arguments that words are; raise UsageError if it does not take them."""
        options: set[str] = set()
        names: list[Word] = []
        for number, word in enumerate(words):
            if word.is_option and word.text == "--":
                names += words[number + 1 :]
                break
            # A command without options takes names, and modes, that begin with a dash.
            if not (self.options and word.is_option):
                names.append(word)
                continue
            for letter in word.text[1:]:
                if letter not in self.options:
                    raise UsageError(f"There is no option -{letter}; usage: {self.usage}")
                options.add(letter)
        if len(names) < self.least or (self.most is not None and len(names) > self.most):
            raise UsageError(f"usage: {self.usage}")
        return Arguments(frozenset(options), tuple(names))

    def run(self, shell: ScpShell, place: Place, words: Sequence[Word]) -> int:
        """Do what the command does; return the exit status. Raises UsageError for wrong words."""
        arguments = self.parse(words)
        module, _, name = self.function.partition(".")
        function = getattr(importlib.import_module(f".{module}", __package__), name)
        return function(shell, place, arguments) or 0


_LISTING = {"l": "with permissions, owners, sizes and times", "a": "also what begins with a dot"}
_COPYING = {"r": "directories, with all that is in them"}
_COPYING_DETAILS = """\
The last of several words is the target: a directory, or the new name of a single file. Without one,
it is the current directory. A file is replaced whole or not at all, and keeps its mode and owner.
With -r, what has the same size and the same time of change is not copied again, and symlinks stay
symlinks; nothing is removed. Ctrl-C stops the copying, and leaves no half file."""
_EDITING_DETAILS = "The editor is $VISUAL, or $EDITOR, or vi."

#: By name, in the order of the help.
COMMANDS: dict[str, Command] = {
    "put": Command(
        "copying.put",
        "put [-r] FILE… [TARGET]",
        "Copy files to the host.",
        least=1,
        most=None,
        completes="files",
        options=_COPYING,
        is_local=True,
        has_target=True,
        details=_COPYING_DETAILS,
    ),
    "get": Command(
        "copying.get",
        "get [-r] FILE… [TARGET]",
        "Copy files of the host here.",
        least=1,
        most=None,
        completes="files",
        options=_COPYING,
        has_target=True,
        details=_COPYING_DETAILS,
    ),
    "cd": Command(
        "looking.cd", "cd [DIR|-]", "Go to a directory, home, or back.", 0, 1, "directories"
    ),
    "ls": Command("looking.ls", "ls [-la] [PATH…]", "List it.", 0, None, "files", _LISTING),
    "pwd": Command("looking.pwd", "pwd", "Say where you are."),
    "stat": Command("looking.stat", "stat PATH…", "Say what is known of files.", 1, None, "files"),
    "view": Command(
        "looking.view",
        "view FILE…",
        "Show text in the pager.",
        1,
        None,
        "files",
        details="The pager is $PAGER, or less.",
    ),
    "edit": Command(
        "editing.edit",
        "edit FILE",
        "Change a file in your editor.",
        1,
        1,
        "files",
        details=f"{_EDITING_DETAILS} The file is replaced at the end, whole, if it was changed.",
    ),
    "mkdir": Command(
        "changing.mkdir",
        "mkdir [-p] DIR…",
        "Make directories.",
        1,
        None,
        "directories",
        {"p": "those around them, too; it is no error if they are there"},
    ),
    "rm": Command(
        "changing.rm",
        "rm [-rf] PATH…",
        "Remove files.",
        1,
        None,
        "files",
        {"r": "directories, with all that is in them", "f": "ask nothing; what is missing is fine"},
        details="At a terminal it asks before it removes directories, or several files.",
    ),
    "mv": Command(
        "changing.mv",
        "mv PATH… TARGET",
        "Rename or move files.",
        2,
        None,
        "files",
        details="A directory as target takes them under their own names; a file is replaced.",
    ),
    "chmod": Command(
        "changing.chmod",
        "chmod MODE PATH…",
        "Change permissions.",
        2,
        None,
        "files",
        details="The mode is octal (644), or as in u+x and go-rw,u=rwx.",
    ),
    "connect": Command("programs.connect", "connect", "Open a shell there."),
    "lcd": Command(
        "looking.cd",
        "lcd [DIR|-]",
        "Go to a directory, home, or back.",
        0,
        1,
        "directories",
        is_local=True,
    ),
    "lls": Command(
        "looking.ls", "lls [-la] [PATH…]", "List it.", 0, None, "files", _LISTING, is_local=True
    ),
    "lpwd": Command("looking.pwd", "lpwd", "Say where you are.", is_local=True),
    "lstat": Command(
        "looking.stat",
        "lstat PATH…",
        "Say what is known of files.",
        1,
        None,
        "files",
        is_local=True,
    ),
    "lview": Command(
        "looking.view",
        "lview FILE…",
        "Show text in the pager.",
        1,
        None,
        "files",
        is_local=True,
        details="The pager is $PAGER, or less.",
    ),
    "ledit": Command(
        "editing.edit_here",
        "ledit FILE…",
        "Change files in your editor.",
        1,
        None,
        "files",
        is_local=True,
        details=_EDITING_DETAILS,
    ),
    "lconnect": Command("programs.connect_here", "lconnect", "Open a shell.", is_local=True),
    "!": Command(
        "programs.run_here",
        "!COMMAND",
        "Run a command.",
        most=None,
        is_local=True,
        details="The rest of the line is for your shell, as it is.",
    ),
    "help": Command(
        "helping.help", "help [COMMAND]", "List the commands, or explain one.", 0, 1, "commands"
    ),
    "?": Command("helping.help", "? [COMMAND]", "The same.", 0, 1, "commands"),
    "exit": Command("helping.leave", "exit", "Leave, as Ctrl-D does."),
}

#: What people know from sftp, ftp and their shells, and what it is called here.
OTHER_NAMES = {
    "bye": "exit",
    "cat": "view",
    "clear": "!clear",
    "copy": "put, or get,",
    "cp": "put, or get,",
    "dir": "ls",
    "ldir": "lls",
    "less": "view",
    "lmkdir": "!mkdir",
    "mget": "get",
    "mput": "put",
    "quit": "exit",
    "rename": "mv",
    "rmdir": "rm -r",
    "ssh": "connect",
    "vi": "edit",
    "vim": "edit",
}
