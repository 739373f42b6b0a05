#!/usr/bin/env python3
"""Use the tree of another script in a program: upgrade those servers that need it.

python examples/use_as_library.py v2

It asks the servers of rolling_upgrade.py which version they have, upgrades those that have another
one, or none, and says which they have then. Nobody is asked anything, so cron may run it; the exit
status is 1 unless all servers have the version in the end. What runs is logged.
"""

import argparse
import logging
import sys

from rolling_upgrade import Site

from deployer.exceptions import ParallelActionException, RemoteFileError
from deployer.loggers import Logger, LoggerInterface
from deployer.node import Env
from deployer.pseudo_terminal import DummyPty

log = logging.getLogger("upgrade")


class CommandLog(Logger):
    """Passes on each command, when it has ended, to the log of the program."""

    def end_run(self, entry):
        level = logging.INFO if entry.succeeded else logging.ERROR
        log.log(level, "%s: %s: status %s", entry.host, entry.command, entry.exit_status)


def open_tree(root):
    """Return a tree that can be used: without a terminal, and with the log of this program."""
    logger = LoggerInterface()
    logger.attach(CommandLog())
    return Env(root(), DummyPty(), logger)


def read_versions(site, retries=2):
    """Return which version each server has, by its name, and what kept others from saying it."""
    read = site.web.version.with_options(fan_out=20, retries=retries)
    try:
        result, failures = read(), {}
    except ParallelActionException as error:
        result, failures = error.result, error.named_failures
    return {cell.host.slug: version for cell, version in result.items()}, failures


def upgrade(site, version, names):
    """Upgrade some servers; return what failed, by the name of the server."""
    try:
        site.web.upgrade.with_options(hosts=",".join(names))(version)
    except ParallelActionException as error:
        for cell in error.not_begun:
            log.warning("%s: left as it was, since others have failed", cell.host.slug)
        return error.named_failures
    return {}


def bring_to(site, version):
    """Give all servers a version, as far as they can be reached; return whether all have it."""
    versions, unread = read_versions(site)
    outdated = [name for name, found in versions.items() if found != version]
    # A server that has none yet has no file to read it from.
    outdated += [name for name, error in unread.items() if isinstance(error, RemoteFileError)]
    failed = upgrade(site, version, outdated) if outdated else {}

    versions, unread = read_versions(site)
    for name, found in versions.items():
        print(f"{name}: {found}")
    for error in (unread | failed).values():
        print(error)
    return not unread and not failed and set(versions.values()) == {version}


def main(words=None):
    parser = argparse.ArgumentParser(description="Upgrade the servers that need it.")
    parser.add_argument("version")
    parser.add_argument("--verbose", action="store_true", help="log each command")
    arguments = parser.parse_args(words)
    logging.basicConfig(level=logging.INFO if arguments.verbose else logging.WARNING)
    logging.getLogger("paramiko").setLevel(logging.WARNING)
    return 0 if bring_to(open_tree(Site), arguments.version) else 1


if __name__ == "__main__":
    sys.exit(main())
