"""Fabric."""

import os

from fabric import Connection
from sampling import serve_client

# It takes the square of the time for more: 100 MB would take minutes.
_OUTPUT = 4


class Client:
    def __init__(self, task):
        options = {"key_filename": task["key"], "look_for_keys": False, "allow_agent": False}
        self.connection = Connection(
            task["address"], task["user"], task["port"], connect_kwargs=options
        )
        self.put = self.connection.put
        self.get = self.connection.get
        self.close = self.connection.close

    def command(self):
        self.connection.run("true", hide=True)

    def command_in_terminal(self):
        self.connection.run("true", hide=True, pty=True)

    def output(self):
        command = f"dd if=/dev/zero bs=1000000 count={_OUTPUT} 2>/dev/null"
        assert len(self.connection.run(command, hide=True).stdout) == _OUTPUT * 1_000_000
        return _OUTPUT

    def put_directory(self, here, there):
        self.connection.run(f"mkdir {there}", hide=True)
        for name in os.listdir(here):
            self.connection.put(f"{here}/{name}", f"{there}/{name}")

    def get_directory(self, there, here):
        for name in self.connection.sftp().listdir(there):
            self.connection.get(f"{there}/{name}", f"{here}/{name}")


serve_client(Client)
