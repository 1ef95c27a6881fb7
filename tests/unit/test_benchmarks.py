"""Tests of the benchmark harness: results, tables, data, and the cheapest case. No test asserts a speed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import machine, report, timing
from benchmarks.benchmark import Measurement, Session, single_case
from benchmarks.cases.all_cases import benchmarks
from benchmarks.data import QUICK, Data, Sizes
from benchmarks.drivers import append, recording
from benchmarks.results import Case, CaseResult, Goal, Pair, Unit
from benchmarks.timing import NotMeasured
from benchmarks.workload import change_one_event, experiment, policy_changes
from exprec.recorder.state.provider import DatabaseStateProvider, LiveStateProvider
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.verify import verify_run

PAIRS = (Pair(1.0, 1.0), Pair(3.0, 1.0), Pair(8.0, 4.0))
FACTS = {"processor": "a fast one, 2 cores"}


def result_of(
    goal: Goal, *pairs: Pair, unit: Unit = Unit.SECONDS, not_measured: str = "", remark: str = ""
) -> CaseResult:
    return CaseResult(Case("show", "`exprec show`", "`jq`", unit, goal), pairs, not_measured, remark)


def test_the_ratio_is_the_median_of_the_ratios_of_each_repetition() -> None:
    found = result_of(Goal(at_most=2), *PAIRS)
    assert (found.exprec, found.reference) == (3.0, 1.0)
    assert (found.ratios, found.ratio) == ([1.0, 3.0, 2.0], 2.0)


def test_how_much_faster_is_the_ratio_the_other_way_round() -> None:
    assert result_of(Goal(faster=5), Pair(2.0, 20.0)).ratios == [10.0]


@pytest.mark.parametrize(
    ("goal", "is_met"),
    [
        (Goal(at_most=2), True),
        (Goal(at_most=1.99), False),
        (Goal(faster=0.5), True),
        (Goal(faster=0.51), False),
        (Goal(below=3.01), True),
        (Goal(below=3), False),
        (Goal(at_least=3), True),
        (Goal(at_least=3.01), False),
        (Goal(below=4, at_most=2), True),
        (Goal(below=4, at_most=1), False),
        (Goal(below=1, at_most=2), False),
        (Goal(), None),
    ],
)
def test_a_goal_is_met_by_the_median(goal: Goal, is_met: bool | None) -> None:
    assert result_of(goal, *PAIRS).is_met is is_met


def test_there_is_no_verdict_without_what_it_would_be_about() -> None:
    assert result_of(Goal(at_most=2)).is_met is None
    assert result_of(Goal(at_most=2), Pair(1.0)).is_met is None
    assert result_of(Goal(below=2), Pair(1.0)).is_met is True


def test_the_table() -> None:
    rows = [
        result_of(Goal(at_most=2), Pair(0.0125, 0.005), remark="300 MB"),
        result_of(Goal(faster=500), Pair(5.25, 5250.0), Pair(5.25, 6300.0), unit=Unit.MICROSECONDS),
        result_of(Goal(at_least=4000), Pair(10_250.4), unit=Unit.PER_SECOND),
        result_of(Goal(below=200, at_most=1.25), Pair(40.0, 39.9), unit=Unit.MEGABYTES),
        result_of(Goal(at_most=1), not_measured="jq is not installed"),
    ]
    assert report.as_markdown(FACTS, rows, quick=False).splitlines() == [
        "| work | exprec | reference | ratio | spread | goal | met |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| `exprec show` (300 MB) | 12.5 ms | 5.00 ms `jq` | 2.50 × | 2.50–2.50 | ≤ 2 × | **no** |",
        "| `exprec show` | 5.25 µs | 5,775 µs `jq` | 1,100 × faster | 1,000–1,200 | ≥ 500 × faster | yes |",
        "| `exprec show` | 10,250/s |  |  |  | ≥ 4,000/s | yes |",
        "| `exprec show` | 40.0 MB | 39.9 MB `jq` | 1.00 × | 1.00–1.00 | < 200 MB, ≤ 1.25 × | yes |",
        "| `exprec show` | not measured: jq is not installed |  |  |  |  |  |",
        "",
        "Measurement on: processor a fast one, 2 cores.",
    ]
    text = report.as_text(FACTS, rows, quick=False)
    assert "not measured: jq is not installed" in text
    assert "processor: a fast one, 2 cores" in text
    assert "`" not in text


def test_small_data_give_no_verdict() -> None:
    rows = [result_of(Goal(at_most=2), Pair(9.0, 1.0))]
    for printed in (report.as_text(FACTS, rows, quick=True), report.as_markdown(FACTS, rows, quick=True)):
        assert "no verdicts" in printed
        assert "**no**" not in printed
    assert json.loads(report.as_json(FACTS, rows, quick=True))["rows"][0]["met"] is None


def test_json_has_every_repetition() -> None:
    told = json.loads(report.as_json(FACTS, [result_of(Goal(at_most=2), *PAIRS)], quick=False))
    assert told["machine"] == FACTS
    (row,) = told["rows"]
    assert (row["exprec_median"], row["reference_median"], row["ratio"], row["met"]) == (3.0, 1.0, 2.0, True)
    assert row["spread"] == [1.0, 3.0]
    assert row["repetitions"] == [{"exprec": each.exprec, "reference": each.reference} for each in PAIRS]
    (row,) = json.loads(report.as_json(FACTS, [result_of(Goal(), not_measured="why")], quick=False))["rows"]
    assert row["not_measured"] == "why"


def test_a_table_takes_the_place_of_the_one_before() -> None:
    page = f"Before.\n\n{report.BEGIN}\nold\n{report.END}\n\nAfter.\n"
    new = report.replace_table(page, "new\n")
    assert new == f"Before.\n\n{report.BEGIN}\n\nnew\n\n{report.END}\n\nAfter.\n"
    assert report.replace_table(new, "new\n") == new
    with pytest.raises(ValueError, match="the two lines"):
        report.replace_table("# A page\n", "new\n")


def test_a_page_without_a_place_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A page\n")
    with pytest.raises(SystemExit, match="the two lines"):
        command.main(["--markdown", str(page)])
    assert page.read_text() == "# A page\n"


def test_the_page_of_the_project_has_a_place_for_the_table() -> None:
    assert report.replace_table((timing.ROOT / "docs" / "performance.md").read_text("utf-8"), "")


def test_both_sides_begin_as_often() -> None:
    order: list[str] = []

    def side(name: str) -> float:
        order.append(name)
        return float(len(order))

    heard: list[str] = []
    pairs = timing.interleaved(4, lambda: side("a"), lambda: side("b"), heard.append)
    assert "".join(order) == "abbaabba"
    assert pairs == (Pair(1, 2), Pair(4, 3), Pair(5, 6), Pair(8, 7))
    assert heard == ["1/4", "2/4", "3/4", "4/4"]


def test_a_process_is_measured_from_outside() -> None:
    spent = timing.run_process(["sh", "-c", "echo four"])
    assert spent.output_bytes == 5
    assert spent.cpu_seconds >= 0
    assert spent.seconds > 0
    assert 0.1 < spent.peak_megabytes < 10_000


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["no-such-command-here"], "no-such-command-here is not installed"),
        (["sh", "-c", "echo first >&2; echo last >&2; exit 3"], "sh ended with 3: last"),
    ],
)
def test_what_cannot_be_measured_is_said_in_its_row(tmp_path: Path, words: list[str], reason: str) -> None:
    def measure(_: Session) -> Measurement:
        return Measurement((Pair(timing.run_process(words).seconds),))

    row = Case("x", "x", "y", Unit.SECONDS, Goal(below=1))
    session = Session(Data(tmp_path, QUICK, print), 1, print)
    assert single_case(row, 1, measure).run(session) == [CaseResult(row, not_measured=reason)]


def test_what_measures_memory_has_little_of_its_own() -> None:
    code = "import sys, benchmarks.__main__; sys.exit(any(name.partition('.')[0] == 'exprec' for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=timing.ROOT, check=False).returncode == 0


def test_a_loop_that_fails_says_why() -> None:
    with pytest.raises(NotMeasured, match=r"drivers\.append:bare ended with 1: FileNotFoundError: .*no-such-folder"):
        timing.call_driver("drivers.append:bare", folder="no-such-folder", count=1)


@pytest.mark.parametrize("count", [4, 29, 58, 100, 1001])
def test_an_experiment_has_as_many_events_as_asked_for(count: int) -> None:
    course = list(experiment(count))
    assert len(course) == count
    assert course == list(experiment(count))
    assert all(before <= after for (before, *_), (after, *_) in pairwise(course[:-1]))


def test_the_runs_are_valid_and_differ_in_one_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What records them turns fsync off for its whole process.
    monkeypatch.setattr(os, "fsync", os.fsync)
    recording.twins(str(tmp_path / "store"), 100)
    found = [
        RunDirectory(tmp_path / "store" / (tmp_path / "store" / "tags" / tag).read_text().strip())
        for tag in ("run", "twin")
    ]
    for run in found:
        assert list(verify_run(run)) == []
    one, other = (list(DatabaseStateProvider(run).get_all_events()) for run in found)
    (changed,) = [position for position in range(100) if one[position] != other[position]]
    assert changed >= 50
    assert other[changed]["new_cost"] == one[changed]["new_cost"] + 1
    assert list(change_one_event(experiment(100), 1000)) == list(experiment(100))


def test_both_append_the_same_lines(tmp_path: Path) -> None:
    bare = append.bare(str(tmp_path), 20)
    for mine in (append.appended(str(tmp_path), 20), append.recorded(str(tmp_path), 20)):
        assert (mine["sha256"], mine["count"]) == (bare["sha256"], bare["count"])
    assert 290 < bare["bytes"] / bare["count"] < 310
    assert len(policy_changes(20, append.SAMPLES)) == 20


def test_each_row_has_a_name_of_its_own() -> None:
    rows = [row.name for each in benchmarks(Sizes(58, 29, 2)) for row in each.cases]
    assert len(set(rows)) == len(rows)
    unbound = [row.name for each in benchmarks(Sizes(58, 29, 2)) for row in each.cases if not row.goal.is_set]
    assert unbound == ["record"]


def test_the_machine_is_described_without_its_name(tmp_path: Path) -> None:
    told = machine.describe_machine(tmp_path)
    assert {"processor", "memory", "system", "file system of the data", "Python", "exprec", "orjson"} <= set(told)
    assert os.uname().nodename not in told.values()
    assert str(tmp_path) not in "".join(told.values())


def test_the_command_measures_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--quick-look", "--repetitions", "1", "--only", "start-version"]
    written = ["--json", str(tmp_path / "all.json"), "--markdown", str(tmp_path / "new.md")]
    assert command.main([*asked, *written, "--work", str(tmp_path / "work")]) == 0
    out, errors = capsys.readouterr()
    assert "start of exprec" in out
    assert "Quick look" in out
    assert "start-version 1/1" in errors
    (row,) = json.loads((tmp_path / "all.json").read_text())["rows"]
    assert row["name"] == "start-version"
    assert len(row["repetitions"]) == 1
    assert "python -c pass" in (tmp_path / "new.md").read_text()


def test_data_are_made_once(tmp_path: Path) -> None:
    heard: list[str] = []
    data = Data(tmp_path, Sizes(58, 29, 2), heard.append)
    assert data.twins(29) == data.twins(29)
    assert heard == ["recording events-29"]
    assert data.scratch().is_dir()


def test_what_records_nothing_takes_what_the_recorder_takes() -> None:
    from benchmarks.drivers.experiment import _NullProvider

    provider: LiveStateProvider = _NullProvider("x")
    assert provider.record_event(0, "no_such_type", {"at": object()}) == {}
    assert list(provider.get_all_events()) == []
