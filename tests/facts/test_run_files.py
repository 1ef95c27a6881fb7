"""The files of a run and their contents."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from exprec import record
from exprec.recorder.diagnostics import SecretGuard
from exprec.recorder.errors import Damaged
from exprec.recorder.events import EventTypes
from exprec.recorder.events.spec import newest_schema
from exprec.recorder.schema import find_problems
from exprec.recorder.sessions import Command, CommandRunner
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from exprec.recorder.verify import verify_run
from tests.fixtures.cli import exprec
from tests.fixtures.experiments import write_castro_experiment
from tests.fixtures.files import read_json
from tests.fixtures.runs import Run, SealedRun, interrupted, record_command, run_command

ENVELOPE = {"seq", "event_type", "iteration"}


def _fields(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key not in ENVELOPE}


@pytest.mark.fact("F10")
def test_config_is_an_experiment_that_gives_the_same_run_id(asked: Run, sampled: Run, tmp_path: Path) -> None:
    for name, run in (("asked", asked), ("sampled", sampled)):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(run.folder / "config.json", folder)
        if run is asked:
            shutil.copy(run.experiment.parent / "answers.jsonl", folder)
        assert run_command(folder / "config.json", folder / "runs").run_id == run.run_id


@pytest.mark.fact("F10")
def test_the_config_has_the_scenario_and_the_defaults(searched: Run) -> None:
    assert [agent["id"] for agent in searched.config["scenario"]["agents"]] == ["BANK_A", "BANK_B"]
    written = searched.experiment.read_text("utf-8")
    for section, key, default in (("convergence", "regret_threshold", 0.1), ("llm", "max_retries", 3)):
        assert key not in written
        assert searched.config[section][key] == default


@pytest.mark.fact("F11")
def test_the_log_has_the_events_as_they_happened(searched: Run, tmp_path: Path) -> None:
    happened = exprec("run", searched.experiment, "--store", tmp_path / "runs", "--json").stdout
    assert (searched.folder / "events.jsonl").read_bytes() == happened
    assert len(happened.splitlines()) == 52


@pytest.mark.fact("F12")
def test_only_a_model_leaves_exchanges(searched: Run, asked: Run, sampled: Run) -> None:
    # Seven answers and one refusal in the script.
    assert len(asked.exchanges) == len((asked.folder / "exchanges.jsonl").read_bytes().splitlines()) == 8
    assert asked.exchanges[0]["answer"]["text"] == "not json"
    assert [message["role"] for message in asked.exchanges[0]["origin"]["messages"]] == ["system", "user"]
    for run in (searched, sampled):
        assert not (run.folder / "exchanges.jsonl").exists()
        assert not run.of_type("llm_call")


@pytest.mark.fact("F13")
def test_the_schemas_are_those_of_the_lines(every_run: tuple[Run, ...]) -> None:
    for run in every_run:
        schemas = run.schemas
        names = {newest_schema(event["event_type"]) for event in run.events}
        assert set(schemas) == names | ({"exchange.v2"} if run.exchanges else set())
        # By a validator that knows nothing of exprec.
        for schema in schemas.values():
            Draft202012Validator.check_schema(schema)
        for event in run.events:
            Draft202012Validator(schemas[newest_schema(event["event_type"])]).validate(event)
        for exchange in run.exchanges:
            Draft202012Validator(schemas["exchange.v2"]).validate(exchange)


@pytest.mark.fact("F14")
def test_the_head_describes_a_sealed_run(every_run: tuple[Run, ...], store: Store) -> None:
    for run in every_run:
        assert find_problems(run.head, "run.v1") == []
        assert run.head["format"] == 1
        assert run.head["name"] == run.config["name"] == "castro-two-period"
    assert not (interrupted(store) / "run.json").exists()


@pytest.mark.fact("F15")
def test_run_has_no_other_files(every_run: tuple[Run, ...]) -> None:
    for run in every_run:
        names = {"config.json", "events.jsonl", "run.json", "schemas.json"}
        if run.exchanges:
            names.add("exchanges.jsonl")
        assert {path.name for path in run.folder.iterdir()} == names
        assert all(path.is_file() for path in run.folder.iterdir())


@pytest.mark.fact("F15")
@pytest.mark.parametrize("name", ["config.json", "events.jsonl", "exchanges.jsonl", "run.json", "schemas.json"])
def test_file_of_a_run_is_a_regular_file(asked: Run, tmp_path: Path, name: str) -> None:
    copy = asked.copied(tmp_path)
    path = copy.folder / name
    path.rename(tmp_path / "the same bytes")
    for make, kind in ((_link, "a symbolic link"), (os.mkfifo, "a special file")):
        make(path)
        run = RunDirectory(copy.folder)
        with pytest.raises(Damaged, match=f"must be a file, and is {kind}"):
            _ = run.head, run.config, run.schemas, run.reader(), run.exchange_reader()
        assert f"{copy.run_id}/{name}" in {problem.source for problem in verify_run(RunDirectory(copy.folder))}
        path.unlink()


def _link(path: Path) -> None:
    path.symlink_to(path.parent.parent.parent / "the same bytes")


@pytest.mark.fact("F15")
@pytest.mark.parametrize("name", ["config.json", "events.jsonl", "exchanges.jsonl"])
def test_file_of_an_unsealed_run_is_a_regular_file(store: Store, name: str) -> None:
    folder = interrupted(store)
    path = folder / name
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    run = RunDirectory(folder)
    with pytest.raises(Damaged, match="a special file"):
        _ = run.config, run.reader(), run.exchange_reader()


@pytest.mark.fact("F15")
def test_no_link_is_followed_to_a_folder_of_artifacts(store: Store, tmp_path: Path) -> None:
    run = RunDirectory(record_command(store).path)
    (run.path / "artifacts").rename(tmp_path / "moved")
    (run.path / "artifacts").symlink_to(tmp_path / "moved")
    with pytest.raises(Damaged, match="must be a folder, and is a symbolic link"):
        run.other_files()
    assert f"{run.path.name}/artifacts" in {problem.source for problem in verify_run(run)}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield key
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)


@pytest.mark.fact("F16")
@pytest.mark.parametrize(
    "environment",
    [
        {"TZ": "Pacific/Kiritimati", "LANG": "C", "LC_ALL": "C", "PYTHONHASHSEED": "1", "USER": "somebody"},
        {"TZ": "America/New_York", "LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8", "PYTHONHASHSEED": "2"},
    ],
)
def test_run_id_is_the_same_in_other_environments(asked: Run, tmp_path: Path, environment: dict[str, str]) -> None:
    elsewhere = tmp_path / "else where"
    shutil.copytree(asked.experiment.parent, elsewhere, ignore=shutil.ignore_patterns("runs"))
    options = ("--model", "scripted:answers.jsonl", "--store", "other", "-q")
    done = exprec("run", "two-period.yaml", *options, cwd=elsewhere, env=environment)
    assert done.stdout.decode() == asked.run_id + "\n"


@pytest.mark.fact("F16")
def test_observations_are_not_content(every_run: tuple[Run, ...]) -> None:
    for run in every_run:
        observed = read_json(run.attestations[0])
        contents: list[Any] = [run.head, run.config, run.events, run.exchanges]
        texts = {text for content in contents for text in _texts(content)}
        for key in ("started_at", "user", "host", "exprec", "python", "platform"):
            assert observed[key] not in texts, key
        assert not [text for text in texts if str(run.store.parent) in text]


BAD_LINES = (
    "nonsense",
    '{"event_type": "a",}',
    "[" * 250 + "]" * 250,
    "[" * 300,
    "9" * 5000,
    '"\U0001fae8"',
    '{"event_type": "a", "x": 1e999}',
)


@pytest.mark.fact("F16", "F86")
@pytest.mark.parametrize("line", BAD_LINES, ids=range(len(BAD_LINES)))
def test_messages_are_the_same_with_another_parser_and_another_limit_of_recursion(
    line: str, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def record_line() -> str:
        command = Command.described(["sh", "-c", 'printf %s "$0" >> "$EXPREC_EVENTS"', line], tmp_path, name="bad")
        runner = CommandRunner(
            command, tmp_path, dict(os.environ), store=store, secrets=SecretGuard(), types=EventTypes(strict=False)
        )
        return runner.run().sealed.run_id

    run_id = record_line()
    (reason,) = [event["message"] for event in SealedRun(store.path / run_id).events if "message" in event]
    assert reason.startswith("line 1 of EXPREC_EVENTS: ")
    parse = json.loads

    def fail_in_other_words(text: str, **options: Any) -> Any:
        if options:
            raise json.JSONDecodeError("Words of another version", text, 0)
        return parse(text)

    with monkeypatch.context() as patch:
        patch.setattr("json.loads", fail_in_other_words)
        assert record_line() == run_id
    before = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(len(inspect.stack(0)) + 200)
        again = record_line()
    finally:
        sys.setrecursionlimit(before)
    assert again == run_id
    assert store.run_ids() == [run_id]


@pytest.mark.fact("F16")
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError(f"no {object()!r}"), "no <object object at 0x…>"),
        (ValueError("a\ud800"), "a\\ud800"),
        (ValueError(), "no message"),
    ],
    ids=["address", "surrogate", "empty"],
)
def test_text_of_an_exception_is_recorded_without_addresses(error: Exception, message: str, store: Store) -> None:
    with pytest.raises(ValueError), record("train", store=store.path):  # noqa: PT011
        raise error
    (run_id,) = store.run_ids()
    assert SealedRun(store.path / run_id).head["failure"] == {"error_type": "ValueError", "message": message}


@pytest.mark.fact("F17")
def test_the_head_has_size_and_digest_of_the_other_files(every_run: tuple[Run, ...]) -> None:
    for run in every_run:
        others = {path.name: path.read_bytes() for path in run.folder.iterdir() if path.name != "run.json"}
        assert run.head["files"] == {
            name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in others.items()
        }


@pytest.mark.fact("F18")
def test_the_head_counts_what_was_recorded(every_run: tuple[Run, ...]) -> None:
    for run in every_run:
        counted = Counter(event["event_type"] for event in run.events)
        assert run.head["counts"] == {
            "events": len(run.events),
            "exchanges": len(run.exchanges),
            "iterations": counted["iteration_start"],
            "by_type": dict(counted),
        }
    assert [run.head["counts"]["iterations"] for run in every_run] == [13, 2, 2, 1]


@pytest.mark.fact("F19")
def test_the_head_has_the_result_or_the_failure(every_run: tuple[Run, ...], failed: Run) -> None:
    for run in every_run:
        head, last = run.head, _fields(run.events[-1])
        if run is failed:
            assert (head["status"], head["result"], head["failure"]) == ("failed", None, last)
            assert last["error_type"] == "ScriptExhausted"
        else:
            assert (head["status"], head["result"], head["failure"]) == ("completed", last, None)
            assert "final_cost" in last


@pytest.mark.fact("F20")
def test_the_inputs_digest_is_that_of_the_config(every_run: tuple[Run, ...]) -> None:
    digests = set()
    for run in every_run:
        data = (run.folder / "config.json").read_bytes()
        assert run.head["inputs"] == hashlib.sha256(data).hexdigest()
        digests.add(run.head["inputs"])
    assert len(digests) == 4


@pytest.mark.fact("F21")
def test_settings_without_effect_on_results_are_not_in_the_config(searched: Run, tmp_path: Path) -> None:
    more = f"\noutput:\n  directory: {tmp_path / 'wherever'}\n"
    file = write_castro_experiment(tmp_path, more=more)
    file.write_text(file.read_text("utf-8").replace("model: search ", "timeout_seconds: 7\n  model: search "), "utf-8")
    run = run_command(file, tmp_path / "elsewhere", "-v", "--no-policy", "--color", "always")
    assert run.run_id == searched.run_id
    keys = set(_texts(run.config))
    assert not keys & {"output", "directory", "timeout_seconds", "store", "verbose"}
    assert "timeout_seconds: 7" in file.read_text("utf-8")


@pytest.mark.fact("F22")
def test_a_script_is_named_by_its_content(asked: Run, tmp_path: Path) -> None:
    script = asked.experiment.parent / "answers.jsonl"
    digest = hashlib.sha256(script.read_bytes()).hexdigest()
    assert asked.config["llm"]["model"] == f"scripted:answers.jsonl#sha256={digest}"
    assert "script" not in asked.config["llm"]
    # It is also asked for by that name: another content is refused.
    shutil.copy(asked.folder / "config.json", tmp_path)
    (tmp_path / "answers.jsonl").write_bytes(script.read_bytes() + b"\n")
    refused = exprec("run", tmp_path / "config.json", "--store", tmp_path / "runs", code=2)
    assert digest in refused.stderr.decode()
    assert json.loads((tmp_path / "config.json").read_bytes()) == asked.config
