"""OpenSSH's own programs: a process for each thing, over one connection that is held."""

import subprocess
import sys

from sampling import OUTPUT, PRINT, serve_client


class Client:
    def __init__(self, task):
        self.address = task["address"]
        self.options = [
            *("-F", task["ssh_config"], "-o", f"Port={task['port']}", "-o", f"User={task['user']}"),
            *("-o", f"IdentityFile={task['key']}", "-o", "IdentitiesOnly=yes"),
            *("-o", "BatchMode=yes", "-o", "KexAlgorithms=curve25519-sha256"),
            *("-o", "Ciphers=aes128-gcm@openssh.com"),
        ]
        self.master = None
        if sys.argv[2] != "connect":
            self.options += ["-o", f"ControlPath={task['directory']}/connection"]
            # It says of each command in a terminal that it has none itself.
            self.master = subprocess.Popen(
                ["ssh", *self.options, "-M", "-N", self.address], stderr=subprocess.DEVNULL
            )
            while not self.is_there():
                assert self.master.poll() is None

    def is_there(self):
        command = ["ssh", *self.options, "-O", "check", self.address]
        return not subprocess.run(command, stderr=subprocess.DEVNULL).returncode

    def close(self):
        if self.master is not None:
            self.master.terminate()
            self.master.wait()

    def run(self, command, *options):
        return subprocess.run(
            ["ssh", *self.options, *options, self.address, command],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ).stdout

    def command(self):
        self.run("true")

    def command_in_terminal(self):
        self.run("true", "-tt")

    def output(self):
        assert len(self.run(PRINT)) == OUTPUT * 1_000_000
        return OUTPUT

    def copy(self, *commands):
        subprocess.run(
            ["sftp", "-q", *self.options, "-b", "-", self.address],
            input="\n".join(commands).encode(),
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def put(self, here, there):
        self.copy(f"put {here} {there}")

    def get(self, there, here):
        self.copy(f"get {there} {here}")

    def put_directory(self, here, there):
        self.copy(f"mkdir {there}", f"put -r {here} {there}")

    def get_directory(self, there, here):
        self.copy(f"get -r {there} {here}")


serve_client(Client)
