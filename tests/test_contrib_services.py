"""Services of a real systemd, and programs of a real supervisor, on a server."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.contrib.nodes.supervisor import Program
from deployer.contrib.nodes.systemd import Service, ServiceFailed
from deployer.exceptions import ActionException, ExecCommandFailed, RemoteFileError
from deployer.failures import describe_failure
from deployer.host import LocalHost, SSHHost
from deployer.secret import Secret
from ready_made import Messages, node_on
from waiting import until
from world import Server, World

pytestmark = pytest.mark.machine

NewHost = Callable[..., type[SSHHost]]

# systemd.

_SYSTEMD = "/lib/systemd/systemd"

# What systemd starts at its own start-up would set up a whole machine, and empty /tmp: it sees
# none of those units. It has devices, control groups, /run and a host name of its own.
_BOOT = """\
set -eu
mkdir /run/groups
mount -t cgroup2 cgroup2 /run/groups
mkdir -p "/run/groups/$1"
echo $$ >"/run/groups/$1/cgroup.procs"
exec unshare --mount --pid --uts --ipc --cgroup --fork --kill-child --mount-proc -- \
    /bin/sh -euc "$2"
"""
_INSIDE = f"""\
mount --make-rprivate /
key=$(cat /run/host_key) public=$(cat /run/host_key.pub)
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/sshd /run/lock /run/units
(umask 077; printf '%s\\n' "$key" >/run/host_key)
printf '%s\\n' "$public" >/run/host_key.pub
mount -t tmpfs -o mode=755 tmpfs /mnt
for device in null zero full random urandom tty; do
    : >"/mnt/$device"
    mount --bind "/dev/$device" "/mnt/$device"
done
mkdir /mnt/pts /mnt/shm
mount --bind /dev/pts /mnt/pts
ln -s pts/ptmx /mnt/ptmx
ln -s /proc/self/fd /mnt/fd
mount --move /mnt /dev
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for unit in sysinit basic multi-user shutdown testing; do
    printf '[Unit]\\nDefaultDependencies=no\\n' >"/run/units/$unit.target"
done
echo Wants=systemd-journald.service >>/run/units/testing.target
cp /lib/systemd/system/systemd-journald*.s* /run/units
export container=other SYSTEMD_UNIT_PATH=/etc/systemd/system:/run/units
exec {_SYSTEMD} --system --unit=testing.target --log-target=null --show-status=no
"""


def _find_child(pid: int, name: str) -> int | None:
    """Return the process below another one that has this name."""
    # One of them may end meanwhile.
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if Path(f"/proc/{child}/comm").read_text().strip() == name:
                return int(child)
            if (found := _find_child(int(child), name)) is not None:
                return found
    return None


@pytest.fixture(scope="module")
def booted(world: World) -> Iterator[World]:
    """Give a world inside the world, whose first process is systemd."""
    if not Path(_SYSTEMD).exists():
        pytest.skip("systemd is not installed (Debian's package systemd)")
    group = f"deployer-test-{os.getpid()}"
    process = subprocess.Popen(
        world.command(["/bin/sh", "-c", _BOOT, "sh", group, _INSIDE], None),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stderr
    pid = None
    try:
        with contextlib.suppress(AssertionError):
            until(lambda: process.poll() is not None or _find_child(process.pid, "systemd"), "", 10)
        if process.poll() is None:
            pid = _find_child(process.pid, "systemd")
        if pid is None:
            process.kill()
            pytest.skip(f"no systemd can run here: {process.stderr.read().strip()}")
        booted = World(pid, Path(world.key_filename))
        is_up = ["systemctl", "is-active", "systemd-journald.service"]
        try:
            until(lambda: booted.run(is_up, check=False) == "active\n", "", 10)
        except AssertionError:
            pytest.skip("the systemd that was started here does not answer")
        yield booted
    finally:
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        process.wait(timeout=10)
        process.stderr.close()
        remove = 'find "/run/groups/$1" -depth -type d -exec rmdir {} \\; ; umount /run/groups'
        world.run(["sh", "-c", f"{remove}; rmdir /run/groups", "sh", group], check=False)


@pytest.fixture(scope="module")
def booted_server(booted: World) -> Iterator[Server]:
    with booted.serve() as server:
        yield server


@pytest.fixture(params=["root", "deploy"])
def booted_host(
    request: pytest.FixtureRequest, booted_server: Server, new_ssh_host: NewHost
) -> type[SSHHost]:
    return new_ssh_host(request.param, server=booted_server)


UNIT = """\
[Service]
Type=exec
ExecStart=/bin/sh -c 'echo "it runs: $$0 50%%"; exec sleep 1000' {word}

