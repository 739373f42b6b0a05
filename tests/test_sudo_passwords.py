"""The password for sudo: which are taken, when it is sent, and what hinders it."""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployer.exceptions import (
    AuthenticationFailed,
    NodeUsageError,
    SudoAuthenticationFailed,
    SudoFailed,
)
from deployer.host import SSHHost, interaction
from deployer.host.credentials import Account, Credential, Credentials
from deployer.pseudo_terminal import DummyPty
from deployer.secret import Secret
from terminals import open_terminal, run_in_terminal, run_script
from world import PASSWORD, World

NewHost = Callable[..., type[SSHHost]]


@pytest.fixture
def sudoers(world: World) -> Iterator[Callable[..., None]]:
    """Return a function that adds lines to the world's sudoers; they are removed at the end."""
    file = "/etc/sudoers.d/zz-zz-test"

    def add(*lines: str) -> None:
        world.run(["sh", "-c", f"cat >{file}; chmod 440 {file}"], input="\n".join([*lines, ""]))
        world.run(["visudo", "-cq"])

    yield add
    world.run(["rm", "-f", file])


@contextlib.contextmanager
def password_of(world: World, user: str, password: str) -> Iterator[None]:
    world.run(["chpasswd"], input=f"{user}:{password}\n")
    try:
        yield
    finally:
        world.run(["chpasswd"], input=f"{user}:{PASSWORD}\n")


# Which are taken.


@pytest.mark.parametrize("interactive", [False, True])
@pytest.mark.parametrize("password", ["a'b\"c", " $HOME `id` $(id) ", "\\n%p%s\\", "日本語 é"])
def test_a_password_with_anything_in_it_works(
    new_ssh_host: NewHost, world: World, password: str, interactive: bool
) -> None:
    with password_of(world, "deploy", password):
        assert new_ssh_host(password=password)().sudo("whoami", interactive=interactive) == "root\n"


@pytest.mark.parametrize("password", ["two\nlines", "two\rlines", "nul\0nul"])
def test_a_password_of_two_lines_is_refused_here(new_ssh_host: NewHost, password: str) -> None:
    host = new_ssh_host(password=password)
    with pytest.raises(ValueError, match="Remote: the password has a newline in it") as caught:
        host().sudo("whoami")
    assert "lines" not in str(caught.value).replace("reads one line", "")
    # The connection is as before.
    assert host().run("whoami") == "deploy\n"


