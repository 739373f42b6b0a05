"""The world of the tests is one: real users and servers, and nothing of it outside."""

from __future__ import annotations

import pwd
import socket
import subprocess
from pathlib import Path

from waiting import until
from world import PASSWORD, Server, World, free_port


def test_users_log_in_over_ssh(world: World, sshd: Server) -> None:
    options = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null")
    printed = subprocess.run(
        [
            *("ssh", "-F", "/dev/null", "-i", world.key_filename, "-p", str(sshd.port)),
            *(word for option in options for word in ("-o", option)),
            *(f"deploy@{sshd.address}", "id -un; pwd"),
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert printed == "deploy\n/home/deploy\n"


def test_sudo_takes_the_password_of_a_user_who_may(world: World) -> None:
    sudo = ["sudo", "-S", "-p", "", "id", "-un"]
    assert world.run(sudo, user="deploy", input=f"{PASSWORD}\n") == "root\n"
    assert world.run(["sudo", "-n", "id", "-un"], user="nopass") == "root\n"
    assert world.run(["sudo", "-n", "id", "-un"], user="deploy", check=False) == ""
    assert world.run(sudo, user="nosudo", input=f"{PASSWORD}\n", check=False) == ""


def test_nothing_of_it_is_outside(world: World) -> None:
    world.run(["sh", "-c", "echo x >/etc/of-the-world; echo x >/usr/bin/of-the-world"])
    world.run(["touch", "of-the-world", "/tmp/of-the-world"], user="deploy")
    assert world.run(["ls", "/tmp/of-the-world", "/etc/of-the-world"])
    for path in ("/etc/of-the-world", "/usr/bin/of-the-world", "/tmp/of-the-world"):
        assert not Path(path).exists()
    world.run(["useradd", "of-the-world"])
    assert world.run(["id", "-un", "of-the-world"]) == "of-the-world\n"
    assert "of-the-world" not in {entry.pw_name for entry in pwd.getpwall()}
    assert "of-the-world" not in Path("/proc/mounts").read_text()


def test_no_process_list_shows_the_password(world: World) -> None:
    assert PASSWORD not in subprocess.run(["ps", "axww"], capture_output=True, text=True).stdout


def test_a_server_of_its_own_ends_with_its_block(world: World) -> None:
    with world.serve("MaxSessions 2") as server:
        socket.create_connection((server.address, server.port)).close()
        assert "Server listening" in world.run(["cat", server.log])

    def is_gone() -> bool:
        try:
            socket.create_connection((server.address, server.port)).close()
        except ConnectionRefusedError:
            return True
        return False

    # It was told to end, and on a busy machine takes its time.
    until(is_gone, "the server goes on")


def test_free_ports_can_be_bound() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port()))
