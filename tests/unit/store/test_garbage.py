"""What is left of runs that did not come to their end: found whole, removed only when it is nobody's."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from exprec.recorder.errors import Damaged, StorageFailure
from exprec.recorder.fs import durable
from exprec.recorder.store import garbage
from exprec.recorder.store.garbage import Orphan, find_orphans, interrupted_run
from exprec.recorder.store.store import Store
from tests.fixtures import runs
from tests.fixtures.events import OBSERVATION
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

    def watched(path: Path, top: Path) -> None:
        removed.append((path, durable.is_locked(head)))
        remove(path, top)

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


@pytest.mark.parametrize("name", [".work", ".work/link", ".work/0123456789abcdef", "tags", "attestations"])
def test_a_link_in_place_of_a_folder_is_damage_and_nothing_is_removed(store: Store, tmp_path: Path, name: str) -> None:
    sealed = runs.record(store)
    store.attest(sealed.run_id, OBSERVATION)
    work = runs.interrupted(store)
    link = store.path / name
    if link.is_dir():
        link.rename(tmp_path / "moved")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "0123456789abcdef").mkdir(parents=True)
    (elsewhere / "0123456789abcdef" / "thesis.tex").write_text("mine")
    (elsewhere / "0123456789abcdef.json").write_text("mine")
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(elsewhere)
    before = names_below(tmp_path)
    with pytest.raises(Damaged) as raised:
        find_orphans(store)
    assert raised.value.path == link
    assert names_below(tmp_path) == before
    assert name == ".work" or work.exists()


def test_a_link_that_takes_the_place_of_a_run_is_not_followed(store: Store, tmp_path: Path) -> None:
    sealed = runs.record(store)
    work = runs.interrupted(store)
    found = _only(store)
    work.rename(tmp_path / "moved")
    work.symlink_to(f"../{sealed.run_id}")
    before = names_below(store.path)
    with pytest.raises(Damaged):
        found.remove()
    assert names_below(store.path) == before


def test_only_folders_that_exprec_created_are_garbage(store: Store) -> None:
    work = store.path / ".work"
    for name in ("thesis", "0123456789abcdef", "0123456789ABCDEF", "0" * 15):
        (work / name).mkdir()
        (work / name / "thesis.tex").write_text("mine")
    (work / "thesis" / "events.jsonl").write_text("")
    (work / "notes.json").write_text("mine")
    assert find_orphans(store) == []
    with pytest.raises(Damaged, match="is not a folder that exprec created"):
        interrupted_run(work / "thesis")


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
    with pytest.raises(Damaged) as loop:
        find_orphans(store)
    assert loop.value.path == tags


def test_without_a_work_folder_there_is_nothing(store: Store) -> None:
    shutil.rmtree(store.path / ".work")
    assert find_orphans(store) == []
    os.mkfifo(store.path / ".store.json.0123abcd")
    assert find_orphans(store) == []
