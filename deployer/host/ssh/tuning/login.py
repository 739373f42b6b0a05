"""What logging in needs of paramiko's private parts."""

from __future__ import annotations

import copy
import socket
import threading
from collections.abc import Callable
from typing import Any

import paramiko
from paramiko import agent, auth_handler
from paramiko.common import MSG_USERAUTH_PK_OK, cMSG_USERAUTH_REQUEST
from paramiko.pkey import PublicBlob

__all__ = [
    "Agent",
    "answer_questions",
    "ask_for_methods",
    "forget_password",
    "offer_key",
    "try_key",
    "with_certificate",
]

_SERVICE = "ssh-connection"
# Type checkers know nothing of what is private in these.
_AuthHandler: Any = auth_handler.AuthHandler
_AgentSSH: Any = agent.AgentSSH


class _Request(_AuthHandler):  # type: ignore[misc]
    """Sends a request that was made before.

    paramiko's own makes it in the thread of the connection, which ends when an agent does not
    sign; and it never asks whether a key would be accepted.
    """

    def __init__(
        self, transport: paramiko.Transport, username: str, method: str, done: threading.Event
    ) -> None:
        super().__init__(transport)
        self.username = username
        self.auth_method = method
        self.auth_event = done
        self.is_accepted = False
        self.message = paramiko.Message()
        self.message.add_byte(cMSG_USERAUTH_REQUEST)
        self.message.add_string(username)
        self.message.add_string(_SERVICE)
        self.message.add_string(method)

    def send(self) -> None:
        self.transport.auth_handler = self
        with self.transport.lock:
            self._request_auth()

    def _parse_service_accept(self, m: paramiko.Message) -> None:
        self.transport._send_message(self.message)

    def _accept(self, m: paramiko.Message) -> None:
        self.is_accepted = True
        self.auth_event.set()

    @property
    def _client_handler_table(self) -> dict[int, Callable[[paramiko.Message], None]]:
        return {**super()._client_handler_table, MSG_USERAUTH_PK_OK: self._accept}


def ask_for_methods(transport: paramiko.Transport, username: str, done: threading.Event) -> None:
    """Ask to be let in for nothing, to learn what the server wants; ``done`` is set then."""
    _Request(transport, username, "none", done).send()


def try_key(
    transport: paramiko.Transport, username: str, key: paramiko.PKey, done: threading.Event
) -> None:
    """Log in with a key, or a step of it; ``done`` is set when the server has answered.

    :raises paramiko.SSHException: when the key does not sign.
    """
    request = _Request(transport, username, "publickey", done)
    kind, bits = request._get_key_type_and_bits(key)
    algorithm = request._finalize_pubkey_algorithm(kind)
    signed = request._get_session_blob(key, _SERVICE, username, algorithm)
    request.message.add_boolean(True)
    request.message.add_string(algorithm)
    request.message.add_string(bits)
    request.message.add_string(key.sign_ssh_data(signed, algorithm))
    request.send()


def offer_key(
    transport: paramiko.Transport, username: str, blob: bytes, done: threading.Event
) -> Callable[[], bool]:
    """Ask the server whether it would take a key (RFC 4252, section 7).

    :param blob: the public half of the key, or a certificate.
    :param done: set when the server has answered.
    :return: what tells, then, whether it would.
    """
    request = _Request(transport, username, "publickey", done)
    kind = paramiko.Message(blob).get_text()
    request.message.add_boolean(False)
    request.message.add_string(request._finalize_pubkey_algorithm(kind))
    request.message.add_string(blob)
    request.send()
    return lambda: request.is_accepted


def answer_questions(
    transport: paramiko.Transport,
    username: str,
    answer: Callable[[str, str, list[tuple[str, bool]]], list[bytes]],
    done: threading.Event,
) -> None:
    """Begin ``keyboard-interactive``; ``done`` is set at its end.

    :param answer: called in the thread of the connection, for each set of questions.
    """
    transport.auth_handler = _AuthHandler(transport)
    transport.auth_handler.auth_interactive(username, answer, done)  # type: ignore[arg-type]


def forget_password(transport: paramiko.Transport) -> None:
    """Drop the password that paramiko keeps after a login."""
    if transport.auth_handler is not None:
        transport.auth_handler.password = None
        transport.auth_handler.interactive_handler = None


def with_certificate(key: paramiko.PKey, kind: str, blob: bytes) -> paramiko.PKey:
    """Return a key that shows a certificate; the key itself stays as it is."""
    certified: Any
    if isinstance(key, agent.AgentKey):
        certified = agent.AgentKey(key.agent, key.blob, key.comment)
    else:
        certified = copy.copy(key)
    certified.public_blob = PublicBlob(kind, blob)
    found: paramiko.PKey = certified
    return found


class Agent(_AgentSSH):  # type: ignore[misc]
    """The keys of an ssh agent.

    paramiko's own class takes the socket from the environment alone, and waits forever for an
    agent that does not answer.

    :raises OSError: when nobody listens there, or answers.
    :raises paramiko.SSHException: when it is no agent.
    """

    # Seconds for an answer: a person may have to confirm that a key is used.
    TIMEOUT = 60.0

    def __init__(self, filename: str) -> None:
        super().__init__()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(self.TIMEOUT)
            sock.connect(filename)
            self._connect(sock)
        except BaseException:
            sock.close()
            raise

    def close(self) -> None:
        """Close the connection to the agent."""
        self._close()
