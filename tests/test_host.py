"""What every host does with commands: here, and over a real SSH server."""

from __future__ import annotations

import io
import os
import pickle
import re
import resource
import shlex
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deployer.exceptions import CommandTimeout, ExecCommandFailed, NodeUsageError
from deployer.host import Host, LocalHost, SSHHost, interaction
from deployer.loggers import LoggerInterface, TraceLogger
from deployer.pseudo_terminal import DummyPty
from deployer.secret import Secret
from waiting import until

HostClass = type[Host]


#: A command that takes long, and that no other run of the tests on this machine has.
LONG = f"sleep 4321.{os.getpid()}"


def still_runs(host: Host, command: str) -> bool:
    pattern = f"[{command[0]}]{command[1:]}"
    return host.run(f"pgrep -f {shlex.quote(pattern)}", ignore_exit_status=True, silent=True).ok


@pytest.fixture
def host(host_class: HostClass) -> Host:
    return host_class()


def test_a_result_is_the_output_with_the_rest_beside_it(host: Host) -> None:
    result = host.run("echo out; echo err >&2")
    assert result == result.stdout == "out\n"
    assert isinstance(result, str)
    assert type(result.stdout) is str
    assert result.stderr == "err\n"
    assert (result.exit_status, result.exit_signal, result.ok) == (0, None, True)
    assert result.command == "echo out; echo err >&2"
    assert result.host == host.slug
    assert result.duration > 0


def test_a_result_can_be_pickled(host: Host) -> None:
    result = host.run("echo out; exit 3", ignore_exit_status=True)
    again = pickle.loads(pickle.dumps(result))
    assert (again, again.exit_status, again.host) == ("out\n", 3, host.slug)


def test_a_failure_carries_the_result_and_shows_the_end_of_the_output(host: Host) -> None:
    with pytest.raises(ExecCommandFailed) as caught:
        host.run("seq 9; echo reason >&2; exit 3")
    assert caught.value.result.stdout == "".join(f"{n}\n" for n in range(1, 10))
    assert (caught.value.exit_status, caught.value.host) == (3, host.slug)
    assert str(caught.value) == (
        f"{host.slug}: 'seq 9; echo reason >&2; exit 3' failed with exit status 3\n    reason"
    )


def test_the_exit_status_can_be_ignored(host: Host) -> None:
    result = host.run("exit 3", ignore_exit_status=True)
    assert (result.exit_status, result.ok) == (3, False)


def test_a_signal_has_a_name(host: Host) -> None:
    result = host.run("kill -9 $$", ignore_exit_status=True)
    assert (result.exit_status, result.exit_signal) == (None, "KILL")
    with pytest.raises(ExecCommandFailed, match="ended by the signal KILL"):
        host.run("kill -9 $$")


def test_output_is_shown_as_it_arrives_unless_silent(host_class: HostClass) -> None:
    pty = DummyPty()
    host_class(pty).run("echo out; sleep 0.1; echo err >&2")
    assert pty.get_output() == "out\nerr\n"
    quiet = DummyPty()
    host_class(quiet).run("echo out", silent=True)
    assert quiet.get_output() == ""


def test_without_a_terminal_no_output_is_kept_but_in_results(host_class: HostClass) -> None:
    host = host_class()
    assert host.run("echo out; echo err >&2").stderr == "err\n"
    # A program may have the same host for months.
    assert isinstance(host.pty, DummyPty)
    assert host.pty.get_output() == ""


def test_a_character_in_two_pieces_is_shown_whole(host_class: HostClass) -> None:
    pty = DummyPty()
    host_class(pty).run(r"printf '\303'; sleep 0.2; printf '\251\n'")
    assert pty.get_output() == "é\n"


def test_bytes_that_are_no_text_are_kept(host: Host) -> None:
    result = host.run(r"printf 'a\377\000b'")
    assert result.encode(errors="surrogateescape") == b"a\xff\x00b"


