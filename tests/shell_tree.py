"""A small tree for the tests of the shell, and a script that starts it."""

from __future__ import annotations

from pathlib import Path

from deployer.client import start
from deployer.groups import production
from deployer.host import LocalHost
from deployer.node import Node, ParallelNode, alias, suppress_action_result

SCRIPT = Path(__file__)


class first(LocalHost):
    pass


class second(LocalHost):
    pass


class Git(Node):
    """The repository.

    With its history.
    """

    def checkout(self, commit, force: bool = False, depth: int = 0):
        """
        Check out a commit.

        Stops when there are changes.
        """
        return f"{commit} {force} {depth}"

    def log(self):
        return ["one", "two"]


class Tree(Node):
    class Hosts:
        host = first

    class git(Git):
        pass

    @production
    class web(ParallelNode.Array):
        class Hosts:
            host = (first, second)

        def name(self):
            """Say which host this is."""
            return self.host.slug

        def half(self):
            if self.host.slug == "second":
                self.host.run("exit 4")

        class logs(Node):
            def show(self):
                return "logs of " + self.host.slug

    class service(Node):
        def __call__(self, name="all"):
            """Restart."""
            return f"restarted {name}"

    class _hidden(Node):
        def act(self):
            return "hidden"

    def hello(self, *names, **options):
        return f"hello {names} {options}"

    @alias("with.dots")
    def plain(self):
        return "plain"

    @suppress_action_result
    def quiet(self):
        return "never shown"

    def ls(self):
        return "the action"

    def find_one(self):
        return self.git

    def fail(self):
        self.host.run("echo first; echo last words >&2; exit 3")

    def unfound(self):
        with self.host.open("/nowhere/at/all") as file:
            file.read()

    def fault(self):
        return {}["key"]

    def ask(self):
        return self.console.input("Which branch")

    def leave(self):
        raise SystemExit(7)

    def sleep(self):
        self.host.run("echo asleep; sleep 1000")

    def spin(self):
        self.console.pty.write("spinning\n")
        while True:
            pass


if __name__ == "__main__":
    start(Tree)
