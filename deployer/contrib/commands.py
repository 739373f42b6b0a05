"""Shell commands, quoted: each function returns one to pass to ``run`` or ``sudo``.

Paths are literal, but for a leading ``~`` or ``~user``. All but ``wget`` can be run again without
harm.
"""

from __future__ import annotations

import re
import shlex

from ..host.command import shell_path

__all__ = ["append_line", "bashrc_append", "download", "extract", "symlink", "wget"]


def wget(url: str, target: str | None = None) -> str:
    """Download a URL, into the current directory or to a file."""
    output = f"--output-document={shell_path(target)} " if target else ""
    return f"wget --no-verbose {output}-- {shlex.quote(url)}"


def download(url: str, target: str, sha256: str) -> str:
    """Download a URL to a file, unless it is there; with curl or wget, whichever the host has.

    The file is replaced once the whole of the new one has arrived, and is the right one.

    :param sha256: the checksum of the right one, as ``sha256sum`` prints it.
    """
    if not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise ValueError(f"a SHA-256 checksum has 64 hexadecimal digits, unlike {sha256!r}")
    file, source = shell_path(target), shlex.quote(url)
    right = f"= '{sha256.lower()}  -'"
    return (
        f'[ -f {file} ] && [ "$(sha256sum <{file})" {right} ] || ('
        f"part=$(mktemp {shell_path(f'{target}.XXXXXX')}) || exit; trap 'rm -f \"$part\"' EXIT; "
        f'if command -v curl >/dev/null; then curl -gfsSL -o "$part" -- {source}; '
        f'else wget -nv -O "$part" -- {source}; fi || exit; '
        f'[ "$(sha256sum <"$part")" {right} ] || '
        "{ echo 'the checksum of what was downloaded is another' >&2; exit 1; }; "
        # mktemp makes a private one; this is what a new file has.
        f'chmod =rw "$part" && mv -fT "$part" {file})'
    )


def extract(archive: str, directory: str) -> str:
    """Unpack an archive of the host into a directory, which is made if need be.

    What is in it replaces files of the same names, and belongs to whoever unpacks it.

    :param archive: a ``.tar``, which may be compressed by gzip, bzip2, xz or zstd, or a ``.zip``.
    """
    target = shell_path(directory)
    name = archive.lower()
    if name.endswith(".zip"):
        folder, slash, name = archive.rpartition("/")
        # It takes the name for a pattern.
        pattern = shell_path(folder + slash + "".join(_ZIP_PATTERNS.get(c, c) for c in name))
        return f"mkdir -p {target} && unzip -oq {pattern} -d {target}"
    for endings, option in _TAR_OPTIONS.items():
        if name.endswith(endings):
            unpack = f"tar --no-same-owner {option} -xf - -C {target} <{shell_path(archive)}"
            return f"mkdir -p {target} && {unpack}"
    known = ", ".join(ending for endings in _TAR_OPTIONS for ending in endings)
    raise ValueError(f"{archive!r} does not end like an archive: in {known}, .zip")


_ZIP_PATTERNS = {"[": "[[]", "*": "[*]", "?": "[?]", "\\": r"[\\]"}
_TAR_OPTIONS = {
    (".tar",): "",
    (".tar.gz", ".tgz"): "-z",
    (".tar.bz2", ".tbz2"): "-j",
    (".tar.xz", ".txz"): "-J",
    (".tar.zst",): "--zstd",
}


def symlink(target: str, link: str) -> str:
    """Make a symlink, or have the one that is there lead to another target.

    Whoever follows it meanwhile gets to the old target or to the new one. What is in its place and
    is no symlink is left alone, and makes the command fail.

    :param target: where it leads; a relative one is seen from the directory of the link.
    """
    file, new = shell_path(link), shell_path(f"{link}.new-") + "$$"
    # Of a relative one, nothing but its own words is kept.
    text = shell_path(target) if target.startswith("~") else shlex.quote(target)
    return (
        f"if [ ! -L {file} ] && [ -e {file} ]; then "
        f"printf '%s\\n' {shlex.quote(f'{link} is there, and is no symlink')} >&2; false; "
        f'elif [ "$(readlink {file})" != {text} ]; then '
        f"ln -s -- {text} {new} && {{ mv -fT {new} {file} || {{ rm -f {new}; false; }}; }}; fi"
    )


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