def test_a_password_may_be_a_secret_or_computed_once(new_ssh_host: NewHost) -> None:
    calls: list[int] = []

    def compute() -> Secret:
        calls.append(1)
        return Secret(PASSWORD)

    host = new_ssh_host(password=compute)
    threads = [threading.Thread(target=lambda: host().sudo("sudo -K; true")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]
    for given in (
        Secret(PASSWORD),
        staticmethod(lambda: PASSWORD),
        property(lambda self: f"{self.address and PASSWORD}"),
        classmethod(lambda cls: f"{cls.address and PASSWORD}"),
    ):
        assert new_ssh_host(password=given)().sudo("whoami") == "root\n"


def test_a_password_is_not_computed_where_nobody_wants_it(new_ssh_host: NewHost) -> None:
    def compute() -> str:
        raise AssertionError

    assert new_ssh_host("nopass", password=compute)().sudo("whoami") == "root\n"


def test_a_function_that_fails_is_named_with_its_host(new_ssh_host: NewHost) -> None:
    def compute() -> str:
        raise LookupError("the vault is sealed")

    host = new_ssh_host(password=compute)
    with pytest.raises(
        AuthenticationFailed, match="Remote: its `password` raised LookupError: the vault is sealed"
    ):
        host().sudo("whoami")


def test_something_that_is_no_password_is_an_error(new_ssh_host: NewHost) -> None:
    with pytest.raises(NodeUsageError, match="Remote: its `password` is a int; it has to be a str"):
        new_ssh_host(password=lambda: 1234)().sudo("whoami")


# When it is sent.


def test_without_a_question_nothing_is_sent(new_ssh_host: NewHost) -> None:
    host = new_ssh_host("nopass", password="canary-1234")()
    for interactive in (False, True):
        result = host.sudo("timeout 1 cat; true", interactive=interactive, ignore_exit_status=True)
        assert result == ""
    assert host.sudo("cat", initial_input="mine") == "mine"


def test_a_wrong_password_is_sent_once(
    new_ssh_host: NewHost, world: World, sudoers: Callable[..., None]
) -> None:
    sudoers("Defaults logfile=/var/log/sudo-test", "Defaults passwd_tries=3")
    for interactive in (False, True):
        world.run(["rm", "-f", "/var/log/sudo-test"])
        with pytest.raises(SudoAuthenticationFailed, match="it was tried once: correct `password`"):
            new_ssh_host(password="wr0ng")().sudo("whoami", interactive=interactive)
        log = world.run(["cat", "/var/log/sudo-test"]).replace("\n    ", " ")
        assert "1 incorrect password attempt" in log


def test_a_wrong_password_where_sudo_asks_only_once(
    new_ssh_host: NewHost, sudoers: Callable[..., None]
) -> None:
    sudoers("Defaults passwd_tries=1")
    with pytest.raises(SudoAuthenticationFailed, match="incorrect password"):
        new_ssh_host(password="wr0ng")().sudo("whoami")


def test_a_prompt_that_is_not_sudos_gets_nothing(new_ssh_host: NewHost) -> None:
    host = new_ssh_host()()
    script = "printf '[sudo] password for deploy: ' >&2; timeout 1 cat; true"
    for interactive in (False, True):
        result = host.sudo(script, interactive=interactive)
        assert PASSWORD not in result + result.stderr


# What hinders it.


@pytest.mark.parametrize(
    "line",
    [
        "Defaults lecture=always",
        'Defaults passprompt="Bitte das Passwort von %p: ", passprompt_override',
        'Defaults badpass_message="Leider falsch"',
        "Defaults pwfeedback",
        "Defaults timestamp_timeout=0",
    ],
)
@pytest.mark.parametrize("interactive", [False, True])
def test_what_sudo_says_around_its_question_does_not_matter(
    new_ssh_host: NewHost, sudoers: Callable[..., None], line: str, interactive: bool
) -> None:
    sudoers(line)
    host = new_ssh_host()()
    with host.env("LANG", "de_DE.UTF-8"):
        assert host.sudo("whoami", interactive=interactive, timeout=30) == "root\n"


def test_a_sudo_that_wants_a_terminal_says_how_to_give_it_one(
    new_ssh_host: NewHost, sudoers: Callable[..., None]
) -> None:
    sudoers("Defaults requiretty")
    host = new_ssh_host()()
    with pytest.raises(SudoFailed, match=r"Remote: .*have a tty.*; pass interactive=True"):
        host.sudo("whoami", interactive=False)
    assert host.sudo("whoami", interactive=True) == "root\n"


def test_a_host_without_sudo_is_told(new_ssh_host: NewHost, world: World) -> None:
    world.run(["sh", "-c", "cp .bashrc kept; sed -i '1i PATH=/nowhere' .bashrc"], user="deploy")
    try:
        with pytest.raises(
            SudoFailed, match=r"Remote: sudo did not run 'whoami': .*; is sudo installed there\?"
        ):
            new_ssh_host()().sudo("whoami")
    finally:
        world.run(["mv", "kept", ".bashrc"], user="deploy")


@pytest.mark.parametrize("interactive", [False, True])
def test_a_question_that_nobody_can_answer_does_not_wait_forever(
    new_ssh_host: NewHost,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    interactive: bool,
) -> None:
    monkeypatch.setattr(interaction, "SUDO_TIMEOUT", 1.0)
    # Where sudo's first question is not about the password.
    world.run(
        [
            "sh",
            "-c",
            "cd /usr/local/bin && printf '#!/bin/sh\\nprintf \"Your token: \" >&2; exec cat\\n' "
            ">sudo && chmod 755 sudo",
        ]
    )
    try:
        with pytest.raises(SudoFailed, match=r"it said 'Your token:'.*at a terminal"):
            new_ssh_host()().sudo("whoami", interactive=interactive)
    finally:
        world.run(["rm", "/usr/local/bin/sudo"])


def test_a_person_at_a_terminal_can_answer_another_question(
    new_ssh_host: NewHost, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interaction, "SUDO_TIMEOUT", 0.0)
    script = "#!/bin/sh\nprintf 'Your token: '; read -r token; exec /usr/bin/sudo \"$@\"\n"
    world.run(["sh", "-c", "cd /usr/local/bin && cat >sudo && chmod 755 sudo"], input=script)
    try:
        with open_terminal() as terminal:

            def act() -> None:
                terminal.read_until("Your token: ")
                terminal.type("123\r")

            thread = threading.Thread(target=act)
            thread.start()
            result = new_ssh_host("nopass")(terminal.pty).sudo("whoami")
            thread.join()
            assert result == "root\n"
            terminal.read_until("Your token: 123\r\nroot\r\n")
    finally:
        world.run(["rm", "/usr/local/bin/sudo"])


# Where it must not show.


@pytest.mark.parametrize("interactive", [False, True])
def test_no_local_variable_of_a_traceback_shows_the_password(
    new_ssh_host: NewHost, world: World, interactive: bool
) -> None:
    canary = f"canary-{secrets.token_hex(6)}"
    with password_of(world, "deploy", canary):
        # Wrong from now on.
        host = new_ssh_host(password=Secret(canary))
        host().run("true")
    with pytest.raises(SudoAuthenticationFailed) as caught:
        host().sudo("whoami", interactive=interactive)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [line for line in shown.format() if "canary = " not in line]
    assert "in execute\n" in "".join(ours)
    assert not [line for line in ours if canary in line]
    assert canary not in repr(vars(host()))


# One for all hosts.


class _Answering(DummyPty):
    """A terminal with somebody who answers each question for a password with the next answer."""

    def __init__(self, *answers: str) -> None:
        super().__init__()
        self.questions: list[str] = []
        self._answers = iter(answers)

    def ask_secret(self, question: str, shown: bool = False) -> Secret | None:
        self.questions.append(question)
        return Secret(next(self._answers))


def test_an_answer_for_all_hosts_is_forgotten_only_where_it_is_wrong() -> None:
    credentials = Credentials()
    credentials.answer_for_all(Secret("for all"))
    one, two = Account("me", "one"), Account("me", "two")
    pty = _Answering("of two")

    def password(account: Account, host: object = object()) -> str:
        credential = credentials.password(host, account, pty, f"{account.machine}: ")
        assert credential is not None
        answers[account] = credential
        return credential.secret.reveal()

    answers: dict[Account, Credential] = {}
    assert [password(one), password(two)] == ["for all", "for all"]
    credentials.forget(answers[two])
    assert [password(one), password(two)] == ["for all", "of two"]
    assert pty.questions == ["two: "]
    # What a host has by itself is its own.
    given = type("Given", (), {"password": "given"})
    assert password(Account("me", "three"), given) == "given"
    # A passphrase is another matter.
    assert credentials.passphrase(object(), "key", None, "?") is None


_SCRIPT = """
import json, os
from deployer.client import start
from deployer.host import SSHHost
from deployer.node import Node, ParallelNode

hosts = tuple(type(f"web{n}", (SSHHost,), a) for n, a in enumerate(json.loads(os.environ["GIVEN"])))

class Root(Node):
    class web(ParallelNode.Array):
        class Hosts:
            host = hosts

        def become_root(self):
            self.host.sudo("sudo -K; whoami")

if __name__ == "__main__":
    start(Root)
"""


def test_a_password_is_asked_for_once_for_all_hosts(
    world: World, new_ssh_host: NewHost, tmp_path: Path
) -> None:
    script = tmp_path / "deploy.py"
    script.write_text(_SCRIPT)
    names = ("address", "port", "username", "key_filename", "config_filename")
    with world.serve() as first, world.serve() as second:
        hosts = [new_ssh_host(server=server) for server in (first, second)]
        given = json.dumps([{name: getattr(host, name) for name in names} for host in hosts])
        words = ("run", "--ask-password", "--output", "gather", "web.become_root")
        with run_in_terminal(script, *words, columns=100, GIVEN=given, NO_COLOR="1") as screen:
            screen.wait_for("Password for all hosts that have none:")
            screen.type(f"{PASSWORD}\r")
            assert screen.wait_for_end() == 0
            said = "\n".join(screen.lines)
    assert said.count("assword") == 1
    assert "web[0-1] (2):\n  root" in said
    assert PASSWORD not in said


def test_without_a_terminal_there_is_nobody_to_ask_for_a_password(tmp_path: Path) -> None:
    script = tmp_path / "deploy.py"
    script.write_text(_SCRIPT)
    ended = run_script(script, "run", "--ask-password", "web.become_root", GIVEN="[]")
    assert ended.returncode == 2
    assert ended.stderr == "deploy.py: --ask-password: there is no terminal to ask at\n"
