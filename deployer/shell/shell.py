"""The deployment shell: walk through a tree of nodes, and run its actions."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from ..cli.completion import Completion, complete, did_you_mean
from ..cli.grammar import LineError, Token, parse, quote, tokenize
from ..cli.history import find_state_file
from ..cli.line_shell import LineShell
from ..cli.status import Status
from ..exceptions import ParallelActionException
from ..failures import describe_failure
from ..inspection import Inspector
from ..node import Env, Node, ParallelActionResult
from ..node.action import Runs
from ..node.env import as_env
from ..streams import write_text
from ..utils.colours import paint, shows_colours
from .aliases import Aliases
from .builtins import BUILTINS, UsageError
from .completion import ShellCandidates
from .display import describe_action, describe_node, describe_result
from .execution import CallError, Outcome, attempt, get_action, prepare_call
from .hosts import NoHosts, advise_on_host, check_chosen_hosts, check_has_cells, list_hosts
from .navigation import DEFAULT_ACTION, NotFound, Target, find_elsewhere, find_target, make_command
from .state import ShellState

__all__ = ["DeploymentShell"]

# The path in a prompt is cut at its beginning to leave room for a line.
_LONGEST_PATH = 40

# What other shells and programs call what this one does, with how it is done here.
_FOREIGN = {
    "exec": "--run runs a command on the hosts.",
    "logout": "exit leaves the shell.",
    "quit": "exit leaves the shell.",
    "run": "An action is run by its name alone; --run runs a command on the hosts.",
    "ssh": "--connect opens a shell on the host.",
}


class DeploymentShell(LineShell):
    """Runs lines at a place in a tree.

    :param node: where to begin.
    :param stop_at_failure: end at the first line that fails, as a script does.
    :param invocation: the words that start the program that this is the shell of, for the command
        lines that it proposes.
    :param confirms: whether a person is asked before something runs in production.
    :param quiet: do not say of each action how it ended.
    """

    def __init__(
        self,
        node: Env,
        stop_at_failure: bool = False,
        invocation: Sequence[str] = (),
        confirms: bool = True,
        quiet: bool = False,
    ) -> None:
        super().__init__(node.console.pty, stop_at_failure)
        self.invocation = invocation
        # As in other shells, a script has none.
        path = find_state_file(sys.argv[0], "aliases") if self.pty.is_interactive else None
        self.state = ShellState(node, Aliases(path, self.console.warning), confirms)
        self._quiet = quiet
        self._candidates = ShellCandidates(self.state)

    def run_line(self, line: str) -> int:
        """Run one line and show what comes of it; return its exit status. Failures do not raise."""
        self.state.status = self._guard(lambda: self._run_text(line))
        return self.state.status

    def run_action(self, words: Sequence[Token]) -> int:
        """Run the action that words name, with arguments, and nothing else; as ``run_line``."""

        def run() -> int:
            try:
                target = find_target(self.state.node, words)
            except NotFound as error:
                advice = advise_on_host(self.state.node, error.name, "--hosts")
                raise NotFound(f"{error}{advice}") from None
            return self.call(target, words)

        return self._guard(run)

    def complete(self, line: str, cursor: int) -> Sequence[Completion]:
        """Return nodes, actions, parameters and commands; it never connects."""
        return complete(self._candidates, line, cursor)

    def leave(self) -> None:
        """Leave the sub-shell, or the shell."""
        if self.state.is_sub_shell:
            self.state.leave()
        else:
            super().leave()

    def get_prompt(self) -> str:
        """Return the path of the current node in the colour of its group, and how things are.

        That is how many hosts it has, if several; whether it is a sandbox; and a mark when the last
        line has failed.
        """
        node = self.state.node
        inspector = Inspector(node)
        enabled = shows_colours(self.pty.stdout)
        path = inspector.get_full_name()
        if len(path) > _LONGEST_PATH:
            path = "…" + path[1 - _LONGEST_PATH :]
        parts = [paint(path, inspector.get_group().color, bold=True, enabled=enabled)]
        hosts = len(list_hosts(node))
        if hosts > 1:
            parts.append(f"({hosts})")
        if node._node_is_sandbox:
            parts.append(paint("sandbox", "cyan", enabled=enabled))
        if self.state.status:
            parts.append(paint("✗", "red", bold=True, enabled=enabled))
        return " ".join([*parts, "> "])

    def call(self, target: Target, words: Sequence[Token]) -> int:
        """Call an action, and show what comes of it; return its exit status.

        :param words: those that name the action, and its arguments.
        """
        action = get_action(target)
        check_chosen_hosts(target.node)
        check_has_cells(action)
        name = " ".join(word.text for word in words[: len(words) - len(target.arguments)])
        # Imported here, as in what follows: to look around in a tree takes none of it.
        from ..node.shown import shown_as_asked

        try:
            run = prepare_call(shown_as_asked(action), target.arguments)
        except CallError as error:
            self.show_error(f"{name}: {error}")
            write_text(self.pty.stderr, describe_action(name, action) + "\n")
            return Status.WRONG_USE

        def show_result(value: Any) -> None:
            if isinstance(value, Node):
                self.state.enter(as_env(value, target.node))
                if self.pty.is_interactive and not self._quiet:
                    path = Inspector(self.state.node).get_full_name()
                    self.show(f"In a sub-shell at {path}: return goes back")
            elif not action.suppress_result and (text := describe_result(value)):
                self.show(text)

        with self._proposing(target, action.runs):
            is_default = action.name == DEFAULT_ACTION
            title = Inspector(target.node).get_name() if is_default else action.name
            return self.run_at(target.node, title, run, show_result, action.changes_nothing)

    def run_at(
        self,
        node: Env,
        name: str,
        run: Callable[[], Any],
        show_result: Callable[[Any], None] = lambda _: None,
        changes_nothing: bool = False,
    ) -> int:
        """Run something at a node: ask first, keep its output, show what comes of it.

        :param name: what runs, for whoever watches.
        :param show_result: shows what it returned.
        :param changes_nothing: whether it needs no question.
        :return: the exit status.
        """
        from ..loggers.hosts_seen import HostsSeen
        from .confirmation import confirm
        from .recording import Recording
        from .summary import describe_outcome

        if self.state.confirms and not changes_nothing:
            confirm(node, name)
        seen = HostsSeen()
        recording = Recording()
        with contextlib.ExitStack() as stack:
            stack.enter_context(node._node_logger.attached(seen))
            # Readline wants the real streams, and so does whoever gave us others.
            if self.pty.stdout is sys.stdout is not None:
                stack.enter_context(recording.of(self.pty))
                self.state.recording = recording
            outcome = attempt(run)
            # The terminal stands behind a ^C itself.
            is_cut = recording.is_within_line and outcome.status != Status.INTERRUPTED
            if is_cut and self.pty.is_interactive:
                self.show("")
            if outcome.error is None:
                show_result(outcome.value)
            else:
                self._show_failure(outcome)
        if self.pty.is_interactive and not self._quiet and not self._was_summed_up(outcome):
            text = describe_outcome(name, outcome, seen, node._node_is_sandbox)
            stream = self.pty.stderr
            colour = "dark_grey" if outcome.error is None else "red"
            write_text(stream, paint(text, colour, enabled=shows_colours(stream)) + "\n")
        return outcome.status

    def _guard(self, run: Callable[[], int]) -> int:
        """Return the exit status of a run; what it raises is shown."""
        try:
            return run()
        except (LineError, NoHosts, NotFound, UsageError) as error:
            self.show_error(str(error))
            return Status.WRONG_USE
        except (Exception, KeyboardInterrupt) as error:
            outcome = Outcome(error=error)
            self._show_failure(outcome)
            return outcome.status

    def _run_text(self, line: str) -> int:
        command = line.strip()
        if command.startswith("!"):
            return self._run_builtin("!", [Token(command[1:], 0, 0)])
        return self._run_words(parse(self._expand_aliases(line)).words)

    def _expand_aliases(self, line: str) -> str:
        """Return the line with what its first word is an alias for in the place of that."""
        used: set[str] = set()
        while tokens := tokenize(line):
            first = tokens[0]
            # A quoted name is no alias, and neither is an alias within itself.
            if first.plain != len(first.text) or first.text in used:
                break
            expansion = self.state.aliases.get(first.text)
            if expansion is None:
                break
            used.add(first.text)
            line = expansion + line[first.end :]
        return line

    def _run_words(self, words: Sequence[Token]) -> int:
        if not words:
            # Nothing was run, so that nothing has changed.
            return self.state.status if self.pty.is_interactive else Status.DONE
        if words[0].text in BUILTINS:
            return self._run_builtin(words[0].text, words[1:])
        try:
            target = find_target(self.state.node, words)
        except NotFound as error:
            raise NotFound(f"{error}{self._advise(words, error)}") from None
        if target.action_name is None:
            self.show(describe_node(target.node))
            return Status.DONE
        return self.call(target, words)

    def _run_builtin(self, name: str, words: Sequence[Token]) -> int:
        try:
            return BUILTINS[name].run(self, words)
        except NotFound as error:
            advice = (
                self._advise_on_host(error)
                or self._look_elsewhere(error.name)
                or self._advise_quotes(words)
            )
            raise NotFound(f"{error}{advice if error.name else ''}") from None

    def _look_elsewhere(self, name: str) -> str:
        places = find_elsewhere(self.state.node, name) if name else []
        return f" Elsewhere there is {' and '.join(f'/ {p}' for p in places)}." if places else ""

    def _advise_on_host(self, error: NotFound) -> str:
        return advise_on_host(self.state.node, error.name, "set-option hosts")

    def _advise(self, words: Sequence[Token], error: NotFound) -> str:
        """Return what else somebody may have meant, than what is named like it here."""
        word = words[0].text
        if advice := self._advise_on_host(error):
            return advice
        if places := self._look_elsewhere(word):
            return places
        if not error.name:
            return self._advise_inspecting(words)
        if word == error.name and word in _FOREIGN:
            return f" {_FOREIGN[word]}"
        if advice := self._advise_quotes(words):
            return advice
        if "Did you mean" in str(error):
            return ""
        return did_you_mean(word, [*BUILTINS, *self.state.aliases])

    def _advise_inspecting(self, words: Sequence[Token]) -> str:
        from .members import find_member

        texts = [word.text for word in words]
        try:
            member = find_member(self.state.node, texts)
        except NotFound:
            return ""
        is_shown = member.kind in ("property", "query")
        return f"; --inspect {' '.join(texts)} shows it" if is_shown else ""

    def _advise_quotes(self, words: Sequence[Token]) -> str:
        # A name with blanks has to be quoted; who sees it in a list types it as it stands there.
        line = "".join(f"{word.text} " for word in words)
        for action in Inspector(self.state.node).get_actions(include_private=False):
            if (
                " " in action.name
                and line
                and f"{action.name} ".startswith(line[: len(action.name) + 1])
            ):
                return f" Quote the name of an action with blanks: {quote(action.name)}"
        return ""

    @contextlib.contextmanager
    def _proposing(self, target: Target, runs: Runs) -> Iterator[None]:
        """Let runs say how the action is run again on some hosts, where it runs in their cells.

        Any other action may do something for all of its hosts together, such as writing a file
        with their names: on some of them only, it would do something else.
        """
        before = self.pty.presentation
        make_rerun = before.make_rerun
        if runs is not Runs.IN_EACH_CELL:
            make_rerun = None
        elif make_rerun is None and self.invocation:
            make_rerun = partial(make_command, self.invocation, target)
        self.pty.presentation = before._replace(make_rerun=make_rerun)
        try:
            yield
        finally:
            self.pty.presentation = before

    def _show_failure(self, outcome: Outcome) -> None:
        assert outcome.error is not None
        if outcome.status == Status.BROKEN_PIPE:
            # Whoever read the output is gone: there is nobody to tell, and no use in going on.
            raise BrokenPipeError from outcome.error
        if outcome.status == Status.INTERRUPTED and self.pty.is_interactive:
            # The terminal has shown the ^C, and stands behind it.
            self.show("")
        self.show_error(describe_failure(outcome.error))

    def _was_summed_up(self, outcome: Outcome) -> bool:
        """Whether it ran in cells, of which a view has said how each ended, and how long it took.

        Of a single one, there is a view only where somebody has asked for it.
        """
        match outcome.error or outcome.value:
            case ParallelActionException() as error:
                count = len(error.results) + len(error.failures) + len(error.not_begun)
            case ParallelActionResult() as result:
                count = len(result)
            case _:
                return False
        return count != 1 or self.pty.presentation.output is not None
