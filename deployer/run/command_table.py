"""What can be asked on the command line, as a table: for the parser, for help, for completion.

What a command does is in a module of ``commands``, loaded when it is run.
"""

from __future__ import annotations

from typing import NamedTuple

from ..parallel.choices import DEFAULT_FAN_OUT, OUTPUTS

__all__ = [
    "COLOURS",
    "COMMANDS",
    "GLOBAL_OPTIONS",
    "GRAPH_FORMATS",
    "PROGRAM_OPTIONS",
    "SHELLS",
    "CommandSpec",
    "OptionSpec",
]

#: What ``--color`` takes.
COLOURS = ("auto", "always", "never")
#: What ``graph --format`` takes.
GRAPH_FORMATS = ("mermaid", "dot")
#: What ``completion`` takes.
SHELLS = ("bash", "zsh", "fish")


class OptionSpec(NamedTuple):
    """An option, whose value is kept under the last of its names."""

    names: tuple[str, ...]
    help: str
    #: What its value is called; nothing for a switch.
    metavar: str = ""
    #: What its value is, for the parser and for completion: ``hosts``, ``output``, ``directory``,
    #: ``file``, ``natural``, ``positive``, ``node``, ``colour``, ``format``, ``executor``; nothing
    #: for any text.
    kind: str = ""
    #: The value when it is not given: False for a switch.
    default: object = None

    @property
    def destination(self) -> str:
        """The name of the attribute that its value is kept in."""
        return self.names[-1].lstrip("-").replace("-", "_")


class CommandSpec(NamedTuple):
    """A command."""

    #: The module in ``commands`` and the function in it, which takes a ``CommandLine`` and returns
    #: the exit status.
    function: str
    #: What follows the name, for the line of usage.
    usage: str
    summary: str
    #: Pairs of what stands after the program's name, and what that does.
    examples: tuple[tuple[str, str], ...] = ()
    options: tuple[OptionSpec, ...] = ()
    #: What its other words are: ``action`` (with its parameters), ``node`` (at most one path),
    #: ``node-and-command`` (a path, and what follows ``--``), ``pattern``, ``target`` (a node, an
    #: action, a property or a query), ``shell``, or nothing.
    words: str = ""

    @property
    def own_words(self) -> int | None:
        """How many words are the command's own: those that follow are for somebody else, options
        and all. None when all of them are.
        """
        return {"action": 0, "node-and-command": 1}.get(self.words)


_NON_INTERACTIVE = OptionSpec(
    ("--non-interactive",),
    "ask nothing: take the defaults, and fail where there is none",
    default=False,
)

_LOG = OptionSpec(("--log",), "append what runs, and how it ends, to a file", "FILE", "file")

#: Those of the program itself, without a command.
PROGRAM_OPTIONS: tuple[OptionSpec, ...] = (
    OptionSpec(("--list",), "list all commands and all actions, and leave", default=False),
    OptionSpec(("--version",), "say the version of deployer, and leave", default=False),
)

#: Those of every command; they stand before it or after it.
GLOBAL_OPTIONS: tuple[OptionSpec, ...] = (
    OptionSpec(("-h", "--help"), "show this help, and leave", default=False),
    OptionSpec(
        ("--hosts",),
        "run on these only: web1,db*, web[01-18], !web3 for all but web3",
        "NAMES",
        "hosts",
    ),
    OptionSpec(
        ("--parallel",),
        f"at most N at once (default {DEFAULT_FAN_OUT})",
        "N",
        "positive",
        DEFAULT_FAN_OUT,
    ),
    OptionSpec(("--fail-fast",), "begin no more hosts once one has failed", default=False),
    OptionSpec(
        ("--retries",),
        "try N times again to connect; commands are never run again",
        "N",
        "natural",
        0,
    ),
    OptionSpec(
        ("--ask-password",),
        "ask once for the password, for login and sudo, of all hosts that have none",
        default=False,
    ),
    OptionSpec(("--output",), "how it is shown: " + ", ".join(OUTPUTS), "MODE", "output"),
    OptionSpec(
        ("--outdir",), "keep the whole output of each host in a file there", "DIR", "directory"
    ),
    OptionSpec(
        ("--processes",), "run in N processes, each with a part of the hosts", "N", "positive"
    ),
    OptionSpec(
        ("--executor",),
        "run elsewhere: dask, processes, or package.module:factory",
        "NAME",
        "executor",
    ),
    OptionSpec(
        ("--record",), "record what is shown, for asciinema play, in a new file", "FILE", "file"
    ),
    OptionSpec(("--json",), "write what comes of it as one JSON object", default=False),
    OptionSpec(("-n", "--sandbox"), "check the syntax of commands, and run none", default=False),
    OptionSpec(("-y", "--yes"), "do not ask before something runs in production", default=False),
    OptionSpec(("-q", "--quiet"), "say nothing but results and errors", default=False),
    OptionSpec(("-v", "--verbose"), "say more: which actions run, and how they end", default=False),
    OptionSpec(("--color",), "colours: " + ", ".join(COLOURS), "WHEN", "colour", "auto"),
)

