"""What a node has itself: mypy and pyright find exactly the marked errors."""

from __future__ import annotations

from typing import Any, assert_type

from deployer.console import Console
from deployer.host import LocalHost, RunResult
from deployer.host_container import HostContainer, HostsContainer
from deployer.node import Env, Node, required_property
from deployer.query import Q


class Here(LocalHost):
    pass


class Git(Node):
    class Hosts:
        host = Here
        others = (Here,)

    repository = required_property()
    branch = "main"
    directory = Q.parent.directory

    def checkout(self, commit: str) -> RunResult:
        assert_type(self.host, HostContainer)
        assert_type(self.hosts, HostsContainer)
        assert_type(self.host.run("true"), RunResult)
        assert_type(self.hosts.run("true"), list[RunResult])
        assert_type(self.console, Console)
        return self.host.run(f"git checkout {commit}")

    def branch_name(self) -> None:
        self.chekout("abc")  # error: "Git" has no attribute "chekout"
        self.checkout(3)  # error: Argument 1 to "checkout" of "Git" has incompatible type "int"
        self.checkout()  # error: Missing positional argument "commit"
        self.host.rnu("true")  # error: "HostContainer" has no attribute "rnu"


class OwnGit(Git):
    repository = "https://example.com/site.git"

    def checkout(self, commit: str) -> RunResult:
        assert_type(self.branch, str)
        assert_type(super().checkout(commit), RunResult)
        return Git.checkout(self, commit)


# Outside of actions there is no class to look into.
assert_type(Env(OwnGit()).branch, Any)
