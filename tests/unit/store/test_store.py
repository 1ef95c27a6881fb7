"""The store: the seal is the only commit point, and a run is found by address, prefix, tag or path."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder import canonical, events, format, validation
from exprec.recorder.errors import AmbiguousRun, Damaged, InvalidEvent, NotAStore, RunNotFound, StorageFailure
from exprec.recorder.state.provider import LiveStateProvider
from exprec.recorder.store.recording import Sealed
from exprec.recorder.store.rundir import RunDirectory
from exprec.recorder.store.store import Store, find_run
from exprec.recorder.store.tree import folder_id
from tests.event_examples import EXAMPLES, EXCHANGE, OBSERVATION
from tests.support import git_tree_id


def record(store: Store, *, name: str = "two banks", config: dict[str, Any] | None = None, ask: bool = False) -> Sealed:
    """Record and seal one run with an event of every type but the failure."""
    provider = LiveStateProvider(name, recording=store.begin(name, "generic", config or {"name": name}))
    if ask:
        provider.record_exchange(EXCHANGE)
    for kind in events.EVENT_TYPES:
        if kind != events.EXPERIMENT_FAILED:
            provider.record_event(EXAMPLES[kind][0], kind, EXAMPLES[kind][1])
    sealed = provider.seal()
    assert sealed is not None
    return sealed


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open_or_create(tmp_path / "runs")


def test_a_new_store_has_its_files(store: Store) -> None:
    assert canonical.decode((store.path / "store.json").read_bytes()) == {"format": 1}
    assert (store.path / ".gitattributes").read_text().startswith("* -text ")
    assert "events.jsonl diff=exprec" in (store.path / ".gitattributes").read_text().splitlines()
    assert (store.path / ".gitignore").read_text() == "/.work/\n"
    again = Store.open_or_create(store.path)
    assert again.run_ids() == []


def test_a_sealed_run_is_its_address(store: Store) -> None:
    sealed = record(store, ask=True)
    assert sealed.is_new
    assert sealed.path == store.path / sealed.run_id
    assert folder_id(sealed.path) == git_tree_id(sealed.path) == sealed.run_id
    assert sorted(path.name for path in sealed.path.iterdir()) == [
        "config.json",
        "events.jsonl",
        "exchanges.jsonl",
        "run.json",
        "schemas.json",
    ]
    assert store.run_ids() == [sealed.run_id]
    assert os.listdir(store.path / format.WORK_FOLDER) == []


def test_the_head_describes_every_other_file(store: Store) -> None:
    sealed = record(store)
    head = RunDirectory(sealed.path).head
    assert validation.problems(head, "run.v1") == []
    described = {path.name for path in sealed.path.iterdir()} - {"run.json"}
    assert set(head["files"]) == described
    for name, entry in head["files"].items():
        data = (sealed.path / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    assert head["inputs"] == head["files"]["config.json"]["sha256"]
    assert head["counts"]["events"] == len((sealed.path / "events.jsonl").read_bytes().splitlines()) == 8
    assert head["counts"]["by_type"] == dict.fromkeys(sorted(set(events.EVENT_TYPES) - {"experiment_failed"}), 1)


def test_the_embedded_schemas_are_those_of_the_types_that_occur(store: Store) -> None:
    sealed = record(store, ask=True)
    embedded = canonical.decode((sealed.path / "schemas.json").read_bytes())
    used = {events.schema_name(kind) for kind in events.EVENT_TYPES if kind != events.EXPERIMENT_FAILED}
    assert set(embedded) == used | {"exchange.v1"}
    for line in (sealed.path / "events.jsonl").read_bytes().splitlines():
        event = canonical.decode(line)
        name = f"event.{event['event_type']}.v1"
        assert validation.Validator(embedded[name]).problems(event) == []


def test_the_same_run_again_is_no_second_directory(store: Store) -> None:
    first = record(store)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in first.path.iterdir()}
    second = record(store)
    assert (second.run_id, second.is_new) == (first.run_id, False)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in first.path.iterdir()} == before
    assert os.listdir(store.path / format.WORK_FOLDER) == []


def test_a_damaged_run_at_the_address_is_not_taken_for_the_same(store: Store) -> None:
    first = record(store)
    log = first.path / "events.jsonl"
    log.write_bytes(log.read_bytes().replace(b"7000", b"7001", 1))
    with pytest.raises(Damaged, match="is not what its address says; this execution of it is kept in"):
        record(store)
    assert len(store.work_names()) == 1


def test_a_run_is_found_by_every_name(store: Store) -> None:
    sealed = record(store)
    store_path = store.path
    for reference in (sealed.run_id, sealed.run_id[:4], sealed.run_id[:20], str(sealed.path)):
        assert find_run(reference, store_path).run_id == sealed.run_id
    (store_path / "tags").mkdir()
    (store_path / "tags" / "baseline").write_text(sealed.run_id + "\n")
    assert find_run("baseline", store_path).run_id == sealed.run_id
    assert RunDirectory(sealed.path).status == "completed"


def test_what_is_not_there_is_not_found(store: Store, tmp_path: Path) -> None:
    sealed = record(store)
    for reference in ("nothing", sealed.run_id[:3], "0" * 64, "", "../runs"):
        with pytest.raises(RunNotFound, match="give a run id"):
            find_run(reference, store.path)
    with pytest.raises(RunNotFound):
        find_run(sealed.run_id, tmp_path / "elsewhere")


@pytest.mark.parametrize("reference", ["a" * 5000, "a/" * 5000, "ab\0cd", "\0", "\ud800abcd", "~" * 300])
def test_a_name_that_no_file_can_have_is_not_found(store: Store, tmp_path: Path, reference: str) -> None:
    for folder in (store.path, tmp_path / "elsewhere"):
        with pytest.raises(RunNotFound):
            find_run(reference, folder)


def test_a_tag_with_a_text_too_long_for_a_name_stands_for_no_run(store: Store) -> None:
    (store.path / "tags").mkdir()
    (store.path / "tags" / "long").write_text("a" * 5000)
    with pytest.raises(RunNotFound):
        find_run("long", store.path)


def test_a_folder_that_may_not_be_looked_into_is_a_failure_of_storage(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "is_file", denied)
    with pytest.raises(StorageFailure, match="closed/run: Permission denied"):
        find_run("closed/run", store.path)


def test_an_ambiguous_prefix_lists_the_candidates(store: Store) -> None:
    ids = ["abcd" + "0" * 60, "abcd" + "1" * 60]
    for run_id in ids:
        (store.path / run_id).mkdir()
    with pytest.raises(AmbiguousRun) as raised:
        store.resolve("abcd")
    assert raised.value.candidates == tuple(ids)
    for run_id in ids:
        assert run_id in str(raised.value)
    assert store.resolve("abcd0").path.name == ids[0]


def test_a_tag_that_is_also_a_prefix_is_ambiguous(store: Store) -> None:
    sealed = record(store)
    other = record(store, name="another")
    (store.path / "tags").mkdir()
    (store.path / "tags" / sealed.run_id[:6]).write_text(other.run_id + "\n")
    with pytest.raises(AmbiguousRun):
        store.resolve(sealed.run_id[:6])


def test_a_copy_under_another_name_goes_by_the_address_of_its_content(store: Store, tmp_path: Path) -> None:
    sealed = record(store)
    copy = tmp_path / "copy"
    sealed.path.rename(copy)
    assert RunDirectory(copy).run_id == sealed.run_id


def test_a_folder_with_other_things_is_not_made_a_store(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(NotAStore, match="is not empty"):
        Store.open_or_create(tmp_path)
    assert os.listdir(tmp_path) == ["notes.txt"]


@pytest.mark.parametrize(
    ("mark", "reason"),
    [('{"format": 2}', "newer than this version"), ("{", "not JSON"), ("[]", "must be a mapping"), ("{}", "format")],
)
def test_a_store_of_another_kind_is_refused(store: Store, mark: str, reason: str) -> None:
    (store.path / "store.json").write_text(mark)
    with pytest.raises(NotAStore, match=reason):
        Store(store.path)


def test_a_newer_run_format_says_so(store: Store) -> None:
    sealed = record(store)
    head = sealed.path / "run.json"
    head.write_bytes(head.read_bytes().replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(Damaged, match="newer than this version of exprec knows"):
        _ = RunDirectory(sealed.path).head


def test_a_sealed_log_of_another_size_is_damaged(store: Store) -> None:
    sealed = record(store)
    log = sealed.path / "events.jsonl"
    log.write_bytes(log.read_bytes()[:-1])
    with pytest.raises(Damaged, match=r"bytes where run\.json records"):
        RunDirectory(sealed.path).reader()


def test_attestations_add_up_beside_the_run(store: Store) -> None:
    sealed = record(store)
    later = {**OBSERVATION, "started_at": "2026-01-02T00:00:00.000000+00:00"}
    paths = {store.attest(sealed.run_id, observation) for observation in (later, OBSERVATION)}
    assert len(paths) == 2
    for path in paths:
        assert path.stem == hashlib.sha256(path.read_bytes()).hexdigest()
    found = store.attestations(sealed.run_id)
    assert [attestation["started_at"] for attestation in found] == [OBSERVATION["started_at"], later["started_at"]]
    assert validation.problems(found[0], "attestation.v1") == []
    with pytest.raises(InvalidEvent, match="duration_seconds"):
        store.attest(sealed.run_id, {**OBSERVATION, "duration_seconds": "long"})


def test_an_unsealed_run_is_found_by_its_work_name_and_knows_its_status(store: Store) -> None:
    recording = store.begin("two banks", "generic", {"name": "two banks"})
    provider = LiveStateProvider("two banks", recording=recording)
    provider.record_event(0, events.EXPERIMENT_START, EXAMPLES[events.EXPERIMENT_START][1])
    assert provider.run_id is not None
    directory = find_run(provider.run_id, store.path)
    assert (directory.status, directory.name, directory.type) == ("running", "two banks", "generic")
    provider.close()
    directory = find_run(provider.run_id[:6], store.path)
    assert (directory.status, directory.is_sealed) == ("interrupted", False)
    assert store.run_ids() == []


def test_discarding_leaves_nothing(store: Store) -> None:
    store.begin("two banks", "generic", {}).discard()
    assert os.listdir(store.path / format.WORK_FOLDER) == []


def test_a_folder_among_the_tags_is_no_tag(store: Store) -> None:
    sealed = record(store)
    (store.path / "tags" / "team").mkdir(parents=True)
    assert store.tags() == {}
    assert store.resolve(sealed.run_id[:8]).run_id == sealed.run_id


def test_a_folder_inside_a_sealed_run_is_damage_and_keeps_the_new_execution(store: Store) -> None:
    sealed = record(store)
    (sealed.path / "extra").mkdir()
    (sealed.path / "extra" / "note").touch()
    with pytest.raises(Damaged, match="is not what its address says"):
        record(store)
    assert len(store.work_names()) == 1


def test_a_run_without_events_can_be_sealed_and_read(store: Store) -> None:
    provider = LiveStateProvider("two banks", recording=store.begin("two banks", "generic", {}))
    provider.record_event(0, events.EXPERIMENT_FAILED, EXAMPLES[events.EXPERIMENT_FAILED][1])
    assert provider.seal() is not None
    empty = LiveStateProvider("nothing", recording=store.begin("nothing", "generic", {}))
    sealed = empty.seal()
    assert sealed is not None
    assert list(RunDirectory(sealed.path).reader().entries()) == []
