"""The deployment shell: walk through a tree of nodes, and run its actions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from ..cli.completion import Completion, complete, did_you_mean
from ..cli.grammar import LineError, Token, parse
from ..console import Console
from ..inspection import Inspector
from ..node import Env, Node
from ..pseudo_terminal import write_text
from ..utils.colours import paint, shows_colours
from .builtins import BUILTINS, UsageError
from .completion import ShellCandidates
from .display import describe_action, describe_failure, describe_node, describe_result
from .execution import CallError, Outcome, Status, call, get_action
from .navigation import NotFound, Target, find_target
from .state import ShellState

if TYPE_CHECKING:
    from ..cli.reader import Reader

__all__ = ["DeploymentShell"]


class DeploymentShell:
    """Runs lines at a place in a tree.

    :param node: where to begin.
    :param stop_at_failure: end at the first line that fails, as a script does.
    """

    def __init__(self, node: Env, stop_at_failure: bool = False) -> None:
        self.state = ShellState(node)
        self.pty = node.console.pty
        self.console = Console(self.pty)
        self._stop_at_failure = stop_at_failure
        self._is_left = False
        self._candidates = ShellCandidates(self.state)

    def run(self, reader: Reader) -> int:
        """Run lines until the last one, or ``exit``; return the exit status."""
        while not self._is_left:
            try:
                text = reader.read(self._get_prompt())
            except EOFError:
                if self._stop_at_failure:
                    break
                self.show("")
                self.leave()
                continue
            except KeyboardInterrupt:
                self.show("")
                continue
            status = self._run_lines(text.splitlines())
            if status and self._stop_at_failure:
                return Status.FAILED
        return Status.DONE

    def run_line(self, line: str) -> int:
        """Run one line and show what comes of it; return its exit status. Failures do not raise."""
        return self._guard(lambda: self._run_words(parse(line).words))

    def run_action(self, words: Sequence[Token]) -> int:
        """Run the action that words name, with arguments, and nothing else; as ``run_line``."""
        return self._guard(lambda: self._call(find_target(self.state.node, words), words))

    def complete(self, line: str, cursor: int) -> Sequence[Completion]:
        """Return the completions of a line that ends at the cursor."""
        return complete(self._candidates, line, cursor)

    def leave(self) -> None:
        """Leave the sub-shell, or the shell."""
        if self.state.is_sub_shell:
            self.state.leave()
        else:
            self._is_left = True

    # What the commands show

    @property
    def columns(self) -> int:
        """The width of the terminal."""
        return self.pty.get_size()[1]

    def show(self, text: str) -> None:
        """Write a text, and a line's end."""
        self.pty.write(f"{text}\n")

    def show_lines(self, lines: Iterable[str]) -> None:
        """Write lines."""
        for line in lines:
            self.show(line)

    def show_error(self, text: str) -> None:
        """Write what went wrong, on stderr."""
        stream = self.pty.stderr
        write_text(stream, paint(text, "red", enabled=shows_colours(stream)) + "\n")

    def bold(self, text: str) -> str:
        """Return a text in bold, where that can be shown."""
        return paint(text, None, bold=True, enabled=shows_colours(self.pty.stdout))

    def _get_prompt(self) -> str:
        inspector = Inspector(self.state.node)
        colour = inspector.get_group().color
        enabled = shows_colours(self.pty.stdout)
        return paint(inspector.get_full_name(), colour, bold=True, enabled=enabled) + " > "

    def _run_lines(self, lines: Sequence[str]) -> int:
        """Run the lines of one input, until one fails; several are pasted, and asked about."""
        if len(lines) > 1:
            self.show_lines(f"  {line}" for line in lines)
            try:
                if not self.console.confirm(f"Run these {len(lines)} lines?", default=False):
                    return Status.DONE
            except KeyboardInterrupt:
                self.show("")
                return Status.INTERRUPTED
        for line in lines:
            status = self.run_line(line)
            if status or self._is_left:
                return status
        return Status.DONE

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
            builtin.run(self, words[1:])
            return Status.DONE
        try:
            target = find_target(self.state.node, words)
        except NotFound as error:
            hint = did_you_mean(words[0].text, BUILTINS)
            raise NotFound(str(error) if "Did you mean" in str(error) else f"{error}{hint}") from None
        if target.action_name is None:
            self.show(describe_node(target.node))
            return Status.DONE
        return self._call(target, words)

    def _call(self, target: Target, words: Sequence[Token]) -> int:
        action = get_action(target)
        try:
            outcome = call(action, target.arguments)
        except CallError as error:
            name = " ".join(word.text for word in words[: len(words) - len(target.arguments)])
            self.show_error(str(error))
            self.show(describe_action(name, action))
            return Status.WRONG_USE
        if outcome.error is not None:
            return self._show_failure(outcome)
        if isinstance(outcome.value, Node):
            self.state.enter(_as_env(target.node, outcome.value))
        elif not Inspector(target.node).suppress_result_for_action(action.name):
            if text := describe_result(outcome.value):
                self.show(text)
        return outcome.status

    def _show_failure(self, outcome: Outcome) -> int:
        assert outcome.error is not None
        if outcome.status == Status.BROKEN_PIPE:
            # Whoever read the output is gone: there is nobody to tell, and no use in going on.
            raise BrokenPipeError from outcome.error
        self.show_error(describe_failure(outcome.error))
        return outcome.status


def _as_env(env: Env, node: Node) -> Env:
    """Return a node that an action of ``env`` returned as something whose actions can be run."""
    if type(node) is Env:
        return node
    return Env(node, env.console.pty, env._logger, env._is_sandbox)
