"""Where the clients in panes hand over their terminals; see ``pane_client``."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import selectors
import shutil
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["Pane", "PaneServer"]

# No message is longer.
_LONGEST = 4096
# Bytes: the path of a socket may have 103 where that is least, with what is added here.
_LONGEST_DIRECTORY = 75


class Pane:
    """A pane that was asked for, and its terminal, once its client has handed it over."""

    def __init__(self) -> None:
        #: What its client says to be known by.
        self.token = secrets.token_hex(16)
        #: The terminal, open for reading and writing: its file descriptor and its type.
        self.terminal: int | None = None
        self.term = ""
        #: Set when somebody has pressed Ctrl-C in it, or closed it, or the run is interrupted.
        self.interrupted = threading.Event()
        #: Whether it was somebody in front of it.
        self.was_stopped = False
        #: Whether it is left open, for that person to close it.
        self.stays = False
        #: Gives a byte, or several, for new sizes of the pane.
        self.resized, self._resizing = socket.socketpair()
        for end in (self.resized, self._resizing):
            end.setblocking(False)
        self._answered = threading.Event()
        self._client: socket.socket | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    @property
    def has_hung_up(self) -> bool:
        """Whether there is no window to its terminal any more."""
        if self.terminal is None:
            return True
        poll = select.poll()
        poll.register(self.terminal, 0)
        return any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))

    def wait_for_terminal(self, timeout: float) -> bool:
        """Return whether its client has handed it over in time."""
        self._answered.wait(timeout)
        return self.terminal is not None

    def keep_open(self) -> None:
        """Leave it to the person in front of it to close it, also after the end of this process."""
        if self._client is not None:
            # Without its client there is no pane.
            with contextlib.suppress(OSError):
                self._client.sendall(b'{"event": "stay"}\n')
                self.stays = True

    def close(self) -> None:
        """Give back its terminal, and let its client go."""
        with self._lock:
            self._is_closed = True
            if self.terminal is not None:
                os.close(self.terminal)
                self.terminal = None
            if self._client is not None:
                # The server closes it, when it has seen the end that this is for it as well.
                with contextlib.suppress(OSError):
                    self._client.shutdown(socket.SHUT_RDWR)
            self.resized.close()
            self._resizing.close()

    # From the thread of the server.

    def take_terminal(self, terminal: int, term: str, client: socket.socket) -> bool:
        """Take what the client sent; return whether it was still wanted."""
        with self._lock:
            if not self._is_closed:
                self.terminal, self.term, self._client = terminal, term, client
            self._answered.set()
            return not self._is_closed

    def hear(self, event: str | None) -> None:
        """Act on what the client says."""
        match event:
            case "resize":
                with contextlib.suppress(OSError):
                    self._resizing.send(b"\0")
            case "interrupt":
                self.stop()

    def stop(self) -> None:
        """Interrupt what runs in it: somebody has closed it, or asked for that."""
        self.was_stopped = True
        self.interrupted.set()
        self._answered.set()


class PaneServer:
    """Listens on a socket that only this user may connect to, in a thread of its own.

    :raises OSError: when there can be no such socket.
    """

    def __init__(self) -> None:
        # It is for the user alone (0700). The path of a socket has to be short.
        is_long = len(os.fsencode(tempfile.gettempdir())) > _LONGEST_DIRECTORY
        self._directory = tempfile.mkdtemp(prefix="deployer-", dir="/tmp" if is_long else None)
        self.path = str(Path(self._directory, "panes"))
        self._listener = socket.socket(socket.AF_UNIX)
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._expected: dict[str, Pane] = {}
        try:
            self._listener.bind(self.path)
            os.chmod(self.path, 0o600)
            self._listener.listen(socket.SOMAXCONN)
        except OSError:
            self._clean_up()
            raise
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._serve, name="deployer-panes", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def expect(self) -> Iterator[Pane]:
        """Give a pane whose client may now connect; it is closed at the end."""
        pane = Pane()
        self._expected[pane.token] = pane
        try:
            yield pane
        finally:
            self._expected.pop(pane.token, None)
            pane.close()

    def close(self) -> None:
        """Let go of all clients, also of those that jobs still use."""
        self._wake_writer.close()
        self._thread.join()
        for pane in list(self._expected.values()):
            pane.stop()
        self._clean_up()

    def _clean_up(self) -> None:
        for end in (self._listener, self._wake_reader, self._wake_writer):
            end.close()
        self._selector.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._wake_reader:
                    for other in list(self._selector.get_map().values()):
                        if other.data is not None:
                            self._drop(other.data)
                    return
                if key.data is None:
                    self._accept()
                elif not key.data.receive(self._expected):
                    self._drop(key.data)

    def _accept(self) -> None:
        # Whoever it was may be gone, or there may be too many open files.
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            if _is_ours(connection):
                connection.setblocking(False)
                self._selector.register(connection, selectors.EVENT_READ, _Client(connection))
            else:
                connection.close()

    def _drop(self, client: _Client) -> None:
        self._selector.unregister(client.connection)
        client.connection.close()
        client.leave()


class _Client:
    """A connection, of which it is not yet known whose it is, or the client of a pane."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._pane: Pane | None = None
        self._received = b""

    def receive(self, expected: dict[str, Pane]) -> bool:
        """Take what has arrived; return False when the connection is of no more use."""
        fds: list[int] = []
        try:
            data, fds, *_ = socket.recv_fds(self.connection, _LONGEST, 1)
            *lines, self._received = (self._received + data).split(b"\n")
            for line in lines:
                message = json.loads(line)
                if self._pane is not None:
                    self._pane.hear(message["event"])
                elif not self._introduce(message, fds, expected):
                    return False
            return bool(data) and len(self._received) <= _LONGEST
        except BlockingIOError:
            return True
        except (OSError, ValueError, LookupError, TypeError):
            # It has gone, or talks nonsense.
            return False
        finally:
            for fd in fds:
                os.close(fd)

    def _introduce(
        self, message: dict[str, Any], fds: list[int], expected: dict[str, Pane]
    ) -> bool:
        """Return whether a pane is expected with this token, and its terminal is there."""
        if not fds or not os.isatty(fds[0]):
            return False
        pane = expected.pop(message["token"], None)
        if pane is None:
            return False
        os.set_inheritable(fds[0], False)
        if pane.take_terminal(fds[0], message["term"], self.connection):
            self._pane = pane
            fds.clear()
        return self._pane is not None

    def leave(self) -> None:
        """Stop what runs in its pane."""
        if self._pane is not None:
            self._pane.stop()


def _is_ours(connection: socket.socket) -> bool:
    """Whether this user is on the other side; elsewhere than on Linux, the directory says so."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    size = struct.calcsize("3i")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    _, uid, _ = struct.unpack("3i", credentials)
    return bool(uid == os.geteuid())
