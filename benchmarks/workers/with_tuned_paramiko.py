"""paramiko, tuned: the limit that the others are compared with."""

import io
import os
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import tuned
from sampling import BIG, COMMANDS, OUTPUT, PRINT, measure, serve

CHUNK = 256 * 1024


@measure
def connect(task):
    def work():
        transport = tuned.connect(task, task["address"])
        tuned.run(transport.open_session(), "true")
        transport.close()
        return 1

    work()
    yield work


@measure
def command(task):
    transport = tuned.connect(task, task["address"])

    def work():
        for _ in range(COMMANDS):
            tuned.run(transport.open_session(), "true")
        return COMMANDS

    yield work
    transport.close()


@measure
def distant(task):
    """While a command runs, the channel of the next one is opened."""
    transport = tuned.connect(task, task["address"])
    with ThreadPoolExecutor(1) as pool:
        following = [pool.submit(transport.open_session)]

        def work():
            for _ in range(COMMANDS):
                channel = following.pop().result()
                following.append(pool.submit(transport.open_session))
                tuned.run(channel, "true")
            return COMMANDS

        yield work
    transport.close()


@measure
def pty(task):
    transport = tuned.connect(task, task["address"])

    def work():
        for _ in range(COMMANDS):
            channel = transport.open_session()
            channel.get_pty("xterm", 80, 24)
            tuned.run(channel, "true")
        return COMMANDS

    yield work
    transport.close()


@measure
def output(task):
    transport = tuned.connect(task, task["address"])

    def work():
        printed = tuned.run(transport.open_session(), PRINT).decode()
        assert len(printed) == OUTPUT * 1_000_000
        return OUTPUT

    yield work
    transport.close()


@measure
def put(task):
    """As ``cat``, into a file beside the target, which then takes its place."""
    transport = tuned.connect(task, task["address"])
    target = f"{task['directory']}/put-tuned"

    def work():
        channel = transport.open_session()
        channel.exec_command(f"umask 077; cat >{target}.tmp && mv {target}.tmp {target}")
        with open(task["big"], "rb") as file:
            while data := file.read(CHUNK):
                channel.sendall(data)
        channel.shutdown_write()
        assert channel.recv_exit_status() == 0
        assert os.path.getsize(target) == os.path.getsize(task["big"])
        os.remove(target)
        return BIG

    yield work
    transport.close()


@measure
def get(task):
    transport = tuned.connect(task, task["address"])
    target = f"{task['directory']}/get-tuned"

    def work():
        channel = transport.open_session()
        channel.exec_command(f"cat {task['big']}")
        with open(f"{target}.tmp", "wb") as file:
            while data := channel.recv(CHUNK):
                file.write(data)
        assert channel.recv_exit_status() == 0
        os.rename(f"{target}.tmp", target)
        assert os.path.getsize(target) == os.path.getsize(task["big"])
        os.remove(target)
        return BIG

    yield work
    transport.close()


@measure
def put_small(task):
    transport = tuned.connect(task, task["address"])
    target = f"{task['directory']}/put-small-tuned"

    def work():
        channel = transport.open_session()
        channel.exec_command(f"mkdir {target}; tar -xf - -C {target}")
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.add(task["small"], ".")
        channel.sendall(packed.getbuffer())
        channel.shutdown_write()
        assert channel.recv_exit_status() == 0
        return 1

    yield work, partial(shutil.rmtree, target, ignore_errors=True)
    transport.close()


@measure
def get_small(task):
    transport = tuned.connect(task, task["address"])
    target = f"{task['directory']}/get-small-tuned"

    def work():
        packed = tuned.run(transport.open_session(), f"tar -cf - -C {task['small']} .")
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(target, filter="data")
        return 1

    yield work, partial(shutil.rmtree, target, ignore_errors=True)
    transport.close()


serve(
    {
        "connect": connect,
        "command": command,
        "distant": distant,
        "pty": pty,
        "output": output,
        "put": put,
        "get": get,
        "put_small": put_small,
        "get_small": get_small,
    }
)
