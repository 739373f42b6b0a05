"""What things cost, counted where it cannot be noisy: messages, round trips, threads, packets.

A change that makes one of these numbers larger makes everybody slower; `benchmarks/` tells by how
much.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest
from paramiko.common import MSG_NAMES

from deployer.host import Host, SSHHost
from deployer.host.ssh import sessions, tuning
from deployer.host.ssh.tuning import opening, transport

NewHost = Callable[..., type[SSHHost]]


class Costs:
    """What was counted since the last :meth:`begin`."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        #: Messages by their names.
        self.sent: Counter[str] = Counter()
        self.received: Counter[str] = Counter()
        #: How often somebody waited until something came back.
        self.round_trips = 0
        #: How often the system was asked for what had arrived.
        self.receives = 0
        self.threads = 0


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> Costs:
    costs = Costs()

    def count(owner: Any, name: str, note: Callable[..., object]) -> None:
        function = getattr(owner, name)

        def counted(*arguments: Any, **more: Any) -> Any:
            result = function(*arguments, **more)
            note(result, *arguments)
            return result

        monkeypatch.setattr(owner, name, counted)

    def sent(result: object, transport: object, message: paramiko.Message) -> None:
        costs.sent[MSG_NAMES[message.asbytes()[0]]] += 1

    def received(result: tuple[int, object], packetizer: object) -> None:
        costs.received[MSG_NAMES[result[0]]] += 1

    def waited(*_: object) -> None:
        costs.round_trips += 1

    def asked(*_: object) -> None:
        costs.receives += 1

    def started(*_: object) -> None:
        costs.threads += 1

    count(tuning.Transport, "_send_message", sent)
    count(transport._Packetizer, "read_message", received)
    count(paramiko.Transport, "open_session", waited)
    count(opening._Replies, "wait", waited)
    count(transport.Stream, "_receive", asked)
    count(threading.Thread, "start", started)
    return costs


@pytest.fixture
def host(ssh_host: type[SSHHost], monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    # It is near, however busy the machine is.
    monkeypatch.setattr(sessions, "FAR", 60.0)
    host = ssh_host()
    # The first two find out things that are kept.
    host.run("true", interactive=False)
    host.run("true", interactive=False)
    yield host


COMMAND = {
    "channel-open": 1,
    "channel-request": 1,
    # Nobody is at a keyboard, and it says so; unless the command has ended by then.
    "channel-eof": 1,
    "channel-close": 1,
}


def check_sent(costs: Costs, wanted: dict[str, int]) -> None:
    """Check the messages that were sent; the end of input may have been left out."""
    end = "channel-eof"
    assert {**costs.sent, end: 0} == {**wanted, end: 0}
    assert costs.sent[end] <= wanted[end]


def test_a_command_takes_two_round_trips_and_four_messages(host: Host, costs: Costs) -> None:
    host.run("true", interactive=False)
    check_sent(costs, COMMAND)
    assert costs.round_trips == 2
    assert costs.threads == 0
    # The session, its window, the reply, the exit status, two kinds of end, and the session's.
    assert costs.received.total() <= 7
    # Mostly three or four; each packet may come by itself.
    assert costs.receives <= 8


def test_in_a_terminal_it_takes_one_message_more(host: Host, costs: Costs) -> None:
    host.run("true", interactive=True)
    assert costs.sent == {"channel-open": 1, "channel-request": 2, "channel-close": 1}
    assert costs.round_trips == 2
    assert costs.threads == 0


def test_far_away_a_command_takes_one_round_trip(
    host: Host, costs: Costs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "FAR", 0.0)
    host.run("true", interactive=False)
    costs.begin()
    for _ in range(3):
        host.run("true", interactive=False)
    assert costs.round_trips == 3
    check_sent(costs, {name: 3 * count for name, count in COMMAND.items()})


def test_near_by_no_session_is_opened_that_nobody_may_need(host: Host, costs: Costs) -> None:
    for _ in range(3):
        host.run("true", interactive=False)
    assert costs.sent["channel-open"] == 3


def test_a_connection_takes_one_thread(new_ssh_host: NewHost, costs: Costs) -> None:
    new_ssh_host()().run("true", interactive=False)
    assert costs.threads == 1
    # The versions aside: a key exchange, a service, one key, and a command.
    login = Counter({"kexinit": 1, "kex30": 1, "newkeys": 1, "service-request": 1})
    assert costs.sent["userauth-request"] <= 2
    others = costs.sent - login - Counter(COMMAND)
    assert set(others) <= {"userauth-request"}


def test_much_output_costs_few_messages(host: Host, costs: Costs) -> None:
    size = 10_000_000
    assert len(host.run(f"head -c {size} /dev/zero", interactive=False)) == size
    # One for each tenth of the window (2 MB) that was read.
    assert costs.sent["channel-window-adjust"] <= 60
    assert costs.threads == 0


def test_a_large_file_costs_few_messages(host: Host, costs: Costs, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(20_000_000))
    host.put_file(str(path), "large")
    packets = 20_000_000 / 32768
    # The beginning goes over SFTP, in requests of 31 KB; and a window may leave room for a part.
    assert costs.sent["channel-data"] <= 1.6 * packets
    costs.begin()
    host.get_file("large", str(path))
    assert costs.received["channel-data"] <= 1.6 * packets
    assert costs.sent.total() <= 150
    host.run("rm large", interactive=False)


def test_a_thousand_small_files_cost_few_packets(host: Host, costs: Costs, tmp_path: Path) -> None:
    directory = tmp_path / "small"
    directory.mkdir()
    for number in range(1000):
        (directory / f"file{number}").write_bytes(bytes(1000))
    target = host.run("mktemp -d", interactive=False).strip()
    costs.begin()
    assert len(host.put_dir(str(directory), f"{target}/there").copied) == 1001
    assert costs.sent.total() <= 120
    costs.begin()
    assert len(host.get_dir(f"{target}/there", str(tmp_path / "back")).copied) == 1001
    assert costs.sent.total() <= 60
    host.run(f"rm -r {target}", interactive=False)


_opened: list[str] | None = None


def _note_opened(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _opened is not None and isinstance(arguments[0], str):
        _opened.append(arguments[0])


# It cannot be taken away again; nothing is noted but in the test below.
sys.addaudithook(_note_opened)


def test_the_files_of_ssh_are_read_once_for_all_hosts(
    ssh_host: type[SSHHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh_host().run("true")
    assert ssh_host.key_filename is not None
    opened: list[str] = []
    monkeypatch.setattr(sys.modules[__name__], "_opened", opened)
    second = type("Second", (ssh_host,), {})
    try:
        second().run("true")
        assert opened == []
        # But once they have changed.
        os.utime(ssh_host.key_filename, (1, 1))
        second.close_connection()
        second().run("true")
        assert opened == [ssh_host.key_filename]
    finally:
        second.close_connection()
