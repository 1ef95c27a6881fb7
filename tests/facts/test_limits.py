"""Limits of sizes, and of the list of problems."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.documents import read_plain
from exprec.recorder.documents.bounded_yaml import MAX_NODES
from exprec.recorder.documents.json_reader import MAX_VALUES
from exprec.recorder.documents.loader import MAX_BYTES, MAX_MARKUP_BYTES
from exprec.recorder.payments import check_scenario
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.verify import verify_run
from tests.fixtures.cli import exprec
from tests.fixtures.experiments import GAME, experiment
from tests.fixtures.runs import Run

LIMIT = 16 * 2**20


def _of_size(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
    return path


@pytest.mark.fact("F90")
def test_input_file_has_at_most_16_mib(tmp_path: Path) -> None:
    assert len(read_plain(_of_size(tmp_path / "fits", LIMIT))) == LIMIT == MAX_BYTES
    large = _of_size(tmp_path / "large.yaml", LIMIT + 1)
    _of_size(tmp_path / "epoch.schema.json", LIMIT + 1)
    (tmp_path / "game.json").write_text(json.dumps(GAME))
    calls: list[tuple[str | Path, ...]] = [
        ("check", large),
        ("run", large),
        ("simulate", large),
        ("simulate", "--policies", large, "game.json"),
        ("run", "--schemas", tmp_path, "--", "true"),
    ]
    named: dict[str, Any] = {
        "scenario": large.name,
        "llm__system_prompt_file": large.name,
        "llm__model": f"scripted:{large.name}",
    }
    for number, (key, value) in enumerate(named.items()):
        calls.append(("run", experiment(tmp_path, **{key: value}).rename(tmp_path / f"{number}.json")))
    for words in calls:
        done = exprec(*words, cwd=tmp_path, code=2)
        assert f"has {LIMIT + 1} bytes, more than {LIMIT}" in (done.stdout + done.stderr).decode(), words
    assert not (tmp_path / "runs").exists()


@pytest.mark.fact("F90")
@pytest.mark.parametrize("suffix", ["yaml", "yml", "toml"])
def test_yaml_and_toml_have_at_most_4_mib(tmp_path: Path, suffix: str) -> None:
    assert MAX_MARKUP_BYTES == 4 * 2**20
    path = tmp_path / f"large.{suffix}"
    path.write_bytes(b"#" * (MAX_MARKUP_BYTES + 1))
    told = exprec("check", path, code=2).stdout.decode()
    assert f"large.{suffix}: has {MAX_MARKUP_BYTES + 1} bytes, more than {MAX_MARKUP_BYTES}" in told
    assert "write it as JSON" in told


@pytest.mark.fact("F90")
def test_documents_have_a_limited_number_of_values(tmp_path: Path) -> None:
    assert (MAX_NODES, MAX_VALUES) == (200_000, 1_000_000)
    # Smaller limits, because the real ones take seconds to reach.
    smaller = (
        "from exprec.recorder.documents import bounded_yaml, json_reader; "
        "bounded_yaml.MAX_NODES, json_reader.MAX_VALUES = 2_000, 3_000"
    )
    for name, count in (("large.yaml", 2_000), ("large.json", 3_000)):
        (tmp_path / name).write_text("[" + "1," * count + "1]")
        told = exprec("check", tmp_path / name, code=2, first=smaller).stdout.decode()
        assert f"{name}: not valid" in told
        assert f"it has more than {count} " in told
        assert "split" in told


@pytest.mark.fact("F90")
def test_pipe_and_device_are_refused_without_reading(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    for name in ("pipe.yaml", "zero.yaml"):
        assert b"is not a regular file" in exprec("run", name, cwd=tmp_path, code=2).stderr


@pytest.mark.fact("F91")
def test_a_day_has_at_most_a_million_ticks() -> None:
    for ticks, is_taken in ((1_000_000, True), (1_000_001, False)):
        scenario = {**GAME, "simulation": {**GAME["simulation"], "ticks_per_day": ticks}}
        assert (check_scenario(scenario) == []) == is_taken


@pytest.mark.fact("F92")
def test_verify_stops_at_the_limit_of_problems(searched: Run, tmp_path: Path) -> None:
    copy = searched.copied(tmp_path)
    log = copy.folder / "events.jsonl"
    for count in (1000, 1002):
        log.write_bytes(b"[]\n" * count)
        told = [
            each
            for each in verify_run(RunDirectory(copy.folder))
            if each.source == f"{copy.run_id}/{log.name}" and each.line
        ]
        assert [each.line for each in told] == ([*range(1, 1001)] if count == 1000 else [*range(1, 1002), 1001])
        assert ("the lines after this one were not checked" in told[-1].message) == (count > 1000)
