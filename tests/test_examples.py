"""The examples, run as programs."""

from __future__ import annotations

import os
import subprocess
import sys
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
