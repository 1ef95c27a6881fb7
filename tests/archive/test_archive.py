"""Runs that each version recorded: this version has the same address for them, verifies them and shows the same bytes.

How the archive is laid out and how a version is added to it is told in the README beside this file.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exprec import schemas
from exprec.recorder.diff.runs import diff
from exprec.recorder.events import EVENT_SPECS
from exprec.recorder.experiment.config import RULES, ExperimentConfig
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.state.provider import DatabaseStateProvider
from exprec.recorder.store.file_tree import folder_id
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store, find_run
from exprec.recorder.verify import verify_run
from tests.facts.test_versions import RECORDED
from tests.fixtures.cli import exprec
from tests.fixtures.git import git, git_tree_id
from tests.fixtures.paths import ROOT

HERE = Path(__file__).parent
VERSIONS = sorted(path.name for path in HERE.glob("v*") if path.is_dir())
LARGEST = 300_000
"""The limit of a version of the archive in bytes: every clone has all of it."""


@dataclass(frozen=True)
class Archived:
    """A run of the archive: its name, and a writable copy of its version."""

    name: str
    version: Path

    @property
    def store(self) -> Path:
        return self.version / "store"

    @property
    def is_sealed(self) -> bool:
        return (self.store / "tags" / self.name).is_file()

    @property
    def directory(self) -> RunDirectory:
        return find_run(self.name, self.store)

    def shown(self, file: str) -> bytes:
        path = self.version / "shown" / self.name / file
        return path.read_bytes() if path.exists() else b""


def _names(version: Path) -> tuple[list[str], list[str]]:
    """Return the names of the sealed and of the interrupted runs."""
    work = (path.name for path in (version / "work").iterdir() if path.is_dir())
    return sorted(path.name for path in (version / "store" / "tags").iterdir()), sorted(work)


UNRELEASED = {"exchange.v2"} | {
    f"event.{kind}.v2"
    for kind in (
        *("bootstrap_evaluation", "experiment_end", "experiment_start", "iteration_end", "iteration_start"),
        *("llm_call", "policy_change", "policy_rejected"),
    )
}
"""Schemas of rules 2, which the next version of the archive will have."""
SEALED = [(version, name) for version in VERSIONS for name in _names(HERE / version)[0]]
INTERRUPTED = [(version, name) for version in VERSIONS for name in _names(HERE / version)[1]]


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies of all versions with the work folders that git ignores."""
    folder = tmp_path_factory.mktemp("archive")
    for version in VERSIONS:
        copy = Path(shutil.copytree(HERE / version, folder / version))
        (copy / "work").rename(copy / "store" / layout.WORK_FOLDER)
    return folder


@pytest.fixture
def archived(copies: Path, request: pytest.FixtureRequest) -> Archived:
    version, name = request.param
    return Archived(name, copies / version)


