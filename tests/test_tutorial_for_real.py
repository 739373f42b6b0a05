"""The tutorial's deployment, from an empty home directory to a page in a browser."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from world import PASSWORD, Server, World, free_port

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "django_deployment.py"

# A small Django project: it answers with a page that only a deployed one can give, since the
# greeting comes from local_settings.py, and the number from a table that `migrate` makes.
PROJECT = {
    "requirements.txt": "django\n",
    "manage.py": """\
#!/usr/bin/env python
import os, sys
from django.core.management import execute_from_command_line
os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
execute_from_command_line(sys.argv)
""",
    "project/__init__.py": "",
    "project/settings.py": """\
from pathlib import Path
SECRET_KEY = "for a test"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth"]
ROOT_URLCONF = "project.urls"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": Path(__file__).parent / "db.sqlite3",
    }
}
from local_settings import *
""",
    "project/urls.py": """\
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.urls import path

def page(request):
    return HttpResponse(f"{settings.GREETING} {User.objects.count()} users.")

urlpatterns = [path("", page)]
""",
    "project/wsgi.py": """\
import os
from django.core.wsgi import get_wsgi_application
os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
application = get_wsgi_application()
""",
}

MAKE_REPOSITORY = """
set -e
cd ~/source
chmod +x manage.py
git init -q -b main
git -c user.name=x -c user.email=x@localhost add .
git -c user.name=x -c user.email=x@localhost commit -q -m 'A project'
git clone -q --bare ~/source ~/site.git
rm -r ~/source
"""


@pytest.fixture
def repository(world: World, need_program: Callable[[str], str]) -> str:
    """Make a bare repository with the project, on the server."""
    need_program("git")
    for name, content in PROJECT.items():
        script = 'mkdir -p "$(dirname "$1")" && cat >"$1"'
        world.run(["sh", "-c", script, "sh", f"source/{name}"], user="deploy", input=content)
    world.run(["bash", "-c", MAKE_REPOSITORY], user="deploy")
    return f"{world.home('deploy')}/site.git"


@pytest.fixture
def deploy(
    world: World, sshd: Server, repository: str, tmp_path: Path
) -> Iterator[Callable[..., str]]:
    """Return a function that runs the example's command line against the server."""
    (tmp_path / "known_hosts").write_text(f"[{sshd.address}]:{sshd.port} {sshd.host_key}\n")
    (tmp_path / "ssh_config").write_text(f"Host *\n  UserKnownHostsFile {tmp_path}/known_hosts\n")
    (tmp_path / "settings.py").write_text(
        "GREETING = 'Deployed for real, with'\nALLOWED_HOSTS = ['*']\nDEBUG = False\n"
    )
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "DEPLOY_ADDRESS": sshd.address,
        "DEPLOY_PORT": str(sshd.port),
        "DEPLOY_USER": "deploy",
        "DEPLOY_PASSWORD": PASSWORD,
        "DEPLOY_SSH_CONFIG": str(tmp_path / "ssh_config"),
        "DEPLOY_KEY": world.key_filename,
        "DEPLOY_REPOSITORY": repository,
        "DEPLOY_SETTINGS": str(tmp_path / "settings.py"),
        "DEPLOY_PROJECT": "~/git/django-project-2",
        "DEPLOY_VIRTUALENV": "~/.virtualenvs/project-env-2",
    }

    def deploy(*arguments: str, **more: str) -> str:
        done = subprocess.run(
            [sys.executable, EXAMPLE, "run", *arguments],
            env=environment | more,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        return done.stdout

    yield deploy
    world.run(["pkill", "-u", "deploy"], check=False)


def get(url: str, seconds: float = 60) -> str:
    """Return a page, as soon as there is a server that answers."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                page: str = response.read().decode()
                return page
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            # supervisord starts gunicorn in the background, and has no way to wait for it.
            time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_tutorial_deploys_a_django_project(world: World, deploy: Callable[..., str]) -> None:
    # The tutorial supposes a virtualenv that was made by hand.
    environment = ".virtualenvs/project-env-2"
    world.run(["/usr/bin/python3", "-m", "venv", environment], user="deploy")
    bind = f"127.0.0.1:{free_port()}"
    page = "Deployed for real, with 0 users."

    deploy("setup", DEPLOY_BIND=bind)
    assert get(f"http://{bind}/") == page

    # The steps by themselves, as the tutorial shows them.
    deploy("--path", "git", "checkout", "main")
    deploy("run_management_command", "check --deploy --fail-level ERROR")
    installed = world.run([f"{environment}/bin/pip", "list"], user="deploy").lower()
    assert {"django", "gunicorn", "supervisor"} <= set(installed.split())

    # What needed sudo belongs to root, and supervisord reads it.
    config = "/etc/supervisor/conf.d/django-project.conf"
    assert world.run(["stat", "-c", "%U %a", config]) == "root 644\n"
    status = deploy("--path", "supervisor", "control", "status")
    assert "RUNNING" in status

    # A second time, it changes what has changed.
    deploy("setup", DEPLOY_BIND=(other := f"127.0.0.1:{free_port()}"))
    assert get(f"http://{other}/") == page