def test_input_is_all_that_a_command_reads(host: Host) -> None:
    assert host.run("cat", initial_input="line\n") == "line\n"
    assert host.run("cat", initial_input=b"\xff\n").encode(errors="surrogateescape") == b"\xff\n"
    assert host.run("cat") == ""


def test_much_input_and_output_pass_each_other(host: Host) -> None:
    text = "0123456789" * 200_000
    assert host.run("tee /dev/stderr", initial_input=text, silent=True) == text


def test_input_that_nobody_reads_is_no_error(host: Host) -> None:
    assert host.run("exec <&-; echo done", initial_input="x" * 1_000_000) == "done\n"


def test_a_daemon_that_keeps_the_streams_does_not_keep_us(host: Host) -> None:
    begun = time.monotonic()
    daemon = int(host.run("sleep 1234 & echo $!"))
    assert time.monotonic() - begun < 60
    host.run(f"kill {daemon}")


def test_a_daemon_that_prints_on_and_on_does_not_keep_us(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interaction, "_LONGEST_GRACE", 1.5)
    begun = time.monotonic()
    # It ends by itself, once nobody reads what it prints.
    result = host.run("while :; do echo x; sleep 0.01; done & echo done")
    assert time.monotonic() - begun < 20
    assert "done\n" in result and result.endswith("x\n")


def test_a_flood_of_output_is_stopped_in_time(host: Host) -> None:
    begun = time.monotonic()
    with pytest.raises(CommandTimeout) as caught:
        host.run("yes", timeout=0.2, silent=True)
    assert caught.value.result.startswith("y\ny\n")
    assert time.monotonic() - begun < 20


def test_many_runs_leave_nothing_behind(host: Host) -> None:
    def held() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    host.run("true")
    host.exists("/")
    before = held()
    for _ in range(50):
        host.run("true")
        host.exists("/")
    # Threads of earlier connections may be about to end.
    assert all(now <= then for now, then in zip(held(), before, strict=True))


def test_many_open_files_are_no_obstacle(host_class: HostClass) -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit[1] != resource.RLIM_INFINITY and limit[1] < 2048:
        pytest.skip(f"this process may open {limit[1]} files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2048, limit[1]))
    held: list[int] = []
    try:
        # select(2) knows none beyond the 1024th.
        while not held or held[-1] < 1100:
            held.append(os.open("/dev/null", os.O_RDONLY))
        host = host_class()
        assert host.run("cat", initial_input="pipes") == "pipes"
        assert host.run("echo a terminal", interactive=True) == "a terminal\n"
        assert host.exists("/")
    finally:
        for fd in held:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)


def test_a_command_that_takes_too_long_is_ended_with_all_it_started(host: Host) -> None:
    with pytest.raises(CommandTimeout, match=r"did not end within 0\.5 seconds") as caught:
        host.run(f"echo begun; {LONG} | {LONG}", timeout=0.5)
    assert caught.value.result.stdout == "begun\n"
    until(lambda: not still_runs(host, LONG))


def test_a_quick_command_is_not_disturbed_by_a_timeout(host: Host) -> None:
    assert host.run("echo quick", timeout=60) == "quick\n"


def test_in_a_terminal_both_streams_are_one(host: Host) -> None:
    result = host.run("tty; stty size; echo err >&2; test -t 0", interactive=True)
    assert re.fullmatch(r"/dev/pts/\d+\n40 80\nerr\n", result)
    assert result.stderr == ""


def test_away_from_a_terminal_there_is_none(host: Host) -> None:
    assert host.run("tty", ignore_exit_status=True) == "not a tty\n"


def test_what_is_typed_ahead_reaches_a_terminal(host: Host) -> None:
    result = host.run(
        "stty -echo; echo ready; read x; echo got $x",
        interactive=True,
        initial_input="hello\n",
    )
    assert result.endswith("ready\ngot hello\n")


