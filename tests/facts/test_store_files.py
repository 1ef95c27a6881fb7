"""The files of a store beside its runs, and the names of runs."""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest

from exprec.recorder.errors import AmbiguousRun, RunNotFound
from exprec.recorder.sessions import provenance
from exprec.recorder.state.provider import LiveStateProvider
from exprec.recorder.store.file_tree import folder_id
from exprec.recorder.store.store import Store, find_run
from exprec.recorder.verify import verify_store
from tests.fixtures.cli import exprec
from tests.fixtures.experiments import answer, experiment
from tests.fixtures.git import git
from tests.fixtures.runs import Run, begin, interrupted, record, seal, work_folder


@pytest.mark.fact("F1")
def test_the_mark_makes_a_folder_a_store(searched: Run, tmp_path: Path) -> None:
    assert (searched.store / "store.json").read_bytes() == b'{"format":1}\n'
    copy = searched.copied(tmp_path)
    (copy.store / "store.json").unlink()
    exprec("show", searched.run_id, "--store", copy.store, code=5)
    (copy.store / "store.json").write_bytes(b'{"format":1}\n')
    assert exprec("show", searched.run_id, "--store", copy.store).stdout == searched.stdout


@pytest.mark.fact("F2")
def test_sealed_run_is_a_folder_named_by_its_run_id(every_run: tuple[Run, ...]) -> None:
    for run in every_run:
        folders = [path.name for path in run.store.iterdir() if path.is_dir()]
        assert sorted(folders) == sorted([".work", "attestations", run.run_id])
        assert re.fullmatch(r"[0-9a-f]{64}", run.run_id)
        assert folder_id(run.folder) == run.run_id
        assert run.stdout.decode().splitlines()[-1] == f"Run {run.run_id}"


@pytest.mark.fact("F3")
def test_a_run_in_progress_has_a_random_name(store: Store) -> None:
    names = set()
    for _ in range(2):
        provider = begin(store)
        folder = work_folder(provider, store)
        assert folder.is_dir()
        provider.close()
        assert folder.is_dir()
        names.add(folder.name)
    assert {re.fullmatch(r"[0-9a-f]{16}", name) is not None for name in names} == {True}
    assert len(names) == 2
    assert store.run_ids() == []


@pytest.mark.fact("F4")
def test_lock_decides_whether_a_run_is_in_progress(store: Store) -> None:
    provider = begin(store)
    folder = work_folder(provider, store)
    head = folder.with_name(folder.name + ".json")
    assert json.loads(head.read_bytes()) == {"format": 1, "name": "two banks", "type": "generic"}
    with head.open("rb") as file:
        for kind in (fcntl.LOCK_SH, fcntl.LOCK_EX):
            with pytest.raises(BlockingIOError):
                fcntl.flock(file, kind | fcntl.LOCK_NB)
    shown = exprec("show", folder.name, "--store", store.path)
    assert b"not sealed (running)" in shown.stderr
    provider.close()
    with head.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert find_run(folder.name, store.path).status == "interrupted"
    # The lock decides, whoever holds it.
    with head.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert find_run(folder.name, store.path).status == "running"


@pytest.mark.fact("F4")
def test_work_head_has_what_resume_needs(tmp_path: Path) -> None:
    simulator = tmp_path / "model.py"
    simulator.write_text("def costs(scenario, policies, seed):\n    return {'A': 1, 'B': 1}\n")
    answers = [answer("A", 0.25), answer("B", 0.25)]
    path = experiment(tmp_path, answers=answers, simulator="model:costs", convergence__max_iterations=1)
    run_id = exprec("run", "-q", path, cwd=tmp_path).stdout.decode().strip()
    simulator.write_text("def costs(scenario, policies, seed):\n    raise KeyboardInterrupt\n")
    exprec("run", "-q", path, "--replay-exchanges", run_id, cwd=tmp_path, code=130)
    (head,) = (tmp_path / "runs" / ".work").glob("*.json")
    envelope = {"format": 1, "name": "two banks", "type": "generic"}
    machine = provenance.read_machine()
    assert json.loads(head.read_bytes()) == {**envelope, **machine, "folder": str(tmp_path), "replayed": run_id}


@pytest.mark.fact("F5")
def test_an_attestation_is_named_by_its_digest(every_run: tuple[Run, ...]) -> None:
    for run in every_run:
        (path,) = (run.store / "attestations" / run.run_id).iterdir()
        assert path.name == hashlib.sha256(path.read_bytes()).hexdigest() + ".json"
        assert json.loads(path.read_bytes())["run"] == run.run_id


@pytest.mark.fact("F6")
def test_tag_holds_a_full_run_id(store: Store) -> None:
    sealed = record(store)
    tags = store.path / "tags"
    tags.mkdir()
    (tags / "baseline").write_text(sealed.run_id + "\n")
    (tags / "short").write_text(sealed.run_id[:12] + "\n")
    (tags / ".hidden").write_text(sealed.run_id + "\n")
    assert find_run("baseline", store.path).run_id == sealed.run_id
    for name in ("short", ".hidden"):
        with pytest.raises(RunNotFound):
            find_run(name, store.path)


