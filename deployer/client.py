"""The command line of a script that defines a tree of nodes.

A script imports this module before it defines its nodes. From then on, a definition that makes no
sense ends the script with one message, in place of a traceback through the metaclass.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .exceptions import DeployerException, NodeUsageError
from .node import Env, Node

# What runs something is imported when that is about to happen: not for ``--help``.
if TYPE_CHECKING:
    from .loggers import Logger

__all__ = ["start"]


def start(
    root_node: type[Node],
    name: str | None = None,
    extra_loggers: Iterable[Logger] | None = None,
) -> None:
    """Run what the command line says; without arguments, an interactive shell in the tree.

    Returns when the shell is left. Everything else ends the program, with the exit status 0 when
    it was done, 1 when an action or a host failed, 2 for wrong use or an unknown node, 3 when an
    answer was needed and nobody could be asked, 4 when no host could be reached, and 130 when it
    was interrupted. See ``--help`` of a script that calls this.

    :param root_node: the ``Node`` class that is the tree's root.
    :param name: the program's name in help and messages; the script's name when not given.
    :param extra_loggers: loggers to attach beside the one that prints.
    """
    if not (isinstance(root_node, type) and issubclass(root_node, Node)):
        given = type(root_node).__name__
        hint = f", as in start({given})" if isinstance(root_node, Node) else ""
        raise NodeUsageError(f"start() takes a Node class{hint}; it was given {root_node!r}")
    program = name or os.path.basename(sys.argv[0]) or "deploy.py"
    arguments = _make_parser(program, root_node).parse_args(sys.argv[1:])
    from .cli.line_shell import Status

    try:
        status = _run(program, root_node, arguments, tuple(extra_loggers or ()))
        sys.stdout.flush()
    except BrokenPipeError:
        _give_up_stdout()
        status = Status.BROKEN_PIPE
    if status or arguments.command:
        sys.exit(status)


def _show_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Show an error of ours that ends the program as the shell would, and any other as before."""
    if isinstance(error, DeployerException):
        from .failures import describe_failure
        from .pseudo_terminal import write_text

        write_text(sys.stderr, describe_failure(error) + "\n")
    else:
        sys.__excepthook__(kind, error, trace)


# Whoever has set a hook knows better.
if sys.excepthook is sys.__excepthook__:
    sys.excepthook = _show_uncaught


def _run(
    program: str, root: type[Node], arguments: argparse.Namespace, loggers: Sequence[Logger]
) -> int:
    from .cli.line_shell import Status
    from .run.parallel_options import check_hosts, make_options, make_presentation
    from .run.standalone import make_env

    try:
        options = make_options(arguments)
        env = make_env(
            root,
            loggers,
            interactive=not arguments.non_interactive,
            one_at_a_time=arguments.single,
            path=arguments.path,
            options=options,
            presentation=make_presentation(arguments, program, sys.argv[1:]),
        )
        check_hosts(env, options)
    except DeployerException as error:
        return _refuse(program, str(error))
    except Exception as error:
        from .failures import describe_failure

        _refuse(program, f"{root.__name__} cannot be made: {describe_failure(error)}")
        return Status.FAILED
    if arguments.executor is None and arguments.processes is None:
        return _run_in(env, program, arguments)
    # Imported here: most runs stay in this process.
    from .run.executors import open_executor

    try:
        with open_executor(arguments.executor, arguments.processes) as executor:
            changed = env._node_options.replace(executor=executor)
            return _run_in(env._node_with_options(changed), program, arguments)
    except (DeployerException, ValueError) as error:
        return _refuse(program, str(error))


def _run_in(env: Env, program: str, arguments: argparse.Namespace) -> int:
    from .run.standalone import run_action, run_scp, run_shell

    if arguments.command == "scp" or arguments.scp:
        if arguments.words:
            return _refuse(program, "--scp opens a shell of its own, and takes no action")
        return run_scp(env)
    # What follows a ``--`` are words, whatever they begin with.
    words = arguments.words[1:] if arguments.words[:1] == ["--"] else arguments.words
    if words:
        return run_action(env, words)
    return run_shell(env, program)


