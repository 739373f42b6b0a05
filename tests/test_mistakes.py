"""What a new user gets wrong in a script, and the one message each mistake gives."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from terminals import run_script
from world import PASSWORD, Server, World

pytestmark = pytest.mark.machine

ROOT = Path(__file__).resolve().parent.parent

BASE = """\
from deployer.client import start
from deployer.host import LocalHost, SSHHost
from deployer.node import Node, required_property

class web(LocalHost):
    pass

class db(LocalHost):
    pass

class Git(Node):
    project_directory = required_property("Where the clone is")

    def pull(self):
        with self.host.cd(self.project_directory):
            self.host.run("git pull")

class Site(Node):
    class Hosts:
        host = web

    class git(Git):
        pass

    def restart(self):
        self.host.run("true")

    def make(self):
        self.host.run("echo 'No rule to make' >&2; exit 2")

    def install(self):
        self.host.sudo("true")

"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that appends a class to the script above, and runs it."""

    def run(body: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        script = tmp_path / "deploy.py"
        script.write_text(f"{BASE}class Mine(Site):\n    {body}\n\nstart(Mine)\n")
        return subprocess.run(
            [sys.executable, script, *arguments],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )

    return run


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "gti__project_directory = '~/site'",
            r"Mine\.gti__project_directory .* did you mean git__project_directory\?",
        ),
        (
            "git__project_direcotry = '~/site'",
            r"Mine\.git__project_direcotry .* did you mean git__project_directory\?",
        ),
        (
            "class Hosts: host = 'web.example.com'",
            r"Mine\.Hosts: role 'host': 'web.example.com' is no Host class; give a subclass",
        ),
        ("host = web", r"Mine\.host cannot be defined"),
    ],
)
def test_a_class_that_cannot_be_made_names_the_attribute_and_what_to_write(
    body: str, message: str, run: Run
) -> None:
    done = run(body, "run", "restart")
    assert done.returncode == 1
    assert re.search(rf"^NodeDefinitionError: {message}", done.stderr)
    assert re.search(r"\n  at .*/deploy\.py:\d+ in <module>\n$", done.stderr)
    assert "Traceback" not in done.stderr


def test_what_is_no_node_cannot_be_started(tmp_path: Path) -> None:
    script = tmp_path / "deploy.py"
    script.write_text("from deployer.client import start\nstart(1)\n")
    done = run_script(script)
    assert done.returncode == 1
    assert done.stderr == (
        f"NodeUsageError: start() takes a Node class; it was given 1\n  at {script}:2 in <module>\n"
    )


def test_a_fault_that_is_not_about_nodes_is_pythons_to_show(tmp_path: Path) -> None:
    script = tmp_path / "deploy.py"
    script.write_text("from deployer.client import start\n1 / 0\n")
    done = run_script(script)
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_somebodys_own_hook_for_uncaught_errors_is_left_alone(tmp_path: Path) -> None:
    script = tmp_path / "deploy.py"
    script.write_text(
        "import sys\nsys.excepthook = lambda *error: print('mine')\n"
        "from deployer.client import start\nstart(1)\n"
    )
    assert run_script(script).stdout == "mine\n"


@pytest.mark.parametrize(
    ("body", "arguments", "message"),
    [
        ("Hosts = None", ["restart"], r"there are no hosts: nest a class Hosts in Mine"),
        (
            "class Hosts: host = (web, db)",
            ["restart"],
            r"Mine has 2 hosts \(web, db\).*self\.hosts",
        ),
        (
            "class Hosts: host = type('remote', (SSHHost,), {'address': None})",
            ["restart"],
            r"remote: the host has no address: set `address`",
        ),
        (
            "class Hosts: host = type('remote', (SSHHost,), {'address': 'x.invalid'})",
            ["restart"],
            r"remote: there is no host 'x.invalid'.*check `address`",
        ),
        (
            "class Hosts: host = type('remote', (SSHHost,), {'address': '127.0.0.1', 'port': 1})",
            ["restart"],
            r"remote: cannot connect to 127.0.0.1 port 1: Connection refused; check",
        ),
        ("pass", ["make"], r"host +web\n(.*\n)*.* 2\n.*No rule to make"),
        ("pass", ["restrat"], r"'restrat'.*restart"),
        ("pass", ["restart", "now"], r"^restart: too many positional arguments"),
    ],
)
def test_a_mistake_while_running_is_one_message_without_a_traceback(
    body: str, arguments: list[str], message: str, run: Run
) -> None:
    done = run(body, "run", *arguments)
    assert done.returncode in (1, 2, 4)
    assert re.search(message, done.stderr)
    assert "Traceback" not in done.stderr


def test_a_required_property_that_has_no_value_is_named(run: Run) -> None:
    done = run("pass", "run", "--path", "git", "pull")
    assert done.returncode == 1
    assert re.search(r"Mine\.git.*needs the property 'project_directory'", done.stderr)
    assert str(ROOT / "deployer") not in done.stderr


def host_of(server: Server, tmp_path: Path, **attributes: str | None) -> str:
    """Return the body of a class with the server as its host."""
    (tmp_path / "known_hosts").write_text(f"[{server.address}]:{server.port} {server.host_key}\n")
    (tmp_path / "config").write_text(
        f"Host *\n  UserKnownHostsFile {tmp_path}/known_hosts\n  IdentityFile /nowhere\n"
        f"  IdentitiesOnly yes\n  Port {server.port}\n"
    )
    settings = {
        "address": server.address,
        "username": "deploy",
        "config_filename": f"{tmp_path}/config",
    }
    return f"class Hosts: host = type('remote', (SSHHost,), {settings | attributes!r})"


def test_a_wrong_password_for_the_server_says_who_was_refused(
    sshd: Server, tmp_path: Path, run: Run
) -> None:
    done = run(host_of(sshd, tmp_path, password="wr0ng secret"), "run", "restart")
    assert done.returncode == 4
    assert re.search(r"remote: .*deploy.*`?password", done.stderr)
    assert "Traceback" not in done.stderr
    assert "wr0ng secret" not in done.stdout + done.stderr


def test_a_wrong_password_for_sudo_says_what_to_correct(
    world: World, sshd: Server, tmp_path: Path, run: Run
) -> None:
    attributes = {"key_filename": world.key_filename, "password": "wr0ng secret"}
    done = run(host_of(sshd, tmp_path, **attributes), "run", "install")
    assert done.returncode == 1
    assert re.search(
        r"remote: sudo refused the password of deploy.*correct `password`", done.stderr
    )
    assert "Traceback" not in done.stderr
    assert "wr0ng secret" not in done.stdout + done.stderr


def test_the_right_password_is_enough(sshd: Server, tmp_path: Path, run: Run) -> None:
    done = run(host_of(sshd, tmp_path, password=PASSWORD), "run", "install")
    assert (done.returncode, done.stdout) == (0, "")
    assert PASSWORD not in done.stderr
