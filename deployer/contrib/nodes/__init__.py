"""Nodes to inherit from, or to nest."""

from typing import TYPE_CHECKING, Any

# A script that nests one of them need not wait for all the others.
if TYPE_CHECKING:
    from .apt_get import AptGet
    from .changes import Changes
    from .config import Config
    from .connect import Connect
    from .cron import Crontab
    from .git import Git, GitOverview
    from .hg import Hg
    from .inspection import AnalyseHost, Inspection
    from .lock import Lock, LockHolder
    from .release import Release, ReleaseInfo
    from .supervisor import Program
    from .systemd import Service, ServiceFailed
    from .template import JinjaTemplate, Template
    from .user import User
    from .virtualenv import VirtualEnv
else:
    _MODULES = {
        "AnalyseHost": "inspection",
        "AptGet": "apt_get",
        "Changes": "changes",
        "Config": "config",
        "Connect": "connect",
        "Crontab": "cron",
        "Git": "git",
        "GitOverview": "git",
        "Hg": "hg",
        "Inspection": "inspection",
        "JinjaTemplate": "template",
        "Lock": "lock",
        "LockHolder": "lock",
        "Program": "supervisor",
        "Release": "release",
        "ReleaseInfo": "release",
        "Service": "systemd",
        "ServiceFailed": "systemd",
        "Template": "template",
        "User": "user",
        "VirtualEnv": "virtualenv",
    }

    def __getattr__(name: str) -> Any:
        """Return one of the names in ``__all__``, from the module that has it."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


__all__ = [
    "AnalyseHost",
    "AptGet",
    "Changes",
    "Config",
    "Connect",
    "Crontab",
    "Git",
    "GitOverview",
    "Hg",
    "Inspection",
    "JinjaTemplate",
    "Lock",
    "LockHolder",
    "Program",
    "Release",
    "ReleaseInfo",
    "Service",
    "ServiceFailed",
    "Template",
    "User",
    "VirtualEnv",
]
