"""pyinfra: its API, as its documentation has it."""

import gevent.monkey

gevent.monkey.patch_all()

from pyinfra.api import Config, Inventory, State  # noqa: E402 - after the patches
from pyinfra.api.connect import connect_all, disconnect_all  # noqa: E402
from sampling import COMMANDS, measure, serve  # noqa: E402


def make(task):
    data = {
        "ssh_user": task["user"],
        "ssh_port": task["port"],
        "ssh_key": task["key"],
        "ssh_known_hosts_file": task["known_hosts"],
        "ssh_strict_host_key_checking": "yes",
    }
    state = State(Inventory(([(task["address"], data)], {})), Config())
    connect_all(state)
    return state, state.inventory.get_host(task["address"])


@measure
def connect(task):
    def work():
        state, host = make(task)
        assert host.run_shell_command("true")[0]
        disconnect_all(state)
        return 1

    work()
    yield work


@measure
def command(task):
    state, host = make(task)

    def work():
        for _ in range(COMMANDS):
            assert host.run_shell_command("true")[0]
        return COMMANDS

    yield work
    disconnect_all(state)


serve({"connect": connect, "command": command, "distant": command})
