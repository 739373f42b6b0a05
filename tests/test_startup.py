"""Starting is light: what is loaded, which tells more surely than a clock what it takes.

A module that comes up here is most often imported at the top of another one, where a function could
import it when it is called.
"""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

SCRIPT = """\
import atexit, os, sys
atexit.register(lambda: open(os.environ["LOADED"], "w").write("\\n".join(sys.modules)))
from deployer.client import start
from deployer.host import LocalHost, SSHHost
from deployer.node import Node, map_roles, suppress_action_result
from deployer.query import Q
class Server(SSHHost):
    address = "example.com"
class Root(Node):
    name = Q.parent
    class Hosts:
        host = LocalHost
        others = Server
    @map_roles("others")
    class child(Node):
        def status(self):
            '''Say how it is.'''
    def hello(self):
        self.host.run("echo hi")
if __name__ == "__main__":
    start(Root)
"""

# The largest of what was found at the start once, or would cost as much.
NEVER = """
    paramiko invoke cryptography asyncio unittest email http urllib.request importlib.metadata
    multiprocessing concurrent.futures logging json pickle socket ssl subprocess tempfile random
    sysconfig pprint difflib dataclasses
"""
# What one action or another needs.
NOT_YET = """
    inspect pathlib shutil traceback hashlib readline deployer.parallel.options
    deployer.parallel.running deployer.utils.folding deployer.utils.transcript
    deployer.host.command deployer.host.files deployer.host.interaction deployer.loggers.entries
"""
# What the shell needs.
NOT_FOR_HELP = """
    deployer.shell deployer.cli deployer.inspection deployer.console deployer.loggers
    deployer.pseudo_terminal
"""


def without_us() -> set[str]:
    """Return what is loaded by a Python that runs nothing."""
    program = "import sys; print(*sys.modules)"
    return set(subprocess.check_output([sys.executable, "-c", program], text=True).split())


def run_script(folder: Path, words: Iterable[str], keys: str | None = None) -> set[str]:
    """Return what a script has loaded at its end; with keys, it runs in a terminal."""
    script = folder / "deploy.py"
    script.write_text(SCRIPT)
    loaded = folder / "loaded"
    environment = os.environ | {
        "LOADED": str(loaded),
        "XDG_STATE_HOME": str(folder),
        "TERM": "vt100",
    }
    command = [sys.executable, str(script), *words]
    if keys is None:
        nothing = subprocess.DEVNULL
        subprocess.run(command, stdin=nothing, stdout=nothing, check=True, env=environment)
    else:
        ours, its = pty.openpty()
        process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environment)
        os.close(its)
        type_at_prompts(ours, keys.split("|"))
        assert process.wait() == 0
    return set(loaded.read_text().split()) - without_us()


def type_at_prompts(terminal: int, keys: list[str]) -> None:
    """Type a part of the keys at each prompt, and read until the end."""
    shown = b""
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # As Linux says it of a terminal that nobody else has any more.
            data = b""
        if not data:
            break
        shown += data
        if keys and shown.endswith(b" > "):
            os.write(terminal, keys.pop(0).encode())
            shown = b""
    os.close(terminal)
    assert not keys, "the shell has ended before all was typed"


def check(loaded: set[str], most: int, not_yet: str) -> None:
    """Fail where something is loaded that must not be, or more of our modules than ``most``."""
    ours = sorted(name for name in loaded if name.split(".")[0] == "deployer")
    found = sorted(loaded & {*NEVER.split(), *not_yet.split()})
    assert not found, f"loaded at the start, where nothing needs it: {', '.join(found)}"
    assert len(ours) <= most, (
        f"{len(ours)} of our modules are loaded, not {most}: {', '.join(ours)}"
    )


@pytest.mark.parametrize(
    "words",
    [["--help"], ["run", "--help"], ["exec", "--help"], ["scp", "--help"]],
    ids=" ".join,
)
def test_help_loads_what_defines_a_tree_and_nothing_that_runs_one(
    words: list[str], tmp_path: Path
) -> None:
    check(run_script(tmp_path, words), 39, NOT_YET + NOT_FOR_HELP)