def test_contexts_nest_and_end(host: Host) -> None:
    before = host.context
    with host.cd("/usr"), host.env("WHO", 'it\'s "$me"'):
        with host.cd("share"), host.prefix("GREETING=hello"):
            assert host.run('echo "$PWD $GREETING $WHO"') == '/usr/share hello it\'s "$me"\n'
        assert host.run('echo "$PWD-$GREETING"') == "/usr-\n"
    assert host.context == before


def test_contexts_end_after_an_exception(host: Host) -> None:
    with pytest.raises(ExecCommandFailed), host.cd("/usr"), host.env("A", "1"):
        host.run("false")
    assert host.run("echo $PWD$A").strip() != "/usr1"


def test_the_tilde_is_the_home_directory(host: Host) -> None:
    home = host.run("echo ~").strip()
    with host.cd("~", expand=True):
        assert host.run("pwd").strip() == home == host.getcwd()
    with host.cd("~/."):
        assert host.run("pwd").strip() == home
    with host.cd("~root"):
        assert host.run("pwd").strip() == "/root" or not host.exists("/root")


def test_a_missing_directory_is_the_commands_failure(host: Host) -> None:
    with host.cd("/missing"), pytest.raises(ExecCommandFailed, match="/missing"):
        host.run("true; echo ran")


def test_a_sandbox_checks_and_runs_nothing(host_class: HostClass) -> None:
    host = host_class(is_sandbox=True)
    assert host.run("echo ran") == ""
    assert host_class().run("echo ran", sandbox=True) == ""
    with pytest.raises(ExecCommandFailed):
        host.run("if then")
    with host.open("/nowhere/at/all", "w") as file:
        file.write("nothing")


def test_questions_are_answered_in_a_sandbox_too(host_class: HostClass) -> None:
    host = host_class(is_sandbox=True)
    assert host.get_home_directory("root") == "/root"
    assert not host.has_command("no-such-command")
    assert host.get_ip_address("lo") == "127.0.0.1"


def test_hosts_know_their_commands(host: Host) -> None:
    assert host.has_command("sh")
    assert not host.has_command("no-such-command")
    assert not host.has_command("x; true")


def test_hosts_know_their_addresses(host: Host) -> None:
    assert host.get_ip_address("lo") == "127.0.0.1"
    assert "lo" in [interface.name for interface in host.ifconfig().interfaces]
    with pytest.raises(LookupError, match="nope"):
        host.get_ip_address("nope")


def test_threads_on_one_host_do_not_mix(host_class: HostClass) -> None:
    wrong: list[str] = []

    def work(number: int) -> None:
        host = host_class()
        with host.cd("/usr" if number % 2 else "/"), host.env("NUMBER", str(number)):
            for _ in range(5):
                found = host.run("echo $PWD $NUMBER")
                if found != f"{'/usr' if number % 2 else '/'} {number}\n":
                    wrong.append(found)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_loggers_see_commands_and_how_they_end(host_class: HostClass) -> None:
    seen = TraceLogger()
    logger = LoggerInterface()
    logger.attach(seen)
    host = host_class(logger=logger)
    host.run("true")
    host.run("exit 4", ignore_exit_status=True)
    runs = [(entry.host, entry.command, entry.exit_status) for entry in seen.runs]
    assert runs == [(host.slug, "true", 0), (host.slug, "exit 4", 4)]


TOKEN = Secret("s3cr3t-t0ken")


