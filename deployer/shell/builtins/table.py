"""What commands the shell has, with their help; they themselves are loaded when they are used."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ...exceptions import DeployerException

if TYPE_CHECKING:
    from ...cli.grammar import Token
    from ..shell import DeploymentShell

__all__ = ["BUILTINS", "Builtin", "UsageError"]


class UsageError(DeployerException):
    """A command of the shell was used in a way that it cannot be."""


class Builtin(NamedTuple):
    """A command of the shell, and its help."""

    #: The module beside this one and the function in it, which takes the shell and the words after
    #: the name, and returns an exit status, or None when all went well.
    function: str
    usage: str
    summary: str
    #: What its words are, for completion: ``nodes``, ``runnable`` (actions with their arguments),
    #: ``members`` (of nodes), ``names`` (these and commands), ``options``, ``hosts`` (of the last
    #: action), ``aliases``, or nothing.
    completes: str = ""
    #: What may stand among its words.
    options: tuple[str, ...] = ()

    def run(self, shell: DeploymentShell, words: Sequence[Token]) -> int:
        """Do what the command does; return the exit status. Raises UsageError for wrong words."""
        module, _, name = self.function.partition(".")
        function = getattr(importlib.import_module(f"..{module}", __name__), name)
        return function(shell, words) or 0


#: By name, in the order of the help.
BUILTINS: dict[str, Builtin] = {
    "cd": Builtin(
        "walking.cd",
        "cd NAME…|..|/|-|:HOST",
        "Go to a child, the parent, the root, the last node, or a host's cell.",
        "nodes",
    ),
    "ls": Builtin(
        "looking.ls", "ls [-l] [NAME…]", "List what is here; -l explains it.", "nodes", ("-l",)
    ),
    "tree": Builtin("looking.tree", "tree [NAME…]", "Show all that is below.", "nodes"),
    "find": Builtin(
        "looking.find", "find [PATTERN]", "List everything below, or what matches a pattern."
    ),
    "pwd": Builtin("walking.pwd", "pwd", "Say where you are."),
    "help": Builtin(
        "looking.help",
        "help [-l] [NAME…]",
        "Explain a command, an action or a node; -l explains all commands.",
        "names",
        ("-l",),
    ),
    "?": Builtin("looking.help", "? [NAME…]", "The same.", "names"),
    "sandbox": Builtin(
        "running.sandbox",
        "sandbox ACTION…",
        "Check the commands of an action, and show where they would run.",
        "runnable",
    ),
    "history": Builtin("session.history", "history [TEXT]", "List the lines typed before."),
    "last": Builtin(
        "session.last", "last [HOST]", "Show the output of the last action again.", "hosts"
    ),
    "edit": Builtin("session.edit", "edit [LINE]", "Compose a line in $EDITOR, and run it."),
    "alias": Builtin(
        "session.alias",
        "alias [NAME[=LINE]]",
        "Give a line a short name, or list these names.",
        "aliases",
    ),
    "set-option": Builtin(
        "session.set_option",
        "set-option NAME VALUE",
        "Change how the shell runs things.",
        "options",
    ),
    "show-options": Builtin("session.show_options", "show-options", "List what can be changed."),
    "clear": Builtin("walking.clear", "clear", "Clear the screen."),
    "return": Builtin("walking.leave_sub_shell", "return", "Leave a sub-shell."),
    "exit": Builtin("walking.leave", "exit", "Leave the shell, or a sub-shell, as Ctrl-D does."),
    "!": Builtin("running.run_locally", "!COMMAND", "Run a command on this machine."),
    "--inspect": Builtin(
        "looking.inspect",
        "--inspect [NAME…]",
        "Say all about a node, an action, a property or a query.",
        "members",
    ),
    "--source-code": Builtin(
        "looking.source_code", "--source-code [NAME…]", "Show how it is defined.", "members"
    ),
    "--connect": Builtin(
        "running.connect",
        "--connect [--sudo] [NAME…]",
        "Open a shell on the host.",
        "nodes",
        ("--sudo",),
    ),
    "--run": Builtin("running.run", "--run [COMMAND]", "Run a command on the hosts."),
    "--run-with-sudo": Builtin(
        "running.run_with_sudo", "--run-with-sudo [COMMAND]", "Run a command as root."
    ),
    "--scp": Builtin(
        "running.scp", "--scp [NAME…]", "Copy files from and to the node's host.", "nodes"
    ),
    "--version": Builtin("session.show_version", "--version", "Say the version of deployer."),
}