@pytest.mark.fact("F7")
def test_git_converts_nothing_in_a_store(store: Store, tmp_path: Path) -> None:
    assert (store.path / ".gitattributes").read_text().splitlines() == [
        "* -text -ident -filter -working-tree-encoding",
        "events.jsonl diff=exprec",
    ]
    sealed = record(store, {"name": "two banks", "description": "$Id$"})
    git(tmp_path, "init", "-q")
    git(tmp_path, "config", "core.autocrlf", "true")
    git(tmp_path, "config", "filter.upper.smudge", "tr a-z A-Z")
    converting = ["* text eol=crlf ident", "*.jsonl filter=upper", "run.json working-tree-encoding=UTF-16"]
    (tmp_path / ".gitattributes").write_text("\n".join(converting) + "\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "runs")
    for path in sealed.path.iterdir():
        path.unlink()
    git(tmp_path, "checkout", "--", ".")
    assert folder_id(sealed.path) == sealed.run_id
    attributes = git(tmp_path, "check-attr", "text", "diff", "--", str(sealed.path / "events.jsonl"))
    assert [line.rpartition(": ")[2] for line in attributes.splitlines()] == ["unset", "exprec"]


@pytest.mark.fact("F8")
def test_git_does_not_see_unsealed_runs(store: Store, tmp_path: Path) -> None:
    assert (store.path / ".gitignore").read_text() == "!*\n/.work/\n"
    left = interrupted(store)
    sealed = record(store)
    git(tmp_path, "init", "-q")
    seen = git(tmp_path, "status", "--porcelain", "--untracked-files=all")
    assert left.exists()
    assert ".work" not in seen
    assert sealed.run_id in seen


@pytest.mark.fact("F8")
def test_no_rule_outside_of_the_store_leaves_out_a_part_of_a_run(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"data")
    recording = store.begin("ignored", "python", {})
    for name in ("best.ckpt", "build/out.log", "venv/lib/x", ".hidden"):
        recording.artifacts.add(name, source)
    provider = LiveStateProvider("ignored", "python", recording=recording)
    provider.record_event(0, "run_end", {})
    sealed = seal(provider)
    store.tag("tags.log", sealed.run_id)
    rules = "*.ckpt\n*.log\n*.json\n*.jsonl\n.*\nbuild/\nartifacts\n**/venv/**\ntags\n[0-9a-f]*\n/runs/*/*\n"
    git(tmp_path, "init", "-q")
    (tmp_path / ".gitignore").write_text(rules)
    (tmp_path / ".git" / "info" / "exclude").write_text(rules)
    git(tmp_path, "config", "core.excludesFile", str(tmp_path / ".gitignore"))
    git(tmp_path, "add", "-A", "runs")
    staged = git(tmp_path, "ls-files", "runs").splitlines()
    stored = {path.relative_to(tmp_path).as_posix() for path in store.path.rglob("*") if path.is_file()}
    assert set(staged) == {name for name in stored if "/.work/" not in name}
    assert f"runs/{sealed.run_id}/artifacts/build/out.log" in staged


@pytest.mark.fact("F8")
def test_a_store_of_an_earlier_version_gets_the_new_rule_when_it_is_recorded_into(store: Store) -> None:
    path = store.path / ".gitignore"
    for before, after in (("/.work/\n", "!*\n/.work/\n"), ("/.work/\n*.tmp\n", "/.work/\n*.tmp\n")):
        path.write_text(before)
        assert list(verify_store(store)) == []
        Store.open_or_create(store.path)
        assert path.read_text() == after


@pytest.mark.fact("F9")
def test_a_run_is_found_by_each_of_its_names(store: Store) -> None:
    sealed = record(store)
    unsealed = interrupted(store)
    (store.path / "tags").mkdir()
    (store.path / "tags" / "baseline").write_text(sealed.run_id + "\n")
    for name in (sealed.run_id, sealed.run_id[:4], "baseline", str(sealed.path)):
        assert find_run(name, store.path).run_id == sealed.run_id
    for name in (unsealed.name, unsealed.name[:4], str(unsealed)):
        assert find_run(name, store.path).run_id == unsealed.name
    for name in (sealed.run_id[:3], unsealed.name[:3], "nothing"):
        with pytest.raises(RunNotFound):
            find_run(name, store.path)


@pytest.mark.fact("F9")
def test_no_folder_takes_the_place_of_a_name(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = record(store)
    another = record(Store.open_or_create(tmp_path / "another"), {"name": "another"})
    (store.path / "tags").mkdir()
    (store.path / "tags" / "baseline").write_text(sealed.run_id + "\n")
    place = tmp_path / "place"
    names = ("baseline", sealed.run_id, sealed.run_id[:6])
    for name in (*names, "log"):
        shutil.copytree(another.path, place / name)
    monkeypatch.chdir(place)
    for name in names:
        assert find_run(name, store.path).run_id == sealed.run_id
        shown = exprec("show", "--json", name, "--store", store.path, cwd=place).stdout
        assert shown == (sealed.path / "events.jsonl").read_bytes()
        assert find_run(f"./{name}", store.path).path == Path(name)
    message = exprec("show", "log", "--store", store.path, cwd=place, code=4).stderr.decode()
    assert "the path of a run directory with a slash in it (./NAME)" in message
    (place / "log.jsonl").write_bytes((sealed.path / "events.jsonl").read_bytes())
    exprec("show", "log.jsonl", "--store", store.path, cwd=place, code=4)
    exprec("show", "./log.jsonl", "--store", store.path, cwd=place)


@pytest.mark.fact("F9")
def test_ambiguous_name_is_an_error_that_lists_the_runs(store: Store) -> None:
    first, second = record(store).run_id, record(store, {"name": "another"}).run_id
    (store.path / "tags").mkdir()
    (store.path / "tags" / first[:8]).write_text(second + "\n")
    with pytest.raises(AmbiguousRun) as raised:
        find_run(first[:8], store.path)
    assert raised.value.candidates == tuple(sorted([first, second]))
    message = exprec("show", first[:8], "--store", store.path, code=4).stderr.decode()
    assert first in message
    assert second in message
