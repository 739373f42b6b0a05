"""What is nested in a node: pyright finds exactly the marked errors.

mypy does not read nested classes through their metaclass, and takes them for classes.
"""

from __future__ import annotations

from typing import assert_type

from deployer.node import Node, ParallelNode, map_roles


class Git(Node):
    branch = "main"

    def checkout(self, commit: str) -> int:
        return len(commit)


class Web(ParallelNode):
    def restart(self) -> None:
        self.host.sudo("systemctl restart web")


class Site(Node):
    class git(Git):
        class deeper(Git):
            pass

    also = Git

    @map_roles("web")
    class web(Web.Array):
        pass

    def deploy(self) -> None:
        assert_type(self.git.checkout("abc"), int)
        assert_type(self.also.checkout("abc"), int)
        assert_type(self.git.deeper.branch, str)
        self.web.restart()
        self.git.chekout("abc")  # error
        self.git.checkout(3)  # error
        self.git.checkout()  # error
        self.gti.checkout("abc")  # error


class OtherSite(Site):
    git__branch = "develop"

    def deploy(self) -> None:
        super().deploy()
        assert_type(self.git.branch, str)


assert_type(Site.git.branch, str)
