"""A virtual environment for Python on a host, and the packages in it."""

from __future__ import annotations

import json
import shlex
from typing import Any

from ...exceptions import DeployerException, ExecCommandFailed
from ...host import RunResult
from ...host.command import shell_path
from ...node import Node, alias, changes_nothing, required_property, suppress_action_result
from .changes import Changes, ask, report

__all__ = ["VirtualEnv"]


class VirtualEnv(Node):
    """A virtual environment on the host, with packages and requirements.

    ::

        class virtual_env(VirtualEnv):
            location = "~/.virtualenvs/project"
            requirements_files = ["~/project/requirements.txt"]
            packages = ["gunicorn>=20"]

    It is made by ``python -m venv``. Everything in it runs with its own interpreter; other
    commands do inside of ``with self.host.prefix(self.virtual_env.activate_cmd):``.

    Where an index wants a password, that belongs in ``~/.netrc`` or ``pip.conf`` on the host: what
    is in ``pip_options`` can be seen by all its users.
    """

    #: The directory of the environment on the host.
    location: Any = required_property("Where the environment is on the host")
    #: What is installed, as pip takes it: names, with versions if need be, or paths of wheels.
    packages: Any = ()
    #: Files on the host that say what else is installed.
    requirements_files: Any = ()
    #: The interpreter that the environment is made with, by name or path.
    python: Any = "python3"
    #: More options of ``pip install``, as in ``["--index-url", "https://pypi.example.com/simple"]``.
    pip_options: Any = ()
    #: Make and change it as root.
    use_sudo: Any = False
    #: Make and change it as this user.
    user: Any = None

    @property
    def activate_cmd(self) -> str:
        """The shell command that makes ``python`` and ``pip`` those of the environment."""
        return f". {shell_path(_in_bin(self.location, 'activate'))}"

    # What changes something.

    @alias("setup")
    @suppress_action_result
    def setup_env(self) -> Changes:
        """Make the environment, and install everything in it, where that is not there yet."""
        # A mistake in them is told before anything is made.
        requirements, packages = _requirements(self), _words(self, "packages")
        return self.create() + _install(self, requirements, packages)

    @suppress_action_result
    def create(self) -> Changes:
        """Make the environment if it is not there, or does not work (any more).

        One that works and has no pip, as uv makes them, gets it.
        """
        location = _expand(self, self.location)
        state = _get_state(self)
        if state == "works":
            return Changes()
        if state == "foreign":
            raise _problem(self, f"{location} is there, and is no virtual environment; it stays")
        if state == "without":
            _run(self, shlex.join([_python(self), "-I", "-m", "ensurepip", "--default-pip"]))
            return report(self, f"installed pip in {location}")
        python = _expand(self, self.python) if "/" in self.python else self.python
        _check_python(self, python)
        _run(self, shlex.join(["/bin/sh", "-c", _MAKE, "sh", location, python]))
        return report(self, f"made {location}" if state == "missing" else f"made {location} again")

    @suppress_action_result
    def install_package(self, name: str) -> Changes:
        """Install a package, unless it is there."""
        return _install(self, [], [name])

    @suppress_action_result
    def install_requirements(self) -> Changes:
        """Install what the requirements files ask for, unless it is there."""
        return _install(self, _requirements(self), [])

    @suppress_action_result
    def upgrade(self) -> Changes:
        """Install the newest versions that the packages and requirements allow."""
        return _install(self, ["--upgrade", *_requirements(self)], _words(self, "packages"))

    # What is there.

    @changes_nothing
    def freeze(self) -> str:
        """Return what is installed, as lines of a requirements file."""
        return str(_check(_ask(self, _pip(self, "freeze"))))

    def run(self, command: str) -> RunResult:
        """Run a command in the environment, and return what it printed."""
        activate = _in_bin(_expand(self, self.location), "activate")
        with self.host.prefix(f". {shlex.quote(activate)}"):
            return _run(self, command)


# What is not whole has a file .partial in it. What has none of that, and is no environment, is
# somebody's data.
_STATE = """\
if [ -e "$1/.partial" ]; then
    echo partial
elif [ -e "$1/pyvenv.cfg" ]; then
    if "$1/bin/python" -I -c 'import pip' >/dev/null 2>&1; then
        echo works
    else
        "$1/bin/python" -I -c '' >/dev/null 2>&1 && echo without || echo broken
    fi
elif [ -e "$1" ] && [ -n "$(ls -A -- "$1")" ]; then
    echo foreign
else
    echo missing
fi
"""
# What else is in the directory of an old one is not ours to remove. Where pip cannot be installed,
# venv does not say why.
_MAKE = """\
set -e
mkdir -p -- "$1"
: >"$1/.partial"
rm -rf -- "$1/bin" "$1/include" "$1/lib" "$1/lib64" "$1/pyvenv.cfg"
"$2" -I -m venv --without-pip -- "$1"
said=$("$1/bin/python" -I -m ensurepip --upgrade --default-pip 2>&1) || {
    # Without the lines of Python's that lead there.
    printf '%s\\n' "$said" | grep -v '^ ' >&2
    exit 1
}
rm -- "$1/.partial"
"""
# Several times as fast as to ask pip.
_LIST = """\
import importlib.metadata, json
found = importlib.metadata.distributions()
# What pip could not install, or remove, to the end has neither.
print(json.dumps({one.metadata["Name"]: one.version for one in found if one.metadata["Name"]}))
"""


