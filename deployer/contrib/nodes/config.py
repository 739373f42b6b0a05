"""A configuration file on a host."""

from __future__ import annotations

import difflib
from typing import Any

from ...node import Node, required_property

__all__ = ["Config"]


class Config(Node):
    """A file on the host, and the content that it should have.

    A subclass sets ``remote_path`` and ``content``, as values, properties or queries::

        class nginx(Config):
            remote_path = "/etc/nginx/nginx.conf"
            use_sudo = True

            @property
            def content(self):
                return template.format(domain=self.parent.domain)
    """

    #: Where the file is on the host; its directory has to exist.
    remote_path: Any = required_property("Where the file is on the host")
    #: What it should hold, as text.
    content: Any = required_property("What the file should hold, as text")
    #: Read and write it as root.
    use_sudo: Any = False

    def show(self) -> str:
        """Return the content that the file should have."""
        content: str = self.content
        return content

    def exists(self) -> bool:
        """Return whether there is such a file on the host."""
        return self.host.exists(self.remote_path, use_sudo=self.use_sudo)

    def current_content(self) -> str:
        """Return what the file on the host holds; nothing when there is none."""
        if not self.exists():
            return ""
        with self.host.open(self.remote_path, "r", use_sudo=self.use_sudo) as file:
            content: str = file.read()
            return content

    def diff(self) -> str:
        """Return what ``setup`` would change, as a unified diff; nothing when it is up to date."""
        lines = difflib.unified_diff(
            self.current_content().splitlines(keepends=True),
            self.content.splitlines(keepends=True),
            f"{self.remote_path} on {self.host.slug}",
            f"{self.remote_path}, new",
        )
        # A last line without an end would run into the next one.
        return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)

    def changed(self) -> bool:
        """Return whether the file is missing, or holds something else."""
        return not self.exists() or self.current_content() != self.content

    def setup(self) -> None:
        """Write the file, unless it holds the content already."""
        if self.changed():
            with self.host.open(self.remote_path, "w", use_sudo=self.use_sudo) as file:
                file.write(self.content)
