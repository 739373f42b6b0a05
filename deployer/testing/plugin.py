"""pytest's fixtures for the tests of deployments.

pytest loads this module in every run, wherever deployer is installed: what a fixture needs is
imported when a test asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from . import FakeHost, FakeTree

__all__ = ["fake_host", "fake_tree"]


@pytest.fixture
def fake_host() -> type[FakeHost]:
    """A host of the test's own (``type[FakeHost]``) that answers what is scripted."""
    from . import FakeHost

    class fake_host(FakeHost):
        pass

    return fake_host


@pytest.fixture
def fake_tree() -> Iterator[type[FakeTree]]:
    """Make trees on fake hosts (``type[FakeTree]``); real ones refuse to connect meanwhile."""
    from . import FakeTree, no_connections

    with no_connections():
        yield FakeTree
