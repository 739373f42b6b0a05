#!/usr/bin/env python3
"""Deploy a Django application: the tutorial's reusable nodes, for a machine of your choice.

The machine and the paths come from the environment:

======================  =========================================================================
``DEPLOY_ADDRESS``      the address of the server (``localhost``)
``DEPLOY_PORT``         its port, if ``~/.ssh/config`` does not say it
``DEPLOY_USER``         the user, likewise
``DEPLOY_PASSWORD``     the password of the user; sudo wants it, unless it asks for none
``DEPLOY_KEY``          a file with a private key, if not one that ssh finds itself
``DEPLOY_SSH_CONFIG``   another file than ``~/.ssh/config``
``DEPLOY_REPOSITORY``   what to clone; ``manage.py`` and ``requirements.txt`` are at its top
``DEPLOY_PROJECT``      the directory of the clone (``~/git/django-project``)
``DEPLOY_VIRTUALENV``   the directory of the virtualenv (``~/.virtualenvs/project-env``)
``DEPLOY_WSGI``         the WSGI application (``project.wsgi``)
``DEPLOY_BIND``         where gunicorn listens (``127.0.0.1:8000``)
``DEPLOY_SETTINGS``     a file on this machine to upload as ``local_settings.py``
======================  =========================================================================

Then ``python examples/django_deployment.py run setup`` does it all, and without arguments it opens
a shell, where each step can be run by itself.
"""

import os
from pathlib import Path

from deployer.client import start
from deployer.host import SSHHost
from deployer.node import Node, required_property
from deployer.utils import esc1

# supervisord runs as the user; "%" has a meaning of its own in its files, so paths may have none.
supervisor_main_config = """\
[unix_http_server]
file = {directory}/supervisor.sock

[supervisord]
logfile = {directory}/supervisord.log
pidfile = {directory}/supervisord.pid

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl = unix://{directory}/supervisor.sock

[include]
files = {program_config}
"""

supervisor_program_config = """\
[program:djangoproject]
command = {virtualenv}/bin/gunicorn --bind {bind} {wsgi}
directory = {project}
stdout_logfile = {directory}/gunicorn.log
redirect_stderr = true
"""

django_settings = """\
DEBUG = False
ALLOWED_HOSTS = ["*"]
"""


class VirtualEnv(Node):
    location = required_property("The directory of the virtualenv")
    requirements_files = ()
    packages = ()

    @property
    def activate_cmd(self):
        """The command that makes the rest of a command line run in the virtualenv."""
        return f". {self.location}/bin/activate"

    def create(self):
        """Make the virtualenv, unless it is there."""
        if not self.host.exists(f"{self.location}/bin/activate"):
            self.host.run(f"python3 -m venv '{esc1(self.host.expand_path(self.location))}'")

    def install_requirements(self):
        """Install what the requirements files list."""
        with self.host.prefix(self.activate_cmd):
            for name in self.requirements_files:
                path = self.host.expand_path(name)
                self.host.run(f"pip install -r '{esc1(path)}'")

    def install_package(self, name):
        """Install a package from the index."""
        with self.host.prefix(self.activate_cmd):
            self.host.run(f"pip install '{esc1(name)}'")

    def setup_env(self):
        """Make the virtualenv, and install everything in it."""
        self.create()
        for package in self.packages:
            self.install_package(package)
        self.install_requirements()


class Git(Node):
    project_directory = required_property("Where the clone is")
    repository = required_property("What to clone")

    def install(self):
        """Install git, unless it is there."""
        if not self.host.has_command("git"):
            self.host.sudo("apt-get install -y git")

    def clone(self):
        """Clone the repository, or fetch what is new in it."""
        directory = self.host.expand_path(self.project_directory)
        if self.host.exists(f"{directory}/.git"):
            with self.host.cd(directory):
                self.host.run("git fetch origin")
        else:
            self.host.run(f"git clone '{esc1(self.repository)}' '{esc1(directory)}'")

    def checkout(self, commit):
        """Check out a commit, a branch or a tag."""
        with self.host.cd(self.project_directory):
            self.host.run(f"git checkout '{esc1(commit)}'")


