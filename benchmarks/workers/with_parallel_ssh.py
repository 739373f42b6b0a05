"""parallel-ssh: its client for one host, on libssh2."""

import os

from pssh.clients import SSHClient
from sampling import BIG, COMMANDS, OUTPUT, measure, serve


def make(task):
    return SSHClient(
        task["address"],
        user=task["user"],
        port=task["port"],
        pkey=task["key"],
        allow_agent=False,
        identity_auth=False,
    )


def run(client, command, **options):
    found = client.run_command(command, **options)
    pieces = list(found.stdout)
    client.wait_finished(found)
    assert found.exit_code == 0
    return pieces


@measure
def connect(task):
    def work():
        client = make(task)
        run(client, "true")
        client.disconnect()
        return 1

    work()
    yield work


def commands(task, **options):
    client = make(task)

    def work():
        for _ in range(COMMANDS):
            run(client, "true", **options)
        return COMMANDS

    yield work


@measure
def command(task):
    yield from commands(task)


@measure
def pty(task):
    yield from commands(task, use_pty=True)


@measure
def output(task):
    client = make(task)

    def work():
        # It gives lines only.
        lines = run(client, f"yes {'x' * 99} | head -c {OUTPUT}000000")
        assert len(lines) == OUTPUT * 10_000
        return OUTPUT

    yield work


@measure
def put(task):
    client = make(task)
    target = f"{task['directory']}/put-pssh"

    def work():
        client.copy_file(task["big"], target)
        os.remove(target)
        return BIG

    yield work


@measure
def get(task):
    client = make(task)
    target = f"{task['directory']}/get-pssh"

    def work():
        client.copy_remote_file(task["big"], target)
        os.remove(target)
        return BIG

    yield work


serve(
    {
        "connect": connect,
        "command": command,
        "distant": command,
        "pty": pty,
        "output": output,
        "put": put,
        "get": get,
    }
)
