"""parallel-ssh: its client for one host, on libssh2. It has nothing for many files."""

from pssh.clients import SSHClient
from sampling import OUTPUT, serve_client


class Client:
    def __init__(self, task):
        self.client = SSHClient(
            task["address"],
            user=task["user"],
            port=task["port"],
            pkey=task["key"],
            allow_agent=False,
            identity_auth=False,
        )
        self.put = self.client.copy_file
        self.get = self.client.copy_remote_file
        self.close = self.client.disconnect

    def run(self, command, **options):
        found = self.client.run_command(command, **options)
        lines = list(found.stdout)
        self.client.wait_finished(found)
        assert found.exit_code == 0
        return lines

    def command(self):
        self.run("true")

    def command_in_terminal(self):
        self.run("true", use_pty=True)

    def output(self):
        # It gives lines only.
        lines = self.run(f"yes {'x' * 99} | head -c {OUTPUT}000000")
        assert len(lines) == OUTPUT * 10_000
        return OUTPUT


serve_client(Client)