def _each(runs: list[tuple[str, str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("archived", runs, indirect=True, ids=["-".join(each) for each in runs])


def _calls(run: Archived) -> Iterator[tuple[str, int, list[str]]]:
    """Yield for each call the file with its output, the columns of the terminal, and the arguments."""
    for line in (run.version / "commands").read_text("utf-8").splitlines():
        file, columns, *words = line.split()
        yield file, int(columns), [run.name if word == "NAME" else word for word in words]


@_each([*SEALED, *INTERRUPTED])
@pytest.mark.fact("F87", "F88")
def test_archived_run_is_shown_with_the_same_bytes(archived: Archived) -> None:
    calls = [call for call in _calls(archived) if archived.is_sealed or call[2][0] == "show"]
    assert len(calls) >= 3
    for file, columns, words in calls:
        environment = {"COLUMNS": str(columns), "EXPREC_STORE": "store"}
        done = exprec(*words, cwd=archived.version, env=environment)
        assert done.stdout == archived.shown(f"{file}.out"), words
        if archived.is_sealed and words[0] == "show":
            assert done.stderr == archived.shown(f"{file}.err"), words


@_each(SEALED)
@pytest.mark.fact("F87")
def test_archived_run_has_the_same_run_id_and_verifies(archived: Archived, tmp_path: Path) -> None:
    address = (archived.store / "tags" / archived.name).read_text("ascii").strip()
    # Where its name says nothing.
    copy = Path(shutil.copytree(archived.directory.path, tmp_path / "copy"))
    assert folder_id(copy) == RunDirectory(copy).run_id == address
    assert archived.directory.path.name == address
    assert list(verify_run(archived.directory)) == list(verify_run(archived.directory, quick=True)) == []


@_each(SEALED)
@pytest.mark.fact("F87")
def test_log_of_an_archived_run_reduces_to_its_head(archived: Archived) -> None:
    head = json.loads((archived.directory.path / "run.json").read_bytes())
    provider = DatabaseStateProvider(archived.directory)
    # By their texts: NaN differs from itself.
    assert repr(provider.get_final_result()) == repr(canonical_json.restore_floats(head["result"]))
    said = {key: head["counts"][key] for key in ("events", "iterations", "by_type")} | {"failure": head["failure"]}
    assert {key: provider.get_run_metadata()[key] for key in said} == said
    assert provider.get_total_iterations() == head["counts"]["iterations"]


@_each([*SEALED, *INTERRUPTED])
@pytest.mark.fact("F87", "F88")
def test_archived_run_equals_its_copy(archived: Archived, tmp_path: Path) -> None:
    done = exprec("diff", archived.name, archived.name, cwd=archived.version, env={"EXPREC_STORE": "store"})
    assert done.stdout == b""
    # Of one address, nothing would be read: let the copy go by another.
    copy = RunDirectory(Path(shutil.copytree(archived.directory.path, tmp_path / "copy")))
    copy.__dict__["run_id"] = "0" * 64
    if archived.is_sealed:
        comparison = diff(archived.directory, copy)
        assert not comparison.is_same_run
        assert not comparison.has_differences
        assert comparison.files.names == ()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.fact("F89")
def test_new_schema_versions_do_not_affect_archived_runs(version: str, copies: Path, tmp_path: Path) -> None:
    """Give each event type a schema of the next version that requires one more field."""
    folder = Path(shutil.copytree(ROOT / "schemas", tmp_path / "schemas"))
    for name in (name for name in schemas.names() if name.startswith("event.") and name != "event.v1"):
        following = f"{name[:-1]}{int(name[-1]) + 1}"
        asks: dict[str, Any] = {"$id": f"exprec:{following}", "required": ["of the next version"]}
        (folder / f"{following}.schema.json").write_text(json.dumps(asks))
    later = f"import pathlib; from exprec import schemas; schemas._FOLDER = pathlib.Path({str(folder)!r})"
    sealed, _ = _names(HERE / version)
    options = {"cwd": copies / version, "env": {"EXPREC_STORE": "store", "COLUMNS": "80"}}
    exprec("verify", *sealed, first=later, **options)  # type: ignore[arg-type]
    shown = exprec("show", sealed[0], "-v", first=later, **options)  # type: ignore[arg-type]
    assert shown.stdout == Archived(sealed[0], copies / version).shown("verbose.out")
    # Such a schema is what that exprec records by: of its own events it asks for the field.
    failed = exprec("run", "--store", tmp_path / "runs", "--", "true", first=later, code=3)
    assert b"of the next version" in failed.stderr


@pytest.mark.parametrize("version", VERSIONS)
def test_archive_is_unchanged(version: str) -> None:
    lines = (HERE / version / "MANIFEST").read_text("utf-8").splitlines()
    said = {name.removeprefix("./"): digest for digest, name in (line.split("  ", 1) for line in lines)}
    found = {
        path.relative_to(HERE / version).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (HERE / version).rglob("*")
        if path.is_file() and path.name != "MANIFEST"
    }
    assert found == said
    assert sum(path.stat().st_size for path in (HERE / version).rglob("*") if path.is_file()) < LARGEST


@pytest.mark.parametrize("version", VERSIONS)
def test_git_keeps_every_byte_of_the_archive(version: str, tmp_path: Path) -> None:
    """Git neither ignores nor converts a file of it, even with settings that convert line endings."""
    shutil.copy(ROOT / ".gitattributes", tmp_path)
    shutil.copy(ROOT / ".gitignore", tmp_path)
    shutil.copytree(HERE / version, tmp_path / "tests" / "archive" / version)
    git(tmp_path, "init", "-q")
    git(tmp_path, "config", "core.autocrlf", "true")
    git(tmp_path, "add", "-A")
    shutil.rmtree(tmp_path / "tests")
    git(tmp_path, "checkout", "-q", "--", "tests")
    for path in (HERE / version).rglob("*"):
        if path.is_file():
            assert (tmp_path / path.relative_to(ROOT)).read_bytes() == path.read_bytes(), path


def _heads() -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted(HERE.glob("v*/store/*/run.json")):
        yield path.parent, json.loads(path.read_bytes())


def test_released_schemas_are_those_that_archived_runs_embed() -> None:
    embedded: dict[str, Any] = {}
    for folder, head in _heads():
        for name, schema in json.loads((folder / "schemas.json").read_bytes()).items():
            if head["type"] == "generic" or name in schemas.names():
                embedded.setdefault(name, schema)
                assert schema == embedded[name] == json.loads((ROOT / "schemas" / f"{name}.schema.json").read_bytes())
    # The others are of files that embed none.
    of_lines = {
        name for name in schemas.names() if RECORDED.fullmatch(name) and name.startswith(("event", "exchange", "float"))
    }
    assert set(embedded) | UNRELEASED == of_lines, "a schema has no archived run: add a version to the archive"


def test_every_kind_of_event_file_and_end_is_archived() -> None:
    """New features need an archived run; the README explains how to add a version."""
    types = {kind for _, head in _heads() for kind in head["counts"]["by_type"]}
    assert types >= EVENT_SPECS.keys()
    assert types - EVENT_SPECS.keys(), "events of types that are not exprec's own"
    names = {part for version in VERSIONS for path in (HERE / version).rglob("*") for part in path.parts}
    kinds = {value for name, value in vars(layout).items() if name.endswith(("_FILE", "_FOLDER"))}
    assert len(kinds) >= 9
    assert names >= (kinds - {layout.WORK_FOLDER}) | {*layout.STREAMS, "work", ".gitattributes", ".gitignore"}
    assert {suffix for name in names for suffix in (layout.WORK_HEAD_SUFFIX, layout.WORK_EVENTS_SUFFIX)} == {
        Path(name).suffix for name in names if (HERE / VERSIONS[-1] / "work" / name).is_file()
    }
    ends = {(head["type"], head["status"]) for _, head in _heads()}
    all_types = ("generic", layout.PYTHON_RUN, layout.COMMAND_RUN)
    assert ends == {(kind, status) for kind in all_types for status in ("completed", "failed")}
    results = [head["result"] for _, head in _heads() if head["type"] == "generic" and head["result"]]
    assert {result["converged"] for result in results} == {True, False}


@pytest.mark.parametrize("version", VERSIONS)
def test_files_beside_the_archived_runs_are_readable(version: str, copies: Path) -> None:
    store = Store(copies / version / "store")
    assert {*store.tags().values()} == {*store.run_ids()}
    attested = {run_id: len(store.attestations(run_id)) for run_id in store.run_ids()}
    assert min(attested.values()) >= 1
    assert max(attested.values()) >= 2
    exprec("log", "--json", "--store", store.path)
    problems = exprec("verify", "--all", "--json", "--store", store.path, code=1).stdout.splitlines()
    assert {json.loads(line)["run"] for line in problems if not json.loads(line)["ok"]} == {*store.work_names()}


@_each(SEALED)
def test_archived_config_is_still_a_valid_experiment(archived: Archived) -> None:
    run = archived.directory
    if run.type == "generic":
        config = run.config
        # A script of answers does not lie beside it here.
        config["llm"]["model"] = "search"
        assert ExperimentConfig.from_mapping(config, run.path).to_dict() == {**config, "rules": RULES}


@_each(SEALED)
@pytest.mark.fact("F98")
def test_experiment_of_other_rules_is_not_executed_again(archived: Archived, tmp_path: Path) -> None:
    run = archived.directory
    if run.type != "generic" or run.config.get("rules", 1) == RULES:
        return
    done = exprec("rerun", archived.name, "--json", "--store", archived.store, code=1)
    verdict = json.loads(done.stdout)
    assert (verdict["verdict"], verdict["reasons"]) == ("cannot_run", ["made by rules 1 (exprec 0.1)"])
    if run.config["llm"]["model"] != "search":
        experiment = tmp_path / "experiment.json"
        experiment.write_text(json.dumps({**run.config, "llm": {"model": "openai:small"}}))
        words = ("run", experiment, "--store", archived.store, "--replay-exchanges", archived.name)
        assert b"made by rules 1 (exprec 0.1), whose requests" in exprec(*words, code=2).stderr


@_each(INTERRUPTED)
@pytest.mark.fact("F98")
def test_interrupted_experiment_of_other_rules_is_not_resumed(archived: Archived) -> None:
    before = {path: path.read_bytes() for path in archived.store.rglob("*") if path.is_file()}
    done = exprec("resume", archived.name, "--trust", "--store", archived.store, code=2)
    if archived.directory.type == "generic" and archived.directory.config.get("rules", 1) != RULES:
        assert b"was made by rules 1 (exprec 0.1), and this version of exprec has others: it cannot be" in done.stderr
    assert {path: path.read_bytes() for path in archived.store.rglob("*") if path.is_file()} == before


def test_git_computes_the_run_ids_of_the_archive() -> None:
    for version in VERSIONS:
        address = (HERE / version / "store" / "tags" / "command").read_text("ascii").strip()
        assert git_tree_id(HERE / version / "store" / address) == address
