"""The deployment shell: walk through a tree of nodes, and run its actions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from ..cli.completion import Completion, complete, did_you_mean
from ..cli.grammar import LineError, Token, parse
from ..cli.line_shell import LineShell, Status
from ..failures import describe_failure
from ..inspection import Inspector
from ..node import Env, Node
from ..node.env import as_env
from ..pseudo_terminal import write_text
from ..utils.colours import paint, shows_colours
from .builtins import BUILTINS, UsageError
from .completion import ShellCandidates
from .display import describe_action, describe_node, describe_result
from .execution import CallError, Outcome, call, get_action
from .navigation import NotFound, Target, find_target, make_command
from .state import ShellState

__all__ = ["DeploymentShell"]


class DeploymentShell(LineShell):
    """Runs lines at a place in a tree.

    :param node: where to begin.
    :param stop_at_failure: end at the first line that fails, as a script does.
    :param program: what runs the shell, for the command lines that it proposes.
    """

    def __init__(
        self, node: Env, stop_at_failure: bool = False, program: str | None = None
    ) -> None:
        super().__init__(node.console.pty, stop_at_failure)
        self._program = program
        self.state = ShellState(node)
        self._candidates = ShellCandidates(self.state)

    def run_line(self, line: str) -> int:
        """Run one line and show what comes of it; return its exit status. Failures do not raise."""
        return self._guard(lambda: self._run_words(parse(line).words))

    def run_action(self, words: Sequence[Token]) -> int:
        """Run the action that words name, with arguments, and nothing else; as ``run_line``."""
        return self._guard(lambda: self._call(find_target(self.state.node, words), words))

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
        """Return the path of the current node, in the colour of its group."""
        inspector = Inspector(self.state.node)
        colour = inspector.get_group().color
        enabled = shows_colours(self.pty.stdout)
        return paint(inspector.get_full_name(), colour, bold=True, enabled=enabled) + " > "

    def _guard(self, run: Callable[[], int]) -> int:
        """Return the exit status of a run; what it raises is shown."""
        try:
            return run()
        except (CallError, LineError, NotFound, UsageError) as error:
            self.show_error(str(error))
            return Status.WRONG_USE
        except (Exception, KeyboardInterrupt) as error:
            return self._show_failure(Outcome(error=error))

    def _run_words(self, words: Sequence[Token]) -> int:
        if not words:
            return Status.DONE
        if builtin := BUILTINS.get(words[0].text):
            return builtin.run(self, words[1:])
        try:
            target = find_target(self.state.node, words)
        except NotFound as error:
            hint = did_you_mean(words[0].text, BUILTINS)
            raise NotFound(
                str(error) if "Did you mean" in str(error) else f"{error}{hint}"
            ) from None
        if target.action_name is None:
            self.show(describe_node(target.node))
            return Status.DONE
        return self._call(target, words)

    def _call(self, target: Target, words: Sequence[Token]) -> int:
        action = get_action(target)
        try:
            with self._proposing(target):
                outcome = call(action.shown_as_asked(), target.arguments)
        except CallError as error:
            name = " ".join(word.text for word in words[: len(words) - len(target.arguments)])
            self.show_error(f"{name}: {error}")
            write_text(self.pty.stderr, describe_action(name, action) + "\n")
            return Status.WRONG_USE
        if outcome.error is not None:
            return self._show_failure(outcome)
        if isinstance(outcome.value, Node):
            self.state.enter(as_env(outcome.value, target.node))
        elif not action.suppress_result and (text := describe_result(outcome.value)):
            self.show(text)
        return outcome.status

    @contextlib.contextmanager
    def _proposing(self, target: Target) -> Iterator[None]:
        """Let runs say how the action is run again on some hosts, where it is not known already."""
        before = self.pty.presentation
        if self._program is not None and before.make_rerun is None:
            make_rerun = partial(make_command, self._program, target)
            self.pty.presentation = before._replace(make_rerun=make_rerun)
        try:
            yield
        finally:
            self.pty.presentation = before

    def _show_failure(self, outcome: Outcome) -> int:
        assert outcome.error is not None
        if outcome.status == Status.BROKEN_PIPE:
            # Whoever read the output is gone: there is nobody to tell, and no use in going on.
            raise BrokenPipeError from outcome.error
        if outcome.status == Status.INTERRUPTED and self.pty.is_interactive:
            # The terminal has shown the ^C, and stands behind it.
            self.show("")
        self.show_error(describe_failure(outcome.error))
        return outcome.status
