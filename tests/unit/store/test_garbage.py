"""What is left of runs that did not come to their end: found whole, removed only when it is nobody's."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from exprec.recorder.errors import StorageFailure
from exprec.recorder.fs import durable
from exprec.recorder.store import garbage
from exprec.recorder.store.garbage import Orphan, find_orphans, interrupted_run
from exprec.recorder.store.store import Store
from tests.fixtures import runs
from tests.fixtures.files import names_below


def _only(store: Store) -> Orphan:
    (found,) = find_orphans(store)
    return found


def test_an_interrupted_run_is_found_with_what_was_recorded(store: Store) -> None:
    before = names_below(store.path)
    work = runs.interrupted(store)
    found = _only(store)
    assert (found.path, found.is_run) == (work, True)
    assert found.size == sum(path.stat().st_size for path in work.iterdir())
    assert found.changed == max(path.stat().st_mtime for path in [work, *work.iterdir()])
    assert not found.may_begin
    assert found.remove()
    assert names_below(store.path) == before
    assert find_orphans(store) == []
    assert not found.remove(), "it is gone"


def test_a_sealed_run_is_none_of_it(store: Store) -> None:
    sealed = runs.record(store)
    store.tag("best", sealed.run_id)
    (store.path / "notes").mkdir()
    (store.path / ".mine.deadbeef").write_bytes(b"")
    assert find_orphans(store) == []


def test_a_run_in_progress_is_none_of_it(store: Store) -> None:
    provider = runs.begin(store)
    assert find_orphans(store) == []
    assert interrupted_run(runs.work_folder(provider, store)) is None
    provider.close()
    assert _only(store).path == runs.work_folder(provider, store)


def test_what_goes_on_after_it_was_found_stays(store: Store) -> None:
    work = runs.interrupted(store)
    found = _only(store)
    before = names_below(store.path)
    lock = durable.Lock(work.with_name(work.name + ".json"))
    assert not found.remove()
    lock.release()
    with (work / "events.jsonl").open("ab") as log:
        log.write(b"more")
    assert not found.remove()
    assert names_below(store.path) == before
    assert _only(store).remove()


def test_the_lock_is_held_while_a_run_is_removed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    work = runs.interrupted(store)
    head = work.with_name(work.name + ".json")
    removed = []
    remove = durable.remove

    def watched(path: Path) -> None:
        removed.append((path, durable.is_locked(head)))
        remove(path)

    monkeypatch.setattr(durable, "remove", watched)
    assert _only(store).remove()
    assert removed == [(work / "events.jsonl", True), (work, True), (head, True)]


def test_half_of_a_beginning_or_of_a_seal_is_found(store: Store) -> None:
    work = store.path / ".work"
    (work / "0000000000000001").mkdir()
    (work / "0000000000000002").mkdir()
    (work / "0000000000000002.json").write_bytes(b"")
    (work / "0000000000000003.json").write_bytes(b"{}")
    found = find_orphans(store)
    assert [(each.name, each.is_run) for each in found] == [
        ("0000000000000001", True),
        ("0000000000000002", True),
        ("0000000000000003.json", False),
    ]
    assert all(each.may_begin for each in found)
    assert all(each.remove() for each in found)
    assert list(work.iterdir()) == []


def test_drafts_of_files_are_found(store: Store) -> None:
    sealed = runs.record(store)
    attestations = store.path / "attestations" / sealed.run_id
    attestations.mkdir(parents=True)
    (store.path / "tags").mkdir()
    drafts = [
        store.path / ".store.json.0123abcd",
        store.path / "..gitattributes.0123abcd",
        store.path / "..gitignore.0123abcd",
        store.path / "tags" / ".best.0123abcd",
        store.path / ".work" / f".{'0' * 16}.json.0123abcd",
        attestations / f".{'f' * 64}.json.0123abcd",
    ]
    others = [
        store.path / "tags" / "best.0123abcd",
        attestations / ".DS_Store",
        store.path / sealed.run_id / ".x.0123abcd",
    ]
    for path in [*drafts, *others]:
        path.write_bytes(b"half")
    found = find_orphans(store)
    assert {each.path for each in found} == set(drafts)
    assert all(each.may_begin and each.size == 4 for each in found)
    assert all(each.remove() for each in found)
    assert all(path.exists() for path in others)


def test_a_link_in_the_work_folder_is_removed_and_not_what_it_leads_to(store: Store, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "thesis.tex").write_text("mine")
    (store.path / ".work" / "link").symlink_to(tmp_path / "elsewhere")
    assert _only(store).remove()
    assert (tmp_path / "elsewhere" / "thesis.tex").exists()
    assert find_orphans(store) == []


def test_a_link_has_its_own_size(store: Store, tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    (tmp_path / "large" / "file").write_bytes(b"x" * 100_000)
    link = store.path / ".work" / "link"
    link.symlink_to(tmp_path / "large")
    found = _only(store)
    assert (found.size, found.changed) == (link.lstat().st_size, link.lstat().st_mtime)


def test_what_has_gone_since_it_was_listed_is_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = store.path / ".store.json.0123abcd"
    draft.write_text("half")
    found = _only(store)
    draft.unlink()
    assert not found.remove()
    monkeypatch.setattr(garbage, "_find_drafts", lambda _: iter([draft]))
    assert find_orphans(store) == []


def test_what_cannot_be_looked_at_is_a_failure_of_storage(store: Store) -> None:
    long = store.path / ("x" * 300)
    with pytest.raises(StorageFailure) as unnamed:
        Orphan(long, 0, 0.0).remove()
    assert unnamed.value.path == long
    tags = store.path / "tags"
    tags.symlink_to(tags)
    with pytest.raises(StorageFailure) as loop:
        find_orphans(store)
    assert loop.value.path == tags


def test_without_a_work_folder_there_is_nothing(store: Store) -> None:
    shutil.rmtree(store.path / ".work")
    assert find_orphans(store) == []
    os.mkfifo(store.path / ".store.json.0123abcd")
    assert find_orphans(store) == []
