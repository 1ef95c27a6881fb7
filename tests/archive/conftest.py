"""The marker that ties a test to facts of schemas/FORMAT.md, as in the tests of the format."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fact(*ids): the facts of schemas/FORMAT.md that the test checks")
