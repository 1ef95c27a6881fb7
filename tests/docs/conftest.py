"""Fixtures of the tests of pages and examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.installed import environment


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of a user who has installed exprec."""
    return environment(tmp_path)