#: By name, in the order of the help.
COMMANDS: dict[str, CommandSpec] = {
    "run": CommandSpec(
        "running.run",
        "[OPTION…] [ACTION [PARAMETER…]]",
        "run one action",
        (
            ("run git.checkout master", "run checkout of the child node git"),
            ("run --path git checkout master", "the same"),
            ("run git.checkout commit=master", "give a parameter by its name"),
            ("run --path git", "open a shell there"),
            ("run --hosts 'web[01-18]' deploy", "on some of the hosts only"),
            ("run --output gather status", "equal output of hosts once"),
        ),
        (
            OptionSpec(
                ("--path",), "the node to begin at: names joined by dots", "PATH", "node", ""
            ),
            OptionSpec(("-s", "--single"), "take one host at a time", default=False),
            _NON_INTERACTIVE,
            _LOG,
            OptionSpec(("--scp",), "open the secure-copy shell instead", default=False),
        ),
        "action",
    ),
    "ls": CommandSpec(
        "looking.ls",
        "[-l] [PATH]",
        "list what is in a node",
        (
            ("ls web", "list the child nodes and the actions of web"),
            ("ls --json", "those of the root, for another program"),
        ),
        (OptionSpec(("-l", "--long"), "with a line of help for each", default=False),),
        "node",
    ),
    "tree": CommandSpec(
        "looking.tree",
        "[PATH]",
        "show all that is below a node",
        (("tree", "show all there is"), ("tree web", "show what is below web")),
        words="node",
    ),
    "find": CommandSpec(
        "looking.find",
        "[PATTERN]",
        "find nodes and actions by their names",
        (
            ("find deploy", "find all that has deploy in its name"),
            ("find 'web.*'", "find all below web"),
        ),
        words="pattern",
    ),
    "inspect": CommandSpec(
        "looking.inspect",
        "[PATH]",
        "say all about a node, an action, a property or a query",
        (
            ("inspect web", "say all about the node web"),
            ("inspect web.deploy", "say all about the action deploy of web"),
        ),
        words="target",
    ),
    "graph": CommandSpec(
        "looking.graph",
        "[--format FORMAT] [PATH]",
        "draw the tree, with its roles and hosts, as a diagram",
        (
            ("graph > tree.mmd", "draw all of it, for Mermaid"),
            ("graph --format dot web | dot -Tsvg > web.svg", "draw web, by Graphviz"),
        ),
        (OptionSpec(("--format",), " or ".join(GRAPH_FORMATS), "FORMAT", "format", "mermaid"),),
        "node",
    ),
    "exec": CommandSpec(
        "running.execute",
        "[--sudo] [OPTION…] PATH -- COMMAND",
        "run a command on the hosts of a node",
        (
            ("exec web -- uptime", "on all hosts of web; `.` is the root"),
            ("exec --sudo web -- dmesg", "as root"),
            ("exec --json web -- uname -r", "for another program"),
            ("exec db -- psql", "a single host gets the terminal"),
        ),
        options=(
            OptionSpec(("--sudo",), "as root", default=False),
            _NON_INTERACTIVE,
            _LOG,
        ),
        words="node-and-command",
    ),
    "ssh": CommandSpec(
        "running.ssh",
        "[PATH]",
        "open a shell on the host of a node",
        (
            ("ssh db", "open a shell on the host of db"),
            ("ssh web:web01", "on one of several hosts; it asks which when none is named"),
        ),
        words="node",
    ),
    "scp": CommandSpec(
        "running.scp",
        "[PATH]",
        "copy files from and to the host of a node",
        (("scp web", "open a shell that copies files from and to the host of web"),),
        words="node",
    ),
    "completion": CommandSpec(
        "completion.show_script",
        "bash|zsh|fish",
        "write what makes a shell complete this program's words",
        (("completion bash", "write it for bash, with how it is set up at the top"),),
        words="shell",
    ),
}
