"""The class of a tree's root, and how another process comes by the same one."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
import threading
from dataclasses import dataclass
from functools import reduce
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn, cast

from ..exceptions import NodeUsageError

if TYPE_CHECKING:
    from .base import Node

__all__ = ["SCRIPT", "RootClass"]

#: What multiprocessing calls the script of the process that sends the work: under another name,
#: `if __name__ == "__main__":` is not entered again. Those that are loaded here have names that
#: begin so: there may be several, and pickle has to find each by its name.
SCRIPT = "__mp_main__"

_loading = threading.Lock()


@dataclass(frozen=True)
class RootClass:
    """Where the class of a tree's root is defined."""

    module: str
    qualname: str
    #: The file of the script, for a class of ``__main__``; None for others.
    script: str | None = None
    #: The package that the script belongs to, where it was run with ``python -m``.
    package: str = ""

    @classmethod
    def locate(cls, root: type[Node]) -> RootClass:
        """Return where a class is defined.

        :raises NodeUsageError: when it cannot be imported from there.
        """
        module, qualname = root.__module__, root.__qualname__
        if "<locals>" in qualname:
            _refuse(root, "it is defined in a function; define it in a module")
        located = cls(module, qualname)
        if module == "__main__":
            main = sys.modules["__main__"]
            script = getattr(main, "__file__", None)
            if script is None:
                _refuse(root, "it is defined in an interactive session; define it in a file")
            located = cls(module, qualname, os.path.realpath(script), main.__package__ or "")
        try:
            found = located.find_in(sys.modules[module])
        except (AttributeError, KeyError):
            _refuse(root, f"there is no {qualname} in the module {module}; assign it to that name")
        if found is not root:
            _refuse(root, f"{module}.{qualname} is another class by now; give it a name of its own")
        return located

    def load_module(self) -> ModuleType:
        """Return the module, which is imported when it is not there yet."""
        if self.script is None:
            return importlib.import_module(self.module)
        with _loading:
            own = f"{SCRIPT}_{hashlib.sha256(self.script.encode()).hexdigest()[:16]}"
            # Processes that were forked, or spawned by multiprocessing, have it already.
            for name in ("__main__", SCRIPT, own):
                module = sys.modules.get(name)
                if module is not None and _get_file(module) == self.script:
                    return module
            return self._load_script(self.script, own)

    def find_in(self, module: ModuleType) -> type[Node]:
        """Return the class itself."""
        found: Any = reduce(getattr, self.qualname.split("."), cast(Any, module))
        return cast("type[Node]", found)

    def _load_script(self, script: str, name: str) -> ModuleType:
        # As for any script: what lies beside it can be imported, or what its package lies beside.
        directory = os.path.dirname(script)
        for _ in filter(None, self.package.split(".")):
            directory = os.path.dirname(directory)
        if directory not in sys.path:
            sys.path.append(directory)
        loader = SourceFileLoader(name, script)
        spec = importlib.util.spec_from_file_location(name, script, loader=loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        module.__package__ = self.package
        sys.modules[name] = module
        try:
            loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
        return module


def _get_file(module: ModuleType) -> str | None:
    file = getattr(module, "__file__", None)
    return None if file is None else os.path.realpath(file)


def _refuse(root: type[Node], reason: str) -> NoReturn:
    raise NodeUsageError(
        f"{root.__qualname__} cannot be run by an executor, since its workers import the class of "
        f"the tree's root by its name: {reason}"
    )
