"""Fabric."""

import os
import shutil
from functools import partial

from fabric import Connection
from sampling import BIG, COMMANDS, measure, serve

# It takes the square of the time for more: 100 MB would take minutes.
OUTPUT = 4


def make(task):
    return Connection(
        task["address"],
        task["user"],
        task["port"],
        connect_kwargs={
            "key_filename": task["key"],
            "look_for_keys": False,
            "allow_agent": False,
        },
    )


@measure
def connect(task):
    def work():
        with make(task) as connection:
            connection.run("true", hide=True)
        return 1

    work()
    yield work


def commands(task, pty):
    with make(task) as connection:
        connection.run("true", hide=True)

        def work():
            for _ in range(COMMANDS):
                connection.run("true", hide=True, pty=pty)
            return COMMANDS

        yield work


@measure
def command(task):
    yield from commands(task, False)


@measure
def pty(task):
    yield from commands(task, True)


@measure
def output(task):
    with make(task) as connection:

        def work():
            result = connection.run(
                f"dd if=/dev/zero bs=1000000 count={OUTPUT} 2>/dev/null", hide=True
            )
            assert len(result.stdout) == OUTPUT * 1_000_000
            return OUTPUT

        yield work


@measure
def put(task):
    target = f"{task['directory']}/put-fabric"
    with make(task) as connection:

        def work():
            connection.put(task["big"], target)
            os.remove(target)
            return BIG

        yield work


@measure
def get(task):
    target = f"{task['directory']}/get-fabric"
    with make(task) as connection:

        def work():
            connection.get(task["big"], target)
            os.remove(target)
            return BIG

        yield work


@measure
def put_small(task):
    target = f"{task['directory']}/put-small-fabric"
    with make(task) as connection:

        def work():
            connection.run(f"mkdir {target}", hide=True)
            for name in os.listdir(task["small"]):
                connection.put(f"{task['small']}/{name}", f"{target}/{name}")
            return 1

        yield work, partial(shutil.rmtree, target, ignore_errors=True)


@measure
def get_small(task):
    target = f"{task['directory']}/get-small-fabric"
    with make(task) as connection:

        def work():
            for name in connection.sftp().listdir(task["small"]):
                connection.get(f"{task['small']}/{name}", f"{target}/{name}")
            return 1

        yield work, partial(shutil.rmtree, target, ignore_errors=True)


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
