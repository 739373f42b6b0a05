"""What is done on the hosts of a soak run, and what has to come of it."""

from __future__ import annotations

import hashlib
import os
import random
import shlex
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from canary import Canary
from deployer.exceptions import (
    CommandTimeout,
    ConnectionFailedException,
    ConnectionLost,
    DeployerException,
    ExecCommandFailed,
    SudoAuthenticationFailed,
    SudoFailed,
)
from deployer.host import Host, RunResult

from .lanes import SHARED, Lane
from .ledger import Ledger, Times, WrongResult

__all__ = ["OPERATIONS", "SLEEP", "Call", "Operation"]

#: Seconds that commands sleep which are to be ended: no other command of this machine does.
SLEEP = f"98765.{os.getpid()}"
# Far more than any of the commands takes.
_TIMEOUT = 40.0
_DOUBTFUL = 8


@dataclass
class Call:
    """A turn of a worker at a host."""

    lane: Lane
    host: Host
    chance: random.Random
    worker: int
    ledger: Ledger
    canary: Canary
    #: A directory of this machine.
    scratch: str

    def run(self, command: str, times: Times = Times.ONCE, **options: Any) -> RunResult:
        """Run a command that counts itself; keep how often it may have been run.

        :param times: how often that is when its exit status arrives.
        """
        number = self.ledger.new_number()
        command = f"echo {number} >>{self.lane.counter}\n{command}"
        options.setdefault("timeout", _TIMEOUT)
        self.ledger.count(self.ledger.commands, self.lane.kind)
        try:
            result = self.host.run(command, silent=True, **options)
        except DeployerException as error:
            if isinstance(error, CommandTimeout | ConnectionLost):
                times = Times.AT_MOST_ONCE
            elif isinstance(error, SudoFailed | ConnectionFailedException):
                times = Times.NEVER
            self.ledger.expect(number, times)
            raise
        self.ledger.expect(number, times)
        return result

    def compare(self, what: str, expected: bytes, found: str | bytes) -> None:
        if isinstance(found, str):
            found = found.encode(errors="surrogateescape")
        self.ledger.compare(f"{self.lane.host.slug}: {what}", expected, found)

    def size(self) -> int:
        """Return a number of bytes: mostly few, sometimes many."""
        return int(10 ** self.chance.choice([0, 1, 2, 2, 3, 3, 4, 4, 4.5, 5.2]))

    def expecting(
        self, kind: type[DeployerException], command: str, **options: Any
    ) -> DeployerException:
        """Run a command that has to fail, and return how it did."""
        try:
            result = self.run(command, **options)
        except kind as error:
            self.seen(error)
            return error
        raise WrongResult(f"{self.lane.host.slug}: {command!r} did not fail: {result!r:.200}")

    def seen(self, error: DeployerException) -> None:
        self.ledger.count(self.ledger.errors, type(error).__name__)
        self.canary.look_in_error("soak", error)

    def file(self, name: str) -> str:
        return f"{self.lane.directory}/{name}"


def text(call: Call) -> None:
    words = "".join(call.chance.choices("aé'\"\\ $`!*~\t€𝄞\n;&|<>()", k=call.chance.randint(0, 60)))
    found = call.run(f"printf %s {shlex.quote(words)}")
    call.compare("printf", words.encode(), found)


def context(call: Call) -> None:
    value = "".join(call.chance.choices("aé'\"\\ $`!*~€", k=call.chance.randint(0, 40)))
    name = f"V{call.chance.randint(0, 9)}"
    with call.host.cd(call.lane.directory), call.host.env(name, value):
        found = call.run(f'printf %s "$PWD:${name}"')
    call.compare("context", f"{call.lane.directory}:{value}".encode(), found)


def output(call: Call) -> None:
    first = call.chance.randint(1, 10**6)
    last = first + call.size() // 7
    found = call.run(f"seq {first} {last}; seq {first} {last} >&2")
    expected = "".join(f"{number}\n" for number in range(first, last + 1)).encode()
    call.compare("stdout", expected, found)
    call.compare("stderr", expected, found.stderr)


def echo(call: Call) -> None:
    # All bytes, most of them no UTF-8.
    data = call.chance.randbytes(call.size())
    call.compare("cat", data, call.run("cat", initial_input=data))


def digest(call: Call) -> None:
    data = call.chance.randbytes(call.size() * 2)
    expected = f"{hashlib.sha256(data).hexdigest()}  -\n".encode()
    call.compare("sha256sum", expected, call.run("sha256sum", initial_input=data))


def status(call: Call) -> None:
    number = call.chance.randint(1, 255)
    error = call.expecting(ExecCommandFailed, f"echo out; exit {number}")
    assert isinstance(error, ExecCommandFailed)
    if error.exit_status != number:
        raise WrongResult(f"{call.lane.host.slug}: exit {number} gave {error.exit_status}")
    call.compare("output before a failure", b"out\n", error.result)


def signal(call: Call) -> None:
    name = call.chance.choice(["KILL", "TERM", "SEGV"])
    killer = f"(sleep 0.05; kill -s {name} $$) </dev/null >/dev/null 2>&1 &"
    result = call.run(f"{killer}\nexec sleep {SLEEP}", ignore_exit_status=True)
    if result.exit_signal != name or result.exit_status is not None:
        raise WrongResult(
            f"{call.lane.host.slug}: killed by {name}, but {result.exit_signal} and "
            f"{result.exit_status}"
        )


