"""Runs scripts, each in a process of its own that has deployer loaded already: a fork of this one.

It is started as ``script_server.py NUMBER``, with the number of a socket. Each request there is the
arguments, the environment and the folder, with the three standard streams; the answer is the exit
status. What is loaded is what takes the time: a script ends in a fifth of that.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import deployer

__all__ = ["ScriptServer", "serve_scripts"]

_MOST = 1 << 20


class ScriptServer:
    """The side of the tests."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def run(
        self, script: Path, *arguments: str, stdin: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a script to its end, without a terminal."""
        words = [str(script), *arguments]
        request = json.dumps([words, {**os.environ, **environment}, os.getcwd()]).encode()
        with ExitStack() as stack:
            streams = [stack.enter_context(_open_stream()) for _ in range(3)]
            os.write(streams[0], stdin.encode())
            os.lseek(streams[0], 0, os.SEEK_SET)
            socket.send_fds(self._connection, [request], streams)
            status = int(self._connection.recv(_MOST))
            out, err = (_read(stream) for stream in streams[1:])
        return subprocess.CompletedProcess(words, status, out, err)


@contextmanager
def serve_scripts(root: Path, timeout: float) -> Iterator[ScriptServer]:
    """Give a server that loads deployer from a folder."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.settimeout(timeout)
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        theirs.close()
        try:
            yield ScriptServer(ours)
        finally:
            ours.close()
            process.wait(timeout)


@contextmanager
def _open_stream() -> Iterator[int]:
    # A file, and no pipe: nobody has to read it meanwhile.
    stream = os.memfd_create("stream")
    try:
        yield stream
    finally:
        os.close(stream)


def _read(stream: int) -> str:
    return os.pread(stream, os.fstat(stream).st_size, 0).decode()


def _load_all() -> None:
    for module in pkgutil.walk_packages(deployer.__path__, "deployer."):
        importlib.import_module(module.name)
    # Where failures come from is looked up by it.
    sysconfig.get_paths()
    gc.freeze()


def _serve(connection: socket.socket) -> Sequence[str]:
    """Answer requests until there are no more; in a fork, return the arguments of its script."""
    while True:
        request, streams, _, _ = socket.recv_fds(connection, _MOST, 3)
        if not request:
            os._exit(0)
        if not (child := os.fork()):
            connection.close()
            words, environment, folder = json.loads(request)
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            os.environ.clear()
            os.environ.update(environment)
            os.chdir(folder)
            return list(words)
        for stream in streams:
            os.close(stream)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        connection.send(str(status).encode())


if __name__ == "__main__":
    _load_all()
    sys.argv = [*_serve(socket.socket(fileno=int(sys.argv[1])))]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path[0] = os.path.dirname(sys.argv[0])
    runpy.run_path(sys.argv[0], run_name="__main__")
