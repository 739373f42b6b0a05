#!/usr/bin/env python3
"""A first deployment: it publishes a page on this machine, and needs no server.

python examples/hello_world.py run deploy
python examples/hello_world.py                 # the interactive shell
"""

import os

from deployer.client import start
from deployer.host import LocalHost
from deployer.node import Node


class HelloWorld(Node):
    class Hosts:
        host = LocalHost

    directory = os.environ.get("HELLO_DIRECTORY", "~/.cache/deployer-hello-world")

    def deploy(self, name="world"):
        """Publish a new release of the page, and show it."""
        directory = self.host.expand_path(self.directory)
        release = self.host.run("date -u +%Y%m%dT%H%M%S.%N", silent=True).strip()
        self.host.run(f"mkdir -p '{directory}/{release}'")

        with self.host.cd(directory):
            with self.host.open(f"{release}/index.txt", "w") as page:
                page.write(f"Hello, {name}!\n")
            self.host.run(f"ln -sfn '{release}' live")
        self.show()

    def show(self):
        """Print the page that is live."""
        with self.host.cd(self.directory), self.host.open("live/index.txt", "r") as page:
            print(page.read(), end="")

    def roll_back(self):
        """Make the release before the newest one live again, and remove the newest."""
        with self.host.cd(self.directory):
            releases = sorted(set(self.host.listdir()) - {"live"})
            if len(releases) < 2:
                raise ValueError("there is no release to go back to")
            *_, previous, newest = releases
            self.host.run(f"ln -sfn '{previous}' live && rm -r '{newest}'")
        self.show()


if __name__ == "__main__":
    start(HelloWorld)
