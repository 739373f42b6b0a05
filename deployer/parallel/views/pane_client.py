"""What runs in a pane of tmux: it hands the pane's terminal over, and waits until it may end.

Run by its path, with a socket and a token, it sends the terminal to whoever listens there. Both
sides then write lines of JSON: from here ``{"event": "resize"}`` and ``{"event": "interrupt"}``,
from there ``{"event": "stay"}``, or nothing but the end of the connection, which is the end of the
pane. It starts quickly, since it imports nothing but a few modules of the standard library.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import termios


def main(path: str, token: str) -> None:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)

    def tell(event: str) -> None:
        # When nobody is there any more, reading says so as well.
        with contextlib.suppress(OSError):
            connection.sendall(to_line(event=event))

    mode = termios.tcgetattr(0)
    socket.send_fds(connection, [to_line(token=token, term=os.environ.get("TERM", ""))], [0])
    signal.signal(signal.SIGWINCH, lambda *_: tell("resize"))
    signal.signal(signal.SIGINT, lambda *_: tell("interrupt"))
    # tmux may have given the pane its place after the terminal was sent.
    tell("resize")
    for line in connection.makefile(encoding="utf-8"):
        if json.loads(line)["event"] == "stay":
            stay(mode)
            return


def to_line(**message: str) -> bytes:
    return json.dumps(message).encode() + b"\n"


def stay(mode: list[int | list[bytes | int]]) -> None:
    """Wait for Enter or Ctrl-C, whatever becomes of the other side."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGWINCH, signal.SIG_DFL)
    # What was typed for the job closes no pane.
    termios.tcsetattr(0, termios.TCSAFLUSH, mode)
    os.write(1, b"press Enter to close this pane ")
    os.read(0, 4096)


if __name__ == "__main__":
    # Without the other side there is nothing to do, and nobody to tell.
    with contextlib.suppress(OSError):
        main(*sys.argv[1:])
