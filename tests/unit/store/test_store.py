"""The store: the seal is the only commit point, and a run is found by address, prefix, tag or path."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from exprec.recorder.diagnostics import SecretGuard
from exprec.recorder.errors import (
    AmbiguousRun,
    Damaged,
    InvalidEvent,
    InvalidInput,
    NotAStore,
    RunNotFound,
    SecretFound,
    StorageFailure,
)
from exprec.recorder.events import EVENT_SPECS, common, optimization
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.schema import engine, find_problems
from exprec.recorder.state.provider import LiveStateProvider
from exprec.recorder.store import file_tree
from exprec.recorder.store.file_tree import folder_id
from exprec.recorder.store.run_directory import RunDirectory, Summary
from exprec.recorder.store.store import Store, find_run
from tests.fixtures.events import EVENT_TYPES, EXAMPLES, OBSERVATION
from tests.fixtures.git import git_tree_id
from tests.fixtures.runs import record, seal

FAILURE = (common.EXPERIMENT_FAILED.event_type, *EXAMPLES[common.EXPERIMENT_FAILED.event_type])


def test_a_new_store_has_its_files(store: Store) -> None:
    assert canonical_json.decode((store.path / "store.json").read_bytes()) == {"format": 1}
    assert (store.path / ".gitattributes").read_text().startswith("* -text ")
    assert "events.jsonl diff=exprec" in (store.path / ".gitattributes").read_text().splitlines()
    assert (store.path / ".gitignore").read_text() == "!*\n/.work/\n"
    again = Store.open_or_create(store.path)
    assert again.run_ids() == []


def test_a_sealed_run_is_its_address(store: Store) -> None:
    sealed = record(store)
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
    assert os.listdir(store.path / layout.WORK_FOLDER) == []


def test_the_head_describes_every_other_file(store: Store) -> None:
    sealed = record(store)
    head = RunDirectory(sealed.path).head
    assert find_problems(head, "run.v1") == []
    described = {path.name for path in sealed.path.iterdir()} - {"run.json"}
    assert set(head["files"]) == described
    for name, entry in head["files"].items():
        data = (sealed.path / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    assert head["inputs"] == head["files"]["config.json"]["sha256"]
    assert head["counts"]["events"] == len((sealed.path / "events.jsonl").read_bytes().splitlines()) == 8
    assert head["counts"]["by_type"] == dict.fromkeys(sorted(set(EVENT_TYPES) - {"experiment_failed"}), 1)


def test_the_embedded_schemas_are_those_of_the_types_that_occur(store: Store) -> None:
    sealed = record(store)
    embedded = canonical_json.decode((sealed.path / "schemas.json").read_bytes())
    used = {EVENT_SPECS[kind].schema_name for kind in EVENT_TYPES if kind != common.EXPERIMENT_FAILED.event_type}
    assert set(embedded) == used | {"exchange.v2"}
    for line in (sealed.path / "events.jsonl").read_bytes().splitlines():
        event = canonical_json.decode(line)
        name = EVENT_SPECS[event["event_type"]].schema_name
        assert engine.Validator(embedded[name]).problems(event) == []


def test_the_same_run_again_is_no_second_directory(store: Store) -> None:
    first = record(store)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in first.path.iterdir()}
    second = record(store)
    assert (second.run_id, second.is_new) == (first.run_id, False)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in first.path.iterdir()} == before
    assert os.listdir(store.path / layout.WORK_FOLDER) == []


def test_a_damaged_run_at_the_address_is_not_taken_for_the_same(store: Store) -> None:
    first = record(store)
    log = first.path / "events.jsonl"
    log.write_bytes(log.read_bytes().replace(b"7000", b"7001", 1))
    with pytest.raises(Damaged, match="content does not match the run id; this execution of it is kept in"):
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

    monkeypatch.setattr(os, "scandir", denied)
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
    assert find_problems(found[0], "attestation.v1") == []
    with pytest.raises(InvalidEvent, match="duration_seconds"):
        store.attest(sealed.run_id, {**OBSERVATION, "duration_seconds": "long"})


def test_an_unsealed_run_is_found_by_its_work_name_and_knows_its_status(store: Store) -> None:
    recording = store.begin("two banks", "generic", {"name": "two banks"})
    provider = LiveStateProvider("two banks", recording=recording)
    provider.record_event(
        0, optimization.EXPERIMENT_START.event_type, EXAMPLES[optimization.EXPERIMENT_START.event_type][1]
    )
    assert provider.run_id is not None
    directory = find_run(provider.run_id, store.path)
    assert (directory.status, directory.name, directory.type) == ("running", "two banks", "generic")
    provider.close()
    directory = find_run(provider.run_id[:6], store.path)
    assert (directory.status, directory.is_sealed) == ("interrupted", False)
    assert store.run_ids() == []


def test_discarding_leaves_nothing(store: Store) -> None:
    store.begin("two banks", "generic", {}).discard()
    assert os.listdir(store.path / layout.WORK_FOLDER) == []


def test_a_folder_among_the_tags_is_no_tag(store: Store) -> None:
    sealed = record(store)
    (store.path / "tags" / "team").mkdir(parents=True)
    assert store.tags() == {}
    assert store.resolve(sealed.run_id[:8]).run_id == sealed.run_id


def test_a_folder_inside_a_sealed_run_is_damage_and_keeps_the_new_execution(store: Store) -> None:
    sealed = record(store)
    (sealed.path / "extra").mkdir()
    (sealed.path / "extra" / "note").touch()
    with pytest.raises(Damaged, match="content does not match the run id"):
        record(store)
    assert len(store.work_names()) == 1


def test_a_run_without_events_can_be_sealed_and_read(store: Store) -> None:
    provider = LiveStateProvider("two banks", recording=store.begin("two banks", "generic", {}))
    provider.record_event(0, common.EXPERIMENT_FAILED.event_type, EXAMPLES[common.EXPERIMENT_FAILED.event_type][1])
    assert provider.seal() is not None
    empty = LiveStateProvider("nothing", recording=store.begin("nothing", "generic", {}))
    sealed = seal(empty)
    assert list(RunDirectory(sealed.path).reader().entries()) == []


def test_an_empty_folder_becomes_a_store_and_a_file_does_not(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert Store.open_or_create(tmp_path / "empty").run_ids() == []
    (tmp_path / "file").write_text("mine")
    with pytest.raises(NotAStore, match="is not an exprec store and is not empty; name another folder") as raised:
        Store.open_or_create(tmp_path / "file")
    assert raised.value.path == tmp_path / "file"


@pytest.mark.parametrize(
    ("mark", "is_of_the_file"),
    [(None, False), ('{"format": 2}', True), ("{", True), ("[]", True), ('{"format": true}', True)],
)
def test_a_refusal_of_a_store_names_what_is_wrong(tmp_path: Path, mark: str | None, is_of_the_file: bool) -> None:
    exact = {None: "no exprec store here (store.json is missing)", "{": "not JSON; restore it from version control"}
    if mark is not None:
        (tmp_path / "store.json").write_text(mark)
    with pytest.raises(NotAStore) as raised:
        Store(tmp_path)
    assert raised.value.path == (tmp_path / "store.json" if is_of_the_file else tmp_path)
    assert raised.value.reason == exact.get(mark, raised.value.reason)


def test_a_store_that_cannot_be_read_is_a_failure_of_storage(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for path, error in (
        (tmp_path / "file", errno.ENOTDIR),
        (loop, errno.ELOOP),
        (tmp_path / ("x" * 300), errno.ENAMETOOLONG),
    ):
        with pytest.raises(StorageFailure) as raised:
            Store(path)
        assert (raised.value.path, raised.value.error.errno) == (path / "store.json", error)


def test_a_link_in_place_of_a_folder_is_damage(store: Store) -> None:
    for name, ask in (("tags", store.tags), (".work", store.work_names)):
        path = store.path / name
        if path.exists():
            path.rmdir()
        path.symlink_to(path)
        with pytest.raises(Damaged) as raised:
            ask()
        assert raised.value.path == path


def test_what_is_not_found_is_named_with_the_store(store: Store) -> None:
    run_id = record(store).run_id
    gone = "0" * 64
    (store.path / "tags").mkdir()
    (store.path / "tags" / "lost").write_text(gone)
    for reference in ("nothing", "lost", "ffff" if not run_id.startswith("ffff") else "eeee"):
        for ask in (store.resolve, lambda reference: find_run(reference, store.path)):
            with pytest.raises(RunNotFound) as raised:
                ask(reference)
            assert (raised.value.reference, raised.value.store) == (reference, store.path)
    with pytest.raises(RunNotFound) as untagged:
        store.tag("best", gone)
    assert (untagged.value.reference, untagged.value.store) == (gone, store.path)
    for reference in ("a\0b", "x" * 300):
        with pytest.raises(RunNotFound) as unnamed:
            find_run(reference, store.path)
        assert (unnamed.value.reference, unnamed.value.store) == (reference, store.path)
    with pytest.raises(RunNotFound) as nowhere:
        find_run("best", store.path / "none")
    assert (nowhere.value.reference, nowhere.value.store) == ("best", store.path / "none")


def test_a_tag_that_is_no_text_stands_for_no_run(store: Store) -> None:
    (store.path / "tags").mkdir()
    (store.path / "tags" / "best").write_bytes(b"\xff\n")
    assert store.tags() == {"best": "\ufffd"}
    with pytest.raises(RunNotFound):
        store.resolve("best")


def test_an_ambiguous_name_is_named(store: Store) -> None:
    first, second = record(store).run_id, "0" * 64
    (store.path / second).mkdir()
    store.tag("both", first)
    (store.path / ".work" / "both-of-them").mkdir()
    with pytest.raises(AmbiguousRun) as raised:
        store.resolve("both")
    assert raised.value.reference == "both"
    assert raised.value.candidates == tuple(sorted([first, "both-of-them"]))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x" * 201, "'%s' cannot be a tag: it has 201 characters; the limit is 100"),
        ("-x", "'%s' cannot be a tag: a tag has letters (A to Z), digits, '.', '_' and '-', and does not begin with"),
        ("abcd", "'%s' cannot be a tag: 4 or more hex digits are a prefix of a run id, so"),
    ],
)
def test_a_name_that_no_tag_can_have_is_told_with_the_reason(store: Store, name: str, said: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        store.tag(name, record(store).run_id)
    assert str(raised.value).startswith(said % name)
    assert [problem.path for problem in raised.value.problems] == [()]


def test_an_attestation_is_indented_and_named_by_its_digest(store: Store) -> None:
    run_id = record(store).run_id
    path = store.attest(run_id, OBSERVATION)
    data = path.read_bytes()
    assert data == canonical_json.encode({**OBSERVATION, "format": 1, "run": run_id}, indent=True)
    assert path == store.path / "attestations" / run_id / f"{hashlib.sha256(data).hexdigest()}.json"
    with pytest.raises(InvalidEvent) as raised:
        store.attest(run_id, {})
    assert raised.value.event_type == "attestation"
    for content, reason in ((b"{", "not JSON"), (b"{}", "this key is required and missing")):
        path.write_bytes(content)
        with pytest.raises(Damaged) as damaged:
            store.attestations(run_id)
        assert damaged.value.path == path
        assert reason in damaged.value.reason


def test_a_run_goes_on_in_its_store(store: Store) -> None:
    recording = store.begin("two banks", "generic", {}, origin={"file": "banks.yaml"})
    recording.events.append(*FAILURE)
    recording.close()
    run = store.resolve(recording.folder.name)
    assert run.work_head["file"] == "banks.yaml"
    guard = SecretGuard({"KEY": "tell-nobody-of-this"})
    again = store.resume(run, "two banks", "generic", guard)
    again.events.append(*FAILURE)
    with pytest.raises(SecretFound):
        again.events.append(FAILURE[0], 0, {**FAILURE[2], "message": "tell-nobody-of-this"})
    again.close()
    again = store.resume(store.resolve(recording.folder.name), "two banks", "generic")
    again.events.append(*FAILURE)
    counts = {"events": 1, "iterations": 0, "by_type": {FAILURE[0]: 1}}
    head = RunDirectory(again.seal(Summary("failed", counts, None, FAILURE[2])).path).head
    assert (head["name"], head["type"]) == ("two banks", "generic")


def test_a_tag_that_is_the_file_of_another_one_elsewhere_is_refused(store: Store) -> None:
    run_id = record(store).run_id
    store.tag("Best", run_id)
    for force in (False, True):
        with pytest.raises(InvalidInput) as raised:
            store.tag("best", run_id, force=force)
        assert str(raised.value) == (
            "the tags 'best' and 'Best' are one file on some systems; choose another name, or delete 'Best' first"
        )
    assert store.tags() == {"Best": run_id}
    store.tag("Best", record(store, name="another").run_id, force=True)
    store.untag("Best")
    store.tag("best", run_id)


@pytest.mark.parametrize("name", ["con", "Aux.txt", "v1.", "LPT1"])
def test_a_tag_that_windows_cannot_have_is_refused(store: Store, name: str) -> None:
    with pytest.raises(InvalidInput, match=f"'{name}' cannot be a tag: it .*Windows"):
        store.tag(name, record(store).run_id)


def test_a_tag_that_cannot_be_read_is_a_failure_of_storage(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.tag("best", record(store).run_id)

    def refused(path: Path, *_: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(file_tree, "read_whole", refused)
    with pytest.raises(StorageFailure, match="Permission denied") as raised:
        store.tags()
    assert raised.value.path == store.path / "tags" / "best"
