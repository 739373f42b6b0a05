"""Ask and show things on a terminal."""

from __future__ import annotations

import contextlib
import importlib
import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .exceptions import NoInput
from .progress_bar import ProgressBar, ProgressBarSteps
from .pseudo_terminal import Pty
from .streams import write_text
from .utils.colours import paint, shows_colours
from .utils.columns import to_columns

if TYPE_CHECKING:
    from .inspection.filters import Filter

__all__ = ["Console", "NoInput", "ProgressBar", "ProgressBarSteps"]

T = TypeVar("T")


class _Missing:
    """Stands for a default that was not given, where None could be one."""


_MISSING: Final = _Missing()


class Console:
    """Asks a person at a terminal, and shows things there.

    Where nobody can be asked (no terminal, or ``--non-interactive``), every question is answered
    by its default, and one without a default raises ``NoInput``: nothing ever waits.
    """

    def __init__(self, pty: Pty) -> None:
        self._pty = pty

    @property
    def pty(self) -> Pty:
        """The terminal."""
        return self._pty

    @property
    def is_interactive(self) -> bool:
        """Whether there is somebody to ask."""
        return self._pty.can_ask

    # Asking

    def input(
        self,
        label: str,
        is_password: bool = False,
        answers: Sequence[str] | None = None,
        default: str | None = None,
    ) -> str:
        """Ask for a line of text, and return it without the spaces around it.

        :param is_password: do not show what is typed; return it as it is.
        :param answers: what may be answered; anything else is asked again.
        :param default: the answer when only Enter is pressed, or nobody can be asked.
        """
        hint = f" ({'/'.join(answers)})" if answers else ""
        shown_default = f" [{default}]" if default and not is_password else ""

        def parse(answer: str) -> str:
            if answers and answer not in answers:
                raise ValueError(f"Please answer one of: {', '.join(answers)}.")
            return answer

        missing = _MISSING if default is None else default
        return self._ask(f"{label}{hint}{shown_default}: ", label, parse, missing, is_password)

    def confirm(self, question: str, default: bool | None = None) -> bool:
        """Ask a question that is answered by yes or no."""
        hint = {None: "y/n", True: "Y/n", False: "y/N"}[default]

        def parse(answer: str) -> bool:
            for word, value in (("yes", True), ("no", False)):
                if word.startswith(answer.lower()):
                    return value
            raise ValueError("Please answer yes or no.")

        missing = _MISSING if default is None else default
        return self._ask(f"{question} [{hint}] ", question, parse, missing)

    def choice(
        self,
        question: str,
        options: Sequence[tuple[str, T]],
        default: T | _Missing = _MISSING,
    ) -> T:
        """Ask which of some options to take, and return its value.

        It is answered by the option's letter (shown in brackets), its name, or the beginning of
        its name.

        :param options: pairs of a name and the value that it stands for.
        :param default: one of the values: the one for Enter, or when nobody can be asked.
        """
        letters = _assign_letters([name for name, _ in options])
        shown = ", ".join(_show_letter(name, letter) for name, letter in letters.items())
        default_name = next((name for name, value in options if value == default), None)
        hint = f" [{default_name}]" if default_name else ""

        def parse(answer: str) -> T:
            by_letter = {letter: name for name, letter in letters.items() if letter}
            name = by_letter.get(answer.lower()) or _find_by_name(answer, list(letters))
            if name is None:
                raise ValueError(f"Please answer one of: {shown}.")
            return dict(options)[name]

        return self._ask(f"{question} {shown}{hint}: ", question, parse, default)

    def select_node(
        self, root: Any, prompt: str = "Select a node", filter: Filter | None = None
    ) -> Any:
        """Ask for one of the nodes of a tree, by number or path, and return it.

        :param root: the node (or Env) to begin at; the answer is of the same kind.
        :param filter: which nodes are offered; see ``deployer.inspection.filters``.
        """
        nodes = list(_inspect(root).walk(filter))
        named = [(_inspect(node).get_full_name(), node) for node in nodes]
        return self.select(prompt, named)

    def select_node_isolation(self, node: Any) -> Any:
        """Ask for one cell of a parallel node, by number or name, and return it.

        A node that is one cell, or none, is returned as it is.
        """
        cells = list(_inspect(node).iter_isolations())
        if len(cells) < 2:
            return cells[0].node if cells else node
        named = [(cell.name, cell.node) for cell in cells]
        return self.select(f"Select a host of {_inspect(node).get_full_name()}", named)

    def select_host(self, node: Any) -> Any:
        """Ask for one of the hosts that a node (an Env) runs on, and return its container.

        Nobody is asked when there is only one; those of the role ``host`` come before all others.

        :raises NodeUsageError: when there are none.
        """
        cell = self.select_node_isolation(node)
        hosts = cell.hosts.filter("host") if "host" in cell.hosts.roles else cell.hosts
        if len(hosts) < 2:
            return hosts[0] if hosts else cell.host  # Which says why there is none.
        named = [(host.slug, host) for host in hosts]
        return self.select(f"Select a host of {_inspect(node).get_full_name()}", named)

    def open_shell(self, node: Any, use_sudo: bool = False) -> None:
        """Hand the terminal to a shell on the host of a node (an Env), until it ends.

        :param use_sudo: have it be root's.
        :raises NoInput: when there is no terminal.
        """
        host = self.select_host(node)
        if not host.pty.is_interactive:
            raise NoInput(f"a shell on {host.slug} needs a terminal, and there is none")
        host.start_interactive_shell(use_sudo=use_sudo)

    def select(self, prompt: str, options: Sequence[tuple[str, T]]) -> T:
        """Ask for one of many options, by its number in a list or by its name.

        :param options: pairs of a name and the value that it stands for.
        """
        if not options:
            raise NoInput(f"{prompt}: there is nothing to choose from")
        width = len(str(len(options)))
        shown = self.in_columns(f"{n:>{width}} {name}" for n, (name, _) in enumerate(options, 1))

        def parse(answer: str) -> T:
            if answer.isdecimal() and 1 <= int(answer) <= len(options):
                return options[int(answer) - 1][1]
            name = _find_by_name(answer, [name for name, _ in options])
            if name is None:
                raise ValueError(f"Please answer a number from 1 to {len(options)}, or a name.")
            return dict(options)[name]

        return self._ask(f"{prompt}: ", prompt, parse, _MISSING, introduction=shown)

    def _ask(
        self,
        prompt: str,
        question: str,
        parse: Callable[[str], T],
        default: T | _Missing,
        is_password: bool = False,
        introduction: Sequence[str] = (),
    ) -> T:
        """Ask until ``parse`` takes the answer; its ValueError says what is wrong with one."""
        if not self.is_interactive:
            if not isinstance(default, _Missing):
                return default
            raise NoInput(
                f"{question!r} has no default, and nobody can be asked: "
                "run it at a terminal, without --non-interactive"
            )
        with self._pty.conversation() as pty:
            for line in introduction:
                pty.write(f"{line}\n")
            while True:
                answer = _read_line(pty, prompt, question, is_password)
                if not answer and not isinstance(default, _Missing):
                    return default
                if answer:
                    try:
                        return parse(answer)
                    except ValueError as error:
                        pty.write(f"{error}\n")

    # Showing

    def warning(self, text: str) -> None:
        """Show a warning, on stderr."""
        stream = self._pty.stderr
        write_text(
            stream, paint("Warning: ", "yellow", enabled=shows_colours(stream)) + text + "\n"
        )

    def in_columns(
        self, items: Iterable[str], margin_left: int = 0, margin_right: int = 0
    ) -> list[str]:
        """Return lines that show the items in as many columns as the terminal has room for."""
        width = self._pty.get_size()[1] - margin_left - margin_right
        return [" " * margin_left + line for line in to_columns(list(items), width)]

    def lesspipe(self, text: str | Iterable[str]) -> None:
        """Show a long text, or lines, in the pager (``$PAGER``); without a terminal, write it."""
        lines = text.splitlines() if isinstance(text, str) else text
        if not (self._pty.is_attended and self._page(lines)):
            self._show_lines(lines)

    def _show_lines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._pty.write(f"{line}\n")

    def _page(self, lines: Iterable[str]) -> bool:
        """Show lines in the pager; return False when there is none."""
        # Imported here, as they take their time.
        import subprocess

        from .programs import leaving_ctrl_c

        command = shlex.split(os.environ.get("PAGER", "")) or ["less", "-FIRX"]
        # Ctrl-C belongs to the pager, and leaving it before the end is no error.
        with leaving_ctrl_c():
            try:
                pager = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=self._pty.stdout,
                    text=True,
                    errors="replace",
                )
            except OSError as error:
                self.warning(f"the pager {command[0]!r} cannot be run: {error.strerror}")
                return False
            assert pager.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                for line in lines:
                    pager.stdin.write(f"{line}\n")
            with contextlib.suppress(BrokenPipeError):
                pager.stdin.close()
            pager.wait()
        return True

    def progress_bar(
        self, message: str, expected: int | None = None, clear_on_finish: bool = False
    ) -> ProgressBar:
        """Return a progress bar, for a ``with`` block; call its ``next()`` for each step."""
        return ProgressBar(self._pty, message, expected, clear_on_finish)

    def progress_bar_with_steps(
        self,
        message: str,
        steps: Sequence[str] | Mapping[int, str],
        clear_on_finish: bool = False,
    ) -> ProgressBarSteps:
        """Return a progress bar whose steps have names, for a ``with`` block."""
        return ProgressBarSteps(self._pty, message, steps, clear_on_finish)


