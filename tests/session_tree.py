"""A tree for the tests of a shell session: hosts, groups, values of every kind; and a script."""

from __future__ import annotations

from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Literal, NamedTuple

from deployer.client import start
from deployer.groups import Group, production, set_group, staging
from deployer.host import LocalHost
from deployer.node import Node, ParallelNode, alias

SCRIPT = Path(__file__)


class web1(LocalHost):
    pass


class web2(LocalHost):
    pass


class db(LocalHost):
    pass


class Level(Enum):
    low = 1
    high = 2


class Careful(Group):
    needs_confirmation = True


class Tag(NamedTuple):
    name: str

    def __str__(self) -> str:
        return f"tag {self.name}"


class Notes(Node):
    @contextmanager
    def lock(self):
        yield

    class tag(Node):
        def __call__(self, name: str = ""):
            """Make a tag."""
            return Tag(name)

        def complete_name(self):
            return ["v2"]

        def all(self):
            return [Tag("v1"), Tag("v2")]


class Git(Node):
    """The repository."""

    def checkout(self, commit: str, force: bool = False):
        """Check out a commit."""
        self.host.run(f"echo at {commit}")

    def complete_commit(self):
        return {"main": "the default branch", "v1.0": "a release"}

    def level(
        self,
        level: Level,
        mode: Literal["fast", "slow"] = "fast",
        *,
        path: Path | None = None,
        tags: list[Level] | None = None,
    ):
        """Set a level."""
        return f"{level} {mode} {path} {tags}"

    def complete(self, name):
        return name

    def complete_name(self, text):
        return [text + "1", (text + "2", "the second")]

    def broken(self, what):
        return what

    def complete_what(self):
        raise ValueError("no values today")


class Site(Node):
    class Hosts:
        host = db

    class git(Git):
        pass

    class notes(Notes):
        pass

    @staging
    class staging(Node):
        class Hosts:
            host = web1

        def deploy(self):
            """Deploy to staging."""
            self.host.run("echo deployed")

    @production
    class prod(Node):
        class Hosts:
            web = (web1, web2)

        def deploy(self):
            self.hosts.run("echo deployed in production")

        class web(ParallelNode.Array):
            class Hosts:
                host = (web1, web2)

            def name(self):
                print("this is", self.host.slug)

            def half(self):
                if self.host.slug == "web2":
                    self.host.run("echo oops >&2; exit 3")

    @set_group(Careful)
    class careful(Node):
        def act(self):
            return "acted"

    def hello(self, name="world"):
        print(f"Hello, {name}")

    def fail(self):
        self.host.run("echo working; exit 4")

    def cut(self):
        print("no end", end="")

    def to_git(self):
        return self.git

    @alias("say good")
    def bid(self):
        return "good"

    @property
    def motto(self):
        return "one step at a time"

    def touch(self, path):
        with self.host.open(path, "w") as file:
            file.write("touched")
        self.host.run(f"echo more >> '{path}'")


if __name__ == "__main__":
    start(Site)
