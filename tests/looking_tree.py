"""A tree with all that there is to look at, some of which cannot be made."""

from __future__ import annotations

from pathlib import Path

from deployer.client import start
from deployer.groups import production, staging
from deployer.host import LocalHost
from deployer.node import (
    ALL_HOSTS,
    Node,
    ParallelNode,
    alias,
    dont_isolate_yet,
    isolate_one_only,
    map_roles,
    required_property,
)
from deployer.query import Q
from deployer.secret import Secret

SCRIPT = Path(__file__)


class Web1(LocalHost):
    slug = "web1"


class Web2(LocalHost):
    slug = "web2"


class Web3(LocalHost):
    slug = "web3"


class Db(LocalHost):
    slug = "db"


class Service(Node):
    """Something that runs.

        Indented further.
    And less.
    """

    def status(self, verbose: bool = False):
        """Say how it is."""


class Site(Node):
    """All of the site."""

    class Hosts:
        web = Web1, Web2, Web3
        db = Db

    domain = "example.com"
    ports = {"web": 8080}
    db_password = "never shown"
    key = Secret("never shown either")
    url = Q("http://%s:%s/") % (Q.domain, Q.ports["web"])
    wrong_url = Q("%s/%s") % (Q.domain, Q.ports["nothing"])
    keys = Q.ports.update

    @property
    def now(self):
        """What time it is.

        On this machine.
        """
        raise AssertionError("looking at a property must not evaluate it")

    needed = required_property("What is needed")

    @production
    @map_roles("web")
    class web(ParallelNode.Array):
        class nginx(Service):
            @alias("re.load")
            def reload(self, *names, delay: float = 0.5, **options):
                """Read the configuration again."""

        def deploy(self, commit, *, force: bool):
            """Deploy a commit to the web."""

        def complete_commit(self):
            return ["main"]

        @isolate_one_only
        def shell(self):
            pass

        @dont_isolate_yet
        def count(self):
            pass

    @staging
    @map_roles(host="db", all=ALL_HOSTS)
    class db(ParallelNode.JustOne):
        class backup(Node):
            def __call__(self, name="all"):
                """Make a backup."""

    @map_roles("web")
    class broken(ParallelNode.JustOne):
        """What cannot be made."""

    class _hidden(Node):
        def act(self):
            pass

    def odd(self):
        "\x1b[31mIn red\x1b[0m\x07\n\n    Evil: \x1b]0;title\x07text\x9b2J."

    @alias("with.dots")
    def plain(self):
        pass

    def _helper(self):
        pass


if __name__ == "__main__":
    start(Site)
