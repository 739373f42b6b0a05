"""What may follow in a command line that is typed in bash, zsh or fish.

The scripts beside :mod:`deployer.run.commands.completion` run the program as ``--complete SHELL
INDEX -- WORD…`` for that. The words are those after the program's name, as it would get them: the
shell has dealt with the quotes, and the word at the index ends at the cursor. The answer is lines:

- ``VALUE<TAB>HELP``: a word that may stand at the cursor, not quoted.
- ``space`` or ``nospace``: whether a blank follows the words above, up to the line before of this
  kind, once one is chosen.
- ``files`` or ``directories``: what the shell completes by itself, in place of words.

Lines of other kinds mean nothing; a module of the user may print them when it is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from ..cli.completion import Candidate, find_matching
from ..parallel.choices import OUTPUTS
from .command_table import (
    COLOURS,
    COMMANDS,
    GLOBAL_OPTIONS,
    GRAPH_FORMATS,
    PROGRAM_OPTIONS,
    SHELLS,
    CommandSpec,
    OptionSpec,
)

# What knows the tree is imported when something of it is completed.
if TYPE_CHECKING:
    from ..node import Env, Node

__all__ = ["Answer", "Paths", "complete", "main"]

# The values of options, with their help, by the kind of the option.
_CHOICES = {
    "output": {name: what for name, (_, _, what) in OUTPUTS.items()},
    "colour": dict.fromkeys(COLOURS, ""),
    # And whatever can be imported.
    "executor": dict.fromkeys(("dask", "processes"), ""),
    "format": dict.fromkeys(GRAPH_FORMATS, ""),
}


class Paths(StrEnum):
    """What a shell completes by itself."""

    NONE = ""
    FILES = "files"
    DIRECTORIES = "directories"


class Answer(NamedTuple):
    """What may stand at the cursor."""

    candidates: tuple[Candidate, ...] = ()
    paths: Paths = Paths.NONE


def main(root: type[Node], arguments: Sequence[str]) -> int:
    """Print what completes a command line; return 0, or 1 if that cannot be said.

    It evaluates no properties, connects to nothing (unless a ``complete_PARAMETER`` of the user
    does), and says nothing of what goes wrong: somebody is in the middle of a line.

    :param arguments: ``SHELL INDEX -- WORD…``, as the module's docstring says.
    """
    try:
        shell, index, separator, *words = arguments
        if shell not in SHELLS or separator != "--":
            return 1
        lines = _to_lines(complete(root, words, int(index)))
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
    except Exception:
        return 1
    return 0


def complete(root: type[Node], words: Sequence[str], index: int) -> Answer:
    """Return what the word at an index may become, of those after the program's name.

    Raises NotFound when there is nothing at ``--path``, and what the root raises when it is made.
    """
    word = words[index] if index < len(words) else ""
    line = _Line.read(words[:index])
    tree = _Tree(root, line.values.get("path", ""))
    if line.awaiting is not None:
        return _complete_value(line.awaiting, tree, word)
    if word.startswith("-") and not line.is_closed:
        name, equals, value = word.partition("=")
        option = line.options.get(name)
        if not equals:
            after = _Line.read([*filter(None, [line.command]), *words[index + 1 :]])
            return _select(_list_options(line, after), word)
        if option is None or not option.metavar:
            return Answer()
        answer = _complete_value(option, tree, value)
        prefixed = (c._replace(value=f"{name}={c.value}") for c in answer.candidates)
        return answer._replace(candidates=tuple(prefixed))
    return _select(_list_words(line, tree, word), word)


def _select(candidates: Iterable[Candidate], word: str) -> Answer:
    """Return those that the word may become, each once."""
    unique = {candidate.value: candidate for candidate in reversed([*candidates])}
    return Answer(tuple(find_matching([*reversed(unique.values())], word)))


def _to_lines(answer: Answer) -> Iterator[str]:
    # What would break the lines, or the terminal, cannot be typed either.
    candidates = [c for c in answer.candidates if c.value.isprintable()]
    for is_final, directive in ((True, "space"), (False, "nospace")):
        group = [c for c in candidates if c.is_final == is_final]
        for candidate in group:
            help = "".join(char if char.isprintable() else " " for char in candidate.help)
            yield f"{candidate.value}\t{help}"
        if group:
            yield directive
    if answer.paths:
        yield answer.paths


class _Line(NamedTuple):
    """What words before the cursor mean; the parser would refuse some of them."""

    command: str = ""
    #: The words of the command that are no options.
    words: tuple[str, ...] = ()
    #: The values of the options that were given, by their destinations.
    values: dict[str, str] = {}  # noqa: RUF012 - it is replaced, never changed.
    #: The option whose value comes next.
    awaiting: OptionSpec | None = None
    #: Whether nothing that follows is an option.
    is_closed: bool = False

    @classmethod
    def read(cls, words: Iterable[str]) -> _Line:
        """Return what is known after some words."""
        line = cls()
        for word in words:
            line = line._read_word(word)
        return line

    @property
    def spec(self) -> CommandSpec | None:
        """The command, if there is one of that name."""
        return COMMANDS.get(self.command)

    @property
    def options(self) -> dict[str, OptionSpec]:
        """The options that may stand here, by all their names."""
        own = self.spec.options if self.spec else () if self.command else PROGRAM_OPTIONS
        return {name: option for option in (*own, *GLOBAL_OPTIONS) for name in option.names}

    def _read_word(self, word: str) -> _Line:
        if self.awaiting is not None:
            values = {**self.values, self.awaiting.destination: word}
            return self._replace(values=values, awaiting=None)
        if self.is_closed:
            return self._replace(words=(*self.words, word))
        if word == "--":
            return self._replace(is_closed=True)
        if word.startswith("-") and word != "-":
            return self._read_option(word)
        if not self.command:
            return self._replace(command=word)
        own = self.spec.own_words if self.spec else None
        return self._replace(words=(*self.words, word), is_closed=len(self.words) == own)

    def _read_option(self, word: str) -> _Line:
        name, equals, value = word.partition("=")
        option = self.options.get(name)
        if option is None:
            return self
        if option.metavar and not equals:
            return self._replace(awaiting=option)
        return self._replace(values={**self.values, option.destination: value})


class _Tree:
    """The tree, made when something of it is asked for.

    :param path: the node that paths begin at, as ``--path`` says it.
    """

    def __init__(self, root: type[Node], path: str) -> None:
        self._root = root
        self._path = path

    def get_root(self) -> Env:
        from ..node import Env

        return Env(self._root())

    def get_start(self) -> Env:
        from ..cli.grammar import tokenize
        from ..shell.navigation import find_node

        return find_node(self.get_root(), [token.text for token in tokenize(self._path)])


def _complete_value(option: OptionSpec, tree: _Tree, word: str) -> Answer:
    match option.kind:
        case "directory":
            return Answer(paths=Paths.DIRECTORIES)
        case "file":
            return Answer(paths=Paths.FILES)
        case "hosts":
            return _select(_list_hosts(tree.get_start(), word), word)
        case "node":
            from ..shell.completion import list_nodes

            return _select(list_nodes(tree.get_root(), (), word), word)
    choices = _CHOICES.get(option.kind, {})
    return _select((Candidate(name, help) for name, help in choices.items()), word)


def _list_options(line: _Line, after: _Line) -> Iterator[Candidate]:
    """Return the options that are given neither before nor after the cursor."""
    given = {*line.values, *after.values}
    if after.awaiting is not None:
        given.add(after.awaiting.destination)
    for name, option in line.options.items():
        if option.destination not in given:
            yield Candidate(name, option.help)


def _list_words(line: _Line, tree: _Tree, word: str) -> Iterator[Candidate]:
    if not line.command:
        yield from (Candidate(name, spec.summary) for name, spec in COMMANDS.items())
        return
    kind = line.spec.words if line.spec else ""
    if kind == "shell" and not line.words:
        yield from map(Candidate, SHELLS)
    if kind not in ("action", "node", "node-and-command", "target"):
        return
    from ..shell.completion import list_members, list_nodes, list_runnable

    if kind == "action":
        yield from list_runnable(tree.get_start(), line.words, word)
    elif not line.words:
        yield from (list_members if kind == "target" else list_nodes)(tree.get_start(), (), word)


def _list_hosts(start: Env, word: str) -> Iterator[Candidate]:
    """Return the hosts of a node and of all below it, behind those that are typed already."""
    from ..inspection import Inspector
    from ..node.isolation import get_roles

    before, comma, item = word.rpartition(",")
    prefix = before + comma + ("!" if item.startswith("!") else "")
    given = {each.removeprefix("!") for each in before.split(",")}
    for node in Inspector(start).walk(skip_broken=True):
        for role, hosts in get_roles(node._node_bare).items():
            for host in hosts:
                name = _escape(host.slug)
                if name not in given:
                    yield Candidate(prefix + name, role)


def _escape(slug: str) -> str:
    """Return the name of a host as ``--hosts`` takes it."""
    if all(char.isalnum() or char in "-_." for char in slug):
        return slug
    # Imported here: hardly any name needs it.
    from ..utils.folding import fold

    return fold([slug])
