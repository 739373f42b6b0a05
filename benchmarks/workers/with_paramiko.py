"""paramiko as its documentation shows it."""

import os
import shutil
from functools import partial

import paramiko
from sampling import BIG, COMMANDS, OUTPUT, PRINT, measure, serve


def open_client(task):
    client = paramiko.SSHClient()
    client.load_host_keys(task["known_hosts"])
    client.connect(task["address"], task["port"], task["user"], key_filename=task["key"])
    return client


@measure
def connect(task):
    def work():
        with open_client(task) as client:
            assert client.exec_command("true")[1].channel.recv_exit_status() == 0
        return 1

    work()
    yield work


def commands(task, get_pty):
    with open_client(task) as client:

        def work():
            for _ in range(COMMANDS):
                _, stdout, _ = client.exec_command("true", get_pty=get_pty)
                stdout.read()
                assert stdout.channel.recv_exit_status() == 0
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
    with open_client(task) as client:

        def work():
            assert len(client.exec_command(PRINT)[1].read()) == OUTPUT * 1_000_000
            return OUTPUT

        yield work


@measure
def put(task):
    target = f"{task['directory']}/put-paramiko"
    with open_client(task) as client, client.open_sftp() as sftp:

        def work():
            sftp.put(task["big"], target)
            os.remove(target)
            return BIG

        yield work


@measure
def get(task):
    target = f"{task['directory']}/get-paramiko"
    with open_client(task) as client, client.open_sftp() as sftp:

        def work():
            sftp.get(task["big"], target)
            os.remove(target)
            return BIG

        yield work


@measure
def put_small(task):
    target = f"{task['directory']}/put-small-paramiko"
    with open_client(task) as client, client.open_sftp() as sftp:

        def work():
            sftp.mkdir(target)
            for name in os.listdir(task["small"]):
                sftp.put(f"{task['small']}/{name}", f"{target}/{name}")
            return 1

        yield work, partial(shutil.rmtree, target, ignore_errors=True)


@measure
def get_small(task):
    target = f"{task['directory']}/get-small-paramiko"
    with open_client(task) as client, client.open_sftp() as sftp:

        def work():
            os.mkdir(target)
            for name in sftp.listdir(task["small"]):
                sftp.get(f"{task['small']}/{name}", f"{target}/{name}")
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
