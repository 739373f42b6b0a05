"""The words of a command line into values, by the table of commands."""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from ..parallel.choices import OUTPUTS
from ..utils.colours import choose_colours, paint, shows_colours
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
from .wrong_use import WrongUse

if TYPE_CHECKING:
    from ..node import Node

__all__ = ["parse_arguments", "wants_json"]


def parse_arguments(program: str, root: type[Node], words: Sequence[str]) -> Any:
    """Return what a command line says; see ``CommandLine.arguments``. Help is written, and ends it.

    :raises WrongUse: for what cannot be meant.
    """
    position = _count_options(words, GLOBAL_OPTIONS)
    before, after = list(words[:position]), list(words[position + 1 :])
    name = words[position] if position < len(words) else None
    if name is None or any(option.names[-1] in before for option in PROGRAM_OPTIONS):
        arguments = _ProgramParser(program, root).parse(before)
        arguments.command, arguments.words, arguments.given = "", [], before
        return arguments
    if name not in COMMANDS:
        # What is wrong before it is said first.
        _ProgramParser(program, root).parse(before)
        _refuse_command(program, root, name, after)
    spec = COMMANDS[name]
    given, others = _separate(after, spec)
    arguments = _CommandParser(program, name, spec).parse([*before, *given])
    arguments.command, arguments.words, arguments.given = name, others, [*before, *given]
    _check_words(name, spec, others)
    # Who has written `--` before the action has said that what follows is no option.
    if spec.words == "action" and [*given, *others] == after:
        _check_behind_action(name, spec, given, others)
    return arguments


def wants_json(words: Sequence[str]) -> bool:
    """Whether words that cannot be parsed ask for JSON."""
    if "--" in words:
        words = words[: words.index("--")]
    return (
        "--json" in words
        or "--output=json" in words
        or ("--output", "json") in itertools.pairwise(words)
    )


def _count_options(words: Sequence[str], options: Iterable[OptionSpec]) -> int:
    """Return how many words at the beginning are options and their values."""
    with_value = {name for option in options if option.metavar for name in option.names}
    position = 0
    while position < len(words) and words[position][:1] == "-" and words[position].strip("-"):
        position += 2 if words[position] in with_value else 1
    return min(position, len(words))


def _separate(words: Sequence[str], spec: CommandSpec) -> tuple[list[str], list[str]]:
    """Return the options of a command with their values, and its other words."""
    options = (*spec.options, *GLOBAL_OPTIONS)
    given: list[str] = []
    others: list[str] = []
    while True:
        count = _count_options(words, options)
        given += words[:count]
        words = words[count:]
        if words[:1] == ["--"]:
            return given, [*others, *words[1:]]
        if len(others) == spec.own_words or not words:
            return given, [*others, *words]
        others.append(words[0])
        words = words[1:]


def _check_words(name: str, spec: CommandSpec, words: Sequence[str]) -> None:
    metavar = _WORDS[spec.words][0] if spec.words else "words"
    if spec.words == "node-and-command" and len(words) < 2:
        raise WrongUse(f"{name} takes the path of a node, and a command: {name} {spec.usage}")
    if spec.words == "node-and-command":
        # An empty path would be the root: a variable that is not set must not mean all hosts.
        if not words[0].strip():
            raise WrongUse(f"{name}: the path is empty; that of the root is `.`")
        if not " ".join(words[1:]).strip():
            raise WrongUse(f"{name}: the command is empty")
    if spec.words in ("node", "pattern", "target") and len(words) > 1:
        raise WrongUse(
            f"{name} takes one {metavar}, and was given {len(words)}: {' '.join(words)}; the names "
            "in a path are joined by dots"
        )


def _check_behind_action(
    name: str, spec: CommandSpec, given: Sequence[str], words: Sequence[str]
) -> None:
    """Refuse options of the command among what is for the action, which would take them as values.

    Somebody who adds ``--sandbox`` to a line wants nothing to be run.
    """
    options = {name: option for option in (*spec.options, *GLOBAL_OPTIONS) for name in option.names}
    found: list[str] = []
    moved: list[str] = []
    others = [*words[:1]]
    rest = iter(words[1:])
    for word in rest:
        if word == "--":
            others += [word, *rest]
            break
        option_name, equals, _ = word.partition("=")
        option = options.get(option_name)
        if option is None or (equals and not (option.metavar and word.startswith("--"))):
            others.append(word)
            continue
        found.append(word)
        moved += [word, *itertools.islice(rest, int(bool(option.metavar and not equals)))]
    if not found:
        return
    import shlex

    if found[0] in ("-h", "--help"):
        advice = f"explains {name}; inspect ACTION explains an action"
    else:
        advice = f"stands before the action: {shlex.join([name, *given, *moved, *others])}"
    literal = shlex.join([name, *given, "--", *words])
    raise WrongUse(
        f"{found[0]} {advice}. As an argument, write NAME={found[0]}, or -- before the action: "
        f"{literal}"
    )


