"""What loggers see, print and record."""

from __future__ import annotations

import io
import logging
import os
import pty
import secrets
import shlex
import threading

import pytest

from deployer.exceptions import ActionException
from deployer.loggers import (
    DefaultLogger,
    DummyLoggerInterface,
    GroupEntry,
    IndentedDefaultLogger,
    Logger,
    LoggerInterface,
    RunEntry,
    TraceLogger,
)
from deployer.loggers.default import MessageLogger
from deployer.secret import Secret


class Broken(Logger):
    def start_run(self, entry):
        raise ValueError("no disk")


@pytest.fixture
def interface():
    return LoggerInterface()


def attach(interface, logger):
    interface.attach(logger)
    return logger


def run(interface, command="make", host="web1", status=0, **how):
    with interface.log_run(host, command, **how) as entry:
        entry.exit_status = status


def test_a_run_is_traced_with_its_status_and_duration(interface):
    trace = attach(interface, TraceLogger())
    run(interface, "make", status=2, use_sudo=True)
    (entry,) = trace.runs
    assert (entry.host, entry.command, entry.exit_status, entry.use_sudo) == (
        "web1",
        "make",
        2,
        True,
    )
    assert entry.duration >= 0
    assert not entry.succeeded


def test_an_entry_has_not_succeeded_while_it_runs(interface):
    with interface.log_run("web1", "make") as entry:
        entry.exit_status = 0
        assert not entry.succeeded
    assert entry.succeeded


def test_a_run_that_a_signal_ended_has_not_succeeded(interface):
    with interface.log_run("web1", "make") as entry:
        pass
    assert entry.exit_status is None
    assert not entry.succeeded


def test_groups_nest_in_a_trace(interface):
    trace = attach(interface, TraceLogger())
    with interface.group("Root.deploy", "v1", force=True):
        run(interface, "one")
        with interface.group("Root.git.pull"):
            run(interface, "two")
    run(interface, "three")
    deploy, three = trace.entries
    one, pull = deploy.children
    assert (deploy.subject.args, deploy.subject.kwargs) == (("v1",), {"force": True})
    assert [one.subject.command, three.subject.command] == ["one", "three"]
    assert [child.subject.command for child in pull.children] == ["two"]


def test_a_failed_group_keeps_its_error_and_raises_it(interface):
    trace = attach(interface, TraceLogger())
    error = ValueError("no")
    with pytest.raises(ValueError), interface.group("Root.deploy"):
        raise error
    assert trace.entries[0].subject.error is error
    assert not trace.entries[0].subject.succeeded


def test_a_trace_reads_as_a_tree(interface):
    trace = attach(interface, TraceLogger())
    with interface.group("Root.deploy"):
        run(interface, "make", status=1)
        interface.log_message("half way")
        with interface.log_file("web1", "/etc/motd", mode="w"):
            pass
    assert str(trace).splitlines() == [
        "Root.deploy: done (0.0s)",
        "  web1 | $ make: exit status 1 (0.0s)",
        "  half way",
        "  web1 | open /etc/motd (w): done (0.0s)",
    ]


def test_a_fork_is_traced_within_what_forked(interface):
    trace = attach(interface, TraceLogger())
    with interface.group("Root.deploy"):
        cells = [interface.fork(name) for name in ("web1", "web2")]
        threads = [threading.Thread(target=run, args=(cell, "make")) for cell in cells]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    (deploy,) = trace.entries
    assert [fork.subject.name for fork in deploy.children] == ["web1", "web2"]
    assert [len(fork.children) for fork in deploy.children] == [1, 1]


def test_threads_of_one_interface_do_not_nest_in_each_other(interface):
    trace = attach(interface, TraceLogger())
    with interface.group("Root.deploy"):
        thread = threading.Thread(target=run, args=(interface, "beside"))
        thread.start()
        thread.join()
        run(interface, "within")
    deploy, beside = trace.entries
    assert beside.subject.command == "beside"
    assert [child.subject.command for child in deploy.children] == ["within"]


def test_a_detached_logger_sees_no_more(interface):
    trace = TraceLogger()
    with interface.attached(trace):
        run(interface, "seen")
    run(interface, "not seen")
    assert [entry.command for entry in trace.runs] == ["seen"]


