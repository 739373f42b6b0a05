#!/usr/bin/env python3
"""A web system in staging and in production: one tree of parts, and two sets of hosts.

It is a shop: web servers and a scheduler, which run programs of a Git repository, a balancer in
front of the web servers, and an SQLite database with replicas. The hosts need bash, git and
python3. ``SHOP_REPOSITORY`` is what they clone: ``app.py --port PORT`` in it serves the shop over
HTTP, and ``jobs.py`` does what has to be done from time to time.

python examples/web_system.py run staging.deploy
python examples/web_system.py run production.promote       # asks before it begins
python examples/web_system.py tree
"""

import os
import shlex
from datetime import UTC, datetime

from deployer import groups
from deployer.client import start
from deployer.contrib.nodes import Config, Git, Template
from deployer.groups import set_group
from deployer.host import SSHHost
from deployer.inspection import Inspector
from deployer.node import Node, ParallelNode, map_roles, required_property, serial
from deployer.query import Q

# What hosts run is written for sh, and for Python.
RUNNING = '[ "/proc/$(cat process.pid 2>/dev/null)/cwd" -ef . ]'
GET = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)"
DUMP = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).iterdump(), sep='\\n')"
LOAD = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.stdin.read())"


def python(code, *arguments):
    return shlex.join(["python3", "-c", code, *arguments])


def make_directory(host, path):
    host.run(f"mkdir -p {shlex.quote(host.expand_path(path))}")


# The parts that the system is made of. None of them knows on which hosts it will be.


class Process(Node):
    """A program in the background. Where there is systemd, use the node `Service` instead."""

    directory = required_property("Where it runs")
    command = required_property("What is run")

    def restart(self):
        """Start it; if it runs already, end that process first."""
        self.stop()
        with self.host.cd(self.directory):
            command = f"setsid {self.command} </dev/null >process.log 2>&1 & echo $! >process.pid"
            # In a terminal, it could be ended with the terminal.
            self.host.run(command, interactive=False)

    def stop(self):
        """End it, and wait until it has ended."""
        with self.host.cd(self.directory):
            self.host.run(f'! {RUNNING} || kill "$(cat process.pid)"')
            self.host.run(f"while {RUNNING}; do sleep 0.1; done", timeout=30)

    def is_running(self):
        """Return whether it runs: its number alone could be that of another process by now."""
        with self.host.cd(self.directory):
            return self.host.run(RUNNING, ignore_exit_status=True).ok


class Application(ParallelNode):
    """A program of the repository, in a clone of its own on each of its hosts."""

    directory = required_property("Where the clone is")
    command = required_property("What is run in it")

    class code(Git):
        repository = Q.parent("WebSystem").repository
        repository_location = Q.parent.directory

    class process(Process):
        directory = Q.parent.directory
        command = Q.parent.command

    def deploy(self, version):
        """Check out a version, and have it run."""
        if self.code.checkout(version) or not self.process.is_running():
            self.process.restart()

    def status(self):
        """Return which commit is checked out, and whether it runs."""
        state = "running" if self.process.is_running() else "stopped"
        return f"{self.code.head_sha()[:12]} {state}"


class WebServer(Application):
    port = 8000
    command = Q("python3 app.py --port %s") % Q.port

    @serial(1)
    def deploy(self, version):
        """Check out a version, have it run, and wait until it answers."""
        super().deploy(version)
        self.check()

    def check(self):
        """Wait until the server answers; if it has ended, show why, and fail."""
        get = python(GET, f"http://localhost:{self.port}/")
        has_ended = f"! {RUNNING} && cat process.log && exit 1"
        wait = f"until {get} 2>/dev/null; do {has_ended}; sleep 0.2; done"
        with self.host.cd(self.directory):
            self.host.run(wait, timeout=20)


