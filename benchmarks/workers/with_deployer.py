"""deployer."""

from sampling import OUTPUT, PRINT, serve_client

from deployer.host import SSHHost
from deployer.pseudo_terminal import DummyPty


class Client:
    def __init__(self, task):
        class Server(SSHHost):
            address = task["address"]
            port = task["port"]
            username = task["user"]
            key_filename = task["key"]
            config_filename = task["ssh_config"]
            reject_unknown_hosts = True

        # The terminal of a program: nobody reads it.
        self.host = Server(DummyPty(keeps_output=False))
        self.put = self.host.put_file
        self.get = self.host.get_file
        self.put_directory = self.host.put_dir
        self.get_directory = self.host.get_dir
        self.close = self.host.close_connection

    def command(self):
        self.host.run("true", interactive=False)

    def command_in_terminal(self):
        self.host.run("true", interactive=True)

    def output(self):
        assert len(self.host.run(PRINT, interactive=False)) == OUTPUT * 1_000_000
        return OUTPUT


serve_client(Client)
