"""The command `exprec simulate`: files, batches, tables, errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from exprec.cli.main import cli
from exprec.recorder.payments import PaymentSimulator
from tests.fixtures.cli import make_runner
from tests.fixtures.payments import Json, agent, leaf, pay, policy, scenario, split, twelve_period_game, vectors


def _run(*arguments: str | Path, stdin: bytes | None = None, code: int = 0) -> Result:
    result = make_runner().invoke(cli, ["simulate", *map(str, arguments)], input=stdin)
    assert result.exit_code == code, result.output
    return result


def _file(folder: Path, name: str, value: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")
    return path


def _batch(*lines: bytes | Json) -> list[Json]:
    text = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    return [json.loads(line) for line in _run("--batch", "-", stdin=text).stdout_bytes.splitlines()]


def test_a_batch_of_all_recorded_outcomes(tmp_path: Path) -> None:
    cases = vectors("engine") + vectors("engine_more")
    lines = tmp_path / "lines.jsonl"
    lines.write_text("".join(json.dumps(case) + "\n" for case in cases), encoding="utf-8")
    printed = _run("--batch", lines).stdout_bytes.decode("utf-8").splitlines()
    assert [json.loads(line) for line in printed] == [case["expected"] for case in cases]
    assert len(printed) == 330


def test_the_table(tmp_path: Path) -> None:
    costs = {"delay_cost_per_tick_per_cent": 0.1, "deadline_penalty": 1234}
    events = [pay(0, "銀行", "B", 1000, 1), pay(0, "B", "銀行", 7)]
    day = scenario(3, [agent("B", 10), agent("銀行", -5)], events, rates=costs)
    policies = _file(tmp_path, "policies.json", {"銀行": policy(split(2))})
    result = _run(_file(tmp_path, "day.json", day), "--policies", policies)
    assert result.stdout_bytes.decode("utf-8").splitlines() == [
        "cents       balance  liquidity  delay  collateral  penalty  split  opportunity  total",
        "B                 3          0      0           0        0      0            0      0",
        "銀行              2          0    300           0     2468      0            0   2768",
        "all agents        5          0    300           0     2468      0            0   2768",
        "",
        "1 of 2 payments settled (4 including the parts of split payments)",
    ]


def test_control_characters_in_a_name_are_made_visible(tmp_path: Path) -> None:
    result = _run(_file(tmp_path, "day.json", scenario(1, [agent("A\x1b[31m\n")])))
    assert result.stdout_bytes.splitlines()[1].startswith(b"A\\x1b[31m\\n ")


@pytest.mark.parametrize("name", ["day.json", "day.yaml"])
def test_json_and_the_seed(tmp_path: Path, name: str) -> None:
    day = _file(tmp_path, name, twelve_period_game())
    simulator = PaymentSimulator(twelve_period_game())
    own, other = _run(day, "--json"), _run(day, "--json", "--seed", "7")
    assert own.stdout_bytes.count(b"\n") == 1
    assert json.loads(own.stdout_bytes) == simulator.simulate({}).as_dict()
    assert json.loads(other.stdout_bytes) == simulator.simulate({}, 7).as_dict()
    assert own.stdout_bytes != other.stdout_bytes


def test_problems_of_a_scenario_stand_with_file_line_and_key(tmp_path: Path) -> None:
    day = twelve_period_game()
    day["simulation"]["num_days"] = 2
    day["agents"][0]["limits"] = {}
    path = _file(tmp_path, "day.json", day)
    line = {key: next(n for n, text in enumerate(path.read_text().splitlines(), 1) if key in text)
            for key in ("num_days", "limits")}  # fmt: skip
    printed = _run(path, code=2).stderr
    assert f"{path}:{line['num_days']}: simulation.num_days: must be 1, not 2" in printed
    assert f"{path}:{line['limits']}: agents[BANK_A].limits: a mapping is refused: payment limits" in printed


def test_problems_of_policies_stand_with_file_line_and_key(tmp_path: Path) -> None:
    day = _file(tmp_path, "day.json", twelve_period_game())
    policies = _file(tmp_path, "policies.json", {"BANK_A": policy(leaf("Drop")), "BANK_Q": policy()})
    printed = _run(day, "--policies", policies, code=2).stderr
    line = 1 + policies.read_text().splitlines().index('   "action": "Drop"')
    assert f"{policies}:{line}: BANK_A.payment_tree.action: node 'leaf': must be one of 'Release'" in printed
    assert "BANK_Q: unknown agent; did you mean 'BANK_" in printed
    assert "must be a mapping of agents" in _run(day, "--policies", _file(tmp_path, "list.json", []), code=2).stderr


def test_an_error_at_run_time(tmp_path: Path) -> None:
    day = _file(tmp_path, "day.json", scenario(1, [agent("A"), agent("B")], [pay(0, "A", "B", 5)]))
    policies = _file(tmp_path, "policies.json", {"A": policy(split(9))})
    result = _run(day, "--policies", policies, code=3)
    assert "agent 'A', tick 0, node 'split': num_splits is 9" in result.stderr
    assert result.stdout_bytes == b""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give either a SCENARIO or --batch FILE"),
        (["day.json", "--batch", "-"], "give either a SCENARIO or --batch FILE"),
        (["--batch", "-", "--seed", "1"], "--policies and --seed apply to a SCENARIO"),
        (["--batch", "-", "--policies", "p.json"], "--policies and --seed apply to a SCENARIO"),
        (["day.json", "--seed", "-1"], "-1 is not in the range"),
        (["day.json", "--seed", str(2**64)], "is not in the range"),
        (["--batch", "nowhere.jsonl"], "No such file"),
        (["nowhere.json"], "there is no such file"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str) -> None:
    assert words in _run(*arguments, code=2).stderr


def test_help_has_an_example() -> None:
    assert "exprec simulate --batch lines.jsonl > outcomes.jsonl" in _run("--help").stdout


_DAY = scenario(1, [agent("A", 5), agent("B")], [pay(0, "A", "B", 5)])


def test_a_line_of_a_batch_needs_only_a_scenario() -> None:
    (outcome,) = _batch({"scenario": _DAY})
    assert outcome == PaymentSimulator(_DAY).simulate({}).as_dict()
    assert _batch({"scenario": _DAY, "policies": {}, "seed": None}) == [outcome]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "not valid JSON"),
        (b"nonsense", "not valid JSON"),
        (b"[]", "a line must be a JSON object"),
        (b"\xff", "not UTF-8 text (byte 0)"),
        (b'{"scenario": {"agents": [], "agents": []}}', "scenario.agents: duplicate key"),
        (b'{"scenario": {"cost_rates": {"eod_penalty": NaN}}}', "cost_rates.eod_penalty: nan is not a number"),
        (b'{"scenario": {"\\ud800": 1}}', "lone surrogate"),
        (b'{"scenario": ' + b"[" * 100_000, "nested deeper"),
        (b'{"scenario": ' + b"[" * 900 + b"]" * 900 + b"}", "nested too deeply"),
        (b'{"policies": {}}', "scenario: missing required key"),
        ({"scenario": _DAY, "sed": 1}, "sed: unknown key; did you mean 'seed'?"),
        ({"scenario": _DAY, "seed": "1"}, "seed: must be an integer from 0 to 18446744073709551615, not '1'"),
        ({"scenario": _DAY, "policies": []}, "policies: must be a mapping of agents to policies"),
        ({"scenario": _DAY, "policies": {"C": policy()}}, "policies[C]: unknown agent (known: A, B)"),
        ({"scenario": _DAY, "policies": {"A": None}}, "policies[A]: must be a mapping, not null"),
        ({"scenario": _DAY, "policies": {"A": policy(split(6))}}, "agent 'A', tick 0, node 'split'"),
        ({"scenario": {}}, "simulation: this key is required and missing\nagents: this key is required and missing"),
        ({"scenario": None}, "must be a mapping, not null"),
    ],
    ids=lambda part: str(part)[:50],
)
def test_a_line_that_cannot_be_simulated_does_not_stop_the_others(line: bytes | Json, words: str) -> None:
    first, failed, last = _batch({"scenario": _DAY}, line, b"", b"  \t", {"scenario": _DAY, "seed": 3})
    assert set(failed) == {"error"}
    assert words in failed["error"]
    assert first == last == PaymentSimulator(_DAY).simulate({}).as_dict()


def test_undecodable_error_is_printed_as_utf8() -> None:
    (failed,) = _batch(b'{"scenario": {}, "\\ud800\xe2\x82\xac": 1}')
    assert "\\ud800€: unknown key" in failed["error"]
