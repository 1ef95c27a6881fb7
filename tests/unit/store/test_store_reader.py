"""A store is read alike wherever its files are stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from exprec.recorder.errors import AmbiguousRun, NotAStore, RunNotFound
from exprec.recorder.store.file_tree import FolderTree
from exprec.recorder.store.store import Store
from exprec.recorder.store.store_reader import StoreReader
from tests.fixtures import runs
from tests.fixtures.events import OBSERVATION


@pytest.fixture
def reader(store: Store) -> StoreReader:
    return StoreReader(FolderTree(store.path))


def test_runs_tags_and_execution_records(store: Store, reader: StoreReader) -> None:
    run_id = runs.record(store).run_id
    runs.interrupted(store)
    store.tag("best", run_id)
    store.attest(run_id, OBSERVATION)
    assert (reader.run_ids(), reader.run_names(), reader.tags()) == ([run_id], [run_id], {"best": run_id})
    assert reader.attestations(run_id) == store.attestations(run_id) != []
    for reference in (run_id, run_id[:4], "best"):
        assert reader.resolve(reference).run_id == run_id
    with pytest.raises(RunNotFound):
        reader.resolve("other")


def test_a_run_under_another_name_is_a_run(store: Store, reader: StoreReader) -> None:
    run_id = runs.record(store).run_id
    (store.path / run_id).rename(store.path / "renamed")
    (store.path / "notes").mkdir()
    (store.path / "README").write_text("mine")
    assert (reader.run_ids(), reader.run_names()) == ([], ["renamed"])
    run = reader.resolve("rena")
    assert (run.path, run.run_id) == (store.path / "renamed", run_id)


def test_a_reference_to_two_runs_is_ambiguous(store: Store, reader: StoreReader) -> None:
    for name in ("copy-1", "copy-2"):
        (store.path / name).mkdir()
        (store.path / name / "run.json").write_text("{")
    with pytest.raises(AmbiguousRun) as raised:
        reader.resolve("copy")
    assert raised.value.candidates == ("copy-1", "copy-2")


def test_a_folder_without_the_mark_is_not_a_store(tmp_path: Path) -> None:
    with pytest.raises(NotAStore):
        StoreReader(FolderTree(tmp_path))
