"""From a context and a command to the line that the shell on a host gets. Pure functions."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace

from ..secret import redact

__all__ = ["HostContext", "SudoPrompt", "build", "join_path", "shell_path", "through_login_shell"]

# Linux takes 128 KiB for one argument (MAX_ARG_STRLEN), and the command is the one argument of
# the login shell's -c. sshd drops the whole connection over a packet of 256 KiB.
MAX_COMMAND_BYTES = 131_000

_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
# A prefix that `|| exit` cannot simply be appended to. Not all get braces: fish has none.
_NEEDS_BRACES = re.compile(r"[#\n]|<<|[;&]\s*\Z")
_TILDE = re.compile(r"~(?:[A-Za-z_][A-Za-z0-9._-]*)?", re.ASCII)


@dataclass(frozen=True)
class HostContext:
    """Where and how commands run: the directory, and what is done before each of them.

    It is frozen: the methods return a new one.
    """

    #: The directory, as given by ``cd``; None is where a session starts.
    path: str | None = None
    #: Shell lines that run before the command, in the order in which they were entered.
    preparations: tuple[str, ...] = ()

    def with_path(self, path: str, expand: bool = True) -> HostContext:
        """Go to a directory; a relative one starts where this context is.

        :param expand: whether a leading ``~`` or ``~user`` is a home directory.
        """
        return replace(self, path=join_path(self.path, path, expand))

    def with_prefix(self, command: str) -> HostContext:
        """Run a command before every other, in the same shell; when it fails, they do not run."""
        _check_text("prefix", command)
        if _NEEDS_BRACES.search(command):
            # A comment, or what must end with its line, would swallow the rest of this one.
            command = f"{{ {command}\n}}"
        return replace(self, preparations=(*self.preparations, f"{command} || exit"))

    def with_variable(self, name: str, value: str, escape: bool = True) -> HostContext:
        """Set an environment variable.

        :param escape: whether the value is literal; otherwise the shell expands ``$NAME`` and
            ``$(command)`` in it.
        """
        if not _VARIABLE_NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} cannot be the name of an environment variable: it takes letters, "
                "digits and _, and does not begin with a digit"
            )
        _check_text(f"the value of {name}", value)
        word = shlex.quote(value) if escape else f'"{value}"'
        # It may be read-only.
        export = f"export {name}={word} || exit"
        return replace(self, preparations=(*self.preparations, export))


@dataclass(frozen=True)
class SudoPrompt:
    """How sudo is to ask for a password, and how the command says that it has begun."""

    #: What sudo prints when it wants the password: random, so that nothing else prints it.
    token: str
    #: What is printed on stderr once sudo has let the command through.
    started: str


def build(
    context: HostContext,
    command: str,
    *,
    sandbox: bool = False,
    sudo: SudoPrompt | None = None,
    user: str | None = None,
    password_from_stdin: bool = True,
    shell: str | None = None,
) -> str:
    """Return the shell line that runs a command in a context.

    :param sandbox: only check the syntax of the command; nothing is executed.
    :param sudo: run under sudo, as root or as ``user``. The directory's ``~`` stays the home of
        the login user; everything else happens as the other user, with that user's home.
    :param password_from_stdin: whether sudo reads the password from stdin, not from a terminal.
    :param shell: the shell that runs the command; the login shell (``$SHELL``) where it is None.
    :raises ValueError: for what no shell could run: a NUL, or more than the system takes.
    """
    _check_text("the command", command)
    shell_word = shlex.quote(shell) if shell else '"$SHELL"'
    if sandbox:
        line = f"{shell_word} -n -c {shlex.quote(_script(None, context, command))}"
    elif sudo is None:
        directory = None if context.path is None else shell_path(context.path)
        line = _script(directory, context, command)
    else:
        line = _sudo_line(context, command, sudo, user, password_from_stdin, shell_word)
    size = len(line.encode(errors="surrogateescape"))
    if size > MAX_COMMAND_BYTES:
        raise ValueError(
            f"the command {redact(command)[:60]!r}… is {size} bytes long; a host takes at most "
            f"{MAX_COMMAND_BYTES}: write it to a file on the host, or pass it as initial_input"
        )
    return line


def _script(directory: str | None, context: HostContext, command: str) -> str:
    # Lines with `|| exit`, not `a && b && command`: in `cd x && a; b` b would run anywhere.
    lines = [] if directory is None else [f"cd {directory} || exit"]
    return "\n".join([*lines, *context.preparations, command])


def _sudo_line(
    context: HostContext,
    command: str,
    sudo: SudoPrompt,
    user: str | None,
    password_from_stdin: bool,
    shell_word: str,
) -> str:
    # The login shell expands the tilde, since root's home is another; root changes to the
    # directory, since the login user may not be allowed to.
    directory = None if context.path is None else '"$1"'
    script = f"printf %s {sudo.started} >&2\n{_script(directory, context, command)}"
    options = ["-S"] if password_from_stdin else []
    options += ["-p", sudo.token, "-H"]
    if user is not None:
        _check_text("the user", user)
        options += ["-u", shlex.quote(user)]
    words = ["sudo", *options, "--", shell_word, "-c", shlex.quote(script), "sh"]
    if context.path is not None:
        words.append(shell_path(context.path))
    return " ".join(words)


def through_login_shell(shell: str, line: str) -> str:
    """Return what makes any login shell (fish and csh too) run a line in the POSIX ``shell``.

    The login shell sees only characters that every shell reads alike: all others travel as octal
    numbers, which ``printf %b`` turns back.
    """
    encoded = "".join(
        chr(byte) if chr(byte) in _SAFE else f"\\0{byte:03o}"
        for byte in line.encode(errors="surrogateescape")
    )
    # The dot keeps $(…) from dropping newlines at the end.
    decode = 'c=$(printf %b "$1"; echo .); shift; eval "${c%.}"'
    wrapped = f"exec {shell} -c '{decode}' sh '{encoded}'"
    if len(wrapped) > MAX_COMMAND_BYTES:
        raise ValueError(
            f"the command {redact(line)[:60]!r}… is {len(wrapped)} bytes long when encoded for the "
            f"login shell; a host takes at most {MAX_COMMAND_BYTES}: write it to a file on the host"
        )
    return wrapped


_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 _./:=@,+-")


def join_path(base: str | None, path: str, expand: bool = True) -> str:
    """Return where ``path`` leads from the directory ``base``.

    In what is returned, a leading tilde always stands for a home directory.
    """
    _check_text("the path", path)
    if not path:
        raise ValueError("the path is empty; use '.' for the current directory")
    tilde = _TILDE.fullmatch(path.partition("/")[0])
    if path.startswith("/") or (expand and tilde):
        return path
    if base is None:
        return f"./{path}" if path.startswith("~") else path
    return f"{base.rstrip('/')}/{path}"


def shell_path(path: str) -> str:
    """Return a path as a shell word: all of it literal, but for a leading ``~`` or ``~user``."""
    head, slash, rest = path.partition("/")
    if _TILDE.fullmatch(head):
        # The tilde stays outside the quotes: the remote shell expands it, which saves a round
        # trip.
        return f"{head}{slash}{shlex.quote(rest) if rest else ''}"
    if head not in ("", ".", ".."):
        # Neither an option, nor `cd -`, nor looked for along CDPATH.
        path = f"./{path}"
    return shlex.quote(path)


def _check_text(what: str, text: str) -> None:
    if "\0" in text:
        raise ValueError(f"{what} has a NUL character in it, which no shell takes: {text!r}")