[Install]
WantedBy=multi-user.target
"""


def show(booted: World, unit: str) -> dict[str, str]:
    names = "ActiveState,UnitFileState,MainPID,NeedDaemonReload"
    lines = booted.run(["systemctl", "show", unit, f"--property={names}"]).splitlines()
    return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def unit(booted: World) -> Iterator[str]:
    """Give the name of a unit, and remove it at the end."""
    name = "made@by-test"
    yield name
    for verb in ("stop", "disable", "reset-failed"):
        booted.run(["systemctl", verb, name], check=False)
    booted.run(["rm", "-f", f"/etc/systemd/system/{name}.service"])
    booted.run(["systemctl", "daemon-reload"])


def test_a_service_is_set_up_once_and_restarted_when_its_unit_changes(
    booted: World, booted_host: type[SSHHost], unit: str
) -> None:
    messages = Messages()
    service = node_on(
        booted_host, Service, logger=messages, name=unit, content=UNIT.format(word="first")
    )
    path = f"/etc/systemd/system/{unit}.service"
    full = f"{unit}.service"
    assert (service.is_active(), service.is_enabled()) == (False, False)
    assert service.setup() == (f"wrote {path}", f"enabled {full}", f"started {full}")
    assert (service.is_active(), service.is_enabled()) == (True, True)
    assert "it runs: first 50%" in service.logs()
    assert "Active: active (running)" in service.status()

    before = show(booted, unit), booted.run(["stat", "-c", "%i %Z", path])
    assert not service.setup()
    assert (show(booted, unit), booted.run(["stat", "-c", "%i %Z", path])) == before

    changed = node_on(booted_host, Service, name=unit, content=UNIT.format(word="second"))
    assert changed.setup() == (f"wrote {path}", f"restarted {full}")
    until(lambda: "it runs: second 50%" in changed.logs())
    # A setup that was cut short between its steps is completed by the next one.
    booted.run(["sed", "-i", "s/second/third/", path])
    third = node_on(booted_host, Service, name=unit, content=UNIT.format(word="third"))
    assert third.setup() == (f"restarted {full}",)
    assert show(booted, unit)["NeedDaemonReload"] == "no"
    assert not third.setup()


def test_a_service_that_cannot_be_enabled_runs_its_new_unit(
    booted: World, booted_host: type[SSHHost], unit: str
) -> None:
    first = UNIT.format(word="first").partition("[Install]")[0]
    assert node_on(booted_host, Service, name=unit, content=first).setup()
    second = UNIT.format(word="second").replace("multi-user", "in-the-way")
    changed = node_on(booted_host, Service, name=unit, content=second)
    booted.run(["touch", "/etc/systemd/system/in-the-way.target.wants"])
    try:
        with pytest.raises(ActionException, match="enable"):
            changed.setup()
    finally:
        booted.run(["rm", "/etc/systemd/system/in-the-way.target.wants"])
    until(lambda: "it runs: second 50%" in changed.logs())


def test_a_service_of_the_system_is_controlled_by_its_name(
    booted: World, booted_server: Server, new_ssh_host: NewHost, unit: str
) -> None:
    host = new_ssh_host(server=booted_server)
    booted.run(["sh", "-c", f"cat >/etc/systemd/system/{unit}.service"], input=UNIT)
    booted.run(["systemctl", "daemon-reload"])
    full = f"{unit}.service"
    service = node_on(host, Service, name=full)
    assert service.stop() == service.disable() == ()
    assert service.setup() == (f"enabled {full}", f"started {full}")
    assert service.start() == service.enable() == ()
    pid = show(booted, unit)["MainPID"]
    assert service.restart() == (f"restarted {full}",)
    assert service.reload_or_restart() == (f"reloaded or restarted {full}",)
    assert show(booted, unit)["MainPID"] != pid
    with pytest.raises(ActionException, match="not applicable"):
        service.reload()
    assert service.stop() == (f"stopped {full}",)
    assert service.disable() == (f"disabled {full}",)
    assert show(booted, unit)["ActiveState"] == "inactive"
    assert "inactive (dead)" in service.status()
    # What a timer starts is not started by us.
    assert not node_on(host, Service, name=unit, running=False, enabled=False).setup()


def test_a_service_that_does_not_start_says_why(
    booted_server: Server, new_ssh_host: NewHost, unit: str
) -> None:
    content = "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo no database; exit 3'\n"
    host = new_ssh_host(server=booted_server)
    with pytest.raises(ActionException, match="no database") as caught:
        node_on(host, Service, name=unit, content=content).setup()
    assert isinstance(caught.value.inner_exception, ServiceFailed)
    assert caught.value.inner_exception.exit_status == 1
    with pytest.raises(ActionException, match="not-there"):
        node_on(host, Service, name="not-there").setup()
    with pytest.raises(ActionException, match="not-there"):
        node_on(host, Service, name="not-there").status()


def test_a_sandbox_tells_what_it_would_do_to_a_service(
    booted: World, booted_server: Server, new_ssh_host: NewHost, unit: str
) -> None:
    service = node_on(
        new_ssh_host(server=booted_server), Service, is_sandbox=True, name=unit, content=UNIT
    )
    assert [change.partition(" ")[0] for change in service.setup()] == [
        "wrote",
        "enabled",
        "started",
    ]
    assert show(booted, unit)["ActiveState"] == "inactive"
    assert booted.run(["ls", "/etc/systemd/system"]).find(unit) == -1


@pytest.mark.parametrize("name", ["-x", "a b", "../x", "*", ""])
def test_what_is_no_name_of_a_unit_is_refused(name: str) -> None:
    service = node_on(LocalHost, Service, is_sandbox=True, name=name)
    with pytest.raises(ActionException, match="no name of a systemd unit"):
        service.setup()


# supervisor.

PROGRAM = "made.by-test"
WORDS = ["%(here)x 50% ; # it's", 'a "quoted" $HOME', "; #", "", "\\n", "é"]
SECRET = "hidden %s ; # thing"
OWN_FILE = f"/home/deploy/conf.d/{PROGRAM}.conf"
# Writes its arguments and its environment, and stays.
SCRIPT = """\
#!/bin/sh
printf '<%s>' "$@" "$PLAIN" "$TOKEN" "$PWD"
echo
exec sleep 1000
"""


@pytest.fixture
def script(world: World) -> str:
    """Give the path of a program, and of a directory, with odd names."""
    directory = "/var/tmp/it's 100% ; odd"
    world.run(["mkdir", "-p", directory])
    world.run(
        ["sh", "-c", 'cat >"$1/run it" && chmod 755 "$1/run it"', "sh", directory], input=SCRIPT
    )
    return directory


@pytest.fixture
def supervisor(
    world: World, need_program: Callable[[str], str]
) -> Iterator[Callable[[str | None], dict[str, Any]]]:
    """Return a function that starts a supervisor, and gives the attributes of programs for it.

    It is the one of the system, or the own one of a user.
    """
    need_program("supervisord")
    ends = []

    def start(user: str | None) -> dict[str, Any]:
        attributes: dict[str, Any] = {}
        config = "/etc/supervisor/supervisord.conf"
        if user is not None:
            home = world.home(user)
            config = f"{home}/supervisord.conf"
            world.run(["sh", "-c", f"mkdir {home}/conf.d && cat >{config}"], user=user, input=OWN)
            attributes = {
                "config_directory": "~/conf.d",
                "supervisorctl": "supervisorctl -c ~/supervisord.conf",
                "use_sudo": False,
            }
        world.run(["supervisord", "-c", config], user=user)
        ends.append(lambda: world.run(["supervisorctl", "-c", config, "shutdown"], user=user))
        return attributes

    yield start
    for end in ends:
        end()
    world.run(["sh", "-c", f"rm -rf /etc/supervisor/conf.d/{PROGRAM}.conf /home/*/conf.d"])


OWN = """\
[unix_http_server]
file = %(here)s/supervisor.sock
[supervisord]
logfile = %(here)s/supervisord.log
pidfile = %(here)s/supervisord.pid
childlogdir = %(here)s
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl = unix://%(here)s/supervisor.sock
[include]
files = conf.d/*.conf
"""


@pytest.mark.parametrize("kind", ["as root", "with sudo", "its own"])
def test_a_program_is_set_up_once_and_gets_all_words_literally(
    world: World,
    new_ssh_host: NewHost,
    supervisor: Callable[[str | None], dict[str, Any]],
    script: str,
    kind: str,
) -> None:
    host = new_ssh_host("root" if kind == "as root" else "deploy")
    attributes = {
        "name": PROGRAM,
        "command": shlex.join([f"{script}/run it", *WORDS]),
        "directory": script,
        "environment": {"TOKEN": Secret(SECRET), "PLAIN": "it's 50% # ;"},
        "options": {"startsecs": 0, "stdout_logfile": f"/tmp/%(program_name)s {kind}.log"},
        **supervisor("deploy" if kind == "its own" else None),
    }
    messages = Messages()
    program = node_on(host, Program, logger=messages, **attributes)
    path = f"{attributes.get('config_directory', '/etc/supervisor/conf.d')}/{PROGRAM}.conf"
    assert program.setup() == (f"wrote {path}", f"updated {PROGRAM}")
    written = "".join(f"<{word}>" for word in [*WORDS, "it's 50% # ;", SECRET, script])
    log = ["cat", f"/tmp/{PROGRAM} {kind}.log"]
    until(lambda: world.run(log) == f"{written}\n", lambda: world.run(log), 10)
    assert "hidden" not in "".join(messages.texts) + program.config.show()

    find = ["find", "/etc/supervisor/conf.d", "/home/deploy", "-name", f"{PROGRAM}.conf"]
    before = world.run([*find, "-printf", "%i %C@ %m\\n"], check=False)
    assert before.endswith(" 600\n")
    assert not program.setup()
    assert world.run([*find, "-printf", "%i %C@ %m\\n"], check=False) == before
    assert world.run(log) == f"{written}\n"

    changed = node_on(host, Program, **{**attributes, "command": f"'{script[:11]}/bin/run' 2nd"})
    world.run(
        [
            "sh",
            "-c",
            f'mkdir -p {script[:11]}/bin && cp "$1/run it" {script[:11]}/bin/run',
            "sh",
            script,
        ]
    )
    assert changed.setup() == (f"wrote {path}", f"updated {PROGRAM}")
    until(lambda: "<2nd>" in world.run(log), lambda: world.run(log), 10)

    # As when a setup is cut short before supervisor has read the file.
    assert program.config.setup()
    assert program.setup() == (f"updated {PROGRAM}",)
    world.run(["sh", "-c", f"chmod 640 /etc/supervisor/conf.d/{PROGRAM}.conf {OWN_FILE} || true"])
    assert program.setup() == (f"set the mode of {path} to 600",)


def test_a_program_is_started_and_stopped(
    world: World, ssh_host: type[SSHHost], supervisor: Callable[[str | None], dict[str, Any]]
) -> None:
    attributes = {
        "name": PROGRAM,
        "command": "sh -c 'echo 50%; exec sleep 1000'",
        "options": {"startsecs": 0, "autostart": "false", "numprocs": 1},
        **supervisor("deploy"),
    }
    sandbox = node_on(ssh_host, Program, is_sandbox=True, **attributes)
    assert [change.split()[0] for change in sandbox.setup()] == ["wrote", "updated", "started"]
    assert world.run(["ls", "/home/deploy/conf.d"]) == ""

    program = node_on(ssh_host, Program, **attributes)
    assert not program.stop()
    assert program.setup()[1:] == (f"updated {PROGRAM}", f"started {PROGRAM}")
    assert not program.start()
    until(lambda: program.tail().strip() == "50%", program.tail, 10)
    assert program.stop() == (f"stopped {PROGRAM}",)
    assert "STOPPED" in program.status()
    assert program.restart() == (f"restarted {PROGRAM}",)

    options = {"numprocs": 2, "process_name": "%(process_num)d", "startsecs": 0}
    several = node_on(ssh_host, Program, **{**attributes, "options": options})
    several.setup()
    said = f"{PROGRAM}:0:\n    50%\n{PROGRAM}:1:\n    50%"
    until(lambda: several.tail() == said, several.tail, 10)

    missing = node_on(ssh_host, Program, **{**attributes, "command": "/not/there"})
    with pytest.raises(ActionException, match="no such file"):
        missing.setup()


def test_a_program_that_does_not_stay_is_an_error_each_time(
    ssh_host: type[SSHHost], supervisor: Callable[[str | None], dict[str, Any]]
) -> None:
    # That often, supervisor starts it again itself.
    options = {"startretries": 100}
    command = "sh -c 'echo no luck; exit 3'"
    attributes = {"name": PROGRAM, "command": command, "options": options, **supervisor("deploy")}
    program = node_on(ssh_host, Program, **attributes)
    for attempt in (program.setup, program.setup):
        with pytest.raises(ActionException, match="spawn error") as caught:
            attempt()
        assert isinstance(caught.value.inner_exception, ExecCommandFailed)
    assert "no luck" in program.tail()


@pytest.mark.parametrize("action", ["setup", "stop", "restart", "tail"])
def test_a_supervisor_that_does_not_run_is_an_error_that_says_so(
    ssh_host: type[SSHHost], world: World, action: str
) -> None:
    program = node_on(
        ssh_host,
        Program,
        name=PROGRAM,
        command="x",
        supervisorctl="supervisorctl -s unix:///not/there.sock",
        config_directory="/tmp",
        use_sudo=False,
    )
    with pytest.raises(ActionException) as caught:
        getattr(program, action)()
    assert isinstance(caught.value.inner_exception, ExecCommandFailed)
    world.run(["rm", "-f", f"/tmp/{PROGRAM}.conf"])
    told = describe_failure(caught.value)
    assert f"supervisord does not seem to run on {ssh_host.slug}: start it" in told


def test_a_tilde_is_the_home_of_the_user_that_the_program_runs_as(
    new_ssh_host: NewHost,
) -> None:
    given = {"name": PROGRAM, "command": "~/bin/x ~/y", "directory": "~/site"}
    program = node_on(new_ssh_host("deploy"), Program, **given)
    assert "\ncommand=/home/deploy/bin/x '~/y'\ndirectory=/home/deploy/site\n" in program.content
    program = node_on(new_ssh_host("deploy"), Program, **given, user="root")
    assert "\ncommand=/root/bin/x '~/y'\ndirectory=/root/site\n" in program.content
    program = node_on(new_ssh_host("root"), Program, **{**given, "directory": "~deploy"})
    assert "\ndirectory=/home/deploy\n" in program.content
    program = node_on(new_ssh_host("root"), Program, **given, user="nobody-there")
    with pytest.raises(RemoteFileError, match="there is no user 'nobody-there' on the host"):
        program.content  # noqa: B018
    # It would have been made by then.
    sandbox = node_on(new_ssh_host("root"), Program, **given, user="nobody-there", is_sandbox=True)
    assert "\ndirectory=~nobody-there/site\n" in sandbox.content


@pytest.mark.parametrize(
    "attributes",
    [
        {"name": "a:b"},
        {"name": "../x"},
        {"command": "echo 'open"},
        {"command": "'one\ntwo'"},
        {"options": {"umask": "022\ncommand=x"}},
        {"options": ["umask=022"]},
        {"command": ["x", "-y"]},
        {"environment": "A=x"},
        {"environment": {"A": "both \" and '"}},
        {"environment": {"A": "'quoted'"}},
        {"environment": {"A B": "x"}},
    ],
)
def test_what_no_program_can_have_is_refused(attributes: dict[str, Any]) -> None:
    program = node_on(LocalHost, Program, **{"name": "x", "command": "y", **attributes})
    with pytest.raises((TypeError, ValueError)):
        program.content  # noqa: B018