def _refuse(program: str, message: str) -> int:
    from .cli.line_shell import Status
    from .pseudo_terminal import write_text

    write_text(sys.stderr, f"{program}: {message}\n")
    return Status.WRONG_USE


def _give_up_stdout() -> None:
    """Let nothing more be written to a pipe that nobody reads, also not on the way out."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _make_parser(program: str, root: type[Node]) -> argparse.ArgumentParser:
    from .run.parallel_options import add_parallel_options

    parser = argparse.ArgumentParser(
        prog=program,
        formatter_class=_HelpFormatter,
        usage=f"{program} [-h] [--version] [COMMAND …]",
        description=_EXAMPLES.format(program=program, root=root.__name__),
    )
    parser.add_argument("--version", action=_Version, root=root)
    parser.set_defaults(
        command="", words=[], path="", single=False, non_interactive=False, scp=False
    )
    add_parallel_options(parser, with_defaults=True)
    commands = parser.add_subparsers(
        prog=program, dest="command", metavar="COMMAND", title="commands"
    )
    _add_run(commands, program)
    _add_scp(commands, program)
    return parser


def _add_run(commands: Any, program: str) -> None:
    from .run.parallel_options import add_parallel_options

    run = commands.add_parser(
        "run",
        help="run one action",
        formatter_class=_HelpFormatter,
        usage=f"{program} run [OPTION…] [ACTION [PARAMETER…]]",
        description=_RUN_EXAMPLES.format(program=program),
        epilog=_EXIT_STATUSES,
    )
    run.add_argument("--path", default="", help="the node to begin at: names joined by dots")
    run.add_argument("-s", dest="single", action="store_true", help="take one host at a time")
    run.add_argument(
        "--non-interactive",
        action="store_true",
        help="ask nothing: take the defaults, and fail where there is none",
    )
    run.add_argument("--scp", action="store_true", help="open the secure-copy shell instead")
    add_parallel_options(run)
    run.add_argument("words", nargs=argparse.REMAINDER, metavar="ACTION PARAMETER", help=_WORDS)


def _add_scp(commands: Any, program: str) -> None:
    scp = commands.add_parser(
        "scp",
        help="copy files from and to the host of a node",
        formatter_class=_HelpFormatter,
        usage=f"{program} scp [PATH]",
        description="Open a shell that copies files from and to the host of a node.",
    )
    scp.add_argument("path", nargs="?", default="", help="the node: names joined by dots")


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Asks for the width as argparse does, which imports ``shutil`` for it, for each argument."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_get_width() - 2)


def _get_width() -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except (AttributeError, ValueError, OSError):
        return 80


class _Version(argparse.Action):
    """Prints the versions of the program, found only when they are asked for."""

    def __init__(self, root: type[Node], **kwargs: Any) -> None:
        super().__init__(nargs=0, help="say the version of deployer, and leave", **kwargs)
        self._root = root

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import PackageNotFoundError, version

        from .pseudo_terminal import write_text

        try:
            ours = version("deployer")
        except PackageNotFoundError:
            ours = "(not installed)"
        place = f"{self._root.__module__}.{self._root.__qualname__}"
        write_text(sys.stdout, f"{parser.prog} ({place}), deployer {ours}\n")
        parser.exit()


_EXAMPLES = """\
examples:
  {program}                          open a shell in {root}
  {program} run ACTION               run one action, and say by the exit status how it went
  {program} run child.action x n=1   run an action of a child node, with arguments
  {program} scp child                copy files from and to the host of a child node
  {program} < lines                  run lines of the shell, until one fails
"""

_RUN_EXAMPLES = """\
examples:
  {program} run git.checkout master           run checkout of the child node git
  {program} run --path git checkout master    the same
  {program} run git.checkout commit=master    give a parameter by its name
  {program} run --path git                    open a shell there
  {program} run --hosts 'web[01-18]' deploy   on some of the hosts only
  {program} run --output gather status        equal output of hosts once
"""

_WORDS = "names that lead to an action, and its arguments: values or NAME=VALUE"

_EXIT_STATUSES = """\
exit status:
  0 done; 1 an action or a host failed; 2 wrong use, or no such node or action;
  3 an answer was needed, and nobody could be asked; 4 no host could be reached;
  130 interrupted
"""
