"""paramiko as its documentation shows it."""

import os

import paramiko
from sampling import OUTPUT, PRINT, serve_client


class Client:
    def __init__(self, task):
        self.client = paramiko.SSHClient()
        self.client.load_host_keys(task["known_hosts"])
        self.client.connect(task["address"], task["port"], task["user"], key_filename=task["key"])
        self.close = self.client.close
        self.kept = None

    @property
    def sftp(self):
        if self.kept is None:
            self.kept = self.client.open_sftp()
        return self.kept

    def command(self, get_pty=False):
        _, stdout, _ = self.client.exec_command("true", get_pty=get_pty)
        stdout.read()
        assert stdout.channel.recv_exit_status() == 0

    def command_in_terminal(self):
        self.command(get_pty=True)

    def output(self):
        assert len(self.client.exec_command(PRINT)[1].read()) == OUTPUT * 1_000_000
        return OUTPUT

    def put(self, here, there):
        self.sftp.put(here, there)

    def get(self, there, here):
        self.sftp.get(there, here)

    def put_directory(self, here, there):
        self.sftp.mkdir(there)
        for name in os.listdir(here):
            self.sftp.put(f"{here}/{name}", f"{there}/{name}")

    def get_directory(self, there, here):
        os.mkdir(here)
        for name in self.sftp.listdir(there):
            self.sftp.get(f"{there}/{name}", f"{here}/{name}")


serve_client(Client)