@pytest.mark.parametrize("is_sandbox", [False, True])
@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            lambda host: host.run(["ls"]),
            "the command has to be a str, not a list: write shlex.join",
        ),
        (lambda host: host.sudo(None), "the command has to be a str, not None"),
        (lambda host: host.run(TOKEN), "the command is a Secret; for its text, write .reveal()"),
        (lambda host: host.run(f"x {TOKEN}"), "the command has 'Secret(***)' in it; for the text"),
        (
            lambda host: host.run_unseen(f"x {TOKEN:>20}"),
            "the command has 'Secret(***)' in",
        ),
        (lambda host: host.run("cat", initial_input=TOKEN), "initial_input is a Secret; for its"),
        (lambda host: host.run("cat", initial_input=f"{TOKEN}\n"), "initial_input has 'Secret(***"),
        (
            lambda host: host.run("cat", initial_input=b"Secret(***)"),
            "initial_input has 'Secret(***",
        ),
        (
            lambda host: host.run("cat", initial_input=io.StringIO()),
            "initial_input has to be a str",
        ),
        (lambda host: host.env("A", TOKEN), "the value of A is a Secret; for its text, write .rev"),
        (lambda host: host.env("A", str(TOKEN)), "the value of A has 'Secret(***)' in it; for the"),
        (lambda host: host.env("A", 80), "the value of A has to be a str, not an int: write str("),
        (
            lambda host: host.prefix(f"x {TOKEN}"),
            "the prefix has 'Secret(***)' in it; for the text",
        ),
        (
            lambda host: host.cd(Path("/")),
            "the path has to be a str, not a PosixPath: write str(…)",
        ),
        (lambda host: host.exists(Path("/")), "the path has to be a str, not a PosixPath: write"),
        (
            lambda host: host.put_file(io.StringIO("x"), "x"),
            "the local path has to be a str, not a StringIO; to write what is in no file, use "
            'host.open(path, "w")',
        ),
        (
            lambda host: host.get_file("/etc/hosts", io.BytesIO()),
            "the local path has to be a str, not a BytesIO; to read a file into the program, use "
            "host.open(path)",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_sent(
    use: Callable[[Host], object], message: str, is_sandbox: bool
) -> None:
    class web1(SSHHost):
        address = "no.such.host.invalid"

    trace, logger = TraceLogger(), LoggerInterface()
    logger.attach(trace)
    with pytest.raises(NodeUsageError, match=f"^web1: {re.escape(message)}"):
        use(web1(logger=logger, is_sandbox=is_sandbox))
    assert trace.entries == []


def test_an_interrupt_from_outside_ends_the_command(host_class: HostClass) -> None:
    pty = DummyPty()
    host = host_class(pty)
    raised: list[BaseException] = []

    def work() -> None:
        try:
            host.run(f"echo begun; exec {LONG}")
        except KeyboardInterrupt as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    deadline = time.monotonic() + 30
    while "begun" not in pty.get_output() and time.monotonic() < deadline:
        thread.join(0.01)
    pty.interrupted.set()
    thread.join(30)
    assert len(raised) == 1
    until(lambda: not still_runs(host_class(), LONG))


def test_after_an_interrupt_nothing_more_is_run(host_class: HostClass, tmp_path: Path) -> None:
    pty = DummyPty()
    pty.interrupted.set()
    with pytest.raises(KeyboardInterrupt):
        host_class(pty).run(f"touch {tmp_path}/made")
    with pytest.raises(KeyboardInterrupt):
        host_class(pty).put_file(__file__, "/tmp/deployer-never-made")
    assert not (tmp_path / "made").exists()
    assert not host_class().exists("/tmp/deployer-never-made")


def test_an_interactive_shell_is_in_the_context(host_class: HostClass) -> None:
    pty = DummyPty()
    host = host_class(pty)
    with host.cd("/usr"):
        host.start_interactive_shell(initial_input="echo in-$PWD; exit\n")
    assert "in-/usr" in pty.get_output()


def test_slugs_default_to_the_name_of_the_class() -> None:
    class Base(LocalHost):
        slug = "base"

    class Derived(Base):
        pass

    assert (Base.slug, Derived.slug) == ("base", "Derived")


def test_no_instance_shows_the_password(host_class: HostClass) -> None:
    with_password = type("Secretive", (host_class,), {"password": "s3cret"})
    assert "s3cret" not in repr(with_password())
