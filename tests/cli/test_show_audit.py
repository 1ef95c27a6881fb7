"""`exprec show --audit`: prompts and answers with what became of them, the filters, and runs that have none."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.display.console import visible_as_printed
from exprec.recorder.state import audit_exchanges
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from tests.fixtures.cli import completed_values, exprec
from tests.fixtures.paths import CASTRO, ROOT
from tests.fixtures.runs import record_command, sealed_run
from tests.fixtures.terminal import run_on_terminal

EXPERIMENT = ROOT / "tests" / "data" / "every_event.yaml"
AGENTS = ("BANK_A", "BANK_B")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audit")
    exprec("run", "-q", EXPERIMENT, cwd=folder)
    return folder


def _shown(folder: Path, run: str | Path, *arguments: str | Path, code: int = 0) -> tuple[str, str]:
    done = exprec("show", run, "--audit", *arguments, cwd=folder, code=code)
    return done.stdout.decode(), done.stderr.decode()


def _records(folder: Path, run: str | Path, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _shown(folder, run, "--json", *arguments)[0].splitlines()]


def _audited(run: Path) -> list[dict[str, Any]]:
    directory = RunDirectory(run)
    events = (entry.event for entry in directory.reader().entries())
    # Through JSON, for its types.
    return [json.loads(json.dumps(each.as_dict())) for each in audit_exchanges(directory.exchange_reader(), events)]


def test_every_exchange_is_printed_with_its_outcome(recorded: Path) -> None:
    run = sealed_run(recorded)
    records = _records(recorded, run.run_id)
    assert records == _audited(run.folder)
    calls = run.of_type("llm_call")
    assert [record["outcome"] for record in records] == [call["outcome"] for call in calls]
    assert [record["decision"] is None for record in records] == [record["retried"] for record in records]
    decided = [event for event in run.events if event["event_type"] in ("policy_change", "policy_rejected")]
    decisions = [record["decision"] for record in records if record["decision"]]
    assert [each["accepted"] for each in decisions] == [event.get("accepted", False) for event in decided]
    printed, comment = _shown(recorded, run.run_id)
    assert comment == ""
    headings = [line for line in printed.splitlines() if line.startswith("Iteration")]
    assert [heading.split("  ")[:3] for heading in headings] == [
        [f"Iteration {call['iteration']}", call["agent_id"], f"attempt {call['attempt']}"] for call in calls
    ]
    for record in records:
        text = record["answer"] if record["answer"] is not None else record["error"]
        assert "".join(f"    {visible_as_printed(line)}\n" for line in text.rstrip("\n").split("\n")) in printed


@pytest.mark.parametrize(
    ("arguments", "iterations", "agents"),
    [
        (["--iteration", "2"], [2], AGENTS),
        (["--iteration", "2-3"], [2, 3], AGENTS),
        (["--iteration", "2-99"], [2, 3], AGENTS),
        (["--agent", "BANK_A"], [1, 2, 3], ["BANK_A"]),
        (["--agent", "BANK_B", "--iteration", "1"], [1], ["BANK_B"]),
    ],
    ids=lambda part: " ".join(map(str, part)),
)
def test_filters(recorded: Path, arguments: list[str], iterations: list[int], agents: list[str]) -> None:
    run = sealed_run(recorded)
    selected = [each for each in _audited(run.folder) if each["iteration"] in iterations and each["agent_id"] in agents]
    assert _records(recorded, run.run_id, *arguments) == selected
    printed, _ = _shown(recorded, run.run_id, *arguments)
    assert [line.startswith("Iteration") for line in printed.splitlines()].count(True) == len(selected) > 0
    # A prompt is printed in full where it is printed first, whatever came before in the run.
    assert printed.splitlines()[1] == "  System prompt"
    assert printed.splitlines()[2].startswith("    You are ")


def test_nothing_selected_is_explained(recorded: Path) -> None:
    run = sealed_run(recorded).run_id
    for form in ([], ["--json"]):
        assert _shown(recorded, run, "--iteration", "9", *form) == (
            "",
            "exprec: no exchange of iteration 9; the last iteration is 3\n",
        )
        assert _shown(recorded, run, "--agent", "ME\x1b", *form) == (
            "",
            "exprec: no exchange of agent 'ME\\x1b'; the run has exchanges of BANK_A, BANK_B\n",
        )


def test_a_run_without_a_model_says_so(tmp_path: Path) -> None:
    exprec("run", "-q", CASTRO / "two-period.yaml", cwd=tmp_path)
    run = sealed_run(tmp_path).run_id
    for arguments in ([], ["--json"], ["--agent", "BANK_A"]):
        assert _shown(tmp_path, run, *arguments) == ("", "exprec: the run has no exchanges with a model\n")


def test_the_run_of_a_command_has_no_exchanges(tmp_path: Path) -> None:
    run = record_command(Store.open_or_create(tmp_path / "runs"))
    assert _shown(tmp_path, run.run_id) == ("", "exprec: the run has no exchanges with a model\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-v"], "the options that show or hide events do not apply to --audit"),
        (["--no-policy"], "the options that show or hide events do not apply to --audit"),
        (["--event", "llm_call"], "--event and the options"),
        (["--iteration", "x"], "'x' is not an iteration (3) or a range of iterations (3-7)"),
        (["--iteration", "3-2"], "the range 3-2 is empty"),
    ],
    ids=lambda part: str(part)[:40],
)
def test_wrong_usage(recorded: Path, arguments: list[str], words: str) -> None:
    out, err = _shown(recorded, sealed_run(recorded).run_id, *arguments, code=2)
    assert out == ""
    assert words in err


def test_a_log_file_has_no_exchanges(recorded: Path) -> None:
    path = sealed_run(recorded).folder / "events.jsonl"
    assert "--audit needs a run: a log file alone has no exchanges" in _shown(recorded, path, code=2)[1]
    assert "no run 'worst'" in _shown(recorded, "worst", code=4)[1]


def test_a_damaged_exchange_is_an_error_behind_those_before(folder: Path) -> None:
    run = sealed_run(folder)
    path = run.folder / "exchanges.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b"x" * (len(lines[1]) - 1) + b"\n", *lines[2:]]))
    out, err = _shown(folder, run.run_id, code=5)
    assert out.count("Iteration 1  ") == 1
    assert "exchanges.jsonl:2: not JSON" in err
    path.write_bytes(lines[0])
    assert "exchanges.jsonl: has" in _shown(folder, run.run_id, code=5)[1]


def test_an_unsealed_run_is_shown_as_far_as_it_was_recorded(folder: Path) -> None:
    run = sealed_run(folder)
    work = run.store / ".work" / "cut-0123456789abcdef"
    shutil.move(run.folder, work)
    for name in ("run.json", "schemas.json"):
        (work / name).unlink()
    events = (work / "events.jsonl").read_bytes().splitlines(keepends=True)
    last = next(number for number, line in enumerate(events) if b'"llm_call"' in line)
    (work / "events.jsonl").write_bytes(b"".join(events[: last + 1]))
    exchanges = (work / "exchanges.jsonl").read_bytes().splitlines(keepends=True)
    (work / "exchanges.jsonl").write_bytes(b"".join([*exchanges[:2], exchanges[2][:100]]))
    out, err = _shown(folder, work)
    outcomes = [line for line in out.splitlines() if line.startswith("  Outcome")]
    assert outcomes == ["  Outcome  usable, no decision was recorded", "  Outcome  not recorded"]
    assert "exprec: the last exchange is torn (100 bytes) and is not shown" in err
    assert "exprec: run not sealed" in err


def test_a_terminal_is_not_controlled(recorded: Path) -> None:
    run = sealed_run(recorded).run_id
    answers = "".join(str(each["answer"]) for each in _audited(sealed_run(recorded).folder))
    assert "\x1b" in answers
    for options in (["--no-pager", "--color", "never"], ["--json"], ["--color", "never"]):
        session = run_on_terminal("show", run, "--audit", *options, cwd=recorded, env={"EXPREC_PAGER": "cat -"})
        assert session.code == 0
        assert "\x1b" not in session.output
        assert "Propose one" in session.output
    colored = run_on_terminal("show", run, "--audit", "--no-pager", cwd=recorded).output
    assert set(re.findall(r"\x1b[^m]*m?", colored)) <= {f"\x1b[{style}m" for style in (0, 1, 2, 31, 32, 36)}


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_gets_rows_of_its_width(recorded: Path, columns: int) -> None:
    arguments = ("show", sealed_run(recorded).run_id, "--audit", "--no-pager", "--color", "never")
    rows = run_on_terminal(*arguments, cwd=recorded, columns=columns).output.splitlines()
    assert columns - 10 < max(map(len, rows)) <= columns


def test_a_pipe_gets_each_line_whole(recorded: Path) -> None:
    run = sealed_run(recorded)
    narrow, wide = (
        exprec("show", run.run_id, "--audit", cwd=recorded, env={"COLUMNS": columns}).stdout
        for columns in ("40", "200")
    )
    assert narrow == wide
    content = next(each for each in _audited(run.folder))["messages"][0]["content"]
    assert "\n".join(f"    {line}" if line else "" for line in content.split("\n")) in wide.decode()


def test_completion(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recorded)
    run = sealed_run(recorded).run_id
    assert completed_values("show", run, "--audit", "--agent", "") == list(AGENTS)
    assert completed_values("show", run, "--au") == ["--audit"]


def test_help_has_an_example() -> None:
    assert "exprec show 3f5c --audit --iteration 2-4" in exprec("show", "--help").stdout.decode()
