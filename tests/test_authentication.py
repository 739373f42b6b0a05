"""Logging in: keys, certificates, agents, questions, passwords, and several steps."""

from __future__ import annotations

import base64
import contextlib
import gc
import logging
import os
import re
import secrets
import socket
import subprocess
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest

from deployer.exceptions import (
    AuthenticationFailed,
    ConnectionLost,
    ConnectionTimeout,
    SudoAuthenticationFailed,
)
from deployer.host import SSHHost
from deployer.host.credentials import credentials
from deployer.host.ssh.config import Gateway, resolve
from deployer.parallel import Job, run
from deployer.secret import Secret
from fault_proxy import fault_proxy
from terminals import Terminal, open_terminal, person
from world import PASSWORD, Server, World

NewHost = Callable[..., type[SSHHost]]
NewKey = Callable[..., Path]


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """There are no keys of a person."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with open_terminal() as terminal:
        yield terminal


@pytest.fixture
def new_key(tmp_path: Path, world: World) -> Iterator[NewKey]:
    """Return a function that makes a key, which `deploy` is let in with."""
    world.run(["cp", ".ssh/authorized_keys", "kept"], user="deploy")

    def new_key(
        *options: str, name: str = "key", passphrase: str = "", is_accepted: bool = True
    ) -> Path:
        key = tmp_path / name
        options = options or ("-t", "ed25519")
        subprocess.run(
            ["ssh-keygen", "-q", *options, "-N", passphrase, "-C", name, "-f", key], check=True
        )
        if is_accepted:
            public = Path(f"{key}.pub").read_text()
            world.run(["sh", "-c", "cat >>.ssh/authorized_keys"], user="deploy", input=public)
        return key

    yield new_key
    world.run(["mv", "kept", ".ssh/authorized_keys"], user="deploy")


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Run an ssh agent, and return a function that adds keys to it."""
    path = str(tmp_path / "agent")
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        while not os.path.exists(path):
            assert process.poll() is None
        monkeypatch.setenv("SSH_AUTH_SOCK", path)

        def add(key: Path) -> None:
            subprocess.run(["ssh-add", "-q", key], check=True)

        yield add
    finally:
        process.terminate()
        process.wait()


def log_of(world: World, server: Server) -> str:
    return world.run(["cat", server.log])


def more_config(host: type[SSHHost], *lines: str) -> None:
    """Add lines to the ssh config that a host of the tests has."""
    with open(str(host.config_filename), "a") as file:
        file.write("".join(f"    {line}\n" for line in lines))


def openssh_key(kind: str) -> str:
    """Return as much of an encrypted key as can be read without its passphrase."""

    def string(text: bytes) -> bytes:
        return len(text).to_bytes(4, "big") + text

    fields = (b"aes256-ctr", b"bcrypt", b"options")
    public = string(string(kind.encode()) + string(b"key"))
    data = b"openssh-key-v1\0" + b"".join(map(string, fields)) + b"\0\0\0\1" + public
    body = base64.encodebytes(data).decode()
    return f"-----BEGIN OPENSSH PRIVATE KEY-----\n{body}-----END OPENSSH PRIVATE KEY-----\n"


# Keys.


