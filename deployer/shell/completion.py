"""What may follow in a line of the shell, at a place in the tree. It never connects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ..cli.completion import Candidate
from ..cli.grammar import Token
from ..inspection import Inspector
from .builtins import BUILTINS
from .display import describe_usage, get_node_doc, get_signature, get_summary
from .execution import get_action
from .navigation import NotFound, find_node, find_target

if TYPE_CHECKING:
    import inspect

    from ..node import Env
    from .state import ShellState

__all__ = ["ShellCandidates"]


class ShellCandidates:
    """The candidates at the current node of a shell.

    :param builtins: whether the shell's own commands are among them.
    """

    def __init__(self, state: ShellState, builtins: bool = True) -> None:
        self._state = state
        self._builtins = builtins

    def get_candidates(self, words: Sequence[str], word: str) -> Iterator[Candidate]:
        """Return what the word at the cursor could be, after the words before it."""
        node = self._state.node
        if not self._builtins:
            yield from _list_runnable(node, words, word)
        elif not words:
            yield from _list_runnable(node, words, word)
            for name, builtin in BUILTINS.items():
                # Options are shown to those who ask for them by a dash.
                if word or not name.startswith("-"):
                    yield Candidate(name, builtin.summary)
        elif words[0] in BUILTINS:
            builtin = BUILTINS[words[0]]
            if builtin.completes == "nodes":
                yield from _list_nodes(node, words[1:], word)
            elif builtin.completes == "names":
                if len(words) == 1:
                    yield from (Candidate(name, b.summary) for name, b in BUILTINS.items())
                yield from _list_runnable(node, words[1:], word)
        else:
            yield from _list_runnable(node, words, word)


def _list_runnable(node: Env, words: Sequence[str], word: str) -> Iterator[Candidate]:
    """Return nodes and actions; after an action, its parameters."""
    if words:
        try:
            target = find_target(node, [Token(text, 0, 0, plain=len(text)) for text in words])
        except NotFound:
            return
        if target.action_name is not None:
            parameters = get_signature(get_action(target)).parameters
            yield from _list_parameters(parameters, target.arguments, word)
        if target.arguments or Inspector(target.node).has_action(words[-1].rpartition(".")[2]):
            return
    yield from _list_nodes(node, words, word, with_actions=True)


def _list_nodes(
    node: Env, words: Sequence[str], word: str, with_actions: bool = False
) -> Iterator[Candidate]:
    way, dot, beginning = word.rpartition(".")
    if word.startswith(".") and not way:
        yield Candidate("..", "the parent node")
        way, dot, beginning = "", "", word
    try:
        node = find_node(node, [*words, *([way] if way else [])])
    except NotFound:
        return
    inspector = Inspector(node)
    prefix = way + dot
    # Private names are there for who knows them.
    private = beginning.startswith("_")
    for child in inspector.get_childnodes(include_private=private):
        name = Inspector(child).get_name()
        yield Candidate(prefix + name, get_summary(get_node_doc(child)), name)
    if not dot:
        for isolation in inspector.iter_isolations():
            if isolation.identifier:
                yield Candidate(f":{isolation.name}", "one cell of the array")
    if with_actions:
        for action in inspector.get_actions(include_private=private):
            help = get_summary(action.__doc__) or describe_usage("", get_signature(action))
            yield Candidate(prefix + action.name, help.strip(), action.name)


def _list_parameters(
    parameters: Mapping[str, inspect.Parameter], arguments: Sequence[Token], word: str
) -> Iterator[Candidate]:
    """Return ``name=`` for each parameter that has no argument yet, and the values of switches."""
    given = [token.keyword[0] for token in arguments if token.keyword]
    positional = len(arguments) - len(given)
    for position, (name, parameter) in enumerate(parameters.items()):
        is_keyword = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if not is_keyword or name in given:
            continue
        if position < positional and parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            continue
        if word.startswith(f"{name}=") and parameter.annotation in (bool, "bool"):
            yield from (Candidate(f"{name}={value}", display=value) for value in ("yes", "no"))
        else:
            has_default = parameter.default is not parameter.empty
            help = f"{parameter.default!r} if not given" if has_default else "required"
            yield Candidate(f"{name}=", help, is_final=False)
