"""pyinfra: its API, as its documentation has it. It has nothing for terminals and large output."""

import gevent.monkey

gevent.monkey.patch_all()

from pyinfra.api import Config, Inventory, State  # noqa: E402 - after the patches
from pyinfra.api.connect import connect_all, disconnect_all  # noqa: E402
from sampling import serve_client  # noqa: E402


class Client:
    def __init__(self, task):
        data = {
            "ssh_user": task["user"],
            "ssh_port": task["port"],
            "ssh_key": task["key"],
            "ssh_known_hosts_file": task["known_hosts"],
            "ssh_strict_host_key_checking": "yes",
        }
        self.state = State(Inventory(([(task["address"], data)], {})), Config())
        connect_all(self.state)
        self.host = self.state.inventory.get_host(task["address"])

    def command(self):
        assert self.host.run_shell_command("true")[0]

    def close(self):
        disconnect_all(self.state)


serve_client(Client)
