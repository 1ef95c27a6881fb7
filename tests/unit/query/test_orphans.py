"""The rows of what gc removes: what an interrupted run recorded, counted up to any damage."""

from __future__ import annotations

from exprec.recorder.query import OrphanRow, list_orphans, read_orphan
from exprec.recorder.store.store import Store
from tests.fixtures import runs
from tests.fixtures.events import EXCHANGE


def _only(store: Store) -> OrphanRow:
    (row,) = list_orphans(store)
    return row


def test_an_interrupted_run_is_a_row_with_what_was_recorded(store: Store) -> None:
    work = runs.interrupted(store)
    row = _only(store)
    assert (row.orphan.path, row.orphan.is_run, row.experiment) == (work, True, "two banks")
    assert (row.iterations, row.events, row.exchanges) == (1, 2, 0)
    assert read_orphan(store.work_run(work.name)) == row
    assert row.as_dict() == {
        "path": str(work),
        "kind": "run",
        "name": work.name,
        "experiment": "two banks",
        "iterations": 1,
        "events": 2,
        "exchanges": 0,
        "size": row.orphan.size,
    }


def test_a_file_is_a_row_and_a_run_in_progress_is_none(store: Store) -> None:
    provider = runs.begin(store)
    assert read_orphan(store.work_run(runs.work_folder(provider, store).name)) is None
    assert list_orphans(store) == []
    draft = store.path / ".store.json.0123abcd"
    draft.write_bytes(b"half")
    assert (_only(store).as_dict()["kind"], _only(store).orphan.path) == ("file", draft)
    provider.close()


def test_answers_of_a_model_are_counted_up_to_a_damage(store: Store) -> None:
    provider = runs.begin(store)
    for _ in range(3):
        provider.record_exchange(EXCHANGE)
    provider.close()
    assert _only(store).exchanges == 3
    exchanges = runs.work_folder(provider, store) / "exchanges.jsonl"
    exchanges.write_bytes(exchanges.read_bytes().replace(b'"index":2', b'"index":7'))
    row = _only(store)
    assert row.exchanges == 2
    assert row.orphan.remove()


def test_iterations_are_counted_and_what_is_damaged_has_no_name(store: Store) -> None:
    provider = runs.begin(store)
    for number in (1, 1, 4, 9):
        provider.record_iteration(number - 1, {}, {}, {})
    provider.close()
    work = runs.work_folder(provider, store)
    assert (_only(store).iterations, _only(store).events) == (3, 4)
    work.with_name(f"{work.name}.json").write_text("{")
    row = _only(store)
    assert (row.experiment, row.iterations, row.events, row.exchanges) == ("", 0, 0, 0)
