#!/usr/bin/env python3
"""Twenty web servers, for the screens of many hosts."""

from machines import make_machine

from deployer.client import start
from deployer.node import Node, ParallelNode


class Site(Node):
    class web(ParallelNode.Array):
        class Hosts:
            host = tuple(make_machine(f"web{number:02}") for number in range(1, 21))

        def deploy(self, version):
            """Show a version to the world."""
            self.host.run(f"bin/deploy {version}")


if __name__ == "__main__":
    start(Site)
