"""Shell commands, quoted: each function returns one to pass to ``run`` or ``sudo``.

Paths are literal, but for a leading ``~`` or ``~user``.
"""

from __future__ import annotations

import shlex

from ..host.command import shell_path

__all__ = ["append_line", "bashrc_append", "wget"]


def wget(url: str, target: str | None = None) -> str:
    """Download a URL, into the current directory or to a file."""
    output = f"--output-document={shell_path(target)} " if target else ""
    return f"wget --no-verbose {output}-- {shlex.quote(url)}"


def append_line(path: str, line: str) -> str:
    """Append a line to a file, unless one of its lines is the same; make the file if need be."""
    if "\n" in line:
        raise ValueError(f"one line is appended at a time, and this is more: {line!r}")
    file, text = shell_path(path), shlex.quote(line)
    # A file whose last line has no end gets one first.
    ended = f'if [ -n "$(tail -c 1 {file} 2>/dev/null)" ]; then echo >>{file}; fi'
    return (
        f"grep -qxF -e {text} {file} 2>/dev/null || {{ {ended}; printf '%s\\n' {text} >>{file}; }}"
    )


def bashrc_append(line: str) -> str:
    """Append a line to the user's ``~/.bashrc``, unless it is there."""
    return append_line("~/.bashrc", line)
