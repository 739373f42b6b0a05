"""Changing files in the user's editor."""

from __future__ import annotations

import errno
import os
import posixpath
import shutil
import tempfile
from typing import TYPE_CHECKING

from ..cli import Status
from ..exceptions import DeployerException
from ..host.files import Stat, check_regular
from ..programs import get_editor
from .display import shown
from .failures import Failures
from .programs import need_terminal, run_program

if TYPE_CHECKING:
    from .places import Place
    from .shell import ScpShell
    from .table import Arguments

__all__ = ["edit", "edit_here"]


def edit(shell: ScpShell, place: Place, arguments: Arguments) -> int:
    """Change a file of the host: on a copy here, which replaces it at the end if it differs."""
    need_terminal(shell, "edit")
    editor = get_editor()
    path = place.find_one(arguments.words[0])
    before = _look_at(place, path)
    # Its name tells the editor what kind of text it is; its directory is only ours.
    directory = tempfile.mkdtemp(prefix="deployer-edit-")
    copy = os.path.join(directory, posixpath.basename(path))
    original = None
    is_written = False
    try:
        if before is not None:
            shell.remote.host.get_file(path, copy)
        original = _read(copy)
        status = run_program(shell, [*editor, copy])
        text = _read(copy)
        if text is None or text == original:
            shell.show(f"{shown(place.locate(path))} is not changed")
            return Status.FAILED if status else Status.DONE
        if status:
            shell.show_error(f"{editor[0]} ended with exit status {status}: nothing is written")
            return Status.FAILED
        if not _may_replace(shell, place, path, before):
            return Status.FAILED
        with shell.remote.host.open(path, "wb") as file:
            file.write(text)
        is_written = True
        shell.show(f"{shown(place.locate(path))} is written")
        return Status.DONE
    except DeployerException as error:
        return shell.show_failure(error)
    finally:
        if not is_written and _holds_work(copy, original):
            shell.show_error(f"Your text is kept in {shown(copy)}")
        else:
            shutil.rmtree(directory, ignore_errors=True)


def edit_here(shell: ScpShell, place: Place, arguments: Arguments) -> int:
    """Change files of this machine."""
    need_terminal(shell, "ledit")
    editor = get_editor()
    failures = Failures(shell)
    paths = [found.path for found in failures.find_all(place, arguments.words)]
    if not paths:
        return failures.status
    status = run_program(shell, [*editor, *paths])
    if status:
        shell.show_error(f"{editor[0]} ended with exit status {status}")
    return Status.FAILED if status else failures.status


def _look_at(place: Place, path: str) -> Stat | None:
    """Return what is known of a file; None for one that is yet to be made."""
    with place.errors(path, "edit"), place.open_files() as files:
        try:
            found = files.stat(path)
        except FileNotFoundError:
            # Better now than when everything is written.
            if not files.stat(posixpath.dirname(path)).is_dir:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
            return None
        check_regular(found)
        return found


def _may_replace(shell: ScpShell, place: Place, path: str, before: Stat | None) -> bool:
    """Whether a file is as it was before, or may be replaced all the same."""
    now = _look_at(place, path)
    if (now and (now.st_mtime, now.st_size)) == (before and (before.st_mtime, before.st_size)):
        return True
    question = f"{shown(place.locate(path))} was changed meanwhile by somebody else. Replace it?"
    return shell.console.confirm(question, default=False)


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _holds_work(path: str, original: bytes | None) -> bool:
    """Whether somebody has written something into a copy, as far as can be known."""
    try:
        text = _read(path)
    except OSError:
        return True
    return text is not None and text != original
