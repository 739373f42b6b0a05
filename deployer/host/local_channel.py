"""A running command on this machine: a child process, on pipes or in a pty of its own."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import shutil
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..pseudo_terminal import Pty

__all__ = ["LocalChannel"]


class LocalChannel:
    """A child process, on pipes or in a pty of its own."""

    def __init__(self, shell: str, line: str, terminal: Pty | None) -> None:
        environment = {**os.environ, "SHELL": shell}
        argv = [shell, "-c", line]
        self._in_pty = terminal is not None
        if terminal is None:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                env=environment,
                bufsize=0,
            )
            assert self._process.stdin and self._process.stdout and self._process.stderr
            self._input: int | None = os.dup(self._process.stdin.fileno())
            self._outputs = {
                "stdout": os.dup(self._process.stdout.fileno()),
                "stderr": os.dup(self._process.stderr.fileno()),
            }
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
                pipe.close()
            os.set_blocking(self._input, False)
        else:
            environment["TERM"] = terminal.term
            if shutil.which(shell) is None:
                # In the terminal, it would be the error of a shell that nobody asked for.
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            ours, theirs = os.openpty()
            _set_size(ours, *terminal.get_size())
            try:
                self._process = subprocess.Popen(
                    # A process that opens a terminal as a session leader without one gets it as
                    # its controlling terminal; a shell does that without code of ours between
                    # fork and exec.
                    ["/bin/sh", "-c", 'exec <"$0" >"$0" 2>&1 "$@"', os.ttyname(theirs), *argv],
                    stdin=theirs,
                    stdout=theirs,
                    stderr=theirs,
                    start_new_session=True,
                    env=environment,
                )
            except BaseException:
                os.close(ours)
                raise
            finally:
                os.close(theirs)
            self._input = ours
            self._outputs = {"stdout": ours}
            os.set_blocking(ours, False)
        try:
            self._ended: int | None = os.pidfd_open(self._process.pid)
        except (AttributeError, OSError):
            # Away from Linux, the end is noticed by the end of the output, or at the next look.
            self._ended = None

    def _ready(self, name: str) -> bool:
        fd = self._outputs.get(name)
        return fd is not None and bool(_poll([fd], [], 0.0))

    def _receive(self, name: str, size: int) -> bytes:
        fd = self._outputs[name]
        try:
            data = os.read(fd, size)
        except OSError as error:
            # A pty whose other side is closed says so with EIO.
            if error.errno != errno.EIO:
                raise
            data = b""
        if not data:
            del self._outputs[name]
            if not self._in_pty:
                os.close(fd)
        return data

    def recv_ready(self) -> bool:
        return self._ready("stdout")

    def recv(self, size: int) -> bytes:
        return self._receive("stdout", size)

    def recv_stderr_ready(self) -> bool:
        return self._ready("stderr")

    def recv_stderr(self, size: int) -> bytes:
        return self._receive("stderr", size)

    def at_end(self) -> bool:
        return not self._outputs

    def has_caught_up(self) -> bool:
        return True

    def exit_status_ready(self) -> bool:
        return self._process.poll() is not None

    @property
    def exit_status(self) -> int | None:
        code = self._process.returncode
        return code if code is not None and code >= 0 else None

    @property
    def exit_signal(self) -> str | None:
        code = self._process.returncode
        if code is None or code >= 0:
            return None
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name.removeprefix("SIG")
        return str(-code)

    def send(self, data: bytes) -> int:
        if self._input is None:
            return len(data)
        try:
            return os.write(self._input, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            # The command does not read any more: what is left is nobody's.
            if error.errno not in (errno.EPIPE, errno.EIO):
                raise
            return len(data)

    def shutdown_write(self) -> None:
        if self._input is not None and not self._in_pty:
            os.close(self._input)
            self._input = None

    def resize(self, rows: int, columns: int) -> None:
        if self._input is not None:
            _set_size(self._input, rows, columns)

    def wait(self, readers: Sequence[int], sending: bool, timeout: float) -> list[int]:
        own = [*self._outputs.values()]
        if self._ended is not None and self._process.returncode is None:
            own.append(self._ended)
        elif not own:
            timeout = min(timeout, 0.05)
        writers = [self._input] if sending and self._input is not None else []
        ready = _poll([*own, *readers], writers, timeout)
        return [fd for fd in readers if fd in ready]

    def terminate(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            # They outlive their leader while anything that the command started still runs.
            for group in (groups := _groups_of(self._process.pid)):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(group, number)
            deadline = time.monotonic() + 1.0
            pause = 0.005
            while self._process.poll() is None or groups:
                if time.monotonic() > deadline:
                    break
                # Nothing tells of the end of processes that are no children of ours.
                time.sleep(pause)
                pause = min(pause * 2, 0.05)
                groups = _groups_of(self._process.pid)

    def close(self) -> None:
        if self._process.poll() is None:
            self.terminate()
        for fd in {*self._outputs.values(), self._input, self._ended}:
            if fd is not None:
                os.close(fd)
        self._outputs = {}
        self._input = self._ended = None


def _groups_of(session: int) -> set[int]:
    """Return the process groups of a session (setsid(2)) in which something runs that is ours.

    They are several under ``timeout``, and with ``set -m``. Without ``/proc``, it is the group of
    the leader, as long as there is one.
    """
    if not os.path.isdir(f"/proc/{os.getpid()}"):
        try:
            os.killpg(session, 0)
        except (ProcessLookupError, PermissionError):
            return set()
        return {session}
    groups = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        # Anything may be gone by now.
        with contextlib.suppress(OSError):
            with open(f"/proc/{name}/stat", "rb") as file:
                # Behind the name, which may have spaces and parentheses in it.
                state, _, group, its_session = file.read().rpartition(b")")[2].split()[:4]
            is_ours = os.geteuid() in (0, os.stat(f"/proc/{name}").st_uid)
            if int(its_session) == session and state != b"Z" and is_ours:
                groups.add(int(group))
    return groups


def _poll(readers: Sequence[int], writers: Sequence[int], timeout: float) -> set[int]:
    """Return which file descriptors are ready; unlike ``select``, with any number of them open."""
    poll = select.poll()
    interest: dict[int, int] = {}
    for fd in readers:
        interest[fd] = interest.get(fd, 0) | select.POLLIN
    for fd in writers:
        interest[fd] = interest.get(fd, 0) | select.POLLOUT
    for fd, events in interest.items():
        poll.register(fd, events)
    return {fd for fd, _ in poll.poll(timeout * 1000)}


def _set_size(fd: int, rows: int, columns: int) -> None:
    with contextlib.suppress(OSError):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
