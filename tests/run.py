#!/usr/bin/env python3
"""Run every check of the project on this machine, fresh or not: ``python3 tests/run.py``.

It installs the system packages that tests need (as root on Debian; elsewhere it says which are
missing, and the tests that need them are skipped), makes a virtual environment with tox in
``.tox/run``, and runs tox on all installed interpreters. Arguments are passed on to tox, e.g.
``python3 tests/run.py -e py311 -- tests/test_query.py``.

It uses the standard library only, so that it can start from nothing.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".tox" / "run"

# Programs that tests run, and what Debian calls their packages.
PACKAGES = {
    "apt-get": "apt",
    "crontab": "cron",
    "curl": "curl",
    "dash": "dash",
    "dot": "graphviz",
    "fish": "fish",
    "git": "git",
    "gpg": "gnupg",
    "hg": "mercurial",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "ps": "procps",
    "setsid": "util-linux",
    "ss": "iproute2",
    "ssh": "openssh-client",
    "sshd": "openssh-server",
    "sudo": "sudo",
    "supervisord": "supervisor",
    "systemctl": "systemd",
    "tcsh": "tcsh",
    "tmux": "tmux",
    "vi": "vim-tiny",
    "zsh": "zsh",
}


def main() -> int:
    # Run by whatever python3 is, which may be older than what the project is written for.
    if sys.version_info < (3, 11):  # noqa: UP036
        say("deployer needs Python 3.11 or newer, and so do its tests.")
        return 1
    install_system_packages()
    if not (ENVIRONMENT / "bin" / "tox").exists():
        make_environment()
    if len(sys.argv) > 1:
        return tox("run", *sys.argv[1:])
    # Tests take all cores by themselves; of the others, each takes one.
    statuses = [
        tox("run", "-m", "tests"),
        tox("run-parallel", "--parallel-no-spinner", "-m", "checks"),
    ]
    return max(map(abs, statuses))


def tox(command: str, *arguments: str) -> int:
    """Run tox, and return its exit status."""
    program = str(ENVIRONMENT / "bin" / "tox")
    words = [program, command, "--conf", str(ROOT / "tox.ini"), *arguments]
    return subprocess.call(words, env=tox_environment())


def missing_packages() -> list[str]:
    """Return the Debian packages of the programs that are not installed."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    missing = {
        package for program, package in PACKAGES.items() if not shutil.which(program, path=path)
    }
    # Debian's python3 cannot make virtual environments without this package, and the tutorial is
    # deployed with that python3.
    ensurepip = Path("/usr/lib").glob("python3*/ensurepip/__main__.py")
    if shutil.which("dpkg") and not list(ensurepip):
        missing.add("python3-venv")
    return sorted(missing)


def install_system_packages() -> None:
    missing = missing_packages()
    if not missing:
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        say(f"Not installed: {', '.join(missing)}. The tests that need them are skipped;")
        say("as root on Debian this command installs them itself.")
        return
    say(f"Installing {', '.join(missing)}")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    apt = ["apt-get", "-q", "-y", "--no-install-recommends"]
    subprocess.check_call([*apt, "update"], env=environment)
    subprocess.check_call([*apt, "install", *missing], env=environment)


def make_environment() -> None:
    say("Making .tox/run")
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    subprocess.check_call([sys.executable, "-m", "venv", str(ENVIRONMENT)])
    # With uv, the environments of tox take seconds.
    tools = ["tox>=4.11", "tox-uv>=1.11"]
    subprocess.check_call([str(ENVIRONMENT / "bin" / "pip"), "install", "-q", *tools])


def tox_environment() -> dict[str, str]:
    """Return our environment, in which tox finds the interpreters that pyenv keeps, if it does."""
    # uv brings certificates of its own, and interpreters; those of the machine are what is tested.
    environment = {"UV_NATIVE_TLS": "1", "UV_PYTHON_DOWNLOADS": "never", **os.environ}
    if shutil.which("pyenv"):
        root = subprocess.check_output(["pyenv", "root"], text=True).strip()
        kept = map(str, sorted(Path(root, "versions").glob("3.*/bin")))
        environment["PATH"] = os.pathsep.join([environment["PATH"], *kept])
    return environment


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
