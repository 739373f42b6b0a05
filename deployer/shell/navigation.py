"""Words into nodes and actions: the way through a tree."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..cli.completion import did_you_mean
from ..cli.grammar import Token
from ..exceptions import DeployerException
from ..inspection import Inspector
from ..inspection.hooks import without_hooks

if TYPE_CHECKING:
    from ..node import Env

__all__ = [
    "DEFAULT_ACTION",
    "NotFound",
    "Target",
    "find_cell",
    "find_elsewhere",
    "find_node",
    "find_target",
    "make_command",
    "split_slashes",
]

#: The action of a node that can be called itself.
DEFAULT_ACTION = "__call__"

# So many names are listed when none is like the one that was meant.
_MANY = 8
# And so many places where there is one of the same name.
_FEW = 3


class NotFound(DeployerException, LookupError):
    """There is no such node or action.

    :param name: what is nowhere to be found there; empty where something else is wrong.
    """

    def __init__(self, message: str, name: str = "") -> None:
        super().__init__(message)
        self.name = name


class Target(NamedTuple):
    """What a line is about: an action of a node, with arguments; or a node, with none."""

    node: Env
    action_name: str | None
    arguments: Sequence[Token] = ()


def make_command(invocation: Sequence[str], target: Target, hosts: str) -> str:
    """Return the command line that runs an action on some hosts.

    :param invocation: what starts the program.
    """
    names = [*Inspector(target.node).get_path()][1:]
    if target.action_name not in (None, DEFAULT_ACTION):
        names.append(target.action_name)
    arguments = [token.text for token in target.arguments]
    # Behind the action, what looks like an option of ``run`` would be refused.
    end = ["--"] if any(text.startswith("-") for text in arguments) else []
    return shlex.join([*invocation, "run", "--hosts", hosts, *end, ".".join(names), *arguments])


def find_node(node: Env, words: Sequence[str]) -> Env:
    """Follow words from a node; raise NotFound, which says where the way ends.

    A word is the name of a child node, several of them joined by dots, ``..``, ``.``, ``/``, or
    ``:host`` for one cell of a parallel node, which may also stand after a name (``web:host.logs``,
    or ``web[0].logs`` by its index). Slashes join words, as in ``../..`` and ``/prod/web``.
    """
    for word in words:
        for part in split_slashes(word):
            node = _step(node, part)
    return node


def split_slashes(word: str) -> list[str]:
    """Return the words that a word with slashes stands for; one without is itself."""
    # What follows a colon is the name of a host, and may have slashes itself.
    names, colon, cell = word.partition(":")
    parts = [part for part in names.split("/") if part]
    if names.startswith("/"):
        parts.insert(0, "/")
    if colon and (names.endswith("/") or not parts):
        parts.append("")
    return [*parts[:-1], parts[-1] + colon + cell] if parts else [word]


def find_target(node: Env, words: Sequence[Token]) -> Target:
    """Return what a line's words stand for; raise NotFound where they stand for nothing."""
    for position, token in enumerate(words):
        rest = words[position + 1 :]
        if Inspector(node).has_action(token.text):
            return Target(node, token.text, rest)
        # What a node is called with is no way through the tree, but may well be a path.
        is_argument = position and Inspector(node).is_callable()
        *outer, text = [token.text] if is_argument else split_slashes(token.text)
        try:
            node = find_node(node, outer)
            *way, name = text.split(".")
            if all(way) and name:
                owner = _try_node(node, ".".join(way)) if way else node
                if owner is not None and Inspector(owner).has_action(name):
                    return Target(owner, name, rest)
            node = _step(node, text)
        except NotFound:
            if position and Inspector(node).is_callable():
                return Target(node, DEFAULT_ACTION, words[position:])
            raise
    return Target(node, DEFAULT_ACTION if Inspector(node).is_callable() else None)


def find_cell(node: Env, text: str) -> tuple[Env, str | None]:
    """Return the cell of an array that a text begins with, and what follows behind a dot.

    Names of hosts have dots themselves: the longest that there is counts. None follows where the
    text is the name of a cell. Raises NotFound where it begins with none.
    """
    inspector = Inspector(node)
    cells: dict[str, Env] = {}
    names: list[str] = []
    for isolation in inspector.iter_isolations():
        if isolation.identifier:
            names.append(isolation.name)
            cells.setdefault(isolation.name, isolation.node)
            cells.setdefault(",".join(map(str, isolation.identifier)), isolation.node)
    name, rest = text, None
    while name not in cells and "." in name:
        name, _, last = name.rpartition(".")
        rest = last if rest is None else f"{last}.{rest}"
    if name in cells:
        return cells[name], rest
    path = inspector.get_full_name()
    if not names:
        raise NotFound(f"{path} is not an array, so it has no cell {text!r}")
    # Where the name was to end is not known.
    advice = did_you_mean(text, names) or did_you_mean(name, names)
    raise NotFound(f"{path} has no cell {text!r}; it has {', '.join(names)}.{advice}")


def find_elsewhere(node: Env, name: str) -> list[str]:
    """Return where else in the tree there is a node or an action of a name, as words to type.

    Given a path, its last name is looked for.
    """
    name = name.rpartition(".")[2].lower()
    found: list[str] = []
    for owner in Inspector(Inspector(node).get_root()).walk(skip_broken=True):
        inspector = Inspector(owner)
        path = [*inspector.get_path()][1:]
        if owner is node or any(each.startswith("_") for each in path):
            continue
        actions = without_hooks(inspector.get_actions(include_private=False))
        places = [[*path, action.name] for action in actions if action.name.lower() == name]
        if path and path[-1].lower() == name and owner.parent is not node:
            places.append(path)
        found += [".".join(place) for place in places]
        if len(found) >= _FEW:
            break
    return found[:_FEW]


def _try_node(node: Env, word: str) -> Env | None:
    try:
        return _step(node, word)
    except NotFound:
        return None


def _step(node: Env, word: str) -> Env:
    match word:
        case "" | ".":
            return node
        case "/":
            root: Env = Inspector(node).get_root()
            return root
        case "..":
            parent: Env | None = Inspector(node).get_parent()
            return node if parent is None else parent
    rest: str | None = word
    while rest is not None:
        names, colon, cell = rest.partition(":")
        for name in names.split(".") if names or not colon else []:
            # As paths are shown: web[0].
            child, bracket, index = name.removesuffix("]").partition("[")
            if not name:
                raise NotFound(f"{word!r} is not the name of a node: one is missing beside a dot")
            node = _get_child(node, child) if child else node
            node = find_cell(node, index)[0] if bracket else node
        node, rest = find_cell(node, cell) if colon else (node, None)
    return node


def _get_child(node: Env, name: str) -> Env:
    inspector = Inspector(node)
    if inspector.has_childnode(name):
        child: Env = inspector.get_childnode(name)
        return child
    if inspector.has_action(name):
        raise NotFound(f"{name!r} is an action of {inspector.get_full_name()}, and no node")
    for kind, is_there in (("property", inspector.has_property), ("query", inspector.has_query)):
        if is_there(name):
            path = inspector.get_full_name()
            raise NotFound(f"{name!r} is a {kind} of {path}, and no node or action")
    known = inspector.get_childnode_names(include_private=False)
    actions = without_hooks(inspector.get_actions(include_private=False))
    known += [action.name for action in actions]
    advice = did_you_mean(name, known)
    if not advice and known:
        more = ", …" if len(known) > _MANY else ""
        advice = f" It has {', '.join(known[:_MANY])}{more}."
    raise NotFound(f"{inspector.get_full_name()} has no node or action {name!r}.{advice}", name)