def _refuse_command(program: str, root: type[Node], name: str, after: Sequence[str]) -> NoReturn:
    # Imported here, as in what follows: only who has made a mistake waits for it.
    from ..cli.completion import did_you_mean

    if name == "telnet-server":
        raise WrongUse(
            "there is no telnet-server: everybody on the network could read along; have people "
            f"ssh to a machine whose sshd runs this script for them (ForceCommand {program})"
        )
    line: list[str] = []
    if name and _is_in_tree(root, name):
        line = [program, "run", name, *after]
    elif name in ("help", "list", "version"):
        # As other programs have it.
        line = [program, *(word for word in after[:1] if word in COMMANDS), f"--{name}"]
    if line:
        import shlex

        text = shlex.join(line)
        raise WrongUse(f"invalid choice: {name!r} is no command; did you mean: {text}")
    hint = did_you_mean(name, COMMANDS) or f" There are {', '.join(COMMANDS)}."
    raise WrongUse(f"invalid choice: {name!r} is no command.{hint}")


def _is_in_tree(root: type[Node], name: str) -> bool:
    from ..cli.grammar import Token
    from ..node import Env
    from ..shell.navigation import find_target

    try:
        find_target(Env(root()), [Token(name, 0, len(name))])
    except Exception:  # Also of the root, which is the user's.
        return False
    return True