class Supervisor(Node):
    """Keep gunicorn running; the nodes around it say where everything is."""

    directory = "~/supervisor"
    program_config = "/etc/supervisor/conf.d/django-project.conf"

    def upload_config(self):
        """Write supervisord's own configuration, and the one of our program."""
        paths = {
            "directory": self.host.expand_path(self.directory),
            "program_config": self.program_config,
            "virtualenv": self.host.expand_path(self.parent.virtual_env.location),
            "project": self.host.expand_path(self.parent.git.project_directory),
            "bind": self.parent.bind,
            "wsgi": self.parent.wsgi,
        }
        self.host.run(f"mkdir -p '{esc1(paths['directory'])}'")
        with self.host.open(f"{self.directory}/supervisord.conf", "w") as config:
            config.write(supervisor_main_config.format(**paths))

        self.host.sudo(f"mkdir -p '{esc1(os.path.dirname(self.program_config))}'")
        with self.host.open(self.program_config, "w", use_sudo=True) as config:
            config.write(supervisor_program_config.format(**paths))

    def start(self):
        """Start supervisord, or have it read its configuration again."""
        with self.host.prefix(self.parent.virtual_env.activate_cmd), self.host.cd(self.directory):
            if self.host.run("supervisorctl -c supervisord.conf pid", ignore_exit_status=True).ok:
                self.host.run("supervisorctl -c supervisord.conf update")
            else:
                self.host.run("supervisord -c supervisord.conf")

    def control(self, command):
        """Pass a command to supervisorctl: ``status``, ``restart all``, ``shutdown``."""
        with self.host.prefix(self.parent.virtual_env.activate_cmd), self.host.cd(self.directory):
            self.host.run(f"supervisorctl -c supervisord.conf {command}")


class DjangoDeployment(Node):
    """All of it; a subclass says on which hosts, and what is different there."""

    bind = "127.0.0.1:8000"
    wsgi = "project.wsgi"
    settings_file = None

    class virtual_env(VirtualEnv):
        location = "~/.virtualenvs/project-env"
        packages = ("gunicorn", "supervisor")

        @property
        def requirements_files(self):
            return [f"{self.parent.git.project_directory}/requirements.txt"]

    class git(Git):
        project_directory = "~/git/django-project"
        repository = "git@github.com:example/example.git"

    class supervisor(Supervisor):
        pass

    def setup(self):
        """Install the application and start it; run it again for a new version."""
        self.git.install()
        self.git.clone()
        self.virtual_env.setup_env()
        self.upload_django_settings()
        self.run_management_command("migrate --noinput")
        self.supervisor.upload_config()
        self.supervisor.start()

    def upload_django_settings(self):
        """Write the settings of this server to ``local_settings.py``."""
        content = Path(self.settings_file).read_text() if self.settings_file else django_settings
        with self.host.open(f"{self.git.project_directory}/local_settings.py", "w") as settings:
            settings.write(content)

    def run_management_command(self, command):
        """Run a command of ``manage.py`` in the virtualenv."""
        with (
            self.host.prefix(self.virtual_env.activate_cmd),
            self.host.cd(self.git.project_directory),
        ):
            self.host.run(f"python manage.py {command}")

    def django_shell(self):
        """Open Django's interactive shell."""
        self.run_management_command("shell")

    def run_gunicorn(self):
        """Run gunicorn here and now, to see what it says; Ctrl-C ends it."""
        with (
            self.host.prefix(self.virtual_env.activate_cmd),
            self.host.cd(self.git.project_directory),
        ):
            self.host.run(f"gunicorn --bind '{esc1(self.bind)}' '{esc1(self.wsgi)}'")


def setting(name, default=None):
    return os.environ.get(f"DEPLOY_{name}", default)


class remote_host(SSHHost):
    address = setting("ADDRESS", "localhost")
    port = int(setting("PORT")) if setting("PORT") else None
    username = setting("USER")
    password = setting("PASSWORD")
    key_filename = setting("KEY")
    config_filename = setting("SSH_CONFIG", SSHHost.config_filename)


class DjangoDeploymentOnHost(DjangoDeployment):
    class Hosts:
        host = remote_host

    bind = setting("BIND", DjangoDeployment.bind)
    wsgi = setting("WSGI", DjangoDeployment.wsgi)
    settings_file = setting("SETTINGS")

    # Override a few attributes of the nested nodes.
    virtual_env__location = setting("VIRTUALENV", DjangoDeployment.virtual_env.location)
    git__project_directory = setting("PROJECT", DjangoDeployment.git.project_directory)
    git__repository = setting("REPOSITORY", DjangoDeployment.git.repository)


if __name__ == "__main__":
    start(DjangoDeploymentOnHost)
