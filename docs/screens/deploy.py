#!/usr/bin/env python3
"""The site of the screens: its code, staging, production with three web servers, a database."""

from machines import db1, git1, staging1, web1, web2, web3

from deployer.client import start
from deployer.groups import production, staging
from deployer.node import Node, ParallelNode, suppress_action_result
from deployer.query import Q
from deployer.utils import esc1


class Git(Node):
    """The code of the site."""

    def checkout(self, version, force: bool = False):
        """Check out a branch or a tag."""
        option = "--force" if force else "--quiet"
        with self.host.cd("site"):
            self.host.run(f"git checkout {option} '{esc1(version)}' && git log -1 --oneline")

    def complete_version(self):
        return {"main": "what comes next", "v1.1": "what runs now", "v1.2": "the last release"}

    @suppress_action_result
    def log(self, count: int = 3):
        """Show the last commits."""
        with self.host.cd("site"):
            return self.host.run(f"git --no-pager log --oneline -{count}")


class Web(ParallelNode):
    """The web servers."""

    port = 8000
    url = Q("http://%s:%s/") % (Q.parent.domain, Q.port)

    def restart(self):
        """Restart the server."""
        self.host.run("bin/server restart")

    def check(self):
        """Fail unless the server answers."""
        self.host.run("bin/server check")


class Site(Node):
    """The site of example.com."""

    class Hosts:
        git = git1
        web = (web1, web2, web3)
        db = db1

    class git(Git):
        class Hosts:
            host = git1

    @staging
    class staging(Node):
        class Hosts:
            host = staging1

        def deploy(self, version):
            """Show a version to ourselves."""
            with self.host.cd("site"):
                self.host.run(f"git reset --hard '{esc1(version)}'")

    @production
    class prod(Node):
        """What visitors see."""

        domain = "example.com"

        class Hosts:
            web = (web1, web2, web3)

        def deploy(self, version):
            """Show a version to the world."""
            with self.hosts.cd("site"):
                self.hosts.run(f"git reset --hard '{esc1(version)}'")

        class web(Web.Array):
            pass

    def backup(self):
        """Dump the database."""
        self.hosts.filter("db").run("bin/dump site")


if __name__ == "__main__":
    start(Site)
