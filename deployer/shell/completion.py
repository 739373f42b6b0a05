"""What may follow in a line of the shell, at a place in the tree.

It never connects, unless a node's own ``complete_PARAMETER`` does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..cli.completion import Candidate
from ..cli.grammar import Token
from ..inspection import Inspector
from ..inspection.hooks import without_hooks
from ..inspection.texts import show_as_typed
from ..utils.signatures import VAR_POSITIONAL, Parameter, read_parameters
from .builtins import BUILTINS
from .display import describe_usage, get_node_doc, get_summary
from .execution import get_action
from .hooks import list_hook_values
from .navigation import NotFound, Target, find_cell, find_node, find_target

if TYPE_CHECKING:
    from ..node import Env
    from .state import ShellState

__all__ = ["ShellCandidates", "list_members", "list_nodes", "list_paths", "list_runnable"]


class ShellCandidates:
    """The candidates at the current node of a shell: its commands, nodes, actions, arguments."""

    def __init__(self, state: ShellState) -> None:
        self._state = state

    def get_candidates(self, words: Sequence[str], word: str) -> Iterator[Candidate]:
        """Return what the word at the cursor could be, after the words before it."""
        node = self._state.node
        if words and words[0] in BUILTINS:
            yield from self._list_words_of_builtin(words[0], words[1:], word)
            return
        yield from list_runnable(node, words, word)
        if not words:
            yield from (Candidate(name, line) for name, line in self._state.aliases.items())
            yield from _list_builtins(word)

    def _list_words_of_builtin(
        self, name: str, words: Sequence[str], word: str
    ) -> Iterator[Candidate]:
        node, builtin = self._state.node, BUILTINS[name]
        if word.startswith("-"):
            yield from (Candidate(option) for option in builtin.options if option not in words)
        words = [each for each in words if each not in builtin.options]
        match builtin.completes:
            case "nodes":
                yield from list_nodes(node, words, word)
            case "runnable":
                yield from list_runnable(node, words, word)
            case "members":
                yield from list_members(node, words, word)
            case "names":
                if not words:
                    yield from _list_builtins(word, with_options=True)
                yield from list_members(node, words, word)
            case "options":
                yield from _list_options(words)
            case "hosts" if not words and self._state.recording is not None:
                yield from map(Candidate, self._state.recording.names)
            case "aliases" if not words:
                yield from (Candidate(name, line) for name, line in self._state.aliases.items())


def list_runnable(node: Env, words: Sequence[str], word: str) -> Iterator[Candidate]:
    """Return nodes and actions; after an action, its arguments."""
    if words:
        try:
            target = find_target(node, [Token(text, 0, 0, plain=len(text)) for text in words])
        except NotFound:
            return
        if target.action_name is not None:
            yield from _list_arguments(target, word)
        if target.arguments or Inspector(target.node).has_action(words[-1].rpartition(".")[2]):
            return
    yield from list_nodes(node, words, word, with_actions=True)


def list_members(node: Env, words: Sequence[str], word: str) -> Iterator[Candidate]:
    """Return nodes, actions, properties and queries."""
    yield from list_nodes(node, words, word, with_actions=True)
    outer, word = _split_at_slash(word)
    way, dot, beginning = word.rpartition(".")
    try:
        owner = find_node(node, [each for each in (*words, outer, way) if each])
    except NotFound:
        return
    inspector = Inspector(owner)
    private = beginning.startswith("_")
    for member in inspector.get_properties(private) + inspector.get_queries(private):
        yield Candidate(outer + way + dot + member.name, get_summary(member.doc), member.name)


def list_nodes(
    node: Env, words: Sequence[str], word: str, with_actions: bool = False
) -> Iterator[Candidate]:
    """Return the nodes below the one that words lead to, and the cells of that.

    :param with_actions: the actions, too.
    """
    outer, word = _split_at_slash(word)
    words = [*words, outer] if outer else words
    way, dot, beginning = word.rpartition(".")
    if word.startswith(".") and not way:
        yield Candidate(f"{outer}..", "the parent node")
        way, dot, beginning = "", "", word
    names, colon, cell = word.partition(":")
    try:
        if colon:
            owner = find_node(node, [*words, *([names] if names else [])])
            yield from _list_cells(owner, outer + names)
            node, rest = find_cell(owner, cell)
            before = outer + word.removesuffix(rest or "")
            for each in list_nodes(node, (), rest, with_actions) if rest is not None else ():
                yield each._replace(value=before + each.value)
            return
        node = find_node(node, [*words, *([way] if way else [])])
    except NotFound:
        return
    inspector = Inspector(node)
    prefix = outer + way + dot
    # Private names are there for who knows them.
    private = beginning.startswith("_")
    for child in inspector.get_childnodes(private, skip_broken=True):
        of_child = Inspector(child)
        name, colour = of_child.get_name(), of_child.get_group().color or ""
        yield Candidate(prefix + name, get_summary(get_node_doc(child)), name, colour=colour)
    if not dot:
        yield from _list_cells(node, outer)
    if with_actions:
        for action in without_hooks(inspector.get_actions(include_private=private)):
            help = get_summary(action.__doc__) or describe_usage("", read_parameters(action))
            yield Candidate(prefix + action.name, help.strip(), action.name)


def _split_at_slash(word: str) -> tuple[str, str]:
    """Return the beginning of a word that ends in a slash, and the rest."""
    names = word.partition(":")[0]
    end = names.rfind("/") + 1
    return word[:end], word[end:]


def _list_cells(node: Env, prefix: str) -> Iterator[Candidate]:
    for isolation in Inspector(node).iter_isolations():
        if isolation.identifier:
            name = f":{isolation.name}"
            yield Candidate(prefix + name, "one cell of the array", name)


def _list_builtins(word: str, with_options: bool = False) -> Iterator[Candidate]:
    for name, builtin in BUILTINS.items():
        # Those that look like options are shown to those who ask for them by a dash.
        if word or with_options or not name.startswith("-"):
            yield Candidate(name, builtin.summary, is_final=name != "!")


def _list_options(words: Sequence[str]) -> Iterator[Candidate]:
    from .options import OPTIONS

    if not words:
        yield from (Candidate(name, option.summary) for name, option in OPTIONS.items())
    elif len(words) == 1 and words[0] in OPTIONS:
        yield from (Candidate(value) for value in OPTIONS[words[0]].values if value)


def _list_arguments(target: Target, word: str) -> Iterator[Candidate]:
    """Return the values of the parameter that is next, and ``name=`` for those without a value."""
    action = get_action(target)
    given = [token.keyword[0] for token in target.arguments if token.keyword]
    positional = len(target.arguments) - len(given)
    name, equals, text = word.partition("=")
    is_next = True
    for position, parameter in enumerate(read_parameters(action)):
        if parameter.name in given:
            continue
        is_taken = position < positional and parameter.is_positional
        if equals and parameter.is_keyword and parameter.name == name and not is_taken:
            yield from _list_values(target, action, parameter, text, f"{name}=")
            return
        if is_taken:
            continue
        # Only one of them comes next by its place.
        if is_next and (parameter.is_positional or parameter.kind == VAR_POSITIONAL):
            is_next = False
            yield from _list_values(target, action, parameter, word, "")
        if parameter.is_keyword:
            default = show_as_typed(parameter.default) or "empty"
            help = f"{default} if not given" if parameter.has_default else "required"
            # Put in by itself, it would be run without a value.
            yield Candidate(f"{parameter.name}=", help, is_final=False, is_hint=True)


def _list_values(
    target: Target, action: Any, parameter: Parameter, text: str, prefix: str
) -> Iterator[Candidate]:
    """Return what a parameter can be, as far as that is known."""
    hooked = list_hook_values(target.node, parameter.name, text)
    if hooked is not None:
        for value, help in hooked:
            yield Candidate(prefix + value, help, value)
        return
    # Imported here: most of what is completed has no values.
    from .values import find_parameter_converter

    converter = find_parameter_converter(action, parameter.annotation)
    before = text.rpartition(",")[0] if converter.is_list else ""
    begin = f"{before}," if before else ""
    is_final = not converter.is_list
    for choice in converter.choices:
        if choice not in before.split(","):
            yield Candidate(prefix + begin + choice, "", choice, is_final)
    if converter.is_path:
        yield from list_paths(text.removeprefix(begin), prefix + begin)


def list_paths(text: str, prefix: str = "") -> Iterator[Candidate]:
    """Return what a path on this machine could go on with."""
    folder, slash, beginning = text.rpartition("/")
    try:
        entries = list(os.scandir(os.path.expanduser(folder + slash) or "."))
    except OSError:
        return
    for entry in sorted(entries, key=lambda entry: entry.name):
        # What is hidden is there for those who ask for it.
        if beginning.startswith(".") or not entry.name.startswith("."):
            # A directory goes on.
            name = entry.name + "/" * entry.is_dir()
            yield Candidate(f"{prefix}{folder}{slash}{name}", "", name, not entry.is_dir())
