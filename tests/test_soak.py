"""The soak run, in small: the whole of it is a script of its own, ``tests/soak.py``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import soak
from canary import Canary
from deployer.exceptions import ConnectionLost
from deployer.host import SSHHost
from fault_proxy import fault_proxy
from soaking.ledger import Ledger, Times, WrongResult
from world import Server, World

pytestmark = pytest.mark.faults


def test_a_small_run_finds_nothing_wrong(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Few threads, so that it is quick on a machine that has other things to do.
    monkeypatch.setattr(soak, "_WORKERS", {"ssh, stormy": 6, "ssh, calm": 2, "local": 1})
    report_file = tmp_path / "report.json"
    # Freezes take their time: how they are noticed is tested elsewhere.
    status = soak.main(
        ["--commands", "100", "--seed", "1", "--no-freezes", "--json", str(report_file)]
    )
    printed = capsys.readouterr().out
    report = json.loads(report_file.read_text())
    assert report["details"] == {"wrong results": [], "secrets found": []}, printed
    assert status == 0, printed
    assert sum(report["commands"].values()) >= 200
    assert sum(report["faults injected"].values()) > 0
    for name in ("hangs", "wrong results", "bytes mismatched", "secrets found", "growth of fds"):
        assert re.search(rf"^{name} +0$", printed, re.MULTILINE)


def test_what_is_wrong_is_counted() -> None:
    ledger = Ledger(10, 60.0)
    ledger.compare("equal", b"abc", b"abc")
    with pytest.raises(WrongResult, match="2 bytes in place of 3"):
        ledger.compare("shorter", b"abc", b"ax")
    assert (ledger.bytes_compared, ledger.bytes_mismatched) == (6, 2)
    assert ledger.expected() == []
    ledger.expect(ledger.new_number(), Times.NEVER)
    assert ledger.expected() == [Times.NEVER]


def test_a_call_that_does_not_end_is_a_hang(capsys: pytest.CaptureFixture[str]) -> None:
    ledger = Ledger(10, 0.0)
    ledger.begin("waiting")
    assert len(ledger.look_for_hangs()) == 1
    ledger.look_for_hangs()
    assert ledger.hangs == 1
    assert "HANGS: waiting" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value"),
    [("hangs", 1), ("wrong results", 1), ("bytes mismatched", 1), ("secrets found", 1)],
)
def test_one_thing_that_is_wrong_fails_a_run(name: str, value: int) -> None:
    report = {
        **dict.fromkeys(("hangs", "wrong results", "bytes mismatched", "secrets found"), 0),
        "growth": {"fds": 0, "threads": 0, "zombies": 0},
        "memory": {"growth": 0, "bound": 10},
    }
    assert soak.is_good(report)
    assert not soak.is_good(report | {name: value})
    assert not soak.is_good(report | {"growth": {"fds": 0, "threads": 1, "zombies": 0}})
    assert not soak.is_good(report | {"memory": {"growth": 11, "bound": 10}})


def test_the_search_for_secrets_knows_its_own_password() -> None:
    canary = Canary()
    canary.look_in("somewhere", f"x{canary.password!r}x")
    canary.look_in("elsewhere", "nothing")
    assert canary.found == ["somewhere"]


# What a soak run has found.


def test_output_that_was_cut_off_is_no_success(
    new_ssh_host: Callable[..., type[SSHHost]], sshd: Server
) -> None:
    with fault_proxy(sshd.port) as proxy:
        server = Server(proxy.address, proxy.port, sshd.host_key, sshd.log)
        host = new_ssh_host(server=server, timeout=5)
        expected = "".join(f"{number}\n" for number in range(1, 4001))

        def passed_by(command: str) -> int:
            before = proxy.down
            host().run(command)
            return proxy.down - before

        begin = passed_by("true")
        size = passed_by("seq 4000")
        outcomes = set()
        # The status of a command may arrive before the last of what it printed.
        for missing in range(-1000, 1200, 50):
            host.close_connection()
            proxy.set(drop_after_down=None)
            host().run("true")
            proxy.set(drop_after_down=begin + size - missing)
            try:
                assert host().run("seq 4000") == expected
                outcomes.add("whole")
            except ConnectionLost as error:
                assert error.result is not None and expected.startswith(error.result)
                outcomes.add("lost")
        assert outcomes == {"whole", "lost"}
        host.close_connection()
