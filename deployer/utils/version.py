"""The version of deployer that is installed."""

from __future__ import annotations

__all__ = ["get_version"]


def get_version() -> str:
    """Return it, or that there is none to be known, as in a checkout on ``PYTHONPATH``."""
    # Imported here, as it takes its time.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("deployer")
    except PackageNotFoundError:
        return "(not installed)"
