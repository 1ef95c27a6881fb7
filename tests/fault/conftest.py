"""Fixtures of the fault tests."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.stages import memory


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder for stages, in memory where possible."""
    with tempfile.TemporaryDirectory(dir=memory()) as name:
        yield Path(name)
