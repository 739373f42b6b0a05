"""paramiko, tuned: the limit that the others are compared with."""

import io
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor

import tuned
from sampling import OUTPUT, PRINT, serve_client

_CHUNK = 256 * 1024


class Client:
    def __init__(self, task):
        self.transport = tuned.connect(task, task["address"])
        self.close = self.transport.close

    def open(self):
        return self.transport.open_session()

    def command(self):
        tuned.run(self.open(), "true")

    def command_in_terminal(self):
        channel = self.open()
        channel.get_pty("xterm", 80, 24)
        tuned.run(channel, "true")

    def output(self):
        assert len(tuned.run(self.open(), PRINT).decode()) == OUTPUT * 1_000_000
        return OUTPUT

    def put(self, here, there):
        """As ``cat``, into a file beside the target, which then takes its place."""
        channel = self.open()
        channel.exec_command(f"umask 077; cat >{there}.tmp && mv {there}.tmp {there}")
        with open(here, "rb") as file:
            while data := file.read(_CHUNK):
                channel.sendall(data)
        channel.shutdown_write()
        assert channel.recv_exit_status() == 0

    def get(self, there, here):
        channel = self.open()
        channel.exec_command(f"cat {there}")
        with open(here, "wb") as file:
            while data := channel.recv(_CHUNK):
                file.write(data)
        assert channel.recv_exit_status() == 0

    def put_directory(self, here, there):
        channel = self.open()
        channel.exec_command(f"mkdir {there}; tar -xf - -C {there}")
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.add(here, ".")
        channel.sendall(packed.getbuffer())
        channel.shutdown_write()
        assert channel.recv_exit_status() == 0

    def get_directory(self, there, here):
        packed = tuned.run(self.open(), f"tar -cf - -C {there} .")
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(here, filter="data")


class FarClient(Client):
    """While a command runs, the channel of the next one is opened."""

    def __init__(self, task):
        super().__init__(task)
        self.pool = ThreadPoolExecutor(1)
        self.next = self.pool.submit(self.open)

    def command(self):
        channel = self.next.result()
        self.next = self.pool.submit(self.open)
        tuned.run(channel, "true")


serve_client(FarClient if sys.argv[2] == "distant" else Client)
