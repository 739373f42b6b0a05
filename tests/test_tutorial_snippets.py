"""Every code block of the tutorial works as it is printed.

The server is at the address in the text: the ssh config of the test leads it to loopback, where the
user and the password of the text exist.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import in_ci
from deployer.host import SSHHost
from deployer.inspection import Inspector
from deployer.node import Env, Node
from deployer.pseudo_terminal import DummyPty
from documents import read_blocks
from tutorial import SETUP, TUTORIAL, execute
from world import Server, World

if not TUTORIAL.exists() and not in_ci():
    pytest.skip(f"the tutorial's text is not at {TUTORIAL}", allow_module_level=True)

BLOCKS = read_blocks(TUTORIAL.read_text(encoding="utf-8"))
PYTHON = [block for block in BLOCKS if block.language in ("", "python")]
SHELL = [block for block in BLOCKS if block.language == "bash"]

# What the blocks are, by what they end with.
FIRST_SCRIPT, SECOND_SCRIPT, THIRD_SCRIPT, REUSABLE, ON_HOST = 0, 4, 11, 16, 17

GIT = {"install_git", "git_clone", "git_checkout"}
PACKAGES = {"install_requirements", "install_package"}
MANAGEMENT = {"run_management_command", "django_shell"}
SERVERS = {"install_gunicorn", "install_supervisord"}
COMPLETE = {
    *(GIT | PACKAGES | MANAGEMENT | SERVERS),
    *("upload_django_settings", "run_gunicorn", "upload_supervisor_config"),
}
REUSABLE_ACTIONS = {
    *(MANAGEMENT | {"setup", "upload_django_settings", "run_gunicorn"}),
    "upload_supervisor_config",
}

# The actions of the node that each block defines.
ACTIONS: list[tuple[str, set[str]]] = [
    ("DjangoDeployment", set()),
    ("DjangoDeployment", GIT),
    ("remote_host", set()),
    ("DjangoDeployment", set()),
    ("DjangoDeployment", GIT),
    ("DjangoDeployment", {"upload_django_settings"}),
    ("DjangoDeployment", PACKAGES),
    ("DjangoDeployment", MANAGEMENT),
    ("DjangoDeployment", SERVERS),
    ("DjangoDeployment", {"run_gunicorn"}),
    ("DjangoDeployment", {"upload_supervisor_config"}),
    ("DjangoDeployment", COMPLETE),
    ("VirtualEnv", PACKAGES | {"setup_env"}),
    ("DjangoDeployment", {"setup"}),
    ("Git", {"install", "clone", "checkout"}),
    ("DjangoDeployment", {"setup"}),
    ("DjangoDeployment", REUSABLE_ACTIONS),
    ("DjangoDeploymentOnHost", REUSABLE_ACTIONS),
]


def defined_by(number: int) -> dict[str, Any]:
    """Execute the blocks up to one, and return the names that are then defined."""
    return execute(PYTHON[: number + 1])


def actions_of(node: type[Node]) -> set[str]:
    return {action.name for action in Inspector(node()).get_actions()}


def test_the_text_has_eighteen_blocks_of_python_and_three_of_shell() -> None:
    assert len(PYTHON) == 18
    assert [block.source for block in SHELL] == [
        "pip install deployer\n",
        "chmod +x deploy.py\n",
        "./deploy.py\n",
    ]


@pytest.mark.parametrize("number", range(18))
def test_a_block_defines_what_it_shows(number: int) -> None:
    name, actions = ACTIONS[number]
    defined = defined_by(number)[name]
    if name == "remote_host":
        assert issubclass(defined, SSHHost)
        assert (defined.address, defined.username) == ("192.168.1.1", "user")
    else:
        assert issubclass(defined, Node)
        assert actions_of(defined) == actions


@pytest.mark.parametrize("number", [3, SECOND_SCRIPT, THIRD_SCRIPT, ON_HOST])
def test_the_hosts_of_a_block_are_the_ones_of_its_node(number: int) -> None:
    defined = defined_by(number)
    env = Env(defined[ACTIONS[number][0]]())
    assert env.hosts.get_hosts_as_dict() == {"host": (defined["remote_host"],)}


def test_a_nested_node_is_an_instance_whose_parent_is_the_outer_one() -> None:
    defined = defined_by(13)
    deployment = defined["DjangoDeployment"]()
    assert isinstance(deployment.virtual_env, defined["VirtualEnv"])
    assert deployment.virtual_env.parent is deployment
    assert deployment.virtual_env.activate_cmd == ". ~/.virtualenvs/project-env//bin/activate"


def test_a_required_property_says_so_until_it_is_overridden() -> None:
    defined = defined_by(REUSABLE)
    with pytest.raises(NotImplementedError, match="location"):
        _ = defined["VirtualEnv"]().location
    assert defined["DjangoDeployment"]().virtual_env.location == "~/.virtualenvs/project-env/"


def test_double_underscores_override_in_the_subclass_only() -> None:
    defined = defined_by(ON_HOST)
    base, subclass = defined["DjangoDeployment"](), defined["DjangoDeploymentOnHost"]()
    assert subclass.virtual_env.location == "~/.virtualenvs/project-env-2/"
    assert subclass.git.project_directory == "~/git/django-project-2"
    assert base.virtual_env.location == "~/.virtualenvs/project-env/"
    assert base.git.project_directory == "~/git/django-project"
    assert isinstance(subclass.git, defined["Git"])
    assert subclass.git.repository == base.git.repository


# On a server.

# What the text supposes to be there: a repository, the directory to clone into, a virtualenv made
# by hand. Its pip and manage.py write down how they were called, and from where.
SUPPOSED = """
set -e
git config --global user.name user
git config --global user.email user@localhost
git config --global init.defaultBranch main
for project in django-project django-project-2; do
    git init -q ~/git/$project
    cd ~/git/$project
    printf '#!/bin/sh\\necho "$PWD $VIRTUAL_ENV manage.py $*" >>~/calls\\n' >manage.py
    chmod +x manage.py
    git add manage.py
    git commit -q -m 'A project'
    git tag v1
    echo second >second
    git add second
    git commit -q -m 'More of it'