def _expand(node: Any, path: str) -> str:
    expanded: str = node.host.expand_path(path)
    return expanded.rstrip("/")


def _in_bin(location: str, name: str) -> str:
    return f"{location.rstrip('/')}/bin/{name}"


def _ask(node: Any, command: str) -> RunResult:
    return ask(node, command, use_sudo=node.use_sudo, user=node.user)


def _run(node: Any, command: str) -> RunResult:
    result: RunResult = node.host.run(command, use_sudo=node.use_sudo, user=node.user)
    return result


def _check(result: RunResult) -> RunResult:
    if not result.ok:
        raise ExecCommandFailed(result)
    return result


def _python(node: Any) -> str:
    return _in_bin(_expand(node, node.location), "python")


def _pip(node: Any, *arguments: str) -> str:
    options = ["--disable-pip-version-check", "--no-input"]
    # Isolated, or the files of the directory that it runs in might stand in for Python's own.
    return shlex.join([_python(node), "-I", "-m", "pip", *options, *arguments])


def _requirements(node: Any) -> list[str]:
    files = _words(node, "requirements_files")
    return [word for file in files for word in ("-r", _expand(node, file))]


def _words(node: Any, name: str) -> list[str]:
    value = getattr(node, name)
    # Of a text, each letter would be taken for one.
    words = [] if isinstance(value, str) else list(value)
    if isinstance(value, str) or not all(isinstance(word, str) for word in words):
        raise TypeError(f"{node!r}.{name} is a list of texts, not {value!r}")
    return words


def _install(node: Any, options: list[str], packages: list[str]) -> Changes:
    """Install packages; return what that has changed, whatever pip had to do for it."""
    location = _expand(node, node.location)
    if not packages and "-r" not in options:
        return Changes()
    arguments = [*_words(node, "pip_options"), *options, "--", *packages]
    if node.host.is_sandbox:
        return report(node, *_would_install(node, arguments))
    before = _list(node)
    _run(node, _pip(node, "install", *arguments))
    after = _list(node)
    changes = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old is None:
            changes.append(f"installed {name} {new} in {location}")
        elif new is None:
            changes.append(f"removed {name} {old} from {location}")
        elif old != new:
            changes.append(f"replaced {name} {old} by {new} in {location}")
    return report(node, *changes)


def _list(node: Any) -> dict[str, str]:
    """Return the version of each package that is installed."""
    result = _check(_ask(node, shlex.join([_python(node), "-I", "-c", _LIST])))
    found: dict[str, str] = json.loads(result.stdout)
    return found


def _would_install(node: Any, arguments: list[str]) -> list[str]:
    location = _expand(node, node.location)
    if _get_state(node) != "works":
        wanted = arguments[arguments.index("-r") if "-r" in arguments else 0 :]
        return [f"installed {what} in {location}" for what in wanted if what[:1] != "-"]
    result = _check(_ask(node, f"LC_ALL=C {_pip(node, 'install', '--dry-run', *arguments)}"))
    _, _, found = result.stdout.partition("Would install ")
    pairs = [what.rpartition("-")[::2] for what in found.split()]
    return [f"installed {name} {version} in {location}" for name, version in pairs]


def _get_state(node: Any) -> str:
    """Return whether an environment works, is broken, partial, missing, or something foreign."""
    location = _expand(node, node.location)
    result = _check(_ask(node, shlex.join(["/bin/sh", "-c", _STATE, "sh", location])))
    return result.strip()


def _check_python(node: Any, python: str) -> None:
    """Raise unless an interpreter can make environments."""
    result = _ask(node, shlex.join([python, "-c", "import ensurepip, venv"]))
    if result.exit_status in (126, 127):
        raise _problem(node, f"there is no {python} on the host; install it, or set `python`")
    if not result.ok:
        raise _problem(
            node,
            f"{python} cannot make virtual environments: its modules venv and ensurepip are "
            "missing. On Debian and Ubuntu, install the package python3-venv",
        )


def _problem(node: Any, text: str) -> DeployerException:
    return DeployerException(f"{node.host.slug}: {text}")
