"""Tests of the Django example, as a project would have them: no server, and no waiting."""

import shlex

import pytest
from django_deployment import DjangoDeployment

from deployer.exceptions import ActionException, ExecCommandFailed
from deployer.host import SSHHost
from deployer.testing import Answer, assert_never_runs, assert_runs


class server(SSHHost):
    address = "django.example.com"
    username = "deploy"


class Site(DjangoDeployment):
    class Hosts:
        host = server


@pytest.fixture
def tree(fake_tree):
    return fake_tree(Site)


def test_the_steps_come_in_this_order(tree):
    tree["server"].answers["supervisorctl * pid"] = Answer(exit_status=2)
    tree.env.setup()
    *_, migrate, start = assert_runs(
        tree,
        "git clone *",
        "python3 -m venv *",
        "pip install 'gunicorn'",
        "pip install -r '/home/deploy/git/django-project/requirements.txt'",
        "python manage.py migrate --noinput",
        "supervisord -c supervisord.conf",
    )
    assert migrate.directory == "/home/deploy/git/django-project"
    assert migrate.prefixes == (". ~/.virtualenvs/project-env/bin/activate",)
    assert start.directory == "/home/deploy/supervisor"


def test_the_settings_are_written_beside_the_code(tree):
    tree.env.upload_django_settings()
    settings = tree["server"].files["~/git/django-project/local_settings.py"]
    assert "DEBUG = False\n" in settings


def test_the_program_is_told_to_supervisor_as_root(tree):
    tree.env.supervisor.upload_config()
    config = "/etc/supervisor/conf.d/django-project.conf"
    assert "--bind 127.0.0.1:8000 project.wsgi\n" in tree["server"].files[config]
    assert tree["server"].file_system.stat(config).st_uid == 0


def test_a_second_time_it_fetches_and_makes_no_virtualenv(tree):
    host = tree["server"]
    host.files["~/git/django-project/.git/HEAD"] = "ref: refs/heads/main\n"
    host.files["~/.virtualenvs/project-env/bin/activate"] = ""
    tree.env.setup()
    (fetch, _) = assert_runs(tree, "git fetch origin", "supervisorctl * update")
    assert fetch.directory == "/home/deploy/git/django-project"
    assert_never_runs(tree, "git clone *", "python3 -m venv *", "supervisord *")


def test_git_is_installed_where_it_is_missing(tree):
    tree["server"].answers["command -v git"] = Answer(exit_status=1)
    tree.env.git.install()
    (install,) = assert_runs(tree, "apt-get install -y git")
    assert install.use_sudo


def test_a_migration_that_fails_leaves_the_old_version_running(tree):
    tree["server"].answers["*manage.py migrate*"] = Answer("no such table", exit_status=1)
    with pytest.raises(ActionException) as caught:
        tree.env.setup()
    assert isinstance(caught.value.inner_exception, ExecCommandFailed)
    assert_never_runs(tree, "supervisor*")


def test_a_parameter_is_a_single_word(tree):
    tree.env.git.checkout("it's; rm -rf /")
    (checkout,) = assert_runs(tree, "git checkout *")
    assert shlex.split(checkout.command) == ["git", "checkout", "it's; rm -rf /"]
