"""deployer."""

import os
import shutil
from functools import partial

from sampling import BIG, COMMANDS, OUTPUT, PRINT, measure, serve

from deployer.host import SSHHost
from deployer.pseudo_terminal import DummyPty


def make(task):
    class Server(SSHHost):
        address = task["address"]
        port = task["port"]
        username = task["user"]
        key_filename = task["key"]
        config_filename = task["ssh_config"]
        reject_unknown_hosts = True

    # The terminal of a program: nobody reads it.
    return Server(DummyPty(keeps_output=False))


@measure
def connect(task):
    host = make(task)

    def work():
        host.run("true")
        host.close_connection()
        return 1

    work()
    yield work


@measure
def command(task):
    yield from commands(task)


@measure
def pty(task):
    yield from commands(task, interactive=True)


def commands(task, **options):
    host = make(task)
    host.run("true", **options)

    def work():
        for _ in range(COMMANDS):
            host.run("true", **options)
        return COMMANDS

    yield work
    host.close_connection()


@measure
def output(task):
    host = make(task)
    host.run("true")

    def work():
        assert len(host.run(PRINT, interactive=False)) == OUTPUT * 1_000_000
        return OUTPUT

    yield work
    host.close_connection()


@measure
def put(task):
    host = make(task)
    target = f"{task['directory']}/put-deployer"
    host.run("true")

    def work():
        host.put_file(task["big"], target)
        os.remove(target)
        return BIG

    yield work
    host.close_connection()


@measure
def get(task):
    host = make(task)
    target = f"{task['directory']}/get-deployer"
    host.run("true")

    def work():
        host.get_file(task["big"], target)
        os.remove(target)
        return BIG

    yield work
    host.close_connection()


@measure
def put_small(task):
    host = make(task)
    target = f"{task['directory']}/put-small-deployer"
    host.run("true")

    def work():
        assert host.put_dir(task["small"], target).changed
        return 1

    yield work, partial(shutil.rmtree, target, ignore_errors=True)
    host.close_connection()


@measure
def get_small(task):
    host = make(task)
    target = f"{task['directory']}/get-small-deployer"
    host.run("true")

    def work():
        assert host.get_dir(task["small"], target).changed
        return 1

    yield work, partial(shutil.rmtree, target, ignore_errors=True)
    host.close_connection()


serve(
    {
        "connect": connect,
        "command": command,
        "distant": command,
        "pty": pty,
        "output": output,
        "put": put,
        "get": get,
        "put_small": put_small,
        "get_small": get_small,
    }
)
