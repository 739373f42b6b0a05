"""Other programs of this machine, in the terminal: a command, the editor."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from .exceptions import DeployerException, NoInput
from .pseudo_terminal import Pty

__all__ = ["edit_text", "edited", "get_editor", "get_shell", "leaving_ctrl_c", "run_program"]


def run_program(pty: Pty, command: Sequence[str], directory: str | None = None) -> int:
    """Run a program; return its exit status, or the negative number of the signal that ended it.

    It has the terminal, if there is one; else it gets no input, and its output is passed on.
    Raises OSError when it cannot be run.
    """
    if pty.is_interactive:
        with leaving_ctrl_c():
            return subprocess.call(
                command, cwd=directory, stdin=pty.stdin, stdout=pty.stdout, stderr=pty.stderr
            )
    done = subprocess.run(
        command,
        cwd=directory,
        # What is left of stdin is the rest of a script of ours.
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    pty.write(done.stdout.decode("utf-8", "replace"))
    return done.returncode


@contextmanager
def leaving_ctrl_c() -> Iterator[None]:
    """Leave Ctrl-C to the program that has the terminal, and which may well go on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Not ignored: that is what the program would inherit.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        # None is a handler that was not installed from Python, and cannot be put back.
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)


def get_shell() -> str:
    """Return the user's shell."""
    return os.environ.get("SHELL") or "/bin/sh"


def get_editor() -> list[str]:
    """Return the words of the user's editor: ``$VISUAL``, ``$EDITOR``, or vi.

    Raises DeployerException when the variable holds no command.
    """
    for name in ("VISUAL", "EDITOR"):
        value = os.environ.get(name, "")
        try:
            words = shlex.split(value)
        except ValueError as error:
            raise DeployerException(f"${name} is {value!r}, which is no command: {error}") from None
        if words:
            return words
    return ["vi"]


def edit_text(pty: Pty, text: str) -> str:
    """Return a text as a person has changed it in the editor.

    :raises NoInput: away from a terminal.
    :raises DeployerException: when the editor cannot be run, or ends with an error.
    """
    with edited(pty, "line.txt", text.encode(errors="surrogateescape")) as content:
        return content.decode(errors="replace")


@contextmanager
def edited(pty: Pty, name: str, content: bytes) -> Iterator[bytes]:
    """Give what a person makes of a content in the editor.

    When the block fails, that is kept; a note of the error says where.

    :param name: that of a file, which tells the editor what kind of text it is.
    :raises NoInput: away from a terminal.
    :raises DeployerException: when the editor cannot be run, or ends with an error.
    """
    # Imported here, as they take their time.
    import shutil
    import tempfile
    from pathlib import Path

    if not pty.is_interactive:
        raise NoInput(f"{name} cannot be edited: there is no terminal for an editor")
    editor = get_editor()
    # In a directory of its own, where the editor's backup goes, too.
    folder = tempfile.mkdtemp(prefix="deployer-edit-")
    path = Path(folder, name)
    is_work = False
    try:
        path.write_bytes(content)
        try:
            status = run_program(pty, [*editor, str(path)])
        except OSError as error:
            raise DeployerException(
                f"the editor {editor[0]!r} cannot be run: {error.strerror}; "
                "set $EDITOR to another one"
            ) from error
        new = path.read_bytes()
        is_work = new != content
        if status:
            raise DeployerException(f"the editor {editor[0]!r} ended with exit status {status}")
        yield new
        is_work = False
    except BaseException as error:
        if is_work:
            error.add_note(f"nothing is written; the text is kept in {path}")
        raise
    finally:
        if not is_work:
            shutil.rmtree(folder, ignore_errors=True)