@pytest.mark.parametrize(
    "options",
    [
        ("-t", "ed25519"),
        ("-t", "rsa", "-b", "2048"),
        ("-t", "rsa", "-b", "2048", "-m", "PEM"),
        ("-t", "ecdsa", "-b", "256"),
        ("-t", "ecdsa", "-b", "384"),
        ("-t", "ecdsa", "-b", "521"),
        ("-t", "ecdsa", "-b", "256", "-m", "PEM"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("passphrase", ["", "pass phrase é"])
def test_keys_of_all_kinds(
    new_ssh_host: NewHost, new_key: NewKey, options: tuple[str, ...], passphrase: str
) -> None:
    key = new_key(*options, passphrase=passphrase)
    host = new_ssh_host(key_filename=str(key), password=None, rsa_key_password=passphrase or None)
    assert host().run("whoami") == "deploy\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nonsense", "there is no private key in it"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END", "the file is damaged"),
        ("-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END", "of the kind DSA cannot be used"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END", "PKCS8: `ssh-keygen -p"),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END", "PKCS8: `ssh-keygen -p"),
        ("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END", "it cannot be read"),
        (openssh_key("sk-ssh-ed25519@openssh.com"), "put it into the ssh agent"),
        (openssh_key("ssh-dss"), "of the kind ssh-dss cannot be used"),
    ],
)
def test_a_key_that_cannot_be_used_is_named_with_the_reason(
    new_ssh_host: NewHost, tmp_path: Path, text: str, reason: str
) -> None:
    (tmp_path / "bad").write_text(text)
    host = new_ssh_host(key_filename=str(tmp_path / "bad"), password=None)
    with pytest.raises(AuthenticationFailed, match=f"Remote: .*tried {tmp_path}/bad .*{reason}"):
        host().run("true")


def test_a_passphrase_is_computed_only_for_a_key_that_wants_one(
    new_ssh_host: NewHost, new_key: NewKey
) -> None:
    calls: list[int] = []

    def compute() -> Secret:
        calls.append(1)
        return Secret("pass phrase")

    plain = new_key(name="plain")
    assert new_ssh_host(key_filename=str(plain), rsa_key_password=compute)().run("true").ok
    assert calls == []
    locked = new_key(name="locked", passphrase="pass phrase")
    for name in ("One", "Two"):
        host = new_ssh_host(key_filename=str(locked), rsa_key_password=compute, name=name)
        assert host().run("true").ok
    assert calls == [1]


def test_a_passphrase_is_asked_once_for_a_key(
    new_ssh_host: NewHost, new_key: NewKey, terminal: Terminal
) -> None:
    key = new_key(passphrase="pass phrase")

    def act() -> None:
        terminal.read_until(f"Enter passphrase for key '{key}': ")
        terminal.type("pass phrase\n")

    with person(act):
        host = new_ssh_host(key_filename=str(key), password=None)
        assert host(terminal.pty).run("echo there") == "there\n"
    # Another host, away from the terminal.
    other = new_ssh_host(key_filename=str(key), password=None, name="Other")
    assert other().run("whoami") == "deploy\n"
    assert "pass phrase" not in terminal.read_until("there").replace("Enter passphrase", "")


def test_a_wrong_passphrase_is_asked_for_again_by_the_next_call(
    new_ssh_host: NewHost, new_key: NewKey, terminal: Terminal
) -> None:
    key = new_key(passphrase="pass phrase")
    host = new_ssh_host(key_filename=str(key), password=None)

    def act() -> None:
        terminal.read_until("Enter passphrase")
        terminal.type("wr0ng\n")
        terminal.read_until("password: ")
        terminal.type("\n")
        terminal.read_until("next\r\nEnter passphrase")
        terminal.type("pass phrase\n")

    with person(act):
        with pytest.raises(AuthenticationFailed, match=f"{key} .the passphrase does not open it"):
            host(terminal.pty).run("true")
        terminal.pty.write("next\n")
        assert host(terminal.pty).run("whoami") == "deploy\n"


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_nobody_is_asked_to_open_a_key_that_the_host_does_not_want(
    new_ssh_host: NewHost, new_key: NewKey, terminal: Terminal, kind: str
) -> None:
    key = new_key("-t", kind, passphrase="pass phrase", is_accepted=False)
    host = new_ssh_host(key_filename=str(key))
    assert host(terminal.pty).run("echo there") == "there\n"
    assert "passphrase" not in terminal.read_until("there")


# The agent.


def test_an_encrypted_key_that_the_agent_has_is_used_from_there(
    new_ssh_host: NewHost, new_key: NewKey, agent: Callable[..., None], terminal: Terminal
) -> None:
    key = new_key()
    agent(key)
    subprocess.run(["ssh-keygen", "-qp", "-N", "pass phrase", "-f", key], check=True)
    host = new_ssh_host(key_filename=str(key), password=None)
    assert host(terminal.pty).run("echo there") == "there\n"
    assert "passphrase" not in terminal.read_until("there")


def fill(agent: Callable[..., None], new_key: NewKey, count: int) -> None:
    for number in range(count):
        agent(new_key(name=f"other{number}", is_accepted=False))


def test_an_explicit_key_comes_before_those_of_a_full_agent(
    new_ssh_host: NewHost, new_key: NewKey, agent: Callable[..., None]
) -> None:
    fill(agent, new_key, 8)
    host = new_ssh_host(key_filename=str(new_key()), password=None)
    assert host().run("whoami") == "deploy\n"


def test_the_configured_keys_of_a_full_agent_come_first(
    new_ssh_host: NewHost, new_key: NewKey, agent: Callable[..., None]
) -> None:
    fill(agent, new_key, 8)
    key = new_key()
    agent(key)
    key.unlink()
    host = new_ssh_host(key_filename=None, password=None)
    more_config(host, f"IdentityFile {key}")
    assert host().run("whoami") == "deploy\n"


def test_too_many_keys_are_an_error_with_the_way_out(
    new_ssh_host: NewHost, new_key: NewKey, agent: Callable[..., None]
) -> None:
    fill(agent, new_key, 8)
    host = new_ssh_host(key_filename=None, password=None)
    with pytest.raises(AuthenticationFailed, match=r"Too many auth.*`IdentitiesOnly yes`"):
        host().run("true")


def test_identities_only_leaves_the_other_keys_of_the_agent_out(
    new_ssh_host: NewHost, new_key: NewKey, agent: Callable[..., None], world: World, sshd: Server
) -> None:
    fill(agent, new_key, 8)
    host = new_ssh_host(key_filename=None)
    more_config(host, "IdentitiesOnly yes")
    # The password's turn comes.
    assert host().run("whoami") == "deploy\n"


def test_an_agent_that_is_gone_is_no_matter(
    new_ssh_host: NewHost, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "gone"))
    assert new_ssh_host(key_filename=None)().run("whoami") == "deploy\n"


def test_another_agent_may_be_configured(
    new_ssh_host: NewHost,
    new_key: NewKey,
    agent: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent(new_key())
    socket = os.environ["SSH_AUTH_SOCK"]
    monkeypatch.delenv("SSH_AUTH_SOCK")
    host = new_ssh_host(key_filename=None, password=None)
    more_config(host, f"IdentityAgent {socket}")
    assert host().run("whoami") == "deploy\n"


# Certificates.


@pytest.fixture
def certified(world: World, tmp_path: Path) -> Iterator[Callable[[Path], Server]]:
    """Return a function that certifies a key for `deploy`, and gives a server that believes it."""
    authority = tmp_path / "authority"
    subprocess.run(["ssh-keygen", "-qt", "ed25519", "-N", "", "-f", authority], check=True)
    world.run(["sh", "-c", "cat >/run/authority.pub"], input=Path(f"{authority}.pub").read_text())
    with world.serve("TrustedUserCAKeys /run/authority.pub", "AuthorizedKeysFile none") as server:

        def certify(key: Path) -> Server:
            subprocess.run(
                ["ssh-keygen", "-q", "-s", authority, "-I", "id", "-n", "deploy", f"{key}.pub"],
                check=True,
            )
            return server

        yield certify


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_a_certificate_beside_a_key_is_used(
    new_ssh_host: NewHost, new_key: NewKey, certified: Callable[[Path], Server], kind: str
) -> None:
    key = new_key("-t", kind, is_accepted=False)
    host = new_ssh_host(server=certified(key), key_filename=str(key), password=None)
    assert host().run("whoami") == "deploy\n"
    host.close_connection()


def test_a_certificate_that_is_configured_is_used_with_a_key_of_the_agent(
    new_ssh_host: NewHost,
    new_key: NewKey,
    certified: Callable[[Path], Server],
    agent: Callable[..., None],
    tmp_path: Path,
) -> None:
    key = new_key("-t", "rsa", is_accepted=False)
    agent(key)
    server = certified(key)
    elsewhere = tmp_path / "mine"
    Path(f"{key}-cert.pub").rename(elsewhere)
    key.unlink()
    host = new_ssh_host(server=server, key_filename=None, password=None)
    more_config(host, f"CertificateFile {elsewhere}")
    assert host().run("whoami") == "deploy\n"
    host.close_connection()


def test_a_certificate_for_another_key_is_left_out(
    new_ssh_host: NewHost,
    new_key: NewKey,
    certified: Callable[[Path], Server],
    world: World,
) -> None:
    other = new_key(name="other", is_accepted=False)
    server = certified(other)
    key = new_key(is_accepted=False)
    Path(f"{other}-cert.pub").rename(f"{key}-cert.pub")
    host = new_ssh_host(server=server, key_filename=str(key), password=PASSWORD)
    # The password's turn comes.
    assert host().run("whoami") == "deploy\n"
    assert "CERT" not in log_of(world, server)
    host.close_connection()


# Several steps.


@pytest.mark.parametrize(
    "methods",
    [
        "publickey,password",
        "publickey,keyboard-interactive",
        "password,publickey",
        "publickey,publickey",
        "keyboard-interactive,password",
    ],
)
def test_several_steps(new_ssh_host: NewHost, new_key: NewKey, world: World, methods: str) -> None:
    key = new_key()
    with world.serve(f"AuthenticationMethods {methods}") as server:
        host = new_ssh_host(server=server, key_filename=None)
        more_config(host, f"IdentityFile {key}", f"IdentityFile {world.key_filename}")
        assert host().run("whoami") == "deploy\n"
        host.close_connection()


def test_a_step_that_fails_says_what_was_tried(new_ssh_host: NewHost, world: World) -> None:
    with world.serve("AuthenticationMethods publickey,password") as server:
        host = new_ssh_host(server=server, password="wr0ng")
        with pytest.raises(AuthenticationFailed, match=r"tried the password \(refused\)"):
            host().run("true")
        assert log_of(world, server).count("Failed ") == 1
        host = new_ssh_host(server=server, key_filename=None)
        with pytest.raises(AuthenticationFailed, match="the host wants publickey"):
            host().run("true")


@pytest.mark.parametrize("method", ["password", "keyboard-interactive"])
def test_the_only_method_that_a_server_has(
    new_ssh_host: NewHost, world: World, method: str
) -> None:
    with world.serve(f"AuthenticationMethods {method}") as server:
        assert new_ssh_host(server=server)().run("whoami") == "deploy\n"


def test_methods_that_are_switched_off_are_not_tried(new_ssh_host: NewHost) -> None:
    host = new_ssh_host(key_filename=None)
    more_config(host, "PasswordAuthentication no", "KbdInteractiveAuthentication no")
    with pytest.raises(AuthenticationFailed, match="there is no key and no password to try"):
        host().run("true")


# Questions.


class Asking(paramiko.ServerInterface):
    """A server that asks for the password, and for a code as well; every command succeeds."""

    def __init__(self, *questions: tuple[str, bool]) -> None:
        self._questions = list(questions)
        self.answers: list[str] = []

    def get_allowed_auths(self, username: str) -> str:
        return "keyboard-interactive"

    def check_auth_interactive(self, username: str, submethods: str) -> paramiko.InteractiveQuery:
        return self._query()

    def check_auth_interactive_response(
        self, responses: list[str]
    ) -> int | paramiko.InteractiveQuery:
        self.answers += responses
        if self._questions:
            return self._query()
        return paramiko.AUTH_SUCCESSFUL if all(self.answers) else paramiko.AUTH_FAILED

    def _query(self) -> paramiko.InteractiveQuery:
        return paramiko.InteractiveQuery("", "Look at \x1b[2Jyour phone.", self._questions.pop(0))

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_pty_request(self, *args: object) -> bool:
        return True

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        def end() -> None:
            channel.send_exit_status(0)
            channel.close()

        threading.Timer(0.05, end).start()
        return True


@pytest.fixture
def serve_questions(
    tmp_path: Path,
) -> Iterator[Callable[[Asking], Server]]:
    """Return a function that lets a server of paramiko's take one connection."""
    with contextlib.ExitStack() as stack:

        def serve(asking: Asking) -> Server:
            key = paramiko.ECDSAKey.generate()
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def accept() -> None:
                transport = paramiko.Transport(listener.accept()[0])
                stack.callback(transport.close)
                transport.add_server_key(key)
                transport.start_server(threading.Event(), asking)

            thread = threading.Thread(target=accept)
            thread.start()
            stack.callback(thread.join)
            port = listener.getsockname()[1]
            return Server("127.0.0.1", port, f"{key.get_name()} {key.get_base64()}", "")

        yield serve


QUESTIONS = (("Password: ", False), ("Verification code: ", True), ("One-time password: ", False))


def test_other_questions_are_asked_at_the_terminal(
    new_ssh_host: NewHost, serve_questions: Callable[[Asking], Server], terminal: Terminal
) -> None:
    asking = Asking(*QUESTIONS)
    host = new_ssh_host(server=serve_questions(asking), key_filename=None)

    def act() -> None:
        # Nothing that changes how the terminal behaves is passed on.
        terminal.read_until("Remote: Look at ?[2Jyour phone.\r\nVerification code: ")
        terminal.type("123456\n")
        terminal.read_until("One-time password: ")
        assert not terminal.echoes
        terminal.type("hush\n")

    with person(act):
        assert host(terminal.pty).run("true").ok
    assert asking.answers == [PASSWORD, "123456", "hush"]
    terminal.pty.write("end\n")
    shown = terminal.read_until("end")
    assert "123456" in shown and "hush" not in shown and PASSWORD not in shown
    host.close_connection()


def test_a_question_that_nobody_can_answer_is_named(
    new_ssh_host: NewHost, serve_questions: Callable[[Asking], Server]
) -> None:
    asking = Asking(*QUESTIONS[:2])
    host = new_ssh_host(server=serve_questions(asking), key_filename=None)
    with pytest.raises(
        AuthenticationFailed,
        match=r"keyboard-interactive \(it asks 'Verification code:', and nobody answers\)",
    ):
        host().run("true")
    assert asking.answers == [PASSWORD, ""]


def test_the_password_is_no_answer_to_another_question(
    new_ssh_host: NewHost, serve_questions: Callable[[Asking], Server]
) -> None:
    for question in (("One-time password: ", False), ("Password: ", True), ("PIN: ", False)):
        asking = Asking(question)
        host = new_ssh_host(server=serve_questions(asking), key_filename=None)
        with pytest.raises(AuthenticationFailed):
            host().run("true")
        assert asking.answers == [""]


# Passwords.


def test_a_password_is_asked_once_for_login_and_sudo(
    new_ssh_host: NewHost, terminal: Terminal
) -> None:
    def act() -> None:
        terminal.read_until("deploy@127.0.0.1's password: ")
        assert not terminal.echoes
        terminal.type(f"{PASSWORD}\n")

    def hosts() -> Iterator[type[SSHHost]]:
        for name in ("One", "Two"):
            yield new_ssh_host(key_filename=None, password=None, name=name)

    one, two = hosts()
    with person(act):
        threads = [
            threading.Thread(target=lambda host=host: host(terminal.pty).run("true"))  # type: ignore[misc]
            for host in (one, two, one)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert one(terminal.pty).sudo("whoami") == "root\n"
    shown = terminal.read_until("root")
    assert shown.count("password") == 1
    assert PASSWORD not in shown


def test_a_wrong_answer_is_forgotten(
    new_ssh_host: NewHost, terminal: Terminal, world: World, sshd: Server
) -> None:
    question = "deploy@127.0.0.1's password: "

    def act() -> None:
        terminal.read_until(question)
        terminal.type("wr0ng\n")
        terminal.read_until(f"next\r\n{question}")
        terminal.type(f"{PASSWORD}\n")

    host = new_ssh_host(key_filename=None, password=None)
    before = log_of(world, sshd).count("Failed ")
    with person(act):
        with pytest.raises(AuthenticationFailed, match=r"the password \(refused\)"):
            host(terminal.pty).run("true")
        terminal.pty.write("next\n")
        assert host(terminal.pty).run("whoami") == "deploy\n"
    assert log_of(world, sshd).count("Failed ") == before + 1


def test_nobody_is_asked_what_the_server_does_not_want(
    new_ssh_host: NewHost, world: World, terminal: Terminal
) -> None:
    with world.serve("AuthenticationMethods publickey") as server:
        host = new_ssh_host(server=server, key_filename=None, password=None)
        with pytest.raises(AuthenticationFailed, match="no key and no password"):
            host(terminal.pty).run("true")
    terminal.pty.write("end\n")
    assert "password" not in terminal.read_until("end")


def test_in_batch_mode_nobody_is_asked(new_ssh_host: NewHost, terminal: Terminal) -> None:
    host = new_ssh_host(key_filename=None, password=None)
    more_config(host, "BatchMode yes")
    with pytest.raises(AuthenticationFailed, match="`BatchMode yes`"):
        host(terminal.pty).run("true")
    with_key = new_ssh_host(password=None, name="WithKey")
    more_config(with_key, "BatchMode yes")
    with pytest.raises(SudoAuthenticationFailed, match="set `password`"):
        with_key(terminal.pty).sudo("whoami")


def test_in_a_parallel_run_one_person_is_asked_once_for_all(
    new_ssh_host: NewHost, terminal: Terminal
) -> None:
    def act() -> None:
        terminal.read_until("deploy@127.0.0.1's password: ")
        terminal.type(f"{PASSWORD}\n")

    hosts = [new_ssh_host(key_filename=None, password=None, name=name) for name in ("one", "two")]
    jobs = [Job(host.slug, lambda pty, host=host: host(pty).run("whoami")) for host in hosts]
    with person(act):
        outcomes = run(terminal.pty, jobs)
    assert [outcome.result for outcome in outcomes] == ["deploy\n", "deploy\n"]
    shown = terminal.read_until("one,two (2)")
    assert shown.count("password") == 1
    assert re.search(r"(one|two): deploy@127.0.0.1's password: ", shown)
    assert PASSWORD not in shown


def test_where_nobody_can_be_asked_the_error_says_what_to_do(new_ssh_host: NewHost) -> None:
    host = new_ssh_host(key_filename=None, password=None)
    with pytest.raises(AuthenticationFailed, match=r"Set .*`password`.*; or run it at a terminal"):
        host().run("true")


# What must not show, and what is no failure to log in.


def test_no_local_variable_of_a_traceback_shows_a_secret(
    new_ssh_host: NewHost, new_key: NewKey
) -> None:
    canary = f"canary-{secrets.token_hex(6)}"
    key = new_key(passphrase=f"{canary}-right")
    attributes = {"password": Secret(canary), "rsa_key_password": Secret(f"{canary}-wrong")}
    for given in (
        {"key_filename": str(key)},
        {"key_filename": None, "rsa_key": Secret(key.read_text())},
    ):
        host = new_ssh_host(**given, **attributes)
        with pytest.raises(AuthenticationFailed) as caught:
            host().run("true")
        shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        lines = [line for line in "".join(shown.format()).split("\n") if " canary = " not in line]
        assert "authenticate" in "".join(lines)
        assert not [line for line in lines if canary in line]
        assert not [line for line in lines if key.read_text().splitlines()[2] in line]


def test_what_a_connection_is_made_from_does_not_show_secrets(new_ssh_host: NewHost) -> None:
    host = new_ssh_host(rsa_key="canary-key", rsa_key_password="canary-passphrase")
    gateway = replace(Gateway.of(host, "gateway"), password="canary-password", rsa_key="canary-key")
    for value in (gateway, resolve(host), host(), credentials.given(host, "password")):
        assert "canary" not in repr(value) and PASSWORD not in repr(value)


def test_no_secret_is_in_the_logs_even_of_paramiko(
    new_ssh_host: NewHost, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for method in ("password", "keyboard-interactive"):
        with world.serve(f"AuthenticationMethods {method}") as server:
            host = new_ssh_host(server=server)
            host().sudo("true")
            for kept in gc.get_objects():
                # What paramiko keeps of a login.
                if isinstance(kept, paramiko.auth_handler.AuthHandler):
                    assert PASSWORD not in repr(vars(kept))
                    assert PASSWORD.encode() not in vars(kept).values()
    assert "Authentication" in caplog.text
    assert PASSWORD not in caplog.text


def test_a_connection_that_breaks_while_logging_in_is_that_error(
    new_ssh_host: NewHost, sshd: Server
) -> None:
    with fault_proxy(sshd.port) as proxy:

        def cut() -> str:
            proxy.drop_all()
            return PASSWORD

        host = new_ssh_host(key_filename=None, password=cut, server=replace(sshd, port=proxy.port))
        with pytest.raises(ConnectionLost, match=r"Remote: .* was lost while logging in"):
            host().run("true")
        assert proxy.connections == 1


def test_a_server_that_falls_silent_while_logging_in_is_given_up(
    new_ssh_host: NewHost, sshd: Server
) -> None:
    with fault_proxy(sshd.port) as proxy:

        def freeze() -> str:
            proxy.set(freeze_after_down=1)
            return PASSWORD

        host = new_ssh_host(
            key_filename=None, password=freeze, timeout=1, server=replace(sshd, port=proxy.port)
        )
        with pytest.raises(ConnectionTimeout, match=r"did not answer within .* while logging in"):
            host().run("true")
