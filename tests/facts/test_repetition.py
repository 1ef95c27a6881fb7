"""Facts about running again from recorded exchanges, and about what never enters a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from exprec import record
from tests.fixtures.cli import exprec
from tests.fixtures.experiments import write_castro_experiment, write_script
from tests.fixtures.files import read_json_lines
from tests.fixtures.runs import ANSWERS, Run, run_command

SECRET = "planted-0123456789"


def _repeat(run: Run, store: Path, code: int = 0) -> str:
    """Run the config of a run again with its recorded answers; returns the standard error."""
    script = run.experiment.parent / "answers.jsonl"
    arguments = ("--model", f"scripted:{script}", "--replay-exchanges", run.folder, "--store", store)
    return exprec("run", run.experiment, *arguments, code=code).stderr.decode()


@pytest.mark.fact("F71")
def test_recorded_answers_give_the_same_run_id(asked: Run, tmp_path: Path) -> None:
    assert asked.exchanges
    _repeat(asked, tmp_path / "again")
    assert (tmp_path / "again" / asked.run_id / "exchanges.jsonl").is_file()


@pytest.mark.fact("F71")
def test_a_request_without_an_exchange_ends_the_repetition_and_leaves_no_run(asked: Run, tmp_path: Path) -> None:
    path, script = write_castro_experiment(tmp_path, max_iterations=3), write_script(tmp_path, ANSWERS)
    arguments = ("--model", f"scripted:{script}", "--replay-exchanges", asked.folder, "--store", tmp_path / "runs")
    assert b"this request was not recorded: iteration 3" in exprec("run", path, *arguments, code=1).stderr
    assert {entry.name for entry in (tmp_path / "runs").iterdir()} == {
        "store.json",
        ".gitattributes",
        ".gitignore",
        ".work",
    }
    assert list((tmp_path / "runs" / ".work").iterdir()) == []


@pytest.mark.fact("F72")
@pytest.mark.parametrize(("old", "new"), [(b'"index":1', b'"index":2'), (b'"attempt":2', b'"attempt":0')])
def test_invalid_exchange_is_damage(asked: Run, tmp_path: Path, old: bytes, new: bytes) -> None:
    copy = asked.copied(tmp_path)
    path = copy.folder / "exchanges.jsonl"
    assert old in path.read_bytes().splitlines()[1]
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    assert f"{path}:2: " in _repeat(copy, tmp_path / "again", code=5)


@pytest.mark.fact("F73")
def test_secret_in_an_answer_fails_the_run_and_is_not_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", SECRET)
    script = write_script(tmp_path, [*ANSWERS[:2], {"answer": f"the key is {SECRET}"}])
    run = run_command(write_castro_experiment(tmp_path), tmp_path / "runs", "--model", f"scripted:{script}", code=3)
    assert run.head["status"] == "failed"
    assert "exchange: answer.text contains the value of SOME_API_KEY" in run.head["failure"]["message"]
    assert len(read_json_lines(run.folder / "exchanges.jsonl")) == 2
    for path in run.store.rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes()


@pytest.mark.fact("F73")
def test_an_allowed_secret_is_recorded_and_verify_searches_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with record(
        "train", {"key": SECRET}, store=tmp_path / "runs", secrets={"KEY": SECRET}, allow_secrets=["KEY"]
    ) as run:
        pass
    assert SECRET.encode() in (run.path / "config.json").read_bytes()
    monkeypatch.setenv("SOME_API_KEY", SECRET)
    exprec("verify", run.id or "", "--store", tmp_path / "runs")


@pytest.mark.fact("F73")
def test_an_experiment_with_a_secret_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", SECRET)
    path = write_castro_experiment(tmp_path, more=f"\nprompt_customization: {{all: {SECRET}}}\n")
    done = exprec("run", path, "--store", tmp_path / "runs", code=2)
    assert b"prompt_customization.all contains the value of SOME_API_KEY" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.fact("F73")
def test_placeholders_are_numbered_in_the_order_of_the_files(tmp_path: Path) -> None:
    names = ["PLANTED_API_KEY", "SENT_API_KEY", "OUT_API_KEY", "ERR_API_KEY", "MADE_API_KEY"]
    secrets = {name: f"{SECRET}-of-{name.lower()}" for name in names}
    program = (
        'echo "$ERR_API_KEY" >&2; echo "$OUT_API_KEY"; echo "$MADE_API_KEY" > made; '
        'echo "{\\"event_type\\": \\"note\\", \\"text\\": \\"$SENT_API_KEY\\"}" >> "$EXPREC_EVENTS"'
    )
    words = ("run", "-q", "--redact", "--artifact", "made", "--", "sh", "-c", program, secrets["PLANTED_API_KEY"])
    run_id = exprec(*words, cwd=tmp_path, env=secrets).stdout.decode().strip()
    places = {"config.json": 1, "events.jsonl": 2, "stdout": 3, "stderr": 4, "artifacts/made": 5}
    for (file, number), name in zip(places.items(), names, strict=True):
        assert f"[redacted:{name}:{number}]" in (tmp_path / "runs" / run_id / file).read_text()


@pytest.mark.fact("F73")
def test_output_is_withheld_from_the_line_with_a_secret_on(tmp_path: Path) -> None:
    words = ("run", "-q", "--", "sh", "-c", 'echo one; echo "the key is $SOME_API_KEY"; echo three')
    run_id = exprec(*words, cwd=tmp_path, env={"SOME_API_KEY": SECRET}, code=3).stdout.decode().strip()
    assert (tmp_path / "runs" / run_id / "stdout").read_text() == "one\n"
