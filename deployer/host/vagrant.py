"""A virtual machine of Vagrant's, as a host."""

from __future__ import annotations

import atexit
import os
import subprocess
import tempfile
from functools import cache
from typing import ClassVar

from ..exceptions import ConnectionFailedException
from .ssh import SSHHost

__all__ = ["VagrantHost"]

# The name that we have Vagrant give to the machine in its ssh config.
_ALIAS = "vagrant"
# Seconds that Vagrant may take to answer.
_LONGEST = 120.0


class _VagrantConfig:
    """The name of a file with the ssh config that Vagrant has for a machine.

    Vagrant is asked when it is first read: that takes seconds, and the machine has to be up.
    """

    def __get__(self, instance: VagrantHost | None, owner: type[VagrantHost]) -> str:
        command = ["vagrant", "ssh-config", "--host", _ALIAS]
        if owner.vagrant_machine:
            command.append(owner.vagrant_machine)
        try:
            return _config_file(tuple(command), owner.vagrant_directory)
        except (OSError, subprocess.SubprocessError) as error:
            said = (isinstance(error, subprocess.CalledProcessError) and error.stderr) or str(error)
            raise ConnectionFailedException(
                f"{owner.slug}: `{' '.join(command)}` in {owner.vagrant_directory!r} failed: "
                f"{said.strip()}; is the machine up (`vagrant up`), and is `vagrant_directory` "
                "where its Vagrantfile is?"
            ) from error


class VagrantHost(SSHHost):
    """A machine that ``vagrant up`` started; address, port, user and key come from Vagrant."""

    #: The directory on this machine with the Vagrantfile.
    vagrant_directory: ClassVar[str] = "."
    #: Which of its machines, where there are several.
    vagrant_machine: ClassVar[str | None] = None

    address = _ALIAS
    # An attribute for readers; Vagrant is only asked when it is needed.
    config_filename = _VagrantConfig()


# Asked once in a process: a connection reads its settings several times.
@cache
def _config_file(command: tuple[str, ...], directory: str) -> str:
    config = subprocess.run(
        command, cwd=directory, check=True, capture_output=True, encoding="utf-8", timeout=_LONGEST
    ).stdout
    descriptor, name = tempfile.mkstemp("-vagrant-ssh-config")
    atexit.register(os.unlink, name)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(config)
    return name
