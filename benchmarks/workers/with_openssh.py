"""OpenSSH's own programs: a process for each thing, over one connection where that is held."""

import contextlib
import os
import shutil
import subprocess
from functools import partial

from sampling import BIG, COMMANDS, OUTPUT, PRINT, measure, serve


def options(task, *more):
    return [
        *("-F", task["ssh_config"], "-o", f"Port={task['port']}", "-o", f"User={task['user']}"),
        *("-o", f"IdentityFile={task['key']}", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"),
        *("-o", "KexAlgorithms=curve25519-sha256", "-o", "Ciphers=aes128-gcm@openssh.com"),
        *more,
    ]


@contextlib.contextmanager
def held(task):
    """Hold a connection, and give the options that have others use it."""
    path = f"{task['directory']}/mux"
    mux = options(task, "-o", f"ControlPath={path}")
    master = subprocess.Popen(["ssh", *mux, "-M", "-N", task["address"]])
    while subprocess.run(
        ["ssh", *mux, "-O", "check", task["address"]], stderr=subprocess.DEVNULL
    ).returncode:
        assert master.poll() is None
    try:
        yield mux
    finally:
        master.terminate()
        master.wait()


def run(*command, **more):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, **more)


@measure
def connect(task):
    def work():
        run("ssh", *options(task), task["address"], "true")
        return 1

    work()
    yield work


def commands(task, *more):
    with held(task) as mux:

        def work():
            for _ in range(COMMANDS):
                run("ssh", *mux, *more, task["address"], "true", stderr=subprocess.DEVNULL)
            return COMMANDS

        yield work


@measure
def command(task):
    yield from commands(task)


@measure
def pty(task):
    yield from commands(task, "-tt")


@measure
def output(task):
    with held(task) as mux:

        def work():
            command = ["ssh", *mux, task["address"], PRINT]
            assert len(subprocess.run(command, stdout=subprocess.PIPE).stdout) == OUTPUT * 1_000_000
            return OUTPUT

        yield work


def copies(task, batch, target, units):
    with held(task) as mux:

        def work():
            subprocess.run(
                ["sftp", "-q", *mux, "-b", "-", task["address"]],
                input=batch.encode(),
                check=True,
                stdout=subprocess.DEVNULL,
            )
            if os.path.isfile(target):
                os.remove(target)
            return units

        yield work, partial(shutil.rmtree, target, ignore_errors=True)


@measure
def put(task):
    target = f"{task['directory']}/put-openssh"
    yield from copies(task, f"put {task['big']} {target}\n", target, BIG)


@measure
def get(task):
    target = f"{task['directory']}/get-openssh"
    yield from copies(task, f"get {task['big']} {target}\n", target, BIG)


@measure
def put_small(task):
    target = f"{task['directory']}/put-small-openssh"
    yield from copies(task, f"mkdir {target}\nput -r {task['small']} {target}\n", target, 1)


@measure
def get_small(task):
    target = f"{task['directory']}/get-small-openssh"
    yield from copies(task, f"get -r {task['small']} {target}\n", target, 1)


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
