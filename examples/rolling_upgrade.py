#!/usr/bin/env python3
"""Upgrade web servers behind a load balancer: one of them first, then a quarter at a time.

To try it, this machine is eight servers and the balancer:

python examples/rolling_upgrade.py run web.upgrade v1
python examples/rolling_upgrade.py run balancer.show
python examples/rolling_upgrade.py run web.stop              # ends the servers

With UPGRADE_WEB (addresses, with blanks between them) and UPGRADE_BALANCER in the environment, it
is about those hosts. The balancer is nginx, which has in its configuration:

upstream site { include /etc/nginx/site/*.conf; }
"""

import os
import shlex

from deployer.client import start
from deployer.host import LocalHost, SSHHost
from deployer.node import Node, ParallelNode, map_roles, serial
from deployer.query import Q

# Asks a server for its version, until it is the right one or ten seconds are over.
health_check = """\
import sys, time, urllib.request

url, version = sys.argv[1:]
for _ in range(20):
    time.sleep(0.5)
    try:
        answer = urllib.request.urlopen(url, timeout=5).read().decode().strip()
    except OSError as error:
        answer = error
    if answer == version:
        sys.exit()
sys.exit(f"{url}: {answer}")
"""


class Balancer(Node):
    """nginx, with a file for each server: those that are upgraded at once share none."""

    directory = "/etc/nginx/site"
    reload_command = "nginx -t && systemctl reload nginx"
    use_sudo = True

    def take_out(self, server, address):
        """Send no more requests to a server."""
        self._write(server, f"server {address} down;\n")

    def put_back(self, server, address):
        """Send requests to a server again."""
        self._write(server, f"server {address};\n")

    def _write(self, server, line):
        directory = self.host.expand_path(self.directory)
        self.host.run(f"mkdir -p {shlex.quote(directory)}", use_sudo=self.use_sudo)
        with self.host.open(f"{directory}/{server}.conf", "w", use_sudo=self.use_sudo) as file:
            file.write(line)
        self.host.run(self.reload_command, use_sudo=self.use_sudo)

    def show(self):
        """Print the lines of all servers."""
        with self.host.cd(self.directory):
            self.host.run("cat -- *.conf")


class Web(ParallelNode):
    """Web servers; what serves here is Python, in the place of a program of yours."""

    directory = "~/site"
    bind = "0.0.0.0"

    @property
    def port(self):
        return getattr(self.host, "web_port", 8000)

    @serial(1, "25%")
    def upgrade(self, version):
        """Upgrade each server while it gets no requests; one that is not well stays out."""
        server = self.host.slug, f"{self.host.address}:{self.port}"
        self.parent.balancer.take_out(*server)
        self.drain()
        self.install(version)
        self.restart()
        self.check(version)
        self.parent.balancer.put_back(*server)

    def drain(self):
        """Wait until the requests that are under way have been answered."""
        connections = f"ss -Htn state established '( sport = :{self.port} )'"
        self.host.run(f'while [ -n "$({connections})" ]; do sleep 0.5; done', timeout=60)

    def install(self, version):
        """Put a version on the server: here, a page with nothing but its name."""
        directory = self.host.expand_path(self.directory)
        self.host.run(f"mkdir -p {shlex.quote(directory)}/www")
        with self.host.open(f"{directory}/www/version.txt", "w") as page:
            page.write(f"{version}\n")

    def restart(self):
        """Start the server anew; of a service, it would be ``systemctl restart``."""
        self.stop()
        with self.host.cd(self.directory):
            options = f"--bind {self.bind} --directory www {self.port}"
            serve = f"setsid python3 -m http.server {options} >log 2>&1 </dev/null"
            # Not in a terminal, which would hang up on it.
            self.host.run(f"{serve} & echo $! >pid", interactive=False)

    def stop(self):
        """End the server, if it runs."""
        if self.host.exists(f"{self.directory}/pid"):
            with self.host.cd(self.directory):
                # Unless it has ended itself, and the number is another process's by now.
                self.host.run("[ /proc/$(cat pid)/cwd -ef . ] && kill $(cat pid); rm pid")

    def check(self, version):
        """Fail unless the server answers, and with this version."""
        url = f"http://localhost:{self.port}/version.txt"
        command = shlex.join(["python3", "-", url, version])
        self.host.run(command, initial_input=health_check, interactive=False)

    def version(self):
        """Return the version that is on the server."""
        with self.host.open(f"{self.directory}/www/version.txt") as page:
            return page.read().strip()


class RollingUpgrade(Node):
    """All of it; a subclass says on which hosts."""

    @map_roles("web")
    class web(Web.Array):
        pass

    @map_roles("balancer")
    class balancer(Balancer):
        pass


class OnServers(RollingUpgrade):
    class Hosts:
        web = tuple(
            type(address, (SSHHost,), {"address": address})
            for address in os.environ.get("UPGRADE_WEB", "").split()
        )
        balancer = type("balancer", (SSHHost,), {"address": os.environ.get("UPGRADE_BALANCER")})


class OnThisMachine(RollingUpgrade):
    class Hosts:
        web = tuple(type(f"web{n}", (LocalHost,), {"web_port": 8100 + n}) for n in range(1, 9))
        balancer = type("balancer", (LocalHost,), {})

    web__bind = "localhost"
    web__directory = Q("~/.cache/deployer-rolling-upgrade/%s") % Q.host.slug
    balancer__directory = "~/.cache/deployer-rolling-upgrade/balancer"
    balancer__reload_command = "true"
    balancer__use_sudo = False


Site = OnServers if "UPGRADE_WEB" in os.environ else OnThisMachine

if __name__ == "__main__":
    start(Site)