class Balancer(Node):
    """What spreads requests over the hosts of the role ``web``."""

    port = required_property("Where the web servers listen")

    @property
    def servers(self):
        # All of them, also when it runs with --hosts.
        hosts = Inspector(self).get_roles()["web"]
        return "\n".join(f"    server {host.address}:{self.port};" for host in hosts)

    class upstream(Config):
        remote_path = "~/upstream.conf"
        content = Template("upstream shop {\n$servers\n}\n", servers=Q.parent.servers)

    def update(self):
        """Write the configuration, and have nginx read it if there is nginx."""
        if self.upstream.setup() and self.host.has_command("nginx"):
            self.host.sudo("nginx -s reload")


class Database(Node):
    """An SQLite database on the host of the role ``host``, and copies of it to read from."""

    directory = "~/database"
    kept_backups = 10

    @map_roles("replicas")
    class replicas(ParallelNode.Array):
        directory = Q.parent.directory

        def load(self, sql):
            """Replace the copy by what a dump holds."""
            make_directory(self.host, self.directory)
            with self.host.cd(self.directory):
                command = f"rm -f new && {python(LOAD, 'new')} && mv new shop.sqlite3"
                self.host.run(command, initial_input=sql, interactive=False)

    def dump(self):
        """Return all that is in the database, as SQL."""
        with self.host.cd(self.directory):
            return self.host.run(python(DUMP, "shop.sqlite3"), silent=True).stdout

    def backup(self):
        """Write a dump beside the database, and remove the oldest ones."""
        make_directory(self.host, f"{self.directory}/backups")
        sql = self.dump()
        with self.host.cd(f"{self.directory}/backups"):
            with self.host.open(f"{datetime.now(UTC):%Y%m%dT%H%M%S}.sql", "w") as file:
                file.write(sql)
            self.host.run(f"ls -r | tail -n +{self.kept_backups + 1} | xargs -r rm --")

    def replicate(self):
        """Bring the copies up to date."""
        self.replicas.load(self.dump())


# The system: which part takes its hosts from which roles. It has no hosts of its own.


class WebSystem(Node):
    repository = os.environ.get("SHOP_REPOSITORY", "https://git.example.com/shop.git")

    @map_roles("web")
    class web(WebServer.Array):
        directory = "~/web"

    @map_roles("scheduler")
    class scheduler(Application.JustOne):
        directory = "~/scheduler"
        command = "python3 jobs.py"

    @map_roles("balancer", web="web")
    class balancer(Balancer):
        port = Q.parent.web.port

    @map_roles("database", replicas="replicas")
    class database(Database):
        pass

    def deploy(self, version="main"):
        """Bring a branch, a tag or a commit to all hosts."""
        self.database.backup()
        self.web.deploy(version)
        self.scheduler.deploy(version)
        self.balancer.update()


# The hosts, and what is different there.


class ShopHost(SSHHost):
    username = "deploy"


class staging1(ShopHost):
    address = "staging1.example.com"


class lb1(ShopHost):
    address = "lb1.example.com"


class web1(ShopHost):
    address = "web1.example.com"


class web2(ShopHost):
    address = "web2.example.com"


class db1(ShopHost):
    address = "db1.example.com"


@set_group(groups.Staging)
class Staging(WebSystem):
    """Everything on one host, and no replicas."""

    class Hosts:
        web = scheduler = balancer = database = staging1

    web__port = 8080
    scheduler__command = "python3 jobs.py --dry-run"
    database__kept_backups = 2


@set_group(groups.Production)
class Production(WebSystem):
    """Four hosts; the web servers read from copies of the database."""

    class Hosts:
        balancer = lb1
        web = replicas = (web1, web2)
        database = scheduler = db1

    balancer__upstream__always_backup_existing_config = True

    def database__backup(self):
        """Write a dump beside the database, and bring the copies up to date."""
        Database.backup(self)
        self.replicate()


class Shop(Node):
    class staging(Staging):
        pass

    class production(Production):
        def promote(self):
            """Deploy the commit that staging runs."""
            self.deploy(self.parent.staging.web[0].code.head_sha())


if __name__ == "__main__":
    start(Shop)
