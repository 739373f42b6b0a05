"""The examples, run as programs."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from world import PASSWORD, Server, World

ROOT = Path(__file__).resolve().parent.parent


def run_example(
    name: str, *arguments: str, answers: str = "", check: bool = True, **environment: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / name, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        input=answers,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


def hello(directory: Path, *arguments: str, answers: str = "") -> str:
    return run_example(
        "hello_world.py", *arguments, answers=answers, HELLO_DIRECTORY=str(directory)
    ).stdout


def test_hello_world_publishes_its_page(tmp_path: Path) -> None:
    site = tmp_path / "a site"
    assert hello(site, "run", "deploy") == "Hello, world!\n"
    assert (site / "live" / "index.txt").read_text() == "Hello, world!\n"


def test_hello_world_takes_a_parameter_and_can_go_back(tmp_path: Path) -> None:
    hello(tmp_path, "run", "deploy")
    assert "Hello, reader!" in hello(tmp_path, "run", "deploy", "reader").splitlines()
    assert "Hello, world!" in hello(tmp_path, "run", "roll_back").splitlines()
    assert (tmp_path / "live" / "index.txt").read_text() == "Hello, world!\n"
    assert len(list(tmp_path.iterdir())) == 2


def test_hello_world_runs_in_its_shell(tmp_path: Path) -> None:
    assert "Hello, shell!" in hello(tmp_path, answers="deploy shell\nexit\n").splitlines()


# What Django's example needs of a server is shown by the slow test that deploys a real project;
# here it is that the environment reaches it, and what happens when a step fails.


@pytest.fixture
def environment(world: World, sshd: Server, tmp_path: Path) -> dict[str, str]:
    config = tmp_path / "ssh_config"
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"[{sshd.address}]:{sshd.port} {sshd.host_key}\n")
    config.write_text(f"Host *\n    UserKnownHostsFile {known_hosts}\n")
    return {
        "DEPLOY_ADDRESS": sshd.address,
        "DEPLOY_PORT": str(sshd.port),
        "DEPLOY_USER": "deploy",
        "DEPLOY_PASSWORD": PASSWORD,
        "DEPLOY_KEY": world.key_filename,
        "DEPLOY_SSH_CONFIG": str(config),
        "DEPLOY_PROJECT": "~/it's a project",
        "DEPLOY_VIRTUALENV": "~/example-env",
    }


def test_the_django_example_uploads_settings_where_the_environment_says(
    world: World, environment: dict[str, str], tmp_path: Path
) -> None:
    settings = tmp_path / "settings.py"
    settings.write_text("GREETING = 'Hello'\n")
    world.run(["mkdir", "-p", "it's a project"], user="deploy")
    run_example(
        "django_deployment.py",
        *("run", "upload_django_settings"),
        **environment,
        DEPLOY_SETTINGS=str(settings),
    )
    written = world.run(["cat", "it's a project/local_settings.py"], user="deploy")
    assert written == "GREETING = 'Hello'\n"


def test_a_failing_step_of_the_django_example_ends_it_and_says_what_failed(
    environment: dict[str, str],
) -> None:
    environment["DEPLOY_REPOSITORY"] = "/no/such/repository"
    done = run_example("django_deployment.py", "run", "setup", check=False, **environment)
    assert done.returncode != 0
    assert "/no/such/repository" in done.stderr
    assert "Traceback" not in done.stderr
    assert PASSWORD not in done.stdout + done.stderr


def test_nested_steps_of_the_django_example_run_by_their_path(
    environment: dict[str, str],
) -> None:
    arguments = ("run", "--path", "git", "checkout", "main")
    done = run_example("django_deployment.py", *arguments, check=False, **environment)
    assert done.returncode != 0
    assert "git checkout" in done.stderr


UPGRADES = """
    {python} {examples}/rolling_upgrade.py run -q web.upgrade v1
    {python} {examples}/use_as_library.py v2
    {python} {examples}/rolling_upgrade.py run -q balancer.show
    {python} {examples}/rolling_upgrade.py run -q web.stop
"""


@pytest.mark.machine
def test_a_rolling_upgrade_runs_on_this_machine_and_so_does_the_program_that_uses_it(
    need_program: Callable[[str], str], tmp_path: Path
) -> None:
    need_program("ss")
    # Its servers have fixed ports, so that they get a network of their own.
    network = ["unshare", "--net", "sh", "-ec", 'ip link set lo up && eval "$1"', "sh"]
    script = UPGRADES.format(python=shlex.quote(sys.executable), examples=ROOT / "examples")
    if subprocess.run([*network, "true"], capture_output=True).returncode:
        pytest.skip("no network of its own can be made here")
    done = subprocess.run(
        [*network, script.replace("\n", ";").strip("; ")],
        env=os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.endswith(": v2")] == [f"web{n}: v2" for n in range(1, 9)]
    assert sum(line.startswith("server ") and "down" not in line for line in lines) == 8


def test_the_web_system_shows_its_tree() -> None:
    tree = run_example("web_system.py", "tree").stdout
    assert "staging (staging; web: staging1" in tree
    assert "production (production; balancer: lb1; web: web[1-2]" in tree