def test_a_list_of_all_actions_loads_nothing_that_runs_them(tmp_path: Path) -> None:
    check(run_script(tmp_path, ["--list"]), 46, NOT_YET + "deployer.shell deployer.loggers")


@pytest.mark.parametrize("words", [["ls"], ["tree"]], ids=" ".join)
def test_looking_at_a_tree_loads_nothing_that_runs_it(words: list[str], tmp_path: Path) -> None:
    not_yet = "deployer.parallel.running deployer.host.command deployer.host.interaction readline"
    check(run_script(tmp_path, words), 68, not_yet)


@pytest.mark.parametrize(
    "words",
    [
        ["completion", "bash"],
        ["--complete", "bash", "1", "--", "deploy.py", "r"],
        ["--complete", "zsh", "2", "--", "deploy.py", "run", "child.s"],
    ],
    ids=" ".join,
)
def test_what_completes_loads_neither_the_shell_nor_what_runs(
    words: list[str], tmp_path: Path
) -> None:
    check(run_script(tmp_path, words), 46, NOT_YET + "deployer.shell deployer.loggers")


def test_tab_does_not_wait_for_the_parser(tmp_path: Path) -> None:
    words = ["--complete", "bash", "1", "--", "deploy.py", "r"]
    assert "argparse" not in run_script(tmp_path, words)


def test_the_shell_loads_nothing_for_actions_that_nobody_runs(tmp_path: Path) -> None:
    check(run_script(tmp_path, []), 78, NOT_YET)


@pytest.mark.parametrize("keys", ["\x04", "ls\n|cd child\n|\x04", "ch\t\x15\x04"])
def test_neither_listing_nor_completing_loads_what_runs_actions(keys: str, tmp_path: Path) -> None:
    pytest.importorskip("readline")
    not_yet = "deployer.parallel.running deployer.host.command deployer.host.interaction"
    check(run_script(tmp_path, [], keys), 86, not_yet)


def test_the_modules_of_nodes_and_hosts_are_light(tmp_path: Path) -> None:
    program = "import sys, deployer.node, deployer.host; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", program], text=True).split()
    check(set(loaded) - without_us(), 32, NOT_YET + NOT_FOR_HELP)


# paramiko itself.

LOAD = "import deployer.host.ssh.connection_pool, paramiko.config, sys\n"
MATCH_EXEC = """
config = paramiko.SSHConfig.from_text("Match exec true\\n  User somebody\\n")
assert config.lookup("example.com")["user"] == "somebody"
"""


def run_program(program: str) -> None:
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_connects_loads_paramiko_without_invoke() -> None:
    run_program(LOAD + "assert 'invoke' not in sys.modules")


def test_what_hides_invoke_meanwhile_is_gone_afterwards() -> None:
    run_program("import sys; before = [*sys.meta_path]\n" + LOAD + "assert sys.meta_path == before")


def test_a_script_may_still_read_a_config_with_match_exec_by_paramiko() -> None:
    run_program(LOAD + MATCH_EXEC + "assert 'invoke' in sys.modules")


def test_whoever_imports_invoke_in_another_thread_meanwhile_gets_it() -> None:
    run_program(
        """
import importlib, sys, threading
from importlib.machinery import PathFinder
found = []
def import_it():
    found.append(importlib.import_module('invoke'))
class Meanwhile:
    def find_spec(self, name, path=None, target=None):
        if name != "paramiko.config":
            return None
        spec = PathFinder.find_spec(name, path)
        execute = spec.loader.exec_module
        def exec_module(module):
            thread = threading.Thread(target=import_it)
            thread.start()
            thread.join()
            execute(module)
        spec.loader.exec_module = exec_module
        return spec
sys.meta_path.insert(0, Meanwhile())
"""
        + LOAD
        + "import invoke; assert found == [invoke]\n"
        + MATCH_EXEC
    )


def test_where_a_script_has_imported_paramiko_all_is_as_it_has_it() -> None:
    run_program("import paramiko, invoke\n" + LOAD + "assert paramiko.config.invoke is invoke")