done
git clone -q --bare ~/git/django-project ~/example.git
# The address of the repository in the text, as a place on this machine.
git config --global "url.$HOME/example.git.insteadOf" 'git@github.com:example/example.git'
for env in project-env project-env-2; do
    bin=~/.virtualenvs/$env/bin
    mkdir -p $bin
    printf 'export VIRTUAL_ENV=%s PATH=%s:$PATH\\n' $env $bin >$bin/activate
    printf '#!/bin/sh\\necho "$VIRTUAL_ENV pip $*" >>~/calls\\n' >$bin/pip
    chmod +x $bin/pip
done
"""


@pytest.fixture
def server(
    world: World,
    sshd: Server,
    need_program: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    """Be the server of the text: the user and what is supposed to be there, at its address."""
    need_program("git")
    world.run(["userdel", "--remove", "--force", "user"], check=False)
    world.run(["useradd", "--create-home", "--groups", "sudo", "--shell", "/bin/bash", "user"])
    world.run(["chpasswd"], input="user:password\n")
    world.run(["install", "-d", "-o", "user", "/etc/supervisor", "/etc/supervisor/conf.d"])
    world.run(["bash", "-c", SUPPOSED], user="user")
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{sshd.port} {sshd.host_key}\n")
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text(
        f"Host 192.168.1.1\n"
        f"    HostName 127.0.0.1\n"
        f"    Port {sshd.port}\n"
        f"    UserKnownHostsFile {known_hosts}\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    yield world
    world.run(["pkill", "-u", "user"], check=False)
    world.run(["userdel", "--remove", "--force", "user"], check=False)
    # Not the directory: where supervisor is installed, other tests need it as it was.
    world.run(["chown", "root:", "/etc/supervisor", "/etc/supervisor/conf.d"])
    world.run(["rm", "-f", "/etc/supervisor/conf.d/django-project.conf"])


def calls(server: World) -> list[str]:
    """Return what pip and manage.py wrote down."""
    return server.run(["cat", "calls"], user="user").splitlines()


def in_env(node: type[Node]) -> Any:
    return Env(node(), pty=DummyPty())


@pytest.mark.parametrize("number", [SECOND_SCRIPT, THIRD_SCRIPT])
def test_the_git_actions_work_on_the_server(number: int, server: World) -> None:
    deployment = in_env(defined_by(number)["DjangoDeployment"])
    deployment.install_git()
    deployment.git_clone()
    deployment.git_checkout("v1")
    assert "manage.py" in server.run(["ls", "git/django-project/example"], user="user")
    assert "second" not in server.run(["ls", "git/django-project"], user="user").split()


def test_a_hostile_commit_is_no_shell_command(server: World) -> None:
    deployment = in_env(defined_by(SECOND_SCRIPT)["DjangoDeployment"])
    with pytest.raises(Exception, match="did not match any file"):
        deployment.git_checkout("v1'; touch ~/injected; '")
    assert "injected" not in server.run(["ls"], user="user").split()


def test_the_complete_script_works_on_the_server(server: World) -> None:
    defined = defined_by(THIRD_SCRIPT)
    deployment = in_env(defined["DjangoDeployment"])
    deployment.install_requirements()
    deployment.install_gunicorn()
    deployment.install_supervisord()
    deployment.run_management_command("migrate --noinput")
    deployment.django_shell()
    deployment.run_gunicorn()
    project = "/home/user/git/django-project project-env manage.py"
    assert calls(server) == [
        "project-env pip install -r /home/user/git/django-project/requirements.txt",
        "project-env pip install gunicorn",
        "project-env pip install supervisor",
        f"{project} migrate --noinput",
        f"{project} shell",
        f"{project} run_gunicorn",
    ]


def test_the_complete_script_uploads_its_files(server: World) -> None:
    defined = defined_by(THIRD_SCRIPT)
    deployment = in_env(defined["DjangoDeployment"])
    deployment.upload_django_settings()
    deployment.upload_supervisor_config()
    settings = server.run(["cat", "git/django-project/local_settings.py"], user="user")
    assert settings == defined["django_settings"]
    config = server.run(["cat", "/etc/supervisor/conf.d/django-project.conf"])
    assert config == defined["supervisor_config"]


def test_the_reusable_deployment_works_with_its_overrides_on_the_server(server: World) -> None:
    deployment = in_env(defined_by(ON_HOST)["DjangoDeploymentOnHost"])
    deployment.git.install()
    deployment.setup()
    assert "manage.py" in server.run(["ls", "git/django-project-2/example"], user="user")
    assert calls(server) == [
        "project-env-2 pip install gunicorn",
        "project-env-2 pip install supervisor",
        "project-env-2 pip install -r ~/git/django-project/requirements.txt",
    ]


# As a script.


def shell(command: str, directory: Path, answers: str) -> subprocess.CompletedProcess[str]:
    """Run a shell block in a directory, with the Python of the tests as ``python``."""
    environment = os.environ | {
        "PATH": f"{directory / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
    }
    (directory / "bin").mkdir(exist_ok=True)
    # Not a symlink: a virtualenv's Python finds its packages by the path it is called with.
    python = directory / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    return subprocess.run(
        ["bash", "-c", command],
        cwd=directory,
        env=environment,
        input=answers,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )


def as_script(number: int) -> str:
    """Return a script of the text, with the set-up line where it lacks imports."""
    first, rest = PYTHON[number].source.split("\n", 1)
    assert first == "#!/usr/bin/env python"
    return PYTHON[number].source if "import start" in rest else f"{first}\n{SETUP}\n{rest}"


@pytest.mark.parametrize("number", [FIRST_SCRIPT, SECOND_SCRIPT, THIRD_SCRIPT])
def test_a_script_is_made_executable_and_run_as_the_text_says(number: int, tmp_path: Path) -> None:
    (tmp_path / "deploy.py").write_text(as_script(number))
    for block in SHELL[1:]:
        done = shell(block.source, tmp_path, answers="")
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("number", [FIRST_SCRIPT, SECOND_SCRIPT, THIRD_SCRIPT])
def test_a_script_without_its_misprint_opens_a_shell_that_exit_leaves(
    number: int, tmp_path: Path
) -> None:
    source = as_script(number)
    assert "'__main':" in source
    (tmp_path / "deploy.py").write_text(source.replace("'__main':", "'__main__':"))
    done = shell("chmod +x deploy.py && ./deploy.py", tmp_path, answers="ls\nexit\n")
    assert done.returncode == 0, done.stderr
    for action in sorted(ACTIONS[number][1]):
        assert action in done.stdout


def test_an_action_of_the_script_runs_from_its_command_line(server: World, tmp_path: Path) -> None:
    source = as_script(SECOND_SCRIPT).replace("'__main':", "'__main__':")
    (tmp_path / "deploy.py").write_text(source)
    done = shell("chmod +x deploy.py && ./deploy.py run git_checkout v1", tmp_path, answers="")
    assert done.returncode == 0, done.stderr
    assert server.run(["git", "-C", "git/django-project", "describe", "--all"], user="user")
    assert "second" not in server.run(["ls", "git/django-project"], user="user").split()
