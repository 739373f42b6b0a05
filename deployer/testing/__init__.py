"""For the unit tests of deployments: hosts that play their part in memory, and what to ask of them.

Nothing here reaches a network or this machine's files. pytest finds the fixtures in ``plugin``.
"""

from typing import TYPE_CHECKING, Any

# pytest loads this package in every run, for the fixtures: it must cost nothing.
if TYPE_CHECKING:
    from .answers import Answer
    from .assertions import assert_never_runs, assert_runs, assert_runs_only
    from .fake_host import FakeHost
    from .fake_tree import FakeTree, no_connections
    from .memory_files import MemoryFiles
    from .recorded_run import RecordedRun
else:
    _MODULES = {
        "Answer": "answers",
        "FakeHost": "fake_host",
        "FakeTree": "fake_tree",
        "MemoryFiles": "memory_files",
        "RecordedRun": "recorded_run",
        "assert_never_runs": "assertions",
        "assert_runs": "assertions",
        "assert_runs_only": "assertions",
        "no_connections": "fake_tree",
    }

    def __getattr__(name: str) -> Any:
        """Return one of the names in ``__all__``, from the module that has it."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


__all__ = [
    "Answer",
    "FakeHost",
    "FakeTree",
    "MemoryFiles",
    "RecordedRun",
    "assert_never_runs",
    "assert_runs",
    "assert_runs_only",
    "no_connections",
]
