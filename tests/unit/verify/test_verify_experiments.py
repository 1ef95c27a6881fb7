"""The order of events and the figures that stand twice, held to what the format promises of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.errors import Problem
from exprec.recorder.events import optimization
from exprec.recorder.format import canonical_json
from exprec.recorder.state.reducer import Reducer
from exprec.recorder.store.log import Entry
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from exprec.recorder.verify import verify_run
from exprec.recorder.verify.order import OrderChecker
from tests.fixtures import runs
from tests.fixtures.events import ASK, END, EXAMPLES, FAILED, OPEN, SAMPLES, START, exchange
from tests.fixtures.runs import seal

Step = tuple[str, int, dict[str, Any]]

CHANGE, REJECT, CLOSE = (
    optimization.POLICY_CHANGE.event_type,
    optimization.POLICY_REJECTED.event_type,
    optimization.ITERATION_END.event_type,
)


def _step(kind: str, iteration: int = 0, **changes: Any) -> Step:
    return kind, iteration, {**EXAMPLES[kind][1], **changes}


def _iteration(number: int, cost: int) -> list[Step]:
    return [
        _step(OPEN, number, total_cost=cost),
        _step(SAMPLES, number),
        _step(ASK, number),
        _step(ASK, number),
        _step(CHANGE, number, agent_id="BANK_A"),
        _step(ASK, number, agent_id="BANK_B"),
        _step(REJECT, number, agent_id="BANK_B"),
        _step(CLOSE, number),
    ]


def _whole() -> list[Step]:
    """Three iterations, of which the second is the cheapest. Line 2, 10 and 18 have their `iteration_start`."""
    ending = _step(END, final_cost=800, best_cost=700, num_iterations=3)
    return [_step(START), *_iteration(1, 900), *_iteration(2, 700), *_iteration(3, 800), ending]


def _recorded(folder: Path, steps: Sequence[Step]) -> RunDirectory:
    """Record these events in a sealed run; the exchanges that they name are there."""
    store = Store.open_or_create(folder / "runs")
    provider = runs.begin(store)
    for kind, iteration, fields in steps:
        changed = dict(fields)
        if kind == ASK:
            asked = {"iteration": iteration, "agent_id": fields["agent_id"]}
            changed["exchange"] = provider.record_exchange(exchange(**asked))
        provider.record_event(iteration, kind, changed)
    sealed = seal(provider)
    return RunDirectory(sealed.path)


def _found(folder: Path, steps: Sequence[Step]) -> list[tuple[int | None, str]]:
    """Line and key of every problem; all of them must be in the log."""
    problems = list(verify_run(_recorded(folder, steps)))
    assert {Path(str(problem.source)).name for problem in problems} <= {"events.jsonl"}
    return [(problem.line, problem.key) for problem in problems]


def test_a_whole_experiment_verifies(tmp_path: Path) -> None:
    assert _found(tmp_path, _whole()) == []


@pytest.mark.parametrize("length", range(len(_whole())))
def test_an_experiment_may_fail_anywhere(tmp_path: Path, length: int) -> None:
    assert _found(tmp_path, [*_whole()[:length], _step(FAILED)]) == []


@pytest.mark.parametrize("length", [0, 1, 9, 25])
def test_a_log_that_does_not_end_is_found_with_its_last_line(tmp_path: Path, length: int) -> None:
    run = _recorded(tmp_path, _whole()[:length])
    (problem,) = [each for each in verify_run(run) if each.source == f"{run.path.name}/events.jsonl"]
    assert problem.line == (length or None)
    assert problem.message.startswith(
        "the log has no end: its last event must be one of experiment_end, experiment_failed, run_end; restore it"
    )


def _without(*lines: int) -> list[Step]:
    return [step for number, step in enumerate(_whole(), 1) if number not in lines]


def _swapped(line: int) -> list[Step]:
    steps = _whole()
    steps[line - 1], steps[line] = steps[line], steps[line - 1]
    return steps


def _changed(line: int, **changes: Any) -> list[Step]:
    steps = _whole()
    kind, iteration, fields = steps[line - 1]
    steps[line - 1] = kind, changes.pop("iteration", iteration), {**fields, **changes}
    return steps


def _inserted(line: int, step: Step) -> list[Step]:
    steps = _whole()
    steps.insert(line - 1, step)
    return steps


@pytest.mark.parametrize(
    ("steps", "line", "key"),
    [
        pytest.param(_swapped(1), 2, "event_type", id="the start is second"),
        pytest.param(_changed(1, agents=["BANK_A", "BANK_A"]), 1, "agents", id="an agent is listed twice"),
        pytest.param(_inserted(10, _step(START)), 10, "event_type", id="a second start"),
        pytest.param([*_whole(), _step(FAILED)], 27, "event_type", id="a failure after the end"),
        pytest.param(_inserted(10, _step(FAILED)), 11, "event_type", id="events after a failure"),
        pytest.param(_swapped(2), 3, "event_type", id="the samples before the start"),
        pytest.param(_inserted(4, _step(OPEN, 1, total_cost=900)), 4, "event_type", id="a second iteration_start"),
        pytest.param(_without(2), 9, "iteration", id="the first iteration_start is lost"),
        pytest.param(_without(10), 10, "event_type", id="an iteration_start is lost"),
        pytest.param(_without(*range(10, 18)), 10, "iteration", id="an iteration is lost"),
        pytest.param([_step(START), *_iteration(2, 900)], 2, "iteration", id="the first iteration is the second"),
        pytest.param(_swapped(3), 4, "event_type", id="a call before the samples"),
        pytest.param(_inserted(5, _step(SAMPLES, 1)), 5, "event_type", id="samples twice"),
        pytest.param(_without(17), 24, "iteration", id="an iteration_end is lost"),
        pytest.param(_without(25), 25, "event_type", id="the last iteration_end is lost"),
        pytest.param(_inserted(10, _step(CHANGE, 1)), 10, "iteration", id="an event after the iteration_end"),
        pytest.param(_without(4, 5, 6), 4, "agent_id", id="the turn of the first agent is lost"),
        pytest.param(_without(7, 8), 7, "event_type", id="the turn of the last agent is lost"),
        pytest.param(_without(6), 6, "agent_id", id="the decision of the first agent is lost"),
        pytest.param(_without(8), 8, "event_type", id="the decision of the last agent is lost"),
        pytest.param(_swapped(6), 6, "agent_id", id="an agent is asked before another has its decision"),
        pytest.param(_inserted(7, _step(CHANGE, 1)), 7, "agent_id", id="a decision twice"),
        pytest.param(_inserted(9, _step(ASK, 1)), 9, "agent_id", id="a call after all turns"),
        pytest.param(_changed(6, agent_id="BANK_C"), 6, "agent_id", id="an agent that nobody knows"),
        pytest.param(_changed(26, final_cost=801), 26, "final_cost", id="the final cost"),
        pytest.param(_changed(26, final_cost=900), 26, "final_cost", id="the cost of another iteration"),
        pytest.param(_changed(26, best_cost=701), 26, "best_cost", id="the best cost"),
        pytest.param(_changed(18, total_cost=699), 26, "best_cost", id="the total of the last iteration"),
        pytest.param(_changed(26, num_iterations=2), 26, "num_iterations", id="the number of iterations"),
        pytest.param(
            _changed(9, convergence={"criterion": "cost_stability", "met": True}),
            9,
            "convergence.met",
            id="proposals in an iteration that converged",
        ),
    ],
)
def test_what_stands_where_it_cannot_is_found_with_its_line(
    tmp_path: Path, steps: list[Step], line: int, key: str
) -> None:
    assert (line, key) in _found(tmp_path, steps)


def test_the_message_names_the_line_that_it_contradicts(tmp_path: Path) -> None:
    problems = list(verify_run(_recorded(tmp_path, _changed(26, final_cost=1, best_cost=2, num_iterations=4))))
    assert [problem.message.partition(";")[0] for problem in problems] == [
        "is 4, but 3 iterations began",
        "is 1, but the last total_cost is 800, in line 18",
        "is 2, but the lowest total_cost is 700, in line 10",
    ]


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([_step(END)], id="an end without iterations"),
        pytest.param([_step(START), _step(END)], id="a start and an end"),
        pytest.param([_step(CLOSE, 1), _step(CLOSE, 2), _step(END, num_iterations=2)], id="ends of iterations alone"),
        pytest.param([_step(CHANGE, 10), _step(CHANGE, 20), _step(CHANGE, 20)], id="iterations in steps of ten"),
        pytest.param([_step(OPEN, 1), _step(OPEN, 2)], id="iterations without an end"),
        pytest.param([_step(START), _step(OPEN, 1), _step(CLOSE, 1)], id="an iteration without turns"),
        pytest.param(
            [_step(OPEN, 1), _step(ASK, 1, agent_id="X"), _step(ASK, 1, agent_id="Y")], id="no list of agents"
        ),
    ],
)
def test_an_experiment_of_another_kind_verifies(tmp_path: Path, steps: list[Step]) -> None:
    assert _found(tmp_path, steps if steps[-1][0] == END else [*steps, _step(FAILED)]) == []


def _fed(*given: dict[str, Any], is_known: bool) -> list[Problem]:
    state, problems = Reducer(), []
    order = OrderChecker(state)
    for event in given:
        state.apply(Entry(event, b"", 0))
        problems += order.check(event, is_known=is_known)
    return problems


def test_types_that_nobody_knows_may_stand_anywhere_but_after_the_end() -> None:
    own = {"event_type": "measurement", "iteration": 0, "temperature": 21.5}
    in_iterations = [{**own, "iteration": number} for number in (1, 1, 5, 5)]
    assert _fed(own, *in_iterations, own, is_known=False) == []
    (problem,) = _fed({"event_type": FAILED, "iteration": 0}, own, own, is_known=False)
    assert "comes after line 1" in problem.message


def test_a_type_by_a_newer_schema_promises_nothing() -> None:
    newer = {"event_type": START, "iteration": 0}
    assert _fed(newer, newer, {"event_type": OPEN, "iteration": 7}, is_known=False) == []
    assert _fed({"event_type": END, "iteration": 0, "final_cost": "much"}, is_known=False) == []


def _forge_head(run: RunDirectory, part: str, **changes: Any) -> list[str]:
    """Change fields in a part of run.json; returns the keys of the problems in it, but for its digest."""
    path = run.path / "run.json"
    head = json.loads(path.read_bytes())
    head[part] = {**head[part], **changes}
    path.write_bytes(canonical_json.encode(head, indent=True))
    return [problem.key for problem in verify_run(RunDirectory(run.path)) if problem.key]


@pytest.mark.parametrize("value", [800.0, True, None, "800", [800], 801])
def test_the_result_is_compared_with_its_type(tmp_path: Path, value: Any) -> None:
    assert _forge_head(_recorded(tmp_path, _whole()), "result", final_cost=value) == ["result.final_cost"]


@pytest.mark.parametrize(("key", "value"), [("num_iterations", 1.0), ("num_iterations", True), ("converged", 0)])
def test_numbers_that_python_holds_for_equal_are_not(tmp_path: Path, key: str, value: Any) -> None:
    steps = [_step(START), *_iteration(1, 900), _step(END, final_cost=900, best_cost=900, num_iterations=1)]
    assert _forge_head(_recorded(tmp_path, steps), "result", **{key: value}) == [f"result.{key}"]


def test_a_field_more_is_found_even_if_it_is_null(tmp_path: Path) -> None:
    assert _forge_head(_recorded(tmp_path, _whole()), "result", more=None) == ["result.more"]


def test_a_failure_is_compared(tmp_path: Path) -> None:
    run = _recorded(tmp_path, [_step(START), _step(FAILED)])
    assert _forge_head(run, "failure", message="another") == ["failure.message"]


@pytest.mark.parametrize(
    ("is_whole", "key", "value", "message"),
    [
        (True, "counts", {"iterations": 4}, "is 4, but the other files of the run give 3"),
        (True, "status", "failed", "is 'failed', but the other files of the run give 'completed'"),
        (False, "status", "completed", "is 'completed', but the other files of the run give 'failed'"),
        (
            True,
            "failure",
            {"error_type": "x", "message": "y"},
            "is a mapping, but the other files of the run give null",
        ),
        (True, "result", None, "is null, but the other files of the run give a mapping"),
        (True, "result", {"final_cost": 801}, "is 801, but the other files of the run give 800"),
        (True, "result", {"more": 1}, "is 1, but the other files of the run give null"),
        (False, "result", {"final_cost": 1}, "is a mapping, but the other files of the run give null"),
        (False, "failure", None, "is null, but the other files of the run give a mapping"),
    ],
)
def test_what_the_head_says_is_held_to_the_log(
    tmp_path: Path, is_whole: bool, key: str, value: Any, message: str
) -> None:
    run = _recorded(tmp_path, _whole() if is_whole else [_step(START), _step(FAILED)])
    path = run.path / "run.json"
    head = json.loads(path.read_bytes())
    is_part = isinstance(head[key], dict) and isinstance(value, dict)
    head[key] = {**head[key], **value} if is_part else value
    path.write_bytes(canonical_json.encode(head, indent=True))
    problems = [problem for problem in verify_run(RunDirectory(run.path)) if problem.key.startswith(key)]
    (found,) = problems
    assert found.path == ((key, *value) if is_part else (key,))
    assert found.message.partition(";")[0] == message
    # Whoever looks at digests alone does not read the log.
    assert [problem.key for problem in verify_run(RunDirectory(run.path), quick=True)] == [""]


def test_a_number_in_an_exchange_is_compared_with_its_type(tmp_path: Path) -> None:
    run = _recorded(tmp_path, _whole())
    path = run.path / "exchanges.jsonl"
    # The schema admits both: a latency is a number of seconds.
    lines = path.read_bytes().replace(b'"latency_seconds":0.25', b'"latency_seconds":1.0').splitlines(keepends=True)
    path.write_bytes(b"".join(lines))
    log = run.path / "events.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"latency_seconds":0.25', b'"latency_seconds":1'))
    found = [(problem.line, problem.key) for problem in verify_run(RunDirectory(run.path)) if problem.key]
    assert (4, "latency_seconds") in found


def test_problems_of_the_head_have_the_line_of_their_key(tmp_path: Path) -> None:
    run = _recorded(tmp_path, _whole())
    path = run.path / "run.json"
    data = (
        path.read_bytes()
        .replace(b'"final_cost": 800', b'"final_cost": 801')
        .replace(b'"llm_call": 9', b'"llm_call": 8')
    )
    path.write_bytes(data)
    lines = data.decode().splitlines()
    found = {problem.key: problem.line for problem in verify_run(RunDirectory(run.path)) if problem.key}
    assert found.keys() == {"counts.by_type.llm_call", "result.final_cost"}
    for key, line in found.items():
        assert line is not None
        assert f'"{key.rpartition(".")[2]}"' in lines[line - 1]


def test_memory_does_not_grow_with_the_events() -> None:
    state = Reducer(keeps_iterations=False)
    order = OrderChecker(state)
    for number in range(1, 2000):
        for kind, iteration, fields in _iteration(number, number):
            event = {**fields, "event_type": kind, "iteration": iteration}
            state.apply(Entry(event, b"", 0))
            order.check(event, is_known=True)
    kept = [value for part in (state, order) for value in vars(part).values() if isinstance(value, list | dict | set)]
    assert max(map(len, kept)) < 12
    assert state.iteration_count == 1999
