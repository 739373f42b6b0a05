"""What users import is where the documentation says, and importing it is light."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import deployer

ROOT = Path(__file__).resolve().parent.parent

NODE = """
    Node ParallelNode SimpleNode Env Action EnvAction required_property map_roles ALL_HOSTS
    DefaultRoleMapping alias dont_isolate_yet isolate_one_only suppress_action_result
    IsolationIdentifierType iter_isolations ParallelActionResult changes_nothing serial
"""

EXPORTS = {
    "deployer.client": "start",
    "deployer.node": NODE,
    "deployer.node.base": "Node ParallelNode SimpleNode required_property",
    "deployer.node.decorators": """
        alias changes_nothing dont_isolate_yet isolate_one_only suppress_action_result serial
    """,
    "deployer.node.role_mapping": "ALL_HOSTS DefaultRoleMapping map_roles",
    "deployer.host": "Host SSHHost LocalHost HostContext Stat",
    "deployer.host.base": "Host HostContext Stat",
    "deployer.host.ssh": "SSHHost",
    "deployer.host.local": "LocalHost",
    "deployer.host.vagrant": "VagrantHost",
    "deployer.host_container": "HostsContainer HostContainer",
    "deployer.query": "Q Query QueryResult",
    "deployer.inspection": "Inspector PathType filters",
    "deployer.groups": """
        Group set_group Production Staging Beta Local Other Utility
        production staging beta local other utility
    """,
    "deployer.console": "Console NoInput ProgressBar ProgressBarSteps",
    "deployer.pseudo_terminal": "Pty DummyPty",
    "deployer.loggers": "LoggerInterface Logger DummyLoggerInterface",
    "deployer.loggers.default": "DefaultLogger IndentedDefaultLogger",
    "deployer.loggers.trace": "TraceLogger",
    "deployer.exceptions": """
        DeployerException ExecCommandFailed ConnectionFailedException AuthenticationFailed
        HostKeyError ConnectionTimeout ConnectionLost QueryException ActionException
        ParallelActionException ParallelExecCommandFailed CommandTimeout NoInput Declined
        NodeDefinitionError NodeUsageError LockHeld SudoFailed SudoAuthenticationFailed
        RemoteFileError NotBegun JobStopped WorkerLost
    """,
    "deployer.parallel": "RunOptions Job Outcome Interrupted run",
    "deployer.utils": "esc1 esc2 indent parse_ifconfig_output IfConfig NetworkInterface",
    "deployer.utils.string_utils": "esc1 esc2 indent",
    "deployer.utils.network": "parse_ifconfig_output IfConfig NetworkInterface",
    "deployer.cli": "",
    "deployer.shell": "",
    "deployer.contrib.commands": "",
    "deployer.contrib.loggers": "AsciicastRecorder JsonLinesLogger OnHostLogger",
    "deployer.contrib.nodes": """
        AnalyseHost AptGet Changes Config Connect Crontab Git GitOverview Hg Inspection
        JinjaTemplate Lock LockHolder Program Release ReleaseInfo Service ServiceFailed
        Template User VirtualEnv
    """,
    "deployer.contrib.nodes.apt_get": "AptGet",
    "deployer.contrib.nodes.changes": "Changes ask report",
    "deployer.contrib.nodes.config": "Config Template JinjaTemplate",
    "deployer.contrib.nodes.connect": "Connect",
    "deployer.contrib.nodes.cron": "Crontab",
    "deployer.contrib.nodes.git": "Git GitOverview GitState",
    "deployer.contrib.nodes.hg": "Hg",
    "deployer.contrib.nodes.inspection": "AnalyseHost Inspection",
    "deployer.contrib.nodes.lock": "Lock LockHolder",
    "deployer.contrib.nodes.release": "Release ReleaseInfo",
    "deployer.contrib.nodes.supervisor": "Program",
    "deployer.contrib.nodes.systemd": "Service ServiceFailed",
    "deployer.contrib.nodes.user": "User",
    "deployer.contrib.nodes.virtualenv": "VirtualEnv",
    "deployer.testing": """
        Answer FakeHost FakeTree MemoryFiles RecordedRun assert_never_runs assert_runs
        assert_runs_only no_connections
    """,
}


@pytest.mark.parametrize("module", EXPORTS)
def test_a_module_has_the_names_that_users_import(module: str) -> None:
    imported = importlib.import_module(module)
    missing = [name for name in EXPORTS[module].split() if not hasattr(imported, name)]
    assert missing == []


@pytest.mark.parametrize("module", EXPORTS)
def test_what_a_module_says_it_exports_is_there(module: str) -> None:
    imported = importlib.import_module(module)
    exported = set(imported.__all__)
    assert set(EXPORTS[module].split()) <= exported
    assert [name for name in exported if not hasattr(imported, name)] == []


@pytest.mark.parametrize("name", NODE.split())
def test_the_node_modules_have_the_same_objects_as_their_package(name: str) -> None:
    package = importlib.import_module("deployer.node")
    for module in ("base", "decorators", "role_mapping"):
        imported = importlib.import_module(f"deployer.node.{module}")
        assert getattr(imported, name, getattr(package, name)) is getattr(package, name)


@pytest.mark.parametrize(
    "module",
    ["deployer", "deployer.node", "deployer.host", "deployer.client", "deployer.contrib.nodes"],
)
def test_importing_loads_no_paramiko(module: str) -> None:
    program = f"import sys, {module}; sys.exit('paramiko' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_the_version_is_a_version() -> None:
    parts = deployer.__version__.split(".")
    assert len(parts) == 3
    assert all(part.isdigit() for part in parts)


def documented() -> set[str]:
    """Return the names that pages describe, each by itself or with its whole module."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in ROOT.glob("docs/**/*.rst"))
    names = set(
        re.findall(r"^\.\. (?:auto(?!module)\w+|decorator):: deployer\.([\w.]+)", text, re.M)
    )
    names = {name.rpartition(".")[2] for name in names}
    for module in re.findall(r"^\.\. automodule:: ([\w.]+)", text, re.M):
        names.update(importlib.import_module(module).__all__, [module.rpartition(".")[2]])
    return names


@pytest.mark.parametrize("module", EXPORTS)
def test_what_users_import_is_in_the_reference(module: str) -> None:
    assert set(EXPORTS[module].split()) - documented() == set()
