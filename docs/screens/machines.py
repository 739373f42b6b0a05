"""The machines of the screens: each is a directory of this machine, so that they need no server.

``illustrate.py`` makes the directories, and names them in the environment.
"""

import os
import time

from deployer.host import LocalHost


class Machine(LocalHost):
    """A directory in the place of a machine: commands and files are at home there."""

    shell = "/bin/sh"

    @classmethod
    def get_root(cls):
        return os.environ.get(cls.__name__.upper(), os.environ["OTHERS"])

    def get_home_directory(self, username=None):
        return self.get_root()

    def put_file(self, local_path, remote_path, *arguments, progress=None, **options):
        """Copy a file; an archive over a line that is stuck."""

        def slowly(done, total):
            if local_path.endswith(".tar") and done >= 0.4 * total:
                # The progress is shown after half a second.
                time.sleep(0.7)
                progress(done, total)
                while True:
                    time.sleep(1)
            progress(done, total)

        super().put_file(
            local_path, remote_path, *arguments, progress=progress and slowly, **options
        )

    def _session_directory(self):
        return self.get_root()

    def _open_channel(self, line, in_pty):
        slug = self.slug
        begin = f"HOME={self.get_root()}; PS1='deploy@{slug}:~$ '; export HOME PS1; cd; SLUG={slug}"
        return super()._open_channel(f"{begin}; export SLUG; {line}", in_pty)


class git1(Machine):
    pass


class staging1(Machine):
    pass


class web1(Machine):
    pass


class web2(Machine):
    pass


class web3(Machine):
    pass


class db1(Machine):
    pass


def make_machine(name):
    return type(name, (Machine,), {})
