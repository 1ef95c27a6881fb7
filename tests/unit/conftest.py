"""Fixtures of the tests of single modules."""

from __future__ import annotations

from pathlib import Path

import pytest

from exprec.recorder.store.store import Store


@pytest.fixture
def run(store: Store) -> Path:
    """The directory of the only sealed run of the module's store."""
    (run_id,) = store.run_ids()
    return store.path / run_id
