"""Virtual environments on a host, with packages that are made here."""

from __future__ import annotations

import io
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from deployer.contrib.nodes.virtualenv import VirtualEnv
from deployer.exceptions import ActionException, DeployerException, ExecCommandFailed
from deployer.host import Host, LocalHost, SSHHost
from ready_made import Messages, node_on
from world import World

pytestmark = pytest.mark.machine


def wheel(name: str, version: str) -> bytes:
    """Return a wheel with one module, which says its version."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return written.getvalue()


# Reads a file from its standard input, in hexadecimal digits.
_WRITE = (
    "import pathlib, sys; pathlib.Path(sys.argv[1]).write_bytes(bytes.fromhex(sys.stdin.read()))"
)


@pytest.fixture(scope="module")
def wheels(world: World) -> str:
    """Give a directory of the world with wheels in it, which serves as the package index."""
    world.run(["mkdir", "-p", "/usr/local/wheels"])
    for name, version in (("demo", "1.0"), ("demo", "2.0"), ("other", "1.0")):
        path = f"/usr/local/wheels/{name}-{version}-py3-none-any.whl"
        world.run(["/usr/bin/python3", "-c", _WRITE, path], input=wheel(name, version).hex())
    return "/usr/local/wheels"


def env_at(location: str, host: type[Host], **options: Any) -> Any:
    options.setdefault("python", "/usr/bin/python3")
    return node_on(host, VirtualEnv, location=location, **options)


def test_an_environment_is_made_filled_upgraded_and_made_again(
    admin_host: type[Host], world: World, wheels: str
) -> None:
    """In one, since to make one takes seconds."""
    home = "/root" if admin_host.get_username() == "root" else "/home/deploy"
    location = f"{home}/it's an env"
    messages = Messages()
    index = ["--no-index", "--find-links", wheels]
    options: dict[str, Any] = {"logger": messages, "pip_options": index, "use_sudo": True}
    env = env_at("~/it's an env/", admin_host, packages=["demo<2"], **options)

    # What was left when somebody was killed.
    env.host.run("mkdir ~/it\\'s\\ an\\ env && cd ~/it\\'s\\ an\\ env && touch .partial other")
    assert env.setup_env() == (f"made {location} again", f"installed demo 1.0 in {location}")
    assert f"{admin_host.slug} | installed demo 1.0 in {location}" in messages.texts

    look = ["find", location, "-name", "__pycache__", "-prune", "-o", "-printf", "%p %T@ %i\n"]
    before = world.run(look)
    assert env.setup() == ()
    assert world.run(look) == before

    world.run(["sh", "-c", f"echo other >{home}/wanted.txt"])
    filled = env_at(location, admin_host, requirements_files=["~/wanted.txt"], **options)
    sandbox = env_at(
        location, admin_host, requirements_files=["~/wanted.txt"], is_sandbox=True, **options
    )
    assert sandbox.setup_env() == (f"installed other 1.0 in {location}",)
    assert filled.install_requirements() == (f"installed other 1.0 in {location}",)
    newest = env_at(location, admin_host, packages=["demo"], **options)
    assert newest.upgrade() == (f"replaced demo 1.0 by 2.0 in {location}",)
    assert newest.upgrade() == ()
    assert env.install_package(f"{wheels}/demo-1.0-py3-none-any.whl") == (
        f"replaced demo 2.0 by 1.0 in {location}",
    )
    assert "other==1.0\n" in env.freeze()
    with pytest.raises(ActionException, match="No matching distribution") as caught:
        env.install_package("missing")
    assert isinstance(caught.value.inner_exception, ExecCommandFailed)

    show = "python -c 'import demo, sys; print(demo.version, sys.prefix)'"
    assert env.run(show) == f"1.0 {location}\n"
    with env.host.prefix(env.activate_cmd):
        assert env.host.run(show) == f"1.0 {location}\n"

    # Its interpreter has gone.
    world.run(["ln", "-sfn", "/usr/bin/python-of-yesterday", f"{location}/bin/python3"])
    assert sandbox.create() == (f"made {location} again",)
    assert world.run(["ls", "-A", location]).split() == [
        *("bin", "include", "lib", "lib64", "other", "pyvenv.cfg"),
    ]
    world.run(["rm", "-rf", location])


def test_what_is_no_environment_stays(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("precious\n")
    for location in (tmp_path, tmp_path / "data"):
        with pytest.raises(
            ActionException, match=r"LocalHost: .* no virtual environment; it stays"
        ):
            env_at(str(location), LocalHost).setup_env()
    assert (tmp_path / "data").read_text() == "precious\n"


def test_an_environment_without_pip_gets_it_and_keeps_what_is_in_it(tmp_path: Path) -> None:
    location = tmp_path / "env"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", location], check=True)
    (location / "lib" / "precious").touch()
    env = env_at(str(location), LocalHost)
    assert env.setup_env() == (f"installed pip in {location}",)
    assert env.setup_env() == ()
    assert (location / "lib" / "precious").exists()

    # What was left of a package when somebody was killed, and what is not Python's own.
    next(location.glob("lib/python*/site-packages")).joinpath("half-1.0.dist-info").mkdir()
    (tmp_path / "logging.py").write_text("raise SystemExit('the wrong one')\n")
    with env.host.cd(str(tmp_path)):
        assert env.install_package("pip") == ()


def test_an_interpreter_that_cannot_make_one_is_told_with_the_package_to_install(
    tmp_path: Path,
) -> None:
    # As Debian has it without python3-venv.
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "ensurepip.py").write_text("raise ImportError\n")
    python = tmp_path / "a python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path}/lib exec /usr/bin/python3 "$@"\n')
    python.chmod(0o755)
    for given, message in ((str(python), "install the package python3-venv"), ("py9", "no py9 on")):
        with pytest.raises(ActionException, match=message) as caught:
            env_at(str(tmp_path / "env"), LocalHost, python=given).setup_env()
        assert type(caught.value.inner_exception) is DeployerException
    assert not (tmp_path / "env").exists()


def test_a_sandbox_says_what_would_be_installed(tmp_path: Path) -> None:
    location = tmp_path / "env"
    env = env_at(
        str(location),
        LocalHost,
        packages=["demo<2"],
        requirements_files=["/wanted.txt"],
        is_sandbox=True,
    )
    assert env.setup_env() == (
        f"made {location}",
        f"installed /wanted.txt in {location}",
        f"installed demo<2 in {location}",
    )
    assert not location.exists()


def test_in_a_sandbox_the_user_may_still_have_to_be_made(ssh_host: type[SSHHost]) -> None:
    options = {"user": "nobody-at-all", "packages": ["demo"], "is_sandbox": True}
    assert env_at("/srv/new", ssh_host, **options).setup_env() == (
        "made /srv/new",
        "installed demo in /srv/new",
    )
    with pytest.raises(ActionException, match="nobody-at-all"):
        env_at("/srv/new", ssh_host, user="nobody-at-all").setup_env()


def test_a_full_disk_is_told_as_that(world: World, ssh_host: type[SSHHost]) -> None:
    place = "/var/tmp/small"
    world.run(["mkdir", place])
    world.run(["mount", "-t", "tmpfs", "-o", "size=100k,mode=1777", "tmpfs", place])
    try:
        with pytest.raises(ActionException, match="No space left on device"):
            env_at(f"{place}/env", ssh_host).create()
    finally:
        world.run(["umount", place])


@pytest.mark.parametrize(
    "attributes",
    [
        {"packages": "demo"},
        {"packages": [5]},
        {"requirements_files": "~/wanted.txt"},
        {"pip_options": "--no-index"},
    ],
)
def test_what_is_no_list_of_texts_is_refused(tmp_path: Path, attributes: dict[str, Any]) -> None:
    location = str(tmp_path / "env")
    options = {"packages": ["demo"], "is_sandbox": True, **attributes}
    with pytest.raises(ActionException, match="is a list of texts") as caught:
        env_at(location, LocalHost, **options).setup_env()
    assert isinstance(caught.value.inner_exception, TypeError)


def test_nothing_to_install_takes_no_environment(tmp_path: Path) -> None:
    assert env_at(str(tmp_path / "env"), LocalHost).install_requirements() == ()


@pytest.mark.parametrize(
    ("location", "command"),
    [
        ("~/.virtualenvs/project/", ". ~/.virtualenvs/project/bin/activate"),
        ("~deploy/an env", ". ~deploy/'an env/bin/activate'"),
        ("/srv/$HOME", ". '/srv/$HOME/bin/activate'"),
        ("-x", ". ./-x/bin/activate"),
    ],
)
def test_the_activation_is_quoted_but_for_a_home(location: str, command: str) -> None:
    assert env_at(location, LocalHost).activate_cmd == command