def timeout(call: Call) -> None:
    error = call.expecting(
        CommandTimeout, f"echo begun; sleep {SLEEP} | sleep {SLEEP}", timeout=0.5
    )
    assert isinstance(error, CommandTimeout)
    if error.result not in ("begun\n", ""):
        raise WrongResult(f"{call.lane.host.slug}: {error.result!r} before a timeout")


def terminal(call: Call) -> None:
    first = call.chance.randint(1, 1000)
    found = call.run(f"seq {first} {first + 300}", interactive=True)
    expected = "".join(f"{number}\n" for number in range(first, first + 301)).encode()
    call.compare("a terminal", expected, found)


def sudo(call: Call) -> None:
    data = call.chance.randbytes(call.size())
    found = call.run("id -un; cat", use_sudo=True, initial_input=data)
    call.compare("sudo", b"root\n" + data, found)


def sudo_timeout(call: Call) -> None:
    call.expecting(CommandTimeout, f"sleep {SLEEP}", use_sudo=True, timeout=1.0)


def sudo_refused(call: Call) -> None:
    kind = SudoAuthenticationFailed if call.lane.sudo == "wrong" else SudoFailed
    call.expecting(kind, "id -un", use_sudo=True)


def write(call: Call) -> None:
    _write(call, f"own-{call.worker}", use_sudo=False)


def write_as_root(call: Call) -> None:
    _write(call, f"root-{call.worker}", use_sudo=True)


def write_shared(call: Call) -> None:
    """Write a file that others write as well: whoever reads it gets one whole version."""
    name = call.chance.choice(SHARED)
    data = call.chance.randbytes(call.size())
    with call.lane.lock:
        call.lane.contents.setdefault(name, {b""}).add(_digest(data))
    with call.host.open(call.file(name), "wb") as file:
        file.write(data)


def _write(call: Call, name: str, use_sudo: bool) -> None:
    lane = call.lane
    data = call.chance.randbytes(call.size() * 3)
    doubtful = lane.doubtful.setdefault(name, deque(maxlen=_DOUBTFUL))
    lane.contents.setdefault(name, {b""}).add(_digest(data))
    try:
        if call.chance.random() < 0.3 and not use_sudo:
            _put(call, name, data)
        else:
            with call.host.open(call.file(name), "wb", use_sudo=use_sudo) as file:
                for start in range(0, len(data), 50_000):
                    file.write(data[start : start + 50_000])
    except DeployerException:
        # A server that was only frozen may still do what it had received.
        doubtful.append(_digest(data))
        raise
    lane.contents[name] = {_digest(data), *doubtful}


def _put(call: Call, name: str, data: bytes) -> None:
    here = f"{_scratch(call)}-put"
    with open(here, "wb") as file:
        file.write(data)
    call.host.put_file(here, call.file(name))


def read(call: Call) -> None:
    names = [f"own-{call.worker}", *SHARED]
    if call.lane.sudo in ("password", "nopass"):
        names.append(f"root-{call.worker}")
    names = [name for name in names if name in call.lane.contents]
    if not names:
        return
    name = call.chance.choice(names)
    use_sudo = name.startswith("root")
    if not call.host.exists(call.file(name), use_sudo=use_sudo):
        if b"" not in call.lane.contents[name]:
            raise WrongResult(f"{call.lane.host.slug}: {name} is gone")
        return
    if call.chance.random() < 0.3:
        here = f"{_scratch(call)}-get"
        call.host.get_file(call.file(name), here, use_sudo=use_sudo)
        with open(here, "rb") as copy:
            data = copy.read()
    else:
        with call.host.open(call.file(name), "rb", use_sudo=use_sudo) as file:
            data = file.read()
    with call.lane.lock:
        is_known = _digest(data) in call.lane.contents[name]
    call.compare(name, data if is_known else b"", data)


def listing(call: Call) -> None:
    if "counter" not in call.host.listdir(call.lane.directory):
        raise WrongResult(f"{call.lane.host.slug}: listdir does not find the counter")
    if not call.host.stat(call.lane.counter).is_file:
        raise WrongResult(f"{call.lane.host.slug}: the counter is no file")


def _scratch(call: Call) -> str:
    """Return where this worker keeps files on this machine."""
    return f"{call.scratch}/{call.worker}"


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


@dataclass(frozen=True)
class Operation:
    """Something to do, how often in comparison, and on which hosts: by how sudo answers there."""

    do: Callable[[Call], None]
    weight: int
    sudo: tuple[str, ...] = ()
    #: Whether it runs a command that counts.
    is_command: bool = True

    @property
    def name(self) -> str:
        return self.do.__name__.replace("_", " ")


OPERATIONS = (
    Operation(text, 20),
    Operation(context, 12),
    Operation(output, 15),
    Operation(echo, 12),
    Operation(digest, 8),
    Operation(status, 8),
    Operation(signal, 3),
    Operation(timeout, 1),
    Operation(terminal, 4),
    Operation(sudo, 8, ("password", "nopass")),
    Operation(sudo_timeout, 1, ("password", "nopass")),
    Operation(sudo_refused, 3, ("wrong", "refuses")),
    Operation(write, 6, is_command=False),
    Operation(write_as_root, 1, ("password", "nopass"), is_command=False),
    Operation(write_shared, 3, is_command=False),
    Operation(read, 6, is_command=False),
    Operation(listing, 2, is_command=False),
)
