"""From a key to what is on the screen: a Tab in deployer's shell, in Python's and in bash.

``python with_a_terminal.py TASK PROGRAM``
"""

import fcntl
import os
import pty
import signal
import struct
import sys
import termios

from sampling import serve

SCRIPT = """
from deployer.client import start
from deployer.host import LocalHost
from deployer.node import Node

class Root(Node):
    class Hosts:
        host = LocalHost

{nodes}

if __name__ == "__main__":
    start(Root)
"""
NODE = """    class {name}(Node):
        'What it is.'
        def act(self):
            'Do it.'
"""
NAMES = ["alpha_one", "alpha_two"] + [f"other_{number}" for number in range(98)]


def keys(command, prompt, beginning, shown, setup=b""):
    """Yield what types the beginning of a name and Tab, and waits for the candidates."""
    pid, terminal = pty.fork()
    if not pid:
        os.environ |= {"TERM": "xterm", "NO_COLOR": "1", "PS1": "ready> ", "INPUTRC": "/dev/null"}
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    received = b""

    def until(text):
        nonlocal received
        while text not in received:
            received += os.read(terminal, 65536)
        received = received.partition(text)[2]

    try:
        until(prompt)
        if setup:
            os.write(terminal, setup)
            until(prompt)

        def work():
            os.write(terminal, beginning + b"\t\t")
            until(shown)
            return 1

        def prepare():
            # An empty line again, and all of it drawn.
            os.write(terminal, b"\x15marker")
            until(b"marker")
            os.write(terminal, b"\x15")

        yield work, prepare
    finally:
        os.kill(pid, signal.SIGKILL)
        os.close(terminal)
        os.waitpid(pid, 0)


def deployer(task):
    path = f"{task['directory']}/tab.py"
    with open(path, "w") as file:
        file.write(SCRIPT.format(nodes="".join(NODE.format(name=name) for name in NAMES)))
    yield from keys([sys.executable, path], b"Root > ", b"alpha_", b"alpha_two")


def python(task):
    names = "; ".join(f"{name} = 1" for name in NAMES)
    setup = f"import readline, rlcompleter; readline.parse_and_bind('tab: complete'); {names}\n"
    yield from keys([sys.executable, "-q"], b">>> ", b"alpha_", b"alpha_two", setup.encode())


def bash(task):
    names = "; ".join(f"{name}() {{ :; }}" for name in NAMES)
    yield from keys(
        ["bash", "--norc", "--noprofile", "-i"],
        b"ready> ",
        b"alpha_",
        b"alpha_two",
        f"{names}\n".encode(),
    )


serve({"deployer": deployer, "python": python, "bash": bash})