def _read_line(pty: Pty, prompt: str, question: str, is_password: bool) -> str:
    prompt = pty.asker + prompt
    if is_password:
        secret = pty.ask_secret(prompt)
        answer = None if secret is None else secret.reveal()
    else:
        pty.write(prompt)
        line = pty.read_line()
        answer = None if line is None else line.strip()
        if answer is None:
            pty.write("\n")
    if answer is None:
        raise NoInput(f"{question!r} was not answered: the input ended")
    return answer


def _inspect(node: Any) -> Any:
    # Looked up when there is a node to look at: the tree is built upon this module.
    return importlib.import_module("deployer.inspection").Inspector(node)


def _assign_letters(names: Sequence[str]) -> dict[str, str]:
    """Give each name its first letter that no earlier one has; an empty string if none is left."""
    letters: dict[str, str] = {}
    for name in names:
        free = (c for c in name.lower() if c.isalnum() and c not in letters.values())
        letters[name] = next(free, "")
    return letters


def _show_letter(name: str, letter: str) -> str:
    at = name.lower().find(letter) if letter else -1
    return name if at < 0 else f"{name[:at]}[{name[at]}]{name[at + 1 :]}"


def _find_by_name(answer: str, names: Sequence[str]) -> str | None:
    """Return the name that an answer stands for: the whole of it, or the beginning of only one."""
    folded = answer.lower()
    for name in names:
        if name.lower() == folded:
            return name
    beginnings = [name for name in names if name.lower().startswith(folded)]
    return beginnings[0] if len(beginnings) == 1 else None