def test_who_saw_no_beginning_sees_no_end(interface):
    ended = []

    class Ends(Logger):
        def leave_group(self, entry):
            ended.append(entry.name)

    with interface.group("outer"):
        interface.attach(Ends())
        with interface.group("inner"):
            pass
    assert ended == ["inner"]


def test_detaching_a_stranger_is_an_error(interface):
    with pytest.raises(ValueError, match="is not attached"):
        interface.detach(TraceLogger())


def test_a_dummy_interface_reports_to_nobody():
    interface = DummyLoggerInterface()
    trace = attach(interface, TraceLogger())
    run(interface)
    assert trace.entries == []
    interface.detach(trace)


def test_a_broken_logger_breaks_no_run_and_is_reported_once(interface, caplog):
    interface.attach(Broken())
    trace = attach(interface, TraceLogger())
    with caplog.at_level(logging.ERROR):
        run(interface)
        run(interface)
        run(interface.fork("web2"))
    assert len(trace.runs) == 3
    assert len(caplog.records) == 1
    assert "'start_run'" in caplog.text
    assert "no disk" in caplog.text


def test_a_command_is_printed_when_it_starts():
    stream = io.StringIO()
    interface = LoggerInterface()
    interface.attach(DefaultLogger(stream))
    with interface.log_run("web1", "apt update", use_sudo=True, user="www") as entry:
        assert stream.getvalue() == "web1 | $ sudo -u www apt update\n"
        entry.exit_status = 0
    assert stream.getvalue().count("\n") == 1


SCRIPT = "sh -c 'set -e\n  cd /srv\n  make'\n"


def test_of_a_command_with_several_lines_the_first_is_printed():
    stream = io.StringIO()
    interface = LoggerInterface()
    interface.attach(DefaultLogger(stream))
    run(interface, SCRIPT, sandbox=True)
    run(interface, "one\ntwo")
    run(interface, "x" * 500)
    assert stream.getvalue().splitlines() == [
        "web1 | $ sh -c 'set -e … (2 more lines)  (sandbox)",
        "web1 | $ one … (1 more line)",
        f"web1 | $ {'x' * 500}",
    ]


def test_an_indented_logger_and_a_trace_have_the_whole_command():
    stream, trace = io.StringIO(), TraceLogger()
    interface = LoggerInterface()
    interface.attach(IndentedDefaultLogger(stream))
    interface.attach(trace)
    run(interface, SCRIPT)
    for text in (stream.getvalue(), str(trace)):
        assert "  make'" in text
        assert "more lines" not in text


def test_how_a_command_failed_is_printed():
    stream = io.StringIO()
    interface = LoggerInterface()
    interface.attach(DefaultLogger(stream))
    run(interface, "make", status=2)
    assert stream.getvalue() == "web1 | $ make\nweb1 | exit status 2 (0.0s)\n"


def test_an_interrupted_run_is_said_alike_of_all_hosts(interface):
    stream = io.StringIO()
    attach(interface, DefaultLogger(stream))
    with pytest.raises(KeyboardInterrupt), interface.log_run("web1", "make"):
        raise KeyboardInterrupt
    assert stream.getvalue() == "web1 | $ make\nweb1 | interrupted\n"


def test_exceptions_messages_and_files_are_printed():
    stream = io.StringIO()
    interface = LoggerInterface()
    interface.attach(DefaultLogger(stream))
    interface.log_exception(ValueError("first\nsecond"))
    interface.log_message("hello")
    with interface.log_file("web1", "/etc/motd", mode="w", sandbox=True):
        pass
    assert stream.getvalue().splitlines() == [
        "ValueError: first",
        "hello",
        "web1 | open /etc/motd (w)  (sandbox)",
    ]


def test_the_default_stream_is_the_stderr_of_the_moment(interface, capsys):
    interface.attach(DefaultLogger())
    run(interface)
    assert capsys.readouterr() == ("", "web1 | $ make\n")


def test_an_indented_logger_shows_the_calls():
    stream = io.StringIO()
    interface = LoggerInterface()
    interface.attach(IndentedDefaultLogger(stream))
    with pytest.raises(ValueError), interface.group("Root.deploy"):
        run(interface, "make\ninstall")
        run(interface.fork("web2"), "make", host="web2")
        raise ValueError("no")
    assert stream.getvalue().splitlines() == [
        "Root.deploy",
        "  web1 | $ make",
        "  install",
        "  web2 | $ make",
        "Root.deploy ValueError (0.0s)",
    ]


