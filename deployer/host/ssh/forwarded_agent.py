"""Our ssh agent, for the processes of a host (ForwardAgent)."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

import paramiko

__all__ = ["ForwardedAgent"]

# Seconds that the agent may take: it may ask its user first.
_ANSWER = 120.0
# What OpenSSH's agent takes at most.
_LONGEST = 256 * 1024
# SSH_AGENT_FAILURE, with its length.
_FAILURE = b"\0\0\0\1\5"


class ForwardedAgent:
    """Passes on what processes of a host ask, each of them in a thread that ends with it.

    :param path: the socket of our agent.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def take(self, channel: paramiko.Channel) -> None:
        """Serve one process; returns at once."""
        threading.Thread(
            target=self._serve, args=(channel,), name="deployer-agent", daemon=True
        ).start()

    def _serve(self, channel: paramiko.Channel) -> None:
        # Whatever goes wrong, the process sees that its agent is gone.
        with (
            contextlib.suppress(OSError, EOFError, paramiko.SSHException, struct.error),
            contextlib.closing(channel),
            socket.socket(socket.AF_UNIX) as agent,
        ):
            agent.settimeout(_ANSWER)
            agent.connect(self._path)
            # A question, then its answer: the protocol knows nothing else.
            while question := _message(channel):
                agent.sendall(question)
                channel.sendall(_message(agent) or _FAILURE)


def _message(source: paramiko.Channel | socket.socket) -> bytes:
    """Return a whole message; nothing at the end."""
    if not (head := _exactly(source, 4)):
        return b""
    (size,) = struct.unpack(">I", head)
    if size > _LONGEST:
        raise OSError(f"a message to an agent of {size} bytes")
    return head + _exactly(source, size)


def _exactly(source: paramiko.Channel | socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (piece := source.recv(size - len(data))):
        data += piece
    return data
