"""Users of a server, made by the real useradd, who log in with their keys."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.contrib.nodes.user import User
from deployer.exceptions import ActionException, NoInput
from deployer.host import LocalHost, SSHHost
from ready_made import Messages, node_on
from terminals import open_terminal
from waiting import until
from world import World

pytestmark = pytest.mark.machine

NAME = "made-by-test"
KEYS = f"/home/{NAME}/.ssh/authorized_keys"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE6DMVnEEbVYk1RlV6RN5a8yQoPnnsHqKNcTyQ5yqVLf"
OTHER = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7 other"


@pytest.fixture(autouse=True)
def _no_user_is_left(world: World) -> Iterator[None]:
    yield
    world.run(["userdel", "--force", "--remove", NAME], check=False)


@pytest.fixture
def public_key(world: World) -> str:
    """Return the line of the key that the tests log in with."""
    command = ["ssh-keygen", "-y", "-f", world.key_filename]
    return subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout.strip()


def state(world: World) -> str:
    files = ["/etc/passwd", "/etc/group", "/etc/shadow", f"/home/{NAME}/.ssh", KEYS]
    return world.run(["stat", "-c", "%n %a %U:%G %i %Z", *files])


def write_keys(world: World, text: str) -> None:
    script = 'mkdir -p "${1%/*}" && chmod 755 "${1%/*}" && cat >"$1"'
    world.run(["runuser", "-u", NAME, "--", "sh", "-c", script, "sh", KEYS], input=text)


def test_a_user_is_made_once_and_logs_in(
    world: World,
    admin_host: type[SSHHost],
    new_ssh_host: Callable[..., type[SSHHost]],
    public_key: str,
) -> None:
    messages = Messages()
    node = node_on(
        admin_host,
        User,
        logger=messages,
        username=NAME,
        shell="/bin/sh",
        groups=["games", "users"],
        authorized_keys=f"# ours\n{public_key}\n\n{KEY} it's $HOME é\n",
    )
    assert not node.exists()
    changes = node.setup()
    assert changes == (f"made the user {NAME}", f"wrote the authorized_keys of {NAME}")
    assert messages.texts == [f"Remote | {change}" for change in changes]
    assert node.exists()
    assert world.run(["cat", KEYS]) == f"{public_key}\n{KEY} it's $HOME é\n"

    before = state(world)
    assert f".ssh 700 {NAME}:{NAME}" in before
    assert f"authorized_keys 600 {NAME}:{NAME}" in before
    assert not node.setup()
    assert state(world) == before

    there = new_ssh_host(NAME, name="There", password=None)
    assert there().run('echo "$SHELL"; id -nG').split() == ["/bin/sh", NAME, "games", "users"]
    there.close_connection()
    until(lambda: not world.run(["pgrep", "-u", NAME], check=False))

    assert node.remove(with_home=True, confirmed=True)
    assert not node.remove(confirmed=True)
    assert not node.exists()
    assert world.run(["ls", "/home"]).find(NAME) == -1


def test_what_differs_is_changed_and_the_rest_stays(world: World, ssh_host: type[SSHHost]) -> None:
    world.run(["useradd", "-m", "-s", "/bin/sh", "-G", "games", "-c", "A Person", NAME])
    world.run(["runuser", "-u", NAME, "--", "touch", f"/home/{NAME}/kept"])
    node = node_on(
        ssh_host,
        User,
        username=NAME,
        shell="/bin/bash",
        home=f"/home/the home of {NAME}",
        groups=["games", "users"],
    )
    assert node.setup() == (
        f"changed the user {NAME}: --home '/home/the home of {NAME}' --move-home "
        "--shell /bin/bash --append --groups users",
    )
    assert world.run(["id", "-nG", NAME]).split() == [NAME, "games", "users"]
    assert world.run(["ls", f"/home/the home of {NAME}/kept"])
    assert ":A Person:" in world.run(["getent", "passwd", NAME])
    assert not node.setup()


def test_a_user_of_the_system_has_no_home(world: World, ssh_host: type[SSHHost]) -> None:
    node = node_on(ssh_host, User, username=NAME, system=True)
    assert node.setup()
    assert int(world.run(["id", "-u", NAME])) < 1000
    assert world.run(["sh", "-c", f"ls -d /home/{NAME} || true"]) == ""
    assert not node.setup()


def test_keys_get_their_options_and_those_of_others_stay(
    world: World, ssh_host: type[SSHHost]
) -> None:
    world.run(["useradd", "-m", NAME])
    kept = f"# those of others\n\n{OTHER}\nno key at all\n"
    write_keys(world, f'{kept}command="a ssh-rsa AAAA b" {KEY} old\n{KEY} again')
    line = f'from="192.0.2.0/24",command="echo \\"a  b\\" # $HOME",no-pty {KEY} the new one'
    attributes: dict[str, Any] = {"username": NAME, "authorized_keys": f"{line}\n"}
    node = node_on(ssh_host, User, **attributes)
    assert node.setup() == (f"wrote the authorized_keys of {NAME}",)
    assert world.run(["cat", KEYS]) == f"{kept}{line}\n"
    assert not node.setup()

    exclusive = node_on(ssh_host, User, **attributes, exclusive_keys=True)
    assert exclusive.setup()
    assert world.run(["cat", KEYS]) == f"{line}\n"
    assert not exclusive.setup()

    world.run(["chmod", "644", KEYS])
    assert node.setup()
    assert f"authorized_keys 600 {NAME}" in state(world)
    assert world.run(["ls", "-A", f"/home/{NAME}/.ssh"]) == "authorized_keys\n"


def test_root_follows_no_symlink_of_the_user(world: World, admin_host: type[SSHHost]) -> None:
    world.run(["useradd", "-m", NAME])
    write_keys(world, "")
    world.run(["sh", "-c", f"echo precious >/etc/precious && ln -sf /etc/precious {KEYS}"])
    with pytest.raises(ActionException, match="Permission denied"):
        node_on(admin_host, User, username=NAME, authorized_keys=[KEY]).setup()
    assert world.run(["cat", "/etc/precious"]) == "precious\n"


def test_the_home_directory_and_the_context_may_be_any(
    world: World, ssh_host: type[SSHHost]
) -> None:
    attributes: dict[str, Any] = {"username": NAME, "authorized_keys": [KEY]}
    node = node_on(ssh_host, User, home=f"/home/{NAME}/", **attributes)
    world.run(["useradd", "-m", NAME])
    world.run(["chmod", "g+s", f"/home/{NAME}"])
    world.run(["install", "-d", "-m", "700", "/home/deploy/private"])
    with node.host.cd("/home/deploy/private"):
        assert node.setup() == (f"wrote the authorized_keys of {NAME}",)
        assert node.setup() == ()
    assert f".ssh 2700 {NAME}" in state(world)
    world.run(["rmdir", "/home/deploy/private"])


def test_nobody_has_to_end_the_input_at_a_terminal(world: World, ssh_host: type[SSHHost]) -> None:
    with open_terminal() as terminal:
        attributes = {"username": NAME, "authorized_keys": [KEY]}
        node = node_on(ssh_host, User, pty=terminal.pty, **attributes)
        thread = threading.Thread(target=node.setup, daemon=True)
        thread.start()
        until(lambda: not thread.is_alive())
    assert world.run(["cat", KEYS]) == f"{KEY}\n"


def test_root_needs_no_sudo_to_write_the_keys(
    world: World, new_ssh_host: Callable[..., type[SSHHost]]
) -> None:
    node = node_on(new_ssh_host("root"), User, username=NAME, authorized_keys=[KEY])
    world.run(["mv", "/usr/bin/sudo", "/usr/bin/no-sudo"])
    try:
        assert node.setup()[1:] == (f"wrote the authorized_keys of {NAME}",)
        assert node.setup() == ()
    finally:
        world.run(["mv", "/usr/bin/no-sudo", "/usr/bin/sudo"])


def test_keys_log_in_where_nobody_asks_pam(
    world: World,
    ssh_host: type[SSHHost],
    new_ssh_host: Callable[..., type[SSHHost]],
    public_key: str,
) -> None:
    node_on(ssh_host, User, username=NAME, shell="/bin/sh", authorized_keys=public_key).setup()
    with world.serve("UsePAM no") as server:
        there = new_ssh_host(NAME, server, name="There", password=None)
        assert there().run("id -un") == f"{NAME}\n"
        there.close_connection()
    until(lambda: not world.run(["pgrep", "-u", NAME], check=False))


def test_it_is_asked_before_a_user_is_removed(world: World, ssh_host: type[SSHHost]) -> None:
    world.run(["useradd", "-m", NAME])
    node = node_on(ssh_host, User, username=NAME)
    with pytest.raises(ActionException, match=f"Remove the user {NAME} from Remote") as caught:
        node.remove()
    assert isinstance(caught.value.inner_exception, NoInput)
    with open_terminal() as terminal:
        asking = node_on(ssh_host, User, pty=terminal.pty, username=NAME)
        terminal.type("no\n")
        assert not asking.remove()
        assert node.exists()
        terminal.type("yes\n")
        assert asking.remove() == (f"removed the user {NAME}",)
    assert not node.exists()
    world.run(["rm", "-r", f"/home/{NAME}"])


def test_a_sandbox_tells_what_it_would_change(world: World, ssh_host: type[SSHHost]) -> None:
    messages = Messages()
    attributes: dict[str, Any] = {"username": NAME, "shell": "/bin/sh", "authorized_keys": [KEY]}
    node = node_on(ssh_host, User, logger=messages, is_sandbox=True, **attributes)
    assert node.setup() == (f"made the user {NAME}", f"wrote the authorized_keys of {NAME}")
    assert all(text.endswith("(sandbox)") for text in messages.texts)
    assert not node.exists()
    # And where the user is there already.
    assert node_on(ssh_host, User, username=NAME, shell="/bin/bash").setup()
    assert len(node.setup()) == 2
    assert "bash" in world.run(["getent", "passwd", NAME])


@pytest.mark.parametrize(
    "attributes",
    [
        {"username": "-r"},
        {"username": "two words"},
        {"username": "root:x"},
        {"username": "0"},
        {"groups": ["a,b"]},
        {"authorized_keys": ["ssh-ed25519"]},
        {"authorized_keys": [f"{KEY}\n{OTHER}"]},
        {"authorized_keys": [f'command="open {KEY}']},
    ],
)
def test_what_cannot_be_meant_is_refused(attributes: dict[str, Any]) -> None:
    node = node_on(LocalHost, User, is_sandbox=True, **{"username": "nobody-at-all", **attributes})
    with pytest.raises(ActionException) as caught:
        node.setup()
    assert isinstance(caught.value.inner_exception, ValueError)


def test_a_private_key_is_not_shown_when_it_is_refused(world: World) -> None:
    private = Path(world.key_filename).read_text()
    node = node_on(LocalHost, User, username="nobody-at-all", authorized_keys=private)
    with pytest.raises(ActionException, match="line 1 is none of an authorized_keys") as caught:
        node.setup()
    assert private.splitlines()[1] not in str(caught.value)