def test_what_an_action_raised_is_named_and_not_what_reports_it(interface):
    trace = attach(interface, TraceLogger())
    with pytest.raises(ActionException), interface.group("Root.deploy"):
        raise ActionException(ValueError("no"))
    interface.log_exception(ActionException(ValueError("no")))
    assert str(trace) == "Root.deploy: ValueError (0.0s)\nValueError: no"


def test_lines_of_several_threads_stay_whole(interface):
    stream = io.StringIO()
    interface.attach(DefaultLogger(stream))
    barrier = threading.Barrier(8)

    def work(name):
        barrier.wait()
        for _ in range(50):
            run(interface, "x" * 100, host=name)

    threads = [threading.Thread(target=work, args=(f"web{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 400
    assert {line[4:] for line in lines} == {" | $ " + "x" * 100}


@pytest.fixture
def terminal(monkeypatch):
    """A stream that is a terminal, and a function that reads what was written to it."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    master, slave = pty.openpty()
    with open(slave, "w", encoding="utf-8") as stream:
        yield stream, lambda: os.read(master, 10000).decode()
    os.close(master)


def test_colours_are_used_on_a_terminal(interface, terminal):
    stream, read = terminal
    interface.attach(DefaultLogger(stream))
    run(interface)
    assert "\x1b[36mweb1" in read()


def test_no_color_turns_colours_off(interface, terminal, monkeypatch):
    stream, read = terminal
    monkeypatch.setenv("NO_COLOR", "1")
    interface.attach(DefaultLogger(stream))
    run(interface)
    assert read() == "web1 | $ make\r\n"


def test_force_color_of_termcolor_does_not_leak_into_files(interface, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO()
    interface.attach(DefaultLogger(stream))
    run(interface)
    assert "\x1b" not in stream.getvalue()


def test_entries_are_what_hooks_get(interface):
    seen = []

    class Seen(Logger):
        def enter_group(self, entry):
            seen.append(type(entry))

        def end_run(self, entry):
            seen.append(type(entry))

    interface.attach(Seen())
    with interface.group("Root.deploy"):
        run(interface)
    assert seen == [GroupEntry, RunEntry]


# Secrets.


@pytest.fixture
def secret():
    return Secret(f"it's {secrets.token_hex(6)}")


def test_no_text_that_a_logger_gets_has_a_secret_in_it(interface, secret):
    trace = attach(interface, TraceLogger())
    text = secret.reveal()
    with interface.group("Root.deploy", text, [text], key={"a": (text, 1)}, secret=secret):
        run(interface, f"mysql -p{shlex.quote(text)}")
        with interface.log_file("web1", f"/{text}", mode="w"):
            pass
        interface.log_message(f"the password is {text}")
    group, command, file, message = (entry.subject for entry in trace.walk())
    assert group.args == ("***", ["***"])
    assert group.kwargs == {"key": {"a": ("***", 1)}, "secret": secret}
    assert command.command == "mysql -p'***'"
    assert file.path == "/***"
    assert message == "the password is ***"
    assert text not in repr([entry.subject for entry in trace.walk()])


def test_what_an_action_gets_is_not_redacted(interface, secret):
    attach(interface, TraceLogger())
    argument = [secret.reveal()]
    with interface.group("Root.deploy", argument):
        assert argument == [secret.reveal()]


def test_an_argument_that_contains_itself_is_logged(interface, secret):
    argument = []
    argument.append(argument)
    with interface.group("Root.deploy", argument) as entry:
        assert isinstance(entry.args[0], list)


def test_the_text_of_somebody_elses_exception_is_redacted(interface, secret):
    stream = io.StringIO()
    attach(interface, DefaultLogger(stream))
    trace = attach(interface, TraceLogger())
    interface.log_exception(ValueError(f"bad: {secret.reveal()}"))
    assert stream.getvalue() == str(trace) + "\n" == "ValueError: bad: ***\n"


def test_a_logger_of_ones_own_is_a_plain_one_in_other_processes() -> None:
    class Titled(DefaultLogger):
        def __init__(self, title: str) -> None:
            super().__init__()
            self.title = title

    assert Titled("deploys").make_remote() is DefaultLogger
    assert MessageLogger().make_remote() is MessageLogger
