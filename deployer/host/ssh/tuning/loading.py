"""paramiko, imported without ``invoke``, which takes two thirds as long as all the rest of it.

paramiko needs it for ``Match exec`` in its own ``SSHConfig`` only, and does without where it is not
installed. We never use that class; a script that does gets ``invoke`` when it comes to that.
"""

from __future__ import annotations

import importlib
import sys
import threading
from typing import Any

__all__ = ["load"]


class _HidesInvoke:
    """A finder of modules, for which there is no ``invoke`` in the thread that has made it."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "invoke" and threading.get_ident() == self._thread:
            raise ModuleNotFoundError("paramiko is imported without invoke", name=name)


class _InvokeWhenUsed:
    """Stands for ``invoke`` in ``paramiko.config``, and imports it for the first use."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module("invoke"), name)


def load() -> None:
    """Import paramiko; where somebody has done so already, or has ``invoke``, as always."""
    if "paramiko" in sys.modules or "invoke" in sys.modules:
        return
    finder: Any = _HidesInvoke()
    # Each time a list of its own: another thread may be going through the one that there is.
    sys.meta_path = [finder, *sys.meta_path]
    try:
        config: Any = importlib.import_module("paramiko.config")
    finally:
        sys.meta_path = [other for other in sys.meta_path if other is not finder]
    if getattr(config, "invoke", finder) is None:
        config.invoke = _InvokeWhenUsed()


# When this is imported, so that it comes before whatever else of us imports paramiko.
load()
