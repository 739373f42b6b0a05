"""asyncssh, which is no peer on paramiko, but shows what Python can do."""

import asyncio
import os
import shutil
from functools import partial

import asyncssh
from sampling import BIG, COMMANDS, OUTPUT, PRINT, measure, serve

loop = asyncio.new_event_loop()


def wait(awaited):
    return loop.run_until_complete(awaited)


def make(task):
    return wait(
        asyncssh.connect(
            task["address"],
            task["port"],
            username=task["user"],
            client_keys=[task["key"]],
            known_hosts=task["known_hosts"],
            encryption_algs=["aes128-gcm@openssh.com"],
            agent_path=None,
            config=[],
        )
    )


def close(connection):
    connection.close()
    wait(connection.wait_closed())


@measure
def connect(task):
    def work():
        connection = make(task)
        wait(connection.run("true", check=True))
        close(connection)
        return 1

    work()
    yield work


def commands(task, **options):
    connection = make(task)

    def work():
        for _ in range(COMMANDS):
            wait(connection.run("true", check=True, **options))
        return COMMANDS

    yield work
    close(connection)


@measure
def command(task):
    yield from commands(task)


@measure
def pty(task):
    yield from commands(task, term_type="xterm")


@measure
def output(task):
    connection = make(task)

    def work():
        assert len(wait(connection.run(PRINT, check=True)).stdout) == OUTPUT * 1_000_000
        return OUTPUT

    yield work
    close(connection)


@measure
def put(task):
    connection = make(task)
    sftp = wait(connection.start_sftp_client())
    target = f"{task['directory']}/put-asyncssh"

    def work():
        wait(sftp.put(task["big"], target))
        os.remove(target)
        return BIG

    yield work
    close(connection)


@measure
def get(task):
    connection = make(task)
    sftp = wait(connection.start_sftp_client())
    target = f"{task['directory']}/get-asyncssh"

    def work():
        wait(sftp.get(task["big"], target))
        os.remove(target)
        return BIG

    yield work
    close(connection)


@measure
def put_small(task):
    connection = make(task)
    sftp = wait(connection.start_sftp_client())
    target = f"{task['directory']}/put-small-asyncssh"

    def work():
        wait(sftp.put(task["small"], target, recurse=True))
        return 1

    yield work, partial(shutil.rmtree, target, ignore_errors=True)
    close(connection)


@measure
def get_small(task):
    connection = make(task)
    sftp = wait(connection.start_sftp_client())
    target = f"{task['directory']}/get-small-asyncssh"

    def work():
        wait(sftp.get(task["small"], target, recurse=True))
        return 1

    yield work, partial(shutil.rmtree, target, ignore_errors=True)
    close(connection)


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
