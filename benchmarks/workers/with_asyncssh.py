"""asyncssh, which is no peer on paramiko, but shows what Python can do."""

import asyncio

import asyncssh
from sampling import OUTPUT, PRINT, serve_client

loop = asyncio.new_event_loop()


def wait(awaited):
    return loop.run_until_complete(awaited)


class Client:
    def __init__(self, task):
        self.connection = wait(
            asyncssh.connect(
                task["address"],
                task["port"],
                username=task["user"],
                client_keys=[task["key"]],
                known_hosts=task["known_hosts"],
                encryption_algs=["aes128-gcm@openssh.com"],
                agent_path=None,
                config=[],
            )
        )
        self.kept = None

    @property
    def sftp(self):
        if self.kept is None:
            self.kept = wait(self.connection.start_sftp_client())
        return self.kept

    def close(self):
        self.connection.close()
        wait(self.connection.wait_closed())

    def command(self):
        wait(self.connection.run("true", check=True))

    def command_in_terminal(self):
        wait(self.connection.run("true", check=True, term_type="xterm"))

    def output(self):
        printed = wait(self.connection.run(PRINT, check=True)).stdout
        assert len(printed) == OUTPUT * 1_000_000
        return OUTPUT

    def put(self, here, there):
        wait(self.sftp.put(here, there, recurse=True))

    def get(self, there, here):
        wait(self.sftp.get(there, here, recurse=True))

    put_directory = put
    get_directory = get


serve_client(Client)