class _Parser(argparse.ArgumentParser):
    """Takes options only; its messages are one line, and raised."""

    def __init__(
        self,
        name: str,
        options: Iterable[OptionSpec],
        examples: Iterable[tuple[str, str]],
        **kwargs: Any,
    ) -> None:
        super().__init__(
            formatter_class=_HelpFormatter, add_help=False, allow_abbrev=False, **kwargs
        )
        # That of Python, which does not know of ours; from 3.14 on.
        self.color = False
        self._name = name
        self._known = tuple(options)
        self._examples = examples
        everything = (option for spec in COMMANDS.values() for option in spec.options)
        self.set_defaults(
            **{
                option.destination: option.default
                for option in (*everything, *PROGRAM_OPTIONS, *GLOBAL_OPTIONS)
            }
        )

    def add_options(self, title: str, options: Iterable[OptionSpec]) -> None:
        group = self.add_argument_group(title)
        for option in options:
            if option.metavar:
                kind = _KINDS.get(option.kind, str)
                group.add_argument(
                    *option.names, metavar=option.metavar, help=option.help, type=kind
                )
            else:
                group.add_argument(*option.names, action="store_true", help=option.help)

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Return the values of options; write the help if that is what they ask for."""
        for word in words:
            # Before Python 3.13, argparse makes an empty list of this value.
            if word.startswith("--") and word.partition("=")[2] == "--":
                self.error(f"{word}: -- cannot be the value of an option")
        arguments, unknown = self.parse_known_args(list(words))
        if unknown:
            self._refuse_option(unknown[0])
        choose_colours(arguments.color)
        if arguments.help:
            _write(self.format_help())
            sys.exit()
        if arguments.quiet and arguments.verbose:
            self.error("-q and -v say the opposite of each other")
        if arguments.json and arguments.output not in (None, "json"):
            self.error(f"--json and --output {arguments.output} say different things")
        if arguments.json or arguments.output == "json":
            arguments.json, arguments.output = True, "json"
        return arguments

    def format_help(self) -> str:
        """Return the help, which begins with examples."""
        # Not before it is known whether there are colours.
        self.description = _show_examples(self.prog, self._examples)
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """Raise WrongUse."""
        raise WrongUse(f"{self._name}: {message}" if self._name else message)

    def _refuse_option(self, word: str) -> NoReturn:
        from ..cli.completion import did_you_mean

        word = word.partition("=")[0]
        if word in _FOREIGN:
            self.error(f"there is no option {word!r}; {_FOREIGN[word]}")
        known = [name for option in self._known for name in option.names if name[:2] == "--"]
        self.error(f"there is no option {word!r}.{did_you_mean(word, known)}")


class _ProgramParser(_Parser):
    """What there is before a command, or without any."""

    def __init__(self, program: str, root: type[Node]) -> None:
        options = (*GLOBAL_OPTIONS, *PROGRAM_OPTIONS)
        super().__init__(
            "",
            options,
            _get_examples(root),
            prog=program,
            usage=f"{program} [OPTION…] [COMMAND …]",
            epilog=_EXIT_STATUSES,
        )
        rows = [f"{name:<12}{spec.summary}" for name, spec in COMMANDS.items()]
        self.add_argument_group(f"commands ({program} COMMAND --help)", "\n".join(rows))
        self.add_options("options", (*GLOBAL_OPTIONS[:1], *PROGRAM_OPTIONS))
        self.add_options("options of all commands", GLOBAL_OPTIONS[1:])


class _CommandParser(_Parser):
    """The options of one command."""

    def __init__(self, program: str, name: str, spec: CommandSpec) -> None:
        runs_something = spec.function.startswith("running.")
        super().__init__(
            name,
            (*spec.options, *GLOBAL_OPTIONS),
            spec.examples,
            prog=program,
            usage=f"{program} {name} {spec.usage}",
            epilog=_EXIT_STATUSES if runs_something else None,
        )
        if spec.words:
            metavar, help = _WORDS[spec.words]
            words = self.add_argument_group("words")
            words.add_argument("words", nargs="*", metavar=metavar, help=help)
        if spec.options:
            self.add_options("options", spec.options)
        self.add_options("options of all commands", GLOBAL_OPTIONS)


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Asks for the width as argparse does, which imports ``shutil`` for it, for each argument."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_get_width() - 2, max_help_position=26)

    def start_section(self, heading: str | None) -> None:
        super().start_section(heading and _bold(heading))


def _write(text: str) -> None:
    """Write to stdout what it can take, as ``write_text`` does, which comes with terminals."""
    if sys.stdout is not None:
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
        sys.stdout.flush()


def _bold(text: str) -> str:
    return paint(text, None, bold=True, enabled=shows_colours(sys.stdout))


def _get_width() -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except (AttributeError, ValueError, OSError):
        return 80


def _show_examples(program: str, examples: Iterable[tuple[str, str]]) -> str:
    lines = [(f"  {program} {words}", what) for words, what in examples]
    width = min(max((len(line) for line, _ in lines), default=0), 46)
    rows = [f"{line:<{width}}  {what}" for line, what in lines]
    return "\n".join([_bold("examples") + ":", *rows])


def _get_examples(root: type[Node]) -> list[tuple[str, str]]:
    return [
        ("", f"open a shell in {root.__name__}"),
        ("run ACTION", "run one action, and say by the exit status how it went"),
        ("run child.action x n=1", "run an action of a child node, with arguments"),
        ("exec child -- uptime", "run a command on the hosts of a child node"),
        ("tree", "show all there is to run"),
        ("scp child", "copy files from and to the host of a child node"),
        ("< lines", "run lines of the shell, until one fails"),
    ]


def _natural(text: str) -> int:
    return _number_from(0, text)


def _positive(text: str) -> int:
    return _number_from(1, text)


def _number_from(least: int, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} on")
    return number


def _not_empty(text: str) -> str:
    # A variable that is not set must not mean the directory where somebody happens to be.
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty; the directory where you are is `.`")
    return text


def _one_of(text: str, known: Iterable[str]) -> str:
    known = list(known)
    if text in known:
        return text
    from ..cli.completion import did_you_mean

    hint = did_you_mean(text, known)
    raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(known)}.{hint}")


#: What makes a value of a text, by the kind of an option.
_KINDS = {
    "natural": _natural,
    "positive": _positive,
    "output": lambda text: _one_of(text, OUTPUTS),
    "directory": _not_empty,
    "colour": lambda text: _one_of(text, COLOURS),
    "format": lambda text: _one_of(text, GRAPH_FORMATS),
}

#: What the words of a command are called in its help, and what they are.
_WORDS = {
    "action": (
        "ACTION PARAMETER",
        "names that lead to an action, and its arguments: values or NAME=VALUE",
    ),
    "node": ("PATH", "a node: names joined by dots; web:web01 or web[0] for a cell of an array"),
    "node-and-command": (
        "PATH COMMAND",
        "a node, `.` for the root; and what its hosts are to run, joined by blanks as ssh does",
    ),
    "pattern": ("PATTERN", "a part of a name, or a whole one with *, ? or [ ] in it"),
    "target": ("PATH", "names joined by dots"),
    "shell": ("SHELL", " or ".join(SHELLS)),
}

_SANDBOX = "--sandbox checks the commands, and changes nothing"
_HOSTS = "--hosts NAMES chooses hosts of the tree"
_ROOT = "what an action runs as root is in its code (sudo, use_sudo); exec has --sudo"
_PASSWORD = (
    "a password is asked for when it is needed, unless the class of the host has one; "
    "--ask-password asks for one for all hosts"
)

#: What other programs of this kind call an option, with what there is instead.
_FOREIGN = {
    **dict.fromkeys(("--check", "-C", "--dry-run", "--dry", "--noop"), _SANDBOX),
    **dict.fromkeys(("--diff", "-D"), "the action diff of a Config shows what its setup changes"),
    **dict.fromkeys(("--limit", "-l", "--host", "-H"), _HOSTS),
    **dict.fromkeys(("--become", "-b"), _ROOT),
    **dict.fromkeys(("--ask-become-pass", "-K", "--ask-pass", "-k"), _PASSWORD),
    **dict.fromkeys(("--forks", "-f"), "--parallel N runs on at most N hosts at once"),
}

_EXIT_STATUSES = """\
exit status:
  0 done; 1 an action or a host failed; 2 wrong use, or no such node or action;
  3 it was declined, or an answer was needed and nobody could be asked;
  4 no host could be reached; 129 ended by SIGHUP; 130 interrupted;
  141 whoever read the output was gone; 143 ended by SIGTERM
"""
