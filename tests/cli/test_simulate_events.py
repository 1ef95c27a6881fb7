"""`exprec simulate --events`: the events of a day as text and JSON, the filters, wrong input, completion."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from exprec.cli.main import cli
from exprec.recorder.payments import DayEvent, PaymentSimulator
from tests.fixtures.cli import completed_values, exprec, make_runner
from tests.fixtures.paths import CASTRO
from tests.fixtures.payments import Json, agent, eventful_day, pay, policy, scenario, split
from tests.fixtures.terminal import run_on_terminal


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _file(tmp_path_factory.mktemp("days") / "day.json", eventful_day())


def _file(path: Path, value: Json) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def _run(*arguments: str | Path, code: int = 0) -> Result:
    result = make_runner().invoke(cli, ["simulate", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def _events(*arguments: str | Path) -> list[Json]:
    return [json.loads(line) for line in _run(*arguments, "--events", "--json").stdout_bytes.splitlines()]


def _observed(value: Json, is_selected: Callable[[DayEvent], bool], seed: int | None = None) -> list[Json]:
    events: list[DayEvent] = []
    PaymentSimulator(value).simulate({}, seed, events.append)
    return [event.as_dict() for event in events if is_selected(event)]


@pytest.mark.parametrize(
    ("arguments", "is_selected"),
    [
        ([], lambda event: True),
        (["--agent", "銀行"], lambda event: "銀行" in event.agents),
        (["--tick", "1"], lambda event: event.tick == 1),
        (["--tick", "1-3"], lambda event: 1 <= event.tick <= 3),
        (["--tick", "4-99"], lambda event: event.tick == 4),
        (["--tx", "3"], lambda event: "3" in event.payments),
        (["--tx", "2"], lambda event: {"2", "2.1", "2.2", "2.3"} & set(event.payments)),
        (["--tx", "2.3"], lambda event: "2.3" in event.payments),
        (["--tx", "2", "--tick", "2", "--agent", "BETA"], lambda event: event.tick == 2 and "2.3" in event.payments),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, list) else "selected",
)
def test_each_filter_selects_its_events(
    day: Path, arguments: list[str], is_selected: Callable[[DayEvent], bool]
) -> None:
    selected = _events(day, *arguments)
    assert selected == _observed(eventful_day(), is_selected)
    assert selected
    printed = _run(day, "--events", *arguments).stdout_bytes.decode()
    titles = [f"Tick {tick}" for tick in dict.fromkeys(event["tick"] for event in selected)]
    assert [line for line in printed.splitlines() if line.startswith("Tick")] == titles
    assert len(printed.splitlines()) == len(selected) + 2 * len(titles) - 1


def test_every_kind_of_event_happens_in_the_example(day: Path) -> None:
    assert {event["event_type"] for event in _events(day)} == {
        "opening", "transfer", "cap_change", "arrival", "release", "hold", "split", "settlement", "queued", "offset",
        "credit", "penalty", "tick_end", "closing",
    }  # fmt: skip


def test_the_events_are_those_of_the_seed_and_the_policies(tmp_path: Path, day: Path) -> None:
    castro = CASTRO / "twelve-period-scenario.yaml"
    assert _events(castro, "--seed", "7") != _events(castro)
    policies = _file(tmp_path / "policies.json", {"BETA": policy(split(2))})
    splits = [event for event in _events(day, "--policies", policies) if event["event_type"] == "split"]
    assert [event["tx"] for event in splits] == ["2", "3"]


def test_a_simulation_that_fails_prints_what_happened_before(tmp_path: Path) -> None:
    banks = [agent("A", policy=policy(split(9))), agent("B")]
    path = _file(tmp_path / "day.json", scenario(3, banks, [pay(1, "A", "B", 5)]))
    result = _run(path, "--events", "--tick", "1", code=3)
    assert result.stdout_bytes.decode() == "Tick 1\n  arrival 1  A → B  5  due 3, priority 5\n"
    assert "agent 'A', tick 1, node 'split': num_splits is 9" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--agent", "ALPHA"], "--agent, --tick and --tx apply to --events"),
        (["--tick", "0"], "--agent, --tick and --tx apply to --events"),
        (["--tx", "1"], "--agent, --tick and --tx apply to --events"),
        (["--events", "--agent", "ALPA"], "--agent ALPA: unknown agent; did you mean 'ALPHA'?"),
        (["--events", "--tick", "5"], "--tick 5: unknown tick; the day has the ticks 0 to 4"),
        (["--events", "--tick", "x"], "'x' is not a tick (3) or a range of ticks (3-7)"),
        (["--events", "--tick", "-1"], "'-1' is not a tick"),
        (["--events", "--tick", "3-1"], "the range 3-1 is empty"),
        (["--events", "--tick", "٣"], "is not a tick"),
        (["--events", "--tick", "9" * 5000], "is not a tick"),
        (["--events", "--tx", "7"], "--tx 7: unknown payment; the day has the payments 1 to 6, and 7.2 is"),
        (["--events", "--tx", "2.4"], "--tx 2.4: unknown payment"),
        (["--events", "--tx", ""], "unknown payment"),
        (["--events", "--policies", "nowhere.json"], "there is no such file"),
    ],
    ids=lambda part: str(part)[:60],
)
def test_wrong_input(day: Path, arguments: list[str], words: str) -> None:
    result = _run(day, *arguments, code=2)
    assert words in result.stderr
    assert result.stdout_bytes == b""


def test_events_are_not_for_a_batch() -> None:
    assert "--events applies to a SCENARIO, not to a batch" in _run("--batch", "-", "--events", code=2).stderr


def test_a_day_without_payments_says_so(tmp_path: Path) -> None:
    path = _file(tmp_path / "day.json", scenario(1, [agent("A"), agent("B")]))
    assert "the day has no payments" in _run(path, "--events", "--tx", "1", code=2).stderr


def test_nothing_selected_is_said(day: Path) -> None:
    result = _run(day, "--events", "--tx", "1", "--tick", "4")
    assert result.stdout_bytes == b""
    assert result.stderr == "exprec: no event matches all of the filters\n"


def test_names_do_not_control_a_terminal(tmp_path: Path) -> None:
    banks = [agent("A\x1b[2J\n"), agent("B\u202e\x9b")]
    path = _file(tmp_path / "day.json", scenario(1, banks, [pay(0, "A\x1b[2J\n", "B\u202e\x9b", 5)]))
    for options in (["--no-pager", "--color", "never"], ["--json"]):
        shown = run_on_terminal("simulate", path, "--events", *options, cwd=tmp_path)
        assert shown.code == 0
        assert not {"\x1b", "\u202e", "\x9b"} & set(shown.output)
    shown = run_on_terminal("simulate", path, "--events", "--no-pager", cwd=tmp_path)
    assert "A\\x1b[2J\\n → B\\u202e\\x9b" in shown.output


def test_the_same_events_into_a_pipe_in_any_process(day: Path) -> None:
    first, second = (exprec("simulate", day, "--events", env={"PYTHONHASHSEED": seed}).stdout for seed in ("0", "1"))
    assert first == second == _run(day, "--events").stdout_bytes


def test_completion_of_agents(day: Path, tmp_path: Path) -> None:
    assert completed_values("simulate", str(day), "--events", "--agent", "") == ["ALPHA", "BETA", "銀行"]
    assert completed_values("simulate", str(day), "--agent", "B") == ["BETA"]
    hostile = _file(tmp_path / "day.json", scenario(1, [agent("A\x1b[2J"), agent("AB")]))
    assert completed_values("simulate", str(hostile), "--agent", "A") == ["AB"]
    assert completed_values("simulate", "nowhere.json", "--agent", "") == []
    assert "--events" in completed_values("simulate", str(day), "--ev")


def test_help_has_an_example() -> None:
    assert "--events --agent BANK_A --tick 0-1" in _run("--help").stdout
